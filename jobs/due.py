"""List what the database says is due, for the sweep that rebuilds the queues: every job with the arguments it wants.

The platform's scope must be open. Each statement reads a partial index or a table that stays small.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import Executable, text

from app import tenancy
from app.campaigns import bulk_operations, ordered_checks
from app.delivery import leases
from app.outcomes import receipt_queue
from app.payments import asking
from app.webhooks import dispatch as webhooks

# how long an import may be silent before its worker counts as dead, seconds
_SILENT_IMPORT_S = 120
# how long a wave may stand still before its job counts as lost, seconds
_SILENT_WAVE_S = 30

# The watch looks for these too, every few seconds. A slice is to be looked at when its worker's lease is over, and when
# the settle time of a message is.
_CHECKS = "SELECT DISTINCT tenant_id FROM slice WHERE check_at <= now()"

_STATEMENTS: Mapping[str, str | Executable] = {
    "jobs.campaigns.start": """
        SELECT tenant_id, id FROM campaign WHERE state = 'scheduled' AND starts_at <= now() ORDER BY starts_at, id
    """,
    "jobs.campaigns.run_bulk_operation": """
        SELECT tenant_id, campaign_id FROM wave
        WHERE finished_at IS NULL AND stepped_at < now() - make_interval(secs => :silent_wave_s) ORDER BY id
    """,
    # also campaigns that stand as sending though no slice of theirs is due, to be completed or put right, and completed
    # ones that have one; and people to be tried again
    "jobs.outcomes.reconcile": f"""
        SELECT tenant_id FROM recipient WHERE retry_at <= now()
        UNION
        SELECT s.tenant_id FROM slice s JOIN campaign c ON c.id = s.campaign_id
        WHERE s.due_at IS NOT NULL AND c.state = 'completed'
        UNION
        SELECT c.tenant_id {bulk_operations.STALLED}
    """,  # noqa: S608 - our own words
    "jobs.restore.ask_account": "SELECT id FROM sms_account WHERE restore_hold = 'new' ORDER BY id",
    "jobs.outcomes.poll": "SELECT DISTINCT tenant_id FROM slice WHERE receipts_due_at <= now()",
    "jobs.delivery.expire_links": "SELECT DISTINCT tenant_id FROM slice WHERE links_end_at <= now()",
    "jobs.intake.run_import": """
        SELECT tenant_id, id FROM import
        WHERE state = 'queued'
        OR (state = 'running' AND coalesce(beat_at, started_at) < now() - make_interval(secs => :silent_import_s))
        ORDER BY id
    """,
    "jobs.intake.look_through": """
        SELECT tenant_id, id FROM import WHERE state = 'mapping' AND hidden_rows IS NULL ORDER BY id
    """,
    "jobs.campaigns.preflight": ordered_checks.due(),
    "jobs.exports.make_export": """
        SELECT tenant_id, id FROM export
        WHERE state = 'queued'
        OR (state = 'running' AND coalesce(beat_at, started_at) < now() - make_interval(secs => :silent_import_s))
        ORDER BY id
    """,
    # from six in the morning on
    "jobs.exports.order_daily": """
        SELECT DISTINCT tenant_id FROM export_plan
        WHERE made_on < (now() AT TIME ZONE 'Asia/Tokyo' - interval '6 hours')::date
    """,
    # once each night, when Japan's day is over and late events have come; not while payments may be missing
    "jobs.payments.reconcile_day": """
        SELECT DISTINCT tenant_id FROM payment_account
        WHERE credentials_sealed IS NOT NULL
        AND coalesce(compared_on, '-infinity') < (now() AT TIME ZONE 'Asia/Tokyo' - interval '2 hours')::date
        AND EXISTS (SELECT FROM payment p WHERE p.payment_account_id = payment_account.id)
        AND NOT EXISTS (SELECT FROM installation WHERE held_why <> '')
    """,
    # campaigns of before there were totals, and each night those that changed (`app.reports.totals_upkeep`)
    "jobs.reports.recount": """
        SELECT id FROM tenant
        WHERE recounted_on < (now() AT TIME ZONE 'Asia/Tokyo' - interval '3 hours')::date
        UNION SELECT tenant_id FROM campaign WHERE counted_at IS NULL
    """,
    "jobs.payments.ask": asking.due_tenants().distinct(),
    # each night
    "jobs.webhooks.forget": """
        SELECT DISTINCT tenant_id FROM webhook_endpoint
        WHERE forgot_on < (now() AT TIME ZONE 'Asia/Tokyo' - interval '4 hours')::date
    """,
}


def urgent() -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    """Return the jobs that a person may be waiting for: who is due to be sent to, who is due to be asked about.

    A receipt that is tried again is due within seconds of the others.
    """
    with tenancy.transaction() as connection:
        due = leases.due(connection)
        checks = connection.execute(text(_CHECKS)).all()
        told = connection.execute(receipt_queue.due_tenants()).all()
        endpoints = webhooks.are_any(connection)
    yield "jobs.delivery.send", [()] if due else []
    yield "jobs.outcomes.reconcile", [tuple(row) for row in checks]
    yield "jobs.outcomes.apply_receipts", [tuple(row) for row in told]
    # while one worker serves the endpoints, the next job waits for the next free one
    yield "jobs.webhooks.deliver", [()] if endpoints else []


def work() -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    """Return each job's name with the arguments of those that are due; a name may come twice."""
    yield from urgent()
    values = {"silent_import_s": _SILENT_IMPORT_S, "silent_wave_s": _SILENT_WAVE_S}
    for job, statement in _STATEMENTS.items():
        with tenancy.transaction() as connection:
            if isinstance(statement, str):
                wanted = {name: value for name, value in values.items() if f":{name}" in statement}
                rows = connection.execute(text(statement), wanted).all()
            else:
                rows = connection.execute(statement).all()
        yield job, [tuple(row) for row in rows]
