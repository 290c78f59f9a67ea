"""Numbers that are proposed for the list: a clerk confirms or dismisses each, nothing is put on it by itself.

In: a recipient who says that an SMS was not for them; a service's word that a number is not in use. Out: a proposal,
one for a number as long as nobody decided; on a clerk's word, an entry of the list.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from app import audit
from app.db import Executor
from app.extensions import db
from app.models import SuppressionProposal
from app.problems import Kind, Refused
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason

PERSON, VACANT = "person", "vacant"
SOURCE_WORDS = {PERSON: "本人が「心当たりがない」を押した", VACANT: "送信サービスが「使われていない番号」とした"}

# how codes begin by which services call a number vacant, or one that no SMS reaches
_VACANT_CODES = ("vacant", "error")
# a vacant number that a clerk dismissed is not proposed again so soon, days
_LEFT_ALONE_DAYS = 90
_VACANT_NOTE = "使われていない番号（送信サービスの結果）"

_SETTLED = Kind("suppression_proposal_settled", "この番号は、すでにほかの方が判断しました。一覧を確かめてください。")


def propose(executor: Executor, recipient_id: int, reason: SuppressionReason) -> bool:
    """Propose a recipient's number at their own word, in the caller's transaction.

    Returns whether it is new.

    Not where the number counts already, nor where it waits for a clerk as it is.
    """
    return bool(_propose(executor, [recipient_id], PERSON, reason))


def propose_vacant(connection: Connection, recipient_ids: Iterable[int]) -> int:
    """Propose the numbers of those of these people whose SMS failed as to a vacant number; return how many are new."""
    ids = list(recipient_ids)
    if not ids:
        return 0
    vacant = connection.execute(
        text("""
            SELECT id FROM recipient r WHERE id = ANY(:ids) AND sms_state = 'undelivered'
            AND split_part(sms_code, ':', 1) = ANY(:codes)
            AND NOT EXISTS (
                SELECT FROM suppression_proposal p WHERE p.tenant_id = r.tenant_id AND p.phone_index = r.phone_index
                AND p.verdict = 'dismissed' AND p.settled_at > now() - make_interval(days => :days)
            )
        """),
        {"ids": ids, "codes": list(_VACANT_CODES), "days": _LEFT_ALONE_DAYS},
    )
    found = list(vacant.scalars())
    return _propose(connection, found, VACANT, SuppressionReason.OTHER) if found else 0


def _propose(executor: Executor, recipient_ids: Sequence[int], source: str, reason: SuppressionReason) -> int:
    made = executor.execute(
        text("""
            INSERT INTO suppression_proposal (tenant_id, phone_index, recipient_id, source, reason)
            SELECT DISTINCT ON (r.tenant_id, r.phone_index) r.tenant_id, r.phone_index, r.id, :source, :reason
            FROM recipient r
            WHERE r.id = ANY(:ids)
            AND NOT EXISTS (
                SELECT FROM suppression s WHERE s.tenant_id = r.tenant_id AND s.phone_index = r.phone_index
                AND (s.until IS NULL OR s.until > now())
            )
            ORDER BY r.tenant_id, r.phone_index, r.id
            ON CONFLICT (tenant_id, phone_index) WHERE settled_at IS NULL DO NOTHING
            RETURNING id
        """),
        {"ids": list(recipient_ids), "source": source, "reason": str(reason)},
    )
    return len(made.all())


def terms_of(proposal: SuppressionProposal) -> Terms:
    """Return the terms on which a proposal would be confirmed as it is."""
    return Terms(SuppressionReason(proposal.reason), note=_VACANT_NOTE if proposal.source == VACANT else "")


def confirm(proposal_id: int, terms: Terms | None = None, *, actor: str) -> None:
    """Put a proposed number on the list, on its own terms where no others are given.

    Raises Refused. Commits.

    A number that is on the list by now stays there as it is.
    """
    proposal = _locked(proposal_id)
    _settle(proposal, "confirmed", actor)
    terms = terms or terms_of(proposal)
    if (added_id := numbers.put(db.session, proposal.phone_index, terms, actor=actor)) is not None:
        detail: dict[str, object] = {"proposal": proposal_id, "source": proposal.source}
        numbers.record(db.session, "add_suppression", added_id, terms, actor=actor, detail=detail)
    db.session.commit()


def dismiss(proposal_id: int, *, actor: str) -> None:
    """Leave a proposed number off the list. Raises Refused. Commits."""
    proposal = _locked(proposal_id)
    _settle(proposal, "dismissed", actor)
    audit.record(
        db.session,
        actor=actor,
        act="dismiss_suppression",
        target=f"recipient:{proposal.recipient_id}",
        detail={"proposal": proposal_id, "source": proposal.source},
    )
    db.session.commit()


def _locked(proposal_id: int) -> SuppressionProposal:
    proposal = db.session.get_one(
        SuppressionProposal, proposal_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if proposal.settled_at is not None:
        db.session.rollback()
        raise Refused(_SETTLED())
    return proposal


def _settle(proposal: SuppressionProposal, verdict: str, actor: str) -> None:
    proposal.settled_at, proposal.settled_by, proposal.verdict = datetime.now(UTC), actor, verdict
