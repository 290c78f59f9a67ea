"""The check before sending counts and names those whose number the company sends nothing to."""

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.campaigns import preflight, preflight_result
from app.delivery import claims, leases
from app.suppression import condition, numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from tests import factories
from tests.plans import explained, touched

PHONES = ["+819011112222", "+818011112222", "+817011112222"]


@pytest.fixture
def draft(app: Flask) -> tuple[int, int]:
    with app.app_context():
        tenant_id = factories.tenant()
        campaign_id = factories.campaign(tenant_id, sms_account_id=factories.sms_account(tenant_id))
        factories.people(tenant_id, campaign_id, 3, phones=PHONES)
        return tenant_id, campaign_id


def check(tenant_id: int, campaign_id: int) -> preflight_result.Preflight:
    with tenancy.tenant(tenant_id):
        return preflight.run(campaign_id)


def test_it_counts_them_names_them_and_stops_nothing(app: Flask, draft: tuple[int, int]) -> None:
    with app.app_context():
        assert check(*draft).suppressed == 0
        with tenancy.tenant(draft[0]):
            numbers.add(PHONES[1], Terms(SuppressionReason.LAWYER), actor="user:1")
        found = check(*draft)
    assert (found.people, found.suppressed, found.problems) == (3, 1, [])
    assert "送信先が1件あります" in condition.warnings(found.suppressed)[0]
    (row,) = [row for row in found.rows if any("送信しない番号" in words for words in row.told)]
    assert (row.stops, "弁護士介入" in row.told[0]) == (False, True)


def test_an_ended_entry_and_another_companys_count_nothing(app: Flask, draft: tuple[int, int]) -> None:
    with app.app_context():
        with tenancy.tenant(draft[0]):
            entry_id = numbers.add(PHONES[1], Terms(SuppressionReason.WISH), actor="user:1").id
            numbers.end(entry_id, actor="user:1")
        with tenancy.tenant(factories.tenant()):
            numbers.add(PHONES[2], Terms(SuppressionReason.WISH), actor="user:1")
        assert check(*draft).suppressed == 0


def test_a_long_list_costs_a_claim_one_look_for_each_person(
    app: Flask, draft: tuple[int, int], database: psycopg.Connection
) -> None:
    tenant_id, campaign_id = draft
    database.execute(
        "INSERT INTO suppression (tenant_id, phone_index, reason, added_by)"
        " SELECT %s, substr(sha256(n::text::bytea), 1, 16), 'wish', 'user:1' FROM generate_series(1, 20000) AS n",
        [tenant_id],
    )
    database.execute("ANALYZE suppression")
    with app.app_context():
        factories.launch(tenant_id, campaign_id)
        with tenancy.tenant(tenant_id):
            lease = leases.take_next()
            assert lease is not None
            with tenancy.transaction() as connection, explained(instead=False) as plans:
                found = claims._waiting(connection, lease, 0, 100, trial=False, suspects=True)
    assert len(found) == 3
    assert touched(plans[0]) < 100
