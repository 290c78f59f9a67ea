"""Events reach a company's own server: signed, once where all is well, again where it isn't."""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from svix.webhooks import Webhook

from app import tenancy
from app.problems import Refused
from app.webhooks import endpoints, replay, retry_schedule, turn
from app.webhooks.message import MOST_BYTES
from tests import factories, steps
from tests.webhooks.company import Company

DAY = timedelta(days=1)


def test_every_step_is_told_once_and_in_order(company: Company) -> None:
    endpoint = company.endpoint()
    person = company.people[0]
    steps.deliver(person.id)
    steps.open_page(person.id)
    company.serve(endpoint)
    company.serve(endpoint)
    told = [one["data"] for one in company.taken()]
    assert [one["type"] for one in company.taken()] == ["sms.queued", "sms.accepted", "sms.delivered", "page.opened"]
    assert {one["reference"] for one in told} == {person.reference}
    assert [one["sequence"] for one in told] == [1, 3, 4, 5], "what nobody asked for counts too"
    rows = company.deliveries(endpoint)
    assert [(row["delivered"], row["status"], row["due_at"]) for row in rows] == [(True, 200, None)] * 4


def test_what_happened_before_the_endpoint_is_not_told(company: Company) -> None:
    steps.deliver(company.people[0].id)
    endpoint = company.endpoint()
    steps.open_page(company.people[0].id)
    company.serve(endpoint)
    assert [kind for _, kind in company.steps()] == ["page.opened"]


def test_an_endpoint_gets_the_types_that_it_asked_for(company: Company) -> None:
    endpoint = company.endpoint(types=["sms.delivered", "campaign.paused"])
    steps.deliver(company.people[0].id)
    company.serve(endpoint)
    assert [kind for _, kind in company.steps()] == ["sms.delivered"]


def test_a_message_is_small_and_holds_no_phone_name_or_answer(company: Company, delivered: Callable[[], int]) -> None:
    company.serve(delivered())
    bodies = [one["body"] for one in company.sandbox.received("main")]
    assert len(bodies) == 9
    for body in bodies:
        assert len(body.encode()) <= MOST_BYTES
        for person in company.people:
            secret = [person.phone, "0" + person.phone[3:], *person.fields.values(), *person.answers, person.token]
            assert [word for word in secret if word in body] == []


def test_a_reference_that_is_a_phone_number_is_left_out(company: Company) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    company.change("UPDATE recipient SET reference = '090-1234-5678' WHERE id = %s", company.people[0].id)
    company.change("UPDATE recipient SET reference = %s WHERE id = %s", "管" * 3000, company.people[1].id)
    steps.open_page(company.people[0].id, company.people[1].id)
    company.serve(endpoint)
    assert sorted(str(one["data"]["reference"]) for one in company.taken()) == ["None", "管" * 100]


def test_signatures_pass_svix_and_the_specification(company: Company, delivered: Callable[[], int]) -> None:
    endpoint = delivered()
    company.serve(endpoint)
    secret = company.secrets[endpoint]
    for one in company.sandbox.received("main"):
        Webhook(secret).verify(one["body"], one["headers"])
        headers = {name.lower(): value for name, value in one["headers"].items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{one['body']}".encode()
        digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(one["body"] + " ", one["headers"])


def test_both_secrets_sign_while_two_are_alive(company: Company, clock: time_machine.Traveller) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    old = company.secrets[endpoint]
    with tenancy.tenant(company.tenant):
        new = endpoints.renew_secret(endpoint, actor="user:1")
    steps.open_page(company.people[0].id)
    company.serve(endpoint)
    (one,) = company.sandbox.received("main")
    for secret in (old, new):
        Webhook(secret).verify(one["body"], one["headers"])
    company.pass_on(clock, hours=25)
    steps.open_page(company.people[1].id)
    company.serve(endpoint)
    one = company.sandbox.received("main")[1]
    Webhook(new).verify(one["body"], one["headers"])
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(old).verify(one["body"], one["headers"])


def test_the_secret_before_is_ended_at_once(company: Company) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    with tenancy.tenant(company.tenant):
        endpoints.renew_secret(endpoint, actor="user:1")
        endpoints.end_former_secret(endpoint, actor="user:1")
    steps.open_page(company.people[0].id)
    company.serve(endpoint)
    (one,) = company.sandbox.received("main")
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(company.secrets[endpoint]).verify(one["body"], one["headers"])


def test_a_repetition_is_the_same_message(company: Company, clock: time_machine.Traveller) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    company.sandbox.receives("main", "500", "ok")
    steps.open_page(company.people[0].id)
    company.serve(endpoint)
    company.pass_on(clock, seconds=7)
    company.serve(endpoint)
    with tenancy.tenant(company.tenant):
        replay.one(endpoint, company.deliveries(endpoint)[0]["id"], actor="user:1")
    company.serve(endpoint)
    first, second, third = company.sandbox.received("main")
    assert first["body"] == second["body"] == third["body"]
    assert len({one["headers"]["webhook-id"] for one in (first, second, third)}) == 1
    assert first["headers"]["webhook-timestamp"] != second["headers"]["webhook-timestamp"]


@pytest.mark.parametrize("act", ["500", "404", "301", "307", "cut", "busy"])
def test_what_a_receiver_did_not_take_comes_again(company: Company, clock: time_machine.Traveller, act: str) -> None:
    endpoint = company.endpoint(types=["sms.delivered"])
    company.sandbox.receives("main", act, act, act)
    steps.deliver(*[person.id for person in company.people])
    company.serve(endpoint)
    assert company.taken() == []
    faults = {row["fault"] for row in company.deliveries(endpoint)}
    assert faults == {{"301": "redirect", "307": "redirect", "cut": "empty"}.get(act, "http")}
    company.pass_on(clock, seconds=10)
    company.serve(endpoint)
    assert Counter(company.steps()) == {(person.reference, "sms.delivered"): 1 for person in company.people}
    assert len(company.sandbox.received("main")) == 6, "a redirect is followed by nobody"


def test_the_schedule_of_one_delivery(company: Company, clock: time_machine.Traveller) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    # other deliveries arrive in between: it is this message that the receiver does not take
    steps.open_page(company.people[0].id)
    company.sandbox.receives("main", then="500")
    tries = []
    for pause_s in (*retry_schedule.PAUSES_S, 10 * DAY.total_seconds()):
        company.serve(endpoint)
        company.change("UPDATE webhook_endpoint SET failures = 0, failing_since = NULL, wait_until = NULL")
        tries.append(len(company.sandbox.received("main")))
        if pause_s < 10 * DAY.total_seconds():
            clock.shift(pause_s - 4)
            company.serve(endpoint)
            assert len(company.sandbox.received("main")) == tries[-1], "no sooner than planned"
        clock.shift(4 + pause_s * 0.2)
    assert tries == list(range(1, 11))
    (row,) = company.deliveries(endpoint)
    assert (row["due_at"], row["delivered"], row["tries"], row["status"]) == (None, False, 10, 500)
    with tenancy.tenant(company.tenant):
        assert replay.failed(endpoint, actor="user:1") == 1
    company.sandbox.receives("main")
    company.serve(endpoint)
    assert company.steps() == [(company.people[0].reference, "page.opened")]


def test_retry_after_is_kept(company: Company, clock: time_machine.Traveller) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    company.sandbox.receives("main", "busy", retry_after_s=120)
    steps.open_page(company.people[0].id)
    rest_s = company.serve(endpoint)
    assert rest_s >= 120
    for _ in range(2):
        company.pass_on(clock, seconds=50)
        company.serve(endpoint)
        assert len(company.sandbox.received("main")) == 1
    company.pass_on(clock, seconds=30)
    company.serve(endpoint)
    assert len(company.taken()) == 1


def test_gone_ends_an_endpoint(company: Company) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    company.sandbox.receives("main", "410")
    steps.open_page(company.people[0].id)
    company.serve(endpoint)
    steps.open_page(company.people[1].id)
    company.serve(endpoint)
    assert company.row(endpoint)["rests_because"] == "gone"
    assert len(company.sandbox.received("main")) == 1


def test_five_days_of_failure_rest_an_endpoint_and_resuming_loses_nothing(
    company: Company, clock: time_machine.Traveller
) -> None:
    endpoint = company.endpoint(types=["sms.delivered"])
    company.sandbox.receives("main", then="500")
    steps.deliver(*[person.id for person in company.people])
    company.serve(endpoint)
    for _ in range(10):
        assert company.row(endpoint)["rests_because"] == ""
        company.pass_on(clock, hours=12)
        company.serve(endpoint)
    assert company.row(endpoint)["rests_because"] == "failing"
    before = len(company.sandbox.received("main"))
    company.sandbox.receives("main")
    company.pass_on(clock, hours=12)
    company.serve(endpoint)
    assert len(company.sandbox.received("main")) == before
    with tenancy.tenant(company.tenant):
        endpoints.resume(endpoint, actor="user:1")
    company.serve(endpoint)
    assert Counter(company.steps()) == {(person.reference, "sms.delivered"): 1 for person in company.people}


def test_an_hour_down_costs_few_requests_and_no_delivery(company: Company, clock: time_machine.Traveller) -> None:
    endpoint = company.endpoint(types=["sms.queued", "sms.accepted", "sms.delivered"])
    company.sandbox.receives("main", then="cut")
    steps.deliver(*[person.id for person in company.people])
    for _ in range(60):
        company.serve(endpoint)
        company.pass_on(clock, minutes=1)
    assert company.row(endpoint)["failures"] >= retry_schedule.FAILING_AFTER
    assert len(company.sandbox.received("main")) < 40
    company.sandbox.receives("main")
    company.pass_on(clock, minutes=6)
    company.serve(endpoint)
    assert len(company.taken()) == 9
    assert company.row(endpoint)["failures"] == 0


def test_an_endpoint_that_fails_gets_one_delivery_at_a_time(company: Company, clock: time_machine.Traveller) -> None:
    endpoint = company.endpoint(types=["sms.queued", "sms.accepted", "sms.delivered"])
    company.change("UPDATE webhook_endpoint SET failures = 9, failing_since = now()")
    company.sandbox.receives("main", then="500")
    steps.deliver(*[person.id for person in company.people])
    company.serve(endpoint)
    assert len(company.sandbox.received("main")) == 1
    company.pass_on(clock, minutes=6)
    company.serve(endpoint)
    assert len(company.sandbox.received("main")) == 2


def test_what_waits_while_an_endpoint_rests_is_left_out_where_a_manager_says_so(company: Company) -> None:
    endpoint = company.endpoint(types=["page.opened"])
    with tenancy.tenant(company.tenant):
        endpoints.rest(endpoint, actor="user:1")
    steps.open_page(company.people[0].id)
    company.serve(endpoint)
    with tenancy.tenant(company.tenant):
        endpoints.resume(endpoint, actor="user:1", skip=True)
    steps.open_page(company.people[1].id)
    company.serve(endpoint)
    assert company.steps() == [(company.people[1].reference, "page.opened")]


@pytest.mark.parametrize("in_order", [True, False])
def test_the_order_of_a_recipient_is_kept_where_it_is_wished(
    company: Company, clock: time_machine.Traveller, *, in_order: bool
) -> None:
    endpoint = company.endpoint(in_order=in_order)
    company.sandbox.receives("main", "500", "500", "500")
    steps.deliver(*[person.id for person in company.people])
    company.serve(endpoint)
    steps.open_page(*[person.id for person in company.people])
    company.serve(endpoint)
    for _ in range(4):
        company.pass_on(clock, seconds=400)
        company.serve(endpoint)
    assert len(company.taken()) == 12
    by_person: dict[str, list[int]] = {}
    for one in company.taken():
        by_person.setdefault(one["data"]["reference"], []).append(one["data"]["sequence"])
    kept = all(told == sorted(told) for told in by_person.values())
    assert kept == in_order


def test_a_test_message_is_sent_once_also_to_an_endpoint_that_rests(company: Company) -> None:
    endpoint = company.endpoint()
    with tenancy.tenant(company.tenant):
        endpoints.rest(endpoint, actor="user:1")
        replay.ping(endpoint, actor="user:1")
        company.sandbox.receives("main", "500")
    company.serve(endpoint)
    company.serve(endpoint)
    (one,) = company.sandbox.received("main")
    assert json.loads(one["body"])["type"] == "ping"
    Webhook(company.secrets[endpoint]).verify(one["body"], one["headers"])
    (row,) = company.deliveries(endpoint)
    assert (row["due_at"], row["status"], row["delivered"]) == (None, 500, False)


def test_a_span_is_sent_again(company: Company, delivered: Callable[[], int]) -> None:
    endpoint = delivered()
    company.serve(endpoint)
    company.change("UPDATE webhook_delivery SET event_at = '2026-01-02T03:00:00+09' WHERE event_type = 'sms.queued'")
    day = timedelta(days=1)
    with tenancy.tenant(company.tenant):
        first = company.deliveries(endpoint)[0]["event_at"].date()
        assert replay.span(endpoint, first + day, first, actor="user:1") == 3
    company.serve(endpoint)
    assert Counter(kind for _, kind in company.steps())["sms.queued"] == 6


def test_another_companys_deliveries_stay_where_they_are(company: Company, delivered: Callable[[], int]) -> None:
    endpoint = delivered()
    company.serve(endpoint)
    stranger = factories.tenant("さくら商事")
    acts = (
        lambda: replay.failed(endpoint, actor="user:1"),
        lambda: replay.one(endpoint, company.deliveries(endpoint)[0]["id"], actor="user:1"),
        lambda: replay.ping(endpoint, actor="user:1"),
        lambda: endpoints.rest(endpoint, actor="user:1"),
        lambda: endpoints.renew_secret(endpoint, actor="user:1"),
    )
    for act in acts:
        with tenancy.tenant(stranger), pytest.raises(Refused) as refused:
            act()
        assert refused.value.problem.code == "webhook_not_found"
    with tenancy.tenant(stranger):
        assert turn.take(endpoint) == turn.ELSEWHERE_S
