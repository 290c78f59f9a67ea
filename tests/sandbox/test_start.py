"""How the sandbox starts, stops and comes back."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from sandbox.harness import Sandbox, SandboxError, running_sandbox
from sandbox.settings import SettingError, read
from tests.sandbox.conftest import TENANT
from tests.waiting import until

ROOT = Path(__file__).parents[2]


def send(sandbox: Sandbox, to: str) -> None:
    request = urllib.request.Request(
        f"{sandbox.karaden_base}/{TENANT}/messages",
        data=urlencode({"service_id": "1", "to": to, "body": "本文", "tags[]": to}).encode(),
        headers={"Authorization": "Bearer token"},
    )
    with urllib.request.urlopen(request):
        pass


def test_production_is_refused() -> None:
    env = os.environ | {"TODOKE_ENV": "production", "SANDBOX_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "TODOKE_ENV=production" in ended.stderr
    assert ended.stdout == ""


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=f"port {port} is taken"), running_sandbox(port=port):
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_though_a_client_hangs(number: signal.Signals) -> None:
    with running_sandbox() as sandbox:
        sandbox.faults(hang=True)
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(f"{sandbox.stripe_base}/v1/refunds", timeout=0.2)
        sandbox.process.send_signal(number)
        assert sandbox.process.wait(10) == 0


def test_it_stops_when_its_parent_is_gone() -> None:
    program = (
        "import os\nfrom sandbox.harness import running_sandbox\n"
        "with running_sandbox() as sandbox:\n    print(sandbox.process.pid, flush=True)\n    os._exit(9)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    orphan = Path(f"/proc/{int(parent.stdout)}/stat")
    until(lambda: not orphan.exists() or orphan.read_text().split()[2] == "Z")


def test_a_journal_keeps_everything_over_a_kill(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with running_sandbox(journal=journal, receipt_delay_ms=0) as sandbox:
        send(sandbox, "09012345678")
        send(sandbox, "09012340002")
        until(lambda: sandbox.messages()[0]["state"] == "received")
        sandbox.faults(receipt_delay_ms=60_000)
        send(sandbox, "09087654321")
        before = sandbox.messages(), sandbox.ledger(), sandbox.summary()["duplicate_tags"]
        sandbox.process.kill()
        sandbox.process.wait(5)
    assert journal.stat().st_mode & 0o077 == 0
    with journal.open("ab") as cut:
        cut.write(b'{"k": "message", "id": "half')
    with running_sandbox(journal=journal, receipt_delay_ms=0) as sandbox:
        until(lambda: sandbox.messages()[2]["state"] == "received")  # it was under way and goes on
        messages, rows = sandbox.messages(), sandbox.ledger()
        assert [message | {"state": ""} for message in messages] == [message | {"state": ""} for message in before[0]]
        assert (rows, sandbox.summary()["duplicate_tags"]) == (before[1], before[2])
        send(sandbox, "09011112222")
    with running_sandbox(journal=journal) as sandbox:
        assert [message["to"] for message in sandbox.messages()][-1] == "09011112222"
        sandbox.reset()
    with running_sandbox(journal=journal) as sandbox:
        assert sandbox.messages() == []


def test_tokens_can_be_set() -> None:
    with running_sandbox(karaden_tokens={TENANT: "right"}) as sandbox:
        for token, tenant, code in (("right", TENANT, 200), ("wrong", TENANT, 401), ("right", TENANT[::-1], 400)):
            url = f"{sandbox.karaden_base}/{tenant}/messages"
            assert requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code == code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SANDBOX_PORT", "eighty"),
        ("SANDBOX_PORT", "70000"),
        ("SANDBOX_PUBLIC_URL", "sandbox"),
        ("SANDBOX_LINK_MAP", "{"),
        ("SANDBOX_LINK_MAP", "[]"),
        ("SANDBOX_LINK_MAP", '{"https://a": "b"}'),
        ("SANDBOX_KARADEN_RECEIPTS", '{"1": 5}'),
        ("SANDBOX_KARADEN_TOKENS", '{"t": ""}'),
        ("SANDBOX_STRIPE_WEBHOOKS", '{"sk_test_x": {"url": "http://a"}}'),
        ("SANDBOX_RECEIPT_DELAY_MS", "-1"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        read({name: value})
