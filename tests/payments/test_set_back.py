"""While the database may have been set back, nobody is charged and no money goes back."""

import pytest

from app import tenancy
from app.payments import acts
from app.payments.pay import Outcome
from app.setback import doubt
from app.setback.known import Why
from tests.payments.shop import Buyer


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
        pytest.raises(acts.Refused, match="復元の確認待ち"),
    ):
        acts.refund(payment["id"], actor="user:1")
    [payment] = buyer.payments()
    assert (payment["state"], payment["refund_asked_at"]) == ("paid", None)


def test_a_campaign_that_waits_for_a_manager_since_a_restore_charges_nobody(buyer: Buyer) -> None:
    """Its provider could not be asked: this person may have paid since the backup."""
    buyer.database.execute("UPDATE campaign SET restore_hold = 'unknown'")
    assert buyer.press() is Outcome.HELD
    assert (buyer.sessions(), buyer.payments(), buyer.state()) == ([], [], "unpaid")
    buyer.database.execute("UPDATE campaign SET restore_hold = ''")
    assert buyer.press() is Outcome.READY
