"""Which column of an upload is what, before anybody said so: as for an earlier list of its form, else by the names.

In: an upload and what its campaign asks today. Out: a mapping to be looked at. It is made anew whenever it is shown:
texts and questions may change while the upload waits.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from app.extensions import db
from app.intake.columns.campaign_needs import merge_names, questions_of
from app.intake.columns.mapping import OUR_COLUMNS, ColumnMapping, Question, propose
from app.models import Campaign, Import
from app.problems import Problem
from app.states.vocabulary import ImportState

_LOOKED_BACK = 20  # earlier files of the same columns


class _Before(NamedTuple):
    upload: Import
    mapping: ColumnMapping


def guess(row: Import) -> ColumnMapping:
    """Return what an upload's columns seem to be."""
    before = _chosen_before(row)
    if before is not None:
        return before.mapping
    campaign = row.campaign
    return propose(
        row.header,
        questions_of(campaign),
        merge_names(campaign, row.header),
        payment_required=campaign.payment_required,
    )


def known(row: Import) -> ColumnMapping | None:
    """Return the mapping of an upload whose form is known: a list of it was taken, for the same questions."""
    before = _chosen_before(row)
    if before is None or before.upload.state != ImportState.DONE or not before.upload.rows_added:
        return None
    return before.mapping


def problems(row: Import, mapping: ColumnMapping) -> list[Problem]:
    """Return what stands in the way of running an import with a mapping."""
    campaign = row.campaign
    return mapping.problems(
        row.header,
        questions_of(campaign),
        merge_names(campaign, row.header),
        payment_required=campaign.payment_required,
    )


def asked(questions: Sequence[Question]) -> tuple[str, ...]:
    """Name the questions that a mapping's answers are for."""
    return tuple(f"{question.kind}:{question.label}" for question in questions)


def _chosen_before(row: Import) -> _Before | None:
    """Return what somebody chose for an earlier file of the same columns.

    A corrected file must not fall back to a guess. This campaign's files go before those of others, of which only those
    that were taken count. A choice that doesn't fit, as other questions are asked, doesn't count.
    """
    columns = set(row.header) - OUR_COLUMNS
    own = and_(
        Import.campaign_id == row.campaign_id,
        or_(
            Import.state.in_((ImportState.QUEUED, ImportState.RUNNING, ImportState.DONE)),
            Import.started_at.is_not(None),
        ),
    )
    earlier = db.session.scalars(
        select(Import)
        .where(Import.tenant_id == row.tenant_id, Import.id != row.id, Import.byte_count > 0)
        .where(Import.mapping.is_not(None), Import.header.contains(sorted(columns)))
        .where(or_(own, and_(Import.state == ImportState.DONE, Import.rows_added > 0)))
        .order_by((Import.campaign_id == row.campaign_id).desc(), Import.id.desc())
        .limit(_LOOKED_BACK)
    )
    for before in earlier:
        if set(before.header) - OUR_COLUMNS != columns:
            continue
        mapping = _as_asked_now(before, row.campaign)
        if mapping is not None and not problems(row, mapping):
            return _Before(before, mapping)
    return None


def _as_asked_now(before: Import, campaign: Campaign) -> ColumnMapping | None:
    """Put an earlier mapping's answers in the order of today's questions; None where another question is asked."""
    chosen = ColumnMapping.from_json(before.mapping or {})
    if before.campaign_id != campaign.id and before.campaign.payment_required != campaign.payment_required:
        return None
    known_for = chosen.asked or asked(questions_of(before.campaign))
    columns = dict(zip(known_for, chosen.answers, strict=False))
    answers = tuple(columns.get(name) for name in asked(questions_of(campaign)))
    return None if None in answers else replace(chosen, answers=answers, asked=())
