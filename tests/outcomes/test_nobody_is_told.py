"""A hundred known people through each SMS service, and much goes wrong: in no log and no column that isn't sealed."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from app.providers.sms import PROVIDERS
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job
from tests.outcomes.live_door import Door
from tests.waiting import until

PEOPLE = 100


def columns(database: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yield every row of every table as text."""
    tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (table,) in tables:
        for (row,) in database.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))):
            yield table, row


def secrets(job: Job) -> set[str]:
    """Return what must stand nowhere: numbers without their first zero, names, and the links' tokens."""
    found = set()
    for person in job.people:
        found |= {person.phone.removeprefix("+81"), person.fields["氏名"], person.token}
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_numbers_names_and_links_stand_in_no_log_and_no_open_column(
    provider: str,
    launched: Callable[..., Job],
    tuned: Callable[..., None],
    sandbox: Sandbox,
    door: Door,
    database: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    tuned(public_base_url=door.url)
    # numbers of its own: the poison below is for some of them, however far those of other tests have come
    job = launched(PEOPLE, provider=provider, phones=[f"+81901234{1000 + n}" for n in range(PEOPLE)])
    url = door.url + factories.receipt_path(job.account_id)
    sandbox.addresses(karaden_receipts={"*": url}, sms_accounts={"zettai_reach": {"*": {"url": url, "secret": "any"}}})
    create = f"{provider}.create"
    faults = ("reset_before_body", "error_before", "error_after", "reset_after_body", "forbidden", "too_many_requests")
    sandbox.faults(**{fault: {"next": 3, "on": create} for fault in faults}, poison={"value": 422, "ids": ["7", "8"]})

    def settled() -> int:
        return sum(job.states().get(state, 0) for state in ("accepted", "delivered", "undelivered"))

    for round_ in range(40):  # a busy machine gets on with less in each
        if round_ >= len(faults) and settled() > PEOPLE / 2:
            break
        job.change(
            "UPDATE recipient SET sms_code = '' WHERE campaign_id = %s AND sms_state = 'queued'", job.campaign_id
        )
        job.change("UPDATE sms_account SET doubted_at = NULL, trips = 0, failures = 0, ask_after = NULL")
        job.make_due()
        job.send()
        job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s", job.campaign_id)
        outcomes.reconcile(job.tenant_id)
    until(lambda: not sandbox.summary()["sent"].get("receipts_pending"))
    outcomes.apply_receipts(job.tenant_id)
    # something came of most of them, or nothing could have been told
    assert settled() > PEOPLE / 2
    known = secrets(job)
    assert len(known) > 2 * PEOPLE
    assert {secret for secret in known if secret in caplog.text} == set()
    # the search sees what may stand there: our references, in the send log and in receipts
    assert any(table == "send_log" and job.references()[0] in row for table, row in columns(database))
    assert {(table, secret) for table, row in columns(database) for secret in known if secret in row} == set()
