"""A test SMS to the clerk's own phone: the campaign's words as they will look there, and nobody's details.

In: a draft that passed the check, and a number the clerk types. Out: one SMS, at hours at which the campaign may be
sent, with a row and an audit entry of its own. It is the longest message of the list with each letter and figure of the
merge fields put as ○, so that a mistyped number learns nothing; its link leads to a page that says it is a test. Can't
happen here: a recipient counted, opened or locked by it; a second SMS by itself, whatever became of the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text

from app import audit, links, references
from app.accounts import abilities, for_sms
from app.campaigns import preflight_result, readiness, rendering, template
from app.campaigns.send_windows import describe, policy_of
from app.campaigns.sms_length import LIMIT, units
from app.delivery import rate_limit, send_context
from app.extensions import db, vault
from app.models import Campaign, Recipient, SmsAccount, TrialMessage
from app.problems import Kind, Problem, Refused
from app.providers.curl import perform
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Outcome, OutcomeKind, SmsMessage
from app.setback import beat, doubt, hold_reasons
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.states import locks
from app.states.vocabulary import CampaignState
from app.suppression import numbers
from app.tenants import sender_numbers
from app.values.japan_time import japan_minutes
from app.values.phones import mask, to_e164
from app.vault import Place

# whoever needs more is sending a campaign
MOST_A_DAY = 20

BUSY = "busy"
CLOSED = "closed"

# how long a clerk may wait for an account that sends at its rate, seconds
_RATE_WAIT_S = 10.0
_SHOWN = 5

_TOO_LONG = Kind("test_sms_too_long", "SMSが{limit}文字を超えるため、テスト送信できません。SMS本文を短くしてください。")
_LAUNCHED = Kind("test_sms_after_launch", "送信を始めた配信では、テスト送信はできません。")
_UNCHECKED = Kind(
    "test_sms_before_check",
    "先に「確認する」を押して、全件の文面を確かめてください。テスト送信はそのあとにできます。",
)
_CHECK_FAILED = Kind("test_sms_check_failed", "確認で見つかった問題を直してから、テスト送信をしてください。")
_OUTSIDE_HOURS = Kind(
    "test_sms_outside_hours", "いまは送信できる時間帯ではありません（{hours}）。{opens_at}から送れます。"
)
_NO_HOURS = Kind(
    "test_sms_no_hours", "いまは送信できる時間帯ではありません（{hours}）。送信時間帯と締切を見直してください。"
)
_TOO_MANY = Kind(
    "test_sms_too_many",
    "テスト送信は1つの配信につき24時間に{most}通までです。時間をおいてお試しください。",
)
_SUPPRESSED = Kind(
    "test_sms_suppressed",
    "この番号は「送信しない番号」に登録されているため、テスト送信もできません。ほかの番号に送るか、登録を確かめてください。",
)
_STATES = {
    OutcomeKind.ACCEPTED: "accepted",
    OutcomeKind.REFUSED: "undelivered",
    OutcomeKind.LATER: "undelivered",
    OutcomeKind.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class SentTestSms:
    """A test SMS as a screen shows it.

    `state` is sending, accepted, undelivered or unknown; `phone` is masked.
    """

    at: datetime
    phone: str
    state: str


def send_test_sms(campaign_id: int, phone: str, *, user_id: int, wait_s: float = _RATE_WAIT_S) -> str:
    """Send one SMS to a number as typed; return the state it came to.

    Raises Refused. Commits before the request.

    BUSY: the account's rate left no room for it within `wait_s`, and nothing was sent. CLOSED: nor was it, as the hours
    ended.
    """
    to = to_e164(phone)
    entry = numbers.find(to)
    campaign = locks.locked_campaign(campaign_id)
    found = _problems(campaign)
    if entry is not None and not numbers.is_over(entry):
        found.append(_SUPPRESSED())
    if found:
        db.session.rollback()
        raise Refused(*found)
    account = campaign.sms_account
    assert account is not None  # noqa: S101 - else there were a problem
    body = _body(campaign)
    if units(body) > LIMIT:
        db.session.rollback()
        raise Refused(_TOO_LONG(limit=LIMIT))
    row_id, reference = _write_down(campaign, account, to, user_id)
    policy = policy_of(campaign, campaign.tenant)
    provider, opened = PROVIDERS[account.provider], for_sms(account)
    able = provider.capabilities
    ends = send_context.ends_at(policy, datetime.now(UTC), able)
    until = ends and abilities.valid_until(able, ends)
    message = SmsMessage(to, body, reference, until, sender_numbers.for_request(account))
    account_id, rate, shared = account.id, abilities.rate_of(account), abilities.shared_rate_of(account)
    _commit()
    if rate_limit.may_leave(account_id, rate, wait_s, shared=shared):
        # as for every SMS: none starts whose answer could come after the hours
        answer = perform(
            provider.send(opened, message),
            may_send=lambda: send_context.ends_at(policy, datetime.now(UTC), able) is not None,
        )
        outcome = provider.outcome(answer)
        if outcome == Outcome(OutcomeKind.LATER, "held"):
            outcome = Outcome(OutcomeKind.LATER, CLOSED)
    else:
        outcome = Outcome(OutcomeKind.LATER, BUSY)
    if references.mismatch(reference, outcome.references):
        outcome = Outcome(OutcomeKind.UNKNOWN, "mismatch")
    row = db.session.get_one(TrialMessage, row_id)
    row.state, row.code, row.answered_at = _STATES[outcome.kind], outcome.code, datetime.now(UTC)
    db.session.commit()
    return outcome.code if outcome.code in {BUSY, CLOSED} else _STATES[outcome.kind]


def _commit() -> None:
    """Commit what lets the SMS leave. Raises Refused where the database was set back."""
    try:
        known = beat.listen()
        raised = beat.rise(db.session, known)
        db.session.commit()
        beat.tell(raised)
    except NothingMayLeave as stopped:
        db.session.rollback()
        doubt.hold_or_ask(stopped)
        raise Refused(hold_reasons.REFUSED()) from None
    except OutsideAway:
        db.session.rollback()
        raise Refused(hold_reasons.REFUSED()) from None


def latest(campaign: Campaign) -> Sequence[SentTestSms]:
    """Return the campaign's last test SMS, the latest first."""
    rows = db.session.scalars(
        select(TrialMessage)
        .where(TrialMessage.campaign_id == campaign.id)
        .order_by(TrialMessage.id.desc())
        .limit(_SHOWN)
    )
    return [
        SentTestSms(row.created_at, mask(vault.open_text(row.phone_sealed, _place(row))), row.state) for row in rows
    ]


def _problems(campaign: Campaign) -> list[Problem]:
    if campaign.state not in {CampaignState.DRAFT, CampaignState.SCHEDULED}:
        return [_LAUNCHED()]
    checked = preflight_result.current(campaign)
    if checked is None:
        return [_UNCHECKED()]
    if checked.problems:
        # a text that may not be sent to anybody isn't sent to the clerk
        return [_CHECK_FAILED(), *checked.problems]
    found = readiness.missing_contract(campaign) + readiness.missing_to_send(campaign)
    now = datetime.now(UTC)
    # a number typed wrong is somebody's who sleeps at night
    policy = policy_of(campaign, campaign.tenant)
    if not policy.open_at(now):
        opens, hours = policy.next_opening(now), describe(policy)
        found.append(_OUTSIDE_HOURS(hours=hours, opens_at=japan_minutes(opens)) if opens else _NO_HOURS(hours=hours))
    sent = db.session.scalar(
        select(func.count()).where(
            TrialMessage.campaign_id == campaign.id, TrialMessage.created_at > now - timedelta(days=1)
        )
    )
    if (sent or 0) >= MOST_A_DAY:
        found.append(_TOO_MANY(most=MOST_A_DAY))
    return found


def _body(campaign: Campaign) -> str:
    """Write the longest message of the list, without its details and its link; a standing one's has a ○ a field."""
    if campaign.standing:  # nobody has come yet
        shown = dict.fromkeys(template.fields_in(campaign.sms_text), "○")
        return rendering.sms_text(campaign.sms_text, campaign.tenant.name, shown, links.trial_address())
    checked = preflight_result.last(campaign)
    person = db.session.get_one(Recipient, checked.longest_recipient_id if checked else None)
    fields = rendering.open_fields(person.tenant_id, person.id, person.fields_sealed)
    hidden = {name: "".join("○" if char.isalnum() else char for char in value) for name, value in fields.items()}
    return rendering.sms_text(campaign.sms_text, campaign.tenant.name, hidden, links.trial_address())


def _write_down(campaign: Campaign, account: SmsAccount, to: str, user_id: int) -> tuple[int, str]:
    row_id = int(db.session.execute(text("SELECT nextval(pg_get_serial_sequence('trial_message', 'id'))")).scalar_one())
    reference = references.test_sms(row_id)
    row = TrialMessage(
        id=row_id,
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.id,
        sms_account_id=account.id,
        reference=reference,
        created_by=user_id,
    )
    row.phone_sealed = vault.seal(to, _place(row))
    db.session.add(row)
    audit.record(
        db.session, actor=f"user:{user_id}", act="trial", target=f"campaign:{campaign.id}", detail={"trial": row_id}
    )
    return row_id, reference


def _place(row: TrialMessage) -> Place:
    return Place(row.tenant_id, "trial_message", "phone_sealed", row.id)
