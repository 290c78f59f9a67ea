"""List what needs doing about payments: contracts that wait, payments to look at, differences of the books."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flask import url_for
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Query, aliased

from admin_views.accounts import payment_waits
from admin_views.framework.access import may_open
from admin_views.framework.scoping import rows
from admin_views.overview.todo import NAMED, STUCK_AFTER, Todo, count_of
from app.models import Payment, PaymentAccount, PaymentDifference
from app.payments.review import ReviewReason
from app.states.vocabulary import PaymentAttemptState

_LATELY = timedelta(hours=24)


def for_company() -> list[Todo]:
    """Return what a company's managers and clerks have to do about payments."""
    todos = [*_payments_to_look_at(), *_waiting_payments(), *_payments_without_answer()]
    if may_open("payment_account") and (count := count_of(_without_page())):
        todos.append(
            Todo(
                f"24時間以内に、決済ページを開けなかった方が{count:,}人います。"
                "決済アカウントのキーや支払方法が正しいか、利用中かを確かめてください。",
                "決済アカウントを確かめる",
                url_for("payment_account.index_view"),
            )
        )
    if may_open("payment_difference"):
        differences = rows(PaymentDifference).filter(PaymentDifference.settled_at.is_(None))
        if count := count_of(differences):
            url = url_for("payment_difference.index_view", open="1")
            todos.append(Todo(f"決済サイトの記録と合わない支払いが{count:,}件あります。", "差異を見る", url))
    return todos


def _payments_to_look_at() -> Iterator[Todo]:
    """List payments at 要確認: what can't wait by its name, the others together."""
    to_look_at = rows(Payment).filter(Payment.problem != "")
    named = {
        "二重のお支払い": to_look_at.filter(Payment.problem.contains(ReviewReason.PAID_TWICE)),
        "チャージバック": to_look_at.filter(
            Payment.problem.contains(ReviewReason.DISPUTED) | Payment.problem.contains(ReviewReason.DISPUTE_LOST)
        ),
        "失敗した返金": to_look_at.filter(Payment.problem.contains(ReviewReason.REFUND_FAILED)),
    }
    for name, found in named.items():
        if count := count_of(found):
            yield Todo(f"{name}が{count:,}件あります。", "内容を見て対応する", _where(found, count))
    others = to_look_at.filter(
        *(~Payment.problem.contains(one) for one in (ReviewReason.PAID_TWICE, ReviewReason.REFUND_FAILED)),
        ~Payment.problem.contains("dispute"),
    )
    if count := count_of(others):
        yield Todo(f"確認の必要な支払いが{count:,}件あります。", "確認する", _where(others, count))


def _where(found: Query[Payment], count: int) -> str:
    """Return the address of the one person it is about, else that of the list."""
    if count == 1 and (first := found.first()):
        return url_for("recipient.details_view", id=first.recipient_id)
    return url_for("payment.index_view", look="1")


def _waiting_payments() -> Iterator[Todo]:
    """Return the contracts whose provider wishes to be left alone for a while."""
    for account in payment_waits.waiting_accounts().limit(NAMED):
        for notice in payment_waits.notices(account):
            text = f"決済アカウント「{account.name}」：{notice.words}{notice.advice}"
            url = url_for("payment_account.edit_view", id=account.id) if may_open("payment_account") else ""
            yield Todo(text, "アカウントを確かめる" if url else "", url)


def _payments_without_answer() -> Iterator[Todo]:
    """List payments that the provider has given no answer about for a while, contract by contract."""
    since = datetime.now(UTC) - STUCK_AFTER
    waiting = rows(Payment).filter(
        Payment.unanswered > 0, Payment.unanswered_since < since, Payment.ask_at.is_not(None)
    )
    of = waiting.with_entities(Payment.payment_account_id).distinct()
    for account in rows(PaymentAccount).filter(PaymentAccount.id.in_(of)).order_by(PaymentAccount.id).limit(NAMED):
        count = count_of(waiting.filter(Payment.payment_account_id == account.id))
        text = (
            f"決済アカウント「{account.name}」で、決済サイトから返事がなく、結果を確かめられていない支払いが{count:,}件あります。"
            "自動で確かめ続けています。"
        )
        if may_open("payment_account"):
            more = "続くときは、キーが正しいか、決済サイトに障害がないかを確かめてください。"
            yield Todo(f"{text}{more}", "決済アカウントを確かめる", url_for("payment_account.edit_view", id=account.id))
        else:
            yield Todo(f"{text}続くときは、自社の管理者にお知らせください。", "", "")


def _without_page() -> Query[Payment]:
    """Find who pressed pay today and never got a payment page: a wrong key or setting, or a provider that is away."""
    now = datetime.now(UTC)
    got_one = aliased(Payment)
    return (
        rows(Payment)
        .filter(Payment.created_at.between(now - _LATELY, now - STUCK_AFTER))
        .filter(
            Payment.payment_account_id.is_not(None),
            # an open one without an address: the provider named another host, and nobody is led there
            or_(
                Payment.provider_id.is_(None),
                and_(Payment.state == PaymentAttemptState.STARTED, Payment.url_sealed.is_(None)),
            ),
        )
        .filter(
            ~select(got_one.id)
            .where(got_one.recipient_id == Payment.recipient_id, got_one.attempt > Payment.attempt)
            .exists()
        )
    )
