"""While the database may have been set back, nobody is charged and no money goes back."""

from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.payments import operations, reconciliation
from app.payments.checkout import Outcome
from app.problems import Refused
from app.providers.payments.base import day_bounds
from app.restore import missed_payments
from app.setback import doubt
from app.setback.known import Why
from app.values.japan_time import TOKYO
from jobs import due
from tests.payments.shop import Buyer
from tests.raw_states import set_back

# nights and days are those of Japan
pytestmark = pytest.mark.usefixtures("one_day")


def test_nobody_is_led_to_a_payment_page(buyer: Buyer) -> None:
    with buyer.app.app_context(), tenancy.platform():
        doubt.watch(alive=True)
    buyer.database.execute("UPDATE installation SET timeline = timeline + 1")
    assert buyer.press() is Outcome.HELD
    assert (buyer.sessions(), buyer.payments(), buyer.state()) == ([], [], "unpaid")
    with buyer.app.app_context(), tenancy.platform():
        assert doubt.why_held() == Why.TIMELINE


def test_no_money_goes_back(buyer: Buyer) -> None:
    assert buyer.press() is Outcome.READY
    buyer.choose("card")
    buyer.confirm()
    buyer.database.execute("UPDATE beat SET count = 0")
    [payment] = buyer.payments()
    with (
        buyer.app.app_context(),
        tenancy.tenant(buyer.tenant_id),
        pytest.raises(Refused, match="held_after_restore"),
    ):
        operations.refund(payment["id"], actor="user:1")
    [payment] = buyer.payments()
    assert (payment["state"], payment["refund_asked_at"]) == ("paid", None)


def test_a_campaign_that_waits_for_a_manager_since_a_restore_charges_nobody(buyer: Buyer) -> None:
    """Its provider could not be asked: this person may have paid since the backup."""
    buyer.database.execute("UPDATE campaign SET restore_hold = 'unknown'")
    assert buyer.press() is Outcome.HELD
    assert (buyer.sessions(), buyer.payments(), buyer.state()) == ([], [], "unpaid")
    buyer.database.execute("UPDATE campaign SET restore_hold = ''")
    assert buyer.press() is Outcome.READY


def forgotten(buyer: Buyer) -> datetime:
    """Pay, and restore a backup of before; return when the money came, by the provider's word."""
    now = datetime.now(UTC)
    behind_s = min(600, int((now - day_bounds(now.astimezone(TOKYO).date())[0]).total_seconds()))
    buyer.site.faults(paid_behind_s=behind_s)
    assert buyer.press() is Outcome.READY
    buyer.choose("card")
    for table in ("payment", "event"):
        buyer.database.execute(f"DELETE FROM {table}")  # noqa: S608 - our tables
    set_back(buyer.database, "recipient", payment_state="unpaid")
    return now - timedelta(seconds=behind_s)


def restore(buyer: Buyer) -> int:
    now = datetime.now(UTC)
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        return missed_payments.write_down(buyer.tenant_id, buyer.account_id, now - timedelta(hours=2), now)


def test_what_was_paid_since_the_backup_is_recorded_at_its_time(buyer: Buyer) -> None:
    came_at = forgotten(buyer)
    assert restore(buyer) == 1
    [payment] = buyer.payments()
    assert payment["state"] == "paid"
    assert abs(payment["paid_at"] - came_at) < timedelta(seconds=20)
    assert buyer.state() == "paid"


def differences(buyer: Buyer) -> list[tuple[str, str]]:
    found = buyer.database.execute("SELECT kind, settled_by FROM payment_difference ORDER BY id").fetchall()
    return [(row[0], row[1]) for row in found]


def test_no_night_is_compared_while_payments_may_be_missing(buyer: Buyer) -> None:
    forgotten(buyer)
    buyer.database.execute("UPDATE payment_account SET compared_on = NULL")
    with buyer.app.app_context(), tenancy.platform():
        doubt.watch(alive=True)
    buyer.database.execute("UPDATE installation SET held_why = 'beat', held_at = now()")
    with buyer.app.app_context(), tenancy.platform():
        assert [] in [wanted for job, wanted in due.work() if job == "jobs.payments.reconcile_day"]
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        reconciliation.compare(buyer.tenant_id, datetime.now(UTC) + timedelta(days=1))
    assert differences(buyer) == []


def test_a_difference_closes_once_its_payment_is_recorded(buyer: Buyer) -> None:
    forgotten(buyer)
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        reconciliation.compare_day(buyer.tenant_id, buyer.account_id, datetime.now(TOKYO).date())
    assert differences(buyer) == [("unknown", "")]
    assert restore(buyer) == 1
    assert differences(buyer) == [("unknown", "system")]
