"""名簿: numbers that stand in the campaign already are told before anything leads on, with what to do about them."""

import pytest
from flask import Flask

from tests import factories
from tests.admin_views.conftest import Browser, House, plain
from tests.admin_views.uploads import BAD, GOOD, HEAD, one, people_of, take, upload

# the same people, whose columns have other names, so that no row is known
OTHER_NAMES = HEAD.replace("管理番号", "会員番号").replace("契約番号下4桁", "契約番号の下4桁")
RENUMBERED = GOOD.replace("K1", "1").replace("K2", "2")
TOLD = "前に取り込んだ送信先の<strong>2件</strong>と同じ電話番号の行があります"


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="満期のご案内")


def listed(app: Flask, clerk: Browser, ours: House, campaign: int, content: str, name: str) -> tuple[str, str]:
    url = upload(clerk, campaign, content, name).location
    return url, take(app, clerk, ours.tenant, url)


def test_numbers_that_stand_there_already_are_told_before_anything_leads_on(app, clerk, ours, campaign, ask):
    first, page = listed(app, clerk, ours, campaign, HEAD + GOOD, "先.csv")
    assert "同じ電話番号の送信先が、すでに" not in page
    second, page = listed(app, clerk, ours, campaign, OTHER_NAMES + RENUMBERED, "後.csv")
    assert ask(people_of(campaign)) == [(4,)]
    assert page.index(TOLD) < page.index("確認へ進む")
    assert page.index(TOLD) < page.index("この取り込みを取り消す") < page.index("このまま確認へ進む")
    assert "btn-primary btn-lg" not in page  # nothing leads on as if all were well
    assert one(r'<h2 id="outcome">「後.csv」<span class="badge-state ([^<]*)</span>', page) == (
        'badge-amber">同じ電話番号があります'
    )
    # the check says whom, and the way on, first of all
    check = clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True)
    assert "送信できますが、同じ電話番号に2通以上届きます" in check
    assert one(r'<li class="todo-warning">(.*?)</li>', check) == (
        "この名簿のほかの行と同じ電話番号の送信先が2件あります。このままだと同じ人に2通以上届きます。"
        "（例：「先.csv」の2行目と「後.csv」の2行目）同じ人なら、名簿の画面で「後.csv」の結果を開き、"
        "「この取り込みを取り消す」か「同じ電話番号の前の行と置き換える」を選んでください。"
    )
    assert f'href="/admin/campaign/{campaign}/list/">名簿の画面で直す' in check
    # taken back, as the page says
    clerk.post(f"{second}discard")
    assert ask(people_of(campaign)) == [(2,)]
    assert "同じ電話番号の送信先が、すでに" not in clerk.get(first).get_data(as_text=True)


def test_once_the_earlier_list_is_taken_back_nothing_is_told_any_more(app, clerk, ours, campaign):
    first, _ = listed(app, clerk, ours, campaign, HEAD + GOOD, "先.csv")
    second, page = listed(app, clerk, ours, campaign, OTHER_NAMES + RENUMBERED, "後.csv")
    assert TOLD in page
    clerk.post(f"{first}discard")
    page = clerk.get(second).get_data(as_text=True)
    assert "同じ電話番号" not in page
    assert "確認へ進む" in page


def test_errors_do_not_hide_numbers_that_stand_there_already(app, clerk, ours, campaign):
    listed(app, clerk, ours, campaign, HEAD + GOOD, "先.csv")
    _, page = listed(app, clerk, ours, campaign, OTHER_NAMES + RENUMBERED + BAD, "後.csv")
    assert page.index(TOLD) < page.index("エラーの行を直してください") < page.index("このまま確認へ進めます")
    assert "列の名前を変えなければ、新しい行だけが加わります" in page


def test_a_list_that_was_taken_before_with_other_words_is_no_wrong_column(app, clerk, ours, campaign):
    listed(app, clerk, ours, campaign, HEAD + GOOD, "先.csv")
    _, page = listed(app, clerk, ours, campaign, HEAD.replace("氏名", "お名前") + GOOD, "後.csv")
    assert "前の行と置き換える" in page
    assert "列の使いみちの選び方が違うかもしれません" not in page


def test_two_rows_of_one_list_are_named_with_what_can_be_done(app, clerk, ours, campaign):
    twice = GOOD + "K3,090-1234-5678,佐藤 次郎,1980/1/2,0789\r\n"
    url, page = listed(app, clerk, ours, campaign, HEAD + twice, "家族.csv")
    assert "すでにこの配信にあります" not in page
    check = plain(clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True))
    assert "（例：「家族.csv」の2行目と「家族.csv」の4行目）" in check
    assert "名簿の結果の「見つかった行」で、要らないほうの行を「対象外にする」にしてください" in check
    # where it says so, it can be done
    assert "対象外にする" in one(r"(見つかった行.*)", clerk.get(url).get_data(as_text=True))
