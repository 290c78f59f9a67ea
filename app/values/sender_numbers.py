"""Sender numbers (送信元番号) as people type them become digits, and no carrier's form but its own passes.

docomo and au show a telephone number of the company's own, SoftBank its 5 or 6 digits or a service's common 10-digit
number, Rakuten either; the four share the common short codes: 0005, 8 to 10 digits in all.
"""

import re
import unicodedata

import phonenumbers

from app.problems import Kind, Refused
from app.values.answers import BETWEEN_DIGITS

_MOST_SIGNS = 40  # of what is typed
_MOST_DIGITS = 11
_SERVICE_DIGITS = 10
_JAPAN = 81
_COMMON = re.compile(r"0005[0-9]{4,6}")
_SHORT = re.compile(r"[1-9][0-9]{4,5}|[0-9]{10}")
_MOBILE_NUMBER = re.compile(r"0[6-9]0[0-9]{8}")
_BRACKETS = "()"

_EMPTY = Kind("sender_number_empty", "送信元番号が空です。番号を1つ入力してください。")
_NOT_DIGITS = Kind(
    "sender_number_not_digits", "送信元番号に数字以外の文字があります。番号を1つだけ、数字で入力してください。"
)
_TOO_LONG = Kind("sender_number_too_long", "送信元番号が長すぎます。番号を1つだけ、{most}桁までで入力してください。")
_FOREIGN = Kind("sender_number_foreign", "海外の電話番号です。日本の番号を入力してください。")
_COMMON_OF_ONE = Kind(
    "sender_number_common_to_all",
    "0005で始まる番号は携帯4社に共通の番号です。携帯会社に「4社共通」を選んでください。",
)
_NOT_COMMON = Kind(
    "sender_number_not_common", "4社共通の番号は、0005で始まる8～10桁です。番号か、携帯会社を選び直してください。"
)
_NOT_SHORT = Kind(
    "sender_number_not_softbank",
    "ソフトバンクの送信元番号は、5～6桁の番号か、送信サービスの共通の10桁の番号です。番号を確かめてください。",
)
_MOBILE = Kind(
    "sender_number_mobile",
    "携帯電話の番号は、SMSの送信元にできません。携帯会社に申請した番号（例：050-1234-5678）を入力してください。",
)
_NO_TELEPHONE = Kind(
    "sender_number_not_telephone",
    "御社の電話番号を、050-1234-5678 や 0120-123-456 の形で入力してください。",
)


def read(carrier: str, typed: str) -> str:
    """Return the digits of a number that `carrier` (`all` for the common short codes) may show. Raises Refused."""
    digits = _digits(typed)
    if carrier == "all":
        return _known(_COMMON.fullmatch(digits) is not None, digits, _NOT_COMMON)
    if digits.startswith("0005"):
        raise Refused(_COMMON_OF_ONE())
    if carrier == "softbank":
        return _known(_SHORT.fullmatch(digits) is not None, digits, _NOT_SHORT)
    if _MOBILE_NUMBER.fullmatch(digits):
        raise Refused(_MOBILE())
    short = carrier == "rakuten" and _SHORT.fullmatch(digits) is not None
    return _known(short or _is_telephone(digits), digits, _NO_TELEPHONE)


def asked(typed: str) -> set[str]:
    """Return the digits under which a number may stand that somebody read off a phone; empty where it has none.

    Phones write +81 before a number, also where its zero stands there still, or where there never was one.
    """
    normal = unicodedata.normalize("NFKC", typed).casefold().strip()
    signs = "".join(sign for sign in normal if sign.isalnum() and sign not in BETWEEN_DIGITS)
    if not normal.startswith("+81"):
        return {signs} - {""}
    rest = signs.removeprefix("81")
    return {rest, f"0{rest}"} if rest else set()


def is_common_to_customers(carrier: str, number: str) -> bool:
    """Return whether a number is a service's own that its customers share: SoftBank's with 10 digits."""
    return carrier == "softbank" and len(number) == _SERVICE_DIGITS


def international(number: str) -> str:
    """Return a number as services take it: a telephone number as E.164, a short or common number as it is."""
    is_telephone = not number.startswith("0005") and _is_telephone(number)
    return f"+{_JAPAN}{number.removeprefix('0')}" if is_telephone else number


def _digits(typed: str) -> str:
    if len(typed) > _MOST_SIGNS:
        raise Refused(_TOO_LONG(most=_MOST_DIGITS))
    normal = unicodedata.normalize("NFKC", typed).strip()
    signs = "".join(sign for sign in normal if sign not in BETWEEN_DIGITS + _BRACKETS)
    if not signs:
        raise Refused(_EMPTY())
    if not re.fullmatch(r"\+?[0-9]+", signs):
        raise Refused(_NOT_DIGITS())
    if signs.startswith("+"):
        if not signs.startswith(f"+{_JAPAN}"):
            raise Refused(_FOREIGN())
        signs = "0" + signs.removeprefix(f"+{_JAPAN}").removeprefix("0")
    if len(signs) > _MOST_DIGITS:
        raise Refused(_TOO_LONG(most=_MOST_DIGITS))
    return signs


def _is_telephone(digits: str) -> bool:
    try:
        number = phonenumbers.parse(digits, "JP")
    except phonenumbers.NumberParseException:
        return False
    # the library reads 81-3-…, without its plus, as Japan's too
    return digits.startswith("0") and number.country_code == _JAPAN and phonenumbers.is_valid_number(number)


def _known(fits: bool, digits: str, otherwise: Kind) -> str:  # noqa: FBT001 - what was found
    if not fits:
        raise Refused(otherwise())
    return digits
