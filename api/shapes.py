"""The forms of what is answered: the document of the API is made of them.

A field is only ever added here, never taken away or given another meaning: `tests/api/test_document.py` holds that.
"""

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

MOST_A_PAGE = 200
_USUAL_PAGE = 50

# PostgreSQL keeps no NUL
_NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, Meta(max_length=300, pattern=_NO_NUL)]


class PageQuery(Struct, forbid_unknown_fields=True):
    """Which part of a list is asked for: `after` is `next` of the page before."""

    limit: Annotated[int, Meta(ge=1, le=MOST_A_PAGE)] = _USUAL_PAGE
    after: Text | None = None


class Counts(Struct):
    """How many people stand where, by state, on each of the three tracks."""

    sms: dict[str, int]
    page: dict[str, int]
    payment: dict[str, int]


class Campaign(Struct):
    """A campaign. Its states: draft, approval, scheduled, sending, paused, completed, cancelled."""

    id: str
    name: str
    state: str
    created_at: datetime
    launched_at: datetime | None
    starts_at: datetime | None
    completed_at: datetime | None
    payment_required: bool
    people: int


class CampaignPage(Struct):
    """Some campaigns, the latest first; `next` leads on, null at the end."""

    campaigns: list[Campaign]
    next: str | None


class CampaignCounts(Struct):
    """A campaign in numbers, as it stands now."""

    id: str
    people: int
    counts: Counts


class CampaignAct(Struct):
    """Where a campaign stands after an act."""

    id: str
    state: str


class Recipient(Struct):
    """A recipient, without a personal detail: their states, each step's time, and the company's own number."""

    id: str
    campaign_id: str
    reference: str
    sms_state: str
    sms_code: str
    page_state: str
    payment_state: str
    amount_yen: int | None
    due_date: date | None
    sent_at: datetime | None
    delivered_at: datetime | None
    undelivered_at: datetime | None
    opened_at: datetime | None
    verified_at: datetime | None
    viewed_at: datetime | None
    paid_at: datetime | None
    link_expires_at: datetime | None


class RecipientPage(Struct):
    """Some recipients of a campaign, in the order of its list; `next` leads on, null at the end."""

    recipients: list[Recipient]
    next: str | None


class NewCampaign(Struct, forbid_unknown_fields=True):
    """A draft to be made: from a starter (visit, repair, counter, premium, collection) or as a copy of a campaign."""

    name: Text
    starter: Text | None = None
    copy_of: Text | None = None
    sms_account: Text | None = None
    payment_account: Text | None = None
    starts_at: datetime | None = None
    deadline_at: datetime | None = None


class Fields(Struct):
    """The fields that a recipient of a campaign has, and those that can't be empty."""

    fields: list[str]
    required: list[str]


class NewRecipients(Struct, forbid_unknown_fields=True):
    """Recipients by the names of their fields (`fields` of the campaign): texts, or whole numbers."""

    rows: Annotated[list[dict[str, str | int]], Meta(min_length=1, max_length=10_000)]


class Fault(Struct, omit_defaults=True):
    """Something to look at in a row that was taken: its place (from 1), its field, and why."""

    code: str
    detail: str
    row: int | None = None
    field: str | None = None


class AddedRecipients(Struct):
    """The outcome for rows: all stand in the campaign now. `known` stood there before, with the same content."""

    import_id: str
    added: int
    known: int
    warnings: list[Fault]


class Check(Struct):
    """A check of all texts for every recipient. `digest` and `people` are what a launch names; empty while it is made.

    `state`: done, checking, or missing where there is none of what the campaign says now. `problems` stop a launch.
    """

    id: str
    state: str
    digest: str
    people: int
    numbers: int
    longest_units: int
    problems: list[Fault]
    warnings: list[str]


class Launch(Struct, forbid_unknown_fields=True):
    """An order to launch: the digest of its check, and its number of people."""

    digest: Text
    people: Annotated[int, Meta(ge=0, le=10_000_000)]


class Launched(Struct):
    """Where a launch led: `outcome` is sending, scheduled, or waiting_for_approval above the company's limit."""

    id: str
    state: str
    outcome: str


class Remind(Struct, forbid_unknown_fields=True):
    """A reminder: for which people (unopened, unpaid), its number (`next_reminder`), words of its own or none."""

    which: Text
    number: Annotated[int, Meta(ge=1, le=1_000_000)]
    sms_text: Annotated[str, Meta(max_length=1_000, pattern=_NO_NUL)] = ""


class SentAgain(Struct):
    """To how many people another SMS goes."""

    id: str
    state: str
    people: int


class Reminders(Struct):
    """The number that the next reminder has, and how many people each kind would go to now."""

    id: str
    next_reminder: int
    unopened: int
    unpaid: int


class Phone(Struct):
    """A recipient's phone number (E.164). That it was read is on record."""

    id: str
    phone: str


class RecipientAct(Struct):
    """Where a recipient stands after an act."""

    id: str
    sms_state: str
    page_state: str
    payment_state: str


class Settle(Struct, forbid_unknown_fields=True):
    """Money that came another way: bank_transfer, cash, other_site or misfit; the whole amount; why it is recorded."""

    method: Text
    yen: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    reason: Annotated[str, Meta(max_length=200, pattern=_NO_NUL)]


class TakeBack(Struct, forbid_unknown_fields=True):
    """Why money that was recorded by hand was not there."""

    reason: Annotated[str, Meta(max_length=200, pattern=_NO_NUL)]


class Payment(Struct):
    """An attempt to pay, or money that was recorded by hand (`by_hand`)."""

    id: str
    campaign_id: str
    attempt: int
    state: str
    amount_yen: int
    method: str
    by_hand: bool
    needs_review: bool
    created_at: datetime
    paid_at: datetime | None
    refunded_yen: int


class PaymentPage(Struct):
    """Some payments of a campaign, in the order in which they began; `next` leads on, null at the end."""

    payments: list[Payment]
    next: str | None


class Account(Struct):
    """A contract with an SMS service or a payment provider. `resting_until`: nothing is sent by it before."""

    id: str
    name: str
    active: bool
    test: bool
    held_after_restore: bool
    resting_until: datetime | None


class Accounts(Struct):
    """The company's contracts."""

    sms: list[Account]
    payment: list[Account]


class NewRecipient(Struct, forbid_unknown_fields=True):
    """One person for a standing campaign, by the names of its fields."""

    fields: Annotated[dict[str, str | int], Meta(min_length=1, max_length=300)]


class AddedRecipient(Struct):
    """The person who was added, the version that holds their words, and from when on their SMS may leave.

    `sends_at` is null where a person has to decide first.
    """

    id: str
    campaign_id: str
    sends_at: datetime | None
    warnings: list[str]
