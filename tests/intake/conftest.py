"""A campaign whose list comes in."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app import tenancy
from app.extensions import db
from app.models import Campaign
from tests import factories


@pytest.fixture
def campaign(app: Flask) -> Iterator[Campaign]:
    with app.app_context():
        tenant_id = factories.tenant()
        user_id = factories.user(tenant_id)
        campaign_id = factories.campaign(
            tenant_id, payment_account_id=factories.payment_account(tenant_id), created_by=user_id
        )
        with tenancy.tenant(tenant_id):
            yield db.session.get_one(Campaign, campaign_id)
