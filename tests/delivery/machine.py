"""Delivery as a state machine: what may happen, in any order, and what must hold after each step.

The product's own functions run on the real PostgreSQL, under a clock that only the machine moves; what is not the
product stands in `tests.delivery.outside`.
"""

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import redis as redis_package
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from app import config, tenancy
from app.accounts import seal_witness_phone
from app.campaigns import lifecycle
from app.campaigns.send_windows import DAYTIME
from app.delivery import dispatch, resend
from app.extensions import db
from app.models import Recipient, SmsAccount
from app.outcomes import manual_review
from app.problems import Refused
from app.setback import beat
from jobs import campaigns, delivery, due, outcomes
from tests import decided, factories
from tests.clock import TOKYO, Clock, japan
from tests.conftest import _empty
from tests.delivery.outside import BEHAVIOURS, DEADLY, SLEEPY, Carrier, FakeEngine, Fate, Worker

PEOPLE = 7
START = "2036-12-28T07:59:59"
DEADLINE = "2037-01-08T20:00:00"
# a few of its days pass in a long play, all of them while everything comes to rest
LINK_DAYS = 5
STEPS: tuple[dict[str, float] | str, ...] = (
    {"seconds": 1}, {"seconds": 21}, {"seconds": 61}, {"seconds": 61}, {"minutes": 3}, {"minutes": 10}, {"hours": 1},
    {"hours": 25}, {"hours": 73}, "20:59:59", "21:00:00", "08:00:00", "08:00:00",
)  # fmt: skip
# long enough for whatever waits: a rest, the night, a retry, a look-up, a receipt that never comes
TO_REST: tuple[dict[str, float], ...] = (
    *[{"minutes": 6.0}] * 2, {"minutes": 20.0}, {"hours": 1.0}, *[{"hours": 13.0}] * 10, *[{"hours": 73.0}] * 2,
)  # fmt: skip

_NUMBER = st.integers(1, 8)
FATES = (
    st.none()
    | st.builds(Fate, st.sampled_from(DEADLY), _NUMBER, st.just(True))  # noqa: FBT003 - a strategy's value
    | st.builds(Fate, st.sampled_from(SLEEPY), _NUMBER, st.just(False))  # noqa: FBT003 - the same
)
MEETINGS = st.lists(st.sampled_from(BEHAVIOURS), min_size=3, max_size=8)


class Ground:
    """The stage of every example, emptied in between."""

    def __init__(self, app: Flask, owner: psycopg.Connection, redis: redis_package.Redis, clock: Clock) -> None:
        self.app = app
        self.owner = owner
        self.redis = redis
        self.clock = clock

    def carrier(self, push: Callable[[bytes], None]) -> Carrier:
        made = config.settings()
        return Carrier(self.clock, self.app, push, made.gateway_settle_s, made.send_timeout_s)

    def empty(self) -> None:
        db.session.remove()
        _empty(self.owner)
        self.redis.flushdb()
        beat.forget()


class Delivery(RuleBasedStateMachine):
    """One campaign of a few people in three slices, workers that come and go, a clerk and a manager."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        ground = self.ground
        ground.clock.to(START)
        self.clock = ground.clock
        self.tenant_id = factories.tenant()
        self.account_id = factories.sms_account(self.tenant_id)
        with tenancy.tenant(self.tenant_id):
            seal_witness_phone(db.session.get_one(SmsAccount, self.account_id), "+819088887777")
            db.session.commit()
        self.campaign_id = factories.campaign(
            self.tenant_id,
            sms_account_id=self.account_id,
            send_window=DAYTIME.to_json(),
            deadline_at=japan(DEADLINE),
            link_minutes=LINK_DAYS * 24 * 60,
            retry_times=2,
            retry_after_minutes=30,
        )
        self.people = [person.id for person in factories.people(self.tenant_id, self.campaign_id, PEOPLE)]
        self.user_id = factories.user(self.tenant_id, "manager")
        factories.launch(self.tenant_id, self.campaign_id, slice_rows=3)
        self.carrier = FakeEngine.carrier = ground.carrier(self._push)
        self.sleepers: list[Worker] = []
        self.decided: Counter[int] = Counter()  # whom a manager had sent to again, how often
        self.as_sent: set[int] = set()
        self.reminders = 1

    @initialize(step=st.sampled_from(["07:59:59", "08:00:00", "12:00:00", "20:59:58", "20:59:58"]))
    def day_begins(self, step: str) -> None:
        """Let a worker come by for the first time at this time of the day."""
        self.clock.to(f"{START[:10]}T{step}")

    # --- workers ---

    @rule(meetings=MEETINGS, fate=FATES)
    def work(self, meetings: list[str], fate: Fate | None) -> None:
        """Let a worker send what is due."""
        may_send = self._state() == "sending"
        before = len(self.carrier.ledger) + len(self.carrier.under_way)
        self._run(dispatch.serve, meetings, fate)
        assert may_send or len(self.carrier.ledger) + len(self.carrier.under_way) == before

    @rule(meetings=MEETINGS, fate=FATES, wave=st.booleans())
    def do_jobs(self, *, meetings: list[str], fate: Fate | None, wave: bool) -> None:
        """Let another worker do what the sweep puts back on its queue, or move those whom somebody decided about."""
        job = partial(campaigns.run_bulk_operation, self.tenant_id, self.campaign_id) if wave else self._swept
        self._run(job, meetings, fate)

    @precondition(lambda self: self.sleepers)
    @rule(kills=st.booleans())
    def wake(self, *, kills: bool) -> None:
        """Let whoever slept longest go on where it was, or never."""
        sleeper = self.sleepers.pop(0)
        sleeper.kill() if kills else sleeper.go()

    # --- time and the carrier ---

    @rule(step=st.sampled_from(STEPS), swept=st.booleans())
    def time_passes(self, *, step: dict[str, float] | str, swept: bool) -> None:
        """Let it become later; in most of the world a sweep has run then."""
        if isinstance(step, dict):
            self.clock.ahead(**step)
        else:
            at = japan(f"{self.clock.now.astimezone(TOKYO).date()}T{step}")
            self.clock.to(at if at > self.clock.now else at + timedelta(days=1))
        self.carrier.time_passed()
        if swept:
            self._run(self._swept, [], None)

    @rule(
        number=st.integers(0, 30),
        end=st.sampled_from(["delivered", "undelivered", "vacant"]),
        times=st.integers(0, 2),
        late=st.booleans(),
        applied=st.booleans(),
    )
    def message_ends(self, *, number: int, end: str, times: int, late: bool, applied: bool) -> None:
        """Let an SMS come to its end; its receipts come never, once or twice, and after the end one from before it."""
        waiting = [message for message in self.carrier.ledger if not message.end]
        if not waiting:
            return
        message = waiting[number % len(waiting)]
        early = json.dumps(message.body()).encode()
        message.end = end
        for body in [json.dumps(message.body()).encode()] * times + [early] * late:
            factories.keep_receipt(self.account_id, body)
        if applied:
            outcomes.apply_receipts(self.tenant_id)

    # --- people of the back office ---

    @rule(
        act=st.sampled_from(["pause", "resume", "resume", "decide", "decide", "resend", "remind", "cancel"]),
        number=st.integers(0, PEOPLE - 1),
        sure=st.booleans(),
    )
    def somebody_acts(self, *, act: str, number: int, sure: bool) -> None:
        """Let a clerk or a manager do something to the campaign, or decide about somebody who is held."""
        with tenancy.tenant(self.tenant_id), contextlib.suppress(Refused):
            if act in {"pause", "resume"}:
                getattr(lifecycle, act)(self.campaign_id, user_id=self.user_id)
            elif act == "decide":
                self._decide(self.people[number], as_sent=sure)
            elif act == "resend":  # to those whose first SMS is dead
                resend.resend(self.campaign_id, user_id=self.user_id)
            elif act == "remind" and sure:
                resend.remind(self.campaign_id, "unopened", user_id=self.user_id, number=self.reminders)
                self.reminders += 1
            elif act == "cancel" and sure and number == 0:
                lifecycle.cancel(self.campaign_id, user_id=self.user_id)

    def _decide(self, person: int, *, as_sent: bool) -> None:
        if decided.settle(person, as_sent=as_sent, user_id=self.user_id):
            if as_sent:
                self.as_sent.add(person)
            else:
                self.decided[person] += 1

    # --- what must hold ---

    @invariant()
    def no_reference_and_nobody_has_a_second_sms(self) -> None:
        """Nothing outside decides this: the carrier's own ledger does."""
        tags = Counter(message.tag for message in self.carrier.ledger)
        assert not [tag for tag, times in tags.items() if times > 1]
        alive = Counter(_person(message.tag) for message in self.carrier.to_people if message.end in {"", "delivered"})
        assert not {person: n for person, n in alive.items() if n > 1 + self._allowed()[person]}

    @invariant()
    def nothing_leaves_outside_its_hours(self) -> None:
        """By the carrier's ledger, and by when it left."""
        for message in self.carrier.ledger:
            at = message.left_at.astimezone(TOKYO)
            assert 8 <= at.hour < 21, at
            assert at < japan(DEADLINE)

    @invariant()
    def no_link_that_lives_is_ended(self) -> None:
        """Whoever was sent to again has a link that leads somewhere."""
        assert not self._rows("SELECT 1 FROM recipient WHERE page_state = 'expired' AND link_expires_at > clock.now()")

    def teardown(self) -> None:
        """Let everything come to rest, and look for everybody."""
        try:
            if sys.exc_info()[0] is None:
                self._come_to_rest()
                self._nobody_is_lost()
        finally:
            for sleeper in self.sleepers:
                sleeper.kill()
            self.ground.empty()

    def _come_to_rest(self) -> None:
        for sleeper in self.sleepers:
            sleeper.go()
        self.sleepers.clear()
        with tenancy.tenant(self.tenant_id):
            lifecycle.resume(self.campaign_id, user_id=self.user_id)
        for step in TO_REST:
            self.clock.ahead(**step)
            self.carrier.time_passed()
            for _ in range(2):
                self._run(self._swept, [], None)
                self._run(dispatch.serve, [], None)
            self.no_reference_and_nobody_has_a_second_sms()
            self.nothing_leaves_outside_its_hours()

    def _nobody_is_lost(self) -> None:
        people = self._rows("SELECT * FROM recipient ORDER BY id")
        assert len(people) == PEOPLE
        undecided = [
            person for person in people if person["sms_state"] == "unknown" and person["sms_code"] != "no_receipt"
        ]
        assert self._state() in ({"sending", "cancelled"} if undecided else {"completed", "cancelled"})
        for person in people:
            mine = [message for message in self.carrier.to_people if _person(message.tag) == person["id"]]
            ends = {message.end for message in mine}
            state, code = person["sms_state"], person["sms_code"]
            if state == "unknown":
                with tenancy.tenant(self.tenant_id):
                    assert manual_review.is_held(db.session.get_one(Recipient, person["id"]))
                assert code != "no_receipt" or "" in ends
                assert not ends & {"delivered"}, "who can be looked up is"
            elif state == "accepted":
                assert code == "by_hand:sent"
                assert person["id"] in self.as_sent
            elif state == "delivered":
                assert "delivered" in ends
            else:
                assert state in {"undelivered", "cancelled", "expired"}, state
                if not self._allowed()[person["id"]]:
                    assert not ends & {"", "delivered"}, "an SMS arrived that nobody knows of"
        assert not self._rows("SELECT 1 FROM slice WHERE leased_until > clock.now()")
        assert not self._rows(
            "SELECT 1 FROM recipient WHERE page_state = 'unopened' AND link_expires_at <= clock.now()"
        ), "nobody opened anything: a link that is over stands so"

    # --- how it is done ---

    def _run(self, work: Callable[[], object], meetings: list[str], fate: Fate | None) -> None:
        self.carrier.behaviours = list(meetings)
        worker = Worker(self.ground.app, work, fate)
        worker.go()
        if worker.asleep:
            self.sleepers.append(worker)

    def _swept(self) -> None:
        with tenancy.platform():
            wanted = list(due.work())
        jobs: dict[str, Callable[..., None]] = {
            "jobs.campaigns.run_bulk_operation": campaigns.run_bulk_operation,
            "jobs.outcomes.reconcile": outcomes.reconcile,
            "jobs.outcomes.poll": outcomes.poll,
            "jobs.outcomes.apply_receipts": outcomes.apply_receipts,
            "jobs.delivery.expire_links": delivery.expire_links,
        }
        for name, due_now in wanted:
            for ids in due_now if name in jobs else ():
                jobs[name](*ids)

    def _allowed(self) -> Counter[int]:
        """Count the SMS more than one that a person decided: a manager's word, a clerk's reminders."""
        rows = self._rows("SELECT recipient_id AS id FROM event WHERE state = 'queued' AND detail ? 'reminder'")
        return self.decided + Counter(row["id"] for row in rows)

    def _push(self, body: bytes) -> None:
        with self.ground.app.app_context():
            factories.keep_receipt(self.account_id, body)
            outcomes.apply_receipts(self.tenant_id)

    def _state(self) -> str:
        return str(self._rows("SELECT state FROM campaign")[0]["state"])

    def _rows(self, statement: str) -> list[dict[str, Any]]:
        with self.ground.owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(statement).fetchall()


def _person(tag: str) -> int:
    return int(tag.split(".")[1])
