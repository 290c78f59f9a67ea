"""Why an attempt ended is said in words."""

import pytest

from app.tracking import codes

OURS = [code for name, code in vars(codes).items() if name.isupper() and not name.startswith("_")]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", ""),
        ("E001", "E001"),
        ("worker_lost", "結果の記録前に中断"),
        ("gave_up:500", "受け付けられず断念（500）"),
        ("account:", "アカウントの問題"),
        ("by_hand:sent", "管理者が送信済みとした"),
    ],
)
def test_why_an_attempt_ended_so_is_said_in_words(code: str, words: str) -> None:
    assert codes.words(code) == words


@pytest.mark.parametrize("code", OURS)
def test_each_code_of_our_own_has_words(code: str) -> None:
    assert codes.words(code).isascii() is False
