"""試験用の番号: the only phones to which a test key sends, each confirmed by its owner.

In: a number as typed, and the code that was sent to it. Out: whether a campaign's people are all of these numbers.
Can't happen here: a number that counts before somebody who holds the phone has read its code out; a code that is tried
until it fits; an SMS at night, or to a number that gets none.
"""

import hmac
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, exists, func, not_, select, text

from app import audit, references, tenancy
from app.accounts import Unusable, abilities, for_sms
from app.campaigns.send_windows import DAYTIME, Policy, Window, describe
from app.delivery import rate_limit, send_context
from app.extensions import db, vault
from app.models import Recipient, SmsAccount, Tenant, TestNumber
from app.problems import Kind, Problem, Refused
from app.providers.curl import perform
from app.providers.sms import PROVIDERS
from app.providers.sms.base import OutcomeKind, SmsMessage
from app.setback import beat, doubt, hold_reasons
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.suppression import numbers
from app.tenants import sender_numbers
from app.values.phones import mask, to_e164
from app.vault import Place

MOST = 10
MOST_OWNER = 40
_DIGITS = 6
_TRIES = 5
_LIVES = timedelta(minutes=15)
_BETWEEN = timedelta(minutes=1)
_RATE_WAIT_S = 10.0

_NO_OWNER = Kind("test_number_owner_missing", "この電話を持つ人の名前を入力してください。")
_LONG_OWNER = Kind("test_number_owner_too_long", "持っている人の名前が長すぎます。{most}文字以内で入力してください。")
_TWICE = Kind("test_number_twice", "この番号は、すでに登録されています。")
_TOO_MANY = Kind("test_number_too_many", "試験用の番号は{most}件までです。使わないものを削除してください。")
_GONE = Kind("test_number_gone", "この番号は、すでに削除されています。一覧を開き直してください。")
_DONE = Kind("test_number_confirmed", "この番号は、すでに確認が済んでいます。")
_SOON = Kind("test_number_code_just_sent", "確認コードは送ったばかりです。1分待ってから、もう一度送ってください。")
_NO_ACCOUNT = Kind(
    "test_number_without_account",
    "確認コードを送るSMSアカウントがありません。利用中のSMSアカウントを登録してください。",
)
_CLOSED = Kind(
    "test_number_outside_hours",
    "いまはSMSを送信できる時間帯ではありません（{hours}）。時間帯になってから、確認コードを送ってください。",
)
_SUPPRESSED = Kind(
    "test_number_suppressed", "この番号は「送信しない番号」に登録されているため、確認コードを送れません。"
)
_NOT_SENT = Kind(
    "test_number_code_not_sent",
    "確認コードを送れませんでした。番号とSMSアカウントの設定を確かめて、もう一度送ってください。",
)
_WRONG = Kind(
    "test_number_code_wrong",
    "確認コードが違います。{tries}回まで入力できます。届いたSMSの6桁の数字を、もう一度確かめてください。",
)
_OVER = Kind("test_number_code_over", "確認コードの期限が過ぎたか、間違いが多すぎます。新しいコードを送ってください。")
OTHERS = Kind(
    "test_key_other_numbers",
    "試験用のキーでは、確認の済んだ試験用の番号にだけ送れます。ほかの番号の送信先が{people:,}件あります。",
)


def add(phone: str, owner: str, *, user_id: int) -> int:
    """Put a number as typed on the list; return its row. Raises Refused. Commits."""
    to, owner = to_e164(phone), " ".join(owner.split())
    tenant_id = tenancy.current().tenant_id or 0
    index = vault.phone_index(tenant_id, to)
    found: list[Problem] = []
    if not owner:
        found.append(_NO_OWNER())
    if len(owner) > MOST_OWNER:
        found.append(_LONG_OWNER(most=MOST_OWNER))
    mine = list(db.session.scalars(select(TestNumber.phone_index).where(TestNumber.tenant_id == tenant_id)))
    if index in mine:
        found.append(_TWICE())
    elif len(mine) >= MOST:
        found.append(_TOO_MANY(most=MOST))
    if found:
        raise Refused(*found)
    row_id = int(db.session.execute(text("SELECT nextval(pg_get_serial_sequence('test_number', 'id'))")).scalar_one())
    row = TestNumber(id=row_id, tenant_id=tenant_id, phone_index=index, owner=owner, created_by=user_id)
    row.phone_sealed = vault.seal(to, _place(row))
    db.session.add(row)
    db.session.flush()
    _record("add_test_number", row, user_id)
    return row_id


def remove(number_id: int, *, user_id: int) -> None:
    """Take a number off the list. Raises Refused. Commits."""
    row = _one(number_id)
    db.session.delete(row)
    _record("remove_test_number", row, user_id)


def masked(row: TestNumber) -> str:
    """Return a number as lists show it."""
    return mask(vault.open_text(row.phone_sealed, _place(row)))


def send_code(number_id: int, *, user_id: int) -> None:
    """Send a number a new code; an earlier one is over. Raises Refused. Commits before the request."""
    row = _one(number_id)
    now = datetime.now(UTC)
    if row.confirmed_at is not None:
        raise Refused(_DONE())
    if row.code_sent_at is not None and now - row.code_sent_at < _BETWEEN:
        raise Refused(_SOON())
    if numbers.entry_of(row.tenant_id, row.phone_index) is not None:
        raise Refused(_SUPPRESSED())
    company = db.session.get_one(Tenant, row.tenant_id)
    policy = Policy(DAYTIME if company.send_window is None else Window.from_json(company.send_window), None)
    account = _account()
    provider = PROVIDERS[account.provider]
    ends = send_context.ends_at(policy, now, provider.capabilities)
    if ends is None:
        raise Refused(_CLOSED(hours=describe(policy)))
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    to = vault.open_text(row.phone_sealed, _place(row))
    words = f"【{company.name[:20]}】試験用の番号の確認コード：{code}"
    until = abilities.valid_until(provider.capabilities, ends)
    try:
        opened = for_sms(account)
    except Unusable:
        raise Refused(_NO_ACCOUNT()) from None
    message = SmsMessage(to, words, references.witness(), until, sender_numbers.for_request(account))
    row.code_digest, row.code_sent_at, row.tries = _digest(row, code), now, 0
    account_id, rate, shared = account.id, abilities.rate_of(account), abilities.shared_rate_of(account)
    audit.record(db.session, actor=f"user:{user_id}", act="send_test_number_code", target=f"test_number:{number_id}")
    _commit()
    if not rate_limit.may_leave(account_id, rate, _RATE_WAIT_S, shared=shared):
        raise Refused(_NOT_SENT())
    outcome = provider.outcome(perform(provider.send(opened, message)))
    if outcome.kind not in {OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN}:
        raise Refused(_NOT_SENT())


def confirm(number_id: int, code: str, *, user_id: int) -> None:
    """Take the code that its owner read out. Raises Refused. Commits."""
    row = _one(number_id)
    if row.confirmed_at is not None:
        raise Refused(_DONE())
    sent = row.code_sent_at
    if row.code_digest is None or sent is None or datetime.now(UTC) - sent > _LIVES or row.tries >= _TRIES:
        raise Refused(_OVER())
    if not hmac.compare_digest(row.code_digest, _digest(row, code.strip())):
        row.tries += 1
        left = _TRIES - row.tries
        db.session.commit()
        raise Refused(_WRONG(tries=left) if left else _OVER())
    row.code_digest, row.confirmed_at = None, datetime.now(UTC)
    _record("confirm_test_number", row, user_id)


def problems(campaign_id: int) -> list[Problem]:
    """Return that a campaign has people whose number is none of the company's own, confirmed ones."""
    own = exists().where(
        and_(
            TestNumber.tenant_id == Recipient.tenant_id,
            TestNumber.phone_index == Recipient.phone_index,
            TestNumber.confirmed_at.is_not(None),
        )
    )
    others = db.session.scalar(
        select(func.count()).select_from(Recipient).where(Recipient.campaign_id == campaign_id, not_(own))
    )
    return [OTHERS(people=others)] if others else []


def _one(number_id: int) -> TestNumber:
    row = db.session.get(TestNumber, number_id, with_for_update=True)
    if row is None:
        raise Refused(_GONE())
    return row


def _account() -> SmsAccount:
    usual = select(SmsAccount).where(SmsAccount.tenant_id == tenancy.current().tenant_id, SmsAccount.active)
    account = db.session.scalar(usual.order_by(SmsAccount.takeover_order.nulls_first(), SmsAccount.id).limit(1))
    if account is None:
        raise Refused(_NO_ACCOUNT())
    return account


def _commit() -> None:
    """Commit what lets the SMS leave. Raises Refused where the database was set back."""
    try:
        raised = beat.rise(db.session, beat.listen())
        db.session.commit()
        beat.tell(raised)
    except NothingMayLeave as stopped:
        db.session.rollback()
        doubt.hold_or_ask(stopped)
        raise Refused(hold_reasons.REFUSED()) from None
    except OutsideAway:
        db.session.rollback()
        raise Refused(hold_reasons.REFUSED()) from None


def _digest(row: TestNumber, code: str) -> bytes:
    return vault.api_digest(row.tenant_id, f"test_number:{row.id}:{code}")


def _place(row: TestNumber) -> Place:
    return Place(row.tenant_id, "test_number", "phone_sealed", row.id)


def _record(act: str, row: TestNumber, user_id: int) -> None:
    audit.record(db.session, actor=f"user:{user_id}", act=act, target=f"test_number:{row.id}")
    db.session.commit()
