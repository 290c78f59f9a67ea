"""A backup of what sending changes, and its restoring, in the middle of a test."""

import json

import psycopg

_CLAIMS = ("send_log", "event", "recipient", "slice", "campaign", "beat", "installation")


class Backup:
    """The rows that a backup would bring back of the tables that sending changes, whole."""

    def __init__(self, database: psycopg.Connection) -> None:
        self._database = database
        self._rows = {name: self._read(name) for name in _CLAIMS}

    def _read(self, name: str) -> str:
        rows = self._database.execute(f"SELECT jsonb_agg(t) FROM {name} t").fetchone()  # noqa: S608 - our tables
        assert rows is not None
        return json.dumps(rows[0] or [])

    def restore(self) -> None:
        with self._database.transaction():
            for name in ("send_log", "event", "beat", "installation"):
                self._database.execute(f"DELETE FROM {name}")  # noqa: S608 - our tables
                self._database.execute(
                    f"INSERT INTO {name} OVERRIDING SYSTEM VALUE"  # noqa: S608 - our tables
                    f" SELECT * FROM jsonb_populate_recordset(NULL::{name}, %s)",
                    [self._rows[name]],
                )
            for name, columns in (
                ("recipient", "sms_state, sms_attempt, sms_code, fence, sent_at, accepted_at, link_expires_at"),
                ("slice", "fence, due_at, leased_until, check_at"),
                ("campaign", "state, completed_at"),
            ):
                theirs = ", ".join(f"b.{column.strip()}" for column in columns.split(","))
                self._database.execute(
                    f"UPDATE {name} t SET ({columns}) = ROW ({theirs})"  # noqa: S608 - our tables
                    f" FROM jsonb_populate_recordset(NULL::{name}, %s) b WHERE b.id = t.id",
                    [self._rows[name]],
                )
