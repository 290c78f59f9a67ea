"""SMS go out as an approved sender alone, of people as of the clerk who tries one; or as the service has it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app import tenancy
from app.campaigns import preflight, preflight_result
from app.delivery import clerk_test_sms
from app.extensions import db
from app.models import Campaign
from app.providers.sms import PROVIDERS
from app.states.vocabulary import SenderState
from app.tenants import sender_numbers
from tests import factories
from tests.launched import Job

Launched = Callable[..., Job]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Let the service take a sender, and note the one that each message was given."""
    service: Any = type(PROVIDERS["karaden"])
    send, given = service.send, list[str | None]()

    def noting(self: Any, account: Any, message: Any) -> Any:
        given.append(message.sender)
        return send(self, account, message)

    monkeypatch.setattr(service, "capabilities", replace(service.capabilities, takes_sender=True))
    monkeypatch.setattr(service, "send", noting)
    return given


def test_people_get_their_sms_from_the_approved_number(launched: Launched, given: list[str | None]) -> None:
    job = launched(3)
    factories.sender_number(job.account_id, "0005123456", state="applied")
    factories.sender_number(job.account_id, "05012345678", carrier="docomo")
    job.send()
    assert given == ["+815012345678"] * 3
    assert job.states() == {"accepted": 3}


@pytest.mark.parametrize("state", [None, "applied", "rejected", "retired"])
def test_without_an_approved_number_nothing_is_stopped_and_none_is_named(
    launched: Launched, given: list[str | None], state: str | None
) -> None:
    job = launched(2)
    if state is not None:
        factories.sender_number(job.account_id, "05012345678", carrier="docomo", state=state)
    job.send()
    assert given == [None, None]
    assert job.states() == {"accepted": 2}


def test_a_clerks_own_test_comes_from_the_same_number(launched: Launched, given: list[str | None]) -> None:
    job = launched(1)
    factories.sender_number(job.account_id, "243056", carrier="softbank")
    draft = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    factories.people(job.tenant_id, draft, 1)
    user_id = factories.user(job.tenant_id)
    with tenancy.tenant(job.tenant_id):
        preflight.run(draft)
        assert clerk_test_sms.send_test_sms(draft, "090-8888-1234", user_id=user_id) == "accepted"
    assert given == ["243056"]


def test_a_check_is_void_once_the_sms_would_come_from_another_number(
    launched: Launched, given: list[str | None]
) -> None:
    job = launched(1)
    number_id = factories.sender_number(job.account_id, "05012345678", carrier="docomo")
    draft = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    factories.people(job.tenant_id, draft, 1)
    with tenancy.tenant(job.tenant_id):
        preflight.run(draft)
        assert preflight_result.current(db.session.get_one(Campaign, draft)) is not None
        sender_numbers.apply(job.account_id, "au", "0312345678", actor="user:1")  # no carrier shows it yet
        assert preflight_result.current(db.session.get_one(Campaign, draft)) is not None
        sender_numbers.move(number_id, SenderState.RETIRED, actor="user:1")
        assert preflight_result.current(db.session.get_one(Campaign, draft)) is None
