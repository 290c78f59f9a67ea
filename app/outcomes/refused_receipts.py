"""Ask within minutes about receipts that were pushed while nobody could keep them.

A provider whose receipt was refused may not push it again, and its people would stand as accepted for 72 hours. So the
scheduler leaves a sign of life in the database (`Pulse`): where the last one is old, or PostgreSQL was started anew
since, receipts may have been refused; a web process that could not keep one says so in Redis, too. Then everybody who
was accepted before that and never told of is asked about, once (`app.outcomes.missing_receipts`). In good times nobody
is.
"""

import structlog
from redis.exceptions import RedisError
from sqlalchemy import text

from app import tenancy
from app.extensions import redis_client

# the scheduler looks every two seconds; a sign of life that old says that it could not, or was not there
_OLD_S = 15
# so much later than the outage's end they are asked about: what is pushed again meanwhile needs no question; seconds
_GRACE_S = 60
_REFUSED = "todoke:receipts:refused"
_KEPT_S = 3600

_log = structlog.get_logger()


def refused() -> None:
    """Remember that a receipt could not be kept."""
    try:
        redis_client.connection.set(_REFUSED, "1", ex=_KEPT_S)
    except RedisError as error:
        _log.warning("refused receipt not recorded", error=type(error).__name__)


def watch() -> None:
    """Leave a sign of life; after an outage have people asked about early.

    The platform's scope must be open.
    """
    try:
        told = bool(redis_client.connection.getdel(_REFUSED))
    except RedisError:
        told = False
    with tenancy.transaction() as connection:
        alive = connection.scalar(
            text("""
                SELECT beat_at > now() - make_interval(secs => :old_s)
                    AND server_started_at = pg_postmaster_start_time()
                FROM pulse FOR UPDATE
            """),
            {"old_s": _OLD_S},
        )
        if alive is None:
            connection.execute(
                text("INSERT INTO pulse (beat_at, server_started_at) VALUES (now(), pg_postmaster_start_time())")
            )
            return
        connection.execute(text("UPDATE pulse SET beat_at = now(), server_started_at = pg_postmaster_start_time()"))
        if alive and not told:
            return
        slices = connection.execute(
            text("""
                UPDATE slice SET ask_before = now(), asked_to = NULL,
                    receipts_due_at = least(receipts_due_at, now() + make_interval(secs => :grace_s))
                WHERE id IN (SELECT id FROM slice WHERE receipts_due_at IS NOT NULL ORDER BY id FOR NO KEY UPDATE)
            """),
            {"grace_s": _GRACE_S},
        ).rowcount
    _log.warning("receipts possibly refused", slices=slices)
