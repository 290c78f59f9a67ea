import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values.card_numbers import holds_card_number, mask_card_numbers

# The payment networks' published test numbers
NUMBERS = [
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "3566002020360505",
    "30569309025904",
    "6011111111111117",
    "6304000000000000000",
]
FULL_WIDTH = str.maketrans("0123456789 -", "０１２３４５６７８９　－")


def _in_fours(number, separator):
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_card_number_is_found_in_every_form(number):
    for form in (number, _in_fours(number, " "), _in_fours(number, "-"), _in_fours(number, "  ")):
        assert holds_card_number(form)
        assert holds_card_number(form.translate(FULL_WIDTH))
        assert holds_card_number(f"カード{form}です")


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111 12/28",
        "2026 4111 1111 1111 1111",
        "期限12/28 4111-1111-1111-1111 123",
        "3782 822463 10005 様",
        "4111 1111-1111 1111",
        "4111ー1111ー1111ー1111",
        "番号\n4111\n1111\n1111\n1111",
    ],
)
def test_a_card_number_among_other_text_is_found(text):
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8959191425",  # a policy number
        "090-1234-5678 03-1234-5678",
        "2026-12-13 2027-01-05",
        "2026-12-13 090-1234-5678",
        "4111111111111112",  # the check digit is wrong
        "4111 1111 1111 1112",
        "0000000000000000",
        "41111111111111110000",  # 20 digits
        "K4111-1111-1111",
        "1,234,567,890,123",
    ],
)
def test_other_numbers_are_none(text):
    assert not holds_card_number(text)
    assert mask_card_numbers(text) == text


@given(st.from_regex(r"4[0-9]{14}|5[1-5][0-9]{13}|3[47][0-9]{12}|35[3-8][0-9]{12}", fullmatch=True))
def test_of_ten_check_digits_one_makes_a_card_number(digits):
    assert sum(holds_card_number(f"{digits}{check}") for check in range(10)) == 1


@pytest.mark.parametrize("number", NUMBERS)
def test_a_masked_number_shows_four_digits_and_is_still_refused(number):
    for form in (number, _in_fours(number, " "), _in_fours(number, "-").translate(FULL_WIDTH)):
        masked = mask_card_numbers(f"カード {form} です")
        assert masked == f"カード {'*' * (len(number) - 4)}{number[-4:]} です"
        assert holds_card_number(masked)


@given(st.text(alphabet="0123456789 -－０１*", max_size=60))
def test_no_card_number_survives_masking(text):
    masked = mask_card_numbers(text)
    assert mask_card_numbers(masked) == masked
    assert not holds_card_number(masked.replace("*", "x"))


@given(st.from_regex(r"[79][0-9]{12,15}|5[1-5][0-9]{11}|3[47][0-9]{11}", fullmatch=True))
def test_no_issuer_gives_out_such_a_number(digits):
    """One in ten of a company's own numbers passes Luhn's check; no network has their prefix and length."""
    assert not any(holds_card_number(digits[:-1] + str(check)) for check in range(10))


def test_thirteen_digits_are_a_companys_own_in_its_own_column():
    assert holds_card_number("4222222222222")
    assert not holds_card_number("4222222222222", own_number=True)
    assert holds_card_number("4111111111111111", own_number=True)
