"""Every refusal has one code that lasts and Japanese that tells what to do; screens show the Japanese alone."""

import re

import pytest

from app import problems
from app.problems import Kind, Problem, Refused
from dev import problem_codes
from public import texts

_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# too few digits and too many are two problems, told in one sentence
_SAME_SENTENCE = [
    {"answer_last4_too_long", "answer_last4_too_short"},
    {"answer_postcode_too_long", "answer_postcode_too_short"},
]


@pytest.fixture(scope="module")
def declared() -> list[Kind]:
    return problem_codes.declared()


def test_codes_are_words_and_each_is_declared_once(declared: list[Kind]) -> None:
    assert [kind.code for kind in declared if not _WORD.fullmatch(kind.code)] == []
    with pytest.raises(ValueError, match="twice"):
        Kind(declared[0].code, "別の理由です。")


def test_the_table_of_codes_is_the_products(declared: list[Kind]) -> None:
    """Programs read these codes: one that changes or goes is seen here."""
    assert problem_codes.TABLE.read_text("utf-8") == problem_codes.table(declared), "run `python -m dev.problem_codes`"


def test_no_refusal_has_two_codes(declared: list[Kind]) -> None:
    codes: dict[str, set[str]] = {}
    for kind in declared:
        codes.setdefault(kind.template_ja, set()).add(kind.code)
    assert sorted((found for found in codes.values() if len(found) > 1), key=min) == _SAME_SENTENCE


def test_every_message_is_a_sentence_in_japanese(declared: list[Kind]) -> None:
    assert [kind for kind in declared if not kind.template_ja.endswith("。")] == []
    assert [kind for kind in declared if not re.search(r"[ぁ-ん]", kind.template_ja)] == []


def test_texts_in_other_languages_know_real_codes(declared: list[Kind]) -> None:
    assert set(texts.OF_FAULTS) <= {kind.code for kind in declared}
    assert set(texts.OF_FAULTS.values()) <= set(texts.texts("en"))


def test_facts_are_named(declared: list[Kind]) -> None:
    names = {name for kind in declared for name in problem_codes.facts_of(kind)}
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z_]*", name)] == []


def test_a_sentence_tells_the_facts_of_its_problem() -> None:
    kind = Kind("of_this_test", "{people:,}件が{{氏名}}のままです。")
    try:
        problem = kind(people=1_200)
        assert problem == Problem("of_this_test", "1,200件が{氏名}のままです。", {"people": 1_200})
        assert problem.within("SMS本文：", place="sms_text") == Problem(
            "of_this_test", "SMS本文：1,200件が{氏名}のままです。", {"people": 1_200, "place": "sms_text"}
        )
        with pytest.raises(KeyError):
            kind()
    finally:
        problems._declared.pop("of_this_test")


def test_what_prints_a_problem_shows_no_code() -> None:
    problem = Problem("one_code", "理由です。")
    assert f"{problem}" == "理由です。"
    refused = Refused(problem, Problem("other_code", "別の理由です。"))
    assert (refused.messages_ja, refused.message_ja) == (["理由です。", "別の理由です。"], "理由です。\n別の理由です。")
    assert str(refused) == "one_code: 理由です。; other_code: 別の理由です。", "for logs, which people search by code"
