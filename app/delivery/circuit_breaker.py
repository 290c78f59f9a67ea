"""Decide whether an account may be used at the moment: one breaker for all workers and slices, on the account's row.

Too many messages in a row without a clear yes or no open it; then each slice run tries a single one, and only its clear
answer lets the others go. A refusal that looks like the account's may be one message's, so another message is tried
before the account rests. Why and how: docs/adr/0004-circuit-breaker.md. A shared account has one breaker for all of
its companies.
"""

import threading
import time
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Interval, case, false, func, literal_column, select, text
from sqlalchemy.orm import aliased

from app import queues, tenancy
from app.accounts import shared
from app.db import Of
from app.delivery import backoff
from app.delivery.account_waits import WORTH_TELLING_S
from app.delivery.failover import GOES_BY
from app.extensions import db
from app.models import Recipient, SendLog, SmsAccount
from app.providers.sms.base import Outcome, OutcomeKind
from app.states import result_codes
from app.tenancy import lookup

# So many without a clear yes or no between them: the provider takes nothing at the moment.
_IN_A_ROW = 20
_ACCOUNT_PAUSE_S = 300.0  # a person has to mend it first
# how often a message that its service may have already tries an account that rests; seconds
TRY_EVERY_S = 10


def rests(account: Of[SmsAccount]) -> ColumnElement[bool]:
    """Return the condition that an account is not to be used now; false where an outer join found none."""
    return func.coalesce(account.resting_until > func.now(), false())


def suspect_since(person: Of[Recipient]) -> ColumnElement[datetime | None]:
    """Return when somebody who waits was last refused as if for the account's sake; null for everybody else."""
    attempt = aliased(SendLog)
    refused_at = (
        select(func.max(attempt.answered_at))
        .where(
            attempt.recipient_id == person.id,
            attempt.state == "cancelled",
            func.starts_with(attempt.code, result_codes.ACCOUNT),
        )
        .correlate(person)
        .scalar_subquery()
    )
    return case((func.starts_with(person.sms_code, result_codes.ACCOUNT), refused_at))


def suspect_until(person: Of[Recipient]) -> ColumnElement[datetime | None]:
    """Return when somebody who was refused so is tried again; null for everybody else."""
    return suspect_since(person) + literal_column("interval '1 minute'", Interval)


_SAVE = text("""
    UPDATE sms_account a SET failures = :failures, trips = :trips,
        tripped_at = CASE WHEN :trips > 0 THEN coalesce(tripped_at, now()) END,
        well_since = CASE WHEN :trips = 0 AND trips > 0 THEN now() ELSE well_since END,
        resting_until = CASE
            WHEN :opens THEN greatest(resting_until, now() + make_interval(secs => :pause_s))
            WHEN :trips > 0 THEN resting_until END,
        resting_code = CASE WHEN :opens THEN :code WHEN :trips > 0 THEN resting_code ELSE '' END,
        doubted_at = CASE WHEN :doubts THEN now() WHEN :trips > 0 THEN doubted_at END,
        send_wish_until = CASE WHEN :failures > 0 AND :wish_s >= :worth_telling_s
            THEN greatest(send_wish_until, now() + make_interval(secs => :wish_s))
            ELSE send_wish_until END,
        proved_at = CASE WHEN :proves THEN greatest(proved_at, :read_at) ELSE proved_at END
    WHERE id = :id
""")


_WAKE = text(f"""
    UPDATE slice SET due_at = now() WHERE id IN (
        SELECT s.id FROM slice s JOIN campaign c ON c.id = s.campaign_id
        WHERE {GOES_BY} = :id
        AND c.state = 'sending' AND s.due_at > now()
        ORDER BY s.id FOR NO KEY UPDATE OF s
    )
""")  # noqa: S608 - our own words


class Breaker:
    """A slice run's hold on its account's breaker: `note_outcome` by the thread that sends, `save` by the writer.

    `open` says that going on would only collect refusals and unknowns, `pause_s` for how long, seconds. While `trying`,
    one message at a time may be under way; with `doubted`, to show whose fault another one's refusal was. `woke`: a
    clear answer ended the account's rest before its time.
    """

    def __init__(self, account_id: int, *, probes: bool = False) -> None:
        """Read where the account's breaker stands. A scope must be open.

        A run that `probes` tries an account whose campaigns another one sends: its clear answer counts though the
        account rests.
        """
        self._probes = probes
        self.open = False
        self.woke = False
        self.account_fault = False
        self.pause_s = 0.0
        self._account_id = account_id
        self._lock = threading.Lock()
        self._unsaid = 0  # failures since the last clear answer that the account's row doesn't have
        self._clear = False  # a clear answer that it doesn't have
        self._doubts = False  # a message was refused as if for the account's sake
        self._taken_at = 0.0  # when the last message was accepted, by time.monotonic()
        self._doubted_left = 0.0  # when the last message left that was refused so
        self._single = 0  # refusals of single messages since the last clear answer
        self._wish_s: float | None = None
        self._code = ""
        with tenancy.transaction() as connection:
            row = connection.execute(
                text("SELECT failures, trips, doubted_at, proved_at, now() AS read_at FROM sms_account WHERE id = :id"),
                {"id": account_id},
            ).one()
        self._in_a_row: int = row.failures
        self._trips: int = row.trips
        self.trying = row.trips > 0
        self.doubted = row.doubted_at is not None
        self._proved_at: datetime | None = row.proved_at
        self._read_at: datetime = row.read_at
        self._known_bad = row.failures > 0 or row.trips > 0

    def is_own_fault(self, outcome: Outcome, suspect_since: datetime | None) -> bool:
        """Return whether a refusal that looks like the account's is this message's alone.

        It is where the same message was refused before (`suspect_since`) and another one, which left after that, got
        through. Many such in a row are the account's after all.
        """
        if not outcome.account_fault or suspect_since is None:
            return False
        if self.doubted or self._proved_at is None or self._proved_at <= suspect_since:
            return False
        with self._lock:
            self._single += 1
            return self._single <= _IN_A_ROW

    def note_outcome(self, outcome: Outcome, left_at: float | None = None) -> None:
        """Take note of one outcome; its request left at `left_at` (`time.monotonic()`), just now where that is None."""
        if outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.REFUSED}:
            self._single = 0
            if outcome.kind is OutcomeKind.ACCEPTED:
                self._taken_at = time.monotonic()
            # a message under way when the account came into doubt shows nothing
            if self._known_bad and not self._doubts:
                with self._lock:
                    self._in_a_row = self._unsaid = 0
                    self._clear = True
                    self._known_bad = self.trying = False
            return
        with self._lock:
            self._known_bad = True
            self._in_a_row += 1
            self._unsaid += 1
            self._code = outcome.code
            self._wish_s = max(self._wish_s or 0.0, outcome.retry_after_s or 0.0)
            if outcome.account_fault:
                self._doubts = True
                self._doubted_left = max(self._doubted_left, left_at or time.monotonic())
                if self.doubted or self._in_a_row >= _IN_A_ROW:
                    self.account_fault = True
                self._open(_ACCOUNT_PAUSE_S if self.account_fault else 0.0)
            elif self._in_a_row >= _IN_A_ROW or self.trying:
                self._open(backoff.pause_s(self._trips + 1, self._wish_s))

    def _open(self, pause_s: float) -> None:
        self.open = True
        self.pause_s = max(self.pause_s, pause_s)

    def save(self) -> None:
        """Share what was seen since the last time, in a transaction of its own if there is anything."""
        with self._lock:
            failures, clear, opened, pause_s = self._unsaid, self._clear, self.open, self.pause_s
            self._unsaid, self._clear = 0, False
            code, wish_s, doubts = self._code, self._wish_s, self._doubts
        if not failures and not clear:
            return
        with tenancy.transaction() as connection:
            shared.lock(connection, self._account_id)
            row = connection.execute(
                select(SmsAccount.failures, SmsAccount.trips, SmsAccount.doubted_at, rests(SmsAccount).label("rests"))
                .where(SmsAccount.id == self._account_id)
                .with_for_update(key_share=True)
            ).one()
            trips = row.trips
            # an answer to what was under way when it opened, or came into doubt, closes nothing
            settled = row.doubted_at is None or self._read_at > row.doubted_at
            closes = clear and settled and (self._probes or not row.rests)
            if closes:
                trips = 0
                self.woke = self.woke or row.rests
            total = failures if clear else row.failures + failures
            # others' failures may make the row full that this run's own don't
            if total >= _IN_A_ROW and not opened and not clear:
                opened, pause_s = True, backoff.pause_s(trips + 1, wish_s)
            if opened and failures and (self._probes or not row.rests):
                trips += 1
            connection.execute(
                _SAVE,
                {
                    "id": self._account_id,
                    "failures": total,
                    "trips": trips,
                    "opens": opened and failures > 0,
                    "pause_s": pause_s,
                    "code": code,
                    "doubts": doubts and failures > 0,
                    "proves": closes and row.doubted_at is not None,
                    "read_at": self._read_at,
                    "wish_s": backoff.wish_s(wish_s),
                    "worth_telling_s": WORTH_TELLING_S,
                },
            )
        if opened:
            self.open = True
            self.pause_s = max(self.pause_s, pause_s)

    def settle_doubt(self) -> None:
        """End a doubt of this run's own once all its answers are told, where it can be ended.

        Another message was taken while the refused one was under way, or after: the account is in order. No other one
        waits that could show it: the account rests. Otherwise the next run tries another.
        """
        if not self._doubts or self.account_fault:
            return
        shown = self._taken_at > self._doubted_left
        with tenancy.transaction() as connection:
            shared.lock(connection, self._account_id)
            if shown:
                statement = """
                    UPDATE sms_account SET failures = 0, trips = 0, resting_until = NULL, resting_code = '',
                        tripped_at = NULL, well_since = CASE WHEN trips > 0 THEN now() ELSE well_since END,
                        doubted_at = NULL, proved_at = now()
                    WHERE id = :id AND NOT coalesce(resting_until > now(), false)
                """
            elif others_wait(connection, self._account_id):
                return
            else:
                self.account_fault = True
                self._open(_ACCOUNT_PAUSE_S)
                statement = """
                    UPDATE sms_account
                    SET resting_until = greatest(resting_until, now() + make_interval(secs => :pause_s))
                    WHERE id = :id AND doubted_at IS NOT NULL
                """
            connection.execute(text(statement), {"id": self._account_id, "pause_s": _ACCOUNT_PAUSE_S})


_WAIT = f"""
    FROM campaign c JOIN slice s ON s.campaign_id = c.id
    JOIN recipient r ON r.campaign_id = c.id AND r.id BETWEEN s.first_id AND s.last_id
    WHERE c.state = 'sending' AND c.checks_stopped_at IS NULL
    AND s.due_at <= now() + interval '1 minute'
    AND r.sms_state IN ('queued', 'sending') AND NOT starts_with(r.sms_code, '{result_codes.ACCOUNT}')
"""
# of other companies only what can leave: nobody else looks after these
_WAIT_ELSEWHERE = f"""
    SELECT EXISTS (
        SELECT FROM sms_account own
        JOIN sms_account other ON other.shared_account_id = own.shared_account_id AND other.id <> own.id
        JOIN tenant t ON t.id = other.tenant_id
        CROSS JOIN LATERAL (
            SELECT {_WAIT} AND {GOES_BY} = other.id AND c.tenant_id = other.tenant_id AND c.restore_hold = '' LIMIT 1
        ) AS waiting
        WHERE own.id = %s AND other.active AND t.state IN ('trial', 'active')
    )
"""  # noqa: S608 - our own words


def others_wait(connection: Connection, account_id: int) -> bool:
    """Return whether a message of the account waits to leave now that was not refused as if for the account's sake.

    Of a shared account: a message of any of its companies.
    """
    found = connection.scalar(text(f"SELECT EXISTS (SELECT {_WAIT} AND {GOES_BY} = :id)"), {"id": account_id})
    if found:
        return True
    elsewhere = lookup.first(_WAIT_ELSEWHERE, account_id)
    return elsewhere is not None and bool(elsewhere[0])


def may_try(account_id: int) -> bool:
    """Return whether a message may try an account that rests, one in `TRY_EVERY_S`.

    Only where it rests for want of answers: what a person has to mend, and a wish of the service itself, is waited for.
    """
    with tenancy.transaction() as connection:
        found = connection.scalar(
            text("""
                UPDATE sms_account SET probed_at = now()
                WHERE id = :id AND trips > 0 AND doubted_at IS NULL AND coalesce(send_wish_until <= now(), true)
                AND coalesce(probed_at <= now() - make_interval(secs => :every_s), true)
                RETURNING id
            """),
            {"id": account_id, "every_s": TRY_EVERY_S},
        )
    return found is not None


def wake(account_id: int) -> None:
    """Have sent at once whatever an account's rest put off: the rest is over before its time."""
    with tenancy.transaction() as connection:
        connection.execute(_WAKE, {"id": account_id})
    queues.enqueue("jobs.delivery.send", once=True)


def close(account: SmsAccount) -> None:
    """Let an account be used again at once: somebody has mended it.

    The caller commits.

    Slices put off by its rest are due now; those that wait for their hours are put off again by the next lease.
    """
    shared.lock(db.session, account.id)
    db.session.execute(_WAKE, {"id": account.id})
    if account.trips:
        account.well_since = datetime.now(UTC)
    account.failures = account.trips = 0
    account.tripped_at = None
    account.resting_until = account.doubted_at = account.send_wish_until = None
    # and asked at once too: what it refuses with this token shows again
    account.ask_after = account.ask_wish_until = account.ask_refused_at = None
    account.resting_code = account.ask_refused_what = account.ask_refused_code = ""
