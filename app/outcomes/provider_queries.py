"""Ask a provider about many attempts at once; no transaction is open meanwhile.

A provider that wishes to be left alone (429, or Retry-After), gives no answer, or refuses the account is not asked
on: the rest of the questions wait, and so do those of every other job and worker about the same account (`ask_after`).
A wish, and a refusal of all that was asked, are kept with the account, so that screens tell of them.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Generic, Literal, NamedTuple, TypeVar

from sqlalchemy import text

from app import tenancy
from app.accounts import shared
from app.delivery import shutdown
from app.delivery.account_waits import WORTH_TELLING_S
from app.providers.curl import Engine
from app.providers.http import Answer, Request, Response, wish_s
from app.providers.sms.base import UnclearAnswer
from app.work_budget import WorkBudget

_AT_ONCE = 16  # a provider's read calls are for looking, not for load
# after so many in a row without any answer the rest is not asked: a provider that hangs holds nobody else up
_SILENT = 16
# how long an account is left alone whose provider gives no answer, or refuses it
_SILENT_WAIT_S = 15.0
_REFUSED_WAIT_S = 60.0
_REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

What = Literal["lookup", "detail"]
K = TypeVar("K")
T = TypeVar("T")


class Asked(NamedTuple, Generic[K, T]):
    """The answers that could be read, by what was asked.

    `silent`: the provider gave no answer any more, and the rest was not asked. `wait_s`: the account must not be asked
    again for so many seconds; 0 for an account that answers. Nothing is known of the `skipped`: they were not asked,
    or the provider put them off. `wished`: the wait is the provider's wish. `refusal` is the code with which it refused
    to answer, where it told nothing at all; `answered`: it told something.
    """

    found: dict[K, T]
    silent: bool
    wait_s: float = 0.0
    skipped: frozenset[K] = frozenset()
    wished: bool = False
    refusal: str = ""
    answered: bool = False


def ask_account(
    account_id: int,
    requests: Mapping[K, Request],
    read: Callable[[K, Response], T],
    *,
    what: What,
    budget: WorkBudget | None = None,
) -> Asked[K, T]:
    """Ask as `ask` does, unless the account is to be left alone; remember for everybody how long it then is.

    `what` is asked: a service may refuse one kind of question and answer another.
    """
    if not requests:
        return Asked({}, silent=False)
    wait_s, refused = _wait_and_refusal(account_id)
    if wait_s > 0:
        return Asked({}, silent=False, wait_s=wait_s, skipped=frozenset(requests))
    asked = ask(requests, read, budget=budget)
    if asked.wait_s:
        leave_alone(account_id, asked.wait_s, wished=asked.wished)
    if asked.refusal and not refused:
        _keep_refusal(account_id, what, asked.refusal)
    elif asked.answered and refused == what:
        _keep_refusal(account_id, "", "")
    return asked


def leave_alone(account_id: int, wait_s: float, *, wished: bool = False) -> None:
    """Have nobody ask about the account's messages for so many seconds, because its service wished it or for us."""
    with tenancy.transaction() as connection:
        shared.lock(connection, account_id)
        connection.execute(
            text("""
                UPDATE sms_account SET ask_after = greatest(ask_after, now() + make_interval(secs => :wait_s)),
                    ask_wish_until = CASE WHEN :told
                        THEN greatest(ask_wish_until, now() + make_interval(secs => :wait_s)) ELSE ask_wish_until END
                WHERE id = :id
            """),
            {"id": account_id, "wait_s": wait_s, "told": wished and wait_s >= WORTH_TELLING_S},
        )


def rest_s(account_id: int) -> float:
    """Return for how many seconds more the account must not be asked, by the database's clock."""
    return _wait_and_refusal(account_id)[0]


def _wait_and_refusal(account_id: int) -> tuple[float, str]:
    """Return for how many seconds more the account must not be asked, and what its service refuses to tell."""
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                SELECT coalesce(extract(epoch FROM ask_after - now()), 0) AS wait_s, ask_refused_what
                FROM sms_account WHERE id = :id
            """),
            {"id": account_id},
        ).first()
    return (0.0, "") if row is None else (max(0.0, float(row.wait_s)), row.ask_refused_what)


def _keep_refusal(account_id: int, what: str, code: str) -> None:
    """Remember that the account's service refuses to tell; nothing, that it tells again."""
    with tenancy.transaction() as connection:
        shared.lock(connection, account_id)
        connection.execute(
            text("""
                UPDATE sms_account SET ask_refused_at = CASE WHEN :what <> '' THEN now() END,
                    ask_refused_what = :what, ask_refused_code = :code
                WHERE id = :id AND (ask_refused_what = '') = (:what <> '')
            """),
            {"id": account_id, "what": what, "code": code},
        )


def ask(
    requests: Mapping[K, Request], read: Callable[[K, Response], T], *, budget: WorkBudget | None = None
) -> Asked[K, T]:
    """Send the requests and read each answer; what failed or can't be read is not in what comes back.

    Once `budget` is spent, where one is given, no further question leaves.
    """
    found: dict[K, T] = {}
    skipped: set[K] = set()
    unanswered = refused = 0
    wait_s = 0.0
    answered_any, refusal = False, ""
    if not requests:
        return Asked(found, silent=False)

    def answered(key: K, answer: Answer) -> None:
        nonlocal unanswered, refused, wait_s, answered_any, refusal
        if not isinstance(answer, Response):
            unanswered += 1
            return
        unanswered = 0
        if wish := wish_s(answer):
            wait_s = max(wait_s, wish)
            skipped.add(key)
            return
        is_refusal = answer.status in _REFUSALS
        refused = refused + 1 if is_refusal else 0
        answered_any = answered_any or not (is_refusal or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            found[key] = read(key, answer)
        except UnclearAnswer as unclear:
            refusal = str(unclear) if is_refusal else refusal

    def may_ask(_key: K) -> bool:
        if budget is not None and budget.is_spent:
            return False
        return not wait_s and unanswered < _SILENT and refused < _SILENT and not shutdown.is_asked()

    with Engine[K](min(_AT_ONCE, len(requests))) as engine:
        engine.run(iter(requests.items()), answered, may_connect=may_ask, may_send=may_ask, on_skipped=skipped.add)
    silent, wished = unanswered >= _SILENT, wait_s > 0
    if silent or refused >= _SILENT:
        wait_s = max(wait_s, _SILENT_WAIT_S if silent else _REFUSED_WAIT_S)
    refusal = "" if answered_any else refusal
    return Asked(found, silent, wait_s, frozenset(skipped), wished, refusal, answered_any)
