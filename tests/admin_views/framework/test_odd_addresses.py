"""Addresses, ids and forms that nobody gets by a click lead nowhere, and to no error of ours."""

import pytest

from tests.admin_views.probes import prober, probes, text_of

__all__ = ["prober", "probes"]

# Flask-Admin's own select, which the product doesn't use
pytestmark = pytest.mark.filterwarnings("ignore:Yielding raw tuples:DeprecationWarning")

BAD = ["abc", "-1", "", "0", "1e3", "٣", "99999999999999999999999", "1,2", "1%00", "1&id=2", "%F0%28", "1;2"]


@pytest.mark.parametrize(
    "surface", ["probe/details/", "probe/edit/", "campaign/edit/", "recipient/details/", "user/edit/"]
)
def test_what_is_no_id_is_nowhere(prober, surface):
    for value in BAD:
        assert prober.get(f"/admin/{surface}?id={value}").status_code in {302, 404}, value


QUERIES = [
    "page=-1", "page=999999999999999999999999", "page=abc", "page_size=-1", "page_size=7", "page_size=1000000",
    "sort=99", "sort=-1", "sort=abc", "desc=abc", "sort=0&desc=5", "search=%25%25", "search=" + "あ" * 5000,
    "search=%F0%28%8C%28", "flt0_0=1", "flt1_99=x", "_external=1", "_scheme=x", "_anchor=x", "endpoint=x", "self=1",
    "url=//evil.example", "id=1&id=2",
]  # fmt: skip


@pytest.mark.parametrize(
    "view",
    [
        "campaign",
        "recipient",
        "send_log",
        "import",
        "audit",
        "user",
        "sms_account",
        "shared_account",
        "sender_number",
        "payment",
        "export",
        "export-layout",
    ],
)
def test_no_address_of_a_list_is_an_error(prober, view):
    # 414: longer than any address; the operator's own are closed to companies whatever is asked
    answers = {403, 414} if view == "shared_account" else {200, 302, 404, 414}
    for query in QUERIES:
        assert prober.get(f"/admin/{view}/?{query}").status_code in answers, query


@pytest.mark.parametrize(
    "view", ["campaign", "recipient", "send_log", "user", "sms_account", "sender_number", "payment", "suppression"]
)
@pytest.mark.parametrize("typed", ["a%00b", "%00", "%01", "%7F", "%C2%85x%01", "%0Bx%08", "%ED%A0%80", "%F0%28"])
def test_a_search_for_what_stands_in_no_row_is_answered_in_words(prober, view, typed):
    answer = prober.get(f"/admin/{view}/?search={typed}")
    assert answer.status_code == 200
    unsearchable = typed not in {"%ED%A0%80", "%F0%28"}  # these arrive as letters that can't be read
    assert ("検索できない文字" in text_of(answer)) is unsearchable


@pytest.mark.parametrize("typed", ["a%00b", "%01", "%ED%A0%80"])
def test_a_file_of_such_a_search_is_nobodys_and_never_everybodys(prober, typed):
    page = text_of(prober.get(f"/admin/export/new?search={typed}"))
    assert "0件" in page
    answer = prober.post(f"/admin/export/now?search={typed}", {"form": "utf-8-sig"})
    assert answer.status_code == 200
    assert len(answer.get_data(as_text=True).splitlines()) == 1


def test_a_look_up_for_a_nul_finds_nothing(prober):
    answer = prober.get("/admin/probe/ajax/lookup/?name=campaign&query=%00")
    assert answer.status_code in {200, 404}
    assert answer.get_data(as_text=True).strip() in {"[]", ""} or answer.status_code == 404


@pytest.mark.parametrize("query", ["campaign=%00", "sms=%00", "id=%00", "name=%00", "%00=1", "carrier=a%00"])
def test_nul_in_an_address_is_nowhere(prober, query):
    for url in ("recipient/", "recipient/details/", "probe/", "probe/ajax/lookup/"):
        assert prober.get(f"/admin/{url}?{query}").status_code == 404


@pytest.mark.parametrize(
    "query", ["sms=bogus", "campaign=abc", "campaign=-1", "campaign=99999999999999999999", "payment=%27"]
)
def test_a_filter_that_is_not_on_offer_is_nowhere(prober, query):
    assert prober.get(f"/admin/recipient/?{query}").status_code == 404


@pytest.mark.parametrize("row", ["abc", "-1", "99999999999999999999", "1\0"])
def test_an_action_upon_what_is_no_id_is_nowhere(prober, row):
    assert prober.post("/admin/probe/action/", {"action": "rename", "rowid": row}).status_code == 404


def test_nul_in_a_form_is_dropped(prober, database):
    prober.post("/admin/probe/new/", {"name": "新\0しい", "key": "k\0ey", "max_failures": "5"})
    assert database.execute("SELECT key FROM campaign WHERE name = '新しい'").fetchone() == ("key",)


def test_a_number_too_big_for_its_column_is_refused(prober):
    data = {"name": "新しい", "key": "k", "max_failures": "99999999999999999999"}
    assert "INSERT" not in text_of(prober.post("/admin/probe/new/", data))
