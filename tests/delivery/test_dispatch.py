"""Fair turns: nobody small waits for somebody big, between companies and within one."""

import time
from collections.abc import Callable

from app import queues
from app.delivery import dispatch
from jobs import delivery
from sandbox.harness import Sandbox
from tests import factories
from tests.launched import Job

Launched = Callable[..., Job]

SEND = "jobs.delivery.send"


def fence(job: Job) -> list[int]:
    return [row["fence"] for row in job.rows("SELECT fence FROM slice WHERE campaign_id = %s ORDER BY id")]


def million(job: Job, slices: int = 200) -> None:
    """Make a campaign the slices of a million people, all due."""
    job.change(
        """
        INSERT INTO slice (tenant_id, campaign_id, first_id, last_id, due_at)
        SELECT %s, %s, 1000000000 + n * 5000, 1000000000 + n * 5000 + 4999, now() - interval '1 hour'
        FROM generate_series(1, %s) AS n
        """,
        job.tenant_id,
        job.campaign_id,
        slices,
    )


def test_a_small_campaign_of_another_company_comes_next(launched: Launched) -> None:
    big = launched(30, slice_rows=10)
    million(big)
    dispatch.take()
    small = launched(10)
    dispatch.take()
    assert small.states() == {"accepted": 10}


def test_a_small_campaign_of_the_same_company_comes_next(launched: Launched) -> None:
    big = launched(30, slice_rows=10)
    million(big)
    dispatch.take()
    campaign_id = factories.campaign(big.tenant_id, sms_account_id=big.account_id)
    people = factories.people(big.tenant_id, campaign_id, 10)
    slices = factories.launch(big.tenant_id, campaign_id)
    small = Job(big.tenant_id, big.account_id, campaign_id, slices, people, big.database)
    dispatch.take()
    assert small.states() == {"accepted": 10}


def test_companies_take_turns(launched: Launched) -> None:
    one, other = launched(40, slice_rows=10), launched(40, slice_rows=10)
    for _ in range(4):
        dispatch.take()
    assert fence(one) == fence(other) == [1, 1, 0, 0]


def test_a_turn_ends_though_its_slice_does_not(
    launched: Launched, sandbox: Sandbox, tuned: Callable[..., None]
) -> None:
    """The carrier takes 100 messages a second: a turn of two seconds sends some 200, on a busy machine fewer."""
    tuned(send_connections=5, batch_rows=20)
    big = launched(1000)
    small = launched(10)
    big.change("UPDATE tenant SET served_at = now() WHERE id = %s", small.tenant_id)
    sandbox.faults(latency_ms=50)
    dispatch.take()
    dispatch.take()
    assert small.states() == {"accepted": 10}
    states = big.states()
    assert set(states) == {"accepted", "queued"}
    assert states["accepted"] < 400
    assert sum(big.attempts().values()) == states["accepted"], "whom the turn claimed it sent to"


def test_one_worker_sends_a_small_campaign_behind_a_big_one_within_10_s(launched: Launched, sandbox: Sandbox) -> None:
    big = launched(1500, slice_rows=500)
    million(big, 20)
    sandbox.faults(latency_ms=20)
    dispatch.take()
    small = launched(10)
    began = time.monotonic()
    delivery.send()
    accepted = small.rows("SELECT max(accepted_at) - max(queued_at) AS wait FROM recipient WHERE campaign_id = %s")
    assert small.states() == {"accepted": 10}
    assert accepted[0]["wait"].total_seconds() < 10
    assert time.monotonic() - began < 60
    assert queues.waiting(SEND) == {()}, "another worker was told that there is more"


def test_a_shift_ends_and_another_begins(launched: Launched) -> None:
    job = launched(30, slice_rows=10)
    queues.begun(SEND)
    dispatch.serve(shift_s=0)
    assert fence(job) == [1, 0, 0]
    assert queues.waiting(SEND) == {()}
