"""The walls: a key, an address, a contract and a scope, each tried from the wrong side."""

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
import structlog
import time_machine

from api import ENDPOINTS
from app import config, create_app, tenancy
from app.api_access import addresses, ids, keys, refusals
from app.api_access.ids import Of
from app.api_access.keys import Scope
from app.extensions import db
from app.models import ApiAddress, ApiKey
from tests import factories
from tests.api.systems import V1, system
from tests.raw_states import force

OUTSIDE = "198.51.100.7"


def _refused(answer):
    assert answer.status_code == 403
    assert answer.json["code"] == "api_forbidden"
    return answer.data, sorted(answer.headers.items())


def test_a_key_opens_its_own_company_from_a_listed_address(ours, theirs):
    assert [one["id"] for one in ours.get(f"{V1}/campaigns").json["campaigns"]] == [
        ids.make(Of.CAMPAIGN, ours.campaign)
    ]


def test_whatever_is_wrong_the_answer_is_the_same_to_the_byte(app, ours, database):
    other = keys.draw("live").text
    broken = ours.key[:-1] + ("2" if ours.key[-1] == "1" else "1")
    answers = [_refused(ours.get(f"{V1}/campaigns", peer=OUTSIDE))]
    answers += [
        _refused(ours.get(f"{V1}/campaigns", headers={"Authorization": value}))
        for value in ("", "Bearer", f"Basic {ours.key}", f"Bearer {other}", f"Bearer {broken}", f"bearer {ours.key} x")
    ]
    other_key, text = system(app, tenant=ours.tenant, networks=()), ours.key
    with app.app_context(), tenancy.tenant(ours.tenant):
        number = db.session.query(ApiKey.id).filter_by(public_id=text.split("_")[2]).scalar()
        keys.revoke(number, user_id=ours.manager)
    answers.append(_refused(ours.get(f"{V1}/campaigns")))
    force(database, "tenant", [ours.tenant], state="suspended")
    answers.append(_refused(other_key.get(f"{V1}/campaigns")))
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("state", ["suspended", "review"])
def test_a_company_that_may_not_send_comes_not_in(app, state):
    with app.app_context():
        tenant = factories.tenant(state=state)
    _refused(system(app, tenant=tenant).get(f"{V1}/campaigns"))


def test_without_a_list_nothing_works(app):
    _refused(system(app, networks=()).get(f"{V1}/campaigns"))


def test_another_companys_list_opens_nothing(app, ours):
    alone = system(app, networks=("203.0.113.9",))
    _refused(alone.get(f"{V1}/campaigns"))


@pytest.mark.parametrize(
    ("listed", "peer", "opens"),
    [
        ("203.0.113.0/24", "203.0.113.255", True),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("203.0.113.5", "::ffff:203.0.113.5", True),
        ("::ffff:203.0.113.0/120", "203.0.113.77", True),
        ("203.0.113.5", "::203.0.113.5", False),
        ("2001:db8::/48", "2001:db8:0:ffff::1", True),
        ("2001:db8::/48", "2001:db8:1::1", False),
        ("203.0.113.5", "2001:db8::1", False),
        ("203.0.113.5", "", False),
        ("203.0.113.5", "unix:", False),
    ],
)
def test_an_address_is_on_the_list_however_it_is_written(app, listed, peer, opens):
    assert (system(app, networks=(listed,)).get(f"{V1}/campaigns", peer=peer).status_code == 200) == opens


@pytest.fixture
def behind(app, settings):
    """Make the application behind so many proxies, and give its client."""
    made = []

    def behind(hops):
        here = {name: getattr(settings, name) for name in settings.__slots__} | {"trusted_proxies": hops}
        product = create_app(config.Settings(**here))
        product.testing = True
        made.append(product)
        return product.test_client()

    yield behind
    for product in made:
        with product.app_context():
            db.engine.dispose()


GOOD, FORGED, PROXY = "203.0.113.5", "203.0.113.5", "10.0.0.1"


@pytest.mark.parametrize(
    ("hops", "peer", "told", "opens"),
    [
        # nothing in front: what the header says is the client's own word
        (0, GOOD, None, True),
        (0, GOOD, OUTSIDE, True),
        (0, OUTSIDE, FORGED, False),
        (0, OUTSIDE, f"{FORGED}, {FORGED}", False),
        # one proxy: the last entry is its word
        (1, PROXY, GOOD, True),
        (1, PROXY, f"{OUTSIDE}, {GOOD}", True),
        (1, PROXY, f"{FORGED}, {OUTSIDE}", False),
        (1, PROXY, f"{FORGED},{OUTSIDE}", False),
        (1, PROXY, f'"{FORGED}, {OUTSIDE}', False),
        (1, GOOD, None, False),
        (1, GOOD, "", False),
        (1, PROXY, f"{GOOD}, ", False),
        # two: the one before the last
        (2, PROXY, f"{GOOD}, 10.0.0.2", True),
        (2, PROXY, f"{FORGED}, {OUTSIDE}, 10.0.0.2", False),
        (2, PROXY, GOOD, False),
        (2, GOOD, None, False),
        # a quote that is not closed would swallow what the proxies append, and leave the forged entry as the second
        (2, PROXY, f'{FORGED}, ", {OUTSIDE}, 10.0.0.2', False),
        (2, PROXY, f'{FORGED}, "{OUTSIDE}, 10.0.0.2"', False),
    ],
)
def test_a_forged_forwarded_for_opens_nothing(ours, database, behind, hops, peer, told, opens):
    database.execute("UPDATE api_address SET network = %s WHERE tenant_id = %s", [f"{GOOD}/32", ours.tenant])
    ours.client = behind(hops)
    headers = {} if told is None else {"X-Forwarded-For": told}
    assert (ours.get(f"{V1}/campaigns", peer=peer, headers=headers).status_code == 200) == opens


def test_the_first_such_attempt_of_an_hour_is_told_at_home(ours, theirs, database):
    for _ in range(3):
        ours.get(f"{V1}/campaigns", peer=OUTSIDE)
        ours.get(f"{V1}/campaigns", peer="2001:db8::1")
        ours.get(f"{V1}/campaigns", peer="2001:db8::2")
    refusals.finish()
    told = database.execute("SELECT tenant_id, address, reason FROM api_refusal ORDER BY address").fetchall()
    assert told == [(ours.tenant, OUTSIDE, "address"), (ours.tenant, "2001:db8::/64", "address")]


def test_a_wrong_key_of_a_company_is_told_to_it_alone(ours, theirs, database):
    wrong = "_".join([*ours.key.split("_")[:3], theirs.key.split("_")[3]])
    body = wrong[:-6]
    ours.key = body + keys._check(body)
    _refused(ours.get(f"{V1}/campaigns"))
    ours.key = keys.draw("live").text
    _refused(ours.get(f"{V1}/campaigns"))
    refusals.finish()
    assert database.execute("SELECT tenant_id, reason FROM api_refusal").fetchall() == [(ours.tenant, "key")]


def test_no_answer_takes_longer_for_being_nearly_right(app, ours):
    """A wrong key, no key and a wrong address cost one look-up each; the first sights of an hour are past."""
    ways: dict[str, dict[str, Any]] = {
        "address": {"peer": OUTSIDE},
        "key": {"headers": {"Authorization": f"Bearer {keys.draw('live').text}"}},
        "none": {"headers": {"Authorization": ""}},
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(40):
        for name, way in ways.items():
            began = time.perf_counter()
            ours.get(f"{V1}/campaigns", **way)
            took[name].append(time.perf_counter() - began)
    middles = [median(times) for times in took.values()]
    assert max(middles) < 2 * min(middles)


def test_a_key_that_is_over_opens_nothing(app, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        today = datetime.now(UTC).date() + timedelta(days=1)
        _, ours.key = keys.create("期限つき", "live", [Scope.READ], last_day=today, user_id=ours.manager)
    assert ours.get(f"{V1}/campaigns").status_code == 200
    with app.app_context(), tenancy.tenant(ours.tenant):
        db.session.execute(db.text("UPDATE api_key SET expires_at = now() - interval '1 second'"))
        db.session.commit()
    _refused(ours.get(f"{V1}/campaigns"))


def test_last_use_is_noted(ours, database):
    assert ours.get(f"{V1}/campaigns").status_code == 200
    (used,) = database.execute("SELECT last_used_at FROM api_key").fetchone()
    assert datetime.now(UTC) - used < timedelta(minutes=1)


# --- what each may do, and whose it is ---


# bodies that pass as such, for the handlers that want one
_BODIES: dict[str, Any] = {
    "add_recipient": {"fields": {"氏名": "佐藤"}},
    "add_recipients": {"rows": [{"氏名": "佐藤"}]},
    "create_campaign": {"name": "写し", "starter": "visit"},
    "launch_campaign": {"digest": "0", "people": 1},
    "remind_campaign": {"which": "unopened", "number": 1},
    "settle_payment": {"method": "cash", "yen": 1, "reason": "窓口"},
    "take_payment_back": {"reason": "別の契約の入金"},
}


def _addresses(of):
    """Return each route of the document with the ids of a company's campaign, person and payment in it."""
    values = {
        "payment": ids.make(Of.PAYMENT, 1),
        "campaign": ids.make(Of.CAMPAIGN, of.campaign),
        "recipient": ids.make_person(of.people[0].id, of.people[0].secret),
    }
    for endpoint in ENDPOINTS:
        rule = endpoint.rule
        for name, value in values.items():
            rule = rule.replace(f"<{name}>", value)
        yield endpoint, V1 + rule


def test_another_companys_things_are_not_found_on_any_route(ours, theirs):
    seen = 0
    for endpoint, url in _addresses(theirs):
        if url == V1 + endpoint.rule:
            continue
        body = _BODIES.get(endpoint.name, {})
        answer = ours.get(url) if endpoint.method == "GET" else ours.post(url, json=body)
        assert (answer.status_code, answer.json["code"]) == (404, "api_not_found"), url
        seen += 1
    assert seen > 15


@pytest.mark.parametrize(
    "wrong",
    ["1", "cmp_", "cmp_1", "x" * 200, "cmp_" + "a" * 26, "CMP_" + "a" * 26, "rcp_" + "a" * 26, "%00", "ref:K000001"],
)
def test_no_id_is_guessed(ours, wrong):
    assert ours.get(f"{V1}/campaigns/{wrong}").status_code == 404


def test_a_person_is_found_by_id_and_by_the_companys_own_number(ours):
    person = ours.people[1]
    by_id = ours.get(f"{ours.of_campaign}/recipients/{ids.make_person(person.id, person.secret)}")
    by_number = ours.get(f"{ours.of_campaign}/recipients/ref:{person.reference}")
    assert by_id.json == by_number.json
    assert by_id.json["reference"] == person.reference
    assert ours.get(f"{ours.of_campaign}/recipients/ref:nobody").status_code == 404


def test_an_id_of_before_a_restore_is_nobodys(ours, database):
    person = ours.people[0]
    before = ids.make_person(person.id, person.secret)
    database.execute("UPDATE recipient SET link_secret = sha256('another')::bytea WHERE id = %s", [person.id])
    assert ours.get(f"{ours.of_campaign}/recipients/{before}").status_code == 404


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_does_what_its_scopes_say_and_no_more(app, scope):
    only = system(app, scopes=(scope,))
    for endpoint, url in _addresses(only):
        answer = only.get(url) if endpoint.method == "GET" else only.post(url, json={})
        lacks = answer.status_code == 403 and answer.json["code"] == "api_scope_missing"
        assert lacks == (endpoint.scope != scope), url


def test_no_phone_number_is_told(ours):
    for endpoint, url in _addresses(ours):
        if endpoint.method == "GET" and endpoint.scope is not Scope.READ_PERSONAL:
            said = ours.get(url).get_data(as_text=True)
            assert [person.phone[3:] for person in ours.people if person.phone[3:] in said] == [], url


def test_lists_are_read_page_by_page(ours):
    url, seen = f"{ours.of_campaign}/recipients?limit=2", []
    while url:
        page = ours.get(url).json
        seen += [one["reference"] for one in page["recipients"]]
        url = page["next"] and f"{ours.of_campaign}/recipients?limit=2&after={page['next']}"
    assert seen == [person.reference for person in ours.people]


def test_a_key_is_nowhere_in_the_logs(ours, capfd):
    structlog.get_logger().warning("seen", said=f"Authorization: {ours.key}", header=ours.key)
    assert ours.key[:20] not in capfd.readouterr().err


def test_time_passes_and_the_key_still_opens(ours):
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=True):
        assert ours.get(f"{V1}/campaigns").status_code == 200


def test_the_list_may_be_emptied_and_nothing_works_any_more(app, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        (entry,) = db.session.query(ApiAddress).all()
        addresses.remove(entry.id, user_id=ours.manager)
    _refused(ours.get(f"{V1}/campaigns"))


def _with_nul(value):
    """Yield a body with a NUL in one of its texts, once for each."""
    if isinstance(value, str):
        yield f"{value}\0"
    elif isinstance(value, list):
        yield from ([changed] for changed in _with_nul(value[0]))
    elif isinstance(value, dict):
        yield from ({**value, name: changed} for name, one in value.items() for changed in _with_nul(one))
        yield from ({**value, f"{name}\0": one} for name, one in value.items())


def test_a_nul_is_refused_wherever_it_stands(ours):
    bodies = 0
    for endpoint, url in _addresses(ours):
        for body in _with_nul(_BODIES.get(endpoint.name, {})):
            answer = ours.post(url, json=body)
            assert (answer.status_code, answer.mimetype) == (422, "application/problem+json"), (url, body)
            bodies += 1
        if "ref" not in url and "/recipients/" in url and endpoint.method == "GET":
            at = url.replace(url.split("/recipients/")[1].split("/")[0], "ref:A%001")
            assert ours.get(at).status_code == 404, at
    assert bodies > 15
    assert ours.get(f"{V1}/campaigns?after=%00").status_code in {400, 404, 422}
