"""People of unknown fate: counted whenever a home page is opened, so never by a look at the whole campaign."""

import psycopg
from flask import Flask

from app import tenancy
from app.delivery import number_limits
from app.extensions import db
from app.models import Campaign
from app.outcomes import manual_review
from tests import factories, steps
from tests.plans import explained, touched

PEOPLE = 3_000


def test_they_are_counted_without_a_look_at_the_others(app: Flask, database: psycopg.Connection) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        campaign_id = factories.campaign(tenant_id, sms_account_id=factories.sms_account(tenant_id))
        people = factories.people(tenant_id, campaign_id, PEOPLE)
        factories.launch(tenant_id, campaign_id)
        asked = (people[7], 2), (people[8], 0)
        steps.lose(*(person.id for person, _ in asked))
        steps.deliver(*steps.everybody(sms_state="queued"))
        for person, days in asked:
            database.execute(
                "INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state,"
                " started_at) SELECT r.tenant_id, r.campaign_id, r.id, c.sms_account_id, 1, 1, 'unknown',"
                " now() - %s * interval '1 day' FROM recipient r JOIN campaign c ON c.id = r.campaign_id"
                " WHERE r.id = %s",
                [days, person.id],
            )
        database.execute("ANALYZE")
        with tenancy.tenant(tenant_id):
            campaign = db.session.get_one(Campaign, campaign_id)
            assert campaign.sms_account is not None  # loaded before
            assert (manual_review.unknown(campaign), manual_review.count(campaign)) == (2, 1)
            with explained(instead=False) as plans:
                manual_review.unknown(campaign)
                manual_review.count(campaign)
                manual_review.by_reason(campaign)
                manual_review.cases(campaign, manual_review.OTHER_CONTRACT, limit=50)
                number_limits.by_reason(campaign)
            assert len(plans) == 5
            assert [touched(plan) < 100 for plan in plans] == [True] * 5, plans
