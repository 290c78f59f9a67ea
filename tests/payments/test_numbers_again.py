"""Row numbers that come again, as after a restored backup: nobody pays on a page that was made for somebody else."""

from app.payments.checkout import Outcome
from tests.payments.nights import found, night
from tests.payments.shop import Buyer, make_buyer


def again(buyer: Buyer) -> Buyer:
    """Lose a person with their payments, and let their row's number be the next one's, in the same company."""
    for table in ("payment", "event"):
        buyer.database.execute(f"DELETE FROM {table} WHERE campaign_id = %s", [buyer.campaign_id])  # noqa: S608
    buyer.database.execute("DELETE FROM recipient WHERE id = %s", [buyer.person.id])
    buyer.database.execute("SELECT setval(pg_get_serial_sequence('recipient', 'id'), %s, false)", [buyer.person.id])
    made = make_buyer(buyer.app, buyer.database, buyer.site, buyer.tenant_id, buyer.account_id)
    assert made.person.id == buyer.person.id
    return made


def test_somebody_else_gets_a_payment_page_of_their_own(buyer: Buyer) -> None:
    assert buyer.press() is Outcome.READY
    before = buyer.payments()[0]
    other = again(buyer)
    assert other.press() is Outcome.READY, "the provider knows no order by this name yet"
    (after,) = other.payments()
    assert (after["attempt"], before["attempt"]) == (1, 1)
    assert after["reference"] != before["reference"]
    assert after["provider_id"] != before["provider_id"]
    assert len(buyer.sessions()) == 2


def test_money_on_the_page_of_before_pays_nobody_elses_bill(buyer: Buyer) -> None:
    buyer.press()
    other = again(buyer)
    buyer.choose("card")
    other.press()
    other.confirm()
    night(other)
    assert other.state() == "started"
    assert ("unknown", None, 12_000, "") in found(other), "the company is told of money that nobody here owes"


def test_an_attempt_of_before_there_were_secrets_goes_on_as_it_was(buyer: Buyer) -> None:
    buyer.set("link_secret = NULL")
    buyer.press()
    (payment,) = buyer.payments()
    (key,) = buyer.database.execute("SELECT key FROM campaign WHERE id = %s", [buyer.campaign_id]).fetchone() or ("",)
    assert payment["reference"] == f"{key}.{buyer.person.id}.p1"
    buyer.choose("card")
    night(buyer)
    assert buyer.state() == "paid"
