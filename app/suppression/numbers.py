"""Put numbers on the list by hand, change why and until when they stand there, end that."""

import datetime as dt
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from app import audit, tenancy
from app.db import Executor
from app.extensions import db, vault
from app.models import Suppression
from app.problems import Kind, Refused
from app.values.card_numbers import holds_card_number
from app.values.dates import parse_date_ahead
from app.values.japan_time import TOKYO
from app.values.phones import holds_mobile_number, to_e164
from app.values.suppression_reasons import REASON_WORDS, SuppressionReason
from app.vault import Place

LONGEST_NOTE = 200

_NO_REASON = Kind("suppression_reason_missing", "理由を選んでください。")
_PAST = Kind("suppression_until_past", "期限が過去の日付です。今日以降の日付を入力するか、空にしてください。")
_LONG_NOTE = Kind("suppression_note_too_long", "備考が長すぎます。{most}文字以内にしてください。")
_NUMBER_IN_NOTE = Kind(
    "suppression_note_with_number",
    "備考に電話番号かカード番号が入っています。番号は残さない決まりです。番号を消して、管理番号などに書き換えてください。",
)
_ALREADY = Kind(
    "suppression_already",
    "この番号は、すでに登録されています（{reason}）。理由や期限を変えるときは、番号で検索して「変更」を押してください。",
)
_OVER = Kind("suppression_over", "この番号の登録は、すでに終わっています。送らないときは、もう一度登録してください。")


@dataclass(frozen=True, slots=True)
class Terms:
    """Why a number is on the list, the last day on which it is (None: without an end), and a clerk's own words."""

    reason: SuppressionReason
    last_day: dt.date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """A number that was put on the list: its row, how many SMS to it wait and won't leave, and how many are leaving."""

    id: int
    waiting: int
    leaving: int


def read_terms(reason: str, until: str, note: str, *, today: dt.date | None = None) -> Terms:
    """Read what was typed: a key of REASON_WORDS or its words, a date or nothing, a note or nothing. Raises Refused."""
    return Terms(read_reason(reason), read_last_day(until, today), read_note(note))


_BY_WORDS = {words: reason for reason, words in REASON_WORDS.items()} | {
    str(reason): reason for reason in SuppressionReason
}


def read_reason(typed: str) -> SuppressionReason:
    """Return the reason that was chosen, by its code or its words. Raises Refused."""
    if (reason := _BY_WORDS.get(typed.strip())) is None:
        raise Refused(_NO_REASON())
    return reason


def read_last_day(typed: str, today: dt.date | None = None) -> dt.date | None:
    """Return the last day that was typed, None for nothing. Raises Refused where it is over `today`, in Japan."""
    if not typed.strip():
        return None
    day = parse_date_ahead(typed.strip())
    if day < (today or datetime.now(TOKYO).date()):
        raise Refused(_PAST())
    return day


def read_note(typed: str) -> str:
    """Return a note without spaces around it. Raises Refused where it is long or holds a number."""
    note = typed.replace("\0", "").strip()
    if len(note) > LONGEST_NOTE:
        raise Refused(_LONG_NOTE(most=LONGEST_NOTE))
    if holds_card_number(note) or holds_mobile_number(note):
        raise Refused(_NUMBER_IN_NOTE())
    return note


def ends_at(last_day: dt.date | None) -> datetime | None:
    """Return the moment at which a number counts no more: the end of its last day in Japan."""
    if last_day is None:
        return None
    return datetime.combine(last_day + dt.timedelta(days=1), dt.time(), TOKYO).astimezone(UTC)


def last_day_of(entry: Suppression) -> dt.date | None:
    """Return the last day on which a number counts, None where it has no end."""
    return None if entry.until is None else (entry.until - dt.timedelta(microseconds=1)).astimezone(TOKYO).date()


def is_over(entry: Suppression) -> bool:
    """Return whether a number counts no more."""
    return entry.until is not None and entry.until <= datetime.now(UTC)


def find(phone: str) -> Suppression | None:
    """Return the entry of a number as typed, in the tenant's scope; None where it has none. Raises Refused."""
    index = vault.phone_index(_tenant_id(), to_e164(phone))
    return db.session.query(Suppression).filter_by(tenant_id=_tenant_id(), phone_index=index).one_or_none()


def entry_of(tenant_id: int, phone_index: bytes) -> Suppression | None:
    """Return the entry of a person's number that counts now; None where there is none."""
    entry = db.session.query(Suppression).filter_by(tenant_id=tenant_id, phone_index=phone_index).one_or_none()
    return None if entry is None or is_over(entry) else entry


def add(phone: str, terms: Terms, *, actor: str) -> Added:
    """Put a number as typed on the list, anew where it stood there before. Raises Refused. Commits."""
    return add_index(vault.phone_index(_tenant_id(), to_e164(phone)), terms, actor=actor)


def add_index(phone_index: bytes, terms: Terms, *, actor: str, detail: dict[str, object] | None = None) -> Added:
    """Put a number that is known by its index alone on the list, as `add` does; `detail` goes into the audit."""
    tenant_id = _tenant_id()
    added_id = put(db.session, phone_index, terms, actor=actor)
    if added_id is None:
        db.session.rollback()
        stands = db.session.query(Suppression).filter_by(tenant_id=tenant_id, phone_index=phone_index).one()
        raise Refused(_ALREADY(reason=REASON_WORDS[SuppressionReason(stands.reason)]))
    record(db.session, "add_suppression", added_id, terms, actor=actor, detail=detail)
    db.session.commit()
    row = db.session.execute(
        text("""
            SELECT count(*) FILTER (WHERE sms_state = 'queued') AS waiting,
                count(*) FILTER (WHERE sms_state = 'sending') AS leaving
            FROM recipient WHERE tenant_id = :tenant_id AND phone_index = :phone_index
        """),
        {"tenant_id": tenant_id, "phone_index": phone_index},
    ).one()
    return Added(added_id, row.waiting, row.leaving)


def put(executor: Executor, phone_index: bytes, terms: Terms, *, actor: str) -> int | None:
    """Put a number on the list in the caller's transaction; return its row's id, None where it counts already."""
    tenant_id = _tenant_id()
    added_id: int | None = executor.execute(
        text("""
            INSERT INTO suppression AS s (tenant_id, phone_index, reason, until, added_by)
            VALUES (:tenant_id, :phone_index, :reason, :until, :actor)
            ON CONFLICT (tenant_id, phone_index) DO UPDATE SET
                reason = excluded.reason, since = now(), until = excluded.until, added_by = excluded.added_by,
                note_sealed = NULL
            WHERE s.until <= now()
            RETURNING id
        """),
        {
            "tenant_id": tenant_id,
            "phone_index": phone_index,
            "reason": str(terms.reason),
            "until": ends_at(terms.last_day),
            "actor": actor,
        },
    ).scalar_one_or_none()
    if added_id is not None and terms.note:
        executor.execute(
            text("UPDATE suppression SET note_sealed = :note WHERE id = :id"),
            {"note": seal_note(tenant_id, phone_index, terms.note), "id": added_id},
        )
    return added_id


def change(entry_id: int, terms: Terms, *, actor: str) -> None:
    """Change why and until when a number is on the list. Raises Refused where that is over. Commits."""
    entry = _locked(entry_id)
    entry.reason, entry.until = str(terms.reason), ends_at(terms.last_day)
    entry.note_sealed = seal_note(entry.tenant_id, entry.phone_index, terms.note) if terms.note else None
    record(db.session, "change_suppression", entry_id, terms, actor=actor)
    db.session.commit()


def end(entry_id: int, *, actor: str) -> None:
    """Let a number be sent to again from now on. Raises Refused where it is already. Commits."""
    entry = _locked(entry_id)
    entry.until = datetime.now(UTC)
    audit.record(db.session, actor=actor, act="end_suppression", target=f"suppression:{entry_id}")
    db.session.commit()


def _locked(entry_id: int) -> Suppression:
    entry = db.session.get_one(Suppression, entry_id, with_for_update={"key_share": True}, populate_existing=True)
    if is_over(entry):
        db.session.rollback()
        raise Refused(_OVER())
    return entry


def record(
    executor: Executor,
    act: str,
    entry_id: int,
    terms: Terms,
    *,
    actor: str,
    detail: dict[str, object] | None = None,
) -> None:
    """Enter into the audit on which terms a number is on the list; its note, a clerk's own words, is left out."""
    told = {"reason": str(terms.reason), "until": str(terms.last_day) if terms.last_day else None, **(detail or {})}
    audit.record(executor, actor=actor, act=act, target=f"suppression:{entry_id}", detail=told)


def seal_note(tenant_id: int, phone_index: bytes, note: str) -> bytes:
    """Seal a note for its number's entry."""
    return vault.seal(note, _note_place(tenant_id, phone_index))


def open_note(entry: Suppression) -> str:
    """Return a number's note."""
    if entry.note_sealed is None:
        return ""
    return vault.open_text(entry.note_sealed, _note_place(entry.tenant_id, entry.phone_index))


def _note_place(tenant_id: int, phone_index: bytes) -> Place:
    """Return where a note is sealed: its number is its row's key, known before the row is there."""
    return Place(tenant_id, "suppression", "note_sealed", int.from_bytes(phone_index))


def _tenant_id() -> int:
    mine = tenancy.current().tenant_id
    assert mine is not None  # noqa: S101 - a list is a company's own: the platform has none
    return mine
