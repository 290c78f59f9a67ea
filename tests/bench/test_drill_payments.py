"""The payment drill's judge: it sees what is lost, charged or told twice, and what differs by a yen."""

from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from flask import Flask

from app.config import Settings
from bench import drill_notices, drill_payments
from bench.drill_payments import Shop, holds
from bench.harness import Ground
from sandbox.harness import Sandbox
from tests.payments.stand import Stand, make_stand
from tests.providers.rawserver import RawServer
from tests.raw_states import force, set_back


@pytest.fixture
def stand(app: Flask, database: psycopg.Connection, shops: Sandbox, listener: RawServer) -> Stand:
    made = make_stand("komoju", app, database, shops, listener)
    made.press()
    made.choose("credit_card")
    return made


@pytest.fixture
def verdict(stand: Stand, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(drill_payments, "PAYMENTS", 1)
    stack = SimpleNamespace(env={"DATABASE_OWNER_URL": settings.database_owner_url})
    ground = cast("Ground", SimpleNamespace(stack=stack, sandbox=stand.sandbox))

    def judge() -> tuple[int, int, int, int, bool]:
        run = Shop(ground, [{"id": stand.person.id}]).verdict(limit_s=0)
        fields = ("payments", "lost", "duplicated", "yen_difference")
        payments, lost, duplicated, yen = (int(str(run[name])) for name in fields)
        return payments, lost, duplicated, yen, holds(run)

    return judge


def test_both_books_alike_hold(stand: Stand, verdict: Any) -> None:
    assert verdict() == (1, 1, 0, 12_000, False)  # nobody has told us yet
    stand.confirm()
    assert verdict() == (1, 0, 0, 0, True)


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (("recipient", {"payment_state": "started"}), (1, 1, 0, 12_000, False)),
        (("payment", {"state": "refunded"}), (1, 1, 0, 12_000, False)),
        ("UPDATE payment SET problem = 'paid twice'", (1, 1, 0, 12_000, False)),
        ("UPDATE payment SET amount_yen = 11999", (1, 1, 0, 12_000, False)),
        (
            """
            INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor)
            SELECT tenant_id, campaign_id, recipient_id, track, state, at, actor FROM event WHERE state = 'paid'
            """,
            (1, 0, 1, 0, False),
        ),
    ],
)
def test_what_is_wrong_here_is_seen(
    stand: Stand, verdict: Any, damage: str | tuple[str, dict[str, object]], seen: tuple[Any, ...]
) -> None:
    stand.confirm()
    if isinstance(damage, str):
        stand.database.execute(damage)
    else:
        table, columns = damage
        force(stand.database, table, **columns)
    assert verdict() == seen


def test_a_second_charge_at_the_site_is_seen(stand: Stand, verdict: Any) -> None:
    stand.confirm()
    # as if the database had forgotten: the person is led to another page, and pays there
    stand.database.execute("UPDATE payment SET reference = reference || '.x'")
    force(stand.database, "payment", state="refunded")
    set_back(stand.database, "recipient", payment_state="expired")
    stand.press()
    stand.choose("credit_card")
    force(stand.database, "payment", state="paid")
    force(stand.database, "recipient", payment_state="paid")
    assert verdict()[:3] == (1, 0, 1)


def test_the_cell_of_questions_holds_only_in_time_and_without_loss() -> None:
    run: dict[str, Any] = {"payments": 160, "paid_s": 60.0, "lost": 0, "duplicated": 0, "yen_difference": 0}
    assert drill_notices.holds(run)
    for broken in ({"paid_s": 60.1}, {"lost": 1}, {"duplicated": 1}, {"yen_difference": 1}, {"payments": 159}):
        assert not drill_notices.holds({**run, **broken})
