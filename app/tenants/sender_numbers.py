"""Sender numbers (送信元番号): what a company's SMS arrive from with each carrier, and who approved it.

In: a number as it is typed, and what a carrier answered. Out: its row, its moves on record, and the one number that a
request may name. Can't happen here: a number given to a service that no carrier approved, an approval by the company
itself, or one number approved for two companies without an operator who was told and wants it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, text

from app import audit, tenancy
from app.extensions import db
from app.models import SenderNumber, SmsAccount
from app.problems import Kind, Refused
from app.providers.sms import PROVIDERS
from app.states import transitions
from app.states.vocabulary import ALL_CARRIERS, CARRIERS, SENDER, SENDER_CARRIERS, SenderState
from app.values import sender_numbers

MOST_NOTE = 200  # characters
_LOCK_SPACE = 7_250_000
# the carriers' own decisions: an operator, who stands between them and the company, records them
_DECISIONS = frozenset({SenderState.APPROVED, SenderState.REJECTED})

_NO_ACCOUNT = Kind("sender_number_account_missing", "SMSアカウントが見つかりません。選び直してください。")
_NO_CARRIER = Kind("sender_number_carrier_missing", "携帯会社を選んでください。")
_TWICE = Kind(
    "sender_number_twice",
    "この番号は、このSMSアカウントと携帯会社にすでに登録されています（{state}）。一覧で確かめてください。",
)
_GONE = Kind("sender_number_gone", "この送信元番号は見つかりません。一覧を開き直してください。")
_NO_MOVE = Kind(
    "sender_number_moved",
    "この番号はいま「{state}」のため、「{to}」にできません。ほかの人が先に変えたかもしれません。一覧で確かめてください。",
)
_OPERATOR_ONLY = Kind(
    "sender_number_operator_only",
    "承認と却下は、携帯会社の回答を受けた運営担当者が記録します。運営担当者に連絡してください。",
)
_NO_REASON = Kind("sender_number_reason_missing", "却下の理由を入力してください。企業の管理者に表示されます。")
_NOTE_TOO_LONG = Kind("sender_number_note_too_long", "メモが長すぎます。{most}文字以内で入力してください。")
OTHERS = Kind(
    "sender_number_of_another_company",
    "この番号は、別の企業（{company}）の送信元として承認されています。番号の誤りでないかを確かめてください。"
    "共同で使う番号のときは、「別の企業と共同で使う番号として承認する」を選んでください。",
)

_UNREGISTERED = (
    "送信元が未登録です：SMSアカウント「{account}」の送信元番号が登録されていません。このまま送信できますが、"
    "受信者が送信元を確かめるページでは「確認できません」と表示されます。"
    "管理者が「設定」の「送信元番号」で登録してください。"
)
_UNAPPROVED = (
    "SMSアカウント「{account}」に、承認された送信元番号がありません。このまま送信できますが、"
    "受信者には、アカウントの設定か、送信サービスの側で決まっている番号から届きます。"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A number and where it stands with a carrier; `number` and `state` are empty where the carrier has none."""

    carrier: str
    number: str = ""
    state: SenderState | None = None

    @property
    def words(self) -> str:
        """Return it as screens show it."""
        name = SENDER_CARRIERS[self.carrier]
        return f"{name}：未登録" if self.state is None else f"{name}：{self.number}（{SENDER.words[self.state]}）"


def apply(account_id: int, carrier: str, typed: str, *, note: str = "", actor: str) -> int:
    """Record that a number was applied for with a carrier; return its id. Raises Refused. Commits."""
    account = db.session.scalar(select(SmsAccount).where(SmsAccount.id == account_id).with_for_update(key_share=True))
    try:
        if account is None or not _in_scope(account):
            raise Refused(_NO_ACCOUNT())
        row = _row(account, carrier, typed, note)
    except Refused:
        db.session.rollback()
        raise
    db.session.add(row)
    db.session.flush()
    detail = {"fields": ["carrier", "number"], **({"reason": row.note} if row.note else {})}
    _on_record(row, SenderState.APPLIED, actor, detail)
    number_id = row.id
    db.session.commit()
    return number_id


def _row(account: SmsAccount, carrier: str, typed: str, note: str) -> SenderNumber:
    if carrier not in SENDER_CARRIERS:
        raise Refused(_NO_CARRIER())
    number = sender_numbers.read(carrier, typed)
    same = select(SenderNumber.state).where(
        SenderNumber.sms_account_id == account.id,
        SenderNumber.carrier == carrier,
        SenderNumber.number == number,
        SenderNumber.state != SenderState.RETIRED,
    )
    # the account's row is locked: nobody else registers a number of it meanwhile
    if (state := db.session.scalar(same)) is not None:
        raise Refused(_TWICE(state=SENDER.words[SenderState(state)]))
    return SenderNumber(
        tenant_id=account.tenant_id, sms_account_id=account.id, carrier=carrier, number=number, note=_short(note)
    )


def moves(state: str) -> list[SenderState]:
    """List the states to which whoever is in scope may move a number from here, in the vocabulary's order."""
    operator = tenancy.current().tenant_id is None
    targets = SENDER.moves[SenderState(state)]
    return [to for to in SenderState if to in targets and (operator or to not in _DECISIONS)]


def move(number_id: int, to: SenderState, *, note: str = "", actor: str, shared: bool = False) -> None:
    """Move a number along the vocabulary, on record. Raises Refused. Commits.

    With `shared`, it is approved also where another company has it approved.
    """
    row = db.session.scalar(
        select(SenderNumber)
        .where(SenderNumber.id == number_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    try:
        if row is None or not _in_scope(row):
            raise Refused(_GONE())
        _check(row, to, note, shared=shared)
    except Refused:
        db.session.rollback()
        raise
    written = _short(note)
    at = datetime.now(UTC)
    moved = transitions.move_sender_number(db.session, row.id, to, at=at, columns={"note": written})
    assert moved  # noqa: S101 - the row is locked, and the move was looked up
    _on_record(row, to, actor, {"reason": written} if written else {})
    db.session.commit()


def _check(row: SenderNumber, to: SenderState, note: str, *, shared: bool) -> None:
    _short(note)
    if to in _DECISIONS and tenancy.current().tenant_id is not None:
        raise Refused(_OPERATOR_ONLY())
    if to not in SENDER.moves[SenderState(row.state)]:
        raise Refused(_NO_MOVE(state=SENDER.words[SenderState(row.state)], to=SENDER.words[to]))
    if to is SenderState.REJECTED and not note.strip():
        raise Refused(_NO_REASON())
    if to is SenderState.APPROVED and not shared and (company := _other_company(row)):
        raise Refused(OTHERS(company=company))


def _other_company(row: SenderNumber) -> str:
    """Name a company that has the number approved, but for this one; empty where none has, or it may be shared.

    SoftBank's 10-digit numbers are a service's, common to its customers.
    """
    if sender_numbers.is_common_to_customers(row.carrier, row.number):
        return ""
    # two operators who approve one number at a time wait for each other
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(:space, hashtext(:number))"), {"space": _LOCK_SPACE, "number": row.number}
    )
    other = db.session.scalar(
        select(SenderNumber)
        .where(
            SenderNumber.number == row.number,
            SenderNumber.state == SenderState.APPROVED,
            SenderNumber.tenant_id != row.tenant_id,
        )
        .order_by(SenderNumber.id)
        .limit(1)
    )
    return other.tenant.name if other is not None else ""


def _in_scope(row: SenderNumber | SmsAccount) -> bool:
    return tenancy.current().tenant_id in {None, row.tenant_id}


def _short(note: str) -> str:
    written = " ".join(note.split())
    if len(written) > MOST_NOTE:
        raise Refused(_NOTE_TOO_LONG(most=MOST_NOTE))
    return written


def _on_record(row: SenderNumber, to: SenderState, actor: str, detail: Mapping[str, object]) -> None:
    audit.record(
        db.session,
        actor=actor,
        act=f"sender_number.{to}",
        target=f"sender_number:{row.id}",
        detail=detail or None,
        tenant_id=row.tenant_id,
    )


def standings(account: SmsAccount) -> list[Standing]:
    """List what stands as sender with each carrier: every number in use or applied for, then carriers with none."""
    found = [
        Standing(row.carrier, row.number, SenderState(row.state))
        for row in _rows(account)
        if row.state in {SenderState.APPROVED, SenderState.APPLIED}
    ]
    covered = {one.carrier for one in found}
    without = [] if ALL_CARRIERS in covered else [Standing(carrier) for carrier in CARRIERS if carrier not in covered]
    return found + without


def choose(account: SmsAccount) -> str:
    """Return the number that a preview shows as the sender: an approved one for all carriers, else for the first.

    The carrier of a number is not known before the SMS is sent, so a request that names one sender names this one: the
    common short code, which all carriers show, else the number of the first carrier in the vocabulary's order that has
    one; of several the one that was registered first. Empty where none is approved.
    """
    return next((row.number for row in _rows(account) if row.state == SenderState.APPROVED), "")


def for_request(account: SmsAccount) -> str | None:
    """Return the sender that a request names; None where its service takes none, or none is approved."""
    if not PROVIDERS[account.provider].capabilities.takes_sender or not (number := choose(account)):
        return None
    return sender_numbers.international(number)


def warnings(account: SmsAccount) -> list[str]:
    """Warn, for a screen, that recipients can't tell whose an account's SMS are. Nothing is stopped by it."""
    rows = _rows(account)
    if not rows:
        return [_UNREGISTERED.format(account=account.name)]
    approved = any(row.state == SenderState.APPROVED for row in rows)
    if not approved and PROVIDERS[account.provider].capabilities.takes_sender:
        return [_UNAPPROVED.format(account=account.name)]
    return []


def _rows(account: SmsAccount) -> Sequence[SenderNumber]:
    """Return an account's numbers but for retired ones, in the order in which one is chosen."""
    rows = db.session.scalars(
        select(SenderNumber)
        .where(SenderNumber.sms_account_id == account.id, SenderNumber.state != SenderState.RETIRED)
        .order_by(SenderNumber.id)
    )
    places = list(SENDER_CARRIERS)
    return sorted(rows, key=lambda row: places.index(row.carrier))
