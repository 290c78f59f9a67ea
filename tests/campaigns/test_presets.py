"""Each preset can be sent as it stands."""

import pytest

from app.campaigns import template
from app.campaigns.presets import STARTERS
from app.campaigns.sms_length import LIMIT, hard_to_show, units
from app.intake.columns.mapping import Question, propose

LINK = "https://sms.example.jp/" + "a" * 16


@pytest.mark.parametrize("starter", STARTERS.values(), ids=STARTERS)
class TestStarter:
    def test_its_sms_is_one_sms_with_usual_names(self, starter):
        values = {"会社名": "みどり損害保険", "氏名": "勅使河原 佐知子", "リンク": LINK}
        assert template.problems(starter.sms_text, needs_link=True) == []
        assert units(template.render(starter.sms_text, values)) <= LIMIT
        assert not hard_to_show(starter.sms_text)

    def test_its_sms_tells_nothing_but_that_there_is_something(self, starter):
        assert set(template.fields_in(starter.sms_text)) == {"会社名", "氏名", "リンク"}
        assert not any(word in starter.sms_text for word in ("円", "支払", "未納", "督促", "保険料"))

    def test_a_list_with_its_columns_is_understood_without_a_hand(self, starter):
        header = ["管理番号", "携帯電話番号", *starter.columns()]
        questions = [Question(ask.label, ask.kind, ask.column or None) for ask in starter.questions]
        mapping = propose(header, questions, payment_required=starter.payment_required)
        merged = [name for text in (starter.sms_text, starter.page_title, starter.page_text)
                  for name in template.fields_in(text) if name not in template.BUILT_IN]  # fmt: skip
        assert mapping.problems(header, questions, merged, payment_required=starter.payment_required) == []
        # the page doesn't need what a question asks: answers are kept as digests alone
        assert not {ask.column or ask.label for ask in starter.questions} & set(merged)

    def test_it_says_nothing_that_is_untrue_once_somebody_paid(self, starter):
        assert not any(word in starter.page_text for word in ("確認できておりません", "確認できていません", "未払い"))

    def test_it_asks_two_things(self, starter):
        assert len({ask.kind for ask in starter.questions}) == 2

    def test_it_is_whole(self, starter):
        assert template.problems(starter.page_text, needs_link=False) == []
        assert starter.page_title
        assert starter.about
        assert 5 <= starter.link_minutes <= 527_040


def test_money_owed_keeps_to_the_day():
    assert [key for key, starter in STARTERS.items() if starter.profile == "collection"] == ["collection"]
