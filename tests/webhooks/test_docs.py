"""The document for receivers works as it stands."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.webhooks import retry_schedule
from tests.webhooks.company import Company

DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"


def test_the_verification_that_receivers_copy_takes_our_messages_and_no_others(
    company: Company, delivered: Callable[[], int]
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    copied: dict[str, Any] = {}
    exec(source, copied)  # noqa: S102 - our own document
    endpoint = delivered()
    company.serve(endpoint)
    requests = company.sandbox.received("main")
    assert len(requests) == 9
    for one in requests:
        headers, body = one["headers"], one["body"].encode()
        assert copied["verify"](company.secrets[endpoint], headers, body)
        assert not copied["verify"](company.secrets[endpoint], headers, body + b" ")
        assert not copied["verify"](company.secrets[endpoint], {**headers, "webhook-id": "evt_other"}, body)
        assert not copied["verify"](company.secrets[endpoint], {**headers, "webhook-timestamp": "1"}, body)


def test_the_document_names_the_pauses_as_they_are() -> None:
    words = {5: "5秒", 300: "5分", 1800: "30分"}
    pauses = [words.get(int(pause_s), f"{pause_s / 3600:g}時間") for pause_s in retry_schedule.PAUSES_S]
    assert "、".join(pauses) + "後" in DOCUMENT.read_text("utf-8")
