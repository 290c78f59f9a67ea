"""The way through the pages: link, press, questions, message."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.identity.revoke import revoke
from app.values.answers import QuestionKind
from tests import steps
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, WRONG, Sent


def test_from_the_link_to_the_message(
    sent: Sent, browser: Browser, state: Callable[[Sent], tuple[str, int]], events: Callable
) -> None:
    browser.open(sent.link)
    assert (browser.page.status_code, browser.title) == (200, "みどり信販からのお知らせ | みどり信販")
    assert "03-1234-5678" in browser.text
    assert "平日 9:00-18:00" in browser.text
    assert "お支払いのご案内" not in browser.text  # what it is about comes after the check
    assert state(sent) == ("unopened", 0)

    browser.press()
    assert (browser.path, browser.title) == ("/p", "ご本人の確認 | みどり信販")
    assert state(sent) == ("opened", 0)
    assert "佐藤" not in browser.text

    browser.press(**ANSWERS)
    assert (browser.path, browser.title) == ("/p", "お支払いのご案内 | みどり信販")
    assert sent.person.fields["氏名"] + "様<br>ご契約についてのお知らせです。" in browser.text
    assert state(sent) == ("viewed", 0)
    assert events(sent) == [
        ("page", "opened", "person"),
        ("page", "verified", "person"),
        ("page", "viewed", "person"),
    ]

    browser.open("/p")
    assert browser.title == "お支払いのご案内 | みどり信販"
    assert len(events(sent)) == 3


def test_without_questions_the_press_shows_the_message(send: Callable[..., Sent], browser: Browser, events) -> None:
    sent = send(questions=())
    browser.open(sent.link)
    assert "お知らせを見る" in browser.text
    browser.press()
    assert browser.title == "お支払いのご案内 | みどり信販"
    assert [event[1] for event in events(sent)] == ["opened", "verified", "viewed"]


def test_another_site_cannot_press_for_the_person(sent: Sent, browser: Browser, state) -> None:
    answer = browser.client.post(sent.link, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["Location"]) == (303, sent.link)
    assert "Set-Cookie" not in answer.headers
    assert state(sent) == ("unopened", 0)


def test_links_that_are_over_unknown_or_revoked_look_the_same(
    send: Callable[..., Sent], app: Flask, database: psycopg.Connection, take: Callable[..., None]
) -> None:
    expired, revoked, unsent = send(), send(), send()
    database.execute(
        "UPDATE recipient SET link_expires_at = %s WHERE id = %s",
        [datetime.now(UTC) - timedelta(seconds=1), expired.person.id],
    )
    take(steps.revoke, revoked.person.id)
    database.execute("UPDATE recipient SET link_expires_at = NULL WHERE id = %s", [unsent.person.id])
    links = [expired.link, revoked.link, unsent.link, "/abcdefghijkmnpqr", "/" + "z" * 32]
    for method in ("GET", "POST"):
        answers = [app.test_client().open(link, method=method) for link in links]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.data for answer in answers}) == 1
        assert len({tuple(answer.headers) for answer in answers}) == 1
        assert "みどり信販" not in answers[0].text
        assert "SMSに書かれている会社へ" in answers[0].text


def test_a_link_that_ends_ends_its_sessions(sent: Sent, browser: Browser, database: psycopg.Connection) -> None:
    browser.open(sent.link).press().press(**ANSWERS)
    database.execute("UPDATE recipient SET token_digest = '', link_generation = 2 WHERE id = %s", [sent.person.id])
    browser.open("/p")
    assert (browser.page.status_code, browser.title) == (404, "このページは開けません")
    browser.open("/p")
    assert browser.title == "もう一度、SMSのリンクを開いてください"


def test_wrong_answers_lock_and_tell_how_many_are_left(sent: Sent, browser: Browser, state, events) -> None:
    browser.open(sent.link).press()
    for left in (4, 3, 2, 1):
        browser.press(**WRONG)
        assert browser.page.status_code == 422
        assert browser.title == "エラー：ご本人の確認 | みどり信販"
        assert f"あと{left}回まで" in browser.text
        assert "ご登録の内容と一致しませんでした" in browser.text
    browser.press(**WRONG)
    assert (browser.path, browser.title) == ("/p", "安全のため、このページを閉じました | みどり信販")
    assert "03-1234-5678" in browser.text
    assert state(sent) == ("locked", 5)
    browser.open(sent.link)
    assert browser.title == "安全のため、このページを閉じました | みどり信販"
    assert [event[1] for event in events(sent)] == ["opened", *["wrong_answer"] * 5, "locked"]


def test_the_error_never_tells_which_answer_was_wrong(sent: Sent, app: Flask) -> None:
    pages = []
    for typed in (WRONG, ANSWERS | {"q1_day": "3"}, WRONG | {"q1_day": "3"}):
        browser = Browser(app.test_client())
        browser.open(sent.link).press().press(**typed)
        page = browser.text.partition("<h1>")[0].partition('<div class="alert"')[2]
        pages.append(re.sub(r"\d回", "n回", page))
    assert len(set(pages)) == 1
    assert "生年月日" in pages[0]
    assert "契約番号下4桁" in pages[0]


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ({"q2": ""}, "空です。"),
        ({"q2": "12"}, "4桁ではありません。"),
        ({"q2": "abcd"}, "数字以外の文字があります。"),
        ({"q1_day": ""}, "年・月・日をすべて入力してください。"),
        ({"q1_year": "80"}, "年がはっきりしません。"),
        ({"q1_month": "13"}, "暦にない日付です。"),
        ({"q1_calendar": "昭和", "q1_year": "70"}, "昭和にはない日付です"),
        ({"q2": "1" * 5000}, "長すぎます。"),
    ],
)
def test_what_cannot_be_read_costs_no_attempt(
    sent: Sent, browser: Browser, state, typed: dict[str, str], advice: str
) -> None:
    browser.open(sent.link).press().press(**(WRONG | typed))
    assert browser.page.status_code == 422
    assert advice in html.unescape(browser.text)
    assert "あと5回まで" in browser.text
    assert "一致しませんでした" not in browser.text
    assert state(sent) == ("opened", 0)


@pytest.mark.parametrize(
    "typed",
    [
        {"q1_calendar": "昭和", "q1_year": "55"},
        {"q1_calendar": "昭和", "q1_year": "\u200e ５５ 年", "q1_month": "０１", "q1_day": "\u202a2\u202c"},
        {"q1_calendar": "昭和", "q1_year": "昭和55"},
        {"q2": "０１－２３"},
        {"q1_year": "昭和55年", "q1_month": "1月", "q1_day": "２日"},
        {"q1_calendar": "平成", "q1_year": "1980"},
        {"q1_year": "１９８０", "q1_month": "01", "q1_day": "02", "q2": "０１２３"},
        {"q1_year": "S55", "q2": " 01-23 "},
    ],
)
def test_a_date_is_read_as_people_write_it(sent: Sent, browser: Browser, state, typed: dict[str, str]) -> None:
    browser.open(sent.link).press().press(**(ANSWERS | typed))
    assert state(sent) == ("viewed", 0)


def test_a_second_browser_has_to_answer_too(sent: Sent, app: Flask, state, events) -> None:
    Browser(app.test_client()).open(sent.link).press().press(**ANSWERS)
    other = Browser(app.test_client()).open(sent.link).press()
    assert other.title == "ご本人の確認 | みどり信販"
    assert "佐藤" not in other.text
    other.press(**WRONG)
    other.press(**ANSWERS)
    assert other.title == "お支払いのご案内 | みどり信販"
    assert state(sent) == ("viewed", 0)
    assert [event[1] for event in events(sent)][-2:] == ["wrong_answer", "verified_again"]


def test_a_lock_closes_the_page_that_is_open_elsewhere(sent: Sent, app: Flask, browser: Browser) -> None:
    browser.open(sent.link).press().press(**ANSWERS)
    stranger = Browser(app.test_client()).open(sent.link).press()
    for _ in range(5):
        stranger.press(**WRONG)
    browser.open("/p")
    assert browser.title == "安全のため、このページを閉じました | みどり信販"
    assert "佐藤" not in browser.text


def test_after_an_unlock_the_questions_come_again(sent: Sent, browser: Browser, take, state) -> None:
    browser.open(sent.link).press().press(**ANSWERS)
    take(steps.lock, sent.person.id)
    take(steps.unlock, sent.person.id)
    browser.open("/p")
    assert browser.title == "ご本人の確認 | みどり信販"


def test_a_link_that_staff_ended_opens_nowhere_and_shows_nothing_more(sent: Sent, app: Flask, browser: Browser) -> None:
    browser.open(sent.link).press().press(**ANSWERS)
    with app.app_context(), tenancy.tenant(sent.tenant_id):
        assert revoke(sent.person.id, actor="user:1", at=datetime.now(UTC))
        assert not revoke(sent.person.id, actor="user:1", at=datetime.now(UTC))
    for address in ("/p", sent.link):
        browser.open(address)
        assert browser.page.status_code in {200, 404}
        assert "佐藤" not in browser.text
    assert (browser.page.status_code, browser.title) == (
        404,
        Browser(app.test_client()).open("/abcdefghijkmnpqr").title,
    )


def test_a_form_that_was_open_while_the_link_lived_anew_is_taken(
    sent: Sent, browser: Browser, database, take, state
) -> None:
    """The link ended unread and another SMS gave it a new end: the tab of the first time still holds the questions."""
    browser.open(sent.link).press()
    take(steps.renew_link, sent.person.id)
    browser.press(**WRONG)
    assert (browser.page.status_code, state(sent)) == (422, ("opened", 1))
    take(steps.renew_link, sent.person.id)
    database.execute("UPDATE recipient SET failed_attempts = 0")
    browser.press(**ANSWERS)
    assert (browser.path, state(sent)) == ("/p", ("viewed", 0))


@pytest.mark.parametrize(
    "tail", ["。", "からご確認ください", ".", "/", ")", "」をご覧ください。03-1234-5678", "/index.html"]
)
def test_words_that_a_phone_took_for_a_part_of_the_link_do_no_harm(
    sent: Sent, browser: Browser, app: Flask, state, tail: str
) -> None:
    """Android's messages make a link of whatever follows it without a space."""
    answer = app.test_client().get(sent.link + tail)
    assert (answer.status_code, answer.headers["Location"], state(sent)) == (303, sent.link, ("unopened", 0))
    assert browser.open(sent.link + tail).press().path == "/p"
    # of a link that never was nothing else is told
    assert app.test_client().get("/" + "x" * 16 + tail).status_code == 303
    assert "テスト送信の確認ページ" in browser.open("/trial-0000000000" + tail.partition("/")[0]).text


def test_letters_that_follow_the_link_make_it_another_one(sent: Sent, browser: Browser) -> None:
    assert browser.open(sent.link + "abc").page.status_code == 404
    assert browser.open("/trial-000a").page.status_code == 404


def test_coming_back_by_the_link_asks_nothing_twice_in_one_browser(sent: Sent, browser: Browser) -> None:
    browser.open(sent.link).press().press(**ANSWERS)
    browser.open(sent.link).press()
    assert browser.title == "お支払いのご案内 | みどり信販"


def test_a_second_press_leaves_the_first_tabs_form_good(sent: Sent, browser: Browser) -> None:
    browser.open(sent.link).press()
    Browser(browser.client).open(sent.link).press()
    browser.press(**ANSWERS)
    assert browser.title == "お支払いのご案内 | みどり信販"


def test_another_link_in_the_same_browser_begins_anew(send: Callable[..., Sent], browser: Browser) -> None:
    browser.open(send().link).press().press(**ANSWERS)
    browser.open(send().link).press()
    assert browser.title == "ご本人の確認 | みどり信販"


def test_answers_are_typed_as_a_choice_too(send: Callable[..., Sent], browser: Browser, database) -> None:
    sent = send(questions=(("お住まい", QuestionKind.CHOICE), ("お名前", QuestionKind.TEXT)))
    database.execute(
        "UPDATE question SET choices = E'みどり\\nあお\\n' WHERE kind = 'choice' AND campaign_id = %s",
        [sent.campaign_id],
    )
    browser.open(sent.link).press()
    assert browser.text.count('type="radio"') == 2
    browser.press(q2="みどり")
    assert "この項目を入力してください" not in browser.text  # Japanese pages use the kind's own words
    assert browser.page.status_code == 422
    browser.press(q1="みどり", q2="みどり")
    assert browser.title == "お支払いのご案内 | みどり信販"


def test_a_message_is_text_and_nothing_else(send: Callable[..., Sent], browser: Browser) -> None:
    sent = send(page_text="<script>alert(1)</script>\n{氏名}様 https://example.jp/ をご覧ください", questions=())
    browser.open(sent.link).press()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>" in browser.text
    assert "<script" not in browser.text
    assert 'href="https://example.jp' not in browser.text


def test_pages_speak_english_where_the_campaign_does(send: Callable[..., Sent], browser: Browser) -> None:
    sent = send(page_language="en")
    browser.open(sent.link)
    assert '<html lang="en">' in browser.text
    assert "A message from みどり信販" in browser.text
    browser.press()
    assert "q1_calendar" not in browser.text
    browser.press(q1_year="1980", q1_month="1", q1_day="", q2="")
    assert browser.title == "Error: Identity check | みどり信販"
    assert "Please check this answer." in browser.text
    assert "Please fill in this answer." in browser.text
    browser.press(q1_year="1980", q1_month="1", q1_day="2", q2="0123")
    assert browser.title == "お支払いのご案内 | みどり信販"
