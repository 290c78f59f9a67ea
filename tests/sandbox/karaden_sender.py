"""A company that sends by the stand-in for Karaden, and what the ledger says of its calls."""

import urllib.error
import urllib.request
from urllib.parse import urlencode

from sandbox.harness import Sandbox
from tests.sandbox.conftest import TENANT

FORM = {"service_id": "1", "to": "09012345678", "body": "本文", "tags[]": "ref"}


def post(sandbox: Sandbox, timeout: float = 5, **form: str) -> int:
    request = urllib.request.Request(
        f"{sandbox.karaden_base}/{TENANT}/messages",
        data=urlencode(FORM | form).encode(),
        headers={"Authorization": "Bearer token"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def fates(sandbox: Sandbox) -> list[tuple[str, int | None, bool]]:
    return [(row["fate"], row["status"], row["accepted"] is not None) for row in sandbox.ledger()]
