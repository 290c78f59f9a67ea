"""Why an attempt ended is said in words."""

import re
from pathlib import Path

import pytest

from app.providers import curl
from app.providers.sms import PROVIDERS
from app.providers.sms.karaden import _ACCOUNT_CODES
from app.states import result_codes

OURS = [code for name, code in vars(result_codes).items() if name.isupper() and not name.startswith("_")]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", ""),
        ("E001", "E001"),
        ("worker_lost", "結果の記録前に中断"),
        ("gave_up:500", "受け付けられず断念（500）"),
        ("account:", "アカウントの問題"),
        ("by_hand:sent", "管理者が送信済みとした"),
        ("unconnected", "電源が入っていないか、圏外"),
        ("gave_up:http_503", "受け付けられず断念（送信サービスの障害、応答コード503）"),
        ("account:unauthentication", "アカウントの問題（認証情報の誤り）"),
        ("validation_error:body,to", "送信サービスが内容を受け付けず"),
        ("validation_error:to", "送信サービスがこの電話番号を受け付けず"),
        ("http_500", "送信サービスの障害、応答コード500"),
        ("http_429", "送信サービスの混雑、応答コード429"),
        ("http_404", "送信サービスが受け付けず、応答コード404"),
        ("curl_56", "通信の失敗、番号56"),
        ("code_500", "送信サービスの障害、応答コード500"),
        ("vacant:31732", "使われていない番号など、届かない番号"),
        ("account:quota", "アカウントの問題（契約で送信できる件数の上限）"),
    ],
)
def test_why_an_attempt_ended_so_is_said_in_words(code: str, words: str) -> None:
    assert result_codes.words(code) == words


@pytest.mark.parametrize("code", OURS)
def test_each_code_of_our_own_has_words(code: str) -> None:
    assert result_codes.words(code).isascii() is False


WORD = re.compile(r'(?:UnclearAnswer\(|code=|OutcomeKind\.\w+, )"([a-z_]+)"')


def test_each_code_that_an_adapter_can_hand_over_has_words() -> None:
    """Whoever reads the send log is no programmer."""
    root = Path(__file__).parents[2]
    said = {
        word
        for file in (root / "app" / "providers" / "sms").glob("*.py")
        for word in WORD.findall(file.read_text("utf-8"))
    }
    assert "duplicate" in said
    passing = {code for provider in PROVIDERS.values() for code in provider.passing}
    carried = {*curl._BEFORE.values(), *curl._AFTER.values(), *_ACCOUNT_CODES, *passing}
    assert [code for code in said | carried if result_codes.words(code).isascii()] == []
