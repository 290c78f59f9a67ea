"""Look before each act that sends: a test key reaches the company's own phones alone."""

from sqlalchemy import Connection, select

from app.api_access import test_numbers
from app.api_access.entry import Caller
from app.models import Wave
from app.problems import Refused
from app.states import locks


def check(caller: Caller, campaign_id: int) -> None:
    """Lock a campaign, so that nobody is added meanwhile, and look whose phones it has. Raises Refused."""
    if caller.live:
        return
    locks.locked_campaign(campaign_id)
    if found := test_numbers.problems(campaign_id):
        raise Refused(*found)


def people_of_last_wave(connection: Connection, campaign_id: int) -> int:
    """Return to how many people the act that was just put down goes."""
    last = select(Wave.total).where(Wave.campaign_id == campaign_id).order_by(Wave.id.desc()).limit(1)
    return connection.execute(last).scalar_one()
