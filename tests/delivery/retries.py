"""The causes of a planned retry: a provider's word, and time."""

from datetime import UTC, datetime

from sqlalchemy import text

from app import tenancy
from app.delivery.send_log import AttemptReport
from app.outcomes import apply_reports
from app.providers.sms.base import Report, ReportState
from sandbox.harness import Sandbox
from tests.launched import Job


def told(job: Job, code: str, attempt: int = 1, state: ReportState = ReportState.UNDELIVERED) -> None:
    """Let the provider say what became of everybody's attempt."""
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        rows = connection.execute(
            text("SELECT recipient_id, provider_id FROM send_log WHERE attempt = :attempt ORDER BY 1"),
            {"attempt": attempt},
        ).all()
        told_of = [
            AttemptReport(row.recipient_id, attempt, Report(row.provider_id, state, code=code), datetime.now(UTC))
            for row in rows
        ]
        apply_reports.apply(connection, told_of)


def time_passes(job: Job) -> None:
    job.change("UPDATE recipient SET retry_at = now() WHERE retry_at IS NOT NULL")


def received(sandbox: Sandbox) -> int:
    return len(sandbox.messages())
