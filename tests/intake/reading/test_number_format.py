"""Cells as people see them: the number formats that Excel and LibreOffice write, against what both show."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_WINDOWS_1900

from app.intake.reading.excel_numbers import UNKNOWN, number_shown, show
from app.intake.reading.number_format import UnknownFormat, number_format, text_format

EPOCH = CALENDAR_WINDOWS_1900


def shown(code: str, number: str) -> str:
    form = number_format(code)
    return form(Decimal(number)) if form else number


@pytest.mark.parametrize(
    ("code", "number", "text"),
    [
        ('"K"00000', "12", "K00012"),
        ("\\K00000", "12", "K00012"),
        ('"K-"0000"-X"', "12", "K-0012-X"),
        ("!K00000", "12", "K00012"),
        ("000\\-0000", "1234567", "123-4567"),
        ("000\\-0000", "600001", "060-0001"),
        ("000-0000-0000", "9012345678", "090-1234-5678"),
        ('000"-"0000"-"0000', "9012345678", "090-1234-5678"),
        ("00000000000", "9012345678", "09012345678"),
        ("[<=999]000;[<=9999]000\\-00;000\\-0000", "123", "123"),
        ("[<=999]000;[<=9999]000\\-00;000\\-0000", "1234", "012-34"),
        ("[<=999]000;[<=9999]000\\-00;000\\-0000", "1000001", "100-0001"),
        ("[<=99999999]####\\-####;\\(00\\)\\ ####\\-####", "12345678", "1234-5678"),
        ("[<=99999999]####\\-####;\\(00\\)\\ ####\\-####", "312345678", "(03) 1234-5678"),
        ("[>=100]0;[<100]000", "7", "007"),
        ("#,##0", "1260000", "1,260,000"),
        ("#,##0", "126", "126"),
        ("#,##0", "0", "0"),
        ("###0", "0", "0"),
        ('#,##0"円"', "26000", "26,000円"),
        ("#,##0円", "26000", "26,000円"),
        ('"¥"#,##0;"¥"\\-#,##0', "26000", "¥26,000"),
        ('"¥"#,##0;[Red]"¥"\\-#,##0', "-26000", "¥-26,000"),
        ("[$¥-411]#,##0", "26000", "¥26,000"),
        ("#,##0_ ;[Red]\\-#,##0\\ ", "26000", "26,000 "),
        ('_ "¥"* #,##0_ ;_ "¥"* \\-#,##0_ ;_ "¥"* "-"_ ;_ @_ ', "26000", " ¥26,000 "),
        ('_ "¥"* #,##0_ ;_ "¥"* \\-#,##0_ ;_ "¥"* "-"_ ;_ @_ ', "0", " ¥- "),
        ("0.00", "126", "126.00"),
        ("0.00", "0.005", "0.01"),
        ("#,##0.###", "1234.5", "1,234.5"),
        ("0.0#", "1.25", "1.25"),
        ("0.0#", "1", "1.0"),
        ("0", "25999.5", "26000"),
        ("0;-0;;@", "0", ""),
        ("0;0", "-5", "5"),
        ("0", "-5", "-5"),
        ("(0)", "-5", "-(5)"),
        ("0_);(0)", "-5", "(5)"),
        ('General"番"', "12", "12番"),
        ("G/標準", "12", "12"),
        ("??0", "5", "  5"),
        ("0000 0000", "12345678", "1234 5678"),
        ("[Red]0", "5", "5"),
        ("[青]000", "5", "005"),
        ('"No."0', "5", "No.5"),
        ("000", "1234", "1234"),
        ("00-00", "123456", "1234-56"),
        ("@", "12", "12"),
        ('00"年"00"月"', "2612", "26年12月"),
    ],
)
def test_a_number_is_written_as_the_cell_shows_it(code, number, text):
    assert shown(code, number) == text


@pytest.mark.parametrize(
    "code", ["0%", "#,##0,", "0,,", "# ?/?", "[DBNum1]0", "[$-411][DBNum2]0", "[h]:mm", "0E+0", '"open', "0.0.0", "qq0"]
)
def test_a_format_that_does_not_say_what_the_cell_holds_is_unknown(code):
    with pytest.raises(UnknownFormat):
        number_format(code)


@pytest.mark.parametrize("code", ["0%", "#,##0,", "# ?/?", "[DBNum1]0"])
def test_a_cell_of_such_a_format_is_told(code):
    form = show(200, code, EPOCH)
    assert form is not None
    assert form("26000") == UNKNOWN


@pytest.mark.parametrize("code", ["General", "@", "0.00E+00", "##0.0E+0"])
def test_where_a_cell_holds_more_than_it_shows_all_of_it_is_read(code):
    assert show(200, code, EPOCH) is None


def test_a_text_is_written_by_its_section():
    assert text_format("@") is None
    assert text_format("0;0;0") is None
    form = text_format('"K"@')
    assert form is not None
    assert form("12") == "K12"
    form = text_format('0;-0;0;@"様"')
    assert form is not None
    assert form("佐藤") == "佐藤様"


@given(st.text(alphabet='0#?.,;"\\!_*[]<>=$-@KGenral 円¥%/E', max_size=40), st.integers(-(10**12), 10**12))
def test_any_code_is_a_text_or_unknown(code, number):
    try:
        shown(code, str(number))
    except UnknownFormat:
        return


@given(st.integers(0, 10**15 - 1), st.integers(1, 15))
def test_zeros_in_front_are_those_of_the_format(number, width):
    assert shown("0" * width, str(number)) == str(number).zfill(width)


@given(st.integers(0, 10**15 - 1))
def test_no_digit_is_lost_by_grouping(number):
    assert shown("#,##0", str(number)) == f"{number:,}"


@pytest.mark.parametrize("code", ['General"円"', "0.00", '"K"00000', "General"])
@pytest.mark.parametrize("number", ["1E-999999", "-1E-999999", "1E+999999", "1E999999999999", "NaN", "-Infinity"])
def test_a_number_without_measure_is_not_written_out(number, code):
    shown = show(200, code, CALENDAR_WINDOWS_1900)
    assert len(shown(number) if shown else number_shown(number)) < 100
