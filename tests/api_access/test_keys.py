"""Keys: drawn, read, made and taken back."""

import itertools
from datetime import date
from hashlib import sha256

import pytest

from app import tenancy
from app.api_access import keys
from app.api_access.keys import Scope
from app.extensions import db
from app.models import ApiKey, AuditEntry
from app.problems import Refused
from tests import factories


@pytest.fixture
def company(app):
    with app.app_context():
        tenant = factories.tenant()
        manager = factories.user(tenant, "manager")
        with tenancy.tenant(tenant):
            yield tenant, manager


def _make(company, name="基幹", mode="live", scopes=(Scope.READ,), last_day=None):
    return keys.create(name, mode, scopes, last_day=last_day, user_id=company[1])


def test_a_key_has_256_bits_and_a_check():
    drawn = [keys.draw(mode) for mode in ("live", "test") for _ in range(200)]
    assert len({one.text for one in drawn}) == 400
    assert len(keys._ALPHABET) ** keys._SECRET_CHARS >= 2**256
    for one in drawn:
        assert keys.read(one.text) == keys.Written(one.public_id, sha256(one.text.encode()).digest())


def test_a_spoilt_key_is_none():
    text = keys.draw("live").text
    for spoilt in ("", text[:-1], text + "1", text.upper(), text.replace("live", "test"), f" {text}"):
        assert keys.read(spoilt) is None


def test_a_letter_changed_anywhere_is_noticed():
    text = keys.draw("live").text
    for place in range(len("tdk_live_"), len(text)):
        other = "2" if text[place] != "2" else "3"
        assert keys.read(text[:place] + other + text[place + 1 :]) is None, place


def test_what_is_stored_opens_nothing(company):
    row, text = _make(company)
    stored = db.session.connection().exec_driver_sql("SELECT row_to_json(k)::text FROM api_key k").scalar_one()
    secret = text.split("_")[3]
    assert secret[:20] not in stored
    assert row.digest == sha256(text.encode()).digest()
    assert db.session.query(AuditEntry.act).all() == [("create_api_key",)]


def test_two_of_a_name_live_at_once(company):
    first, _ = _make(company)
    _make(company)
    with pytest.raises(Refused) as refused:
        _make(company)
    assert refused.value.problem.code == "api_key_two_alive"
    _make(company, mode="test")
    keys.revoke(first.id, user_id=company[1])
    _make(company)


def test_there_is_an_end_to_keys(company):
    for number in range(keys.MOST_ALIVE):
        _make(company, name=f"システム{number}")
    with pytest.raises(Refused) as refused:
        _make(company, name="もう1つ")
    assert refused.value.problem.code == "api_key_too_many"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": " "}, "api_key_name_missing"),
        ({"name": "あ" * 61}, "api_key_name_too_long"),
        ({"scopes": ()}, "api_key_scope_missing"),
        ({"last_day": date(2020, 1, 1)}, "api_key_expiry_past"),
    ],
)
def test_a_key_that_cannot_be_is_refused(company, given, code):
    with pytest.raises(Refused) as refused:
        _make(company, **given)
    assert refused.value.problem.code == code
    assert db.session.query(ApiKey).count() == 0


def test_a_key_is_taken_back_once(company):
    row, _ = _make(company)
    keys.revoke(row.id, user_id=company[1])
    with pytest.raises(Refused) as refused:
        keys.revoke(row.id, user_id=company[1])
    assert refused.value.problem.code == "api_key_gone"


def test_every_scope_has_words():
    assert set(keys.SCOPE_WORDS) == set(Scope)
    assert not set(itertools.chain(*keys.SCOPE_WORDS.values())) & set("abcdefghijklmnopqrstuvwxyz")
