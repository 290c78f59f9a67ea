"""References: nobody's but one person's, short enough for every provider, read in whatever case they come back."""

from collections.abc import Callable

import pytest

from app import links, references

SECRET = bytes(range(16))


def test_marks_are_drawn_apart() -> None:
    marks = {references.mark(secret, "") for secret in links.draw_secrets(5000)}
    assert len(marks) == 5000
    assert len({mark.upper() for mark in marks}) == 5000, "apart in capital letters too"
    assert all(mark == mark.lower() and mark.isalnum() and mark.isascii() for mark in marks)


def test_an_installation_with_a_trillion_rows_stays_within_30_characters() -> None:
    mark = references.mark(SECRET, "")
    row_id = 10**13 - 1
    made = [references.sms(mark, row_id, 99), references.payment(mark, row_id, 99), references.test_sms(row_id)]
    assert max(map(len, made)) <= 30


def test_a_mark_tells_half_of_the_secret_at_most() -> None:
    changed = SECRET[:8] + bytes(8)
    assert references.mark(SECRET, "") == references.mark(changed, "")


@pytest.mark.parametrize("written", [str, str.upper, str.lower, " {} ".format])
def test_a_reference_reads_in_any_case_and_with_blanks(written: Callable[[str], str]) -> None:
    read = references.parse_sms(written(references.sms(references.mark(SECRET, ""), 12, 3)))
    assert read == (references.mark(SECRET, ""), 12, 3)


def test_references_of_before_read_as_they_were() -> None:
    assert references.mark(None, "k3y4abcdef") == "k3y4abcdef"
    assert references.of_attempt(None, "k3y4abcdef", 12, 3) == "k3y4abcdef.12.3"
    assert references.parse_sms("k3y4abcdef.12.3") == ("k3y4abcdef", 12, 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.1",
        "a.1.p1",
        "a.t1",
        "a.1.1.1",
        "a.x.1",
        "a.١.1",
        f"a.{2**63}.1",
        "a.1.9999999999",
        f"{'a' * 21}.1.1",
    ],
)
def test_what_is_no_sms_of_ours_is_none(text: str) -> None:
    assert references.parse_sms(text) is None


def test_payments_are_told_by_their_form() -> None:
    assert references.is_payment(references.payment(references.mark(SECRET, ""), 12, 1))
    assert references.is_payment("k3y4abcdef.12.p1"), "of before"
    others = ("ORDER-1", "a.1.1", "a.1.h1", "a.1.p1.r1", "a.1.p1\n")
    assert not any(map(references.is_payment, others))


def test_an_answer_about_another_message_is_told() -> None:
    assert not references.mismatch("ab.1.1", [])
    assert not references.mismatch("ab.1.1", ["AB.1.1", "other"])
    assert references.mismatch("ab.1.1", ["ab.1.2"])


def test_two_test_sms_of_one_row_number_have_two_references() -> None:
    assert references.test_sms(1) != references.test_sms(1)
