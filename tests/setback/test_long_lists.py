"""A service that shows a part of its list at once is asked for shorter times, until it has shown all of it."""

import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.accounts import seal_credentials
from app.extensions import db
from app.models import SmsAccount
from app.setback import provider_listing
from app.setback.provider_listing import Asked, Unasked
from sandbox.harness import Sandbox
from tests import factories

KEY = "a-key-of-a-test"


def send(sandbox: Sandbox, count: int, *, minutes_ago: int) -> None:
    """Have so many SMS of another program of the company's accepted, in one request."""
    sandbox.faults(clock_behind_s=60 * minutes_ago)
    messages = [
        {
            "destinations": [{"to": f"8190{10_000_000 + n}", "messageId": f"theirs-{minutes_ago}-{n}"}],
            "content": {"text": "x"},
        }
        for n in range(count)
    ]
    request = urllib.request.Request(
        f"{sandbox.infobip_base}/sms/3/messages",
        json.dumps({"messages": messages}).encode(),
        {"Authorization": f"App {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    sandbox.faults()


@pytest.fixture
def account(tuned: Callable[..., None]) -> Asked:
    tenant_id = factories.tenant()
    with tenancy.tenant(tenant_id):
        row = SmsAccount(tenant_id=tenant_id, name="Infobip", provider="infobip", settings={})
        db.session.add(row)
        db.session.flush()
        seal_credentials(row, {"api_key": KEY})
        db.session.commit()
        return Asked(row.id, tenant_id, row.name)


def listed(account: Asked) -> set[str]:
    now = datetime.now(UTC)
    with tenancy.tenant(account.tenant_id):
        return {one.report.provider_id for one in provider_listing.left(account, now - timedelta(hours=1), now)}


def test_a_list_longer_than_an_answer_is_read_part_by_part(account: Asked, sandbox: Sandbox) -> None:
    for minutes_ago in (50, 30, 1):
        send(sandbox, 700, minutes_ago=minutes_ago)
    assert listed(account) == {f"theirs-{at}-{n}" for at in (50, 30, 1) for n in range(700)}


def test_of_a_moments_list_all_is_read_or_nothing_is_believed(account: Asked, sandbox: Sandbox) -> None:
    """More than the service shows at once, accepted within a few milliseconds."""
    send(sandbox, 4_000, minutes_ago=5)
    found: set[str] | None
    try:
        found = listed(account)
    except Unasked:
        found = None
    assert found is None or len(found) == 4_000
