import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.reading.list_rows import Limits, column_letter
from app.intake.reading.reader import read_table
from app.problems import Refused

HEADER = "管理番号,電話番号,氏名"
LIST = f"{HEADER}\r\nK1,09012345678,髙橋 一郎\r\nK2,08012345678,森 進\r\n"
ROWS = [(2, ["K1", "09012345678", "髙橋 一郎"]), (3, ["K2", "08012345678", "森 進"])]


def _read(data, limits=None):
    table = read_table(io.BytesIO(data), *([limits] if limits else []))
    return table, list(table.rows)


def _refused(data, limits=None):
    with pytest.raises(Refused) as refusal:
        _read(data, limits)
    assert refusal.value.message_ja.rstrip(")").endswith("。")
    return refusal.value


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig", "utf-16"])
def test_every_form_of_a_list_reads_alike(encoding, delimiter, line_end):
    data = LIST.replace(",", delimiter).replace("\r\n", line_end).encode(encoding)
    table, rows = _read(data)
    assert table.header == ("管理番号", "電話番号", "氏名")
    assert rows == ROWS
    assert (table.encoding, table.delimiter) == (encoding, delimiter)


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-16"])
def test_a_letter_cut_by_the_end_of_a_chunk_is_read_whole(encoding):
    """The file is read in pieces of some hundred kilobytes; a letter has two to four bytes."""
    for shift in range(4):
        cells = ["K" * (shift + 1), "09012345678", "髙橋" * 50]
        data = f"{HEADER}\r\n" + f"{','.join(cells)}\r\n" * 3_000
        table, rows = _read(data.encode(encoding))
        assert table.encoding == encoding
        assert rows == [(sheet_row, cells) for sheet_row in range(2, 3_002)]


def test_row_numbers_are_those_of_the_sheet():
    _, rows = _read('番号,氏名\r\n1,"山田\n花子"\r\n\r\n3,森\r\n,\r\n5,"a\r\n\r\nb"\r\n6,c'.encode())
    assert [sheet_row for sheet_row, _ in rows] == [2, 3, 4, 5, 6, 7]
    assert rows[0][1] == ["1", "山田\n花子"]
    assert rows[1][1] == []
    assert rows[-1] == (7, ["6", "c"])


def test_a_delimiter_inside_quotes_does_not_count():
    table, rows = _read('"氏名, 姓, 名"\t"番号; id"\r\n森\t1\r\n'.encode())
    assert table.delimiter == "\t"
    assert table.header == ("氏名, 姓, 名", "番号; id")
    assert rows == [(2, ["森", "1"])]


def test_one_column_is_a_list_too():
    table, rows = _read("電話番号\n09012345678\n".encode())
    assert (table.header, rows) == (("電話番号",), [(2, ["09012345678"])])


def test_header_names_are_cleaned():
    table, rows = _read('"携帯\r\n電話番号", 氏名　,ＴＥＬ（自宅）,\'=式,,\r\n1,2,3,4,,\r\n1,2,3,4,,x\r\n'.encode())
    assert table.header == ("携帯電話番号", "氏名", "TEL(自宅)", "=式")
    # the empty cells under what Excel writes out beyond the header go with it, anything else stays to be told
    assert rows == [(2, ["1", "2", "3", "4"]), (3, ["1", "2", "3", "4", "", "x"])]


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (b"", "file_empty", "空です"),
        (b"PK\x03\x04\x14\0", "book_broken", "壊れている"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "file_is_old_excel", "パスワード"),
        (b"%PDF-1.7\n", "file_is_pdf", "PDF"),
        (b"\x1f\x8b\x08", "file_is_compressed", "展開"),
        (b"<!DOCTYPE html><table>", "file_is_html", "HTML"),
        (b"<HTML>", "file_is_html", "HTML"),
        (b'<?xml version="1.0"?>', "file_is_xml", "XML"),
        ("番号,氏名\r\n1,a\0b\r\n".encode(), "file_is_binary", "NUL"),
        ("番号,氏名\r\n1,a\0b\r\n".encode("utf-16"), "file_is_binary", "NUL"),
        ("番号,氏名\r\n1,a\r\n".encode("utf-16-le"), "file_is_binary", "NUL"),
        (b"\xff\xfea", "file_garbled", "1行目"),
        (b"\xef\xbb\xbf\x83e\x83X\x83g\r\n", "file_garbled", "1行目"),
        ((LIST * 3).encode() + b"\xe9\xab\r\n", "file_garbled", "10行目"),
        ((LIST * 3).encode() + b"\xe9\xab", "file_garbled", "10行目"),
        (HEADER.encode("cp932") + b"\r\nK1,\x81\r\n", "file_unreadable", "2行目"),
        (b"\r\n1,2\r\n", "headline_empty", "1行目"),
        (b",,\r\n1,2,3\r\n", "headline_empty", "1行目"),
        ("番号,,氏名\r\n1,2,3\r\n".encode(), "header_blank", "B列"),
        ("番号,氏名,番号\r\n1,2,3\r\n".encode(), "header_twice", "A列とC列"),
        ("ＴＥＬ,TEL\r\n1,2\r\n".encode(), "header_twice", "「TEL」がA列とB列"),
        (HEADER.encode(), "list_without_rows", "2行目"),
        (f"{HEADER}\r\n".encode("cp932"), "list_without_rows", "2行目"),
        ('番号,氏名\r\n1,a\r\n2,"b\r\n3,c\r\n'.encode(), "quote_open", "3行目"),
        ('"番号,氏名\r\n1,a\r\n'.encode(), "quote_open", "1行目"),
        ('番号,氏名\r\n1,"a"b"\r\n'.encode(), "quote_stray", "2行目"),
        (("番号,氏名\r\n" + '1,"' + "2,b\r\n" * 50_000).encode(), "quote_open", "2行目"),
        (("番号,氏名\r\n1," + "b" * 200_000).encode(), "quote_open", "2行目"),
    ],
)
def test_what_is_no_list_is_refused_with_what_to_do(data, code, word):
    refusal = _refused(data)
    assert refusal.problem.code == code
    assert word in refusal.message_ja


def test_limits_hold_to_the_last_one_allowed():
    limits = Limits(bytes=60, rows=3, columns=3, cell=8)
    data = b"a,b,c\n1,2,12345678\n1,2,3\n1,2,3\n"
    assert len(_read(data, limits)[1]) == 3
    assert _refused(data + b"1,2,3\n", limits).problem.code == "list_too_many_rows"
    assert _refused(b"a,b,c,d\n1,2,3,4\n", limits).problem.code == "headline_too_many_columns"
    long_cell = _refused(b"a,b,c\n1,2,3\n1,2,123456789\n", limits)
    assert (long_cell.problem.code, "3行目のC列" in long_cell.message_ja) == ("cell_too_long", True)
    assert _refused(b"a,b,c\n" + b"1,2,345678\n" * 5, limits).problem.code == "file_too_large"


def test_the_stream_stays_open_for_its_owner():
    stream = io.BytesIO(LIST.encode())
    assert list(read_table(stream).rows) == ROWS
    with pytest.raises(Refused):
        read_table(io.BytesIO(b"a,a\n1,2\n"))
    opened = read_table(stream)
    next(opened.rows)
    del opened
    assert list(read_table(stream).rows) == ROWS


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "list.csv"
    line = "K00000001,090-1234-5678,山田 花子,26000,2026-12-26\r\n".encode("cp932")
    with path.open("wb") as file:
        file.write("管理番号,電話番号,氏名,請求金額,支払期限\r\n".encode("cp932"))
        for _ in range(50_000):
            file.write(line)
    with path.open("rb") as file:
        tracemalloc.start()
        count = sum(1 for _ in read_table(file).rows)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 50_000
    assert peak < path.stat().st_size


@given(st.binary(max_size=400) | st.text(alphabet="ab,\"\r\n\t;あ髙\0'=", max_size=80).map(str.encode))
def test_any_bytes_are_a_list_or_a_refusal(data):
    limits = Limits(bytes=300, rows=5, columns=5, cell=20)
    outcome = _outcome(data, limits)
    if isinstance(outcome, Refused):
        assert outcome.message_ja
        return
    table, rows = outcome
    assert len(set(table.header)) == len(table.header) <= 5
    assert all(table.header)
    first = table.header_row + 1
    assert [sheet_row for sheet_row, _ in rows] == list(range(first, len(rows) + first))


def _outcome(data, limits):
    try:
        return _read(data, limits)
    except Refused as refusal:
        return refusal


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2),
        min_size=1,
    ),
    st.sampled_from(["utf-8-sig", "utf-16"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_what_was_written_is_read(cells, encoding, line_end):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    # names of columns, as no row below can be more of a headline
    writer.writerows([["電話番号", "氏名"], *cells])
    _, rows = _read(text.getvalue().encode(encoding))
    assert [row for _, row in rows] == cells


def test_columns_are_named_as_in_excel():
    assert [column_letter(index) for index in (0, 25, 26, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]
