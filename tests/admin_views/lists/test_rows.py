"""名簿の1行ずつ: what was kept out is corrected, what was taken left out and taken back, earlier rows are replaced."""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import audit, config, tenancy
from app.campaigns.rendering import open_fields, open_phone
from app.extensions import db, vault
from app.intake.rows import replacing
from app.models import AuditEntry, Campaign, ExcludedRecipient, Import, ImportFault, Question, Recipient
from jobs.intake import replace_rows
from tests import factories
from tests.admin_views.conftest import Browser, House, acts, plain
from tests.admin_views.uploads import BAD, GOOD, HEAD, imported, one, people_of, take, upload

# the sheet's columns: 管理番号, 電話番号, 氏名, 生年月日, 契約番号下4桁
RIGHT = {"cell_0": "K3", "cell_1": "070-1234-5678", "cell_2": "高橋 次郎", "cell_3": "1980/1/2", "cell_4": "0789"}


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問のご案内")


def listed(app: Flask, clerk: Browser, ours: House, campaign: int, content: str) -> tuple[str, str]:
    """Take a list in; return its address and its result's page."""
    url = upload(clerk, campaign, content).location
    return url, take(app, clerk, ours.tenant, url)


def people(app: Flask, ours: House, campaign: int) -> dict[str, dict[str, Any]]:
    """Return what is known of each person, by reference."""
    with app.app_context(), tenancy.tenant(ours.tenant):
        questions = db.session.scalars(
            select(Question.id).where(Question.campaign_id == campaign).order_by(Question.position)
        ).all()
        rows = db.session.scalars(select(Recipient).where(Recipient.campaign_id == campaign)).all()
        return {
            row.reference: {
                "id": row.id,
                "phone": open_phone(ours.tenant, row.id, row.phone_sealed),
                "name": open_fields(ours.tenant, row.id, row.fields_sealed)["氏名"],
                "row": row.sheet_row,
                "answers": list(row.answer_digests),
                "born": row.answer_digests[0] == vault.answer_digest(ours.tenant, row.id, questions[0], "1980-01-02"),
                "token": row.token_digest == vault.token_digest(vault.link_token(row.id, 1, row.link_secret)),
            }
            for row in rows
        }


def counts(app: Flask, ours: House, url: str) -> tuple[int, int, int, int]:
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Import, int(url.rstrip("/").rsplit("/", 1)[1]))
        return row.rows_read, row.rows_added, row.rows_rejected, row.rows_known


def revision(app: Flask, ours: House, campaign: int) -> int:
    with app.app_context(), tenancy.tenant(ours.tenant):
        return db.session.get_one(Campaign, campaign).revision


def said(browser: Browser, url: str, data: dict[str, str] | None = None) -> str:
    """Press a button; return what the page says that it leads to."""
    return plain(browser.post(url, data, follow_redirects=True).get_data(as_text=True))


# --- a row that was kept out ---


def test_a_row_that_was_kept_out_is_corrected_on_the_screen(app, clerk, ours, campaign, ask):
    url, page = listed(app, clerk, ours, campaign, HEAD + GOOD + BAD)
    assert f'href="{url}row/4"' in page
    form = clerk.get(f"{url}row/4").get_data(as_text=True)
    for name, value in {**RIGHT, "cell_1": "03-1234-5678"}.items():
        assert re.search(f'value="{value}" id="{name}"', form), name
    assert "固定電話" in form
    before = revision(app, ours, campaign)
    after = said(clerk, f"{url}row/4", RIGHT)
    assert "4行目を直して、送信先に加えました" in after
    assert "この行を直す" not in after
    person = people(app, ours, campaign)["K3"]
    assert (person["phone"], person["name"], person["row"]) == ("+817012345678", "高橋 次郎", 4)
    assert person["born"]
    assert person["token"]
    assert counts(app, ours, url) == (3, 3, 0, 0)
    assert ask(select(ImportFault.id)) == []
    assert revision(app, ours, campaign) > before
    import_id = url.rstrip("/").rsplit("/", 1)[1]
    assert ("correct_row", f"user:{ours.clerk}", f"import:{import_id}") in acts(app, ours)
    # the whole list once more: the corrected row contradicts its faulty twin no more than it must
    again = imported(app, ours, clerk, campaign, HEAD + GOOD + BAD.replace("03-", "070-"))
    assert "<strong>3行</strong>はすでに取り込み済み" in again


def test_a_second_press_adds_nobody_and_says_so(app, clerk, ours, campaign, ask):
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD + BAD)
    said(clerk, f"{url}row/4", RIGHT)
    assert "すでに直して加えてある" in said(clerk, f"{url}row/4", {**RIGHT, "cell_0": "K4"})
    assert "すでに直して加えてある" in said(clerk, f"{url}row/2", RIGHT)
    assert ask(people_of(campaign)) == [(3,)]
    assert counts(app, ours, url) == (3, 3, 0, 0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cell_1": "03-1234-5678"}, "電話番号：固定電話の番号です"),
        ({"cell_3": "2099/1/2"}, "生年月日：これから先の日付"),
        ({"cell_4": ""}, "契約番号下4桁："),
        ({"cell_2": "4111 1111 1111 1111"}, "氏名：クレジットカード番号"),
        ({"cell_0": "K1"}, "管理番号：この番号の送信先は、別の内容ですでに取り込まれています"),
        ({"cell_0": ""}, "管理番号：番号が空です"),
        (dict.fromkeys(RIGHT, ""), "送信先の情報を入力してください"),
    ],
)
def test_what_is_typed_wrong_is_told_at_its_field_and_the_row_stays(app, clerk, ours, campaign, ask, changed, told):
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD + BAD)
    answer = clerk.post(f"{url}row/4", {**RIGHT, **changed})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert told in page
    if changed.get("cell_2") is None:
        assert 'value="高橋 次郎"' in page
    assert ask(people_of(campaign)) == [(2,)]
    assert counts(app, ours, url) == (3, 2, 1, 0)
    assert "固定電話" in clerk.get(f"{url}row/4").get_data(as_text=True)


def test_cells_beyond_the_headline_and_line_breaks_are_shown(app, clerk, ours, campaign):
    wide = "K3,090-1111-2222,高橋,次郎,1980/1/2,0789\r\n"
    broken = 'K4,03-1234-5678,"高橋\n次郎",1980/1/2,0789\r\n'
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD + wide + broken)
    page = clerk.get(f"{url}row/4").get_data(as_text=True)
    assert "余ったセル：「0789」" in page
    second = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", clerk.get(f"{url}row/5").get_data(as_text=True), re.DOTALL)
    assert second
    assert second[1] == "高橋\n次郎"


def test_a_list_whose_questions_changed_is_not_corrected_row_by_row(app, clerk, ours, campaign, change, ask):
    url, _ = listed(app, clerk, ours, campaign, HEAD + BAD)
    change("UPDATE question SET label = '郵便番号' WHERE campaign_id = :id AND label = '生年月日'", id=campaign)
    assert "設問が変わった" in said(clerk, f"{url}row/2", RIGHT)
    assert "設問が変わった" in plain(clerk.get(f"{url}row/2", follow_redirects=True).get_data(as_text=True))
    assert ask(people_of(campaign)) == [(0,)]


# --- left out, and taken back ---

TWICE = GOOD + "K3,090-1234-5678,高橋 次郎,1980/1/2,0789\r\n"


def excluded_id(ask: Any) -> int:
    return int(ask(select(ExcludedRecipient.id).order_by(ExcludedRecipient.id))[0][0])


def test_a_row_is_left_out_and_taken_back_as_it_was(app, clerk, ours, campaign, ask):
    url, page = listed(app, clerk, ours, campaign, HEAD + TWICE)
    whole = ask(select(Recipient.__table__).where(Recipient.reference == "K3"))
    before = revision(app, ours, campaign)
    person = people(app, ours, campaign)["K3"]["id"]
    assert f'action="/admin/campaign/{campaign}/exclude/{person}"' in page
    out = said(clerk, f"/admin/campaign/{campaign}/exclude/{person}", {"import_id": url.split("/")[-2]})
    assert "対象外にしました" in out
    assert "K3（4行目）" in out
    assert sorted(people(app, ours, campaign)) == ["K1", "K2"]
    assert revision(app, ours, campaign) > before
    assert "すでに対象外" in said(clerk, f"/admin/campaign/{campaign}/exclude/{person}")
    assert "K3（4行目）" in plain(clerk.get(f"/admin/campaign/{campaign}/list/").get_data(as_text=True))
    number = excluded_id(ask)
    assert "送信先に戻しました" in said(clerk, f"/admin/campaign/{campaign}/include/{number}")
    made = [column.name for column in Recipient.__table__.columns].index("created_at")
    back = ask(select(Recipient.__table__).where(Recipient.reference == "K3"))
    assert [row[:made] + row[made + 1 :] for row in back] == [row[:made] + row[made + 1 :] for row in whole]
    assert "すでに戻してある" in said(clerk, f"/admin/campaign/{campaign}/include/{number}")
    import_id = url.rstrip("/").rsplit("/", 1)[1]
    done = [entry for entry in acts(app, ours) if entry[0] in {"exclude_recipient", "include_recipient"}]
    assert done == [
        ("exclude_recipient", f"user:{ours.clerk}", f"import:{import_id}"),
        ("include_recipient", f"user:{ours.clerk}", f"import:{import_id}"),
    ]
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert audit.verify(db.session, ours.tenant) is None


def test_the_same_list_again_does_not_bring_back_who_was_left_out(app, clerk, ours, campaign, ask):
    listed(app, clerk, ours, campaign, HEAD + TWICE)
    person = people(app, ours, campaign)["K3"]["id"]
    said(clerk, f"/admin/campaign/{campaign}/exclude/{person}")
    url, page = listed(app, clerk, ours, campaign, HEAD + TWICE + BAD.replace("K3", "K4"))
    assert "前に対象外にしたか、置き換えた送信先の行なので、加えていません" in page
    assert sorted(people(app, ours, campaign)) == ["K1", "K2"]
    assert counts(app, ours, url) == (4, 0, 1, 2)
    one = clerk.post(f"/admin/campaign/{campaign}/list/one", RIGHT)
    assert one.status_code == 422
    assert "前に対象外にした" in one.get_data(as_text=True)
    corrected = clerk.post(f"{url}row/5", RIGHT)
    assert corrected.status_code == 422
    assert "前に対象外にした" in corrected.get_data(as_text=True)
    said(clerk, f"/admin/campaign/{campaign}/include/{excluded_id(ask)}")
    assert sorted(people(app, ours, campaign)) == ["K1", "K2", "K3"]


def test_who_is_left_out_gets_nothing_and_keeps_the_questions_as_they_are(app, clerk, ours, campaign, ask):
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD.splitlines()[0] + "\r\n")
    person = people(app, ours, campaign)["K1"]["id"]
    said(clerk, f"/admin/campaign/{campaign}/exclude/{person}")
    page = clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True)
    assert "確認する送信先がまだありません" in page
    form = clerk.get(f"/admin/campaign/edit/?id={campaign}").get_data(as_text=True)
    assert 'name="questions-0-label"' not in form
    # a list that is taken back takes them along
    said(clerk, f"{url}discard")
    assert ask(select(ExcludedRecipient.id)) == []


# --- earlier rows replaced ---

NEWER = "K1,090-9999-0001,佐藤 はな,1980/1/2,0123\r\n"


def test_a_corrected_list_takes_the_place_of_the_rows_with_the_same_number(app, clerk, ours, campaign, ask):
    listed(app, clerk, ours, campaign, HEAD + GOOD)
    url, page = listed(app, clerk, ours, campaign, HEAD + NEWER)
    assert "<strong>1行</strong>は、前に取り込んだ送信先と同じ番号で、内容が違います" in page
    assert people(app, ours, campaign)["K1"]["name"] == "佐藤 花子"
    question = plain(clerk.get(f"{url}replace/reference").get_data(as_text=True))
    assert "前の送信先をやめて、この名簿の内容で送ります" in question
    assert people(app, ours, campaign)["K1"]["name"] == "佐藤 花子"
    before = revision(app, ours, campaign)
    done = said(clerk, f"{url}replace/reference")
    assert "1件を置き換えました" in done
    person = people(app, ours, campaign)["K1"]
    assert (person["name"], person["phone"], person["born"], person["token"]) == (
        "佐藤 はな", "+819099990001", True, True,
    )  # fmt: skip
    assert ask(people_of(campaign)) == [(2,)]
    assert revision(app, ours, campaign) > before
    assert counts(app, ours, url) == (1, 1, 0, 0)
    recorded = select(AuditEntry.detail).where(AuditEntry.act == "replace_rows")
    assert ask(recorded) == [({"rows": 1},)]
    assert "置き換える行はありませんでした" in said(clerk, f"{url}replace/reference")
    # the earlier one comes back by hand alone, and never beside the later
    assert "戻せません" in said(clerk, f"/admin/campaign/{campaign}/include/{excluded_id(ask)}")
    again = imported(app, ours, clerk, campaign, HEAD + NEWER)
    assert "<strong>1行</strong>はすでに取り込み済み" in again
    old = imported(app, ours, clerk, campaign, HEAD + GOOD)
    assert "別の内容ですでに取り込まれています" in old
    assert "対象外のままです" in plain(clerk.get(f"{url}discard").get_data(as_text=True))
    said(clerk, f"{url}discard")
    assert "送信先に戻しました" in said(clerk, f"/admin/campaign/{campaign}/include/{excluded_id(ask)}")
    assert people(app, ours, campaign)["K1"]["name"] == "佐藤 花子"


def test_a_list_with_the_same_phone_numbers_can_take_the_place_of_the_earlier_rows(app, clerk, ours, campaign, ask):
    _, first = listed(app, clerk, ours, campaign, HEAD + TWICE)
    assert "同じ電話番号の前の行と置き換える" not in first
    url, page = listed(app, clerk, ours, campaign, HEAD + "N1,090-1234-5678,佐藤 花子,1980/1/2,0123\r\n")
    assert "前に取り込んだ送信先の<strong>2件</strong>と同じ電話番号の行があります" in page
    assert ask(people_of(campaign)) == [(4,)]
    assert "2件を置き換えました" in said(clerk, f"{url}replace/number")
    assert sorted(people(app, ours, campaign)) == ["K2", "N1"]
    assert "同じ電話番号の前の行と置き換える" not in clerk.get(url).get_data(as_text=True)
    said(clerk, f"/admin/campaign/{campaign}/include/{excluded_id(ask)}")
    assert ask(people_of(campaign)) == [(3,)]


def test_a_row_left_out_by_hand_is_nobody_of_before_any_more(app, clerk, ours, campaign):
    listed(app, clerk, ours, campaign, HEAD + GOOD)
    url, page = listed(app, clerk, ours, campaign, HEAD + "N1,090-1234-5678,佐藤 花子,1980/1/2,0123\r\n")
    assert "<strong>1件</strong>と同じ電話番号の行があります" in page
    said(clerk, f"/admin/campaign/{campaign}/exclude/{people(app, ours, campaign)['K1']['id']}")
    assert "と同じ電話番号の行があります" not in clerk.get(url).get_data(as_text=True)


def test_one_row_takes_the_place_of_another_by_itself(app, clerk, ours, campaign, ask):
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD + BAD)
    refused = clerk.post(f"{url}row/4", {**RIGHT, "cell_0": "K1"}).get_data(as_text=True)
    assert 'name="replace"' in refused
    assert "加えました" in said(clerk, f"{url}row/4", {**RIGHT, "cell_0": "K1", "replace": "1"})
    assert people(app, ours, campaign)["K1"]["name"] == "高橋 次郎"
    typed = f"/admin/campaign/{campaign}/list/one"
    cells = {**RIGHT, "cell_0": "K2", "cell_2": "鈴木 次郎"}
    assert 'name="replace"' in clerk.post(typed, cells).get_data(as_text=True)
    assert "送信先を1件加えました" in said(clerk, typed, {**cells, "replace": "1"})
    assert people(app, ours, campaign)["K2"]["name"] == "鈴木 次郎"
    assert ask(people_of(campaign)) == [(2,)]
    assert len(ask(select(ExcludedRecipient.id))) == 2


def test_a_large_list_is_replaced_by_a_worker(app, clerk, ours, campaign, ask):
    config.install(replace(config.settings(), at_once_people=1))
    listed(app, clerk, ours, campaign, HEAD + GOOD)
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD.replace("子", "代").replace("一郎", "二郎"))
    assert "置き換えを始めました" in said(clerk, f"{url}replace/reference")
    assert people(app, ours, campaign)["K1"]["name"] == "佐藤 花子"
    with app.app_context():
        replace_rows(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]), ours.clerk, 0)
    assert {person["name"] for person in people(app, ours, campaign).values()} == {"佐藤 花代", "鈴木 二郎"}
    assert ask(people_of(campaign)) == [(2,)]


def test_rows_take_others_places_batch_by_batch(app, clerk, ours, campaign, ask):
    listed(app, clerk, ours, campaign, HEAD + GOOD)
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD.replace("子", "代").replace("一郎", "二郎"))
    import_id = int(url.rstrip("/").rsplit("/", 1)[1])
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert replacing.replace(import_id, replacing.By.REFERENCE, user_id=ours.clerk, batch_rows=1) == 2
    assert {person["name"] for person in people(app, ours, campaign).values()} == {"佐藤 花代", "鈴木 二郎"}
    assert ask(people_of(campaign)) == [(2,)]


# --- the walls ---


def test_after_the_launch_no_row_changes(app, clerk, ours, campaign, ask):
    url, _ = listed(app, clerk, ours, campaign, HEAD + TWICE + BAD.replace("K3", "K4"))
    later, _ = listed(app, clerk, ours, campaign, HEAD + NEWER + "N1,080-1234-5678,鈴木,1980/1/2,0456\r\n")
    standing = people(app, ours, campaign)
    said(clerk, f"/admin/campaign/{campaign}/exclude/{standing['K3']['id']}")
    with app.app_context():
        factories.launch(ours.tenant, campaign)
    before = people(app, ours, campaign)
    for page in (url, later):
        seen = clerk.get(page).get_data(as_text=True)
        assert "この行を直す" not in seen
        assert "前の行と置き換える" not in seen
        assert "/exclude/" not in seen
        assert "/include/" not in seen
    number = excluded_id(ask)
    for address in (
        f"{url}row/5",
        f"{later}replace/reference",
        f"{later}replace/number",
        f"/admin/campaign/{campaign}/exclude/{standing['K1']['id']}",
        f"/admin/campaign/{campaign}/include/{number}",
    ):
        assert "送信を開始した配信の内容と名簿は変えられません" in said(clerk, address, RIGHT), address
    assert people(app, ours, campaign) == before
    assert ask(select(ExcludedRecipient.id)) == [(number,)]


def test_rows_of_another_company_or_campaign_are_out_of_reach(app, clerk, ours, theirs, browser_of, campaign, ask):
    stranger = browser_of(theirs.clerk)
    url, _ = listed(app, clerk, ours, campaign, HEAD + TWICE + BAD.replace("K3", "K4"))
    person = people(app, ours, campaign)["K3"]["id"]
    said(clerk, f"/admin/campaign/{campaign}/exclude/{person}")
    number, import_id = excluded_id(ask), url.rstrip("/").rsplit("/", 1)[1]
    standing = people(app, ours, campaign)
    for address in (f"{url}row/5", f"{url}replace/number", f"/admin/campaign/{campaign}/include/{number}"):
        assert stranger.post(address, RIGHT).status_code == 404, address
    # through a campaign of their own
    for name in (f"exclude/{standing['K1']['id']}", f"include/{number}"):
        assert "すでに" in said(stranger, f"/admin/campaign/{theirs.campaign}/{name}")
    assert stranger.get(f"/admin/campaign/{theirs.campaign}/list/{import_id}/row/5").status_code == 404
    # through another campaign of the same company
    assert "すでに対象外" in said(clerk, f"/admin/campaign/{ours.campaign}/exclude/{standing['K1']['id']}")
    assert "すでに戻して" in said(clerk, f"/admin/campaign/{ours.campaign}/include/{number}")
    assert people(app, ours, campaign) == standing
    with app.app_context(), tenancy.tenant(theirs.tenant):
        assert db.session.scalars(select(ExcludedRecipient.id)).all() == []


def test_nothing_readable_is_kept_of_who_is_left_out(app, clerk, ours, campaign, database):
    listed(app, clerk, ours, campaign, HEAD + TWICE)
    person = people(app, ours, campaign)["K3"]["id"]
    said(clerk, f"/admin/campaign/{campaign}/exclude/{person}")
    kept = database.execute("SELECT recipient::text FROM excluded_recipient").fetchone()[0]
    for word in ("高橋", "9012345678", "90-1234", "0789", "1980", "高橋 次郎".encode().hex(), b"9012345678".hex()):
        assert word not in kept


# --- a row that was taken is corrected ---


def named(page: str, campaign: int) -> str:
    """Return the address of the first row that can be corrected on a page."""
    return one(rf'href="(/admin/campaign/{campaign}/row/\d+\?[^"]*)"', page).replace("&amp;", "&")


LONG = "あ" * 70


def test_whose_sms_is_too_long_is_named_on_the_check_and_corrected_there(app, clerk, ours, campaign, ask):
    url, _ = listed(app, clerk, ours, campaign, HEAD + GOOD.replace("佐藤 花子", LONG))
    clerk.post(f"/admin/campaign/{campaign}/check/")
    page = clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True)
    assert re.search(r'<th scope="row">K1（2行目）</th><td>SMSが\d+文字です。70文字までにしてください。</td>', page)
    before = people(app, ours, campaign)["K1"]
    address = named(page, campaign)
    form = clerk.get(address).get_data(as_text=True)
    assert f'value="{LONG}"' in form
    assert re.findall(r'value="([^"]*)" id="cell_', form) == ["K1", "", LONG, "", ""]
    answer = clerk.post(
        address, {"cell_0": "K1", "cell_2": "佐藤 花", **dict.fromkeys(("cell_1", "cell_3", "cell_4"), "")}
    )
    assert (answer.status_code, answer.location) == (303, f"/admin/campaign/{campaign}/check/")
    after = people(app, ours, campaign)["K1"]
    assert after == {**before, "name": "佐藤 花"}
    assert "もう一度" in plain(clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True))
    clerk.post(f"/admin/campaign/{campaign}/check/")
    assert "見つかった送信先" not in clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True)
    seen = clerk.get(f"/admin/campaign/{campaign}/check/?row=K2").get_data(as_text=True)
    assert f"/exclude/{people(app, ours, campaign)['K2']['id']}" in seen
    import_id = url.rstrip("/").rsplit("/", 1)[1]
    assert ("amend_recipient", f"user:{ours.clerk}", f"import:{import_id}") in acts(app, ours)
    # the list as it was says otherwise: told, and nobody twice
    again = imported(app, ours, clerk, campaign, HEAD + GOOD.replace("佐藤 花子", LONG))
    assert "別の内容ですでに取り込まれています" in again
    assert ask(people_of(campaign)) == [(2,)]


def test_two_rows_with_one_number_are_named_on_the_check_and_one_left_out_there(app, clerk, ours, campaign):
    listed(app, clerk, ours, campaign, HEAD + TWICE)
    address = f"/admin/campaign/{campaign}/check/"
    clerk.post(address)
    page = clerk.get(address).get_data(as_text=True)
    assert re.findall(r'<th scope="row">(.*?)</th><td>この名簿のほかの行と同じ電話番号です。</td>', page) == [
        "K1（2行目）", "K3（4行目）",
    ]  # fmt: skip
    person = people(app, ours, campaign)["K3"]["id"]
    answer = clerk.post(f"/admin/campaign/{campaign}/exclude/{person}", {"back": "check"})
    assert (answer.status_code, answer.location) == (303, address)
    after = plain(clerk.get(address).get_data(as_text=True))
    assert "対象外にした送信先" in after
    clerk.post(address)
    assert "この名簿のほかの行と同じ電話番号" not in clerk.get(address).get_data(as_text=True)
    assert sorted(people(app, ours, campaign)) == ["K1", "K2"]


def test_number_and_answers_change_only_where_they_are_typed(app, clerk, ours, campaign):
    _, page = listed(app, clerk, ours, campaign, HEAD + TWICE)
    address = named(page, campaign)
    before = people(app, ours, campaign)["K3"]
    kept = {"cell_0": "K3", "cell_2": "高橋 次郎", "cell_1": "", "cell_3": "", "cell_4": ""}
    told = said(clerk, address, {**kept, "cell_1": "080-1234-5678"})
    assert "送信先を直しました" in told
    assert "同じ電話番号の送信先が、すでにこの配信にあります" in told
    changed = people(app, ours, campaign)["K3"]
    assert changed == {**before, "phone": "+818012345678"}
    assert "送信先を直しました" in said(clerk, address, {**kept, "cell_3": "昭和56年1月2日", "cell_0": "K9"})
    (person,) = [found for reference, found in people(app, ours, campaign).items() if reference == "K9"]
    assert person["born"] is False
    assert person["answers"][1] == before["answers"][1]
    # the person found by K3 is K9 now, to lists too
    again = imported(app, ours, clerk, campaign, HEAD + TWICE.splitlines()[2].replace("K3", "K9") + "\r\n")
    assert "別の内容ですでに取り込まれています" in again


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"cell_1": "03-1234-5678"}, "電話番号：固定電話の番号です"),
        ({"cell_0": "K1"}, "管理番号：この番号の送信先は、すでにこの配信にあります"),
        ({"cell_0": ""}, "管理番号：番号が空です"),
        ({"cell_3": "2099/1/2"}, "生年月日：これから先の日付"),
        ({"cell_4": "12"}, "契約番号下4桁："),
        ({"cell_2": "4111 1111 1111 1111"}, "氏名：クレジットカード番号"),
    ],
)
def test_a_row_that_was_taken_passes_the_same_checks_once_more(app, clerk, ours, campaign, typed, told):
    _, page = listed(app, clerk, ours, campaign, HEAD + TWICE)
    before = people(app, ours, campaign)
    answer = clerk.post(named(page, campaign), {"cell_0": "K3", "cell_2": "高橋", **typed})
    assert answer.status_code == 422
    assert told in answer.get_data(as_text=True)
    assert people(app, ours, campaign) == before


def test_a_row_that_was_taken_is_out_of_reach_after_the_launch_and_for_others(
    app, clerk, ours, theirs, browser_of, campaign
):
    _, page = listed(app, clerk, ours, campaign, HEAD + TWICE)
    address, before = named(page, campaign), people(app, ours, campaign)
    typed = {"cell_0": "K3", "cell_2": "別人"}
    stranger = browser_of(theirs.clerk)
    assert stranger.get(address).status_code == 404
    assert stranger.post(address, typed).status_code == 404
    for campaign_id, browser in ((theirs.campaign, stranger), (ours.campaign, clerk)):
        elsewhere = address.replace(f"/campaign/{campaign}/", f"/campaign/{campaign_id}/").partition("?")[0]
        assert "画面を開き直して" in said(browser, elsewhere, typed)
    with app.app_context():
        factories.launch(ours.tenant, campaign)
    assert "送信を開始した配信の内容と名簿は変えられません" in said(clerk, address, typed)
    assert people(app, ours, campaign) == before


def test_texts_that_merge_another_column_since_are_told(app, clerk, ours, campaign, change):
    _, page = listed(app, clerk, ours, campaign, HEAD + TWICE)
    change("UPDATE campaign SET page_text = page_text || '{生年月日}' WHERE id = :id", id=campaign)
    before = people(app, ours, campaign)
    assert "差込項目が変わった" in said(clerk, named(page, campaign), {"cell_0": "K3", "cell_2": "別人"})
    assert people(app, ours, campaign) == before
