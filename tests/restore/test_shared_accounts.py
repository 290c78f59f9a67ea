"""After a restore a shared account's list shows many companies' messages: each is its own company's, or nobody's."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from app import references, tenancy
from app.extensions import db
from app.models import SmsAccount, TrialMessage
from app.providers.sms.base import ListedMessage, Report, ReportState
from app.restore import after, new_accounts
from app.setback import recognise
from app.setback.provider_listing import Asked
from sandbox.harness import Sandbox
from tests import factories
from tests.backups import Backup
from tests.launched import Job, received
from tests.sharing import Share

Both = tuple[Job, Job]


@pytest.fixture
def both(share: Share, sandbox: Sandbox, database: psycopg.Connection) -> Both:
    """Two companies of whose SMS, by one account, a restored database knows nothing."""
    account = factories.shared_account()
    jobs = share(account, 3), share(account, 2)
    before = Backup(database)
    for job in jobs:
        job.send()
    before.restore()
    assert len(sandbox.messages()) == 5
    assert [job.states() for job in jobs] == [{"queued": 3}, {"queued": 2}]
    return jobs


def restored() -> after.Restored:
    return after.restore(sleep=lambda _seconds: None)


def missed(job: Job) -> list[dict[str, Any]]:
    return job.rows("SELECT * FROM missed_message WHERE %s > 0")


def test_each_companys_attempts_are_written_down_for_it(both: Both, sandbox: Sandbox) -> None:
    done = restored()
    assert (done.attempts, done.strangers, done.accounts, done.unasked) == (5, 0, 2, [])
    for job in both:
        assert "queued" not in job.states()
        assert sum(job.attempts().values()) == len(job.people)
        job.make_due()
        job.send()
    assert missed(both[0]) == []
    assert set(received(sandbox).values()) == {1}


def test_what_is_of_nobody_is_told_to_no_company_and_sent_to_nobody(
    both: Both, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    """A list was uploaded and sent since the backup: whose it was no reference tells, so a manager of each decides."""
    gone, other = both
    for table in ("send_log", "event", "slice", "recipient"):
        database.execute(f"DELETE FROM {table} WHERE campaign_id = %s", [gone.campaign_id])  # noqa: S608 - our tables
    database.execute("DELETE FROM campaign WHERE id = %s", [gone.campaign_id])
    done = restored()
    assert done.strangers == 0
    assert len(done.unasked) == 2
    assert missed(other) == [], "no number of a person of the other's"
    for job in both:
        hold = job.rows("SELECT restore_hold FROM sms_account WHERE %s > 0 AND id = %s", job.account_id)
        assert hold == [{"restore_hold": "of_nobody"}]
    other.make_due()
    other.send()
    assert set(received(sandbox).values()) == {1}


def listed(reference: str) -> ListedMessage:
    return ListedMessage(Report(reference, ReportState.DELIVERED, (reference,)), "+819011112222")


@pytest.fixture
def unlike(share: Share, launched: Callable[..., Job]) -> tuple[Job, list[str]]:
    """A company, and references of another one's by the same account: of a person, and of a test SMS."""
    account = factories.shared_account()
    other, job = share(account, 1), share(account, 1)
    other.send()
    with tenancy.platform():
        test = references.test_sms(77)
        row = TrialMessage(
            tenant_id=other.tenant_id,
            campaign_id=other.campaign_id,
            sms_account_id=other.account_id,
            reference=test,
            phone_sealed=b"x",
            created_by=factories.user(other.tenant_id),
        )
        db.session.add(row)
        db.session.commit()
    return job, [other.references()[0], references.sms("abcdefghijkl", other.people[0].id, 1), test]


def test_another_companys_messages_are_no_strangers(unlike: tuple[Job, list[str]]) -> None:
    job, (person, bent, test) = unlike
    account = Asked(job.account_id, job.tenant_id, "")
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        assert recognise.unknown(connection, account, [listed(person.upper()), listed(test)]) == 0
        assert recognise.match(connection, account, [listed(person), listed(test)]) == ([], [])
        matched, strangers = recognise.match(connection, account, [listed(bent)])
        assert matched == []
        assert [item.reference for item in strangers] == [bent], "a row's number alone is nobody's"
    with tenancy.platform():
        assert recognise.of_other_companies(account, [person, bent, test]) == {person, test}


def test_a_companys_own_contract_knows_no_others(unlike: tuple[Job, list[str]], launched: Callable[..., Job]) -> None:
    own = launched(1)
    _, named = unlike
    with tenancy.tenant(own.tenant_id):
        assert recognise.of_other_companies(Asked(own.account_id, own.tenant_id, ""), named) == set()


def test_a_part_that_is_given_after_a_restore_is_asked_first(both: Both) -> None:
    restored()
    tenant_id = factories.tenant()
    account = both[0].rows("SELECT max(id) AS id FROM shared_sms_account WHERE %s > 0")[0]["id"]
    account_id = factories.allotment(account, tenant_id)
    with tenancy.platform():
        row = db.session.get_one(SmsAccount, account_id)
        new_accounts.hold(row)
        assert row.restore_hold == "new"
        db.session.commit()
    new_accounts.ask(account_id, gap_s=0.0, sleep=lambda _seconds: None)
    held = both[0].rows("SELECT restore_hold FROM sms_account WHERE %s > 0 AND id = %s", account_id)
    assert held == [{"restore_hold": ""}], "the others' messages are theirs"
