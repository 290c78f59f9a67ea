"""`flask after-restore`: ask, write down, lift the hold."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from app import audit, queues, tenancy
from app.config import settings
from app.restore import missed_messages, missed_payments
from app.setback import account_holds, beat, doubt, outside, provider_listing
from app.setback.doubt import MARGIN
from app.setback.known import Beat, Branch, Known, Why
from app.setback.provider_listing import Unasked
from app.states import result_codes

# so many numbers of each sequence are passed over, beside all that were seen: what was drawn since the backup
_PASSED_OVER = 10_000

_Times = tuple[datetime, datetime]

_log = structlog.get_logger()


class NotLifted(Exception):  # noqa: N818 - it says what became of the hold
    """The hold stays; `args[0]` says why and what to do."""


@dataclass(slots=True)
class Restored:
    """The findings and acts of a restore.

    Of `unasked` accounts campaigns stay held, for a manager to release.
    """

    since: str = ""
    accounts: int = 0
    attempts: int = 0
    strangers: int = 0
    payments: int = 0
    unasked: list[str] = field(default_factory=list)
    held_campaigns: int = 0
    held_people: int = 0
    campaigns_held_now: int = 0


def restore(
    *,
    take_over: str = "",
    since: datetime | None = None,
    nothing_left: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _words: None,
) -> Restored:
    """Write down what left and was paid since the backup, then lift the hold.

    Raises NotLifted.

    No scope may be open. `since` is the backup's time where the database's last sign of life isn't. Until what left
    last has settled at the services this waits. `say` is told how far it is.

    Where outside knows of commits that are lost and no service shows anything that the database lacks, a list may be
    late: nothing is lifted until whoever looked at the services' own screens says that `nothing_left`.
    """
    known = _known(take_over)
    start, _ = times = _hold(since, sleep, say)
    done = Restored(since=start.isoformat(timespec="seconds"))
    highest = _write_down_messages(done, times, sleep, say)
    _write_down_payments(done, times, say)
    with tenancy.platform():
        _advance(highest)
        if not nothing_left:
            _doubt_silence(known, start, done)
        _lift(known, take_over, done)
        done.campaigns_held_now = _held_now()
    return done


def _write_down_messages(
    done: Restored, times: _Times, sleep: Callable[[float], None], say: Callable[[str], None]
) -> int:
    """Write down the SMS that left between the two times.

    Returns the highest number of a recipient among them.
    """
    start, now = times
    highest = 0
    with tenancy.platform():
        accounts = provider_listing.accounts()
    for number, account in enumerate(accounts, 1):
        say(f"SMS account {number} of {len(accounts)}: {account.name}")
        with tenancy.tenant(account.tenant_id):
            try:
                begins = account_holds.since(account_holds.SMS, account.id, start)
                found = missed_messages.whole(account, begins, now, gap_s=_gap_s(), sleep=sleep)
                highest = max([highest, *missed_messages.numbers(found)])
                attempts, strangers = missed_messages.write_down(account, found)
            except Unasked as fault:
                _hold_account(done, (account_holds.SMS, account.id, account.name), fault, times)
                continue
            account_holds.lift(account_holds.SMS, account.id, actor="system")
        done.accounts += 1
        done.attempts += attempts
        done.strangers += strangers
    return highest


def _write_down_payments(done: Restored, times: _Times, say: Callable[[str], None]) -> None:
    """Write down the payments that were made between the two times."""
    start, now = times
    with tenancy.platform():
        accounts = _payment_accounts()
    for number, (tenant_id, account_id, name) in enumerate(accounts, 1):
        say(f"payment account {number} of {len(accounts)}: {name}")
        with tenancy.tenant(tenant_id):
            try:
                begins = account_holds.since(account_holds.PAYMENT, account_id, start)
                done.payments += missed_payments.write_down(tenant_id, account_id, begins, now)
            except Unasked as fault:
                _hold_account(done, (account_holds.PAYMENT, account_id, name), fault, times)
                continue
            account_holds.lift(account_holds.PAYMENT, account_id, actor="system")


def next_steps(done: Restored) -> list[str]:
    """Return what is left to do."""
    steps = [f"not asked: {item}" for item in done.unasked]
    if done.unasked:
        steps.append(
            "http 429 or 5xx, no answer, too_slow: run after-restore again later. http 401 or 403, unusable: have the"
            " token renewed first. no_list: a manager compares with the provider's own screens."
        )
    if done.campaigns_held_now:
        steps.append(
            f"{done.campaigns_held_now} campaigns stay held (復元の確認待ち): their own pages and home say why, and a"
            " manager lets them go on there."
        )
    if done.strangers:
        steps.append(
            f"{done.strangers} SMS left for people of lists that came after the backup: those numbers are held."
        )
    return steps or ["nothing is left to do: sending goes on."]


def _held_now() -> int:
    """Count the campaigns that wait for an account, or a manager, whatever run held them."""
    with tenancy.transaction() as connection:
        statement = text("SELECT count(*) FROM campaign WHERE restore_hold <> '' AND state <> 'cancelled'")
        return int(connection.execute(statement).scalar_one())


def _known(take_over: str) -> Known:
    """Read what outside knows. Raises NotLifted where that is another installation's."""
    try:
        known = beat.listen()
    except outside.OutsideAway as fault:
        raise NotLifted(f"OUTSIDE_DIR can't be read: {fault}") from None
    with tenancy.platform(), tenancy.transaction() as connection:
        beat.begin(connection)
        key = connection.execute(text("SELECT key FROM installation")).scalar()
    others = {branch.installation for branch in known.counts} - {key, take_over}
    if others:
        raise NotLifted(
            "OUTSIDE_DIR or Redis belong to another installation. Point them to this one's own; or, where this is that"
            f" installation with an older database, say so: --take-over {' or '.join(sorted(others))}"
        )
    return known


def _hold(
    since: datetime | None, sleep: Callable[[float], None], say: Callable[[str], None]
) -> tuple[datetime, datetime]:
    """Hold everything, wait until what left last has settled.

    Returns the time to ask about.
    """
    with tenancy.platform():
        doubt.hold(beat.NothingMayLeave(Why.BEAT))
        with tenancy.transaction() as connection:
            row = connection.execute(
                text("""
                    SELECT coalesce(held_since, created_at) AS since,
                        extract(epoch FROM held_at + make_interval(secs => :settle_s) - now()) AS wait_s
                    FROM installation
                """),
                {"settle_s": provider_listing.settle_s()},
            ).one()
    if row.wait_s > 0:
        _log.warning("waiting for last messages to settle", seconds=round(row.wait_s))
        say(f"waiting {row.wait_s:.0f} s until what left last has settled at the services")
        sleep(float(row.wait_s))
    with tenancy.platform(), tenancy.transaction() as connection:
        now = connection.execute(text("SELECT now()")).scalar_one()
    return min(row.since, since or row.since) - MARGIN, now + timedelta(seconds=1)


def _gap_s() -> float:
    """Return the time between two readings of a list, seconds."""
    return settings().absence_gap_s


def _payment_accounts() -> list[tuple[int, int, str]]:
    with tenancy.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT tenant_id, id, name FROM payment_account a WHERE credentials_sealed IS NOT NULL
                AND EXISTS (SELECT FROM campaign c WHERE c.payment_account_id = a.id) ORDER BY id
            """)
        ).all()
    return [tuple(row) for row in rows]


def _hold_account(done: Restored, account: tuple[str, int, str], fault: Unasked, times: _Times) -> None:
    """Leave an account (kind, id, name), and the campaigns that it matters to, to a manager."""
    kind, account_id, name = account
    code = str(fault)
    _log.error("account not queried, campaigns held", kind=kind, account_id=account_id, reason=code)
    done.unasked.append(f"{name} ({code})")
    held = account_holds.hold(kind, account_id, code, start=times[0], end=times[1])
    done.held_campaigns += held.campaigns
    done.held_people += int(held.people)


def _advance(highest: int) -> None:
    """Draw on from beyond every number that was seen: none comes again for somebody else."""
    with tenancy.transaction() as connection:
        sequences = connection.execute(
            # those that the product draws from by name; the others number what nobody outside knows
            text("""
                SELECT oid::regclass::text AS name,
                    oid = pg_get_serial_sequence('recipient', 'id')::regclass AS of_people
                FROM pg_class
                WHERE relnamespace = 'public'::regnamespace
                AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(oid, 'USAGE') ELSE false END
            """)
        ).all()
        for row in sequences:
            next_one = connection.execute(text("SELECT nextval(:name)"), {"name": row.name}).scalar_one()
            ahead = _PASSED_OVER + (max(0, highest - next_one) if row.of_people else 0)
            connection.execute(
                text("SELECT count(nextval(:name)) FROM generate_series(1, :ahead)"), {"name": row.name, "ahead": ahead}
            )


def _doubt_silence(known: Known, start: datetime, done: Restored) -> None:
    """Look whether the services show any of what outside knows to have happened.

    Raises NotLifted.
    """
    lost = _lost_commits(known)
    if not lost or done.attempts or done.strangers or done.payments or done.unasked or _written_before(start):
        return
    raise NotLifted(
        f"outside knows of {lost} lost commits by which SMS left or payments began, and no service shows one that the"
        " database lacks. A list may be late: run after-restore again later. Where the services' own screens show"
        f" nothing since {done.since} either, payments were only begun, or all of it left by accounts that were"
        " registered since, say so: --nothing-left"
    )


def _lost_commits(known: Known) -> int:
    """Count the beats that outside knows and the database doesn't."""
    with tenancy.transaction() as connection:
        epoch = connection.execute(text("SELECT epoch FROM installation")).scalar_one()
        rows = connection.execute(text("SELECT slot, count AS raised FROM beat")).all()
    return known.lost(epoch, {row.slot: row.raised for row in rows})


def _written_before(start: datetime) -> bool:
    """Return whether an earlier run, which came to no end, wrote down what left."""
    with tenancy.transaction() as connection:
        return bool(
            connection.execute(
                text("""
                    SELECT EXISTS (SELECT FROM send_log WHERE code = :code AND started_at >= :start)
                    OR EXISTS (SELECT FROM missed_message WHERE left_at >= :start)
                """),
                {"code": result_codes.RESTORED, "start": start},
            ).scalar_one()
        )


def _lift(known: Known, take_over: str, done: Restored) -> None:
    """Begin a new epoch: whatever outside knows of earlier ones counts no more."""
    with tenancy.transaction() as connection:
        row = connection.execute(
            text(f"""
                UPDATE installation SET epoch = greatest(epoch, :newest) + 1,
                    key = CASE WHEN :key = '' THEN key ELSE :key END,
                    system = {beat.RUNS_ON}, timeline = {beat.RUNS_ALONG}, held_why = '', held_at = NULL,
                    held_since = NULL, held_facts = '{{}}', asking_until = NULL, held_event_id = NULL,
                    -- the numbers of transactions may begin anew with this server: what the feed tells from here on
                    -- comes after all that was restored
                    feed_eras = feed_eras || jsonb_build_array(jsonb_build_array(
                        greatest(epoch, :newest) + 1,
                        coalesce(held_event_id, (SELECT last_value FROM event_id_seq))
                    )),
                    restored_since = least(
                        CASE WHEN restored_until > now() - interval '90 days' THEN restored_since END,
                        CAST(:since AS timestamptz)
                    ),
                    restored_until = now()
                RETURNING key, epoch, system, timeline, clock_timestamp() AS now
            """),  # noqa: S608 - our own words
            {"newest": known.newest_epoch(), "key": take_over, "since": done.since},
        ).one()
        counts = connection.execute(
            text("UPDATE beat SET count = count + 1, at = clock_timestamp() RETURNING slot, count AS raised")
        ).all()
        detail = {
            name: getattr(done, name)
            for name in ("since", "accounts", "attempts", "strangers", "payments", "held_campaigns", "held_people")
        }
        audit.record(connection, actor="system", act="after_restore", target="installation", detail=detail)
    branch = Branch(row.key, row.epoch, row.system, row.timeline)
    for slot, raised in counts:
        beat.tell(Beat(branch, slot, raised, row.now))
    queues.enqueue("jobs.delivery.send", once=True)
