"""送信しない番号 on screen: put on the list, found by typing, changed, ended; a person's number in two presses."""

import io

import pytest
from flask import Flask

from app import tenancy
from app.extensions import db
from app.models import Suppression, SuppressionProposal
from app.suppression import proposals
from app.values.suppression_reasons import SuppressionReason
from tests.admin_views.conftest import Browser, House, acts, only, plain, words

NEW = "/admin/suppression/new/"
TYPED = {"phone": "090-1234-5678", "reason": "lawyer", "until": "2099/3/31", "note": "受任通知あり"}


def put(clerk: Browser, **changed: str) -> str:
    return plain(clerk.post(NEW, TYPED | changed, follow_redirects=True).get_data(as_text=True))


def propose(app: Flask, house: House, *places: int) -> None:
    with app.app_context(), tenancy.tenant(house.tenant):
        for place in places:
            proposals.propose(db.session, house.people[place].id, SuppressionReason.WRONG_NUMBER)
        db.session.commit()


def test_a_clerk_puts_a_number_on_the_list_and_finds_it_by_typing(app: Flask, clerk: Browser, ours: House) -> None:
    assert "どの配信からも送りません" in put(clerk)
    entry = only(app, Suppression)
    assert (entry.reason, entry.added_by) == ("lawyer", f"user:{ours.clerk}")
    listed = words(clerk, "/admin/suppression/")
    assert "弁護士介入" in listed
    assert "受任通知あり" in listed
    assert "2099/03/31" in listed
    assert "1234" not in listed
    assert f"登録{entry.id}" in words(clerk, "/admin/suppression/?search=09012345678")
    assert "登録されていません" in words(clerk, "/admin/suppression/?search=09087654321")
    assert "電話番号の桁が足りません" in words(clerk, "/admin/suppression/?search=0901234")
    assert [act for act, _, _ in acts(app, ours)] == ["add_suppression"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"phone": "03-1234-5678"}, "固定電話の番号です"),
        ({"phone": ""}, "電話番号を入力してください"),
        ({"reason": ""}, "理由を選んでください"),
        ({"until": "2020/1/1"}, "期限が過去の日付です"),
        ({"until": "来年"}, "日付として読めません。2027年3月31日、2027/3/31、令和9年3月31日のように"),
        ({"until": "27/3/31"}, "(例: 2027年、令和9年)"),
        ({"phone": "090-1234-56789"}, "11桁の番号を1つだけ入力してください"),
        ({"phone": "本人の携帯"}, "番号を1つだけ、数字で入力してください"),
        ({"note": "090-1234-5678 の件"}, "番号は残さない決まりです"),
    ],
)
def test_what_cannot_be_says_what_to_do_and_keeps_what_was_typed(
    app: Flask, clerk: Browser, ours: House, changed: dict[str, str], said: str
) -> None:
    page = clerk.post(NEW, TYPED | changed).get_data(as_text=True)
    assert said in plain(page)
    assert "セル" not in page
    assert "1956" not in page
    assert ("受任通知あり" in page) == ("note" not in changed)
    with app.app_context(), tenancy.platform():
        assert db.session.query(Suppression).count() == 0


def test_a_number_that_is_there_already_is_told(clerk: Browser) -> None:
    put(clerk)
    assert "すでに登録されています（弁護士介入）" in put(clerk, reason="wish")


def test_terms_are_changed_and_the_entry_ended(app: Flask, clerk: Browser, ours: House) -> None:
    put(clerk)
    one = f"/admin/suppression/{only(app, Suppression).id}/"
    assert 'value="2099/03/31"' in clerk.get(one).get_data(as_text=True)
    clerk.post(one, {"act": "change", "reason": "contract_ended", "until": "", "note": ""})
    entry = only(app, Suppression)
    assert (entry.reason, entry.until, entry.note_sealed) == ("contract_ended", None, None)
    assert clerk.post(one, {"act": "change", "reason": "", "until": "", "note": ""}).status_code == 422
    assert clerk.post(one, {"act": "zz", "reason": "wish", "until": "", "note": ""}).status_code == 422
    assert only(app, Suppression).reason == "contract_ended"
    clerk.post(one, {"act": "end"})
    assert only(app, Suppression).until is not None
    assert "この登録は終わっています" in words(clerk, one)
    late = clerk.post(one, {"act": "end"})
    assert (late.status_code, "すでに終わっています" in late.get_data(as_text=True)) == (422, True)
    assert [act for act, _, _ in acts(app, ours)] == ["add_suppression", "change_suppression", "end_suppression"]


def test_a_persons_number_goes_onto_the_list_in_two_presses(app: Flask, clerk: Browser, ours: House) -> None:
    person = ours.people[0]
    page = clerk.get(f"/admin/recipient/details/?id={person.id}").get_data(as_text=True)
    way = f"/admin/suppression/person/{person.id}/"
    assert f'href="{way}"' in page
    assert f"****-{person.phone[-4:]}" in words(clerk, way)
    assert clerk.post(way, {"reason": ""}).status_code == 422
    said = clerk.post(way, {"reason": "wish"}, follow_redirects=True).get_data(as_text=True)
    assert "登録されています（この番号へは送りません）" in said
    assert f'href="{way}"' not in said
    assert only(app, Suppression).reason == "wish"
    assert "すでに登録されています" in plain(clerk.post(way, {"reason": "wish"}).get_data(as_text=True))


def test_a_proposal_waits_at_home_until_a_clerk_confirms_or_dismisses_it(
    app: Flask, clerk: Browser, ours: House
) -> None:
    propose(app, ours, 0, 1, 1)
    assert "候補が2件あります" in words(clerk, "/admin/")
    page = "/admin/suppression/proposals/"
    shown = words(clerk, page)
    assert ours.people[0].reference in shown
    assert "心当たりがない" in shown
    with app.app_context(), tenancy.tenant(ours.tenant):
        first, second = [row.id for row in db.session.query(SuppressionProposal).order_by(SuppressionProposal.id)]
    assert "1件以上選んでください" in plain(
        clerk.post(page, {"act": "confirm"}, follow_redirects=True).get_data(as_text=True)
    )
    unknown = clerk.post(page, {"act": "zz", "proposal": str(first)}, follow_redirects=True)
    assert "何も記録していません" in plain(unknown.get_data(as_text=True))
    assert only(app, SuppressionProposal, id=first).settled_at is None, "no button of ours: no decision"
    clerk.post(page, {"act": "confirm", "proposal": str(first)})
    clerk.post(page, {"act": "dismiss", "proposal": [str(second), str(first), "9" * 18, "x"]})
    entry = only(app, Suppression)
    assert (entry.reason, entry.added_by) == ("wrong_number", f"user:{ours.clerk}")
    assert only(app, SuppressionProposal, id=first).verdict == "confirmed"
    assert only(app, SuppressionProposal, id=second).verdict == "dismissed"
    assert "候補が" not in words(clerk, "/admin/")
    assert [act for act, _, _ in acts(app, ours)] == ["add_suppression", "dismiss_suppression"]


def test_another_companys_entries_people_and_proposals_are_out_of_reach(
    app: Flask, clerk: Browser, ours: House, theirs: House, browser_of
) -> None:
    propose(app, theirs, 0)
    put(browser_of(theirs.clerk))
    entry = only(app, Suppression)
    proposal = only(app, SuppressionProposal)
    assert f"登録{entry.id}" not in words(clerk, "/admin/suppression/?search=09012345678")
    assert clerk.get(f"/admin/suppression/{entry.id}/").status_code == 404
    assert clerk.post(f"/admin/suppression/{entry.id}/", {"act": "end"}).status_code == 404
    assert clerk.get(f"/admin/suppression/person/{theirs.people[0].id}/").status_code == 404
    clerk.post("/admin/suppression/proposals/", {"act": "confirm", "proposal": str(proposal.id)})
    assert only(app, SuppressionProposal).verdict == ""
    assert only(app, Suppression).until is not None  # their own term, untouched


FILES = "/admin/suppression-files/"


def upload(clerk: Browser, content: str, name: str = "停止.csv") -> str:
    file = (io.BytesIO(content.encode()), name)
    return plain(clerk.post(FILES, {"file": file, "reason": "wish", "until": "", "note": ""}).get_data(as_text=True))


def test_a_file_is_taken_and_each_bad_row_told(app: Flask, clerk: Browser, ours: House) -> None:
    said = upload(clerk, "電話番号,住所\n09012345678,東京\n0312345678,大阪\n")
    assert "1件の番号を「送信しない番号」に登録しました" in said
    assert "3行目" in said
    assert "固定電話の番号です" in said
    assert "次の列は読んでいません：住所" in said
    assert [act for act, _, _ in acts(app, ours)] == ["import_suppressions"]
    assert "1件も登録していません" in upload(clerk, "氏名,住所\n佐藤,東京\n")
    assert "ファイルが選ばれていません" in plain(clerk.post(FILES, {"reason": "wish"}).get_data(as_text=True))


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_list_goes_out_without_numbers_and_on_record(app: Flask, clerk: Browser, ours: House, form: str) -> None:
    put(clerk)
    answer = clerk.post(f"{FILES}export", {"form": form})
    assert (answer.status_code, form in answer.headers["Content-Disposition"]) == (200, True)
    assert b"5678" not in answer.data
    assert acts(app, ours)[-1][0] == "export_suppressions"
    assert clerk.post(f"{FILES}export", {"form": "exe"}).status_code == 404
