"""The list of addresses: what may stand on it."""

import pytest

from app import tenancy
from app.api_access import addresses
from app.extensions import db
from app.models import ApiAddress, AuditEntry
from app.problems import Refused
from tests import factories


@pytest.fixture
def company(app):
    with app.app_context():
        tenant = factories.tenant()
        manager = factories.user(tenant, "manager")
        with tenancy.tenant(tenant):
            yield manager


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("203.0.113.5", "203.0.113.5/32"),
        (" 203.0.113.0/24 ", "203.0.113.0/24"),
        ("2001:DB8::/48", "2001:db8::/48"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:203.0.113.5", "203.0.113.5/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
    ],
)
def test_a_network_is_kept_in_one_form(company, typed, kept):
    addresses.add(typed, "本社", user_id=company)
    assert [str(row.network) for row in db.session.query(ApiAddress)] == [kept]
    assert [row.detail for row in db.session.query(AuditEntry)] == [{"network": kept}]


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "api_address_unreadable"),
        ("本社", "api_address_unreadable"),
        ("203.0.113", "api_address_unreadable"),
        ("203.0.113.5/33", "api_address_unreadable"),
        ("203.0.113.05", "api_address_unreadable"),
        ("example.jp", "api_address_unreadable"),
        ("203.0.113.5/24", "api_address_not_a_network"),
        ("0.0.0.0/0", "api_address_too_wide"),
        ("203.0.0.0/15", "api_address_too_wide"),
        ("::/0", "api_address_too_wide"),
        ("::ffff:0:0/96", "api_address_too_wide"),
        ("2001::/31", "api_address_too_wide"),
    ],
)
def test_what_is_no_network_is_refused(company, typed, code):
    with pytest.raises(Refused) as refused:
        addresses.add(typed, "", user_id=company)
    assert refused.value.problem.code == code


def test_a_network_stands_there_once(company):
    addresses.add("203.0.113.5", "", user_id=company)
    with pytest.raises(Refused) as refused:
        addresses.add("::ffff:203.0.113.5", "", user_id=company)
    assert refused.value.problem.code == "api_address_twice"


def test_a_network_is_removed_once(company):
    row = addresses.add("203.0.113.5", "", user_id=company)
    addresses.remove(row.id, user_id=company)
    with pytest.raises(Refused):
        addresses.remove(row.id, user_id=company)
    assert db.session.query(ApiAddress).count() == 0
