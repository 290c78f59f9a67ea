"""Sender numbers: digits that a carrier shows, and a clear word about everything else."""

import pytest

from app.problems import Refused
from app.values import sender_numbers


@pytest.mark.parametrize(
    ("carrier", "typed", "digits"),
    [
        ("docomo", "050-1234-5678", "05012345678"),
        ("docomo", "０５０ー１２３４ー５６７８", "05012345678"),
        ("docomo", "+81 50 1234 5678", "05012345678"),
        ("docomo", "＋８１（０）５０−１２３４−５６７８", "05012345678"),
        ("docomo", " 0120‐000‐101 ", "0120000101"),
        ("au", "03 (1234) 5678", "0312345678"),
        ("softbank", "243056", "243056"),
        ("softbank", "２４３０５", "24305"),
        ("softbank", "0032-069-000", "0032069000"),
        ("rakuten", "0570-000-101", "0570000101"),
        ("rakuten", "243056", "243056"),
        ("all", "0005-1234", "00051234"),
        ("all", "0005 123 456", "0005123456"),
    ],
)
def test_a_number_is_read_as_people_type_it(carrier: str, typed: str, digits: str) -> None:
    assert sender_numbers.read(carrier, typed) == digits


@pytest.mark.parametrize(
    ("carrier", "typed", "code"),
    [
        ("docomo", "", "sender_number_empty"),
        ("docomo", " - ", "sender_number_empty"),
        ("docomo", "TODOKE", "sender_number_not_digits"),
        ("docomo", "050-1234-567O", "sender_number_not_digits"),
        ("docomo", "内線12", "sender_number_not_digits"),
        ("docomo", "050-1234-5678、0120-000-101", "sender_number_not_digits"),
        ("docomo", "05012345678+81", "sender_number_not_digits"),
        ("docomo", "٠٥٠١٢٣٤٥٦٧٨", "sender_number_not_digits"),
        ("docomo", "050123456789", "sender_number_too_long"),
        ("docomo", "0" * 5000, "sender_number_too_long"),
        ("docomo", "+1 202 555 0123", "sender_number_foreign"),
        ("docomo", "+44 20 7946 0958", "sender_number_foreign"),
        ("docomo", "110", "sender_number_not_telephone"),
        ("docomo", "090-1234-5678", "sender_number_mobile"),
        ("au", "+81 80 1234 5678", "sender_number_mobile"),
        ("rakuten", "07012345678", "sender_number_mobile"),
        ("docomo", "06012345678", "sender_number_mobile"),
        ("docomo", "1234567890", "sender_number_not_telephone"),
        ("docomo", "8131234567", "sender_number_not_telephone"),
        ("docomo", "243056", "sender_number_not_telephone"),
        ("au", "243056", "sender_number_not_telephone"),
        ("rakuten", "1234", "sender_number_not_telephone"),
        ("docomo", "0005123456", "sender_number_common_to_all"),
        ("softbank", "0005123456", "sender_number_common_to_all"),
        ("softbank", "2430", "sender_number_not_softbank"),
        ("softbank", "043056", "sender_number_not_softbank"),
        ("softbank", "05012345678", "sender_number_not_softbank"),
        ("all", "05012345678", "sender_number_not_common"),
        ("all", "0005123", "sender_number_not_common"),
        ("all", "00051234567", "sender_number_not_common"),
    ],
)
def test_what_no_carrier_shows_is_refused_with_what_to_do(carrier: str, typed: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        sender_numbers.read(carrier, typed)
    assert refused.value.problem.code == code
    assert refused.value.message_ja.endswith("。")
