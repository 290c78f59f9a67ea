"""After years, a hundred thousand people, one more costs what the first one did: no step reads those of before."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app import tenancy
from app.delivery import dispatch, leases
from app.extensions import db
from app.models import Campaign
from app.reports.campaign_totals import figures
from app.reports.progress import progress
from app.tenancy import lookup
from jobs import due, setback
from sandbox.harness import Sandbox
from tests.launched import received
from tests.standing.conftest import Line, somebody
from tests.waiting import until

_SLICE = 500
# with the first one the newest slice lacks two
_BEFORE = 100_000 + _SLICE - 3
# of any table: each look at the newest slice reads its people once
_MOST_READ = 8 * _SLICE

_CONNECTED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_READ = """
    SELECT relname, seq_tup_read + (
        SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes i WHERE i.relid = t.relid
    ) FROM pg_stat_user_tables t
"""
# copies of one person who was sent to, as many as the years brought, in slices as the engine makes them
_GROW = """
    INSERT INTO recipient (tenant_id, campaign_id, identity_key, row_digest, reference, phone_sealed, phone_index,
        phone_last4_index, fields_sealed, answer_digests, link_secret, token_digest, sms_state, sms_attempt, sent_at,
        accepted_at, link_expires_at)
    SELECT tenant_id, campaign_id, sha256(int8send(n)), row_digest, 'B' || n, phone_sealed, sha256(int8send(n)),
        phone_last4_index, fields_sealed, answer_digests, link_secret, sha256(int8send(-n)), sms_state, 1, sent_at,
        accepted_at, now() + interval '1 year'
    FROM recipient, generate_series(1, %s) AS n WHERE id = %s
"""
_SLICES = """
    INSERT INTO slice (tenant_id, campaign_id, first_id, last_id, fence)
    SELECT tenant_id, campaign_id, min(id), lead(min(id), 1, 9223372036854775807) OVER (ORDER BY min(id)) - 1, 1
    FROM (
        SELECT tenant_id, campaign_id, id, (row_number() OVER (ORDER BY id) - 1) / %s AS part FROM recipient
    ) AS numbered GROUP BY tenant_id, campaign_id, part
"""


@pytest.fixture
def grown(line: Line, sandbox: Sandbox) -> Line:
    """Let a hundred thousand have come, none of whom waits."""
    first = line.added().recipient_id
    line.send()
    line.change("DELETE FROM slice")
    line.change(_GROW, _BEFORE, first)
    line.change(_SLICES, _SLICE)
    line.change("UPDATE slice SET last_id = last_id + 1 WHERE last_id = 9223372036854775806")
    # over years PostgreSQL has learnt of them
    line.change("ANALYZE recipient, slice")
    sandbox.reset()
    setback.look()
    return line


@contextmanager
def watched(line: Line) -> Iterator[None]:
    """Fail if more of any table is read meanwhile than the newest slice's people explain."""
    disconnect(line)
    before: dict[str, int] = dict(line.database.execute(_READ).fetchall())
    yield
    disconnect(line)
    read = {table: rows - before[table] for table, rows in line.database.execute(_READ).fetchall()}
    assert {table: rows for table, rows in read.items() if rows > _MOST_READ} == {}
    assert any(read.values())


def disconnect(line: Line) -> None:
    """End all connections: at the latest when it ends one tells what it read; the test's own tells it now."""
    line.database.execute("SELECT pg_stat_force_next_flush()")
    db.session.remove()
    db.engine.dispose()
    lookup.close()
    until(lambda: not line.database.execute(_CONNECTED).fetchone())


def test_one_more_reads_nobody_of_before(grown: Line, sandbox: Sandbox) -> None:
    with watched(grown):
        grown.added(somebody(2))
    with watched(grown):
        assert dispatch.take()
    assert received(sandbox) == {"09012341002": 1}
    with watched(grown), tenancy.platform():
        assert list(due.urgent())
        assert list(due.work())
        assert leases.take_next() is None
    with watched(grown), tenancy.tenant(grown.tenant_id):
        campaign = db.session.get_one(Campaign, grown.campaign_id)
        assert figures(campaign).people
        assert progress(campaign).figures.people


def test_the_open_slice_is_closed_when_it_is_full(grown: Line, sandbox: Sandbox) -> None:
    (slices,) = grown.one("SELECT count(*) FROM slice")
    for number in range(2, 5):
        grown.added(somebody(number))
    grown.send()
    assert sum(received(sandbox).values()) == 3
    (now, largest, gaps) = grown.one("""
        SELECT count(*), max(people), count(*) FILTER (WHERE first_id <> before + 1) FROM (
            SELECT first_id, lag(last_id) OVER (ORDER BY first_id) AS before, (
                SELECT count(*) FROM recipient r WHERE r.campaign_id = s.campaign_id
                AND r.id BETWEEN s.first_id AND s.last_id
            ) AS people FROM slice s
        ) AS looked_at
    """)
    assert (now, largest, gaps) == (slices + 1, _SLICE, 0)
