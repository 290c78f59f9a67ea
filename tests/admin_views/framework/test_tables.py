"""Lists: pages that don't slip, searches and filters along indexes, counts that stop, columns of one's own."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest

from admin_views.framework import keyset_pagination
from app import tenancy
from app.extensions import db, vault
from app.models import SendLog
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, PAYMENT, SMS, PageState, PaymentState, SmsState
from tests import factories

LINK = re.compile(r'<a class="btn btn-outline-secondary" href="([^"]+)"[^>]*>([^<]+)</a>')


@pytest.fixture
def crowd(app, ours):
    """All people of our company in the order of the list: the newest first."""
    with app.app_context():
        ours.people += factories.people(ours.tenant, ours.campaign, 47)
    return [person.reference for person in reversed(ours.people)]


def seen(page):
    return re.findall(r">(K\d{6})</a>", page)


def links(page):
    return {words: html.unescape(url) for url, words in LINK.findall(page)}


def open_(browser, url):
    answer = browser.get(url)
    assert answer.status_code == 200, url
    return answer.get_data(as_text=True)


def test_pages_lead_to_the_end_and_back(clerk, crowd):
    page = open_(clerk, "/admin/recipient/")
    assert seen(page) == crowd[:20]
    assert set(links(page)) == {"次のページ", "最後のページ"}
    page = open_(clerk, links(page)["次のページ"])
    assert seen(page) == crowd[20:40]
    page = open_(clerk, links(page)["次のページ"])
    assert seen(page) == crowd[40:]
    assert set(links(page)) == {"最初のページ", "前のページ"}
    page = open_(clerk, links(page)["前のページ"])
    assert seen(page) == crowd[20:40]
    page = open_(clerk, links(page)["前のページ"])
    assert seen(page) == crowd[:20]
    assert set(links(page)) == {"次のページ", "最後のページ"}
    assert seen(open_(clerk, links(page)["最後のページ"])) == crowd[-20:]


def test_a_page_stays_when_people_come_and_go(app, clerk, ours, crowd, database):
    following = links(open_(clerk, "/admin/recipient/"))["次のページ"]
    with app.app_context():
        factories.people(ours.tenant, ours.campaign, 5)
    assert seen(open_(clerk, following)) == crowd[20:40]
    database.execute("DELETE FROM recipient WHERE reference = ANY(%s)", [crowd[15:21]])
    page = open_(clerk, following)
    assert seen(page) == crowd[21:41]
    back = seen(open_(clerk, links(page)["前のページ"]))
    assert back[-15:] == crowd[:15]
    assert len(back) == 20


def test_a_page_before_which_all_went_away_is_the_first(clerk, crowd, database):
    page = open_(clerk, links(open_(clerk, "/admin/recipient/"))["次のページ"])
    database.execute("DELETE FROM recipient WHERE reference = ANY(%s)", [crowd[3:20]])
    page = open_(clerk, links(page)["前のページ"])
    assert seen(page) == [*crowd[:3], *crowd[20:37]]
    assert "前のページ" not in links(page)


@pytest.mark.parametrize("desc", ["", "&desc=1"])
def test_a_list_in_the_order_of_references(clerk, crowd, desc):
    wanted = sorted(crowd, reverse=bool(desc))
    page, found = open_(clerk, f"/admin/recipient/?sort=0{desc}"), []
    while True:
        found += seen(page)
        if "次のページ" not in links(page):
            break
        page = open_(clerk, links(page)["次のページ"])
    assert found == wanted
    assert seen(open_(clerk, links(page)["前のページ"])) == wanted[20:40]


def test_a_column_that_no_index_serves_sorts_nothing(clerk, crowd):
    assert seen(open_(clerk, "/admin/recipient/?sort=1")) == crowd[:20]


BAD_CURSORS = [
    "abc",
    "-1",
    "0x1",
    "9" * 40,
    "1.2",
    "1.abc",
    "1." + "9" * 30,
    "1.-5",
    ".",
    "..",
    "٣",
    "1.1.1",
    "あ",
    "1e3",
]


@pytest.mark.parametrize("view", ["recipient", "send_log", "campaign", "payment", "audit", "import"])
def test_a_cursor_that_no_page_gave_is_no_error(browser_of, ours, view):
    browser = browser_of(ours.manager)
    for cursor in BAD_CURSORS:
        for query in (
            f"after={cursor}",
            f"before={cursor}",
            f"sort=0&after={cursor}",
            f"from=2026-01-01&after={cursor}",
        ):
            assert browser.get(f"/admin/{view}/?{query}").status_code == 200, query
    assert "最初のページを表示しています" in open_(browser, f"/admin/{view}/?after=abc")
    assert browser.get(f"/admin/{view}/?after=%00").status_code == 404


def test_counts_stop_where_they_would_cost(clerk, crowd, database, monkeypatch):
    assert "50件</p>" in open_(clerk, "/admin/recipient/")
    monkeypatch.setattr(keyset_pagination, "COUNTED_TO", 30)
    assert "30件以上</p>" in open_(clerk, "/admin/recipient/")
    database.execute("UPDATE recipient SET carrier = 'au' WHERE reference = %s", [crowd[44]])
    # not among the first thirty, but on the page
    assert "1件以上</p>" in open_(clerk, "/admin/recipient/?carrier=au")


def test_a_rare_row_is_found_page_after_page_when_no_index_leads_to_it(clerk, ours, crowd, database, monkeypatch):
    monkeypatch.setattr(keyset_pagination, "WALKED_TO", 15)
    for wanted in (crowd[17], crowd[44]):
        database.execute("UPDATE recipient SET carrier = 'au' WHERE reference = %s", [wanted])
    page, found, pages = open_(clerk, "/admin/recipient/?carrier=au"), [], 1
    while "続きを探す" in links(page):
        assert "この先にもあるかもしれません" in page
        found += seen(page)
        page, pages = open_(clerk, links(page)["続きを探す"]), pages + 1
    assert found + seen(page) == [crowd[17], crowd[44]]
    assert pages == 4
    assert "この先にもあるかもしれません" not in page


def test_people_are_found_by_their_last_four_digits(app, clerk, ours, theirs):
    with app.app_context():
        phones = ["+819011110678", "+818022220678", "+819011110679"]
        made = factories.people(ours.tenant, ours.campaign, 3, phones=phones)
        factories.people(theirs.tenant, theirs.campaign, 1, phones=["+817033330678"])
    for typed in ("0678", "０６７８"):
        assert seen(open_(clerk, f"/admin/recipient/?search={typed}")) == [made[1].reference, made[0].reference]
    assert seen(open_(clerk, "/admin/recipient/?search=080-2222-0678")) == [made[1].reference]
    assert seen(open_(clerk, "/admin/recipient/?search=0678&sms=queued")) == []
    assert seen(open_(clerk, "/admin/recipient/?search=067")) == []
    assert "氏名や番号の一部では探せません" in open_(clerk, "/admin/recipient/?search=山田 太郎")


def test_a_reference_of_four_digits_is_found_beside_the_numbers(app, clerk, ours, database):
    with app.app_context():
        made = factories.people(ours.tenant, ours.campaign, 2, phones=["+819011110321", "+819011110678"])
    database.execute("UPDATE recipient SET reference = '0321' WHERE id = %s", [made[1].id])
    page = open_(clerk, "/admin/recipient/?search=0321")
    assert ">0321</a>" in page
    assert seen(page) == [made[0].reference]


@pytest.fixture
def moved(app, ours, crowd):
    """Somebody in each kind of state, by name."""
    del crowd
    now, people = datetime.now(UTC), ours.people
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    with app.app_context(), tenancy.tenant(ours.tenant):
        for who in range(6):
            db.session.add(
                SendLog(
                    tenant_id=ours.tenant, campaign_id=ours.campaign, recipient_id=people[who].id, attempt=1, fence=1,
                    sms_account_id=ours.sms_account, started_at=now - timedelta(days=who), carrier="au",
                )
            )  # fmt: skip
            step = Step(people[who].id, now - timedelta(days=who), columns={"sms_attempt": 1})
            move(db.session, SMS, SmsState.SENDING, [step], actor="system")
        move(db.session, SMS, SmsState.UNDELIVERED, [Step(people[1].id, now)], actor="system")
        move(db.session, SMS, SmsState.UNKNOWN, [Step(people[2].id, now)], actor="system")
        move(db.session, SMS, SmsState.ACCEPTED, [Step(people[3].id, now)], actor="system")
        move(db.session, PAGE, PageState.OPENED, [Step(people[4].id, now)], actor="person")
        move(db.session, PAYMENT, PaymentState.STARTED, [Step(people[5].id, now)], actor="person")
        db.session.commit()
    return {"undelivered": 1, "unknown": 2, "accepted": 3, "opened": 4, "started": 5}


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("sms=undelivered", [1]),
        ("sms=unknown", [2]),
        ("sms=accepted", [3]),
        ("sms=sending", [5, 4, 0]),
        ("page_state=opened", [4]),
        ("payment=started", [5]),
        ("page_state=opened&payment=started", []),
        ("page_state=unopened&sms=sending", [5, 0]),
        ("payment=started&sms=sending&page_state=unopened", [5]),
        ("sms=draft", []),
    ],
)
def test_people_are_found_by_every_state(clerk, ours, moved, query, who):
    del moved
    wanted = [ours.people[number].reference for number in who]
    assert seen(open_(clerk, f"/admin/recipient/?{query}")) == wanted
    assert seen(open_(clerk, f"/admin/recipient/?{query}&campaign={ours.campaign}")) == wanted


def test_whom_nobody_can_tell_of_is_found_when_his_slice_is_done(clerk, ours, moved, database):
    """A provider that never told is asked no more after weeks, and a person still has to decide: 照会中 names him."""
    del moved
    database.execute("UPDATE slice SET due_at = NULL, check_at = NULL, receipts_due_at = NULL")
    assert seen(open_(clerk, "/admin/recipient/?sms=unknown")) == [ours.people[2].reference]


@pytest.mark.usefixtures("one_day")
def test_people_are_found_by_the_day_of_their_sms(clerk, ours, moved):
    del moved
    japan = datetime.now(UTC) + timedelta(hours=9)
    first, last = (japan - timedelta(days=3)).date(), (japan - timedelta(days=1)).date()
    wanted = [ours.people[number].reference for number in (1, 2, 3)]
    assert seen(open_(clerk, f"/admin/recipient/?from={first}&to={last}")) == wanted
    assert seen(open_(clerk, f"/admin/recipient/?from={last}&to={first}")) == wanted  # typed the wrong way round
    assert seen(open_(clerk, f"/admin/recipient/?from={first}&to={last}&sms=unknown")) == [wanted[1]]
    assert len(seen(open_(clerk, f"/admin/send_log/?from={first}&to={last}&carrier=au"))) == 3
    assert seen(open_(clerk, f"/admin/recipient/?to={first - timedelta(days=30)}")) == []


def test_only_the_latest_attempt_puts_a_person_on_the_list_of_days(app, clerk, ours, moved, database):
    del moved
    database.execute("UPDATE recipient SET sms_attempt = 2 WHERE id = %s", [ours.people[1].id])
    with app.app_context(), tenancy.tenant(ours.tenant):
        db.session.add(
            SendLog(
                tenant_id=ours.tenant, campaign_id=ours.campaign, recipient_id=ours.people[1].id, attempt=2, fence=1,
                sms_account_id=ours.sms_account, started_at=datetime.now(UTC),
            )
        )  # fmt: skip
        db.session.commit()
    page = seen(open_(clerk, "/admin/recipient/?from=2000-01-01"))
    assert page.count(ours.people[1].reference) == 1
    assert page[0] == ours.people[1].reference


@pytest.mark.parametrize(
    "days",
    ["from=abc", "from=2026-13-01", "to=２０２６", "from=0001-01-01&to=9999-12-31", "to=0001-01-01", "from=9999-12-31"],
)
def test_a_day_that_is_none_is_told(clerk, ours, days):
    del ours
    for view in ("recipient", "send_log", "payment", "campaign"):
        page = open_(clerk, f"/admin/{view}/?{days}")
        assert ("日付を読み取れなかった" in page) == (days in {"from=abc", "from=2026-13-01", "to=２０２６"})


def test_a_user_chooses_the_columns(browser_of, ours):
    clerk, manager = browser_of(ours.clerk), browser_of(ours.manager)
    heads = re.compile(r'<th scope="col"[^>]*>\s*(?:<a[^>]*>)?([^<]+)')
    usual = heads.findall(open_(clerk, "/admin/recipient/"))
    assert usual[0] == "管理番号"
    assert "携帯会社" not in usual
    clerk.post("/admin/recipient/columns", {"column": ["carrier", "reference", "nonsense"]})
    assert heads.findall(open_(clerk, "/admin/recipient/")) == ["管理番号", "携帯会社"]
    assert heads.findall(open_(manager, "/admin/recipient/")) == usual
    page = clerk.post("/admin/recipient/columns", {}, follow_redirects=True).get_data(as_text=True)
    assert "1つ以上選んでください" in page
    assert heads.findall(page) == ["管理番号", "携帯会社"]
    clerk.post("/admin/recipient/columns", {"reset": "1"})
    assert heads.findall(open_(clerk, "/admin/recipient/")) == usual


def test_choosing_columns_leads_back_to_the_list_and_nowhere_else(clerk):
    answer = clerk.post("/admin/recipient/columns?url=/admin/recipient/?sms=queued", {"column": "phone"})
    assert answer.location == "/admin/recipient/?sms=queued"
    assert (
        clerk.post("/admin/recipient/columns?url=//evil.example/", {"column": "phone"}).location == "/admin/recipient/"
    )


def test_the_last_four_digits_stand_nowhere_in_the_clear(app, ours, database):
    (stored,) = database.execute(
        "SELECT phone_last4_index FROM recipient WHERE id = %s", [ours.people[0].id]
    ).fetchone()
    with app.app_context():
        assert stored == vault.last4_index(ours.tenant, ours.people[0].phone)
    assert ours.people[0].phone[-4:].encode() not in stored


def test_a_persons_page_tells_all_that_happened_however_much(app, clerk, ours, database):
    person = ours.people[0]
    database.execute(
        "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor)"
        " SELECT %s, %s, %s, 'page', 'fetched', TIMESTAMPTZ '2026-11-23 15:00:01Z' + n * interval '1 s', 'person'"
        " FROM generate_series(0, 204) n",
        [ours.tenant, ours.campaign, person.id],
    )
    page = open_(clerk, f"/admin/recipient/details/?id={person.id}")
    assert "新しい200件を表示しています" in page
    assert "2026/11/24 00:00:01" not in page
    page = open_(clerk, f"/admin/recipient/details/?id={person.id}&all=1")
    assert "件を表示しています" not in page
    assert "2026/11/24 00:00:01" in page
    assert "2026/11/24 00:03:25" in page
