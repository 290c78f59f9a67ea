"""One person comes to a standing campaign: checked as a list's row is, measured, and put into its open slice.

Everything happens in the session's transaction, which the caller commits: what must be written with it (the key of a
program's request, say) is written in the same one. After the commit the caller calls `wake`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex

from sqlalchemy import insert, select, text

from app import queues
from app.campaigns import duplicates, standing_line
from app.delivery import growing_slices
from app.extensions import db, vault
from app.intake.lists import load
from app.models import Campaign, Recipient
from app.problems import Kind, Problem
from app.standing import day_limit, person, sends_at
from app.states import locks
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, SmsState
from app.suppression import condition
from app.values.japan_time import japan_minutes
from app.values.suppression_reasons import REASON_WORDS

_TAKEN = Kind(
    "standing_reference_taken",
    "{field}：この番号の送信先は、すでにこの常設配信にあります。番号を確かめてください。",
)
_SUPPRESSED = Kind(
    "standing_number_suppressed",
    "{field}：この電話番号は、送信しない番号に登録されています（{reason}）。この方には送りません。",
)
_RECENT = Kind(
    "standing_number_recent",
    "{field}：この電話番号は、{at}にもこの常設配信で受け付けています。もう1通送るときは、「同じ番号にもう1通送る」を"
    "選んでください。",
)
_RECENT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Added:
    """Somebody who came: their row, the version that holds their words, and from when on their SMS may leave.

    `sends_at` is None where a person has to decide first: after a restore, or once answers were stopped. `again` says
    that the same press had added them before. `warnings` tell, in Japanese, what is to be looked at.
    """

    recipient_id: int
    campaign_id: int
    sends_at: datetime | None
    warnings: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Keys:
    """Tell whether somebody is the same person in every version: by reference, or by the press where they have none."""

    identity_key: bytes
    row_digest: bytes
    phone_index: bytes

    @classmethod
    def of(cls, campaign: Campaign, found: person.Checked, press: str) -> "_Keys":
        """Digest them."""
        tenant_id, line_id, row = campaign.tenant_id, standing_line.line_of(campaign), found.row
        return cls(
            vault.identity_key(tenant_id, line_id, f"r{row.reference}" if row.reference else f"p{press}"),
            vault.row_digest(tenant_id, f"press\x1f{press}"),
            vault.phone_index(tenant_id, row.phone),
        )


def add(
    campaign_id: int,
    row: Mapping[str, str],
    *,
    actor: str,
    once: str = "",
    only_this_version: bool = False,
    ask_if_recent: bool = False,
) -> Added | list[Problem]:
    """Add one person to a standing campaign of the open tenant.

    Args:
        campaign_id: any version of it; with `only_this_version`, the one whose words whoever adds has seen.
        row: what stands in each column; names meet as those of merge fields do.
        actor: of the person's events, such as `user:<id>`.
        once: names the press. The same one again adds nobody, and gives the person of before.
        only_this_version: refuse where newer words hold by now.
        ask_if_recent: refuse a number that it took in within a day.

    Commits nothing, and writes nothing where there is a problem; a problem of one column names it as the fact `field`.
    """
    campaign = standing_line.one(campaign_id) if only_this_version else standing_line.current(campaign_id)
    if campaign is None or campaign.launched_at is None:
        return standing_line.closed(None)
    found = person.check(campaign, row)
    if isinstance(found, list):
        return found
    _lock(campaign)
    line = standing_line.ids(campaign)
    keys = _Keys.of(campaign, found, once or token_hex(16))
    before = db.session.execute(
        select(Recipient.id, Recipient.campaign_id, Recipient.row_digest).where(
            Recipient.campaign_id.in_(line), Recipient.identity_key == keys.identity_key
        )
    ).first()
    if before is not None and bytes(before.row_digest) == keys.row_digest:
        return Added(before.id, before.campaign_id, sends_at.of_waiting(campaign), again=True)
    problems = standing_line.closed(campaign)
    if not problems and before is not None:
        problems = [_TAKEN(field=found.form.mapping.reference or "")]
    if problems := problems or _refusals(campaign, found, keys, line if ask_if_recent else ()):
        return problems
    recipient_id = _insert(campaign, found, keys)
    now = datetime.now(UTC)
    move(db.session, SMS, SmsState.QUEUED, [Step(recipient_id, now)], actor=actor, sources=[SmsState.DRAFT])
    growing_slices.hold(db.session.connection(), campaign.tenant_id, campaign.id, recipient_id)
    day_limit.count(campaign)
    others = duplicates.same_person(db.session, campaign.tenant_id, campaign.id, keys.phone_index)
    return Added(recipient_id, campaign.id, sends_at.of_waiting(campaign), (*found.warnings, *others))


def look(campaign_id: int, row: Mapping[str, str], *, ask_if_recent: bool = False) -> person.Checked | list[Problem]:
    """Return what one person would see, or why they can't be added now; nothing is written."""
    campaign = standing_line.one(campaign_id)
    if campaign is None or (problems := standing_line.closed(campaign)):
        return problems if campaign is not None else standing_line.closed(None)
    found = person.check(campaign, row)
    if isinstance(found, list):
        return found
    line = standing_line.ids(campaign)
    keys = _Keys.of(campaign, found, "")
    taken = select(Recipient.id).where(Recipient.campaign_id.in_(line), Recipient.identity_key == keys.identity_key)
    if found.row.reference and db.session.scalar(taken) is not None:
        return [_TAKEN(field=found.form.mapping.reference or "")]
    return _refusals(campaign, found, keys, line if ask_if_recent else ()) or found


def wake(added: Added) -> None:
    """Have a worker look, after the commit."""
    if not added.again:
        queues.enqueue("jobs.delivery.send", once=True)


def _lock(campaign: Campaign) -> None:
    """Let one at a time in, whichever version they come to, then lock this one against a pause, an end, new words."""
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('standing', :line_id))"),
        {"line_id": standing_line.line_of(campaign)},
    )
    locks.lock_campaign(db.session, campaign.id)


def _refusals(campaign: Campaign, found: person.Checked, keys: _Keys, line: Sequence[int]) -> list[Problem]:
    """Return why this number gets nothing now; one that came within a day to `line` is told too."""
    phone = found.form.mapping.phone or ""
    if reason := condition.reason_for(db.session, campaign.tenant_id, keys.phone_index):
        return [_SUPPRESSED(field=phone, reason=REASON_WORDS[reason])]
    if line and (at := _last_to(campaign.tenant_id, line, keys.phone_index)) is not None:
        return [_RECENT(field=phone, at=japan_minutes(at))]
    return day_limit.problems(campaign)


def _last_to(tenant_id: int, line: Sequence[int], phone_index: bytes) -> datetime | None:
    """Return when a campaign of the line last took somebody with this number in, within a day."""
    at: datetime | None = db.session.execute(
        text("""
            SELECT max(r.created_at) FROM recipient r
            WHERE r.tenant_id = :tenant_id AND r.phone_index = :phone AND r.campaign_id = ANY(:line)
            AND r.created_at > now() - make_interval(hours => :hours)
        """),
        {"tenant_id": tenant_id, "phone": phone_index, "line": list(line), "hours": _RECENT_HOURS},
    ).scalar_one()
    return at


def _insert(campaign: Campaign, found: person.Checked, keys: _Keys) -> int:
    """Put them down as a list's row would be, but for what makes them the same person."""
    connection = db.session.connection()
    (recipient_id,) = load.draw_ids(connection, "recipient", 1)
    (cells,) = load.seal_as(found.context.target(None), [recipient_id], [found.row])
    columns = dict(zip(load.COLUMNS, cells, strict=False))
    connection.execute(
        insert(Recipient).values(
            **{**columns, "sheet_row": None, "identity_key": keys.identity_key, "row_digest": keys.row_digest},
            tenant_id=campaign.tenant_id,
            campaign_id=campaign.id,
            payment_state=load.payment_state(payment_required=campaign.payment_required),
            answer_digests=list(cells[len(load.COLUMNS) :]),
        )
    )
    return recipient_id
