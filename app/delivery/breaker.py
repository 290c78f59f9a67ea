"""Whether an account may be used at the moment: one breaker for all workers and slices, kept on the account's row.

It opens when so many messages in a row, of whichever workers, met neither a clear yes nor a clear no, and at once when
the provider refuses the account itself. While it is open nobody leases a slice of the account and running turns stop at
their next renewal. When its time is over it is half open: each turn tries a single message, and only its clear answer
lets the others go; without one the account rests again, longer. It stands in the database, beside what it protects:
nothing of it is lost with Redis or with a worker. In good times nothing is written.
"""

import threading

from sqlalchemy import text

from app import tenancy
from app.delivery import retry
from app.models import SmsAccount
from app.sms.base import Outcome, OutcomeKind

# So many without a clear yes or no between them: the provider takes nothing at the moment.
_IN_A_ROW = 20
_ACCOUNT_PAUSE_S = 300.0  # a person has to mend it first

# True while an account is not to be used; the account stands as `a`, or doesn't exist.
RESTS = "coalesce(a.resting_until > now(), false)"


class Breaker:
    """One turn's hold on its account's breaker: `saw` by the thread that sends, `tell` by the one that writes.

    `open` says that going on would only collect refusals and unknowns, `pause_s` for how long, seconds. While `trying`,
    one message at a time may be under way.
    """

    def __init__(self, account_id: int) -> None:
        """Read where the account's breaker stands. A scope must be open."""
        self.open = False
        self.account_fault = False
        self.pause_s = 0.0
        self._account_id = account_id
        self._lock = threading.Lock()
        self._unsaid = 0  # failures since the last clear answer that the account's row doesn't have
        self._clear = False  # a clear answer that it doesn't have
        self._wish_s: float | None = None
        self._code = ""
        with tenancy.transaction() as connection:
            row = connection.execute(
                text("SELECT failures, trips FROM sms_account WHERE id = :id"), {"id": account_id}
            ).one()
        self._in_a_row: int = row.failures
        self._trips: int = row.trips
        self.trying = row.trips > 0
        self._known_bad = row.failures > 0 or row.trips > 0

    def saw(self, outcome: Outcome) -> None:
        """Take note of one outcome."""
        if outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.REFUSED}:
            if self._known_bad:
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
                self.account_fault = True
                self._open(_ACCOUNT_PAUSE_S)
            elif self._in_a_row >= _IN_A_ROW or self.trying:
                self._open(retry.pause_s(self._trips + 1, self._wish_s))

    def _open(self, pause_s: float) -> None:
        self.open = True
        self.pause_s = max(self.pause_s, pause_s)

    def tell(self) -> None:
        """Tell the others what was seen since the last time, in a transaction of its own if there is anything."""
        with self._lock:
            failures, clear, opened, pause_s = self._unsaid, self._clear, self.open, self.pause_s
            self._unsaid, self._clear = 0, False
            code, wish_s = self._code, self._wish_s
        if not failures and not clear:
            return
        with tenancy.transaction() as connection:
            row = connection.execute(
                text(f"SELECT failures, trips, {RESTS} AS rests FROM sms_account a WHERE id = :id FOR NO KEY UPDATE"),  # noqa: S608 - our own words
                {"id": self._account_id},
            ).one()
            trips = row.trips
            if clear and not row.rests:  # an answer to what was under way when it opened closes nothing
                trips = 0
            total = failures if clear else row.failures + failures
            # others' failures may make the row full that this turn's own don't
            if total >= _IN_A_ROW and not opened and not clear:
                opened, pause_s = True, retry.pause_s(trips + 1, wish_s)
            if opened and failures and not row.rests:
                trips += 1
            connection.execute(
                text("""
                    UPDATE sms_account a SET failures = :failures, trips = :trips,
                        resting_until = CASE
                            WHEN :opens THEN greatest(resting_until, now() + make_interval(secs => :pause_s))
                            WHEN :trips > 0 THEN resting_until END,
                        resting_code = CASE WHEN :opens THEN :code WHEN :trips > 0 THEN resting_code ELSE '' END
                    WHERE id = :id
                """),
                {
                    "id": self._account_id,
                    "failures": total,
                    "trips": trips,
                    "opens": opened and failures > 0,
                    "pause_s": pause_s,
                    "code": code,
                },
            )
        if opened:
            self.open = True
            self.pause_s = max(self.pause_s, pause_s)


def close(account: SmsAccount) -> None:
    """Let an account be used again at once: somebody has mended it. The caller commits."""
    account.failures = account.trips = 0
    account.resting_until = account.ask_after = None
    account.resting_code = ""
