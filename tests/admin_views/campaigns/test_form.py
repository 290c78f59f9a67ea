"""The form in which a campaign is written."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import select

from admin_views.framework.display import from_jst
from app import links, tenancy
from app.campaigns import lifecycle
from app.extensions import db
from app.models import Campaign
from tests import factories
from tests.admin_views.campaign_pages import TEXT, campaign_form, no_question


def _stored(app, house):
    with app.app_context(), tenancy.tenant(house.tenant):
        row = db.session.query(Campaign).order_by(Campaign.id.desc()).first()
        assert row is not None
        _ = row.questions, row.author
        db.session.expunge_all()
        return row


def _revision(browser, campaign_id):
    page = browser.get(f"/admin/campaign/edit/?id={campaign_id}").get_data(as_text=True)
    found = re.search(r'<input[^>]*name="revision"[^>]*value="(\d+)"', page)
    assert found, page
    return found[1]


def _words(answer):
    return re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))


def test_a_campaign_is_written_and_leads_on_to_its_page(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    answer = browser.post("/admin/campaign/new/", campaign_form(sms_account_id=str(ours.sms_account)))
    row = _stored(app, ours)
    assert answer.headers["Location"] == f"/admin/campaign/{row.id}/"
    assert (row.tenant_id, row.state, row.sms_account_id, row.created_by) == (
        ours.tenant, "draft", ours.sms_account, ours.clerk,
    )  # fmt: skip
    assert row.page_text == "{氏名}様\n本文です。"
    assert (row.link_minutes, row.link_until, row.max_failures) == (14 * 1440, None, 5)
    assert [(q.position, q.label, q.kind, q.column_name, q.choices, q.tenant_id) for q in row.questions] == [
        (1, "生年月日", "date", "", "", ours.tenant),
        (2, "ご契約のプラン", "choice", "プラン", "松\n竹\n梅", ours.tenant),
    ]
    assert len(row.key) == 10


def test_the_form_comes_back_as_it_was_written(browser_of, app, ours):
    browser = browser_of(ours.clerk)
    browser.post("/admin/campaign/new/", campaign_form(link_amount="36", link_unit="hours", max_failures="7"))
    row = _stored(app, ours)
    page = browser.get(f"/admin/campaign/edit/?id={row.id}").get_data(as_text=True)
    assert TEXT in page
    assert re.search(r'name="link_amount"[^>]*value="36"', page)
    assert '<option selected value="hours">' in page
    assert '<option selected value="7">' in page
    assert "松\n竹\n梅</textarea>" in page
    assert re.search(r'<input checked[^>]*value="period"', page)


def test_questions_change_places_and_go(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    browser.post("/admin/campaign/new/", campaign_form())
    row = _stored(app, ours)
    first_id = row.questions[0].id
    data = campaign_form(revision=_revision(browser, row.id))
    data |= {"questions-0-label": "", "questions-2-label": "契約番号下4桁", "questions-2-kind": "last4"}
    assert browser.post(f"/admin/campaign/edit/?id={row.id}", data).status_code == 302
    after = _stored(app, ours)
    assert [(q.position, q.label) for q in after.questions] == [(1, "ご契約のプラン"), (2, "契約番号下4桁")]
    assert after.questions[0].id == first_id
    data = campaign_form(revision=_revision(browser, row.id))
    data |= no_question(0) | no_question(1)
    answer = browser.post(f"/admin/campaign/edit/?id={row.id}", data)
    assert answer.status_code == 302, _words(answer)
    assert _stored(app, ours).questions == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": " "}, "配信名を入力してください。"),
        ({"name": "あ" * 101}, "100文字以内"),
        ({"sms_text": "リンクのない本文"}, "{リンク} がありません"),
        ({"sms_text": "{リンク}{リンク}"}, "1か所だけ"),
        ({"sms_text": "{氏名 {リンク}"}, "半角の波かっこ"),
        ({"page_text": "}"}, "半角の波かっこ"),
        ({"sms_text": "カード4111 1111 1111 1111 {リンク}"}, "カード番号と思われる"),
        ({"page_text": "カード4111-1111-1111-1111"}, "カード番号と思われる"),
        ({"name": "4111111111111111"}, "カード番号と思われる"),
        ({"link_amount": "4", "link_unit": "minutes"}, "5分から366日まで"),
        ({"link_amount": "367"}, "5分から366日まで"),
        ({"link_amount": "-1"}, "5分から366日まで"),
        ({"link_amount": "9" * 30}, "5分から366日まで"),
        ({"link_amount": ""}, "5分から366日まで"),
        ({"link_amount": "十四"}, "整数で入力してください。"),
        ({"link_unit": "years"}, "選択肢から選び直してください。"),
        ({"validity": "until"}, "期限の日時を入力してください。"),
        ({"validity": "until", "until": "2020-01-01T00:00"}, "いまより先"),
        ({"validity": "until", "until": "2999-01-01T00:00"}, "366日以内"),
        ({"validity": "until", "until": "あした"}, "日時を正しく"),
        ({"validity": "never"}, "選択肢から選び直してください。"),
        ({"max_failures": "2"}, "選択肢から選び直してください。"),
        ({"max_failures": "x"}, "選択肢から選び直してください。"),
        ({"page_language": "fr"}, "選択肢から選び直してください。"),
        ({"questions-0-kind": "magic"}, "選択肢から選び直してください。"),
        ({"questions-0-label": "", "questions-0-column_name": "生年月日"}, "質問文を入力してください"),
        ({"questions-1-choices": "松"}, "2つ以上入力してください"),
        ({"questions-1-label": "生年月日"}, "本人確認の設問：同じ質問文が2つあります"),
        ({"sms_account_id": "999999"}, "選択肢から選び直してください。"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_typed_is_lost(app, browser_of, ours, changes, says):
    answer = browser_of(ours.clerk).post("/admin/campaign/new/", campaign_form(**changes))
    assert answer.status_code == 200
    assert says in _words(answer)
    page = answer.get_data(as_text=True)
    assert "本文です。" in page or "page_text" in changes
    assert "エラー：" in page.partition("</title>")[0]
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.query(Campaign).count() == 1


def test_a_draft_may_wait_for_its_texts(app, browser_of, ours):
    empty = campaign_form(sms_text="", page_title="", page_text="") | no_question(0) | no_question(1)
    assert browser_of(ours.clerk).post("/admin/campaign/new/", empty).status_code == 302
    assert _stored(app, ours).questions == []


def test_there_is_no_fifth_question(app, browser_of, ours):
    five = {f"questions-{n}-{name}": value for n in range(5) for name, value in (("label", f"問{n}"), ("kind", "text"))}
    browser_of(ours.clerk).post("/admin/campaign/new/", campaign_form(**five))
    with app.app_context(), tenancy.tenant(ours.tenant):
        found = db.session.query(Campaign).order_by(Campaign.id.desc()).first()
        assert found is not None
        assert len(found.questions) <= 4


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (1, False)])
def test_the_longest_text_that_can_reach_anybody(browser_of, ours, spare, fits):
    """Fields empty, the link at its length, an emoji two: 70 units pass, 71 don't."""
    filler = "あ" * (70 - links.length() - len("みどり信販") - 2 + spare)
    answer = browser_of(ours.clerk).post(
        "/admin/campaign/new/", campaign_form(sms_text=f"{{会社名}}{{氏名}}😀{filler}{{リンク}}")
    )
    assert (answer.status_code == 302) is fits
    if not fits:
        assert "71文字あります" in _words(answer)


def test_the_page_tells_the_counting_script_what_the_server_counts_with(browser_of, ours):
    page = browser_of(ours.clerk).get("/admin/campaign/new/").get_data(as_text=True)
    area = "".join(re.findall(r"<textarea[^>]*data-counter[^>]*>", page))
    assert f'data-link-units="{links.length()}"' in area
    assert 'data-company-units="5"' in area
    assert 'data-limit="70"' in area


def test_a_fixed_time_is_japans(app, browser_of, ours):
    moment = (datetime.now(UTC) + timedelta(days=10)).replace(second=0, microsecond=0, tzinfo=None)
    answer = browser_of(ours.clerk).post(
        "/admin/campaign/new/", campaign_form(validity="until", until=moment.isoformat())
    )
    assert answer.status_code == 302
    row = _stored(app, ours)
    assert (row.link_minutes, row.link_until) == (None, from_jst(moment))
    page = browser_of(ours.clerk).get(f"/admin/campaign/edit/?id={row.id}").get_data(as_text=True)
    assert moment.isoformat()[:16] in page


def test_a_change_makes_the_check_void(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    revision = _revision(browser, ours.campaign)
    browser.post(f"/admin/campaign/edit/?id={ours.campaign}", campaign_form(revision=revision))
    assert _revision(browser, ours.campaign) == str(int(revision) + 1)


def test_two_clerks_do_not_write_over_each_other(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    revision = _revision(browser, ours.campaign)
    browser.post(f"/admin/campaign/edit/?id={ours.campaign}", campaign_form(revision=revision, page_title="先に書いた"))
    late = browser.post(
        f"/admin/campaign/edit/?id={ours.campaign}", campaign_form(revision=revision, page_title="あとで書いた")
    )
    assert "ほかの人が先に" in _words(late)
    assert "あとで書いた" in late.get_data(as_text=True)
    assert _stored(app, ours).page_title == "先に書いた"


def test_questions_stand_once_there_are_people(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    before = [(q.id, q.label) for q in _stored(app, ours).questions]
    page = browser.get(f"/admin/campaign/edit/?id={ours.campaign}").get_data(as_text=True)
    assert "名簿を取り込んだあとは変えられません" in page
    assert 'name="questions-0-label"' not in page
    answer = browser.post(
        f"/admin/campaign/edit/?id={ours.campaign}", campaign_form(revision=_revision(browser, ours.campaign))
    )
    assert answer.status_code == 302
    assert [(q.id, q.label) for q in _stored(app, ours).questions] == before


def test_nothing_changes_after_the_launch(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    revision = _revision(browser, ours.campaign)
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    for answer in (
        browser.get(f"/admin/campaign/edit/?id={ours.campaign}"),
        browser.post(f"/admin/campaign/edit/?id={ours.campaign}", campaign_form(revision=revision, name="あとから")),
    ):
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/campaign/{ours.campaign}/")
    assert _stored(app, ours).name == "みどり信販の配信"


def test_a_launch_between_reading_and_saving_wins(app, browser_of, ours, monkeypatch):
    """The form was read while it was a draft; the row is locked and looked at again before it is written."""
    browser = browser_of(ours.clerk)
    revision = _revision(browser, ours.campaign)
    locked = lifecycle.content_locked

    def launch():
        with app.app_context():
            factories.launch(ours.tenant, ours.campaign)

    def look_then_launch(campaign):
        found = locked(campaign)
        with ThreadPoolExecutor(1) as another_worker:
            another_worker.submit(launch).result()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "content_locked", look_then_launch)
        answer = browser.post(
            f"/admin/campaign/edit/?id={ours.campaign}", campaign_form(revision=revision, name="あとから")
        )
    assert "ほかの人が先に" in _words(answer)
    assert _stored(app, ours).name == "みどり信販の配信"


def test_a_list_that_arrives_between_reading_and_saving_keeps_its_questions(app, browser_of, ours, monkeypatch):
    with app.app_context():
        draft = factories.campaign(ours.tenant)
    browser = browser_of(ours.clerk)
    revision = _revision(browser, draft)
    locked = lifecycle.questions_locked

    def arrive():
        with app.app_context():
            factories.people(ours.tenant, draft, 1)

    def look_then_arrive(campaign):
        found = locked(campaign)
        with ThreadPoolExecutor(1) as another_worker:
            another_worker.submit(arrive).result()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "questions_locked", look_then_arrive)
        answer = browser.post(f"/admin/campaign/edit/?id={draft}", campaign_form(revision=revision) | no_question(0))
    assert "名簿の取り込みが始まったため" in _words(answer)
    assert [q.label for q in _stored(app, ours).questions] == ["生年月日", "契約番号下4桁"]


def test_the_words_can_change_after_the_list_came(app, browser_of, ours):
    """Sends what a browser would: the fields that the page has, and no others."""
    browser = browser_of(ours.clerk)
    page = browser.get(f"/admin/campaign/edit/?id={ours.campaign}").get_data(as_text=True)
    assert "名簿を取り込んだあとは変えられません" in page
    fields = set(re.findall(r'<(?:input|select|textarea)[^>]*name="([^"]+)"', page))
    before = _stored(app, ours)
    typed = {"revision": str(before.revision), "retry_times": "3", "retry_after_minutes": "60", "profile": "normal"}
    wanted = {name: value for name, value in campaign_form(name="短くしました", **typed).items() if name in fields}
    assert not [name for name in wanted if name.startswith("questions")]
    answer = browser.post(f"/admin/campaign/edit/?id={ours.campaign}", wanted)
    assert answer.status_code == 302, _words(answer)
    after = _stored(app, ours)
    assert after.name == "短くしました"
    assert [q.label for q in after.questions] == [q.label for q in before.questions]


def test_the_list_shows_states_and_counts(browser_of, ours):
    words = re.sub(r"\s+", " ", _words(browser_of(ours.clerk).get("/admin/campaign/")))
    assert "みどり信販の配信 下書き 3" in words


def test_an_empty_list_says_what_to_do(app, browser_of):
    with app.app_context():
        clerk = factories.user(factories.tenant(), "clerk")
    assert "「新しい配信をつくる」から始めてください" in _words(browser_of(clerk).get("/admin/campaign/"))


def test_a_name_in_kana_is_asked_as_set(app, browser_of, ours):
    names = {"questions-0-label": "お名前（カナ）", "questions-0-kind": "text", "questions-0-kana": "kana"}
    saved = browser_of(ours.clerk).post("/admin/campaign/new/", campaign_form(**names) | {"questions-1-kana": "kana"})
    assert saved.status_code == 302
    assert [question.kana for question in _stored(app, ours).questions] == ["kana", "kana"]
    # a kind that has no letters has no such setting
    browser_of(ours.clerk).post("/admin/campaign/new/", campaign_form(**names) | {"questions-0-kind": "date"})
    assert [question.kana for question in _stored(app, ours).questions] == ["as_written", "as_written"]


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ({"questions-1-choices": "はい\r\nハイ", "questions-1-kana": "kana"}, "同じとみなされる選択肢があります"),
        ({"questions-1-choices": "ＡＢ\r\nab"}, "同じとみなされる選択肢があります"),
        ({"questions-1-choices": f"はい\r\n{'い' * 101}"}, "長すぎます"),
        ({"questions-1-kana": "romaji"}, "選択肢から選び直してください"),
    ],
)
def test_choices_that_nobody_could_tell_apart_are_refused(browser_of, ours, typed, advice):
    assert advice in _words(browser_of(ours.clerk).post("/admin/campaign/new/", campaign_form(**typed)))


def test_a_weak_set_is_warned_about_when_it_is_written(browser_of, ours):
    clerk = browser_of(ours.clerk)
    alone = campaign_form(**{"questions-0-label": "契約番号下4桁", "questions-0-kind": "last4"}) | no_question(1)
    saved = clerk.post("/admin/campaign/new/", alone, follow_redirects=True)
    assert "約2,000人に1人の割合でページが開きます" in _words(saved)
    assert "推測されやすい" not in _words(clerk.post("/admin/campaign/new/", campaign_form(), follow_redirects=True))


HARD = "【{会社名}】{髙様}様①～😀 {リンク}"


def test_letters_that_au_lacks_are_shown_with_their_replacement_before_anything_is_saved(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    typed = campaign_form(sms_text=HARD, name="打ちかけの配信名", letters="look")
    page = browser.post("/admin/campaign/new/", typed).get_data(as_text=True)
    told = _words_of(page)
    assert "SMS本文の「①～😀」は、au（KDDI）など携帯会社によっては表示されません" in told
    assert "置き換える前 【{会社名}】{髙様}様①～😀 {リンク}" in told
    assert "置き換えた後 【{会社名}】{髙様}様1〜😀 {リンク}" in told
    assert "「😀」には、近い文字がありません" in told
    assert 'value="打ちかけの配信名"' in page  # nothing that was typed is lost
    assert _stored_names(app, ours) == {"みどり信販の配信"}


def test_letters_are_replaced_on_a_press_and_saved_on_another(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    page = browser.post("/admin/campaign/new/", campaign_form(sms_text=HARD, letters="replace")).get_data(as_text=True)
    assert "まだ保存していません" in page
    area = re.search(r'<textarea[^>]*name="sms_text"[^>]*>\s*(.*?)</textarea>', page, re.DOTALL)
    assert area is not None
    written = unescape(area[1])
    assert written == "【{会社名}】{髙様}様1〜😀 {リンク}"
    assert _stored_names(app, ours) == {"みどり信販の配信"}
    page_text = "{髙様}様\nページの①はそのままです。"
    browser.post("/admin/campaign/new/", campaign_form(sms_text=written, page_text=page_text))
    assert (_stored(app, ours).sms_text, _stored(app, ours).page_text) == (written, page_text)


@pytest.mark.parametrize(
    ("sms_text", "press", "told"),
    [
        ("【{会社名}】お知らせです {リンク}", "look", "表示されない文字はありません"),
        ("【{会社名}】お知らせです {リンク}", "replace", "表示されない文字はありません"),
        ("😀 {リンク}", "replace", "近い文字がありません"),
        ("", "replace", "表示されない文字はありません"),
        ("①" * 5000, "replace", "まだ保存していません"),
        ("①{", "look", "1{"),
        ("① {リンク}", "x" * 5000, "まだ保存していません"),
    ],
)
def test_no_press_about_letters_saves_or_breaks_anything(app, browser_of, ours, sms_text, press, told):
    browser = browser_of(ours.clerk)
    answer = browser.post("/admin/campaign/new/", campaign_form(sms_text=sms_text, letters=press))
    assert answer.status_code == 200
    assert told in _words(answer)
    assert _stored_names(app, ours) == {"みどり信販の配信"}


def test_a_drafts_letters_are_told_where_they_are_mended(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    browser.post("/admin/campaign/new/", campaign_form(sms_text=HARD))
    row = _stored(app, ours)
    assert row.sms_text == HARD
    page = _words(browser.get(f"/admin/campaign/edit/?id={row.id}"))
    assert "置き換えた後" in page
    typed = campaign_form(sms_text=HARD, letters="replace", revision=str(row.revision))
    assert "1〜😀" in _words(browser.post(f"/admin/campaign/edit/?id={row.id}", typed))
    assert _stored(app, ours).sms_text == HARD


def _words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def _stored_names(app, house):
    with app.app_context(), tenancy.tenant(house.tenant):
        return set(db.session.scalars(select(Campaign.name)))
