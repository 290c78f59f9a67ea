"""People who would be written to twice are told of before sending, and only those."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app import tenancy
from app.campaigns import duplicates, lifecycle, preflight
from app.extensions import db
from app.models import Campaign, Import
from tests import factories

PHONES = ["+819011112222", "+818011112222", "+817011112222"]


@pytest.fixture
def tenant_id(app: Flask) -> Iterator[int]:
    with app.app_context():
        yield factories.tenant()


def draft(tenant_id: int, phones: list[str], **columns: Any) -> int:
    campaign_id = factories.campaign(tenant_id, **columns)
    factories.people(tenant_id, campaign_id, len(phones), phones=phones)
    return campaign_id


def told(tenant_id: int, campaign_id: int) -> list[str]:
    with tenancy.tenant(tenant_id):
        rows = lifecycle.people_count(campaign_id)
        return duplicates.warnings(
            db.session.get_one(Campaign, campaign_id), rows - duplicates.count_numbers(campaign_id)
        )


def test_one_number_in_two_rows_is_told(tenant_id: int) -> None:
    assert told(tenant_id, draft(tenant_id, PHONES)) == []
    twice = draft(tenant_id, [*PHONES, PHONES[0]])
    assert [warning for warning in told(tenant_id, twice) if "1件あります" in warning and "2通以上" in warning]


@pytest.mark.parametrize("state", ["approval", "scheduled", "sending", "paused"])
def test_people_of_a_campaign_under_way_are_told(tenant_id: int, state: str) -> None:
    draft(tenant_id, PHONES[:2], state=state, name="別の督促")
    mine = draft(tenant_id, PHONES)
    (warning,) = told(tenant_id, mine)
    assert "2件" in warning
    assert "別の督促" in warning


def test_drafts_old_campaigns_and_other_companies_are_no_matter(tenant_id: int) -> None:
    draft(tenant_id, PHONES)
    ended = draft(tenant_id, PHONES, state="completed")
    other = factories.tenant("あおば保険")
    draft(other, PHONES, state="sending")
    mine = draft(tenant_id, PHONES)
    assert told(tenant_id, mine) == []
    with tenancy.tenant(tenant_id):
        db.session.execute(
            text("UPDATE campaign SET completed_at = now() - interval '1 hour' WHERE id = :id"), {"id": ended}
        )
        db.session.commit()
    assert len(told(tenant_id, mine)) == 1


def upload(tenant_id: int, campaign_id: int, *, digest: bytes = b"same", state: str = "done") -> None:
    with tenancy.tenant(tenant_id):
        db.session.add(
            Import(
                tenant_id=tenant_id, campaign_id=campaign_id, filename="十二月.csv", content_digest=digest, state=state
            )
        )
        db.session.commit()


def test_the_same_file_in_another_campaign_is_told(tenant_id: int) -> None:
    before, mine = draft(tenant_id, [], name="先月の案内", state="completed"), draft(tenant_id, [])
    upload(tenant_id, before)
    upload(tenant_id, before, digest=b"another")
    assert told(tenant_id, mine) == []
    upload(tenant_id, mine, state="mapping")
    (warning,) = told(tenant_id, mine)
    assert "十二月.csv" in warning
    assert "先月の案内" in warning


def test_a_file_taken_back_or_of_a_cancelled_campaign_is_no_matter(tenant_id: int) -> None:
    cancelled, mine = draft(tenant_id, [], state="cancelled"), draft(tenant_id, [])
    given_up = draft(tenant_id, [])
    upload(tenant_id, cancelled)
    upload(tenant_id, given_up, state="cancelled")
    upload(tenant_id, mine)
    assert told(tenant_id, mine) == []


def test_the_check_before_sending_tells_it(tenant_id: int) -> None:
    draft(tenant_id, PHONES, state="sending", name="別の督促")
    mine = draft(tenant_id, PHONES)
    with tenancy.tenant(tenant_id):
        found = preflight.run(mine)
    assert [warning for warning in found.warnings if "別の督促" in warning]
    assert not [problem for problem in found.problems if "別の督促" in problem.message_ja]
