"""支払い: every attempt to pay, what is to be looked at, and the differences that the nights found."""

from flask import url_for
from markupsafe import Markup

from admin_views.framework import display
from admin_views.framework.filters import Choice, Days, RowChoice, states_of
from admin_views.framework.keyset_pagination import Condition, column_of
from admin_views.framework.model_view import SecureModelView
from admin_views.recipients import person_page
from admin_views.recipients.table import campaign_name, latest_campaigns
from app.models import Payment, PaymentDifference
from app.payments.reconciliation import WORDS
from app.states.vocabulary import PAYMENT_ATTEMPT

_LOOK = "1"


class _ToLookAt(Choice):
    def check(self, entity: object, value: str) -> Condition:
        del value
        return column_of(entity, Payment.problem.key) != ""


class _Open(Choice):
    def check(self, entity: object, value: str) -> Condition:
        del value
        return column_of(entity, PaymentDifference.settled_at.key).is_(None)


def _person(recipient_id: int | None, words: object) -> Markup | str:
    if recipient_id is None:
        return display.NOTHING
    address = url_for("recipient.details_view", id=recipient_id)
    return Markup('<a class="text-nowrap" href="{}">{}</a>').format(address, words)


class PaymentView(SecureModelView[Payment]):
    """支払い."""

    column_list = (
        "created_at",
        "recipient",
        "state",
        "amount_yen",
        "method",
        "account",
        "reference",
        "paid_at",
        "problem",
    )
    column_filters = [
        RowChoice(Payment.campaign_id, "配信", "campaign", latest_campaigns, campaign_name, rank=4),
        Choice(Payment.state, "状態", "state", states_of(PAYMENT_ATTEMPT), rank=3),
        _ToLookAt(Payment.problem, "要確認", "look", lambda: [(_LOOK, "要確認のみ")], rank=2),
        Days(Payment.created_at, "手続の開始"),
    ]
    column_sortable_list = ("created_at",)
    column_labels = {
        "created_at": "手続の開始",
        "recipient": "送信先",
        "state": "状態",
        "amount_yen": "金額",
        "method": "方法",
        "account": "決済アカウント",
        "reference": "受付番号",
        "paid_at": "支払日時",
        "problem": "要確認",
    }
    column_formatters = {
        "recipient": lambda _v, _c, payment, _n: _person(payment.recipient_id, payment.recipient),
        "state": lambda _v, _c, payment, _n: person_page.state_of(payment),
        "amount_yen": display.money,
        "method": lambda _v, _c, payment, _n: person_page.method_of(payment),
        "account": lambda _v, _c, payment, _n: person_page.account_of(payment),
        "problem": lambda _v, _c, payment, _n: person_page.problem_words(payment.problem) or display.NOTHING,
    }
    number_columns = ("amount_yen",)
    intro = "支払いの手続き1回ごとの記録です。返金、取消、消込は、送信先の画面から行います。"
    empty_text = "支払いの記録がありません。受信者が支払いに進むと、ここに記録されます。"

    def __init__(self) -> None:
        super().__init__(Payment, "支払い", endpoint="payment")


class PaymentDifferenceView(SecureModelView[PaymentDifference]):
    """支払いの差異."""

    # the thing to do, and its button, in sight on a narrow screen too
    column_list = ("day", "kind", "settled_at", "ours_yen", "theirs_yen", "account", "reference", "found_at")
    column_filters = [_Open(PaymentDifference.kind, "対応", "open", lambda: [(_LOOK, "未対応のみ")])]
    column_labels = {
        "day": "決済サイトの日付",
        "account": "決済アカウント",
        "reference": "受付番号",
        "kind": "内容と、すること",
        "ours_yen": "Todokeの金額",
        "theirs_yen": "決済サイトの金額",
        "found_at": "見つけた日時",
        "settled_at": "対応",
    }
    column_formatters = {
        "reference": lambda _v, _c, row, _n: (
            _person(row.recipient_id, row.reference) if row.recipient_id else row.reference
        ),
        "kind": display.words_of(WORDS),
        "ours_yen": display.money,
        "theirs_yen": display.money,
        "settled_at": lambda _v, _c, row, _n: (
            display.jst(row.settled_at)
            if row.settled_at
            else Markup('<a class="btn btn-sm btn-outline-primary text-nowrap" href="{}">対応済みにする</a>').format(
                url_for("payment_acts.close_difference", difference_id=row.id)
            )
        ),
    }
    number_columns = ("ours_yen", "theirs_yen")
    intro = (
        "毎晩、決済サイトの記録とTodokeの記録を比べて、合わなかったものです。"
        "行ごとの説明に沿って確かめ、終わったら「対応済みにする」を押してください。"
    )
    empty_text = "決済サイトの記録とTodokeの記録は合っています。"

    def __init__(self) -> None:
        super().__init__(PaymentDifference, "支払いの差異", endpoint="payment_difference")
