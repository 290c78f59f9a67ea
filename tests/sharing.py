"""Companies that send by one shared account of the operator's: fixtures for the folders of tests that need them.

A folder's conftest takes `share` over by importing it, with `launched`, `tuned` and `sandbox` of `tests.launched`.
"""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from app import tenancy
from app.extensions import db
from app.models import SharedSmsAccount, SmsAccount
from app.tenants import allotments
from tests import factories
from tests.launched import Job

Share = Callable[..., Job]


@pytest.fixture
def share(launched: Callable[..., Job], database: psycopg.Connection) -> Share:
    """Make a company that sends by a shared account, with a launched campaign for so many people."""
    del launched  # its end compares the totals with counts

    def make(shared_account_id: int, count: int, *, rate_per_s: int = 100, **more: Any) -> Job:
        tenant_id = factories.tenant(more.pop("company", "みどり信販"))
        account_id = factories.allotment(shared_account_id, tenant_id, rate_per_s=rate_per_s)
        phones = more.pop("phones", [])
        campaign_id = factories.campaign(tenant_id, sms_account_id=account_id, **more)
        people = factories.people(tenant_id, campaign_id, count, phones=phones)
        slices = factories.launch(tenant_id, campaign_id)
        return Job(tenant_id, account_id, campaign_id, slices, people, database)

    return make


def part(job: Job) -> dict[str, Any]:
    """Return the row of a company's part."""
    return job.rows("SELECT a.* FROM sms_account a JOIN campaign c ON c.id = %s WHERE a.id = %s", job.account_id)[0]


def switch(job: Job, *, active: bool) -> None:
    """Take a company's part back, or give it again, as an operator does."""
    with tenancy.platform():
        allotments.switch(db.session.get_one(SmsAccount, job.account_id), active=active, actor="system")


def settings_of(shared_account_id: int) -> dict[str, str]:
    """Return a shared account's settings, which no company sees."""
    with tenancy.platform():
        return dict(db.session.get_one(SharedSmsAccount, shared_account_id).settings)
