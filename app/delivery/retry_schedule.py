"""Retry SMS that failed for a passing cause, without a click, as often and as late as the campaign says.

A failure plans the next try in the transaction that records it (`recipient.retry_at`); when its time has come the
person waits in their slice again (`app.delivery.retry_due`), and hours, deadline and pace hold as for everybody. A
cause passes when the provider names it so (switched off, no signal, congestion), or when the message never got in
however often it was tried.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from app.providers.sms import PROVIDERS
from app.states import reached, result_codes

# spreads those who failed together, seconds
_JITTER_S = 300


def plan(connection: Connection, recipient_ids: Iterable[int]) -> None:
    """Plan another try for those of these people who are undelivered for a passing cause and have tries left.

    Whoever used the link has got the SMS all the same, and stands so.
    """
    ids = list(recipient_ids)
    if not ids:
        return
    reached.spare(connection, "id = ANY(:ids)", {"ids": ids}, at=datetime.now(UTC))
    # a plan of an earlier failure, before a person sent it again, is over
    connection.execute(
        text("UPDATE recipient SET retry_at = NULL WHERE id = ANY(:ids) AND retry_at IS NOT NULL"), {"ids": ids}
    )
    connection.execute(
        text("""
            UPDATE recipient r
            SET retry_at = now() + make_interval(mins => c.retry_after_minutes, secs => random() * :jitter_s)
            FROM campaign c, sms_account a, unnest(CAST(:providers AS text[]), CAST(:codes AS text[])) AS p(name, code)
            WHERE r.id = ANY(:ids) AND r.sms_state = 'undelivered' AND r.page_state <> 'revoked'
            AND c.id = r.campaign_id AND c.state <> 'cancelled' AND a.provider = p.name
            AND a.id = (
                SELECT l.sms_account_id FROM send_log l WHERE l.recipient_id = r.id AND l.attempt = r.sms_attempt
            )
            AND (r.sms_code = p.code OR starts_with(r.sms_code, :gave_up))
            AND c.retry_times > (
                SELECT count(*) FROM send_log l
                WHERE l.recipient_id = r.id AND l.state = 'undelivered' AND l.attempt < r.sms_attempt
            )
        """),
        {
            "ids": ids,
            "jitter_s": _JITTER_S,
            "gave_up": result_codes.GAVE_UP,
            "providers": [name for name, provider in PROVIDERS.items() for _ in provider.passing],
            "codes": [code for provider in PROVIDERS.values() for code in provider.passing],
        },
    )
