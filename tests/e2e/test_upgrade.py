"""An installation that has people in it is brought to the newest migrations, and loses nothing."""

from pathlib import Path

import pytest

from bench.send import database, prepare
from dev.stack import Stack

pytestmark = pytest.mark.e2e

# before it the last four digits of the numbers had no index, which only the vault can compute
_OLD = "0007"
_PEOPLE = """
    SELECT count(*), md5(string_agg(
        concat_ws(
            '|', id, tenant_id, reference, encode(phone_index, 'hex'), encode(phone_last4_index, 'hex'), sms_state
        ),
        ';' ORDER BY id
    )) FROM recipient
"""


def test_people_come_through_the_migrations(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", durable=False)
    try:
        stack.prepare()
        stack.seed()
        prepare(stack, 200)
        with database(stack) as connection:
            before = connection.execute(_PEOPLE).fetchone()
        assert before is not None
        assert before[0] >= 199
        stack.flask("db", "downgrade", _OLD)
        stack.flask("db", "upgrade")
        with database(stack) as connection:
            assert connection.execute(_PEOPLE).fetchone() == before
    finally:
        stack.stop()
