"""Nonsense in a payment provider's answer is nothing, never an exception."""

import pytest

from app.providers.payments import json_fields


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "2026-01-01", "x", 7, None]
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert json_fields.moment({"at": value}, "at") is None


@pytest.mark.parametrize("value", [b'"a\\u0000b"', b'"\\ud800"', b'""', b"1", b"[]"])
def test_a_text_that_cannot_be_stored_is_none(value: bytes) -> None:
    assert json_fields.text(json_fields.content(b'{"x": ' + value + b"}"), "x") is None
