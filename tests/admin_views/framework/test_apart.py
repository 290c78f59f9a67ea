"""Two companies in one house: every surface that Flask-Admin has, tried with the other company's ids.

The probes use every surface that a view can switch on, and run twice: as the product is, and with row level security
held open, so that each wall is seen to stand by itself.
"""

import re
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from werkzeug.exceptions import NotFound
from wtforms.validators import ValidationError

from admin_views.framework import scoping
from admin_views.framework.filters import Choice
from admin_views.framework.model_view import SecureModelView
from app import tenancy
from app.extensions import db
from app.models import Campaign, Recipient, SmsAccount, User
from tests.admin_views.probes import prober, probes, text_of

__all__ = ["prober", "probes"]

# Flask-Admin's own select, which the product doesn't use
pytestmark = pytest.mark.filterwarnings("ignore:Yielding raw tuples:DeprecationWarning")


@contextmanager
def _rls_held_open(engine):
    def hold_open(connection):
        with connection.connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.platform', 'on', true)")

    event.listen(engine, "begin", hold_open)
    try:
        yield
    finally:
        event.remove(engine, "begin", hold_open)


@pytest.fixture(params=["both walls", "hooks alone"])
def browser(prober, probes, request):
    if request.param == "both walls":
        yield prober
        return
    with probes.app_context():
        engine = db.engine
    with _rls_held_open(engine):
        yield prober


@pytest.fixture
def name_of(database):
    return lambda campaign_id: database.execute("SELECT name FROM campaign WHERE id = %s", [campaign_id]).fetchone()[0]


THEIRS = "あおば保険の配信"
OURS = "みどり信販の配信"


def test_row_level_security_is_really_held_open_in_the_second_run(probes, ours, theirs):
    with probes.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.query(Campaign).count() == 1
    with probes.app_context(), _rls_held_open(db.engine), tenancy.tenant(ours.tenant):
        assert db.session.query(Campaign).count() == 2


@pytest.mark.parametrize(
    "url",
    [
        "/admin/probe/",
        "/admin/probe/?search=配信",
        "/admin/probe/?sort=0&desc=1",
        "/admin/probe/?page_size=100",
        "/admin/campaign/",
        "/admin/campaign/?search=配信",
        "/admin/",
    ],
)
def test_lists_show_our_rows_alone(browser, url):
    page = text_of(browser.get(url))
    assert OURS in page
    assert THEIRS not in page


def test_the_count_is_of_our_rows_alone(browser):
    assert "(1)" in text_of(browser.get("/admin/probe/"))
    assert ">1件" in re.sub(r"\s", "", text_of(browser.get("/admin/campaign/")))


def test_a_filter_by_their_row_finds_nothing(browser, theirs, ours):
    assert browser.get(f"/admin/probe/?campaign={theirs.campaign}").status_code == 404
    assert browser.get(f"/admin/recipient/?campaign={theirs.campaign}").status_code == 404
    assert OURS in text_of(browser.get(f"/admin/probe/?campaign={ours.campaign}"))


def test_filter_options_are_ours_and_of_today(browser, probes, ours):
    page = text_of(browser.get("/admin/recipient/"))
    assert OURS in page
    assert THEIRS not in page
    with probes.app_context(), tenancy.tenant(ours.tenant):
        db.session.get_one(Campaign, ours.campaign).name = "きょう変えた名前"
        db.session.commit()
    assert "きょう変えた名前" in text_of(browser.get("/admin/recipient/"))


def test_the_export_holds_our_rows_alone(browser):
    table = text_of(browser.get("/admin/probe/export/csv/"))
    assert OURS in table
    assert THEIRS not in table


def test_an_export_that_is_not_offered_does_not_exist(browser):
    assert browser.get("/admin/recipient/export/csv/").status_code == 404
    assert browser.get("/admin/campaign/export/csv/").status_code == 404


@pytest.mark.parametrize("surface", ["probe/details/", "probe/edit/", "campaign/edit/"])
def test_their_row_opens_nowhere(browser, theirs, surface):
    answer = browser.get(f"/admin/{surface}?id={theirs.campaign}")
    assert answer.status_code == 404
    assert THEIRS not in answer.get_data(as_text=True)


def test_their_person_their_accounts_and_their_users_open_nowhere(browser, theirs):
    person = theirs.people[0]
    assert browser.get(f"/admin/recipient/details/?id={person.id}").status_code == 404
    assert browser.post(f"/admin/recipient/{person.id}/reveal").status_code == 404
    assert browser.post(f"/admin/recipient/{person.id}/unlock").status_code == 404
    assert browser.post(f"/admin/recipient/{person.id}/revoke").status_code == 404
    assert browser.get(f"/admin/sms_account/edit/?id={theirs.sms_account}").status_code == 404
    assert browser.get(f"/admin/payment_account/edit/?id={theirs.payment_account}").status_code == 404
    assert browser.get(f"/admin/user/edit/?id={theirs.clerk}").status_code == 404
    assert browser.post(f"/admin/user/edit/?id={theirs.clerk}", {"name": "x"}).status_code == 404


def test_their_person_is_found_by_no_search(browser, theirs, ours):
    for person in theirs.people:
        assert person.reference not in text_of(browser.get(f"/admin/recipient/?search={person.phone[1:]}"))
        assert "件以上" not in text_of(browser.get(f"/admin/recipient/?search={person.reference}"))
        assert "条件に合うものがありません" in text_of(browser.get(f"/admin/recipient/?search={person.reference}"))
    person = ours.people[0]
    assert person.reference in text_of(browser.get(f"/admin/recipient/?search={person.phone.replace('+81', '0')}"))


def test_their_row_is_edited_by_no_form(browser, theirs, name_of):
    data = {"name": "取られた", "key": "stolen", "max_failures": "5"}
    assert browser.post(f"/admin/probe/edit/?id={theirs.campaign}", data).status_code == 404
    assert browser.post(f"/admin/campaign/edit/?id={theirs.campaign}", data).status_code == 404
    assert name_of(theirs.campaign) == THEIRS


def test_their_row_is_deleted_by_no_form(browser, theirs, name_of):
    assert browser.post("/admin/probe/delete/", {"id": str(theirs.campaign)}).status_code == 404
    browser.post("/admin/probe/action/", {"action": "delete", "rowid": str(theirs.campaign)})
    assert name_of(theirs.campaign) == THEIRS


def test_their_row_is_reached_by_no_action(browser, ours, theirs, name_of):
    data = {"action": "rename", "rowid": [str(theirs.campaign), str(ours.campaign)]}
    assert browser.post("/admin/probe/action/", data).status_code == 302
    assert name_of(theirs.campaign) == THEIRS
    assert name_of(ours.campaign) == "変えられた名前"


def test_their_row_is_edited_by_no_inline_edit(browser, theirs, name_of):
    data = {"list_form_pk": str(theirs.campaign), "name": "取られた"}
    assert browser.post("/admin/probe/ajax/update/", data).status_code == 404
    assert name_of(theirs.campaign) == THEIRS


def test_a_read_only_table_takes_no_inline_edit(browser, ours, name_of):
    """A hole of Flask-Admin 2.2.1: it asks for the list of editable columns alone."""
    data = {"list_form_pk": str(ours.campaign), "name": "変えられた"}
    assert browser.post("/admin/read_only/ajax/update/", data).status_code == 404
    assert name_of(ours.campaign) == OURS
    assert browser.post("/admin/probe/ajax/update/", data).status_code == 200
    assert name_of(ours.campaign) == "変えられた"


def _rename(database, theirs):
    database.execute("UPDATE sms_account SET name = '先方のSMS契約' WHERE id = %s", [theirs.sms_account])
    database.execute("UPDATE payment_account SET name = '先方の決済契約' WHERE id = %s", [theirs.payment_account])


@pytest.mark.parametrize("form", ["probe/new/", "campaign/new/"])
def test_selects_offer_our_rows_alone(browser, database, theirs, form):
    _rename(database, theirs)
    page = text_of(browser.get(f"/admin/{form}"))
    assert "空電プッシュ" in page
    assert "先方" not in page


def test_a_form_takes_no_row_of_theirs(browser, database, ours, theirs):
    data = {"name": "新しい", "key": "fresh", "max_failures": "5", "sms_account": str(theirs.sms_account)}
    browser.post("/admin/probe/new/", data)
    del data["sms_account"]
    browser.post("/admin/probe/new/", {**data, "payment_account": str(theirs.payment_account)})
    browser.post(f"/admin/probe/edit/?id={ours.campaign}", {**data, "payment_account": str(theirs.payment_account)})
    ids = [theirs.sms_account, theirs.payment_account]
    taken = database.execute(
        "SELECT count(*) FROM campaign"
        " WHERE tenant_id = %s AND (sms_account_id = ANY(%s) OR payment_account_id = ANY(%s))",
        [ours.tenant, ids[:1], ids[1:]],
    ).fetchone()
    assert taken == (0,)


@pytest.mark.parametrize("name", ["payment_account", "question-campaign"])
def test_lookups_offer_our_rows_alone(browser, database, ours, theirs, name):
    _rename(database, theirs)
    found = browser.get(f"/admin/probe/ajax/lookup/?name={name}&query=").get_json()
    assert [row[0] for row in found] == [ours.payment_account if name == "payment_account" else ours.campaign]


@pytest.mark.parametrize(
    "more", ["&limit=1000000", "&limit=-1", "&offset=-5", "&limit=x&offset=x", "&offset=99999999999999999999"]
)
def test_lookups_keep_what_is_asked_for_within_bounds(browser, more):
    assert browser.get(f"/admin/probe/ajax/lookup/?name=payment_account&query=%25{more}").status_code == 200


def test_a_lookup_that_is_not_offered_does_not_exist(browser):
    assert browser.get("/admin/probe/ajax/lookup/?name=nothing").status_code == 404
    assert browser.get("/admin/campaign/ajax/lookup/?name=sms_account&query=").status_code == 404


def test_an_inline_row_of_theirs_stays_theirs(browser, database, ours, theirs):
    theirs_question = database.execute(
        "SELECT id, label FROM question WHERE campaign_id = %s ORDER BY position LIMIT 1", [theirs.campaign]
    ).fetchone()
    data = {
        "name": "新しい",
        "key": "fresh-key",
        "max_failures": "5",
        "questions-0-id": str(theirs_question[0]),
        "questions-0-position": "1",
        "questions-0-label": "取られた設問",
        "questions-0-kind": "text",
    }
    browser.post("/admin/probe/new/", data)
    after = database.execute("SELECT label, campaign_id FROM question WHERE id = %s", [theirs_question[0]]).fetchone()
    assert after == (theirs_question[1], theirs.campaign)
    owners = database.execute("SELECT DISTINCT tenant_id FROM question WHERE label = '取られた設問'").fetchall()
    assert owners in ([], [(ours.tenant,)])


def test_a_new_row_is_ours_whatever_the_form_says(browser, database, ours, theirs):
    browser.post(
        "/admin/probe/new/", {"name": "新しい", "key": "k1", "max_failures": "5", "tenant_id": str(theirs.tenant)}
    )
    assert database.execute("SELECT tenant_id FROM campaign WHERE name = '新しい'").fetchone() == (ours.tenant,)
    data = {"name": "新人", "email": "new@midori.example.jp", "role": "clerk", "password": "correct horse battery"}
    browser.post("/admin/user/new/", {**data, "tenant_id": str(theirs.tenant), "active": "y"})
    assert database.execute("SELECT tenant_id FROM app_user WHERE name = '新人'").fetchone() == (ours.tenant,)


@pytest.fixture
def far_ids(database):
    """Assign campaigns ids that no page's words hold by chance."""
    database.execute(
        "SELECT setval(pg_get_serial_sequence('campaign', 'id'), greatest(7000000, max(id))) FROM campaign"
    )


@pytest.mark.usefixtures("far_ids")
def test_a_refused_write_tells_nothing_of_the_row_it_met(browser, database, theirs):
    key = database.execute("SELECT key FROM campaign WHERE id = %s", [theirs.campaign]).fetchone()[0]
    page = text_of(browser.post("/admin/probe/new/", {"name": "秘密の名前", "key": key, "max_failures": "5"}))
    shown = re.sub(r"<input[^>]*>|<textarea.*?</textarea>", "", page, flags=re.DOTALL)
    assert "INSERT" not in page
    assert "秘密の名前" not in shown
    assert str(theirs.campaign) not in re.findall(r"\d+", re.sub(r"<[^>]*>", "", shown))


def test_unique_asks_our_rows_alone(probes, ours, theirs):
    """The validator of Flask-Admin's scaffolded forms asks the whole table; the database shows it ours."""
    with probes.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.query(Campaign.key).count() == 1


@pytest.mark.parametrize("model", [Campaign, Recipient, SmsAccount, User])
def test_an_object_of_theirs_in_our_session_is_refused(probes, ours, theirs, model):
    with probes.app_context(), tenancy.tenant(ours.tenant), pytest.raises(NotFound):
        scoping.assign_tenant([model(tenant_id=theirs.tenant)])


def test_a_new_row_that_points_to_theirs_is_refused(probes, ours, theirs):
    with probes.app_context(), tenancy.tenant(ours.tenant), pytest.raises(ValidationError):
        scoping.assign_tenant([Campaign(tenant_id=ours.tenant, sms_account=SmsAccount(tenant_id=theirs.tenant))])


def test_flask_admins_own_filters_are_refused_at_start_up(probes):
    class Filtered(SecureModelView):
        column_filters = ("name",)  # type: ignore[assignment] # the mistake

    class Stock(SecureModelView):
        column_filters = (Choice(Campaign.state, "状態", "state", list),)

    with pytest.raises(TypeError, match="name"):
        Filtered(Campaign, "悪", endpoint="bad")
    assert Stock(Campaign, "良", endpoint="good")._filters
