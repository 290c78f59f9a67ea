import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values.amounts import MAX_YEN, BadAmount, to_yen


@pytest.mark.parametrize(
    "written",
    [
        "26000",
        "26,000",
        "¥26,000",
        "￥26,000",
        "\\26,000",
        "26000円",
        "２６，０００円",
        " 26 000 ",
        "026000",
        "26,000.00",
    ],
)
def test_one_amount_in_every_form_people_type(written):
    assert to_yen(written) == 26_000


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "missing"),
        ("円", "missing"),
        ("五千円", "not_a_number"),
        ("5千円", "not_a_number"),
        ("1万円", "not_a_number"),
        ("無料", "not_a_number"),
        ("1E+05", "not_a_number"),
        ("5,000-", "not_a_number"),
        ("=1000", "not_a_number"),
        ("0x10", "not_a_number"),
        ("-500", "negative"),
        ("－５００", "negative"),
        ("△500", "negative"),
        ("▲1,500円", "negative"),
        ("(500)", "negative"),
        ("0", "zero"),
        ("0円", "zero"),
        ("0.00", "zero"),
        ("1,234.5", "fraction"),
        ("0.5", "fraction"),
        ("12,34", "bad_commas"),
        ("1234,567", "bad_commas"),
        (",500", "bad_commas"),
        ("10,000,000", "too_large"),
        ("9" * 50, "too_large"),
    ],
)
def test_what_is_no_positive_number_of_yen_is_refused_with_its_reason(written, code):
    with pytest.raises(BadAmount) as refusal:
        to_yen(written)
    assert refusal.value.code == code
    assert refusal.value.message_ja.endswith(("。", "。)", "(例: 5000)。"))


@given(st.integers(1, MAX_YEN))
def test_every_payable_amount_is_read(yen):
    assert {to_yen(str(yen)), to_yen(f"{yen:,}"), to_yen(f"¥{yen:,}"), to_yen(f"{yen}.0")} == {yen}


@given(st.text(max_size=30) | st.text(alphabet="0123456789,.-円¥ ０", max_size=14))
def test_any_text_is_an_amount_or_a_refusal(text):
    outcome = _outcome(text)
    if isinstance(outcome, BadAmount):
        assert outcome.args == (outcome.code,)
    else:
        assert 1 <= outcome <= MAX_YEN


def _outcome(text):
    try:
        return to_yen(text)
    except BadAmount as refusal:
        return refusal
