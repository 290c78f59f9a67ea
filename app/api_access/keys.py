"""Keys of the API: drawn, shown once, kept as a digest, taken back.

In: the name of a system, what it may do, until when. Out: the key's text, once. Can't happen here: a key that can be
read in the database (256 random bits have no shorter way back from their SHA-256); a third key of one name while two
live; one that is made by anybody but a manager.
"""

import re
import secrets
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import ColumnElement, and_, func, or_, select

from app import audit, tenancy
from app.extensions import db
from app.models import ApiKey
from app.problems import Kind, Problem, Refused
from app.values.japan_time import TOKYO

MOST_NAME = 60
MOST_ALIVE = 20
_ALIVE_OF_A_NAME = 2

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_CHARS, _SECRET_CHARS, _CHECK_CHARS = 12, 44, 6
_SECRET_BITS = 256
_WRITTEN = re.compile(
    rf"(tdk_(live|test)_([{_ALPHABET}]{{{_ID_CHARS}}})_[{_ALPHABET}]{{{_SECRET_CHARS}}})([{_ALPHABET}]{{{_CHECK_CHARS}}})"
)

_NO_NAME = Kind("api_key_name_missing", "このキーを使うシステムの名前を入力してください。")
_LONG_NAME = Kind("api_key_name_too_long", "システムの名前が長すぎます。{most}文字以内で入力してください。")
_NO_SCOPE = Kind("api_key_scope_missing", "このキーでできることを、1つ以上選んでください。")
_PAST = Kind("api_key_expiry_past", "キーの期限が過去の日付です。今日以降の日付を入力するか、空にしてください。")
_TWO_ALIVE = Kind(
    "api_key_two_alive",
    "「{name}」には、使えるキーがすでに{most}つあります。使わなくなったほうを無効にしてから作ってください。",
)
_TOO_MANY = Kind("api_key_too_many", "使えるキーは{most}個までです。使わないキーを無効にしてから作ってください。")
_GONE = Kind("api_key_gone", "このキーは見つからないか、すでに無効です。一覧を開き直してください。")


class Scope(StrEnum):
    """The things that a key may do."""

    SEND = "send"
    READ = "read"
    READ_PERSONAL = "read-personal"
    PAY = "pay"
    MANAGE = "manage"


SCOPE_WORDS: Mapping[Scope, str] = {
    Scope.READ: "状態を読む（個人情報は含みません）",
    Scope.SEND: "配信を作成し、送信する",
    Scope.MANAGE: "一時停止・再開・取消、リンクの無効化",
    Scope.PAY: "消込と、その取消",
    Scope.READ_PERSONAL: "電話番号を読む",
}
MODE_WORDS: Mapping[str, str] = {"live": "本番用", "test": "試験用"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A key that was drawn: `text` is shown once, then gone."""

    public_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """A key as it was sent, read: its own id, and its digest."""

    public_id: str
    digest: bytes


def draw(mode: str) -> Drawn:
    """Draw a key of 256 random bits; its last letters check the others."""
    public_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
    body = f"tdk_{mode}_{public_id}_{_in_letters(secrets.randbits(_SECRET_BITS), _SECRET_CHARS)}"
    return Drawn(public_id, body + _check(body))


def read(text: str) -> Written | None:
    """Read a key; None for what is no key of ours, such as one with a letter lost on the way."""
    match = _WRITTEN.fullmatch(text)
    if match is None or _check(match[1]) != match[4]:
        return None
    return Written(match[3], digest(text))


def digest(text: str) -> bytes:
    """Return what is kept of a key."""
    return sha256(text.encode()).digest()


def _check(body: str) -> str:
    return _in_letters(zlib.crc32(body.encode()), _CHECK_CHARS)


def _in_letters(number: int, count: int) -> str:
    letters = []
    for _ in range(count):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


def alive() -> ColumnElement[bool]:
    """Return the condition that a key is neither taken back nor over."""
    return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))


def is_over(row: ApiKey) -> bool:
    """Return whether a key's last day has passed."""
    return row.expires_at is not None and row.expires_at <= datetime.now(UTC)


def create(
    name: str, mode: str, scopes: Collection[Scope], *, last_day: date | None, user_id: int
) -> tuple[ApiKey, str]:
    """Make a key of the tenant in scope; return its row and its text, which is kept nowhere.

    `last_day` is the last day on which it works, in Japan. Raises Refused. Commits.
    """
    name = " ".join(name.split())
    found = _faults(name, scopes, last_day)
    tenant_id = tenancy.current().tenant_id
    # of two who press at once one waits here
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"api_key:{tenant_id}", 0))))
    living = select(ApiKey.name, ApiKey.mode).where(ApiKey.tenant_id == tenant_id, alive())
    others = [tuple(row) for row in db.session.execute(living)]
    if others.count((name, mode)) >= _ALIVE_OF_A_NAME:
        found.append(_TWO_ALIVE(name=name, most=_ALIVE_OF_A_NAME))
    elif len(others) >= MOST_ALIVE:
        found.append(_TOO_MANY(most=MOST_ALIVE))
    if found:
        db.session.rollback()
        raise Refused(*found)
    drawn = draw(mode)
    row = ApiKey(
        tenant_id=tenant_id,
        public_id=drawn.public_id,
        digest=digest(drawn.text),
        name=name,
        mode=mode,
        scopes=sorted(str(scope) for scope in set(scopes)),
        created_by=user_id,
        expires_at=None if last_day is None else _end_of(last_day),
    )
    db.session.add(row)
    db.session.flush()
    _record("create_api_key", row, user_id)
    return row, drawn.text


def _faults(name: str, scopes: Collection[Scope], last_day: date | None) -> list[Problem]:
    found: list[Problem] = []
    if not name:
        found.append(_NO_NAME())
    if len(name) > MOST_NAME:
        found.append(_LONG_NAME(most=MOST_NAME))
    if not scopes:
        found.append(_NO_SCOPE())
    if last_day is not None and last_day < datetime.now(TOKYO).date():
        found.append(_PAST())
    return found


def revoke(key_id: int, *, user_id: int) -> None:
    """Take a key back, from the next request on. Raises Refused. Commits."""
    row = db.session.get(ApiKey, key_id, with_for_update=True)
    if row is None or row.revoked_at is not None:
        db.session.rollback()
        raise Refused(_GONE())
    row.revoked_at = datetime.now(UTC)
    _record("revoke_api_key", row, user_id)


def _record(act: str, row: ApiKey, user_id: int) -> None:
    detail = {"key": row.public_id, "scopes": list(row.scopes)}
    audit.record(db.session, actor=f"user:{user_id}", act=act, target=f"api_key:{row.id}", detail=detail)
    db.session.commit()


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), TOKYO).astimezone(UTC)
