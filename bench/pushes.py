"""Pushes of a carrier, so many a second whatever the answers take: `python -m bench.pushes URL RATE FILE`.

FILE has one JSON text with a list of bodies. Prints `{"pushed": …, "failed": …, "seconds": …}` as its last line.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.providers.curl import Engine
from app.providers.http import Answer, Request, Response

_AT_ONCE = 64


def receipt(message: Mapping[str, Any], **changes: object) -> dict[str, object]:
    """Write the receipt of a message of the sandbox that arrived, as the carrier does."""
    return {
        "object": "message",
        "id": message["id"],
        "tags": message["tags"],
        "result": "done",
        "status": "done",
        "sent_result": "received",
        "carrier": "docomo",
        "charged_count_per_sent": 1,
        **changes,
    }


def push(url: str, rate: float, bodies: list[object]) -> dict[str, float]:
    """Push each body once."""
    failed = 0
    began = time.monotonic()

    def due() -> Iterator[tuple[int, Request] | None]:
        for number, body in enumerate(bodies):
            while time.monotonic() < began + number / rate:
                yield None
            yield number, Request("POST", url, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def answered(_number: int, answer: Answer) -> None:
        nonlocal failed
        failed += not (isinstance(answer, Response) and answer.status == 200)  # noqa: PLR2004 - HTTP's word for all is well

    with Engine[int](_AT_ONCE) as engine:
        engine.run(
            due(),
            answered,
            may_connect=lambda _number: True,
            may_send=lambda _number: True,
            on_skipped=lambda _number: None,
        )
    return {"pushed": len(bodies) - failed, "failed": failed, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    address, per_second, path = sys.argv[1:]
    print(json.dumps(push(address, float(per_second), json.loads(Path(path).read_text(encoding="utf-8")))))
