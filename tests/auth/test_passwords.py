import pytest

from app.auth import passwords


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "むらさきの雨がふる町で歩く",
        "wq8-KEpz-71xx",
        "たいへんながいあいことばです",
        "x" * 100 + "abcdef",
    ],
)
def test_long_ones_pass_whatever_they_are_made_of(password):
    assert passwords.problems(password, "hanako@midori.example.jp", "山田 花子", "midori") == []


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "12文字以上"),
        ("x" * 201, "200文字以内"),
        ("aaaaaaaaaaaa", "推測されやすい"),
        ("123456789012", "推測されやすい"),
        ("234567890123", "推測されやすい"),
        ("abcdefghijkl", "推測されやすい"),
        ("qwertyuiopasdf", "推測されやすい"),
        ("Password1234", "推測されやすい"),
        ("Ｐａｓｓｗｏｒｄ1234", "推測されやすい"),
        ("12345password!", "推測されやすい"),
        ("passwordpassword", "推測されやすい"),
        ("hanako@midori.example.jp", "同じパスワード"),
        ("hanako-tanaka", "同じパスワード"),
        ("midorimidori", "同じパスワード"),
    ],
)
def test_what_every_attacker_tries_first_is_refused(password, says):
    found = passwords.problems(password, "hanako@midori.example.jp", "hanako-tanaka", "midori")
    assert len(found) == 1
    assert says in found[0].message_ja


def test_a_hash_opens_for_its_password_alone_and_is_salted():
    kept = passwords.hash_password("むらさきの雨がふる町で")
    assert passwords.matches(kept, "むらさきの雨がふる町で")
    assert not passwords.matches(kept, "むらさきの雨がふる町")
    assert kept != passwords.hash_password("むらさきの雨がふる町で")
    assert "argon2id" in kept
    assert not passwords.is_outdated(kept)


def test_the_same_word_from_another_keyboard_is_the_same_word():
    assert passwords.matches(passwords.hash_password("ＡＢＣ correct horse"), "ABC correct horse")


@pytest.mark.parametrize(
    "stored", ["", "no hash", "$argon2id$broken", pytest.param(passwords.dummy_hash(), id="nobody")]
)
def test_a_broken_hash_opens_for_nobody(stored):
    assert not passwords.matches(stored, "correct horse battery staple")
