"""The work of a campaign is that of its own people, however many others the house holds and whatever statistics say.

PostgreSQL learns of new rows long after they came: to its planner a list just taken in is empty, in a house full of
others. A plan that then goes through those, or through the list for each of its people, takes a hundred times as long.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest

from app import tenancy
from app.campaigns import lifecycle, preflight, preflight_result
from app.delivery import dispatch, link_expiry, resend
from app.exports.selection import Selection
from app.exports.status_file import status_file
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import Campaign, Import
from app.outcomes import missing_receipts, receipts
from app.reports.campaign_totals import figures
from app.tenancy import lookup
from bench import dataset
from jobs import due, setback
from sandbox.harness import Sandbox
from tests import factories
from tests.waiting import until

_OTHERS = 20_000
_PEOPLE = 100
# of any table, whatever is done; sending reads a person's row nine times
_MOST_READ = 20 * _PEOPLE

_HEADER = "管理番号,電話番号,氏名,請求金額,支払期限,生年月日,契約番号下4桁"
_READ = """
    SELECT relname, seq_tup_read + (
        SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes i WHERE i.relid = t.relid
    ) FROM pg_stat_user_tables t
"""
_CONNECTED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class House:
    """A company whose clerk has a draft, beside campaigns of `_OTHERS` people."""

    tenant_id: int
    user_id: int
    account_id: int
    campaign_id: int
    database: psycopg.Connection

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Fail if the product reads more of any table meanwhile than the campaign's own people explain."""
        self.disconnect()  # what was done before is told by now
        before = self._reads()
        yield
        self.disconnect()
        read = {table: now - before[table] for table, now in self._reads().items()}
        assert {table: rows for table, rows in read.items() if rows > _MOST_READ} == {}
        assert any(read.values())

    def disconnect(self) -> None:
        """End all connections: at the latest when it ends one tells what it read; the test's own tells it now."""
        self.database.execute("SELECT pg_stat_force_next_flush()")
        db.session.remove()
        db.engine.dispose()
        lookup.close()
        until(lambda: not self.database.execute(_CONNECTED).fetchone())

    def _reads(self) -> dict[str, int]:
        return {table: int(rows) for table, rows in self.database.execute(_READ)}

    def states(self) -> dict[str, int]:
        """Count the campaign's people by SMS state."""
        counts = self.database.execute(
            "SELECT sms_state, count(*) FROM recipient WHERE campaign_id = %s GROUP BY 1", [self.campaign_id]
        )
        return dict(counts.fetchall())


@pytest.fixture
def house(tuned: Callable[..., None], database: psycopg.Connection, environment: Mapping[str, str]) -> House:
    tuned()
    tenant_id = factories.tenant(code="grown")
    user_id, account_id = factories.user(tenant_id), factories.sms_account(tenant_id)
    payment_account_id = factories.payment_account(tenant_id)
    dataset.fill(environment, "grown", _OTHERS)
    # their requests under way are not the question
    database.execute("UPDATE slice SET check_at = NULL")
    database.execute("UPDATE recipient SET unknown_at = NULL WHERE unknown_at IS NOT NULL")
    campaign_id = factories.campaign(
        tenant_id, sms_account_id=account_id, payment_account_id=payment_account_id, created_by=user_id
    )
    return House(tenant_id, user_id, account_id, campaign_id, database)


def take_in(house: House) -> None:
    """Take the list in, as a clerk does: rows that stand there already are found."""
    lines = (f"N{n},090-1234-{1000 + n},山田 太郎,1000,2099-12-26,1978/09/02,0489" for n in range(_PEOPLE))
    content = "\r\n".join([_HEADER, *lines]).encode()
    with tenancy.tenant(house.tenant_id):
        import_id = imports.store(house.campaign_id, "名簿.csv", io.BytesIO(content), user_id=house.user_id)
        whole_look.look_through(import_id)
        row = db.session.get_one(Import, import_id)
        imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
        import_run.run(import_id)


def launch(house: House) -> None:
    with tenancy.tenant(house.tenant_id):
        assert preflight.run(house.campaign_id).problems == []
        campaign = db.session.get_one(Campaign, house.campaign_id)
        lifecycle.launch(house.campaign_id, user_id=house.user_id, digest=preflight_result.digest(campaign))


def push_receipts(house: House, sandbox: Sandbox) -> None:
    for message in sandbox.messages():
        told = {"object": "message", "result": "done", "status": "done", "sent_result": "received"}
        body = told | {"id": message["id"], "tags": message["tags"]}
        assert factories.keep_receipt(house.account_id, json.dumps(body).encode())


def test_no_step_of_a_campaign_reads_what_is_not_its_own(house: House, sandbox: Sandbox) -> None:
    with house.watched():
        take_in(house)
    with house.watched():
        take_in(house)
    with house.watched():
        launch(house)
    assert house.states() == {"queued": _PEOPLE}
    # an installation without a copy of its beat outside asks its service first, once: it reads the last days for that
    setback.look()
    with house.watched():
        dispatch.take()
    assert house.states() == {"accepted": _PEOPLE}
    push_receipts(house, sandbox)
    with house.watched(), tenancy.tenant(house.tenant_id):
        receipts.apply_waiting(house.tenant_id)
        missing_receipts.poll(house.tenant_id)
    assert house.states() == {"delivered": _PEOPLE}
    with house.watched(), tenancy.tenant(house.tenant_id):
        assert figures(db.session.get_one(Campaign, house.campaign_id)).people == _PEOPLE
        assert sum(map(len, status_file(Selection(house.campaign_id), "cp932"))) > _PEOPLE
    with house.watched(), tenancy.tenant(house.tenant_id):
        number = resend.next_number(house.campaign_id)
        assert resend.remind(house.campaign_id, "unopened", user_id=house.user_id, number=number) == _PEOPLE
    with house.watched(), tenancy.tenant(house.tenant_id):
        assert lifecycle.cancel(house.campaign_id, user_id=house.user_id)
    assert house.states() == {"delivered": _PEOPLE}
    house.database.execute("UPDATE recipient SET link_expires_at = now() WHERE campaign_id = %s", [house.campaign_id])
    house.database.execute("UPDATE slice SET links_end_at = now() WHERE campaign_id = %s", [house.campaign_id])
    with house.watched(), tenancy.tenant(house.tenant_id):
        link_expiry.expire_links(house.tenant_id)
    with house.watched(), tenancy.platform():
        assert list(due.urgent())
        assert list(due.work())
