"""Conditions that rooms share fit into statements written by hand."""

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import aliased

from app.db import Of, in_text
from app.models import Recipient, SendLog


def _was_sent_to(person: Of[Recipient]) -> ColumnElement[bool]:
    return exists().where(SendLog.recipient_id == person.id, SendLog.code == "100% sure").correlate(person)


def _words(text: str) -> str:
    return " ".join(text.split())


def test_a_condition_speaks_of_the_rows_of_the_statement_it_is_put_into() -> None:
    """Of no rows of its own: a second `recipient` in the subquery would make it true of everybody."""
    written = _words(in_text(_was_sent_to, Recipient))
    assert written == (
        "(EXISTS (SELECT * FROM send_log WHERE send_log.recipient_id = recipient.id AND send_log.code = '100% sure'))"
    )


def test_a_condition_takes_the_alias_it_is_asked_for() -> None:
    assert "send_log.recipient_id = r.id" in _words(in_text(_was_sent_to, aliased(Recipient, name="r")))
