"""Ids outside tell nothing, and none comes again for another."""

import pytest

from app.api_access import ids
from app.api_access.ids import Of

SECRET = bytes(range(16))
_MOST = 2**63 - 1


@pytest.fixture(autouse=True)
def keyed(app):
    """The installation's keys."""


@pytest.mark.parametrize("number", [1, 2, 1_000_000, _MOST])
def test_an_id_leads_back(number):
    for of in Of:
        if of is Of.RECIPIENT:
            continue
        assert ids.read(of, ids.make(of, number)) == number
    person = ids.read_person(ids.make_person(number, SECRET))
    assert person is not None
    assert person.number == number
    assert person.is_of(SECRET)
    assert not person.is_of(bytes(16))
    assert not person.is_of(None)


def test_ids_tell_no_order_and_no_number():
    made = [ids.make(Of.CAMPAIGN, number) for number in range(1, 300)]
    assert len(set(made)) == len(made)
    assert sorted(made) != made
    assert {len(one) for one in made} == {len("cmp_") + 26}
    assert len({one[4:8] for one in made}) > 290


def test_an_id_of_one_kind_is_none_of_another():
    made = ids.make(Of.CAMPAIGN, 5)
    assert ids.read(Of.PAYMENT, made) is None
    assert ids.read(Of.PAYMENT, "pay_" + made[4:]) is None
    assert ids.read_person("rcp_" + made[4:]) is None
    assert ids.read(Of.RECIPIENT, ids.make_person(5, SECRET)) is None


def test_an_altered_id_is_none():
    made = ids.make(Of.CAMPAIGN, 5)
    for place in range(4, len(made)):
        for other in "a7":
            if made[place] != other:
                assert ids.read(Of.CAMPAIGN, made[:place] + other + made[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "cmp", "cmp_", "cmp_" + "1" * 26, "cmp_" + "あ" * 26, "cmp_" + "a" * 25, "5"])
def test_junk_is_none(text):
    assert ids.read(Of.CAMPAIGN, text) is None
