"""The vocabulary of states and the allowed moves.

Screens, CSV, API and webhooks take their words from here.

Three tracks per recipient (sms, page, payment), one for campaigns and one for tenants; one each for an attempt to pay,
for money recorded by hand, for an import, for an export and for a sender number. `moves` names for each state the
states it may leave to; a move that is not named can't happen (see `app.states.transitions`). The database refuses it
too (triggers of migrations 0046, 0050 and 0052): a change of the moves needs a migration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class SmsState(StrEnum):
    """Where a person's SMS stands."""

    DRAFT = "draft"
    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PageState(StrEnum):
    """Where a person stands with the page."""

    UNOPENED = "unopened"
    OPENED = "opened"
    VERIFIED = "verified"
    VIEWED = "viewed"
    LOCKED = "locked"
    EXPIRED = "expired"
    REVOKED = "revoked"


class PaymentState(StrEnum):
    """Where a person's payment stands."""

    NONE = "none"
    UNPAID = "unpaid"
    STARTED = "started"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class PaymentAttemptState(StrEnum):
    """Where one attempt of a person to pay stands (`payment.state`)."""

    STARTED = "started"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class CampaignState(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    APPROVAL = "approval"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class TenantState(StrEnum):
    """Where a tenant's contract stands."""

    REVIEW = "review"
    TRIAL = "trial"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class ImportState(StrEnum):
    """Where an uploaded list stands."""

    MAPPING = "mapping"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ExportState(StrEnum):
    """Where a file for managers stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class SenderState(StrEnum):
    """Where a sender number stands with a carrier."""

    APPLIED = "applied"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETIRED = "retired"


@dataclass(frozen=True)
class Track:
    """One vocabulary: its states with their Japanese words, and from which state a state may be entered."""

    name: str
    label: str
    words: Mapping[StrEnum, str]
    moves: Mapping[StrEnum, frozenset[StrEnum]]

    def sources(self, to: StrEnum) -> list[str]:
        """Name the states from which `to` may be entered, as stored."""
        return sorted(str(source) for source, targets in self.moves.items() if to in targets)


def _moves(table: Mapping[StrEnum, set[StrEnum]]) -> dict[StrEnum, frozenset[StrEnum]]:
    return {source: frozenset(targets) for source, targets in table.items()}


_S = SmsState
SMS = Track(
    "sms",
    "SMS",
    {
        _S.DRAFT: "未送信",
        _S.QUEUED: "送信待ち",
        _S.SENDING: "送信中",
        _S.ACCEPTED: "受付済",
        _S.DELIVERED: "到達",
        _S.UNDELIVERED: "不達",
        _S.UNKNOWN: "照会中",
        _S.CANCELLED: "取消",
        _S.EXPIRED: "期限切れ",
    },
    _moves(
        {
            _S.DRAFT: {_S.QUEUED, _S.CANCELLED},
            # delivered: a late receipt of an earlier attempt; who got the SMS needs no other. This and the last two
            # also: as it was before, for whom another SMS does not leave after all
            _S.QUEUED: {_S.SENDING, _S.CANCELLED, _S.EXPIRED, _S.DELIVERED, _S.UNDELIVERED, _S.ACCEPTED},
            # a refusal is undelivered; "try later" goes back to queued; a receipt may come before our own response
            _S.SENDING: {_S.ACCEPTED, _S.UNDELIVERED, _S.UNKNOWN, _S.QUEUED, _S.DELIVERED, _S.CANCELLED},
            _S.ACCEPTED: {_S.DELIVERED, _S.UNDELIVERED, _S.UNKNOWN, _S.QUEUED, _S.CANCELLED},
            _S.UNKNOWN: {_S.ACCEPTED, _S.DELIVERED, _S.UNDELIVERED, _S.QUEUED, _S.CANCELLED, _S.EXPIRED},
            # a late receipt outranks an earlier "undelivered"; sending again to the undelivered is a person's act
            _S.UNDELIVERED: {_S.DELIVERED, _S.QUEUED},
            # a reminder to someone it reached already
            _S.DELIVERED: {_S.QUEUED},
            # people who got no SMS because they had paid, which was a mistake in the books; and here too a late receipt
            # of an SMS that arrived after all outranks what we believed
            _S.CANCELLED: {_S.QUEUED, _S.DELIVERED},
            _S.EXPIRED: {_S.DELIVERED},
        }
    ),
)

_P = PageState
PAGE = Track(
    "page",
    "ページ",
    {
        _P.UNOPENED: "未開封",
        _P.OPENED: "開封",
        _P.VERIFIED: "認証済",
        _P.VIEWED: "閲覧済",
        _P.LOCKED: "ロック",
        _P.EXPIRED: "失効",
        _P.REVOKED: "無効",
    },
    _moves(
        {
            _P.UNOPENED: {_P.OPENED, _P.EXPIRED, _P.REVOKED},
            _P.OPENED: {_P.VERIFIED, _P.LOCKED, _P.EXPIRED, _P.REVOKED},
            _P.VERIFIED: {_P.VIEWED, _P.LOCKED, _P.EXPIRED, _P.REVOKED},
            _P.VIEWED: {_P.LOCKED, _P.REVOKED},
            _P.LOCKED: {_P.OPENED, _P.REVOKED},
            _P.EXPIRED: {_P.UNOPENED, _P.REVOKED},
            _P.REVOKED: {_P.UNOPENED},
        }
    ),
)

_M = PaymentState
PAYMENT = Track(
    "payment",
    "支払",
    {
        _M.NONE: "対象外",
        _M.UNPAID: "未払い",
        _M.STARTED: "手続中",
        _M.PENDING: "入金待ち",
        _M.PAID: "支払済",
        _M.FAILED: "失敗",
        _M.EXPIRED: "期限切れ",
        _M.CANCELLED: "取消",
        _M.REFUNDED: "返金済",
    },
    _moves(
        {
            _M.NONE: set(),
            _M.UNPAID: {_M.STARTED, _M.PAID, _M.CANCELLED},
            _M.STARTED: {_M.PENDING, _M.PAID, _M.FAILED, _M.EXPIRED, _M.CANCELLED},
            _M.PENDING: {_M.PAID, _M.FAILED, _M.EXPIRED, _M.CANCELLED},
            # the person may try again; money that comes late is still money
            _M.FAILED: {_M.STARTED, _M.PENDING, _M.PAID, _M.CANCELLED},
            _M.EXPIRED: {_M.STARTED, _M.PENDING, _M.PAID, _M.CANCELLED},
            _M.CANCELLED: {_M.STARTED, _M.PAID},
            # unpaid: a person takes back what was recorded by hand (消込)
            _M.PAID: {_M.REFUNDED, _M.UNPAID},
            # another attempt's money, after the first one's was given back
            _M.REFUNDED: {_M.PAID},
        }
    ),
)

_A = PaymentAttemptState
PAYMENT_ATTEMPT = Track(
    "payment_attempt",
    "支払い手続き",
    {state: PAYMENT.words[PaymentState(state)] for state in PaymentAttemptState},
    _moves(
        {
            _A.STARTED: {_A.PENDING, _A.PAID, _A.FAILED, _A.EXPIRED, _A.CANCELLED},
            _A.PENDING: {_A.PAID, _A.FAILED, _A.EXPIRED, _A.CANCELLED},
            # money that comes late is still money, and a provider may tell later what became of what we gave up
            _A.FAILED: {_A.PENDING, _A.PAID, _A.CANCELLED},
            _A.EXPIRED: {_A.PENDING, _A.PAID, _A.CANCELLED},
            _A.CANCELLED: {_A.PAID},
            _A.PAID: {_A.REFUNDED},
            # a refund that failed after all: the money came back to the company
            _A.REFUNDED: {_A.PAID},
        }
    ),
)
# Money that came another way (消込) is a payment without an account: recorded as paid, taken back where it was wrong.
PAYMENT_BY_HAND = Track(
    "payment_by_hand",
    "消込",
    {state: PAYMENT_ATTEMPT.words[state] for state in (_A.PAID, _A.CANCELLED)},
    _moves({_A.PAID: {_A.CANCELLED}, _A.CANCELLED: set()}),
)

_C = CampaignState
CAMPAIGN = Track(
    "campaign",
    "配信",
    {
        _C.DRAFT: "下書き",
        _C.APPROVAL: "承認待ち",
        _C.SCHEDULED: "予約",
        _C.SENDING: "送信中",
        _C.PAUSED: "一時停止",
        _C.COMPLETED: "完了",
        _C.CANCELLED: "取消",
    },
    _moves(
        {
            _C.DRAFT: {_C.APPROVAL, _C.SCHEDULED, _C.SENDING, _C.CANCELLED},
            _C.APPROVAL: {_C.DRAFT, _C.SCHEDULED, _C.SENDING, _C.CANCELLED},
            _C.SCHEDULED: {_C.DRAFT, _C.SENDING, _C.CANCELLED},
            _C.SENDING: {_C.PAUSED, _C.COMPLETED, _C.CANCELLED},
            _C.PAUSED: {_C.SENDING, _C.CANCELLED},
            # sending again to the undelivered wakes it. Paused or cancelled it is only while something of it leaves by
            # itself yet, the retries that are planned (`app.campaigns.lifecycle`)
            _C.COMPLETED: {_C.SENDING, _C.PAUSED, _C.CANCELLED},
            _C.CANCELLED: set(),
        }
    ),
)

_T = TenantState
TENANT = Track(
    "tenant",
    "契約",
    {_T.REVIEW: "審査中", _T.TRIAL: "試用", _T.ACTIVE: "利用中", _T.SUSPENDED: "停止"},
    _moves(
        {
            _T.REVIEW: {_T.TRIAL, _T.ACTIVE, _T.SUSPENDED},
            _T.TRIAL: {_T.ACTIVE, _T.SUSPENDED},
            _T.ACTIVE: {_T.SUSPENDED},
            _T.SUSPENDED: {_T.TRIAL, _T.ACTIVE},
        }
    ),
)

_I = ImportState
IMPORT = Track(
    "import",
    "取込",
    {
        _I.MAPPING: "列の確認待ち",
        _I.QUEUED: "取込待ち",
        _I.RUNNING: "取込中",
        _I.DONE: "完了",
        _I.FAILED: "失敗",
        _I.CANCELLED: "取消",
    },
    _moves(
        {
            # failed: a workbook that turns out to be unreadable further down
            _I.MAPPING: {_I.QUEUED, _I.FAILED, _I.CANCELLED},
            _I.QUEUED: {_I.RUNNING, _I.CANCELLED},
            # begun anew after its worker died
            _I.RUNNING: {_I.RUNNING, _I.DONE, _I.FAILED, _I.CANCELLED},
            # a list that is taken back before the launch
            _I.DONE: {_I.CANCELLED},
            _I.FAILED: set(),
            _I.CANCELLED: set(),
        }
    ),
)

_E = ExportState
EXPORT = Track(
    "export",
    "書き出し",
    {
        _E.QUEUED: "作成待ち",
        _E.RUNNING: "作成中",
        _E.DONE: "完成",
        _E.FAILED: "失敗",
        _E.CANCELLED: "取消",
        _E.EXPIRED: "期限切れ",
    },
    _moves(
        {
            _E.QUEUED: {_E.RUNNING, _E.CANCELLED},
            # begun anew after its worker died
            _E.RUNNING: {_E.RUNNING, _E.DONE, _E.FAILED, _E.CANCELLED},
            # cancelled: thrown away by hand before its time was over
            _E.DONE: {_E.EXPIRED, _E.CANCELLED},
            _E.FAILED: set(),
            _E.CANCELLED: set(),
            _E.EXPIRED: set(),
        }
    ),
)

_N = SenderState
SENDER = Track(
    "sender_number",
    "送信元番号",
    {_N.APPLIED: "申請中", _N.APPROVED: "承認", _N.REJECTED: "却下", _N.RETIRED: "廃止"},
    _moves(
        {
            # retired: an application that is taken back
            _N.APPLIED: {_N.APPROVED, _N.REJECTED, _N.RETIRED},
            # rejected: a carrier takes its approval back
            _N.APPROVED: {_N.REJECTED, _N.RETIRED},
            _N.REJECTED: {_N.APPLIED, _N.RETIRED},
            # a number that comes into use again is another row: nobody approved it since
            _N.RETIRED: set(),
        }
    ),
)

# Networks as providers name them, and their names on screens and in files.
CARRIERS: Mapping[str, str] = {"docomo": "ドコモ", "au": "au", "softbank": "ソフトバンク", "rakuten": "楽天モバイル"}
# With whom a sender number stands: all four share the common short codes (0005…).
ALL_CARRIERS = "all"
SENDER_CARRIERS: Mapping[str, str] = {ALL_CARRIERS: "4社共通", **CARRIERS}

TRACKS: Mapping[str, Track] = {
    track.name: track
    for track in (SMS, PAGE, PAYMENT, PAYMENT_ATTEMPT, PAYMENT_BY_HAND, CAMPAIGN, TENANT, IMPORT, EXPORT, SENDER)
}
