"""The longest SMS of a list: told without a look at every SMS, and yet right."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.campaigns import preflight
from app.campaigns.rendering import sms_text
from app.campaigns.sms_length import units
from app.extensions import db
from app.intake.checking.checks import CheckedRow
from app.intake.lists import longest_sms
from app.models import Campaign, Recipient
from tests.intake.uploads import counts, upload

TEXT = "{氏名}様へ{会社名}より{ ＩＤ}と{氏名}について {リンク}"
OTHER_WORDS = "至急{会社名}。{氏名}様、{氏名}様。番号{ID}{リンク}"
CELLS = st.text(st.sampled_from("あ a\t\n\r𠮷😀ｶﾞ"), max_size=8)


def _lengths(text: str, rows: Sequence[Mapping[str, str]]) -> list[int]:
    return [units(sms_text(text, "みどり信販", fields, "https://sms.example/abc")) for fields in rows]


@given(st.lists(st.fixed_dictionaries({"氏名": CELLS, "ID": CELLS, "備考": CELLS}), min_size=1, max_size=12))
def test_it_is_the_first_row_of_the_longest_sms_whatever_the_words_around(rows: list[dict[str, str]]) -> None:
    _look(rows, TEXT, OTHER_WORDS)


@given(st.lists(st.fixed_dictionaries({"氏名": CELLS, "ID": CELLS, "備考": CELLS}), min_size=1, max_size=12))
def test_it_is_so_with_short_forms_too(rows: list[dict[str, str]]) -> None:
    for short in ("{氏名|4|お客様}様", "{氏名|1|ご契約者さま}", "{氏名|0|客}{氏名}"):
        _look(rows, short + TEXT, short + OTHER_WORDS)


def _look(rows: list[dict[str, str]], *texts: str) -> None:
    looker = longest_sms.Longest(texts[0], ("氏名", "ID", "備考"))
    for number, fields in enumerate(rows):
        looker.see(CheckedRow(number, "+819012345678", None, None, None, (), fields))
    assert looker._row is not None
    for text in texts:
        lengths = _lengths(text, rows)
        assert looker._row.sheet_row == lengths.index(max(lengths))


LIST = (
    "管理番号,電話番号,氏名,請求金額,支払期限,生年月日,契約番号下4桁\r\n"
    "K1,090-1234-5678,山田 太郎,1000,2026-12-26,1978/09/02,0489\r\n"
    "K2,080-1234-5678,勅使河原 権左衛門,2000,2026-12-26,1978/09/02,0490\r\n"
    "K3,03-1234-5678,この行は取り込まれないので長くてよい,3000,2026-12-26,1978/09/02,0491\r\n"
)


def test_an_import_tells_what_the_check_finds(campaign: Campaign) -> None:
    row = upload(campaign, LIST.encode())
    assert row.longest is not None
    assert (row.longest["sheet_row"], row.longest["merged"]) == (3, {"氏名": 1})
    assert preflight.run(campaign.id).longest_recipient_id == row.longest["recipient_id"]


def test_rows_that_stand_there_count_and_rows_that_contradict_do_not(campaign: Campaign) -> None:
    first = upload(campaign, LIST.encode())
    longer = LIST.replace("山田 太郎", "この内容は先の名簿と食い違うので長くてよい")
    second = upload(campaign, longer.encode())
    assert counts(second) == ("done", 0, 1, 2, 0)
    assert first.longest is not None
    assert second.longest == first.longest
    known = db.session.get_one(Recipient, first.longest["recipient_id"])
    assert (known.import_id, known.reference) == (first.id, "K2")


def test_a_list_of_which_nothing_is_taken_has_none(campaign: Campaign) -> None:
    head, *_, bad = LIST.splitlines(keepends=True)
    assert upload(campaign, (head + bad).encode()).longest is None
