"""Send through Todoke from a system of your own: the standard library alone, with retries that never send twice.

    TODOKE_URL=https://todoke.example TODOKE_KEY=tdk_live_… python todoke_client.py 12月の点検 people.csv

makes a campaign from the starter `visit`, adds the rows of a CSV file, checks every text and launches it. Run it again
after a failure with the same name: each step has an Idempotency-Key made of the name, so nothing is done twice.
"""

import csv
import json
import os
import random
import sys
import time
import uuid
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TRIES = 8
ROWS_AT_ONCE = 10_000
# these mean: the same request, a little later
LATER = {408, 425, 429, 500, 502, 503, 504}


class Refused(Exception):
    """Todoke said no: `problem` is its answer (RFC 9457); decide by `problem["code"]`."""

    def __init__(self, problem):
        super().__init__(f"{problem.get('code')}: {problem.get('title')}")
        self.problem = problem


class Todoke:
    """A client for one key. Keep the key out of the source: it opens your company."""

    def __init__(self, url, key, timeout_s=60):
        self.url, self.key, self.timeout_s = url.rstrip("/") + "/api/v1", key, timeout_s

    def get(self, path):
        """Read."""
        return self._send("GET", path)

    def post(self, path, once, body=None):
        """Do something, once for `once`: each retry carries the same Idempotency-Key and the same bytes."""
        return self._send("POST", path, json.dumps(body or {}, ensure_ascii=False).encode(), once)

    def _send(self, method, path, body=None, once=None):
        headers = {"Authorization": f"Bearer {self.key}", "Accept-Language": "ja"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": once}
        for attempt in range(1, TRIES + 1):
            try:
                request = Request(self.url + path, data=body, headers=headers, method=method)
                with urlopen(request, timeout=self.timeout_s) as answer:
                    return json.load(answer)
            except HTTPError as fault:
                problem = _problem(fault)
                under_way = problem.get("code") == "idempotency_key_under_way"
                if attempt == TRIES or not (fault.code in LATER or under_way):
                    raise Refused(problem) from None
                wait_s = float(fault.headers.get("Retry-After") or 0)
            except (URLError, TimeoutError, ConnectionError):
                # nobody knows whether it was done: the same key makes it safe to ask again
                if attempt == TRIES:
                    raise
                wait_s = 0.0
            time.sleep(max(wait_s, min(2**attempt, 60) * random.uniform(0.5, 1.0)))
        raise AssertionError("unreachable")


def _problem(fault):
    try:
        return json.load(fault)
    except ValueError:  # a proxy's own page
        return {"code": f"http_{fault.code}", "title": fault.reason}


def once_of(*parts):
    """Make an Idempotency-Key of what is done: the same words give the same key."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\x1f".join(parts)))


def send_list(todoke, name, rows):
    """Make a campaign, add rows, check and launch it; return what the launch led to."""
    made = todoke.post("/campaigns", once_of(name, "create"), {"name": name, "starter": "visit"})
    campaign = f"/campaigns/{made['id']}"
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        todoke.post(f"{campaign}/recipients/batch", once_of(name, "rows", str(start)), {"rows": part})
    check = todoke.post(f"{campaign}/check", once_of(name, "check"))
    while check["state"] == "checking":
        time.sleep(2)
        check = todoke.get(f"{campaign}/check")
    if check["problems"]:
        raise Refused({"code": "check_failed", "title": json.dumps(check["problems"], ensure_ascii=False)})
    named = {"digest": check["digest"], "people": check["people"]}
    return todoke.post(f"{campaign}/launch", once_of(name, "launch", check["digest"]), named)


def main():
    """Send the rows of a CSV file."""
    name, path = sys.argv[1:3]
    with open(path, encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    todoke = Todoke(os.environ["TODOKE_URL"], os.environ["TODOKE_KEY"])
    try:
        launched = send_list(todoke, name, rows)
    except Refused as refused:
        for fault in refused.problem.get("errors", []):
            print(fault.get("row", ""), fault.get("field", ""), fault["detail"], file=sys.stderr)
        sys.exit(str(refused))
    print(launched["id"], launched["outcome"])


if __name__ == "__main__":
    main()
