"""Phone numbers as people type them become E.164, and nothing but Japanese mobile numbers passes.

The ranges are the Ministry's: 070, 080, 090, and 060 since July 2026, each followed by 1-9 (0800 is toll free, 0600 not
given out). A regular expression answers for nearly all rows; what it misses is asked of `phonenumbers`, which also says
what the number is instead.
"""

import re
import unicodedata

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

from app.problems import Kind, Refused
from app.values.answers import BETWEEN_DIGITS

_JAPAN = 81
_MOBILE_DIGITS = 11
_MOST_SIGNS = 100  # of what is typed: two numbers with words between them are still told what is wrong
_MOBILE_PREFIXES = ("070", "080", "090", "060")

_CLEAN = str.maketrans(
    {
        **dict.fromkeys(BETWEEN_DIGITS + "\u3000－ｰ﹣()（）"),
        **dict(zip("０１２３４５６７８９＋", "0123456789+", strict=True)),
    }
)
_MOBILE = re.compile(r"(?:\+81|0)((?:[789]0|60)[1-9][0-9]{7})")
_ZERO_LOST = re.compile(r"(?:[789]0|60)[1-9][0-9]{7}")
_NUMBER = re.compile(r"\+?[0-9]+")
_DOTTED = re.compile(r"0[0-9]{2}\.[0-9]{4}\.[0-9]{4}")
# a whole number as pandas and databases write it where the column has empty cells
_AS_FLOAT = re.compile(r"(\+?[0-9]+)\.0+")
_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_BETWEEN = f"[{re.escape(BETWEEN_DIGITS)}－ｰ﹣()（）\u3000]*"
_MOBILE_WITHIN = re.compile(
    rf"(?<![0-9])(?:\+81|0){_BETWEEN}[6-9]{_BETWEEN}0{_BETWEEN}[1-9](?:{_BETWEEN}[0-9]){{7}}(?![0-9])"
)


_EMPTY = Kind("phone_empty", "電話番号が空です。携帯電話番号を入力してください。")
_TOO_MUCH = Kind("phone_too_much_typed", "電話番号が長すぎます。11桁の番号を1つだけ入力してください。")
_TOO_SHORT = Kind("phone_too_short", "電話番号の桁が足りません。11桁の携帯電話番号を入力してください。")
_TOO_LONG = Kind("phone_too_long", "電話番号の桁が多すぎます。11桁の番号を1つだけ入力してください。")
_SCIENTIFIC_FORM = Kind(
    "phone_scientific",
    "電話番号がExcelで指数表示になり、下の桁が失われています。"
    "Excelで列の表示形式を「文字列」にしてから番号を入れ直してください。",
)
_NOT_A_NUMBER = Kind(
    "phone_not_a_number", "電話番号に数字以外の文字があります。番号を1つだけ、数字で入力してください。"
)
_FOREIGN = Kind("phone_foreign", "海外の電話番号です。日本の携帯電話番号を入力してください。")
_NOT_MOBILE = Kind(
    "phone_not_mobile",
    "携帯電話の番号ではありません。070・080・090・060で始まる正しい11桁の番号に直してください。",
)
_MOBILE_ONLY = "SMSは携帯電話番号にだけ送れます。070・080・090・060の番号に直してください。"


def to_e164(raw: str) -> str:
    """Return a mobile number as E.164 (+819012345678). Raises Refused."""
    return read_phone(raw)[0]


def read_phone(raw: str) -> tuple[str, bool]:
    """Return a mobile number as E.164, and whether the leading zero was missing and put back.

    Excel drops the zero of 09012345678 in a cell of numbers; the ten digits left (90, 80, 70 or 60, then 1-9) can be no
    other Japanese number. Raises Refused.
    """
    if len(raw) > _MOST_SIGNS:
        raise Refused(_TOO_MUCH())
    text = raw.translate(_CLEAN)
    mobile = _MOBILE.fullmatch(text)
    if mobile:
        return "+81" + mobile[1], False
    return _read_slowly(raw)


def holds_mobile_number(text: str) -> bool:
    """Return whether a mobile number stands somewhere in a short text."""
    return _MOBILE_WITHIN.search(unicodedata.normalize("NFKC", text)) is not None


def national(e164: str) -> str:
    """Return a Japanese E.164 number as it is dialled at home: 09012345678."""
    return "0" + e164.removeprefix("+81")


def mask(e164: str) -> str:
    """Return a mobile number as lists show it: 090-****-5678."""
    digits = national(e164)
    return f"{digits[:3]}-****-{digits[-4:]}"


def _read_slowly(raw: str) -> tuple[str, bool]:
    typed = unicodedata.normalize("NFKC", raw).strip()
    if _DOTTED.fullmatch(typed):
        typed = typed.replace(".", "")
    elif as_float := _AS_FLOAT.fullmatch(typed):
        typed = as_float[1]
    text = typed.translate(_CLEAN)
    if not text:
        raise Refused(_EMPTY())
    if _SCIENTIFIC.fullmatch(text):
        raise Refused(_SCIENTIFIC_FORM())
    if not _NUMBER.fullmatch(text):
        raise Refused(_NOT_A_NUMBER())
    if _ZERO_LOST.fullmatch(text):
        return "+81" + text, True
    if text.startswith("0081"):
        text = "+" + text.removeprefix("00")
    try:
        number = phonenumbers.parse(text, "JP")
    except phonenumbers.NumberParseException:
        raise _wrong_length(text) from None
    if phonenumbers.number_type(number) == PhoneNumberType.MOBILE and number.country_code == _JAPAN:
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), False
    raise _refusal(number)


_REFUSALS = {
    PhoneNumberType.FIXED_LINE: Kind("phone_landline", "固定電話の番号です。" + _MOBILE_ONLY),
    PhoneNumberType.PAGER: Kind("phone_pager", "020で始まる番号(ポケットベル・機器間通信用)です。" + _MOBILE_ONLY),
    PhoneNumberType.VOIP: Kind("phone_ip", "050で始まるIP電話の番号です。" + _MOBILE_ONLY),
    PhoneNumberType.TOLL_FREE: Kind("phone_toll_free", "フリーダイヤルなどのサービス番号です。" + _MOBILE_ONLY),
    PhoneNumberType.UAN: Kind("phone_shared_cost", "0570で始まるナビダイヤルの番号です。" + _MOBILE_ONLY),
    PhoneNumberType.PREMIUM_RATE: Kind("phone_premium_rate", "有料サービスの番号です。" + _MOBILE_ONLY),
}


def _refusal(number: PhoneNumber) -> Refused:
    if number.country_code != _JAPAN:
        return Refused(_FOREIGN())
    digits = f"0{phonenumbers.national_significant_number(number)}"
    # before the library's word: it takes 060-123-4567, one digit short, for a personal number
    if digits.startswith(_MOBILE_PREFIXES) and len(digits) < _MOBILE_DIGITS:
        return _wrong_length(digits)
    refusal = _REFUSALS.get(phonenumbers.number_type(number))
    if refusal:
        return Refused(refusal())
    if len(digits) != _MOBILE_DIGITS:
        return _wrong_length(digits)
    return Refused(_NOT_MOBILE())


def _wrong_length(digits: str) -> Refused:
    return Refused(_TOO_SHORT() if len(digits) < _MOBILE_DIGITS else _TOO_LONG())
