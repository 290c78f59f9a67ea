"""Which sets of questions are warned about."""

import pytest

from app.campaigns.question_strength import odds, weak
from app.values.answers import QuestionKind

TEXT, DIGITS, DATE, POSTCODE, LAST4, CHOICE = QuestionKind


@pytest.mark.parametrize(
    ("asked", "failures", "told"),
    [
        ([], 5, "設問がありません"),
        ([(LAST4, 1)], 5, "約2,000人に1人"),
        ([(DIGITS, 1)], 5, "約2,000人に1人"),
        ([(POSTCODE, 1)], 5, "約200人に1人"),
        ([(CHOICE, 4)], 5, "ほぼ全員"),
        ([(CHOICE, 4), (CHOICE, 3)], 5, "約2人に1人"),
        ([(CHOICE, 4), (POSTCODE, 1)], 10, "約400人に1人"),
        ([(DATE, 1)], 10, "約2,500人に1人"),
    ],
)
def test_what_can_be_guessed_is_told(asked: list[tuple[QuestionKind, int]], failures: int, told: str) -> None:
    (warning,) = weak(asked, failures)
    assert told in warning
    assert warning.endswith("。")


@pytest.mark.parametrize(
    ("asked", "failures"),
    [([(DATE, 1)], 5), ([(TEXT, 1)], 10), ([(LAST4, 1), (CHOICE, 4)], 5), ([(DATE, 1), (LAST4, 1)], 10)],
)
def test_what_can_hardly_be_guessed_is_not(asked: list[tuple[QuestionKind, int]], failures: int) -> None:
    assert weak(asked, failures) == []
    assert odds(asked, failures) >= 5_000


def test_every_kind_is_counted() -> None:
    assert all(odds([(kind, 2)], 1) > 1 for kind in QuestionKind)
