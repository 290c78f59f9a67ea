"""References: nobody's but one person's, short enough for every provider, read in whatever case they come back."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import links, references

ROOT = Path(__file__).parents[1]
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
        f"a.{10**18}.1",
        "a.1.9999999999",
        f"{'a' * 21}.1.1",
    ],
)
def test_what_is_no_sms_of_ours_is_none(text: str) -> None:
    assert references.parse_sms(text) is None


def test_a_payments_reference_reads_as_it_was_written() -> None:
    mark = references.mark(SECRET, "")
    assert references.parse_payment(references.payment(mark, 12, 1)) == (mark, 12, 1)
    assert references.parse_payment("k3y4ABCDEF.12.p1") == ("k3y4abcdef", 12, 1), "of before"
    others = ("ORDER-1", "a.1.1", "a.1.h1", references.refund("a.1.p1", 1), "a.1.p1\n", f"a.{10**18}.p1")
    assert [references.parse_payment(other) for other in others] == [None] * len(others)


def test_a_test_sms_names_its_row() -> None:
    assert references.parse_test_sms(references.test_sms(12).upper()) == 12
    assert references.parse_test_sms(references.of_test_sms(None, "k3y4abcdef", 12)) == 12, "of before"
    assert references.of_test_sms("ab.t12", "k3y4abcdef", 12) == "ab.t12"
    others = ("a.1.1", "a.1.p1", "a.t", "a.tx", f"a.t{10**18}", references.witness())
    assert [references.parse_test_sms(other) for other in others] == [None] * len(others)


def test_a_reference_bears_the_mark_of_its_person_alone() -> None:
    read = references.parse_sms(references.sms(references.mark(SECRET, ""), 12, 1).upper())
    assert read is not None
    assert references.bears_mark(read, SECRET, "k3y4ABCDEF")
    assert not references.bears_mark(read, bytes(16), "k3y4ABCDEF")
    assert not references.bears_mark(read, None, "k3y4ABCDEF")
    before = references.parse_payment("k3y4ABCDEF.12.p1")
    assert before is not None
    assert references.bears_mark(before, None, "k3y4ABCDEF"), "of before, whatever case the key has"


def test_an_answer_about_another_message_is_told() -> None:
    assert not references.mismatch("ab.1.1", [])
    assert not references.mismatch("ab.1.1", ["AB.1.1", "other"])
    assert references.mismatch("ab.1.1", ["ab.1.2"])
    assert not references.mismatch("AB.1.1", [" ab.1.1 "])


def test_two_test_sms_of_one_row_number_have_two_references() -> None:
    assert references.test_sms(1) != references.test_sms(1)


_WRITTEN = re.compile(r"\{\}\.(\{\}\.)?[pthr]\{\}|\{\}\.\{\}\.\{\}|\{\}\.w")
_READ = re.compile(r"\\\.[pthr]\(?(\[0-9\]|\\d)|_-\][+*{}0-9,]*\)?\\\.|\|\| *'\.[pthrw]?'")


def handmade(source: str) -> Iterator[str]:
    """Find where a file's text writes or reads references by itself: an f-string, a pattern, SQL, a split."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.JoinedStr(values=parts):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
                if _WRITTEN.fullmatch(text) or _READ.search(text):
                    yield text
            case ast.Constant(value=str(text)) if _READ.search(text):
                yield text
            case ast.Call(
                func=ast.Attribute(attr="split" | "partition", value=value), args=[ast.Constant(value="."), *_]
            ):
                if re.search("reference|tag|named", ast.unparse(value)):
                    yield ast.unparse(node)


def test_nobody_else_writes_or_reads_references() -> None:
    rooms = ("app", "admin_views", "public", "api", "callbacks", "jobs")
    paths = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in paths if list(handmade(path.read_text("utf-8")))}
    assert found == {"app/references.py"}


@pytest.mark.parametrize(
    "line",
    [
        'f"{mark}.{row.id}.{attempt}"',
        'f"{mark}.{row.id}.p{attempt}"',
        'f"{campaign.key}.t{row.id}"',
        'f"{reference}.r{number}"',
        "re.compile(r'([a-z_-]{1,20})\\.([0-9]{1,18})\\.p([0-9]{1,9})')",
        "re.compile(r'[a-z]+\\.t(\\d+)')",
        "text(\"SELECT c.key || '.t' || t.id\")",
        "text(\"SELECT key || '.' || id FROM campaign\")",
        "message.reference.split('.')",
        "charge.reference.partition('.')[0]",
    ],
)
def test_a_reference_made_by_hand_is_found(line: str) -> None:
    assert list(handmade(line))
