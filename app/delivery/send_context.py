"""The context that a campaign's messages share: texts, link, account, and the provider's adapter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select

from app import links
from app.accounts import Unusable, abilities, contracts, for_sms
from app.accounts.contracts import Contract
from app.accounts.shared import SharedRate
from app.campaigns import preflight_result, rendering
from app.campaigns.send_windows import Policy, policy_of
from app.campaigns.sms_length import LIMIT, units
from app.campaigns.template import MissingField
from app.delivery.claims import Claim
from app.extensions import db
from app.models import Campaign, SmsAccount
from app.providers.http import Request
from app.providers.sms import PROVIDERS, base
from app.tenants import sender_numbers


class Unsendable(Exception):  # noqa: N818 - it says what the message is
    """A message that can't be written as one SMS; `args[0]` is the code."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account opened for use, with its adapter.

    `rate_per_s` is how many messages may leave in any second; `shared` is the rate that an allotment shares with
    other companies.

    `contract` is None where it was opened for questions that any contract's answer settles.
    """

    id: int
    provider: base.SmsProvider
    opened: base.SmsAccess
    rate_per_s: int | None
    contract: Contract | None = None
    shared: SharedRate | None = None

    @property
    def contract_id(self) -> int | None:
        """The row of the contract that its attempts refer to."""
        return self.contract.id if self.contract else None


@dataclass(frozen=True, slots=True)
class Route:
    """A campaign's content, frozen since its launch, the account it is sent through, and when and how much may leave.

    `daily_cap` is the company's, messages on a day of Japan's calendar. Its account may be one that `stands_in`
    for the campaign's own. One that `probes` is for a single message, to
    see whether an account takes any (`app.delivery.failover`).
    """

    tenant_id: int
    company: str
    sms_text: str
    validity: Mapping[str, object]
    account: Account
    policy: Policy
    daily_cap: int | None
    stands_in: bool = False
    probes: bool = False
    # the sender that requests name, where the service takes one
    sender: str | None = None


def opens_at(route: Route, at: datetime) -> datetime | None:
    """Return when a request for an SMS of this campaign may start, `at` or later.

    None: never again, because the deadline is over by then or the link: an SMS with a dead link is worse than none.
    """
    opening = route.policy.next_opening(at)
    while opening is not None:
        if links.expiry(route.validity, opening) <= opening + abilities.lead_time(route.account.provider.capabilities):
            return None
        if closes_at(route, opening) is not None:
            return opening
        opening = route.policy.next_opening(route.policy.ends_at(opening) or opening)
    return None


def closes_at(route: Route, at: datetime) -> datetime | None:
    """Return until when an SMS that is asked for at `at` may arrive: the hours end, or the link does.

    None: it may not, or it could come after that.
    """
    able = route.account.provider.capabilities
    closes = ends_at(route.policy, at, able)
    until = route.validity["link_until"]
    if closes is None or not isinstance(until, datetime):
        return closes
    return min(closes, until) if at + abilities.lead_time(able) < until else None


def ends_at(policy: Policy, at: datetime, able: base.Capabilities) -> datetime | None:
    """Return when the hours end in which a request starts at `at`; None where the SMS could come after that."""
    ends = policy.ends_at(at)
    return ends if ends is not None and at + abilities.lead_time(able) < ends else None


def account(account_id: int) -> Account:
    """Open an account for look-ups. Raises Unusable. Ends the session's transaction."""
    row = db.session.get_one(SmsAccount, account_id)
    found = _opened(row)
    db.session.rollback()
    return found


def account_with_contract(account_id: int) -> Account:
    """Open an account with its contract, to prove absence.

    Raises Unusable, CannotOpen. Ends the transaction.
    """
    row = db.session.get_one(SmsAccount, account_id)
    found = replace(_opened(row), contract=contracts.keep(row))
    db.session.rollback()
    return found


def route(campaign_id: int, *, probes: bool = False) -> Route:
    """Open a campaign for sending. Raises Unusable. Ends the session's transaction.

    It goes by the account that stands in for its own one, if any does, unless it `probes` that.
    """
    row = db.session.execute(select(Campaign).where(Campaign.id == campaign_id)).scalar_one()
    by = row.sms_account if probes else row.standby_account or row.sms_account
    if by is None or not by.active:
        raise Unusable(f"campaign {campaign_id} has no active sms_account")
    try:
        policy = policy_of(row, row.tenant)
    except ValueError:  # who can't read the hours must not send at any
        raise Unusable(f"campaign {campaign_id} has a send window that can't be read") from None
    found = Route(
        tenant_id=row.tenant_id,
        company=preflight_result.company(row),
        sms_text=row.sms_text,
        validity={"link_until": row.link_until, "link_minutes": row.link_minutes},
        account=replace(_opened(by), contract=contracts.keep(by)),
        policy=policy,
        daily_cap=row.tenant.daily_cap,
        stands_in=row.standby_account_id is not None and not probes,
        probes=probes,
        sender=sender_numbers.for_request(by),
    )
    db.session.rollback()
    return found


def _opened(row: SmsAccount) -> Account:
    provider = PROVIDERS[row.provider]
    if not abilities.carries(provider.capabilities, LIMIT):
        raise Unusable(f"{row.provider} can't carry an SMS of ours")
    return Account(row.id, provider, for_sms(row), abilities.rate_of(row), shared=abilities.shared_rate_of(row))


def request(route: Route, claim: Claim, closes: datetime) -> Request:
    """Write the request of one message. Raises Unsendable, CannotOpen.

    It may arrive until `closes`, or until its link ends where that is earlier.

    The check before the launch rendered every row; what it would have refused is refused here too, and never split.
    """
    fields = rendering.open_fields(route.tenant_id, claim.recipient_id, claim.fields_sealed)
    link = links.address(claim.recipient_id, claim.generation, claim.secret)
    try:
        words = route.sms_text if claim.sms_text is None else claim.sms_text
        body = rendering.sms_text(words, route.company, fields, link)
    except MissingField:
        raise Unsendable("missing_field") from None
    if units(body) > LIMIT:
        raise Unsendable("too_long")
    to = rendering.open_phone(route.tenant_id, claim.recipient_id, claim.phone_sealed)
    until = abilities.valid_until(route.account.provider.capabilities, min(closes, claim.link_expires_at or closes))
    message = base.SmsMessage(to, body, claim.reference, until, route.sender)
    try:
        return route.account.provider.send(route.account.opened, message)
    except ValueError:
        raise Unsendable("bad_number") from None
