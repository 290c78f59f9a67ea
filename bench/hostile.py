"""`make bench-hostile`: workbooks that mean harm, uploaded to a running product while another company's people look in.

Each file of `bench.hostile_workbooks` is uploaded by a clerk over HTTP, and followed until the clerk reads what became
of it. `seconds` and `peak_rss_mb` are those of the dearest child that opened it: of a processor, and of memory.
`page_p99_ms` is of the pages that people of another company open meanwhile, for at least five seconds. A file must end
with a message, or as a list that waits for its columns, within the limits; else the exit status is 1.
"""

import contextlib
import html
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.hostile_workbooks import HARMS, write
from bench.page import people
from bench.probe import Browser
from bench.report import Run, report
from bench.send import clerk
from bench.visitors import visiting
from dev.process import DevError
from dev.stack import Stack, remove

FIELDS = ("file", "seconds", "peak_rss_mb", "page_p99_ms")
LIMIT_S, LIMIT_MB, LIMIT_MS = 5.0, 300.0, 100.0
MEGABYTES = 200
_PHONES = 20
_REST_S = 2.0
_LEAST_S = 5.0
_LONGEST_WAIT_S = 120.0
_LOOKED_S = 0.02
_FEW_LOOKS = 20
_FLASH = re.compile(r'class="flash[^"]*"[^>]*>(.*?)</div>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


@dataclass(slots=True)
class Children:
    """The resources of each child that opens a workbook, looked at again and again while it lives."""

    cpu_s: dict[int, float] = field(default_factory=dict)
    peak_mb: dict[int, float] = field(default_factory=dict)
    _looks: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Look once."""
        for name in [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
            # between fork and exec a child bears its parent's name: it is looked at a few times more
            looks = self._looks[name] = self._looks.get(name, 0) + 1
            if looks > _FEW_LOOKS or int(name) in self.cpu_s:
                continue
            with contextlib.suppress(OSError):
                if b"excel_child.py" in Path(f"/proc/{name}/cmdline").read_bytes():
                    self.cpu_s[int(name)] = self.peak_mb[int(name)] = 0.0
        for pid in self.cpu_s:
            with contextlib.suppress(OSError, IndexError, ValueError):
                told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                # utime and stime (proc(5)), in hundredths
                self.cpu_s[pid] = max(self.cpu_s[pid], (int(told[11]) + int(told[12])) / 100)
                peak = re.search(r"VmHWM:\s+([0-9]+)", status)
                self.peak_mb[pid] = max(self.peak_mb[pid], int(peak[1]) / 1024 if peak else 0.0)


@contextlib.contextmanager
def watching() -> Iterator[Children]:
    """Watch the children until the block ends."""
    children, over = Children(), threading.Event()
    children.look()
    before = set(children.cpu_s)

    def run() -> None:
        while not over.wait(_LOOKED_S):
            children.look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield children
    finally:
        over.set()
        thread.join()
        for pid in before:
            children.cpu_s.pop(pid, None)
            children.peak_mb.pop(pid, None)


def main(megabytes: int = MEGABYTES, *names: str) -> int:
    """Measure. Returns an exit status."""
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as folder:
        stack = Stack(Path(folder) / "stack")
        try:
            stack.prepare()
            stack.seed()
            links = people(stack.env, 100)[:_PHONES]
            # the people are those of the first company, the clerk is another's
            stack.env["BENCH_COMPANY"] = "1"
            campaign_id = int(clerk(stack, "draft", "-"))
            for program in ("web", "intake"):
                stack.restart(program)
            stack.wait_for("web")
            browser = Browser(stack.web_port)
            browser.sign_in(_clerk_of_another(stack))
            path = Path(folder) / "list.xlsx"
            runs = []
            for name in names or HARMS:
                write(path, name, megabytes * 1_000_000)
                runs.append(_one(stack, browser, campaign_id, path, name=name, links=links))
        except DevError as fault:
            print(fault, file=sys.stderr)
            return 1
        finally:
            stack.stop()
            remove(stack.folder)
    report("bench-hostile", FIELDS, [run for run, _ in runs], sys.stdout)
    bad = [run["file"] for run, message in runs if not holds(run, message)]
    for file in bad:
        print(f"not as it must be: {file}", file=sys.stderr)
    return 1 if bad else 0


def holds(run: Run, message: str) -> bool:
    """Return whether a file ended within the limits, with something that a clerk can read."""
    within = (
        float(str(run[name])) <= limit for name, limit in zip(FIELDS[1:], (LIMIT_S, LIMIT_MB, LIMIT_MS), strict=True)
    )
    return all(within) and bool(message)


def _clerk_of_another(stack: Stack) -> dict[str, str]:
    codes = list(dict.fromkeys(account["tenant_code"] for account in stack.accounts if account["tenant_code"]))
    return next(one for one in stack.accounts if one["role"] == "clerk" and one["tenant_code"] == codes[1])


def _one(
    stack: Stack, browser: Browser, campaign_id: int, path: Path, *, name: str, links: list[str]
) -> tuple[Run, str]:
    with visiting(stack.web_url, links, _REST_S) as seen, watching() as children:
        began = time.monotonic()
        message = _upload(browser, campaign_id, path)
        while time.monotonic() < began + _LEAST_S:
            time.sleep(_LOOKED_S)
    run = {
        "file": name,
        "seconds": max(children.cpu_s.values(), default=0.0),
        "peak_rss_mb": round(max(children.peak_mb.values(), default=0.0), 1),
        "page_p99_ms": round(seen.p99_ms(), 1),
    }
    if seen.errors:
        message = ""
    print(
        f"  {name} ({path.stat().st_size / 1e6:.1f} MB): {message or 'nothing that helps'}", file=sys.stderr, flush=True
    )
    return run, message


def _upload(browser: Browser, campaign_id: int, path: Path) -> str:
    """Upload a file; return what the clerk reads in the end."""
    page = f"/admin/campaign/{campaign_id}/list/"
    (form,) = [form for form in browser.page(page).forms if form.files]
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in form.fields.items()
    ]
    parts.append(
        f'--b\r\nContent-Disposition: form-data; name="{form.files[0]}"; filename="list.xlsx"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + path.read_bytes() + b"\r\n--b--\r\n"
    _, text, leads = browser.ask("POST", form.action, body, {"Content-Type": "multipart/form-data; boundary=b"})
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < deadline:
        if leads.startswith("/"):
            _, text, further = browser.ask("GET", leads)
            leads = further or leads
        told = _told(text)
        if told:
            return told
        time.sleep(0.2)
    return ""


def _told(text: str) -> str:
    """Return what a page says became of a file; nothing while a worker still reads it."""
    if "ファイル全体を調べています" in text:
        return ""
    for words in map(_words, _FLASH.findall(text)):
        if words:
            return words
    return "列の確認" if "列の確認" in text else ""


def _words(found: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", _TAG.sub(" ", found))).strip()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else MEGABYTES, *sys.argv[2:]))
