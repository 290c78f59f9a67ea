import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.problems import Refused
from app.values.phones import mask, national, read_phone, to_e164

FULL_WIDTH = str.maketrans("0123456789+-", "０１２３４５６７８９＋－")


@pytest.mark.parametrize(
    "written",
    [
        "09012345678",
        "090-1234-5678",
        "090 1234 5678",
        "０９０１２３４５６７８",
        "０９０－１２３４－５６７８",
        "090‐1234‐5678",
        "090−1234−5678",
        "090ー1234ー5678",
        "090ｰ1234ｰ5678",
        "090　1234　5678",
        "090(1234)5678",
        "(090)1234-5678",
        "（０９０）１２３４－５６７８",
        "090.1234.5678",
        " 09012345678\n",
        "+819012345678",
        "+81 90-1234-5678",
        "＋８１９０１２３４５６７８",
        "+81(0)90-1234-5678",
        "+8109012345678",
        "819012345678",
        "00819012345678",
        "010819012345678",
    ],
)
def test_one_number_in_every_form_people_type(written):
    assert read_phone(written) == ("+819012345678", False)


@pytest.mark.parametrize("start", ["070", "080", "090", "060"])
@pytest.mark.parametrize("next_digit", "123456789")
def test_all_mobile_ranges_pass(start, next_digit):
    assert to_e164(f"{start}-{next_digit}234-5678") == f"+81{start[1:]}{next_digit}2345678"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "phone_empty"),
        ("　", "phone_empty"),
        ("-", "phone_empty"),
        ("03-1234-5678", "phone_landline"),
        ("06-1234-5678", "phone_landline"),
        ("020-1234-5678", "phone_pager"),
        ("050-1234-5678", "phone_ip"),
        ("0120-123-456", "phone_toll_free"),
        ("0800-123-4567", "phone_toll_free"),
        ("0570-012-345", "phone_shared_cost"),
        ("090-1234-567", "phone_too_short"),
        ("060-1234-567", "phone_too_short"),
        ("110", "phone_too_short"),
        ("1", "phone_too_short"),
        ("090-1234-56789", "phone_too_long"),
        ("090-1234-5678 090-8765-4321", "phone_too_long"),
        ("0600-123-4567", "phone_not_mobile"),
        ("090-0123-4567", "phone_not_mobile"),
        ("00000000000", "phone_not_mobile"),
        ("9.01235E+09", "phone_scientific"),
        ("9E+09", "phone_scientific"),
        ("８．１Ｅ＋１０", "phone_scientific"),
        ("なし", "phone_not_a_number"),
        ("090-1234-5678(自宅)", "phone_not_a_number"),
        ("090-1234-5678/03-1234-5678", "phone_not_a_number"),
        ("09012345678.5", "phone_not_a_number"),
        ("901234567.0", "phone_too_short"),
        ("+1 202 555 0123", "phone_foreign"),
        ("+44 7911 123456", "phone_foreign"),
        ("+99999999999999", "phone_too_long"),
    ],
)
def test_what_no_sms_reaches_is_refused_with_its_reason(written, code):
    with pytest.raises(Refused) as refusal:
        to_e164(written)
    assert refusal.value.problem.code == code
    assert refusal.value.message_ja.endswith("。")


def test_each_reason_has_its_own_words():
    words = {}
    for number in ("03-1234-5678", "020-1234-5678", "090-1234-567", "", "0600-123-4567", "050-1234-5678", "9E+09"):
        with pytest.raises(Refused) as refusal:
            to_e164(number)
        words[refusal.value.problem.code] = refusal.value.message_ja
    assert len(set(words.values())) == len(words) == 7


@pytest.mark.parametrize("written", ["9012345678", "90-1234-5678", "８０１２３４５６７８", "7012345678", "6012345678"])
def test_the_zero_excel_drops_is_put_back_and_told(written):
    number, zero_added = read_phone(written)
    assert zero_added
    assert national(number)[1:] == written.replace("-", "").translate(
        str.maketrans("０１２３４５６７８９", "0123456789")
    )


@pytest.mark.parametrize("written", ["9002345678", "3012345678", "901234567", "90123456789", "312345678"])
def test_no_zero_is_guessed_elsewhere(written):
    with pytest.raises(Refused):
        read_phone(written)


def _mobile_by_the_library(written):
    try:
        number = phonenumbers.parse(written, "JP")
    except phonenumbers.NumberParseException:
        return None
    if number.country_code != 81 or phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.MOBILE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def test_20_000_numbers_are_judged_as_the_library_judges_them():
    rng = random.Random(20261123)
    starts = [
        "070",
        "080",
        "090",
        "060",
        "020",
        "050",
        "03",
        "06",
        "0120",
        "0800",
        "0",
        "+8190",
        "+8160",
        "+8120",
        "+813",
    ]
    forms = [
        lambda n: n,
        lambda n: f"{n[:3]}-{n[3:7]}-{n[7:]}",
        lambda n: f"{n[:3]} {n[3:7]} {n[7:]}",
        lambda n: n.translate(FULL_WIDTH),
        lambda n: f"{n[:3]}－{n[3:7]}－{n[7:]}",
    ]
    passed = 0
    for _ in range(20_000):
        start = rng.choice(starts)
        length = rng.choice([10, 11, 11, 11, 11, 12]) + (2 if start[0] == "+" else 0)
        number = start + "".join(rng.choices("0123456789", k=length - len(start)))
        written = rng.choice(forms)(number)
        ours = _outcome(written)
        if isinstance(ours, Refused):
            ours = None
        assert ours == _mobile_by_the_library(written), written
        passed += ours is not None
    assert 4_000 < passed < 16_000  # both sides of the line were walked


@given(st.text(max_size=40) | st.text(alphabet="0123456789+-()０９８１ .E", max_size=20))
def test_any_text_is_a_number_or_a_refusal(text):
    outcome = _outcome(text)
    if isinstance(outcome, Refused):
        assert not outcome.problem.facts
    else:
        assert _mobile_by_the_library(outcome) == outcome


def _outcome(text):
    try:
        return to_e164(text)
    except Refused as refusal:
        return refusal


def test_numbers_as_lists_and_people_see_them():
    assert mask("+819012345678") == "090-****-5678"
    assert national("+816012345678") == "06012345678"
