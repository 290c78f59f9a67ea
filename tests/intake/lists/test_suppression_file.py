"""A file of numbers that get nothing: good rows are taken together, each bad one is told, nothing half."""

import io
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.extensions import db
from app.intake.lists import suppression_file
from app.intake.lists.suppression_file import Taken
from app.intake.reading.list_rows import Limits
from app.models import AuditEntry, Suppression
from app.problems import Refused
from app.suppression import export, numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from app.values.xlsx_writer import workbook
from tests import factories

DEFAULT = Terms(SuppressionReason.OTHER)


@pytest.fixture
def company(app: Flask, database: psycopg.Connection) -> Iterator[int]:
    with app.app_context():
        tenant_id = factories.tenant()
        with tenancy.tenant(tenant_id):
            yield tenant_id


def take(content: str | bytes, terms: Terms = DEFAULT, rows: int = 1_000_000) -> Taken:
    data = content.encode() if isinstance(content, str) else content
    return suppression_file.take(io.BytesIO(data), terms, actor="user:7", limits=Limits(rows=rows))


def refused(content: str, rows: int = 1_000_000) -> str:
    with pytest.raises(Refused) as found:
        take(content, rows=rows)
    assert db.session.query(Suppression).count() == 0
    assert db.session.query(AuditEntry).count() == 0
    return found.value.problem.code


def test_rows_are_taken_with_their_own_terms_or_the_files(company: int) -> None:
    taken = take(
        "管理番号,電話番号,理由,期限,備考\nK1,090-1234-5678,弁護士介入,2099/3/31,受任通知\nK2,08012345678,,,\n,,,,\n",
        Terms(SuppressionReason.CONTRACT_ENDED, note="11月分"),
    )
    assert (taken.rows, taken.added, taken.known, taken.bad, taken.passed) == (2, 2, 0, [], ("管理番号",))
    first, second = numbers.find("09012345678"), numbers.find("08012345678")
    assert first is not None
    assert second is not None
    assert (first.reason, str(numbers.last_day_of(first)), numbers.open_note(first)) == (
        "lawyer",
        "2099-03-31",
        "受任通知",
    )
    assert (second.reason, second.until, numbers.open_note(second)) == ("contract_ended", None, "11月分")
    (entry,) = db.session.query(AuditEntry)
    assert (entry.act, entry.detail) == ("import_suppressions", {"rows": 2, "added": 2, "rejected": 0})


def test_each_bad_row_is_told_and_the_others_are_taken(company: int) -> None:
    taken = take(
        "電話番号,理由,期限,備考\n"
        "090-1234-5678,,,\n"
        "03-1234-5678,,,\n"
        "090-1111-2222,なんとなく,,\n"
        "090-1111-3333,,2020/1/1,\n"
        "090-1111-4444,,,090-1111-4444の件\n"
        ",解約,,\n"
    )
    assert (taken.rows, taken.added) == (6, 1)
    assert [(row.sheet_row, row.column, row.problem.code) for row in taken.bad] == [
        (3, "電話番号", "phone_landline"),
        (4, "理由", "suppression_file_reason"),
        (5, "期限", "suppression_until_past"),
        (6, "備考", "suppression_note_with_number"),
        (7, "電話番号", "phone_empty"),
    ]


def test_an_entry_is_made_longer_never_shorter(company: int) -> None:
    take("電話番号,期限,備考\n09012345678,2099/3/31,一度目\n08012345678,,\n07012345678,2099/3/31,\n")
    old = numbers.find("07012345678")
    assert old is not None
    numbers.end(old.id, actor="user:7")
    taken = take("電話番号,期限\n09012345678,2099/1/31\n08012345678,2099/1/31\n07012345678,2099/1/31\n")
    assert (taken.added, taken.known) == (1, 2)
    taken = take("電話番号\n09012345678\n090-1234-5678\n")
    assert (taken.added, taken.known) == (1, 1)
    entry = numbers.find("09012345678")
    assert entry is not None
    assert (entry.until, numbers.open_note(entry)) == (None, "一度目")


def test_a_workbook_and_a_single_column_are_read_too(company: int) -> None:
    book = b"".join(workbook("一覧", ["携帯番号", "理由"], iter([[["090-1234-5678", "番号違い"]]])))
    assert take(book).added == 1
    assert take("番号\n090-1234-5679\n").added == 1
    assert db.session.query(Suppression).filter_by(reason="wrong_number").count() == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("氏名,住所\n佐藤,東京\n", "suppression_file_no_column"),
        ("電話番号,携帯番号\n09012345678,09012345679\n", "suppression_file_two_columns"),
        ("09012345678\n09012345679\n", "headline_phone_number"),
        ("電話番号\n", "list_without_rows"),
        ('電話番号\n09012345678\n"0901\n', "quote_open"),
    ],
)
def test_a_file_that_is_no_list_leaves_nothing_behind(company: int, content: str, code: str) -> None:
    assert refused(content) == code


def test_a_file_with_too_many_rows_leaves_nothing_behind(company: int) -> None:
    rows = "\n".join(f"0901234{number:04d}" for number in range(11))
    assert refused(f"電話番号\n{rows}\n", rows=10) == "list_too_many_rows"


def test_many_rows_are_taken_in_batches(company: int) -> None:
    rows = "\n".join(f"0901{number:07d}" for number in range(1_000_000, 1_012_000))
    taken = take(f"電話番号\n{rows}\n")
    assert (taken.rows, taken.added) == (12_000, 12_000)


def test_what_goes_out_holds_the_terms_and_no_number(company: int) -> None:
    take("電話番号,理由,備考\n09012345678,解約,=1+1\n08012345678,,\n")
    written = b"".join(export.export("csv")).decode("utf-8-sig")
    assert "解約" in written
    assert "'=1+1" in written
    assert "1234" not in written
    assert len(written.splitlines()) == 3
    assert b"".join(export.export("xlsx")).startswith(b"PK")
