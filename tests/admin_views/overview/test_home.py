"""ホーム names what needs doing, each with the way there, and the day and the month in numbers."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from app import tenancy
from app.accounts import contracts
from app.campaigns.send_windows import DAYS
from app.extensions import db
from app.intake.lists import imports
from app.models import SmsAccount
from app.states.vocabulary import CampaignState
from app.values.japan_time import TOKYO
from tests import factories, steps
from tests.plans import explained, touched
from tests.raw_states import set_back


def todos(page):
    """Return (text, address) of each thing to do."""
    found = re.findall(r'<li class="todo">\s*<span>(.*?)</span>(?:\s*<a [^>]*href="([^"]+)")?', page, re.DOTALL)
    return {text: url.replace("&amp;", "&") for text, url in found}


@pytest.fixture
def home(browser_of):
    return lambda user: browser_of(user).get("/admin/").get_data(as_text=True)


def one(found, words):
    """Return the address of the one thing to do that says so."""
    urls = [url for text, url in found.items() if words in text]
    assert len(urls) == 1, (words, found)
    return urls[0]


@pytest.fixture
def sent(app, ours, database, take):
    """A campaign sent an hour ago: the first person's outcome is unknown."""
    first, *others = (person.id for person in ours.people)
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    database.execute("UPDATE campaign SET launched_at = now() - interval '1 hour'")
    take(steps.deliver, *others)

    def unknown(since):
        take(steps.lose, first)
        with app.app_context(), tenancy.tenant(ours.tenant):
            contract = contracts.keep(db.session.get_one(SmsAccount, ours.sms_account)).id
        attempt(database, ours, ours.people[0].id, "unknown", datetime.now(UTC) - since, contract=contract)

    return unknown


def attempt(database, ours, person, state, at, number=1, contract=None):
    database.execute(
        "INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, started_at,"
        " sms_contract_id) VALUES (%s, %s, %s, %s, %s, 1, %s, %s, %s)",
        [ours.tenant, ours.campaign, person, ours.sms_account, number, state, at, contract],
    )


def test_where_all_is_well_nothing_is_to_be_done(home, ours):
    assert todos(home(ours.clerk)) == {}
    assert "対応が必要なものはありません" in home(ours.clerk)


@pytest.mark.parametrize("state", [CampaignState.SENDING, CampaignState.COMPLETED])
def test_an_outcome_that_nobody_can_tell_is_the_managers_to_decide(home, ours, sent, browser_of, database, take, state):
    """A carrier that is silent about a message is noticed after three days: the campaign is over by then."""
    sent(timedelta(hours=25))
    take(steps.reach_campaign, state, ours.campaign)
    database.execute("UPDATE slice SET due_at = NULL, check_at = NULL, receipts_due_at = NULL")
    url = one(todos(home(ours.manager)), "送信済みとするか送り直すかを決めてください")
    assert "届いたか確かめられず止めているSMSが1件" in home(ours.clerk)
    assert "管理者が決めます" in home(ours.clerk)
    listed = browser_of(ours.manager).get(url).get_data(as_text=True)
    assert len(re.findall(r"/admin/recipient/details/\?id=", listed)) == 1


def test_an_outcome_that_is_asked_about_wants_nothing_but_time(home, ours, sent):
    sent(timedelta(minutes=5))
    assert one(todos(home(ours.clerk)), "照会しています。いまは待つだけで構いません")


def test_what_does_not_move_is_told(home, ours, sent, database, redis, take):
    take(steps.queue, *(person.id for person in ours.people))
    url = one(todos(home(ours.clerk)), "進んでいません（残り3件）")
    assert url == f"/admin/campaign/{ours.campaign}/status/"
    redis.flushdb()
    attempt(database, ours, ours.people[0].id, "accepted", datetime.now(UTC))
    assert todos(home(ours.clerk)) == {}


def test_what_does_not_move_because_its_account_rests_is_told_once(home, ours, sent, database, take):
    take(steps.queue, *(person.id for person in ours.people))
    database.execute("UPDATE sms_account SET trips = 1, resting_until = now() + interval '5 minutes'")
    [text] = todos(home(ours.clerk))
    assert "送信を見合わせています" in text


@pytest.mark.parametrize(
    "change", ["launched_at = now() - interval '9 minutes'", "starts_at = now() + interval '1 hour'"]
)
def test_what_may_not_have_begun_is_not_stuck(home, ours, sent, database, change, take):
    take(steps.queue, *(person.id for person in ours.people))
    database.execute(f"UPDATE campaign SET {change}")  # noqa: S608
    assert todos(home(ours.clerk)) == {}


def test_outside_the_hours_nothing_is_stuck(home, ours, sent, database, take):
    opens = (datetime.now(TOKYO).hour + 3) % 24
    days = {day: [f"{opens:02d}:00", f"{opens:02d}:59"] for day in DAYS}
    window = {"days": days, "holidays": True}
    database.execute("UPDATE tenant SET send_window = %s WHERE id = %s", [Jsonb(window), ours.tenant])
    take(steps.queue, *(person.id for person in ours.people))
    assert todos(home(ours.clerk)) == {}


def test_what_is_paused_waits_for_approval_or_takes_no_answers_is_told(home, ours, database, take):
    take(steps.pause, ours.campaign)
    database.execute("UPDATE campaign SET checks_stopped_at = now()")
    found = todos(home(ours.clerk))
    assert one(found, "一時停止中です") == f"/admin/campaign/{ours.campaign}/status/"
    assert one(found, "受け付けを止めました") == f"/admin/campaign/{ours.campaign}/"
    set_back(database, "campaign", [ours.campaign], state="draft", launched_at=None, checks_stopped_at=None)
    take(steps.reach_campaign, CampaignState.APPROVAL, ours.campaign)
    for user, words in ((ours.manager, "内容を見て承認する"), (ours.clerk, "内容を見る")):
        assert one(todos(home(user)), "承認を待っています") == f"/admin/campaign/{ours.campaign}/approval/"
        assert words in home(user)


def test_a_list_that_could_not_be_read_is_told_until_another_came(app, home, ours, database, take):
    def upload(state):
        made = database.execute(
            "INSERT INTO import (tenant_id, campaign_id, state, filename, content_digest)"
            " VALUES (%s, %s, %s, 'a.csv', '') RETURNING id",
            [ours.tenant, ours.campaign, state],
        )
        return made.fetchone()[0]

    upload("failed")
    assert one(todos(home(ours.clerk)), "取り込めませんでした")
    waits = upload("mapping")
    assert one(todos(home(ours.clerk)), "列の確認待ちです")
    take(steps.complete, ours.campaign)
    assert todos(home(ours.clerk)) == {}  # no list is taken any more: there is nothing to do about it
    set_back(database, "campaign", [ours.campaign], state="draft", launched_at=None, completed_at=None)
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert imports.cancel(waits)
    upload("done")
    assert todos(home(ours.clerk)) == {}


@pytest.mark.usefixtures("one_day")
def test_the_day_and_the_month_are_japans(home, ours, database, browser_of):
    midnight = datetime.now(TOKYO).replace(hour=0, minute=0, second=0, microsecond=0)
    month = midnight.replace(day=1)
    states = ("delivered", "undelivered", "accepted", "unknown", "queued")
    for number, state in enumerate(states, start=1):
        attempt(database, ours, ours.people[0].id, state, midnight, number)
    attempt(database, ours, ours.people[1].id, "delivered", month - timedelta(seconds=1))
    attempt(database, ours, ours.people[2].id, "delivered", midnight - timedelta(seconds=1))
    database.execute(
        "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, state,"
        " amount_yen, paid_at) VALUES (%s, %s, %s, %s, 1, 'x', 'paid', 12000, %s)",
        [ours.tenant, ours.campaign, ours.people[0].id, ours.payment_account, midnight],
    )
    page = home(ours.clerk)
    rows = re.findall(r'<tr><th scope="row">(今日|今月)</th>(.*?)</tr>', page, re.DOTALL)
    numbers = {
        word: [int(n.replace(",", "")) for n in re.findall(r">([\d,]+)(?:</a>件|円)<", cells)] for word, cells in rows
    }
    more = 1 if midnight.day > 1 else 0  # the second before today's midnight is this month's, but for the first
    assert numbers == {"今日": [3, 1, 1, 1, 12_000], "今月": [3 + more, 1 + more, 1, 1, 12_000]}
    for url in re.findall(r'<td class="number[^"]*"><a href="([^"]+)"', page):
        assert browser_of(ours.clerk).get(url.replace("&amp;", "&")).status_code == 200


def test_nobody_sees_another_companys(home, ours, theirs, database, take):
    take(steps.pause, theirs.campaign)
    attempt(database, theirs, theirs.people[0].id, "delivered", datetime.now(UTC))
    page = home(ours.clerk)
    assert todos(page) == {}
    assert "あおば" not in page
    assert re.findall(r'<td class="number"><a href="[^"]+">(\d+)</a>', page)[:2] == ["0", "0"]


def test_thousands_of_todays_payments_are_not_looked_through(app, browser_of, ours, database):
    """For those whose payment page never came: an index names them."""
    with app.app_context():
        factories.people(ours.tenant, ours.campaign, 3000)
    database.execute(
        """
        INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, provider_id,
            state, amount_yen, created_at)
        SELECT tenant_id, campaign_id, id, %s, 1, 'P' || id, 'cs_' || id, 'expired', 1, now() - interval '1 hour'
        FROM recipient
        """,
        [ours.payment_account],
    )
    # rows that earlier tests left in table and index are not the question
    database.execute("VACUUM (ANALYZE) payment")
    browser = browser_of(ours.manager)
    with app.app_context(), explained(instead=False) as plans:
        assert browser.get("/admin/").status_code == 200
    found = [plan for plan in plans if "ix_payment_without_page" in str(plan)]
    assert len(found) == 1
    assert touched(found[0]) < 100


def test_thousands_of_old_campaigns_are_not_looked_through(app, browser_of, ours, database):
    database.execute("""
        INSERT INTO campaign (key, tenant_id, name, sms_text, page_title, page_text, link_minutes, state, created_by)
        SELECT 'old' || n, tenant_id, name, sms_text, page_title, page_text, link_minutes, 'completed', created_by
        FROM campaign, generate_series(1, 3000) n
    """)
    database.execute("ANALYZE campaign")
    browser = browser_of(ours.clerk)
    with app.app_context(), explained(instead=False) as plans:
        assert browser.get("/admin/").status_code == 200
    assert len(plans) > 10
    assert sum(map(touched, plans)) < 1000


def test_a_company_without_a_manager_gets_its_own(app, browser_of, operator):
    with app.app_context():
        company = factories.tenant("あたらしい会社")
    browser = browser_of(operator)
    url = one(todos(browser.get("/admin/").get_data(as_text=True)), "「あたらしい会社」に管理者がいません")
    form = browser.get(url).get_data(as_text=True)
    assert f'<option selected value="{company}">' in form
    assert '<option selected value="manager">' in form


def test_people_who_got_an_sms_twice_are_the_managers_to_tell(home, ours, sent, browser_of, theirs, database):
    database.execute(
        "INSERT INTO doubled_message (tenant_id, campaign_id, recipient_id, attempt, copies)"
        " SELECT tenant_id, campaign_id, id, 1, 2 FROM recipient WHERE id = ANY(%s)",
        [[person.id for person in ours.people[:2]]],
    )
    url = one(todos(home(ours.manager)), "同じSMSが2通以上ある方が2人います")
    assert all(person.reference in home(ours.manager) for person in ours.people[:2])
    assert "おわびしてください" in home(ours.manager)
    assert "2通以上" not in home(ours.clerk)
    assert "2通以上" not in home(theirs.manager)
    person = browser_of(ours.manager)
    assert "対応済みにする" in person.get(url).get_data(as_text=True)
    assert "対応済みにする" not in browser_of(ours.clerk).get(url).get_data(as_text=True)
    done = f"/admin/recipient/{ours.people[0].id}/doubled"
    assert browser_of(ours.clerk).post(done).status_code == 403
    assert browser_of(theirs.manager).post(done).status_code == 404
    assert person.post(done).status_code == 303
    assert "対応済みにする" not in person.get(url).get_data(as_text=True)
    assert one(todos(home(ours.manager)), "同じSMSが2通以上ある方が1人います") != url
