"""The columns that a status file can hold: ours, each with the SQL that gives its cell as text, and a list's own.

A column is named by a key: ours by a word of this table, one of a list's own by `+` and its name there. `*` stands for
all of a list's columns that aren't named beside it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from app.campaigns import template
from app.intake.columns.mapping import OF_LIST
from app.states import result_codes
from app.states.vocabulary import CARRIERS, PAGE, PAYMENT, SMS

OWN = "+"
REST = "*"
REST_WORDS = "（名簿のほかの列）"
PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Column:
    """One of our columns: `plain` cells can't begin like a formula, those of a `number` are whole numbers or empty.

    `said` turns what the SQL gives into words.
    """

    key: str
    word: str
    sql: str
    plain: bool = True
    number: bool = False
    said: Callable[[str], str] | None = None


def _words(column: str, words: "Collection[tuple[str, str]]") -> str:
    cases = " ".join(f"WHEN '{state}' THEN '{word}'" for state, word in words)
    return f"CASE r.{column} {cases} ELSE r.{column} END"


def _time(column: str) -> str:
    return f"coalesce(to_char(r.{column} AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS'), '')"


# facts about a payment (p) beside its state, in the words of the office's screens
_REMARKS = """
    CASE WHEN p.problem <> '' THEN '要確認' END,
    CASE p.dispute WHEN 'lost' THEN 'チャージバック成立' WHEN 'open' THEN 'チャージバックの結果待ち' END,
    CASE WHEN p.state = 'paid' AND p.refunded_yen > 0 THEN '一部返金' END
"""
_PAYMENT_REMARKS = f"""
    CASE WHEN r.payment_state = 'none' THEN '' ELSE coalesce((
        SELECT string_agg(DISTINCT remark, '・') FROM payment p, unnest(ARRAY[{_REMARKS}]) AS told (remark)
        WHERE p.recipient_id = r.id
    ), '') END
"""  # noqa: S608 - our own words

COLUMNS: tuple[Column, ...] = (
    Column("reference", "管理番号", "r.reference", plain=False),
    Column(PHONE, "送信先電話番号", "''"),
    *(
        Column(
            f"{track.name}_state", word, _words(f"{track.name}_state", [(str(k), v) for k, v in track.words.items()])
        )
        for track, word in ((SMS, "SMS状態"), (PAGE, "ページ状態"), (PAYMENT, "支払状態"))
    ),
    Column("payment_remarks", "支払の注意", _PAYMENT_REMARKS),
    Column("amount_yen", "金額（円）", "coalesce(r.amount_yen::text, '')", number=True),
    Column("carrier", "携帯会社", _words("carrier", list(CARRIERS.items()))),
    Column("sms_reason", "SMS結果の理由", "r.sms_code", plain=False, said=lru_cache(1024)(result_codes.words)),
    Column("sms_code", "SMS結果コード", "r.sms_code", plain=False),
    *(
        Column(column, word, _time(column))
        for word, column in (
            ("送信待ち日時", "queued_at"),
            ("送信日時", "sent_at"),
            ("受付日時", "accepted_at"),
            ("到達日時", "delivered_at"),
            ("不達日時", "undelivered_at"),
            ("開封日時", "opened_at"),
            ("認証日時", "verified_at"),
            ("閲覧日時", "viewed_at"),
            ("ロック日時", "locked_at"),
            ("支払手続日時", "pay_started_at"),
            ("入金待ち日時", "pay_pending_at"),
            ("支払日時", "paid_at"),
            ("リンク有効期限", "link_expires_at"),
        )
    ),
    Column("due_date", "支払期限", "coalesce(to_char(r.due_date, 'YYYY-MM-DD'), '')"),
    Column("campaign", "配信", "(SELECT c.name FROM campaign c WHERE c.id = r.campaign_id)", plain=False),
)
_BY_KEY = {column.key: column for column in COLUMNS}
_BY_WORD = {column.word: column.key for column in COLUMNS}

# columns of a file when nobody chose: of one campaign, and of all
USUAL: tuple[str, ...] = (*[column.key for column in COLUMNS if column.key not in {"due_date", "campaign"}], REST)
USUAL_OF_ALL: tuple[str, ...] = ("campaign", *USUAL[:-1])


def resolve(keys: Sequence[str], own: Sequence[str]) -> list[Column]:
    """Return the columns of a file whose list brought the columns `own`; ours that are gone and doubles are left out.

    One of the list's that is called like one of ours gets （名簿） behind its name: a file names no column twice.
    """
    named = {key.removeprefix(OWN) for key in keys if key.startswith(OWN)}
    rest = [f"{OWN}{name}" for name in own if name not in named]
    found: dict[str, Column] = {}
    for key in [key for item in keys for key in (rest if item == REST else [item])]:
        if key.startswith(OWN):
            name = key.removeprefix(OWN)
            found.setdefault(key, Column(key, name, "''", plain=False))
        elif key in _BY_KEY:
            found.setdefault(key, _BY_KEY[key])
    taken = {template.key(column.word) for key, column in found.items() if not key.startswith(OWN)}
    return [_named_apart(column, taken) if column.key.startswith(OWN) else column for column in found.values()]


def _named_apart(column: Column, taken: set[str]) -> Column:
    word = column.word
    while template.key(word) in taken:  # as columns meet when the file is uploaded again
        word += OF_LIST
    taken.add(template.key(word))
    return column if word == column.word else replace(column, word=word)


def word_of(key: str) -> str:
    """Return the word by which people name a column."""
    if key == REST:
        return REST_WORDS
    return key.removeprefix(OWN) if key.startswith(OWN) else _BY_KEY[key].word if key in _BY_KEY else key


def is_own(key: str) -> bool:
    """Return whether a column is one of the list's."""
    return key.startswith(OWN)


def key_of(word: str) -> str:
    """Return the column that people name by a word: ours, or one of the list's."""
    return REST if word == REST_WORDS else _BY_WORD.get(word) or f"{OWN}{word}"
