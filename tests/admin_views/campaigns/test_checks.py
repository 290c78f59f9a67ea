"""Checks that broke off: told on every page of the campaign, resumed by a person, on record."""

from datetime import UTC, datetime

from sqlalchemy import select, text

from app import tenancy
from app.extensions import db
from app.models import AuditEntry, Campaign


def stop(app, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        db.session.execute(
            text("UPDATE campaign SET checks_stopped_at = :at WHERE id = :id"),
            {"at": datetime.now(UTC), "id": ours.campaign},
        )
        db.session.commit()


def test_a_campaign_that_takes_no_answers_says_so_and_goes_on_when_told(app, clerk, ours):
    stop(app, ours)
    assert "質問への回答を受け付けていません" in clerk.get(f"/admin/campaign/{ours.campaign}/").get_data(as_text=True)
    url = f"/admin/campaign/{ours.campaign}/resume-checks"
    assert "再開しますか" in clerk.get(url).get_data(as_text=True)
    assert clerk.post(url).status_code == 303
    assert "受け付けていません" not in clerk.get(f"/admin/campaign/{ours.campaign}/").get_data(as_text=True)
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Campaign, ours.campaign)
        assert row.checks_stopped_at is None
        assert row.checks_watched_from is not None
        assert "resume_checks" in db.session.scalars(select(AuditEntry.act)).all()
    clerk.post(url)
    assert "止まっていません" in clerk.get(f"/admin/campaign/{ours.campaign}/").get_data(as_text=True)
