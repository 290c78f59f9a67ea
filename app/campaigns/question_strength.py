"""How likely a stranger with somebody's link guesses all answers before it locks."""

from collections.abc import Iterable
from math import prod

from app.values.answers import QuestionKind

# How many answers a stranger has to choose from. Digits may be as few as four; birth dates are those of the living; who
# knows a person's town knows most of the postcode.
_ANSWERS = {
    QuestionKind.LAST4: 10_000,
    QuestionKind.DIGITS: 10_000,
    QuestionKind.POSTCODE: 1_000,
    QuestionKind.DATE: 25_000,
    QuestionKind.TEXT: 100_000,
}
# one lock in so many may be opened by guessing; a birth date with five tries is just that
_ENOUGH = 5_000


def odds(questions: Iterable[tuple[QuestionKind, int]], max_failures: int) -> int:
    """Return that one link in so many is opened by guessing; `questions` are kinds, with the number of choices."""
    answers = prod(max(1, choices) if kind is QuestionKind.CHOICE else _ANSWERS[kind] for kind, choices in questions)
    return max(1, answers // max_failures)


def weak(questions: Iterable[tuple[QuestionKind, int]], max_failures: int) -> list[str]:
    """Warn in Japanese of questions that let a stranger guess: none at all, or too few answers."""
    asked = list(questions)
    if not asked:
        return ["設問がありません。リンクを知っている人は誰でもページを読めます。"]
    found = odds(asked, max_failures)
    if found >= _ENOUGH:
        return []
    told = f"約{found:,}人に1人" if found > 1 else "ほぼ全員"
    advice = "設問を加えるか、間違えてよい回数を減らすことをおすすめします。"
    return [
        f"設問が推測されやすい内容です。リンクを手に入れた他人が当てずっぽうで答えると、{told}の割合でページが開きます。{advice}"
    ]
