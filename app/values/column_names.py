"""Names of columns as companies write them: compared in one spelling, and the words that each role goes by."""

import re
import unicodedata

# no remark is longer: else each opening bracket of many would be followed to the text's end
_BRACKETS = re.compile(r"[(\[{【〔<「]([^)\]}】〕>」]{0,200})[)\]}】〕>」]")
_TELLING = re.compile(r"携帯|mobile|自宅|固定|勤務|会社|fax")
_MARKS = re.compile(r"[\s\u200b*※●○◎★☆■◆:・_.#-]+|必須$")
_SPELLINGS = (
    ("四", "4"),
    ("ケタ", "桁"),
    ("けた", "桁"),
    ("末尾", "下"),
    ("の下", "下"),
    ("支払い", "支払"),
    ("払い込み", "払込"),
    ("申し込み", "申込"),
    ("申込み", "申込"),
    ("お客さま", "お客様"),
)


def canonical(name: str) -> str:
    """Return a column's name as names are compared: one width and spelling, without marks, polite prefix or remarks.

    A remark in brackets goes (電話番号（ハイフンなし）), unless it tells one column from another (電話番号（下4桁）).
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    for written, spelling in _SPELLINGS:
        text = text.replace(written, spelling)
    text = _BRACKETS.sub(lambda remark: remark[1] if _tells(remark[1]) else "", text)
    text = _MARKS.sub("", text)
    return text[1:] if len(text) > 1 and text[0] in "おご御" else text


def _tells(remark: str) -> bool:
    """Return whether a remark tells one column from another: 下4桁, 携帯, 自宅."""
    return "桁" in remark.partition("下")[2] or _TELLING.search(remark) is not None


def _tiers(*tiers: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(map(canonical, tier.split())) for tier in tiers)


# Tiers of equal names, the surest first.
PHONE = _tiers(
    "携帯電話番号 携帯番号 携帯電話 携帯 携帯no 携帯tel 電話番号携帯 電話携帯 tel携帯 ケータイ ケイタイ "
    "ケータイ番号 ケイタイ番号 スマホ スマホ番号 スマートフォン スマートフォン番号 "
    "mobile mobilephone mobilenumber mobilephonenumber cellphone sms電話番号 sms番号 送信先携帯番号",
    "電話番号 電話 電話no tel telno tel番号 telephone phone phonenumber 連絡先 連絡先電話番号 連絡先tel 送信先電話番号",
)
REFERENCE = _tiers(
    "管理番号 管理no 管理id 管理コード reference referenceno",
    "お客様番号 お客様no お客様id お客様コード 顧客番号 顧客no 顧客id 顧客コード customerid customerno",
    "会員番号 会員no 会員id 会員コード memberid",
    "受付番号 受付no 受付id 申込番号 申込no 予約番号 注文番号 案件番号 案件id 整理番号 伝票番号",
    "請求番号 請求書番号 請求no",
    "契約番号 契約no 契約id 契約者番号 加入者番号 利用者番号 証券番号",
    "id no 番号 コード",
)
AMOUNT = _tiers(
    "請求金額 請求額 今回請求金額 今回請求額 請求金額合計 請求合計 請求合計額",
    "支払金額 支払額 支払合計 払込金額 払込額 納付金額 納付額 振込金額",
    "合計金額 合計額 利用金額 保険料 初回保険料 未払金額 未納額 延滞金額",
    "金額 料金 amount price",
)
DUE_DATE = _tiers(
    "支払期限 支払期限日 支払期日 払込期限 払込期日 納付期限 納付期日 納期限 振込期限 振込期日 入金期限",
    "期限 期限日 期日 duedate due",
)
SAME_QUESTION = _tiers(
    "生年月日 誕生日 birthday birthdate dateofbirth",
    "郵便番号 郵便no 〒 zip zipcode postcode postalcode",
    "氏名 名前 お名前 お客様名 顧客名 会員名 契約者名 契約者氏名 name",
    "氏名カナ カナ氏名 名前カナ フリガナ ふりがな カナ",
)


def names_person(name: str) -> bool:
    """Return whether a column's name is that of people's names: 氏名, お客様名, 契約者名, 宛名."""
    return canonical(name) in _NAMES


_NAMES = frozenset[str]().union(
    *_tiers("氏名 名前 宛名 宛先 お客様名 お客様氏名 顧客名 会員名 契約者名 契約者氏名 name")
)


def names_phone(name: str) -> bool:
    """Return whether a column's name, as `canonical` gives it, is that of a phone number."""
    return any(name in tier for tier in PHONE) or name.endswith(PHONE_ENDINGS)


PHONE_ENDINGS = ("携帯電話番号", "携帯番号", "携帯電話", "電話番号", "tel")
