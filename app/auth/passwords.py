"""Passwords of staff: how they are kept, and which are refused.

Long ones without rules of composition; refused is what stands on every attacker's list or names the account itself
(OWASP ASVS 5.0, 6.2). Kept as argon2id with OWASP's parameters (Password Storage Cheat Sheet: 19 MiB, 2 passes).
"""

import re
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from app.problems import Kind, Problem

SHORTEST = 12
LONGEST = 200

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AROUND = re.compile(r"^[\W\d_]++|(?<![\W\d_])[\W\d_]++$")
_FEWEST_CHARS = 5  # different ones: fewer make a pattern
_RUNS = (
    "0123456789" * 3,
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)

# The leaked lists' most frequent words, without the digits and signs around them.
_COMMON_WORDS = """
password passwordpassword passw0rd p@ssw0rd pa55word administrator admin adminadmin administrador letmein
letmeinplease welcome welcometo changeme changemenow changeit iloveyou iloveyouforever qwerty qwertyqwerty
qwertyuiop qwertyuiopasdf qwertyazerty asdfgh asdfghjkl asdfasdfasdf zxcvbnm zxcvbnmzxcvbnm abcabcabc abcdefabcdef
monkey dragon sunshine princess football baseball superman batman starwars trustno master masterkey shadow michael
jordan pokemon computer internet secret secretsecret supersecret default guest guestguest test testtest testing
testuser login loginlogin user username root rootroot toor system manager company japan japanjapan tokyo tokyojapan
nippon sakura sakurasakura hogehoge hoge foobar foobarbaz todoke todoketodoke todokeadmin himitsu pasuwado
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def hash_password(password: str) -> str:
    """Return the hash that is kept."""
    return _HASHER.hash(_form(password))


def matches(stored: str, password: str) -> bool:
    """Return whether this is the password; never raises."""
    if len(password) > LONGEST:
        return False
    try:
        return _HASHER.verify(stored, _form(password))
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Return whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


@cache
def dummy_hash() -> str:
    """Return a hash that no password opens: checking it takes as long as checking a person's."""
    return _HASHER.hash("\0")


_TOO_SHORT = Kind("password_too_short", "パスワードは{least}文字以上にしてください。")
_TOO_LONG = Kind("password_too_long", "パスワードは{most}文字以内にしてください。")
_EASY_TO_GUESS = Kind(
    "password_easy_to_guess",
    "推測されやすいパスワードです。関係のない言葉をいくつかつなげるなど、別のものにしてください。",
)
_OWN_NAME = Kind("password_own_name", "メールアドレスや名前と同じパスワードは使えません。別のものにしてください。")


def problems(password: str, *names: str) -> list[Problem]:
    """Return why a password is refused.

    `names` are the account's: address, name, company code.
    """
    if len(password) < SHORTEST:
        return [_TOO_SHORT(least=SHORTEST)]
    if len(password) > LONGEST:
        return [_TOO_LONG(most=LONGEST)]
    form = _form(password).casefold()
    core = _AROUND.sub("", form)
    if core in _COMMON or len(set(form)) < _FEWEST_CHARS or any(form[:SHORTEST] in run for run in _RUNS):
        return [_EASY_TO_GUESS()]
    own = {part.casefold() for name in names for part in (name, name.partition("@")[0]) if part}
    if form in own or core in own or any(form == name * (len(form) // len(name)) for name in own):
        return [_OWN_NAME()]
    return []


def _form(password: str) -> str:
    # the same keys on another keyboard or phone give the same bytes
    return unicodedata.normalize("NFKC", password)
