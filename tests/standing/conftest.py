"""A standing campaign that runs, and people who come to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from app import tenancy
from app.campaigns import lifecycle, preflight
from app.delivery import dispatch
from app.extensions import db
from app.models import Campaign
from app.problems import Problem
from app.standing import adding
from app.standing.adding import Added
from tests import factories
from tests.launched import sandbox, tuned

__all__ = ["sandbox", "tuned"]

WORDS = "【みどり信販】{氏名}様 ご予約の確認です。{リンク}"


def somebody(number: int = 1, **changes: str) -> dict[str, str]:
    """Return what a form or a program says of one person."""
    return {
        "電話番号": f"090-1234-{1000 + number}",
        "管理番号": f"K{number}",
        "氏名": f"佐藤 {number}",
        "生年月日": "1980/1/2",
        "契約番号下4桁": "0123",
        **changes,
    }


@dataclass(slots=True)
class Line:
    """A company with a standing campaign that takes people in."""

    tenant_id: int
    user_id: int
    account_id: int
    campaign_id: int
    database: psycopg.Connection = field(repr=False)

    def add(self, row: Mapping[str, str] | None = None, *, to: int | None = None, **how: Any) -> Added | list[Problem]:
        """Let one person come, and commit."""
        with tenancy.tenant(self.tenant_id):
            row = somebody() if row is None else row
            found = adding.add(to or self.campaign_id, row, actor=f"user:{self.user_id}", **how)
            db.session.commit()
            return found

    def added(self, row: Mapping[str, str] | None = None, **how: Any) -> Added:
        """Let one person come who is taken."""
        found = self.add(row, **how)
        assert isinstance(found, Added), found
        return found

    def refused(self, row: Mapping[str, str] | None = None, **how: Any) -> list[tuple[str, object]]:
        """Let one person come who is not; return each problem's code and column."""
        found = self.add(row, **how)
        assert isinstance(found, list), found
        return [(problem.code, problem.facts.get("field")) for problem in found]

    def send(self) -> None:
        """Let a worker serve all that is due."""
        while dispatch.take():
            pass

    def launch(self, campaign_id: int) -> None:
        """Check a draft, and start it."""
        with tenancy.tenant(self.tenant_id):
            checked = preflight.run(campaign_id)
            assert checked.problems == []
            lifecycle.launch(campaign_id, user_id=self.user_id, digest=checked.digest)

    def state(self, campaign_id: int | None = None) -> str:
        """Return how a version stands."""
        found = self.one("SELECT state FROM campaign WHERE id = %s", campaign_id or self.campaign_id)
        return str(found[0])

    def states(self) -> dict[str, int]:
        """Count all people of all versions by SMS state."""
        rows = self.database.execute(
            "SELECT sms_state, count(*) FROM recipient WHERE tenant_id = %s GROUP BY 1", [self.tenant_id]
        )
        return dict(rows.fetchall())

    def one(self, statement: str, *values: object) -> tuple[Any, ...]:
        """Read one row as the database's owner."""
        found = self.database.execute(statement, values).fetchone()
        assert found is not None
        return found

    def change(self, statement: str, *values: object) -> None:
        """Change rows as the database's owner."""
        self.database.execute(statement, values)

    def company(self, **columns: Any) -> None:
        """Change the company's terms."""
        for name, value in columns.items():
            self.change(f"UPDATE tenant SET {name} = %s WHERE id = %s", value, self.tenant_id)  # noqa: S608 - our own words


@pytest.fixture
def opened(tuned: Callable[..., None], database: psycopg.Connection) -> Callable[..., Line]:
    """Start a standing campaign of a company of its own."""

    def make(**columns: Any) -> Line:
        tuned()
        tenant_id = factories.tenant()
        user_id, account_id = factories.user(tenant_id), factories.sms_account(tenant_id)
        values = {"sms_text": WORDS, "standing": True, "day_limit": 1000, "created_by": user_id, **columns}
        campaign_id = factories.campaign(tenant_id, sms_account_id=account_id, **values)
        line = Line(tenant_id, user_id, account_id, campaign_id, database)
        line.launch(campaign_id)
        return line

    return make


@pytest.fixture
def line(opened: Callable[..., Line]) -> Line:
    return opened()


def words_of(line: Line, campaign_id: int) -> str:
    with tenancy.tenant(line.tenant_id):
        return db.session.get_one(Campaign, campaign_id).sms_text
