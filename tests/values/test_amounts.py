import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.problems import Refused
from app.values.amounts import MAX_YEN, to_yen


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
        ("", "amount_empty"),
        ("円", "amount_empty"),
        ("五千円", "amount_not_a_number"),
        ("5千円", "amount_not_a_number"),
        ("1万円", "amount_not_a_number"),
        ("無料", "amount_not_a_number"),
        ("1E+05", "amount_not_a_number"),
        ("5,000-", "amount_not_a_number"),
        ("=1000", "amount_not_a_number"),
        ("0x10", "amount_not_a_number"),
        ("-500", "amount_negative"),
        ("－５００", "amount_negative"),
        ("△500", "amount_negative"),
        ("▲1,500円", "amount_negative"),
        ("(500)", "amount_negative"),
        ("0", "amount_zero"),
        ("0円", "amount_zero"),
        ("0.00", "amount_zero"),
        ("1,234.5", "amount_fraction"),
        ("0.5", "amount_fraction"),
        ("12,34", "amount_bad_commas"),
        ("1234,567", "amount_bad_commas"),
        (",500", "amount_bad_commas"),
        ("10,000,000", "amount_too_large"),
        ("9" * 50, "amount_too_large"),
    ],
)
def test_what_is_no_positive_number_of_yen_is_refused_with_its_reason(written, code):
    with pytest.raises(Refused) as refusal:
        to_yen(written)
    assert refusal.value.problem.code == code
    assert refusal.value.message_ja.endswith(("。", "。)", "(例: 5000)。"))


@given(st.integers(1, MAX_YEN))
def test_every_payable_amount_is_read(yen):
    assert {to_yen(str(yen)), to_yen(f"{yen:,}"), to_yen(f"¥{yen:,}"), to_yen(f"{yen}.0")} == {yen}


@given(st.text(max_size=30) | st.text(alphabet="0123456789,.-円¥ ０", max_size=14))
def test_any_text_is_an_amount_or_a_refusal(text):
    outcome = _outcome(text)
    if isinstance(outcome, Refused):
        assert set(outcome.problem.facts) <= {"most"}
    else:
        assert 1 <= outcome <= MAX_YEN


def _outcome(text):
    try:
        return to_yen(text)
    except Refused as refusal:
        return refusal
