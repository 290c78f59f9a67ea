"""The drill's cell of row numbers that come again, as they do after a restored backup.

A list is sent, people open their pages, and some begin to pay; then the database knows nothing of it and draws the same
row numbers for another list. `opened` counts pages of the new people that a link or an open page of before leads to,
`touched` the new people whom a receipt, a look-up or a webhook of before moved, or who were led to the payment page of
somebody else. All but `messages` are 0 in a product that keeps its word.
"""

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.drill_payments import Shop
from bench.harness import Ground
from bench.recipient_client import Phone
from bench.report import Run
from bench.send import database

FIELDS = ("cell", "factor", "messages", "lost", "duplicated", "opened", "touched")

# rows of each payment provider's list, and of people who keep a page open
_PAYERS = 12
_VISITORS = 40
_LOST = ("payment", "send_log", "event", "wave", "slice", "recipient")
_LONGEST_WAIT_S = 120.0
# how long what was told late may take to be looked at and to move somebody
_LATE_S = 8.0
_CARD = {"stripe": "card", "payjp": "card", "komoju": "credit_card", "paypay": "paypay"}


def restored_tokens(ground: Ground) -> Run:
    """Return the row numbers of a list that was sent to another list, and let all that was given out come back."""
    ground.run("web", "tracking", "delivery", "scheduler")
    first = _value(ground, "SELECT nextval(pg_get_serial_sequence('recipient', 'id'))")
    before = ground.campaign()
    before.launch()
    _until(ground, "SELECT bool_and(sms_state = 'delivered') FROM recipient WHERE campaign_id = %s", before.id)
    given = ground.sandbox.messages()
    links = [message["body"].rsplit("/", 1)[1] for message in given]
    visitors = [Phone(ground.stack.web_url, number) for number in range(_VISITORS)]
    for phone, link in zip(visitors, links, strict=False):
        phone.open(link)
    shop = Shop.open(ground, people=_PAYERS)
    pages = _press_pay(ground, shop.people)

    _set_back(ground, first)
    ground.sandbox.faults(receipts_off=True)
    after = ground.campaign()
    after.launch()
    _until(ground, "SELECT bool_and(sms_state = 'accepted') FROM recipient WHERE campaign_id = %s", after.id)
    others = Shop.open(ground, people=_PAYERS)
    if {person["id"] for person in others.people} != {person["id"] for person in shop.people}:
        raise RuntimeError("the row numbers did not come again")
    other_pages = _press_pay(ground, others.people)

    opened = sum(
        # each from an address of its own, so that no limit per address answers instead
        Phone(ground.stack.web_url, number).sees(f"/{link}", method)
        for number, link in enumerate(links)
        for method in ("GET", "POST")
    )
    opened += sum(phone.sees("/p") for phone in visitors)
    _push(ground, after.id, given)
    for number, (site, url) in enumerate(pages.values()):
        Phone(ground.stack.web_url, number).choose(url, _CARD[site])
    time.sleep(_LATE_S)
    with database(ground.stack) as connection:
        people = connection.execute(
            "SELECT id, sms_state, page_state FROM recipient WHERE campaign_id = %s", [after.id]
        ).fetchall()
        paid = connection.execute(
            "SELECT count(*) FROM recipient WHERE id = ANY(%s) AND payment_state <> 'started'", [list(other_pages)]
        ).fetchone()
    assert paid is not None  # noqa: S101 - an aggregate
    sent = ground.sandbox.messages()[len(given) :]
    numbers = Counter(message["to"] for message in sent)
    tags = Counter(tag for message in [*given, *sent] for tag in message["tags"])
    reached = {int(tag.split(".")[1]) for message in sent for tag in message["tags"]}
    return {
        "messages": len(people),
        "lost": len({row[0] for row in people} - reached),
        "duplicated": numbers.total() - len(numbers) + tags.total() - len(tags),
        "opened": opened + sum(page != "unopened" for _, _, page in people),
        "touched": sum(state != "accepted" for _, state, _ in people)
        + int(paid[0])
        + len({url for _, url in pages.values()} & {url for _, url in other_pages.values()}),
    }


def holds(run: Run) -> bool:
    """Return whether a cell came out as it must."""
    return bool(run["messages"]) and not any(run[name] for name in ("lost", "duplicated", "opened", "touched"))


def _press_pay(ground: Ground, people: Sequence[Mapping[str, Any]]) -> dict[int, tuple[str, str]]:
    """Lead everybody to their payment page; return each one's provider and address, by the row's number."""
    pages = {}
    for person in people:
        phone = Phone(ground.stack.web_url, person["id"])
        phone.open(person["token"])
        pages[person["id"]] = person["provider"], phone.to_the_provider()
    return pages


def _set_back(ground: Ground, first: int) -> None:
    """Lose everybody who was drawn from `first` on, and let their numbers be drawn again."""
    with database(ground.stack) as connection:
        for table in _LOST:
            column = "campaign_id" if table in {"slice", "wave"} else "recipient_id"
            lost = "SELECT campaign_id FROM recipient WHERE id > %s"
            if table == "recipient":
                connection.execute("DELETE FROM recipient WHERE id > %s", [first])
            elif column == "campaign_id":
                connection.execute(f"DELETE FROM {table} WHERE campaign_id IN ({lost})", [first])  # noqa: S608
            else:
                connection.execute(f"DELETE FROM {table} WHERE recipient_id > %s", [first])  # noqa: S608
        connection.execute("SELECT setval(pg_get_serial_sequence('recipient', 'id'), %s)", [first])


def _push(ground: Ground, campaign_id: int, messages: Sequence[Mapping[str, Any]]) -> None:
    """Let the carrier tell once more of what it took before, to the account of this campaign."""
    with database(ground.stack) as connection:
        account = _one(connection, "SELECT sms_account_id FROM campaign WHERE id = %s", campaign_id)
    addresses = json.loads(ground.stack.env["SANDBOX_KARADEN_RECEIPTS"]).values()
    (address,) = (one for one in addresses if f"/callbacks/sms/{account}/" in one)
    for message in messages:
        body = {"object": "message", "id": message["id"], "tags": message["tags"], "status": "done", "result": "done",
                "sent_result": "received"}  # fmt: skip
        told = urllib.request.Request(address, json.dumps(body).encode(), method="POST")  # noqa: S310 - our own address
        with urllib.request.urlopen(told, timeout=10):  # noqa: S310 - the same
            pass
    _until(ground, "SELECT count(*) = 0 FROM receipt WHERE applied_at IS NULL AND %s IS NOT NULL", 0)


def _until(ground: Ground, statement: str, value: int) -> None:
    with database(ground.stack) as connection:
        ground.until(lambda: bool(_one(connection, statement, value)), statement[:60], _LONGEST_WAIT_S)


def _one(connection: Any, statement: str, *values: int) -> Any:  # noqa: ANN401 - any column
    row = connection.execute(statement, values).fetchone()
    return None if row is None else row[0]


def _value(ground: Ground, statement: str) -> int:
    with database(ground.stack) as connection:
        return int(_one(connection, statement))


CELLS: Mapping[str, Callable[[Ground], Run]] = {"restored_tokens": restored_tokens}
