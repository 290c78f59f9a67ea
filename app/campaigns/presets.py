"""Campaigns to start from: whole texts, questions and terms for what is sent most, to be made one's own.

An SMS names the company and no matter: it is read on a screen that others see. Its matter, and money above all, stands
on the page, behind the questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.campaigns.template import BUILT_IN, fields_in
from app.values.answers import QuestionKind

_DAY = 1440  # minutes


@dataclass(frozen=True, slots=True)
class Ask:
    """A question; `column` names the list's column with the right answers, empty: as the label."""

    label: str
    kind: QuestionKind
    column: str = ""


@dataclass(frozen=True, slots=True)
class Starter:
    """A campaign to start from.

    `link_minutes` counts from the SMS, `profile` is a campaign's.
    """

    key: str
    name: str
    about: str
    sms_text: str
    page_title: str
    page_text: str
    questions: Sequence[Ask]
    link_minutes: int
    payment_required: bool = False
    profile: str = "normal"
    retry_times: int = 3
    retry_after_minutes: int = 60

    def columns(self) -> list[str]:
        """Name the columns that its list needs besides the phone number, each once."""
        asked = [ask.column or ask.label for ask in self.questions]
        money = ["請求金額", "支払期限"] if self.payment_required else []
        return list(dict.fromkeys([*self.merged(), *asked, *money]))

    def merged(self) -> list[str]:
        """Name the fields that its texts merge."""
        texts = self.sms_text + self.page_title + self.page_text
        return [name for name in fields_in(texts) if name not in BUILT_IN]


STARTERS: dict[str, Starter] = {
    starter.key: starter
    for starter in (
        Starter(
            key="visit",
            name="訪問日時の連絡",
            about="点検・修理・お届けの日時を、本人にだけ知らせます。",
            sms_text="【{会社名}】{氏名}様 ご訪問のご連絡 {リンク}",
            page_title="ご訪問日時のお知らせ",
            page_text=(
                "{氏名} 様\n\nご訪問の日時が決まりましたので、お知らせいたします。\n\n"
                "日時：{訪問日} {訪問時間}\n担当：{担当者}\nご用件：{用件}\n\n"
                "当日は、担当者が身分証を携帯しています。お迎えの際にご確認ください。\n"
                "ご都合が悪くなった場合は、お手数ですが、このページにある電話番号までご連絡ください。"
            ),
            questions=(
                Ask("ご住所の郵便番号", QuestionKind.POSTCODE, "郵便番号"),
                Ask("受付番号の下4桁", QuestionKind.LAST4, "受付番号"),
            ),
            link_minutes=7 * _DAY,
        ),
        Starter(
            key="repair",
            name="訪問販売・修理費の決済",
            about="訪問先でのご購入や修理の代金を、その場を離れたあとでも安全に支払ってもらいます。",
            sms_text="【{会社名}】{氏名}様 お手続きのご案内 {リンク}",
            page_title="代金のお支払いのご案内",
            page_text=(
                "{氏名} 様\n\n{作業日}は、ご利用いただきありがとうございました。\n"
                "下記の代金を、このページからお支払いください。\n\n"
                "内容：{作業内容}\n担当：{担当者}\n\n"
                "内容や金額に心当たりがない場合は、お支払いになる前に、このページにある電話番号までご連絡ください。"
            ),
            questions=(
                Ask("ご住所の郵便番号", QuestionKind.POSTCODE, "郵便番号"),
                Ask("伝票番号の下4桁", QuestionKind.LAST4, "伝票番号"),
            ),
            link_minutes=7 * _DAY,
            payment_required=True,
        ),
        Starter(
            key="counter",
            name="窓口の呼び出し",
            about="順番が近づいた人を、待合室の外からでも呼び出します。リンクは2時間で切れます。",
            sms_text="【{会社名}】{氏名}様 お呼び出しです {リンク}",
            page_title="窓口からのお呼び出し",
            page_text=(
                "{氏名} 様\n\nお待たせいたしました。まもなく順番です。\n\n"
                "窓口：{窓口}\n\n受付票をお持ちになり、窓口までお越しください。\n"
                "お見えにならない場合は、次の方を先にご案内することがあります。"
            ),
            questions=(Ask("受付番号", QuestionKind.DIGITS), Ask("生年月日", QuestionKind.DATE)),
            link_minutes=120,
            retry_times=1,
            retry_after_minutes=5,
        ),
        Starter(
            key="premium",
            name="初回保険料",
            about="ご契約後の最初の保険料を、保障が始まる前に支払ってもらいます。",
            sms_text="【{会社名}】{氏名}様 ご契約の大切なお知らせ {リンク}",
            page_title="初回保険料お払込みのご案内",
            page_text=(
                "{氏名} 様\n\nこのたびはご契約いただき、まことにありがとうございます。\n"
                "初回保険料のお払込みについて、ご案内いたします。\n"
                "期限までに、このページからお手続きください。\n\n"
                "商品：{商品名}\n証券番号：{証券番号}\n\n"
                "お払込みがない場合、保障が始まりませんのでご注意ください。\n"
                "すでにお払込みいただいている場合は、行き違いをお許しください。"
            ),
            questions=(
                Ask("契約者ご本人の生年月日", QuestionKind.DATE, "生年月日"),
                Ask("ご住所の郵便番号", QuestionKind.POSTCODE, "郵便番号"),
            ),
            link_minutes=14 * _DAY,
            payment_required=True,
        ),
        Starter(
            key="collection",
            name="督促・未納料金",
            about="未納の料金を知らせて支払ってもらいます。夜間と早朝（21:00〜8:00）には送られません。",
            sms_text="【{会社名}】{氏名}様 重要なお知らせです {リンク}",
            page_title="お支払いのお願い",
            page_text=(
                "{氏名} 様\n\n下記の料金のお支払いをお願いいたします。\n"
                "期限までに、このページからお支払いください。\n\n"
                "ご請求の内容：{請求内容}\nご契約番号：{契約番号}\n\n"
                "お支払いが難しい場合は、分割などのご相談をお受けします。"
                "このページにある電話番号までご連絡ください。\n"
                "すでにお支払い済みの場合は、行き違いをお許しください。"
            ),
            questions=(
                Ask("ご契約者の生年月日", QuestionKind.DATE, "生年月日"),
                Ask("ご契約時の電話番号の下4桁", QuestionKind.LAST4, "契約時の電話番号"),
            ),
            link_minutes=14 * _DAY,
            payment_required=True,
            profile="collection",
        ),
    )
}
