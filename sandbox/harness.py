"""For tests and benches: a sandbox of one's own, in a process of its own, on a free port.

`with running_sandbox(receipt_delay_ms=0) as sandbox:` starts it, waits until it is ready, and stops it at the end.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.doors import BASES

_ROOT = Path(__file__).resolve().parent.parent
_START_S = 20.0
_STOP_S = 5.0


class SandboxError(Exception):
    """The sandbox did not start, or refused what was asked of it; `args[0]` says why."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox at `url`; `process` is for tests that kill it."""

    url: str
    process: "subprocess.Popen[str]"

    @property
    def karaden_base(self) -> str:
        """The value for the Karaden SDK's `Config.api_base`."""
        return self.url + BASES["karaden"]

    @property
    def zettai_reach_base(self) -> str:
        """The value for `ZETTAI_REACH_API_BASE`; paths go on with /p5/api."""
        return self.url + BASES["zettai_reach"]

    @property
    def infobip_base(self) -> str:
        """The value for `Configuration(host=…)` of Infobip's SDK; paths go on with /sms/3."""
        return self.url + BASES["infobip"]

    @property
    def twilio_base(self) -> str:
        """The value for `TWILIO_API_BASE`; paths go on with /2010-04-01."""
        return self.url + BASES["twilio"]

    @property
    def stripe_base(self) -> str:
        """The value for `StripeClient(base_addresses={"api": …})`; paths go on with /v1."""
        return self.url + BASES["stripe"]

    @property
    def payjp_base(self) -> str:
        """The value for `payjpv2.Configuration(host=…)`; paths go on with /v2."""
        return self.url + BASES["payjp"]

    @property
    def komoju_base(self) -> str:
        """The value for `basePath` of KOMOJU's SDK; paths go on with /sessions."""
        return self.url + BASES["komoju"]

    @property
    def paypay_base(self) -> str:
        """The value for `paypayopa.Client(base_url=…)`; paths go on with /v2."""
        return self.url + BASES["paypay"]

    def reset(self) -> None:
        """Forget all that happened and put every switch off; addresses stay."""
        self._call("POST", "/_sandbox/reset")

    def faults(self, **faults: Any) -> None:  # noqa: ANN401 - a fault's setting: see sandbox.faults
        """Turn on exactly these faults; those not named are off."""
        self._call("PUT", "/_sandbox/switches", faults)

    def addresses(self, **maps: Mapping[str, Any]) -> None:
        """Replace some of `karaden_receipts`, `sms_accounts` and, for each payment provider, `stripe_webhooks`, …."""
        self._call("PUT", "/_sandbox/addresses", maps)

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return every request so far, oldest first, of one kind or of all."""
        rows: list[dict[str, Any]] = []
        since = 0
        while True:
            wanted = f"/_sandbox/ledger?since={since}&limit=10000" + (f"&kind={kind}" if kind else "")
            page = self._call("GET", wanted)
            if not page["entries"]:
                return rows
            rows += page["entries"]
            since = page["next"]

    def messages(self) -> list[dict[str, Any]]:
        """Return every accepted SMS: id, to, body, tags, at, state, limited_at."""
        messages: list[dict[str, Any]] = self._call("GET", "/_sandbox/messages")
        return messages

    def payments(self) -> list[dict[str, Any]]:
        """Return what every payment provider knows: site, id, reference, amount, method, state, refunded."""
        payments: list[dict[str, Any]] = self._call("GET", "/_sandbox/payments")
        return payments

    def act(self, payment_id: str, act: str, **more: object) -> None:
        """Do what a provider's own desk or a person's bank does about a payment; see `sandbox.own_desk`."""
        self._call("POST", f"/_sandbox/payments/{payment_id}", {"act": act, **more})

    def foreign(self, site: str, key: str, count: int, **more: object) -> None:
        """Have a payment provider tell so many times of another system's payments, of the same contract."""
        self._call("POST", "/_sandbox/foreign", {"site": site, "key": key, "count": count, **more})

    def receiver(self, name: str) -> str:
        """Return the address of a company's own server, to which webhooks may be sent."""
        return f"{self.url}/receiver/{name}"

    def receives(self, name: str, *acts: str, then: str = "ok", **more: int) -> None:
        """Set how a company's own server answers: see `sandbox.receiver`."""
        self._call("PUT", f"/_sandbox/receiver/{name}", {"acts": acts, "then": then, **more})

    def received(self, name: str, since: int = 0) -> list[dict[str, Any]]:
        """Return every request that a company's own server got, from a place on: headers, body, act, at."""
        entries: list[dict[str, Any]] = self._call("GET", f"/_sandbox/receiver/{name}?since={since}")
        return entries

    def summary(self) -> dict[str, Any]:
        """Return the ledger's counts."""
        summary: dict[str, Any] = self._call("GET", "/_sandbox/ledger/summary")
        return summary

    def _call(self, method: str, path: str, value: object = None) -> Any:  # noqa: ANN401 - any JSON
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310 - our own http address
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - the same
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(error.read().decode()) from None


@contextmanager
def running_sandbox(**settings: object) -> Iterator[Sandbox]:
    """Run a sandbox on a free port.

    Settings are those of `sandbox.settings` in lower case, without `SANDBOX_`.

    Maps are given as dicts: `running_sandbox(link_map={"https://todoke.example": url}, journal=tmp_path / "journal")`.
    """
    env = {
        name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_") and name != "TODOKE_ENV"
    }
    env |= {"SANDBOX_PORT": "0", "SANDBOX_PARENT": str(os.getpid())}
    for name, value in settings.items():
        env[f"SANDBOX_{name.upper()}"] = json.dumps(value) if isinstance(value, dict) else str(value)
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "sandbox"]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=_ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield Sandbox(_ready(process, errors), process)
        finally:
            _stop(process)


def _ready(process: "subprocess.Popen[str]", errors: Any) -> str:  # noqa: ANN401 - a temporary file
    """Wait for the line that says where the sandbox listens."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if line:
        url: str = json.loads(line)["sandbox"]
        return url
    process.wait(_START_S)
    errors.seek(0)
    raise SandboxError(errors.read().strip() or "the sandbox ended without a word")


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
