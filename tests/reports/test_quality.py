"""How well SMS arrive: shares, causes and times by day and carrier, and falls that are worth a look."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from math import inf

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.extensions import db
from app.models import SmsAccount
from app.reports import quality
from app.reports.quality import Fall, Quality
from app.reports.totals import SECONDS
from app.states import result_codes
from app.values.japan_time import TOKYO
from tests import factories
from tests.attempted import attempted
from tests.counted import differences

TODAY = datetime.now(UTC).astimezone(TOKYO).date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def account(app: Flask) -> int:
    """An account with a campaign of one person."""
    with app.app_context():
        return made()


def made() -> int:
    tenant = factories.tenant()
    account = factories.sms_account(tenant)
    factories.people(tenant, factories.campaign(tenant, sms_account_id=account), 1)
    return account


@pytest.fixture
def shown(app: Flask) -> Callable[[int], dict[tuple[date, str], Quality]]:
    def show(account: int) -> dict[tuple[date, str], Quality]:
        with app.app_context(), tenancy.platform():
            return quality.by_day_and_carrier(db.session.get_one(SmsAccount, account), TODAY)

    return show


@pytest.fixture
def fell(app: Flask, database: psycopg.Connection) -> Callable[[int], list[tuple[str, date, float, float]]]:
    def falls(account: int) -> list[tuple[str, date, float, float]]:
        assert differences(database) == []
        with app.app_context(), tenancy.platform():
            tenant_id = db.session.get_one(SmsAccount, account).tenant_id
        with app.app_context(), tenancy.tenant(tenant_id):
            found: list[Fall] = quality.falls(tenant_id, TODAY)
            return [(one.carrier, one.day, round(one.share, 3), round(one.before, 3)) for one in found]

    return falls


def week(database: psycopg.Connection, account: int, until: date, share: float, carrier: str = "docomo") -> None:
    """Let so large a share of 100 a day arrive in the seven days before a day."""
    for ago in range(1, 8):
        arrived = round(100 * share)
        attempted(database, account, arrived, until - timedelta(days=ago), carrier=carrier)
        attempted(database, account, 100 - arrived, until - timedelta(days=ago), "undelivered", carrier=carrier)


def test_a_day_tells_what_became_of_its_attempts_by_carrier(
    account: int, database: psycopg.Connection, shown: Callable[[int], dict[tuple[date, str], Quality]]
) -> None:
    attempted(database, account, 6, TODAY)
    attempted(database, account, 2, TODAY, "undelivered", code="unconnected")
    attempted(database, account, 1, TODAY, "undelivered", code="error")
    attempted(database, account, 3, TODAY, "accepted", carrier="")
    attempted(database, account, 5, TODAY, "unknown")
    attempted(database, account, 4, YESTERDAY, carrier="au")
    found = shown(account)
    docomo, no_carrier = found[TODAY, "docomo"], found[TODAY, ""]
    assert (docomo.sent, docomo.delivered, docomo.undelivered, docomo.share) == (9, 6, 3, 6 / 9)
    assert docomo.causes == {"unconnected": 2, "error": 1}
    assert (no_carrier.sent, no_carrier.share, no_carrier.within_s(0.5)) == (3, None, None)
    assert found[YESTERDAY, "au"].delivered == 4
    whole = quality.together(found.values())
    assert (whole.sent, whole.delivered, whole.ended) == (16, 10, 13)


def test_times_are_the_upper_ends_of_their_classes_and_add_up(
    account: int, database: psycopg.Connection, shown: Callable[[int], dict[tuple[date, str], Quality]]
) -> None:
    for seconds, count in ((0.5, 10), (8, 50), (10, 30), (400, 8), (400_000, 2)):
        attempted(database, account, count, TODAY, seconds=seconds)
    # an opened link says that it arrived, not when
    attempted(database, account, 50, TODAY, code=result_codes.OPENED, seconds=1_000_000)
    attempted(database, account, 900, YESTERDAY, seconds=2)
    found = shown(account)
    today = found[TODAY, "docomo"]
    assert (today.delivered, today.seconds.total()) == (150, 100)
    assert [today.within_s(part) for part in (0.1, 0.5, 0.9, 0.95, 0.98, 1)] == [1, 10, 15, 600, 600, inf]
    both = quality.together(found.values())
    assert [both.within_s(part) for part in (0.5, 0.95)] == [3, 10]
    assert sorted(set(SECONDS)) == list(SECONDS)


def test_days_too_long_ago_and_other_accounts_are_left_out(
    account: int, app: Flask, database: psycopg.Connection, shown: Callable[[int], dict[tuple[date, str], Quality]]
) -> None:
    with app.app_context():
        other = made()
    attempted(database, other, 3, TODAY)
    attempted(database, account, 3, TODAY - timedelta(days=quality.DAYS))
    assert shown(account) == {}
    attempted(database, account, 3, TODAY - timedelta(days=quality.DAYS - 1))
    assert [day for day, _ in shown(account)] == [TODAY - timedelta(days=quality.DAYS - 1)]


def test_a_company_of_before_is_counted_as_it_is_read(
    account: int, database: psycopg.Connection, shown: Callable[[int], dict[tuple[date, str], Quality]]
) -> None:
    attempted(database, account, 6, TODAY)
    attempted(database, account, 2, YESTERDAY, "undelivered", code="error")
    right = shown(account)
    database.execute("DELETE FROM send_log_total")
    database.execute("UPDATE campaign SET counted_at = NULL")
    assert shown(account) == right
    assert shown(account) == right, "as it was kept for whoever asks next"


@pytest.mark.parametrize(("arrived", "named"), [(85, True), (86, False), (90, False), (95, False)])
def test_a_fall_of_five_points_is_one(
    account: int,
    database: psycopg.Connection,
    fell: Callable[[int], list[tuple[str, date, float, float]]],
    arrived: int,
    named: bool,  # noqa: FBT001
) -> None:
    week(database, account, TODAY, 0.9)
    attempted(database, account, arrived, TODAY)
    attempted(database, account, 100 - arrived, TODAY, "undelivered")
    assert fell(account) == ([("", TODAY, arrived / 100, 0.9)] if named else [])


def test_a_handful_is_no_fall_and_yesterday_counts_where_today_is_young(
    account: int, database: psycopg.Connection, fell: Callable[[int], list[tuple[str, date, float, float]]]
) -> None:
    week(database, account, YESTERDAY, 0.9)
    attempted(database, account, 99, TODAY, "undelivered")
    assert fell(account) == []
    attempted(database, account, 120, YESTERDAY, "undelivered")
    assert fell(account) == [("", YESTERDAY, 0.0, 0.9)]
    attempted(database, account, 3000, TODAY)
    assert fell(account) == [], "today's are enough by now, and arrive"


def test_without_days_before_nothing_has_fallen(
    account: int, database: psycopg.Connection, fell: Callable[[int], list[tuple[str, date, float, float]]]
) -> None:
    attempted(database, account, 200, TODAY, "undelivered")
    assert fell(account) == []
    attempted(database, account, 99, YESTERDAY)
    assert fell(account) == []


def test_a_carrier_is_named_where_the_account_as_a_whole_stands(
    account: int, database: psycopg.Connection, fell: Callable[[int], list[tuple[str, date, float, float]]]
) -> None:
    week(database, account, TODAY, 0.9, "docomo")
    week(database, account, TODAY, 0.9, "au")
    attempted(database, account, 5000, TODAY, carrier="docomo")
    attempted(database, account, 100, TODAY, "undelivered", carrier="au")
    assert fell(account) == [("au", TODAY, 0.0, 0.9)]
    attempted(database, account, 5000, TODAY, "undelivered", carrier="docomo")
    assert [carrier for carrier, *_ in fell(account)] == [""]


@pytest.mark.parametrize("change", ["active = false", "test_mode = true"])
def test_accounts_that_nobody_uses_and_those_for_tests_are_not_named(
    account: int,
    database: psycopg.Connection,
    fell: Callable[[int], list[tuple[str, date, float, float]]],
    change: str,
) -> None:
    week(database, account, TODAY, 0.9)
    attempted(database, account, 100, TODAY, "undelivered")
    assert len(fell(account)) == 1
    database.execute(f"UPDATE sms_account SET {change}")  # noqa: S608 - above
    assert fell(account) == []
