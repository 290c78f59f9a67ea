"""docs/ja/lists.md says what is taken and what is told: each of its lines against what the product does."""

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from app.intake.checking.checks import CheckedRow, Checker, Fault, Level, Outcome, Rejected, Skipped
from app.intake.checking.rules import make_rules
from app.intake.checking.whole_list import WholeList
from app.intake.columns.mapping import Question, propose
from app.intake.reading.reader import read_table
from app.problems import Refused
from app.values.answers import Kana, QuestionKind, normalise

TABLE = Path(__file__).parents[3] / "docs" / "ja" / "lists.md"
HEADER = ("管理番号", "電話番号", "氏名", "請求金額", "生年月日", "契約番号下4桁", "郵便番号", "フリガナ")
SOUND = ("C1", "090-4444-0001", "佐藤 花子", "26000", "1980/1/2", "0489", "060-0001", "サトウ")
OTHER = ("C2", "090-4444-0002", "鈴木 一郎", "26000", "1980/1/2", "0489", "060-0001", "スズキ")
QUESTIONS = (
    Question("生年月日", QuestionKind.DATE),
    Question("契約番号の下4桁", QuestionKind.LAST4),
    Question("郵便番号", QuestionKind.POSTCODE),
    Question("フリガナ", QuestionKind.TEXT, kana=Kana.KANA),
)
TAKEN = ("C1", "+819044440001", 26_000, ("1980-01-02", "0489", "0600001", "サトウ"))


def rows_text(*rows: Sequence[str], delimiter: str = ",", header: Sequence[str] = HEADER) -> str:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in ',"\n\t;') else cell

    return "".join(delimiter.join(map(quoted, row)) + "\r\n" for row in (header, *rows))


def with_cell(column: str, *cells: str) -> list[bytes]:
    """Make for each cell a list whose first row holds it; the second row is sound."""
    place = HEADER.index(column)
    return [rows_text((*SOUND[:place], cell, *SOUND[place + 1 :]), OTHER).encode() for cell in cells]


def book(change: Callable[[Worksheet], None] = lambda _: None, summary: str = "") -> bytes:
    made = Workbook()
    if summary:
        made.worksheets[0].append([summary])
        sheet = made.create_sheet("名簿")
    else:
        sheet = made.worksheets[0]
    for row in (HEADER, SOUND, OTHER):
        sheet.append(list(row))
    change(sheet)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def cell(column: str, value: object, code: str = "General") -> bytes:
    def change(sheet: Worksheet) -> None:
        at = sheet.cell(2, HEADER.index(column) + 1)
        at.value, at.number_format = value, code  # type: ignore[assignment]

    return book(change)


def computed() -> bytes:
    """Return a number a formula with its result, which openpyxl can't write."""
    return replaced(cell("請求金額", 26000), "<v>26000</v>", "<f>13000*2</f><v>26000</v>")


def replaced(data: bytes, old: str, new: str, rename: Callable[[str], str] = str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(stream, "w") as after:
        for name in before.namelist():
            after.writestr(rename(name), before.read(name).replace(old.encode(), new.encode()))
    return stream.getvalue()


def hide(sheet: Worksheet) -> None:
    sheet.row_dimensions[2].hidden = True


def hide_column(sheet: Worksheet) -> None:
    sheet.column_dimensions["C"].hidden = True


def no_height() -> bytes:
    """Return a row of no height, which openpyxl doesn't write."""

    def raise_row(sheet: Worksheet) -> None:
        sheet.row_dimensions[2].height = 33

    return replaced(book(raise_row), 'ht="33"', 'ht="0"')


def no_width() -> bytes:
    """Return a column of no width, which openpyxl doesn't write."""

    def widen(sheet: Worksheet) -> None:
        sheet.column_dimensions["C"].width = 33

    return replaced(book(widen), 'width="33"', 'width="0"')


LIST = rows_text(SOUND, OTHER)
# numbers of one length, but for the first
LENGTHS = rows_text(
    *(
        (
            f"C{place}",
            f"090-5555-{place:04d}",
            "佐藤",
            "1",
            "1980/1/2",
            "0489",
            "060-0001",
            f"{10**6 + place}"[place == 0 :],
        )
        for place in range(20)
    )
)

CASES: dict[str, list[bytes]] = {
    "文字コードがShift_JIS、UTF-8、UTF-16、EUC-JP、JIS": [
        LIST.encode(encoding) for encoding in ("cp932", "utf-8", "utf-8-sig", "utf-16", "euc_jp", "iso2022_jp")
    ],
    "タブ区切り、セミコロン区切り、縦棒（｜の半角）区切り": [
        rows_text(SOUND, OTHER, delimiter=sign).encode("cp932") for sign in "\t;|"
    ],
    "先頭が sep=, の行": [f"sep=,\r\n{LIST}".encode("cp932")],
    "見出しの上に題名、作成日、空の行": [f"一覧\r\n作成日,2026/11/30\r\n\r\n{LIST}".encode("cp932")],
    "先頭に見えない印（BOM）が2つ": [
        f"\ufeff\ufeff{LIST}".encode(),
        '\ufeff\ufeff"管理番号"'.encode() + LIST[4:].encode(),
    ],
    "末尾に古いプログラムの終わりの印（0x1A）": [f"{LIST}\x1a".encode("cp932"), f"{LIST.rstrip()}\x1a".encode("cp932")],
    "行の終わりの空のセルが、カンマごと省かれている": [
        rows_text(SOUND, OTHER, header=(*HEADER, "備考", "備考2")).encode()
    ],
    "古いExcel（.xls）、パスワード付きのExcel": [b"\xd0\xcf\x11\xe0" + bytes(600)],
    "PDF": [b"%PDF-1.7 " + bytes(600)],
    "見出しだけ": [rows_text().encode()],
    "同じ見出しが2つ": [rows_text((*SOUND, "1"), header=(*HEADER, "氏名")).encode()],
    "途中から壊れたUTF-8": [LIST.encode() + b"\xe6\x97"],
    "閉じていない引用符": [LIST.encode() + b'"C3,'],
    "表示形式で見えている番号（K00012、060-0001）": [
        cell("郵便番号", 600001, code) for code in (r"000\-0000", "0000000", "[<=999]000;[<=9999]000\\-00;000\\-0000")
    ]
    + [cell("管理番号", 1, code) for code in ('"C"0', r"\C0")],
    "日付のセル（西暦、和暦の表示）": [
        cell("生年月日", dt.date(1980, 1, 2), code) for code in ("yyyy/m/d", '[$-411]ggge"年"m"月"d"日"')
    ],
    "結果の入った数式": [computed()],
    "1枚目が集計のシート": [book(summary="合計")],
    "部品の名前の大文字・小文字や区切りが違うブック": [
        replaced(book(), "", "", lambda name: name.replace("sharedStrings", "SharedStrings").replace("/", "\\"))
    ],
    "千円単位、百分率など、見えている文字を読み取れない表示形式": [
        cell("請求金額", 26000, "#,##0,"),
        cell("請求金額", 26, "0%"),
        cell("氏名", 3, "0%"),
    ],
    "プログラムが書いた、まだ計算されていない数式": [cell("請求金額", "=13000*2"), cell("氏名", "=A1")],
    "差し込む列のエラー値（#N/Aなど）": with_cell("氏名", "#N/A", "#REF!"),
    "番号の列の結合されたセル（下の行）": [book(lambda sheet: sheet.merge_cells("A1:A2"))],
    "フィルターや手作業で隠れた行、高さ0の行": [book(hide), no_height()],
    "非表示の列、幅0の列": [book(hide_column), no_width()],
    "壊れたブック": [book()[:-200], replaced(book(), "</worksheet>", "")],
    "開くと極端に大きくなるブック": [replaced(cell("氏名", "@@@"), "@@@", "あ" * 10**6)],
    "ハイフン、空白、かっこ、全角、+81": with_cell(
        "電話番号", "09044440001", "090 4444 0001", "(090)4444-0001", "０９０－４４４４－０００１", "+81 90-4444-0001"
    ),
    '="09012345678" の形': with_cell("電話番号", '="09044440001"'),
    "見えない文字が混じった番号": with_cell("電話番号", "\u202a090-4444-0001\u202c", "090\u200b44440001"),
    "先頭の0が消えた番号（9012345678、9012345678.0）": with_cell("電話番号", "9044440001", "9044440001.0"),
    "同じ番号が2行": [rows_text(OTHER[:1] + SOUND[1:2] + OTHER[2:], SOUND).encode()],
    "固定電話、IP電話、ポケットベル、フリーダイヤル": with_cell(
        "電話番号", "03-1234-5678", "050-1234-5678", "020-1234-5678", "0120-123-456"
    ),
    "指数表示（9.01E+09）": with_cell("電話番号", "9.01E+09"),
    "桁の足りない番号": with_cell("電話番号", "090-4444-000"),
    "空": with_cell("電話番号", "", "　"),
    "文字の混じった番号、2つの番号": with_cell("電話番号", "090-4444-000X", "090-4444-0001/090-4444-0002"),
    "0で始まる番号、3/4、12E3、19桁の番号": with_cell("管理番号", "0012", "3/4", "12E3", "1000000000000000019"),
    "13桁の顧客番号": with_cell("管理番号", "2113819493001", "1002113819493"),
    "同じ管理番号が2行": [rows_text(OTHER[:1] + SOUND[1:], OTHER, SOUND[:1] + OTHER[1:]).encode()],
    "クレジットカード番号とみられる番号": with_cell("氏名", "4111 1111 1111 1111"),
    "カンマ、¥、円、全角の金額": with_cell("請求金額", "26,000", "¥26000", "26,000円", "２６，０００", "26000.00"),
    "126.000": with_cell("請求金額", "126.000"),
    "0円、マイナス、小数、数字でない金額": with_cell("請求金額", "0", "-500", "126.5", "無料"),
    "西暦、和暦、8桁の日付": with_cell(
        "生年月日", "1980-01-02", "19800102", "昭和55年1月2日", "S55.1.2", "１９８０年１月２日"
    ),
    "暦にない日": with_cell("生年月日", "1981/2/29", "1980/13/1"),
    "元号にない年": with_cell("生年月日", "昭和65年1月1日"),
    "数値になった日付（29222）": with_cell("生年月日", "29222"),
    "先頭の0が消えた郵便番号": with_cell("郵便番号", "600001"),
    "空の答え": [data for column in HEADER[4:] for data in with_cell(column, "")],
    "「下4桁」の列に長い番号": with_cell("契約番号下4桁", "A-00010489"),
    "ほかの行と桁数の違う番号": [LENGTHS.encode()],
    "銀行のカナ（ﾘﾖｳｺ）": [rows_text((*SOUND[:-1], "ｻﾄｳ"), OTHER).encode("cp932")],
    "答えの異体字（髙﨑德）": with_cell("フリガナ", "髙﨑德"),
    "前のシステムで失われた文字（??橋、佐藤〓子、佐□、文字化け、&#39640;橋）": with_cell(
        "氏名", "??橋", "佐藤〓子", "佐□", "縺輔→縺?", "&#39640;橋"
    ),
    "差し込む列のNULL、None、nanなど、値がないことを表す語": with_cell("氏名", "NULL", "None", "nan"),
    "セルの中の改行": with_cell("氏名", "佐藤\n花子"),
    "携帯電話会社によっては表示されない文字（①、髙、絵文字）": with_cell("氏名", "①山", "髙橋", "佐藤😀"),
    "数式の形の文字（=1+1）": with_cell("氏名", "=1+1"),
    "NULや、半分だけの文字": [replaced(cell("氏名", "@@@"), "@@@", text) for text in ("a_x0000_", "a_xD800_")],
    "空の行、空白や見えない文字だけの行": [
        rows_text(row, OTHER).encode() for row in ((), [""] * 8, ["　"] * 8, ["\u200b"] * 8)
    ],
    "見出しよりセルの多い行": [rows_text((*SOUND, "ずれ"), OTHER).encode()],
    "必要なセルのない行、「以上」などの行": [
        rows_text(SOUND[:3], OTHER).encode(),
        rows_text(("以上",), OTHER).encode(),
    ],
    "途中でくり返された見出し": [rows_text(HEADER, OTHER).encode()],
}


class Line(NamedTuple):
    """A line of the table."""

    kind: str
    outcome: str
    told: str


def table() -> list[Line]:
    lines = re.findall(r"(?m)^\| (.+?) \| (.+?) \| ?(.*?) ?\|$", TABLE.read_text(encoding="utf-8"))
    return [Line(*line) for line in lines if line[0] != "名簿にあるもの"]


def first_outcome(data: bytes) -> tuple[Outcome, list[Fault]]:
    """Return what became of the first row below the headline, and what was told of it."""
    opened = read_table(io.BytesIO(data))
    mapping = propose(opened.header, QUESTIONS, payment_required=True)
    rules = make_rules(opened.header, mapping, QUESTIONS, ["氏名"], payment_required=True, today=dt.date(2026, 11, 30))
    checker = Checker(rules, 1_000)
    outcomes = [checker.check(row) for row in opened.rows]
    # where two rows contradict each other the later one is told
    first = next((one for one in outcomes if one.faults), outcomes[0])
    odd = [fault for fault in checker.odd_lengths() if fault.sheet_row == first.sheet_row]
    return first, [*first.faults, *odd]


def what_is_done(data: bytes) -> tuple[str, str]:
    """Return the word of the table for what becomes of a list, and what is told."""
    try:
        outcome, faults = first_outcome(data)
    except Refused as bad:
        return "ファイルを断る", bad.message_ja
    told = "".join(fault.problem.message_ja for fault in faults)
    if isinstance(outcome, Skipped):
        return "対象外", told
    if isinstance(outcome, Rejected):
        return "行を断る", told
    return "注意" if any(fault.level == Level.WARNING for fault in faults) else "取り込む", told


def test_the_table_and_the_cases_are_the_same() -> None:
    assert [line.kind for line in table()] == list(CASES)


@pytest.mark.parametrize("line", table(), ids=lambda line: line.kind)
def test_a_line_says_what_is_done(line: Line) -> None:
    words = re.findall("「(.+?)」(?!の)", line.told) if line.outcome != "取り込む" else []
    for data in CASES[line.kind]:
        done, told = what_is_done(data)
        assert done == line.outcome, told
        for word in words:
            assert word in told
        if done == "行を断る":
            assert told.endswith("。")


@pytest.mark.parametrize("line", [line for line in table() if line.outcome == "取り込む"], ids=lambda line: line.kind)
def test_whoever_is_taken_is_who_stands_there(line: Line) -> None:
    """Each of these lists is the same two people's, but for the numbers that two lines are about."""
    about_numbers = line.kind in {"0で始まる番号、3/4、12E3、19桁の番号", "13桁の顧客番号"}
    for data in CASES[line.kind]:
        outcome, _ = first_outcome(data)
        assert isinstance(outcome, CheckedRow)
        person = (outcome.reference, outcome.phone, outcome.amount_yen, outcome.answers)
        assert person[about_numbers:] == TAKEN[about_numbers:]
        assert outcome.fields["氏名"] == "佐藤 花子"


def whole(data: bytes) -> WholeList:
    table = read_table(io.BytesIO(data))
    found = WholeList(table.header)
    for row in table.rows:
        found.see(row)
    return found


def test_hidden_rows_are_counted_before_anything_is_taken() -> None:
    assert [whole(data).hidden_rows for data in (book(), book(hide), no_height())] == [0, 1, 1]


def test_hidden_columns_are_named_before_anything_is_taken() -> None:
    for data in (book(hide_column), no_width()):
        assert read_table(io.BytesIO(data)).hidden_columns == ("氏名",)


def test_bank_kana_is_the_same_answer() -> None:
    assert normalise(QuestionKind.TEXT, "ﾘﾖｳｺ", kana=Kana.KANA) == normalise(
        QuestionKind.TEXT, "リョウコ", kana=Kana.KANA
    )
