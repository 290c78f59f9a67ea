"""The drill's cell of retries that leave by themselves after their campaign is completed: called off, and held back."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.harness import Ground
from bench.lists import HEADER
from bench.report import Run
from bench.send import clerk, database

_PEOPLE = 200
_LONGEST_WAIT_S = 120.0
# how long what must not leave is waited for: more than two sweeps
_QUIET_S = 8.0


def retries_cancelled(ground: Ground) -> Run:
    """Reach nobody; cancel one campaign's retries, pause another's, let their time come, then go on with the second.

    `duplicated` are SMS beyond the one of the cancelled campaign and the two of the paused one, `lost` people who got
    fewer. `recovery_s` is the time from the press on 再開 to the last SMS.
    """
    ground.run("web", "tracking", "delivery", "scheduler")
    cancelled, paused = (_unreached(ground, number) for number in (1, 2))
    clerk(ground.stack, "cancel", cancelled)
    clerk(ground.stack, "pause", paused)
    with database(ground.stack) as connection:
        connection.execute("UPDATE recipient SET retry_at = now() WHERE retry_at IS NOT NULL")
    time.sleep(_QUIET_S)
    early = len(ground.sandbox.messages())
    since = time.monotonic()
    clerk(ground.stack, "resume", paused)
    ground.until(lambda: len(ground.sandbox.messages()) >= 3 * _PEOPLE, "the paused retries leave", _LONGEST_WAIT_S)
    recovery_s = time.monotonic() - since
    time.sleep(_QUIET_S)
    numbers = Counter(message["to"] for message in ground.sandbox.messages())
    wanted = {_number(campaign, person): campaign for campaign in (1, 2) for person in range(_PEOPLE)}
    with database(ground.stack) as connection:
        row = connection.execute(
            "SELECT count(*) FROM recipient WHERE campaign_id = ANY(%s) AND sms_state = 'unknown'",
            [[cancelled, paused]],
        ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate
    return {
        "messages": len(wanted),
        "lost": sum(numbers[number] < count for number, count in wanted.items()),
        "duplicated": sum(max(numbers[number] - count, 0) for number, count in wanted.items()) + early - 2 * _PEOPLE,
        "unknown_left": row[0],
        "recovery_s": round(recovery_s, 1),
    }


def _unreached(ground: Ground, number: int) -> int:
    """Send a list that reaches nobody for now.

    Returns its campaign, completed and with everybody's retry planned.
    """
    path = ground.stack.folder / f"unreached-{number}.csv"
    _write(path, number)
    campaign_id = int(clerk(ground.stack, "prepare", path))
    clerk(ground.stack, "launch", campaign_id)
    planned = """
        SELECT c.state = 'completed' AND count(r.retry_at) = count(*) FROM campaign c
        JOIN recipient r ON r.campaign_id = c.id WHERE c.id = %s GROUP BY c.state
    """
    with database(ground.stack) as connection:
        ground.until(
            lambda: (connection.execute(planned, [campaign_id]).fetchone() or [False])[0],
            "everybody's retry is planned",
            _LONGEST_WAIT_S,
        )
    return campaign_id


def _number(campaign: int, person: int) -> str:
    """Return a number whose phone is switched off, as the sandbox has it."""
    return f"0{8 + campaign % 2}0{1000 + person:04d}0001"


def _write(path: Path, campaign: int) -> None:
    lines = [HEADER]
    for person in range(_PEOPLE):
        row = f"R{campaign}{person:05d},{_number(campaign, person)},佐藤 花子,サトウ ハナコ,東京都千代田区丸の内1-1"
        lines.append(f"{row},1000,2026/12/25,1980/1/2,0123")
    path.write_text("\r\n".join(lines) + "\r\n", encoding="cp932")


CELLS: Mapping[str, Callable[[Ground], Run]] = {"retries_cancelled": retries_cancelled}
