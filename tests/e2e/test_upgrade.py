"""An installation that has people in it is brought to the newest migrations, and loses nothing."""

from pathlib import Path

import pytest

from bench.send import database, prepare
from dev.stack import Stack

pytestmark = pytest.mark.e2e

# before it the last four digits of the numbers had no index, which only the vault can compute
_OLD = "0007"
# as accounts of before 0050 had it: several numbers, and words that no phone ever showed
_SENDER = "0120-000-101、+81 50-1234-5678 / 24305６, 0005-123456、みどり"
_SENDERS = "SELECT carrier, number FROM sender_number WHERE sms_account_id = %s AND state = 'approved' ORDER BY 1, 2"
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
        with database(stack) as connection:
            account = connection.execute(
                "UPDATE sms_account SET sender = %s WHERE id = (SELECT min(id) FROM sms_account) RETURNING id",
                [_SENDER],
            ).fetchone()
        stack.flask("db", "upgrade")
        with database(stack) as connection:
            assert connection.execute(_PEOPLE).fetchone() == before
            assert connection.execute(_SENDERS, account).fetchall() == [
                ("all", "0005123456"),
                ("au", "0120000101"),
                ("au", "05012345678"),
                ("docomo", "0120000101"),
                ("docomo", "05012345678"),
                ("rakuten", "0120000101"),
                ("rakuten", "05012345678"),
                ("softbank", "243056"),
            ]
    finally:
        stack.stop()
