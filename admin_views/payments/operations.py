"""Refund, cancellation, 消込 and closing: acts about money, each on a page of its own that asks for the password."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flask import abort, flash, redirect, request, url_for
from flask_admin.helpers import get_form_data
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, Field, PasswordField, RadioField, TextAreaField
from wtforms.validators import StopValidation, ValidationError

from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.fields import line, required, select_options, text
from admin_views.framework.scoping import rows
from admin_views.framework.secure_view import Form, SecureView, expose
from admin_views.recipients.person_page import problem_words
from app.auth.sign_in import confirm
from app.delivery.resend import unpaid_after_all
from app.extensions import db, limiter
from app.models import Payment, PaymentDifference, Recipient
from app.payments import manual_payments, operations, reconciliation
from app.payments.manual_payments import BY_HAND, Money
from app.payments.operations import RefundResult
from app.problems import Refused
from app.states.vocabulary import PAYMENT, PaymentAttemptState, SmsState
from app.values.amounts import to_yen

_ONE = "/<int(max=9223372036854775807):payment_id>"
_LIMIT = "10 per minute"


class SureForm(Form):
    """The password again: who sits at the screen is who signed in."""

    password = PasswordField(
        "あなたのパスワード",
        [required("パスワードを入力してください。")],
        description="お金に関わる操作のため、もう一度確かめます。",
        render_kw={"autocomplete": "current-password"},
    )

    def validate_password(self, given: Field) -> None:
        """Refuse who isn't the user."""
        try:
            confirm(staff(), given.data)
        except Refused as refused:
            raise ValidationError(refused.message_ja) from None


def _readable(_form: object, given: Field) -> None:
    try:
        to_yen(given.data)
    except Refused as refused:
        raise StopValidation(refused.message_ja) from None


def _reason(help: str) -> TextAreaField:  # noqa: A002 - what it is
    return text(
        "理由",
        required("理由を入力してください。"),
        most=200,
        help=f"{help}証跡に残るため、お客さまの氏名や電話番号などは入力しないでください。",
        render_kw={"rows": 3},
    )


class TakeBackForm(SureForm):
    """Why money recorded by hand was not there."""

    reason = _reason("例：別の契約の入金だった。")


class SettleForm(SureForm):
    """How the money came, how much, and why it is recorded."""

    method = RadioField(
        "入金の方法", [required("入金の方法を選んでください。")], choices=lambda: select_options(BY_HAND.items())
    )
    amount = line(
        "入金額（円）",
        required("入金額を入力してください。"),
        _readable,
        most=20,
        help="請求金額と同じ額だけを消し込めます。一部だけの入金は消し込めません。"
        "決済サイトの入金が請求と合わないときは、差額を返すかいただくかしたうえで、請求金額を入力してください。",
    )
    reason = _reason("例：11月20日に普通預金口座で入金を確認。")
    despite_open = BooleanField(
        "進行中の手続きがあっても消し込む",
        description="二重に支払われないよう、ご本人に確かめてから印を付けてください。手続きは、できる限り終了させます。",
    )


_BEFORE_MONEY = (
    "確認を終えると、支払われていない手続きは取消となり、受信者はもう一度支払えるようになります。",
    "決済サイトで入金がないことを確かめてから押してください。",
    (
        "請求と合わない入金があるときは、決済サイトの管理画面で全額を返金してから押すか、その入金で支払い済みとする場合は、"
        "送信先の画面の「消込」で先に記録してください。差額は、ご本人に返すか、別にいただいてください。"
    ),
)
_STILL_OPEN = (
    "ただし、決済サイトの前の手続きをまだ終了できていません。そこから支払うと二重になるため、"
    "前の決済ページでは支払わないように、ご本人にお伝えください。終了できしだい、自動で終了します。"
)
_AFTER_MONEY = (
    "必要な対応が済んだら、確認を終えてください。支払いの状態は変わりません。",
    "決済サイトで新しい動きがあれば、また「要確認」になります。",
)


@dataclass(frozen=True, slots=True)
class _Act:
    """A page's question: its words, its button, and where it leads."""

    title: str
    words: tuple[str, ...]
    button: str
    back: str
    facts: list[tuple[str, str]] = field(default_factory=list)


class PaymentActs(SecureView):
    """支払いの操作."""

    def __init__(self) -> None:
        super().__init__("支払いの操作", endpoint="payment_acts", url="/admin/payment-act")

    def is_visible(self) -> bool:
        """Stay out of the menu: each act is reached from what it is about."""
        return False

    @expose("/")
    def index(self) -> BaseResponse:
        """Lead to the list: an act is about one row of it."""
        return redirect(url_for("payment.index_view"))

    @expose(f"{_ONE}/refund", methods=["GET", "POST"])
    @limiter.limit(_LIMIT, methods=["POST"])
    def refund(self, payment_id: int) -> BaseResponse | str:
        """Refund all of a payment."""
        payment = _payment(payment_id)
        words = (
            "支払われた全額を、決済サイトを通して返金します。返金は取り消せません。",
            "返金すると、受信者のページにも「ご返金しました」と表示されます。",
        )

        def do() -> str:
            given = operations.refund(payment_id, actor=staff().actor)
            if given is RefundResult.DONE:
                return "返金しました。"
            if given is RefundResult.UNKNOWN:
                return (
                    "決済サイトから返事がなく、返金できたか分かりません。数分後に、この送信先の「支払いの記録」を確かめてください。"
                    "「返金の完了待ち」のままなら、もう一度「返金」を押してください。二重に返金されることはありません。"
                )
            return "返金を決済サイトに依頼しました。完了は自動で確かめます。決済サイトでもう一度返金しないでください。"

        return self._ask(_Act("返金", words, "全額を返金する", _person(payment), _facts(payment)), SureForm, do)

    @expose(f"{_ONE}/cancel", methods=["GET", "POST"])
    @limiter.limit(_LIMIT, methods=["POST"])
    def cancel(self, payment_id: int) -> BaseResponse | str:
        """End an attempt under way."""
        payment = _payment(payment_id)
        words = ("進行中の支払い手続きを、決済サイトで終了させます。受信者は、リンクの期限までは支払い直せます。",)

        def do() -> str:
            state = operations.cancel(payment_id, actor=staff().actor)
            if state is PaymentAttemptState.PAID:
                return "取り消す前に支払われていたため、支払済になりました。"
            return "支払いの手続きを終了しました。"

        return self._ask(
            _Act("手続きの取消", words, "手続きを取り消す", _person(payment), _facts(payment)), SureForm, do
        )

    @expose(f"{_ONE}/looked-at", methods=["GET", "POST"])
    @limiter.limit(_LIMIT, methods=["POST"])
    def looked_at(self, payment_id: int) -> BaseResponse | str:
        """Close what was to be looked at."""
        payment = _payment(payment_id)
        has_money = payment.state in {PaymentAttemptState.PAID, PaymentAttemptState.REFUNDED}
        words = (
            problem_words(payment.problem) or "この支払いには、確認の必要なことがありません。",
            *(_AFTER_MONEY if has_money else _BEFORE_MONEY),
        )

        def do() -> str:
            operations.looked_at(payment_id, actor=staff().actor)
            return "確認済みにしました。"

        return self._ask(_Act("要確認の支払い", words, "確認を終える", _person(payment), _facts(payment)), SureForm, do)

    @expose("/settle/<int(max=9223372036854775807):recipient_id>", methods=["GET", "POST"])
    @limiter.limit(_LIMIT, methods=["POST"])
    def settle(self, recipient_id: int) -> BaseResponse | str:
        """Record that somebody paid another way."""
        person = rows(Recipient).filter(Recipient.id == recipient_id).one_or_none() or abort(404)
        back = url_for("recipient.details_view", id=recipient_id)
        under_way = rows(Payment).filter(
            Payment.recipient_id == recipient_id,
            Payment.state.in_([PaymentAttemptState.STARTED, PaymentAttemptState.PENDING]),
        )
        words: tuple[str, ...] = (
            "決済サイトを通さずに入金されたことを記録します。受信者のページは「支払済」になります。",
        )
        if person.sms_state in {SmsState.DRAFT, SmsState.QUEUED}:
            words += ("まだ送っていないSMSは、送られません。",)
        if under_way.first() is not None:
            words += ("注意：この送信先には、進行中の支払い手続きがあります。二重に支払われるおそれがあります。",)
        facts = [("送信先", str(person)), ("請求金額", display.yen(person.amount_yen))]
        form = SettleForm(get_form_data())

        def do() -> str:
            money = Money(form.method.data, to_yen(form.amount.data or ""), form.reason.data or "")
            still_open = manual_payments.settle(
                recipient_id, money, actor=staff().actor, despite_open=form.despite_open.data
            )
            return f"消し込みました。支払済になりました。{_STILL_OPEN if still_open else ''}"

        return self._ask(_Act("消込", words, "支払済にする", back, facts), form, do)

    @expose(f"{_ONE}/take-back", methods=["GET", "POST"])
    @limiter.limit(_LIMIT, methods=["POST"])
    def take_back(self, payment_id: int) -> BaseResponse | str:
        """Undo a 消込 that was wrong."""
        payment = _payment(payment_id)
        words = (
            "誤って消し込んだ記録を取り消します。受信者のページは「支払済」ではなくなり、リンクの期限までは支払えます。",
            "受け取ったお金を返すものではありません。実際に入金があったときは、取り消さないでください。",
        )
        form = TakeBackForm(get_form_data())

        def do() -> str:
            state = manual_payments.take_back(payment_id, form.reason.data or "", actor=staff().actor)
            waits = unpaid_after_all(payment.recipient_id, actor=staff().actor)
            more = "支払済のため送らなかったSMSは、これから送られます。" if waits else ""
            return f"消込を取り消しました。いまの状態は「{PAYMENT.words[state]}」です。{more}"

        return self._ask(_Act("消込の取消", words, "消込を取り消す", _person(payment), _facts(payment)), form, do)

    @expose("/difference/<int(max=9223372036854775807):difference_id>", methods=["GET", "POST"])
    @limiter.limit(_LIMIT, methods=["POST"])
    def close_difference(self, difference_id: int) -> BaseResponse | str:
        """Close a difference of the books."""
        row = rows(PaymentDifference).filter(PaymentDifference.id == difference_id).one_or_none() or abort(404)
        words = (
            reconciliation.WORDS[reconciliation.Kind(row.kind)],
            "確かめて必要な対応を終えたら、対応済みにしてください。",
        )
        facts = [
            ("受付番号", row.reference),
            ("Todokeの金額", display.yen(row.ours_yen)),
            ("決済サイトの金額", display.yen(row.theirs_yen)),
        ]

        def do() -> str:
            done = reconciliation.close(difference_id, actor=staff().actor)
            return "対応済みにしました。" if done else "すでに対応済みです。"

        back = url_for("payment_difference.index_view")
        return self._ask(_Act("支払いの差異", words, "対応済みにする", back, facts), SureForm, do)

    def _ask(self, act: _Act, form: SureForm | type[SureForm], do: Callable[[], str]) -> BaseResponse | str:
        """Ask, and do it once the password is right."""
        filled = form(get_form_data()) if isinstance(form, type) else form
        refused = ""
        if request.method == "POST" and filled.validate():
            # nothing stays open here while a payment provider is asked
            db.session.rollback()
            try:
                flash(do(), "success")
            except Refused as not_done:
                refused = not_done.message_ja
            else:
                return redirect(act.back, 303)
        return self.render("office/payment_act.html", act=act, form=filled, refused=refused)


def _payment(payment_id: int) -> Payment:
    return rows(Payment).filter(Payment.id == payment_id).one_or_none() or abort(404)


def _person(payment: Payment) -> str:
    return url_for("recipient.details_view", id=payment.recipient_id)


def _facts(payment: Payment) -> list[tuple[str, str]]:
    return [
        ("送信先", str(payment.recipient)),
        ("金額", display.yen(payment.amount_yen)),
        ("受付番号", payment.reference),
        ("支払日時", display.jst_exact(payment.paid_at)),
    ]
