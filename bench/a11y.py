"""`make a11y`: every state of the recipients' pages before axe-core, a small screen, large letters, and Lighthouse.

`python -m bench.a11y [STATE …]` looks at the named states of `dev.page_states`, or at all, in both languages. `axe`
counts violations of axe-core's rules, with script on and off, light and dark; `fit` what doesn't fit at 320 px and at
letters of 200 %, and targets below 44 px; `accessibility` and `performance` are Lighthouse's for mobile, in Japanese
alone: the other language differs in its words; a page that falls short is judged thrice, and the middle counts, as
Lighthouse advises for machines that do something else as well. `requests` and `gzip_bytes` are what a browser without a
cache fetches.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from bench.report import Run, report
from dev import layout_checks
from dev.browser import chromium
from dev.page_states import BY_NAME
from dev.page_visits import State, Visit, Visits
from dev.process import DevError
from dev.stack import ROOT, Stack, remove
from public.texts import LANGUAGES

FIELDS = ("state", "language", "axe", "fit", "accessibility", "performance", "requests", "gzip_bytes")
MOST_REQUESTS = 2
MOST_BYTES = 30_000
LEAST_PERFORMANCE = 98

_TURNS = 3
_LIGHTHOUSE = ROOT / "dev" / "lighthouse"
_ALL = {"rules": {}, "resultTypes": ["violations"]}


def main(names: Sequence[str]) -> int:
    """Look at the states, tell what was found, give the exit code: 1 when one of them does not hold."""
    if unknown := set(names) - set(BY_NAME):
        sys.exit(f"no such state: {', '.join(sorted(unknown))}; there are {', '.join(BY_NAME)}")
    folder = Path(tempfile.mkdtemp(prefix="todoke-a11y-"))
    runs: list[Run] = []
    try:
        with (
            Stack(folder, durable=False) as stack,
            Visits(stack) as visits,
            chromium() as browser,
            lighthouse() as judge,
        ):
            for name in names or BY_NAME:
                for language in LANGUAGES:
                    runs.append(_look(visits, browser, judge, BY_NAME[name], language))
                    print(_line(runs[-1]), file=sys.stderr, flush=True)
    except DevError as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        remove(folder)
    report("a11y", FIELDS, runs, sys.stdout)
    return 0 if all(map(holds, runs)) else 1


def holds(run: Run) -> bool:
    """Return whether a state came out as it must; what was not measured in a language does not count."""
    performance, requests, size = (run[name] for name in ("performance", "requests", "gzip_bytes"))
    return (
        run["axe"] == run["fit"] == 0
        and run["accessibility"] in {100, None}
        and (performance is None or (isinstance(performance, int) and performance >= LEAST_PERFORMANCE))
        and isinstance(requests, int)
        and requests <= MOST_REQUESTS
        and isinstance(size, int)
        and size <= MOST_BYTES
    )


def violations(visit: Visit) -> list[str]:
    """Name what axe-core has against the page a visit is at, light and dark."""
    found = []
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        for violation in Axe().run(visit.page, options=_ALL).response["violations"]:
            found += [f"{scheme}: {violation['id']}: {node['html'][:160]}" for node in violation["nodes"]]
    return found


def weight(visit: Visit) -> tuple[int, int]:
    """Return the requests that show the page, of a browser without a cache, and their bodies' size when gzipped."""
    parts: list[str] = visit.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    bodies = [visit.document, *(visit.page.request.get(url).body() for url in parts)]
    return len(bodies), sum(len(gzip.compress(body, 6)) for body in bodies)


def _look(visits: Visits, browser: Browser, judge: "Judge", state: State, language: str) -> dict[str, object]:
    told: dict[str, Any] = {"accessibility": None, "performance": None}
    with visits.at(browser, state, language, script=False) as visit:
        requests, size = weight(visit)
        small = layout_checks.faults(visit.page)
        visit.let_script(run=True)
        against = [f"script off, {one}" for one in violations(visit)]
        if language == LANGUAGES[0]:
            told = _judged(judge, state, visit)
    with visits.at(browser, state, language) as visit:
        against += violations(visit)
    for fault in (*against, *small, *told.get("faults", ())):
        print(f"  {state.name} ({language}): {fault}", file=sys.stderr)
    return {
        "state": state.name,
        "language": language,
        "axe": len(against),
        "fit": len(small),
        "accessibility": told["accessibility"],
        "performance": told["performance"],
        "requests": requests,
        "gzip_bytes": size,
    }


def _judged(judge: "Judge", state: State, visit: Visit) -> dict[str, Any]:
    told = [judge(state.name, visit)]
    if (told[0]["performance"] or 0) < LEAST_PERFORMANCE:
        told += [judge(state.name, visit) for _ in range(_TURNS - 1)]
    return sorted(told, key=lambda one: one["performance"] or 0)[len(told) // 2]


class Judge:
    """Lighthouse, running; it goes the last step of a visit again in a browser of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, name: str, visit: Visit) -> dict[str, Any]:
        """Return the two scores and what was found. Raises DevError."""
        # the same wrong answer again must lead to the same page
        visit.change(
            "UPDATE recipient SET failed_attempts = failed_attempts - 1 WHERE failed_attempts > 0 AND id = {id}"
        )
        way = visit.way
        assert way is not None  # noqa: S101 - every state is reached by a request
        origin = f"{urlsplit(way.url).scheme}://{urlsplit(way.url).netloc}"
        cookies = [
            {"name": cookie["name"], "value": cookie["value"], "url": origin}
            for cookie in visit.page.context.cookies(origin)
        ]
        told = {
            "name": name,
            "url": way.url,
            "method": way.method,
            "body": way.body or "",
            "cookies": cookies,
            "hold": way.leads_on,
        }
        assert self._process.stdin is not None  # noqa: S101 - opened so below
        assert self._process.stdout is not None  # noqa: S101 - the same
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise DevError("Lighthouse ended; it says why above")
        answer: dict[str, Any] = json.loads(line)
        if answer["title"] != visit.page.title():
            raise DevError(f"Lighthouse saw {answer['title']!r} for {name}. {answer['error']}")
        return answer | {"faults": answer["failing"]}


@contextmanager
def lighthouse() -> Iterator[Judge]:
    """Run Lighthouse.

    Raises DevError where Node.js or the packages of dev/lighthouse are missing.
    """
    node, program = shutil.which("node"), shutil.which("chromium")
    if node is None or program is None or not (_LIGHTHOUSE / "node_modules").is_dir():
        raise DevError("Lighthouse is missing: it needs nodejs and npm; `make a11y` installs the rest")
    process = subprocess.Popen(
        [node, _LIGHTHOUSE / "run.mjs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CHROME_PATH": program},
    )
    try:
        yield Judge(process)
    finally:
        assert process.stdin is not None  # noqa: S101 - opened so above
        process.stdin.close()
        process.wait(30)


def _line(run: Run) -> str:
    return f"{'ok  ' if holds(run) else 'FAIL'} " + "  ".join(f"{name} {run[name]}" for name in FIELDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
