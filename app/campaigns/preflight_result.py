"""The result of the check before sending, kept with the campaign and bound to its content by a digest.

Whatever changes afterwards makes it void, and only what was checked can be launched. `app.campaigns.preflight` checks.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import Any, Self

from app.accounts import sms_contract
from app.campaigns.short_forms import Offer
from app.models import Campaign, SmsAccount
from app.problems import Problem
from app.tenants import sender_numbers


@dataclass(slots=True)
class NamedRow:
    """A person of whom something is told: where in the list they stand, and whether nothing can be sent to them so."""

    id: int
    where: str
    told: list[str] = field(default_factory=list)
    stops: bool = False


@dataclass(slots=True)
class Preflight:
    """The findings of the check.

    `problems` stop the launch, `warnings` don't; both are for the clerk's eyes.

    `company` is the company's name as it was checked: a later one may be longer than the SMS has room for. `numbers`
    are the different phone numbers of its `people`, 0 for a check made before they were counted; `suppressed` counts
    those whose number the company sends nothing to. `rows` name the first people of whom something is told, those first
    who keep it from being sent.
    `columns` gives the longest cell of each of the list's columns, in UTF-16 units, where every row has the column: a
    reminder's text is measured by it. `short_forms` are those that would make every SMS fit.
    """

    digest: str
    company: str = ""
    at: str = ""
    people: int = 0
    numbers: int = 0
    suppressed: int = 0
    longest_units: int = 0
    longest_recipient_id: int | None = None
    first_recipient_id: int | None = None
    too_long: int = 0
    short_forms: list[Offer] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    rows: list[NamedRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read a check as `to_json` wrote it, today or before an upgrade: fields may be missing, or no longer known."""
        known = {item.name for item in fields(cls)}
        read = cls(**{"digest": "", **{name: value for name, value in stored.items() if name in known}})
        read.rows = [NamedRow(**row) for row in stored.get("rows", ())]
        read.problems = [Problem.from_json(problem) for problem in stored.get("problems", ())]
        read.short_forms = [Offer(**offer) for offer in stored.get("short_forms", ())]
        return read

    def to_json(self) -> dict[str, Any]:
        """Write it as it is stored with the campaign."""
        return {**asdict(self), "problems": [problem.to_json() for problem in self.problems]}


def digest(campaign: Campaign) -> str:
    """Return the digest of everything that decides what people will get.

    The list's part is `revision`.
    """
    parts = [
        campaign.key,
        campaign.revision,
        campaign.tenant.name,
        [sms_route(account) for account in [campaign.sms_account] if account is not None],
        *(["may_switch"] if campaign.may_switch else []),
        # people come to it after the check: what is checked and approved is also how many, and at which hours
        *(["standing", campaign.day_limit, campaign.send_window, campaign.profile] if campaign.standing else []),
        campaign.payment_account_id if campaign.payment_required else None,
        campaign.payment_required,
        campaign.sms_text,
        campaign.page_title,
        campaign.page_text,
        campaign.page_language,
        campaign.link_minutes,
        campaign.link_until.isoformat() if campaign.link_until else None,
        campaign.max_failures,
        [[q.position, q.kind, q.label, q.choices] for q in campaign.questions],
    ]
    return sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def sms_route(account: SmsAccount) -> list[object]:
    """Return what decides by whom and as whom SMS leave: not the token, which is renewed without a word."""
    return [account.id, *sms_contract(account).values(), sender_numbers.for_request(account) or ""]


def last(campaign: Campaign) -> Preflight | None:
    """Return the last check that was stored, whatever has changed since; None where there was none."""
    return Preflight.from_json(campaign.preflight) if campaign.preflight else None


def current(campaign: Campaign) -> Preflight | None:
    """Return the last check if nothing has changed since, else None."""
    checked = last(campaign)
    return checked if checked and checked.digest == digest(campaign) else None


def company(campaign: Campaign) -> str:
    """Return the company's name as a launched campaign's SMS bear it: the one that was checked."""
    checked = last(campaign)
    return (checked.company if checked else "") or campaign.tenant.name
