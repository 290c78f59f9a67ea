"""The drill's cells of queues: receipts that can't be answered, and a Redis that is frozen."""

import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping

from bench import visitors
from bench.harness import Ground, Sent
from bench.pushes import karaden
from bench.recipient_client import Phone
from bench.report import Run
from bench.send import clerk, database, prepare, wait
from bench.visitors import Seen
from dev.stack import ROOT

Cell = Callable[[Ground], Run]

_UNANSWERABLE, _TRUE = 6_000, 200
_PUSHES_PER_S = 400
_FROZEN_S = 30.0
# time that a request may cost that meets a silent Redis, beside what it costs by itself
_SILENCE_S = 0.2
# how often it is looked before and while Redis is frozen; half of them are pages, half receipts
_LOOKS = 60


def _receipts_unanswerable(ground: Ground) -> Run:
    """Push 6,000 receipts of which the carrier knows nothing, then 200 true ones; the worker begins after them."""
    ground.run("web", "delivery", "scheduler")
    # a row in so many has a number that no SMS can be sent to
    campaign = Sent(ground, prepare(ground.stack, _TRUE + 1))
    ground.sandbox.faults(receipts_off=True)
    campaign.launch()
    with database(ground.stack) as connection:
        wait(connection, "SELECT state = 'completed' FROM campaign WHERE id = %s", campaign.id)
        messages = ground.sandbox.messages()
        unknown = [{**messages[n % len(messages)], "id": str(uuid.uuid4())} for n in range(_UNANSWERABLE)]
        parcels = ground.stack.folder / "parcels.json"
        told = karaden(clerk(ground.stack, "contract", "-"), [*unknown, *messages])
        parcels.write_text(json.dumps(told), encoding="utf-8")
        command = [sys.executable, "-m", "bench.pushes", str(_PUSHES_PER_S)]
        done = subprocess.run([*command, str(parcels)], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        if failed := json.loads(done.stdout.splitlines()[-1])["failed"]:
            raise RuntimeError(f"{failed} receipts were not kept")
        since = time.monotonic()
        ground.stack.restart("tracking")
        arrived = "SELECT count(*) FROM recipient WHERE campaign_id = %s AND sms_state = 'delivered'"

        def left() -> int:
            row = connection.execute(arrived, [campaign.id]).fetchone()
            return len(messages) - (row[0] if row else 0)

        ground.until(lambda: not left(), "the true receipts are applied", 120)
        recovery_s = time.monotonic() - since
        numbers = {message["to"] for message in ground.sandbox.messages()}
        unknown_left = left()
        # they would be asked about for a day, and the next cells wait until no receipt is left
        connection.execute("DELETE FROM receipt WHERE applied_at IS NULL")
    return {
        "messages": len(messages),
        "lost": len(messages) - len(numbers),
        "duplicated": len(ground.sandbox.messages()) - len(numbers),
        "unknown_left": unknown_left,
        "recovery_s": round(recovery_s, 1),
    }


def _redis_frozen(ground: Ground) -> Run:
    """Stop Redis where it stands while a campaign is sent, pages are opened and receipts come; then let it go on."""
    # so few requests at once that the sending lasts longer than the freezing
    with ground.in_mid_campaign(SEND_CONNECTIONS="32") as campaign:
        url = clerk(ground.stack, "contract", "-")
        links = visitors.tokens(ground.sandbox, 5)
        usual = _look(ground, url, links, _LOOKS, 0.0)
        ground.freeze("valkey")
        frozen = _look(ground, url, links, _LOOKS, ground.scaled(_FROZEN_S) / _LOOKS)
        ground.thaw("valkey")
        since = time.monotonic()
        cost_s = max(frozen.seconds) - max(usual.seconds)
        print(
            f"redis_frozen: a request took {max(usual.seconds) * 1000:.0f} ms at most before,"
            f" {max(frozen.seconds) * 1000:.0f} ms while Redis was frozen",
            file=sys.stderr,
        )
        if usual.errors or frozen.errors or cost_s > _SILENCE_S:
            raise RuntimeError(f"a silent Redis cost a request {cost_s * 1000:.0f} ms; {frozen.errors} errors")
        return campaign.verdict(since)


def _look(ground: Ground, url: str, links: list[str], times: int, rest_s: float) -> Seen:
    """Open a page and push a receipt by turns, and note how long each took."""
    seen = Seen()
    path = re.sub(r"https?://[^/]+", "", url)
    for number in range(times):
        phone = Phone(ground.stack.web_url, number)
        if number % 2:
            visitors.ask(phone, "POST", path, {"n": f"{time.monotonic()}"}, seen)
        else:
            visitors.ask(phone, "POST", f"/{links[number % len(links)]}", {}, seen)
        time.sleep(rest_s)
    return seen


CELLS: Mapping[str, Cell] = {"receipts_unanswerable": _receipts_unanswerable, "redis_frozen": _redis_frozen}
FACTORS: Mapping[str, int] = {"receipts_unanswerable": 1}
LIMITS_S: Mapping[str, tuple[float, str]] = {
    "receipts_unanswerable": (30.0, "true receipts wait for no others"),
}
