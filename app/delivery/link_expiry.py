"""Mark recipients whose link has expired as 失効, dated at the expiry and not at the look.

In: slices whose `links_end_at` has come. Out: their people whose link is over, moved in short steps, and the time at
which to look again. A lease has the slice looked at within minutes, for its claims give new links; from then on it is
looked at when the next link of its people ends. Can't happen here: a link ended that lives; one taken from whoever
waits for an SMS (it brings a new one) or is at the payment provider.
"""

from collections.abc import Sequence

from sqlalchemy import text

from app import tenancy
from app.delivery import shutdown
from app.delivery.leases import LINKS_S, Range
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, PageState
from app.work_budget import SHIFT_S, WorkBudget

# people moved in one transaction
_STEP_ROWS = 1_000
# how soon to look again at who keeps an ended link for now
_KEPT_S = 3600

_LINKS = """
    FROM recipient r WHERE r.campaign_id = :campaign_id AND r.id BETWEEN :first_id AND :last_id
    AND r.link_expires_at IS NOT NULL AND r.page_state = ANY(:sources)
"""
_KEPT = "(r.sms_state IN ('draft', 'queued', 'sending') OR r.payment_state IN ('started', 'pending'))"


def expire_links(tenant_id: int, *, step_rows: int = _STEP_ROWS, shift_s: float = SHIFT_S) -> None:
    """Let the tenant's people stand as expired whose link is over.

    Commits step by step.

    After `shift_s` the next sweep goes on: others' receipts wait on the same queue.
    """
    budget = WorkBudget(shift_s)
    for part in _due(tenant_id):
        after_id: int | None = part.first_id - 1
        while after_id is not None:
            if shutdown.is_asked() or budget.is_spent:
                return
            after_id = _step(part, after_id, step_rows)
        _rearm(part)


def _due(tenant_id: int) -> Sequence[Range]:
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT id, tenant_id, campaign_id, first_id, last_id, fence FROM slice
                WHERE tenant_id = :tenant_id AND links_end_at <= now() ORDER BY links_end_at, id
            """),
            {"tenant_id": tenant_id},
        )
        return [Range(*row) for row in rows]


def _values(part: Range) -> dict[str, object]:
    return {
        "campaign_id": part.campaign_id,
        "first_id": part.first_id,
        "last_id": part.last_id,
        "sources": PAGE.sources(PageState.EXPIRED),
    }


def _step(part: Range, after_id: int, limit: int) -> int | None:
    """Move the next people; return the last one's id, None when there are no more.

    Their rows are locked while one looks: nobody is given a new link, or begins to pay, between the look and the move.
    People whom somebody else is changing right now are left for the next look.
    """
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text(f"""
                SELECT r.id, r.link_expires_at {_LINKS}
                AND r.id > :after_id AND r.link_expires_at <= now() AND NOT {_KEPT}
                ORDER BY r.id LIMIT :limit FOR NO KEY UPDATE OF r SKIP LOCKED
            """),
            {**_values(part), "after_id": after_id, "limit": limit},
        ).all()
        steps = [Step(row.id, row.link_expires_at) for row in rows]
        move(connection, PAGE, PageState.EXPIRED, steps, actor="system")
    return rows[-1].id if rows else None


def _rearm(part: Range) -> None:
    """Schedule the next look at the slice: when the next link ends that may, or never.

    Claims lock the slice too.

    While a worker holds it, its claims give links that nobody has seen yet.
    """
    with tenancy.transaction() as connection:
        leased = connection.scalar(
            text("SELECT leased_until IS NOT NULL FROM slice WHERE id = :id FOR NO KEY UPDATE"), {"id": part.slice_id}
        )
        connection.execute(
            text(f"""
                UPDATE slice SET links_end_at = least(
                    CASE WHEN :leased THEN now() + make_interval(secs => :links_s) END,
                    (
                        SELECT min(CASE WHEN {_KEPT}
                            THEN greatest(r.link_expires_at, now() + make_interval(secs => :kept_s))
                            ELSE r.link_expires_at END)
                        {_LINKS}
                    )
                )
                WHERE id = :id
            """),  # noqa: S608 - our own words
            {**_values(part), "id": part.slice_id, "leased": leased, "links_s": LINKS_S, "kept_s": _KEPT_S},
        )
