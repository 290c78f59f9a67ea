"""Money in the back office: who may act, the password, what is shown and what is put on record."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from app import queues, tenancy
from app.extensions import db
from app.models import AuditEntry, Payment, PaymentAccount, PaymentDifference, Recipient
from app.reports import tenant_totals
from app.states import result_codes
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, SmsState
from tests import factories
from tests.admin_views.english import english_in


def _row(app, model, row_id):
    with app.app_context(), tenancy.platform():
        return db.session.get_one(model, row_id)


def _acts(app, house):
    with app.app_context(), tenancy.platform():
        kept = db.session.query(AuditEntry).filter(AuditEntry.tenant_id == house.tenant).order_by(AuditEntry.id)
        return [(row.act, row.actor) for row in kept]


@pytest.fixture
def attempt(app, ours):
    """A payment of the first person, by columns; gives its id."""

    def make(**columns):
        with app.app_context(), tenancy.tenant(ours.tenant):
            row = Payment(
                tenant_id=ours.tenant,
                campaign_id=ours.campaign,
                recipient_id=ours.people[0].id,
                payment_account_id=ours.payment_account,
                **{"attempt": 1, "reference": "k.1.p1", "amount_yen": 12_000, "state": "paid", **columns},
            )
            db.session.add(row)
            db.session.commit()
            return row.id

    return make


def _settling(ours, **changes):
    url = f"/admin/payment-act/settle/{ours.people[0].id}"
    return url, {
        "method": "cash",
        "amount": "12,000",
        "reason": "窓口で受領",
        "password": factories.PASSWORD,
        **changes,
    }


def test_a_manager_settles_by_hand_with_the_password(app, browser_of, ours):
    browser = browser_of(ours.manager)
    url, data = _settling(ours)
    assert "消込" in browser.get(url).get_data(as_text=True)
    assert browser.post(url, data).status_code == 303
    person = _row(app, Recipient, ours.people[0].id)
    assert person.payment_state == "paid"
    assert _acts(app, ours) == [("settle_payment", f"user:{ours.manager}")]
    page = browser.get(f"/admin/recipient/details/?id={person.id}").get_data(as_text=True)
    assert "窓口・集金（消込）" in page
    assert english_in(re.sub(r"[\w-]+\.\d+\.h1", "", page)) == []
    assert "窓口・集金（消込）" in browser.get("/admin/payment/").get_data(as_text=True)


def test_a_manager_takes_a_wrong_one_back(app, browser_of, ours, theirs):
    browser = browser_of(ours.manager)
    url, data = _settling(ours)
    browser.post(url, data)
    person = ours.people[0].id
    page = browser.get(f"/admin/recipient/details/?id={person}").get_data(as_text=True)
    assert "窓口で受領" in page
    found = re.search(r"/admin/payment-act/\d+/take-back", page)
    assert found is not None
    asked = browser.get(found[0]).get_data(as_text=True)
    assert "消込の取消" in asked
    assert english_in(re.sub(r"[\w-]+\.\d+\.h1", "", asked)) == []
    wrong = {"reason": "別の契約だった", "password": factories.PASSWORD}
    assert browser_of(ours.clerk).post(found[0], wrong).status_code == 403
    assert browser_of(theirs.manager).post(found[0], wrong).status_code == 404
    assert "パスワードが違います" in browser.post(found[0], wrong | {"password": "x"}).get_data(as_text=True)
    assert "理由を入力してください" in browser.post(found[0], wrong | {"reason": ""}).get_data(as_text=True)
    assert _row(app, Recipient, person).payment_state == "paid"
    assert browser.post(found[0], wrong).status_code == 303
    assert _row(app, Recipient, person).payment_state == "unpaid"
    assert _acts(app, ours)[-1] == ("unsettle_payment", f"user:{ours.manager}")
    told = browser.get("/admin/audit/").get_data(as_text=True)
    assert "理由：別の契約だった" in told
    page = browser.get(f"/admin/recipient/details/?id={person}").get_data(as_text=True)
    assert "別の契約だった" in page
    assert "take-back" not in page
    assert "消込（ほかの方法で入金済み）" in page
    assert "消し込みで支払済" in browser.post(found[0], wrong).get_data(as_text=True)


def test_it_is_said_what_becomes_of_an_sms_that_waits(app, browser_of, ours):
    """Somebody who paid gets none; when that is taken back, it leaves after all."""
    person = ours.people[0].id
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    browser = browser_of(ours.manager)
    url, data = _settling(ours)
    assert "まだ送っていないSMSは、送られません" in browser.get(url).get_data(as_text=True)
    browser.post(url, data)
    with app.app_context(), tenancy.tenant(ours.tenant):
        step = Step(person, datetime.now(UTC), {"code": result_codes.NEEDLESS})
        move(db.session, SMS, SmsState.CANCELLED, [step], actor="system")
        db.session.commit()
    page = browser.get(f"/admin/recipient/details/?id={person}").get_data(as_text=True)
    assert "支払済みまたは開封済みなどのため、送らず" in page
    found = re.search(r"/admin/payment-act/\d+/take-back", page)
    assert found is not None
    wrong = {"reason": "別の契約だった", "password": factories.PASSWORD}
    told = browser.post(found[0], wrong, follow_redirects=True).get_data(as_text=True)
    assert "支払済のため送らなかったSMSは、これから送られます" in told
    assert _row(app, Recipient, person).sms_state == "queued"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "パスワードが違います"),
        ({"password": ""}, "パスワードを入力してください"),
        ({"method": ""}, "入金の方法を選んでください"),
        ({"reason": " "}, "理由を入力してください"),
        ({"reason": "カード４２４２－４２４２－４２４２－４２４２で払った"}, "カード番号と思われる数字"),
        ({"amount": "5000"}, "一部だけの入金"),
        ({"amount": "多め"}, "金額が数字ではありません"),
        ({"amount": ""}, "入金額を入力してください"),
    ],
)
def test_what_does_not_fit_settles_nothing(app, browser_of, ours, change, words):
    url, data = _settling(ours, **change)
    answer = browser_of(ours.manager).post(url, data)
    assert answer.status_code == 200
    assert words in answer.get_data(as_text=True)
    assert english_in(answer.get_data(as_text=True)) == []
    assert _row(app, Recipient, ours.people[0].id).payment_state == "unpaid"
    assert _acts(app, ours) == []


def test_what_must_be_filled_in_is_marked_so(browser_of, ours):
    page = browser_of(ours.manager).get(f"/admin/payment-act/settle/{ours.people[0].id}").get_data(as_text=True)
    for label in ("入金の方法", "入金額（円）", "理由", "あなたのパスワード"):
        assert re.search(rf">{label} <span class=\"badge-state badge-red\">必須</span>", page), label


def test_an_attempt_under_way_is_warned_of(browser_of, ours, attempt):
    attempt(state="started")
    url, data = _settling(ours)
    browser = browser_of(ours.manager)
    assert "進行中の支払い手続きがあります" in browser.get(url).get_data(as_text=True)
    assert "二重に支払われるおそれ" in browser.post(url, data).get_data(as_text=True)
    assert browser.post(url, data | {"despite_open": "y"}).status_code == 303


@pytest.mark.parametrize("act", ["refund", "cancel", "looked-at"])
def test_acts_are_a_managers_own_and_no_other_companys(browser_of, ours, theirs, attempt, act):
    url = f"/admin/payment-act/{attempt()}/{act}"
    assert browser_of(ours.clerk).get(url).status_code == 403
    assert browser_of(ours.clerk).post(url, {"password": factories.PASSWORD}).status_code == 403
    assert browser_of(theirs.manager).get(url).status_code == 404
    assert browser_of(theirs.manager).post(url, {"password": factories.PASSWORD}).status_code == 404
    page = browser_of(ours.manager).get(url).get_data(as_text=True)
    assert "12,000円" in page
    assert english_in(re.sub(r"k\.1\.p1", "", page)) == []


def test_a_site_that_gives_no_answer_refunds_nothing(app, browser_of, ours, attempt):
    payment_id = attempt(provider_id="cs_1")
    answer = browser_of(ours.manager).post(f"/admin/payment-act/{payment_id}/refund", {"password": factories.PASSWORD})
    assert "まだ何も変えていません" in answer.get_data(as_text=True)
    row = _row(app, Payment, payment_id)
    assert (row.state, row.refund_asked_at) == ("paid", None)


def test_what_is_to_be_looked_at_leads_from_home_to_its_end(app, browser_of, ours, attempt):
    payment_id = attempt(problem="paid twice", provider_id=None)
    browser = browser_of(ours.manager)
    home = browser.get("/admin/").get_data(as_text=True)
    assert "二重のお支払いが1件あります" in home
    assert "確認の必要な支払い" not in home
    listed = browser.get("/admin/payment/?look=1").get_data(as_text=True)
    assert "二重に支払われています" in listed
    assert "テスト決済" in listed
    assert (
        browser.post(f"/admin/payment-act/{payment_id}/looked-at", {"password": factories.PASSWORD}).status_code == 303
    )
    assert _row(app, Payment, payment_id).problem == ""
    assert "二重のお支払い" not in browser.get("/admin/").get_data(as_text=True)
    assert "該当" in (page := browser.get("/admin/payment/?look=1").get_data(as_text=True)) or "ありません" in page


@pytest.mark.parametrize(
    ("problem", "home", "says"),
    [
        ("disputed", "チャージバックが1件あります", "回答の期限を確かめ"),
        ("dispute lost", "チャージバックが1件あります", "ご本人に連絡して決めて"),
        ("part refunded", "確認の必要な支払いが1件あります", "一部だけが返金されています"),
        ("refund failed", "失敗した返金が1件あります", "ご本人にはまだ返っていません"),
        ("paid twice; disputed", "二重のお支払いが1件あります", "一方を返金してください"),
    ],
)
def test_what_happened_to_money_stands_at_home_with_what_to_do(browser_of, ours, attempt, problem, home, says):
    payment_id = attempt(problem=problem, refunded_yen=500)
    browser = browser_of(ours.clerk)
    assert home in browser.get("/admin/").get_data(as_text=True)
    person = browser.get(f"/admin/recipient/details/?id={ours.people[0].id}").get_data(as_text=True)
    assert says in person
    assert "うち500円を返金" in person
    act = browser_of(ours.manager).get(f"/admin/payment-act/{payment_id}/looked-at").get_data(as_text=True)
    assert says in act
    # money that came stays: nobody is told that the person may pay anew
    assert "支払いの状態は変わりません" in act
    assert "もう一度支払えるようになります" not in act


def test_a_clerk_has_the_site_asked_about_who_says_that_they_paid(app, browser_of, ours, attempt):
    payment_id = attempt(state="started", ask_at=datetime.now(UTC) + timedelta(minutes=9))
    clerk = browser_of(ours.clerk)
    person = f"/admin/recipient/details/?id={ours.people[0].id}"
    page = clerk.get(person).get_data(as_text=True)
    assert "いま決済サイトに確かめる" in page
    assert "消込）は、管理者が行います" in page
    answer = clerk.post(f"/admin/recipient/{ours.people[0].id}/ask-site", follow_redirects=True)
    assert "決済サイトに確かめています" in answer.get_data(as_text=True)
    assert _row(app, Payment, payment_id).ask_at <= datetime.now(UTC)
    assert [(job.func_name, job.args) for job in queues.queue(queues.TRACKING).jobs] == [
        ("jobs.payments.ask", [ours.tenant])
    ]
    assert "いま決済サイトに確かめる" not in clerk.get(f"/admin/recipient/details/?id={ours.people[1].id}").get_data(
        as_text=True
    )
    nobody = clerk.post(f"/admin/recipient/{ours.people[1].id}/ask-site", follow_redirects=True)
    assert "確かめる手続きはありません" in nobody.get_data(as_text=True)


def test_two_problems_of_one_payment_are_both_told(browser_of, ours, attempt):
    attempt(problem="paid twice; disputed")
    browser = browser_of(ours.clerk)
    home = browser.get("/admin/").get_data(as_text=True)
    assert "二重のお支払いが1件あります" in home
    assert "チャージバックが1件あります" in home
    person = browser.get(f"/admin/recipient/details/?id={ours.people[0].id}").get_data(as_text=True)
    assert "二重に支払われています" in person
    assert "異議（チャージバック）" in person


def test_a_dispute_that_somebody_looked_into_still_says_that_it_is_open(browser_of, ours, attempt):
    attempt(dispute="open")
    person = browser_of(ours.clerk).get(f"/admin/recipient/details/?id={ours.people[0].id}").get_data(as_text=True)
    assert "チャージバックの結果待ち" in person


def test_what_waits_at_a_provider_without_an_answer_stands_at_home(app, browser_of, ours, attempt):
    now = datetime.now(UTC)
    attempt(state="started", unanswered=3, unanswered_since=now - timedelta(minutes=3))
    clerk, manager = browser_of(ours.clerk), browser_of(ours.manager)
    assert "返事がなく" not in manager.get("/admin/").get_data(as_text=True)
    with app.app_context(), tenancy.tenant(ours.tenant):
        db.session.query(Payment).update({"unanswered_since": now - timedelta(minutes=11)})
        db.session.commit()
    home = manager.get("/admin/").get_data(as_text=True)
    assert "結果を確かめられていない支払いが1件あります" in home
    assert "決済アカウントを確かめる" in home
    assert "自社の管理者にお知らせください" in clerk.get("/admin/").get_data(as_text=True)


def test_mending_an_account_ends_its_rest(app, browser_of, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(PaymentAccount, ours.payment_account)
        row.rests_until = row.ask_after = datetime.now(UTC) + timedelta(hours=1)
        row.unanswered = 9
        db.session.commit()
    browser = browser_of(ours.manager)
    url = f"/admin/payment_account/edit/?id={ours.payment_account}"
    form = re.findall(r'name="([^"]+)"[^>]*value="([^"]*)"', browser.get(url).get_data(as_text=True))
    browser.post(url, {**dict(form), "provider": "stripe", "methods": "card", "test_mode": "y", "active": "y"})
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(PaymentAccount, ours.payment_account)
        assert (row.rests_until, row.ask_after, row.unanswered) == (None, None, 0)


def test_differences_are_counted_for_managers_and_closed(app, browser_of, ours, theirs):
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = PaymentDifference(
            tenant_id=ours.tenant,
            payment_account_id=ours.payment_account,
            recipient_id=ours.people[0].id,
            reference="k.1.p1",
            kind="amount",
            day=date(2026, 11, 22),
            ours_yen=12_000,
            theirs_yen=11_000,
        )
        db.session.add(row)
        db.session.commit()
        row_id = row.id
    words = "決済サイトの記録と合わない支払いが1件あります"
    browser = browser_of(ours.manager)
    assert words in browser.get("/admin/").get_data(as_text=True)
    assert words not in browser_of(ours.clerk).get("/admin/").get_data(as_text=True)
    assert words not in browser_of(theirs.manager).get("/admin/").get_data(as_text=True)
    page = browser.get("/admin/payment_difference/?open=1").get_data(as_text=True)
    assert "金額が決済サイトと違います" in page
    assert "11,000円" in page
    url = f"/admin/payment-act/difference/{row_id}"
    assert browser_of(theirs.manager).post(url, {"password": factories.PASSWORD}).status_code == 404
    assert browser.post(url, {"password": "wrong"}).status_code == 200
    assert _row(app, PaymentDifference, row_id).settled_at is None
    assert browser.post(url, {"password": factories.PASSWORD}).status_code == 303
    assert _row(app, PaymentDifference, row_id).settled_at <= datetime.now(UTC)
    assert _acts(app, ours) == [("close_difference", f"user:{ours.manager}")]
    assert words not in browser.get("/admin/").get_data(as_text=True)


def test_a_test_contract_says_so_on_every_page(app, browser_of, ours, operator):
    browser = browser_of(ours.manager)
    page = f"/admin/campaign/{ours.campaign}/"
    every = ("/admin/", "/admin/campaign/", "/admin/recipient/", "/admin/payment/", "/admin/payment_account/")
    for path in every:
        assert "テスト決済の契約あり" in browser.get(path).get_data(as_text=True), path
    assert "テスト決済：お金は動きません" in browser.get(page).get_data(as_text=True)
    assert "テスト決済" not in browser_of(operator).get("/admin/").get_data(as_text=True)
    with app.app_context(), tenancy.tenant(ours.tenant):
        db.session.get_one(PaymentAccount, ours.payment_account).test_mode = False
        db.session.commit()
    assert "テスト決済" not in browser.get(page).get_data(as_text=True)


def test_who_got_no_payment_page_is_told_of_at_home(browser_of, ours, theirs, attempt):
    """A key that was renewed at the payment provider alone: nobody could pay, and nobody would have known."""
    words = "決済ページを開けなかった方が1人います"
    earlier = datetime.now(UTC) - timedelta(hours=1)
    attempt(state="failed", created_at=earlier)
    attempt(state="expired", created_at=earlier, attempt=2, reference="k.1.p2")
    home = browser_of(ours.manager).get("/admin/").get_data(as_text=True)
    assert words in home
    assert "/admin/payment_account/" in home
    assert words not in browser_of(ours.clerk).get("/admin/").get_data(as_text=True)
    assert words not in browser_of(theirs.manager).get("/admin/").get_data(as_text=True)
    # another press led to a page
    attempt(state="started", created_at=earlier, attempt=3, reference="k.1.p3", provider_id="cs_1", url_sealed=b"x")
    assert words not in browser_of(ours.manager).get("/admin/").get_data(as_text=True)


def test_what_a_payment_account_waits_for_is_said_wherever_somebody_looks(app, browser_of, ours, database, attempt):
    """A provider that wishes to be left alone for minutes: nobody can pay, and who has paid isn't shown so."""
    attempt(state="started")
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    account, status = (
        f"/admin/payment_account/edit/?id={ours.payment_account}",
        f"/admin/campaign/{ours.campaign}/status/",
    )
    says = "まで、支払いの確認と新しい決済ページの用意を待機しています"
    manager, clerk = browser_of(ours.manager), browser_of(ours.clerk)
    pages = ((manager, (account, "/admin/", status)), (clerk, ("/admin/", status)))
    for browser, looked_at in pages:
        for page in looked_at:
            assert says not in browser.get(page).get_data(as_text=True)
    database.execute("UPDATE payment_account SET ask_after = now() + interval '9 minutes'")
    database.execute("UPDATE payment SET told_at = now()")
    for browser, looked_at in pages:
        for page in looked_at:
            text = browser.get(page).get_data(as_text=True)
            assert says in text, page
            assert "結果を待っている方が1人います" in text
    assert "支払いの待機中" in manager.get("/admin/payment_account/").get_data(as_text=True)
    database.execute("UPDATE payment_account SET ask_after = now() - interval '1 second'")
    assert "支払いの待機中" not in manager.get("/admin/payment_account/").get_data(as_text=True)
    assert says not in manager.get("/admin/").get_data(as_text=True)


@pytest.mark.parametrize(
    ("columns", "says", "offered"),
    [
        ({"dispute": "lost"}, "チャージバック成立", False),
        ({"dispute": "open"}, "チャージバックの結果待ち", False),
        ({"refunded_yen": 500}, "一部返金", True),
    ],
)
def test_what_became_of_money_stays_once_looked_into(browser_of, ours, attempt, columns, says, offered):
    """Nobody reads a plain 支払済 of money that went back, nor is led to give it back twice."""
    payment_id = attempt(**columns)
    browser = browser_of(ours.manager)
    person = browser.get(f"/admin/recipient/details/?id={ours.people[0].id}").get_data(as_text=True)
    assert says in person
    assert (f"/admin/payment-act/{payment_id}/refund" in person) is offered
    assert says in browser.get("/admin/payment/").get_data(as_text=True)


@pytest.mark.usefixtures("one_day")
def test_money_that_went_back_is_no_money_paid_at_home(app, ours, attempt):
    attempt(paid_at=datetime.now(UTC), refunded_yen=500)
    attempt(attempt=2, reference="k.1.p2", paid_at=datetime.now(UTC), dispute="lost")
    with app.app_context(), tenancy.tenant(ours.tenant):
        _, month = tenant_totals.day_and_month(ours.tenant, datetime.now(UTC))
    assert (month.paid, month.paid_yen) == (2, 11_500)


def test_a_page_at_another_host_is_named_at_home(browser_of, ours, attempt):
    attempt(state="started", provider_id="cs_1", created_at=datetime.now(UTC) - timedelta(hours=1))
    assert "決済ページを開けなかった方が1人います" in browser_of(ours.manager).get("/admin/").get_data(as_text=True)
