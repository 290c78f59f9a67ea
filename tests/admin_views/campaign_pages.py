"""The pages between a campaign's draft and its sending, as a clerk goes through them."""

import re

from tests.admin_views.conftest import Browser

TEXT = "【みどり信販】{氏名}様 {リンク}"


def no_question(place: int) -> dict[str, str]:
    """Return the fields of a question that is not asked."""
    return {f"questions-{place}-{name}": "" for name in ("label", "column_name", "choices")} | {
        f"questions-{place}-kind": "text"
    }


def campaign_form(**values: str) -> dict[str, str]:
    """Return the form of a campaign as a browser would send it, with these changes."""
    return {
        "name": "12月度のご案内",
        "sms_text": TEXT,
        "page_title": "お支払いのご案内",
        "page_text": "{氏名}様\r\n本文です。\r\n",
        "page_language": "ja",
        "max_failures": "5",
        "validity": "period",
        "link_amount": "14",
        "link_unit": "days",
        "until": "",
        "questions-0-label": "生年月日",
        "questions-0-kind": "date",
        "questions-0-column_name": "",
        "questions-1-label": "ご契約のプラン",
        "questions-1-kind": "choice",
        "questions-1-column_name": "プラン",
        "questions-1-choices": "松\r\n 竹 \r\n\r\n梅",
        "questions-0-choices": "",
        **no_question(2),
        **no_question(3),
        **values,
    }


def page_of(browser: Browser, url: str) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200, url
    return answer.get_data(as_text=True)


def check(browser: Browser, campaign: int) -> str:
    answer = browser.post(f"/admin/campaign/{campaign}/check/")
    assert answer.status_code == 303
    return page_of(browser, answer.location)


def digest_on(browser: Browser, campaign: int) -> str:
    found = re.search(r'name="digest" value="(\w+)"', page_of(browser, f"/admin/campaign/{campaign}/send/"))
    assert found
    return found[1]


def send(browser: Browser, campaign: int) -> str:
    check(browser, campaign)
    answer = browser.post(f"/admin/campaign/{campaign}/send/", {"digest": digest_on(browser, campaign)})
    assert (answer.status_code, answer.location) == (303, f"/admin/campaign/{campaign}/status/")
    return page_of(browser, answer.location)
