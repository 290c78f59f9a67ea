"""Describe held people: what happened, what to look up at the SMS service, what each button will do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from admin_views.framework import display
from app.accounts import abilities
from app.models import Campaign
from app.outcomes import manual_review
from app.outcomes.manual_decisions import Verdict
from app.outcomes.manual_review import Attempt
from app.providers.sms import PROVIDERS
from app.providers.sms.base import LookupBy
from app.states import result_codes

# the short name of each reason
TITLES: Mapping[str, str] = {
    manual_review.SILENT: "届いたかどうかの知らせがない",
    manual_review.LISTED: "同じころの同じ番号へのSMSが、送信サービスの記録にある",
    manual_review.SENT_AGAIN: "自動で送り直した結果も分からない",
    manual_review.ARRIVED_BEFORE: "前の分は受け付けられ、送り直した分の結果が分からない",
    manual_review.NO_LOOKUP: "照会できない送信サービス",
    manual_review.OTHER_CONTRACT: "送信後にSMSアカウントの契約が変わった",
    manual_review.UNPROVEN: "照会しても確かめられない",
    manual_review.UNPROVEN_ALONE: "記録はないが、記録の遅れと区別できない",
    result_codes.NUMBER_CAMPAIGN: "同じ電話番号への、この配信での上限",
    result_codes.NUMBER_DAY: "同じ電話番号への、1日の上限",
}

_FIND = "電話番号・時刻・参照番号で、送信サービスの管理画面の送信履歴を探してください。"
_BY_TEXT = "この送信サービスの履歴に参照番号は出ません。電話番号と時刻で探し、本文のリンクで確かめてください。"
_LISTED = "あれば「送信済みとする」を選びます。"
_UNLISTED = (
    "なければ送られていない見込みですが、履歴に出るのが遅れていることもあります。"
    "時間をおいてもう一度見てから「再送する」を選びます。"
)

# things to look up there, and their consequences
LOOK_UP: Mapping[str, Sequence[str]] = {
    manual_review.SILENT: (
        _FIND,
        "配信結果が「到達」なら「送信済みとする」、「不達」なら「再送する」か「もう送らない」を選びます。",
        "履歴にも結果が出ていなければ、ご本人に届いたかを確かめてください。",
    ),
    manual_review.LISTED: (
        "参照番号では出ないことがあります。電話番号と時刻で、送信サービスの管理画面の送信履歴を探してください。",
        "同じ内容のSMSがあれば「送信済みとする」を選びます。",
        f"ほかの用件のSMSだけで、同じ内容のSMSが{_UNLISTED}",
    ),
    manual_review.SENT_AGAIN: (
        f"{_FIND}送った回ごとに参照番号が違います。すべてを探してください。",
        "どれか1つでもあれば「送信済みとする」を選びます。",
        _UNLISTED,
    ),
    manual_review.ARRIVED_BEFORE: (
        f"{_FIND}前の回は受け付けられています。その配信結果を見てください。",
        "どれか1つでも届いていれば「送信済みとする」、すべて不達なら「再送する」か「もう送らない」を選びます。",
    ),
    manual_review.NO_LOOKUP: (_FIND, _LISTED, _UNLISTED),
    manual_review.OTHER_CONTRACT: (
        "送信したときの契約（いまの設定より前のもの）の管理画面に入ってください。いまの契約の履歴には出ません。",
        _FIND,
        _LISTED,
        _UNLISTED,
    ),
    manual_review.UNPROVEN: (_FIND, _LISTED, _UNLISTED),
    manual_review.UNPROVEN_ALONE: (_FIND, _LISTED, _UNLISTED),
    result_codes.NUMBER_CAMPAIGN: (
        "名簿の電話番号が正しいかを確かめてください。入力の誤りや、仮の番号が並んでいることがあります。",
        "家族で同じ電話を使っているなど、正しいと分かった人だけ「上限を超えて送る」を選びます。",
    ),
    result_codes.NUMBER_DAY: (
        "ほかの配信で同じ番号にきょう何通も送っています。名簿の電話番号が正しいかを確かめてください。",
        "きょう送ってよいと分かった人だけ「上限を超えて送る」を選びます。",
    ),
}

BUTTONS: Mapping[Verdict, str] = {
    Verdict.SENT: "送信済みとする",
    Verdict.NEVER: "もう送らない",
    Verdict.AGAIN: "再送する",
    Verdict.SKIP: "送らない",
    Verdict.SEND: "上限を超えて送る",
}
# the effect of each
EFFECTS: Mapping[Verdict, str] = {
    Verdict.SENT: (
        "「受付済」になり、照会を終えます。SMSは送られません。届いていなかった場合、この方にこのSMSは届きません。"
    ),
    Verdict.NEVER: (
        "「取消」になり、照会を終えます。SMSは送られません。前のSMSが届いていたかどうかは分からないままです。"
    ),
    Verdict.AGAIN: "同じ内容のSMSをもう1通送ります。これまでのSMSが届いていた場合は、その分だけ重ねて届きます。",
    Verdict.SKIP: "「取消」のままになり、保留を終えます。SMSは送られません。あとから送ることはできません。",
    Verdict.SEND: "同じ電話番号に、さらに1通のSMSを送ります。",
}
QUESTIONS: Mapping[Verdict, str] = {
    Verdict.SENT: "{:,}件を送信済みとしますか",
    Verdict.NEVER: "{:,}件にもう送らないことにしますか",
    Verdict.AGAIN: "{:,}件にもう一度SMSを送りますか",
    Verdict.SKIP: "{:,}件に送らないことにしますか",
    Verdict.SEND: "{:,}件に、上限を超えてSMSを送りますか",
}
DONE: Mapping[Verdict, str] = {
    Verdict.SENT: "{:,}件を送信済みとしました。",
    Verdict.NEVER: "{:,}件にもう送らないことにしました。",
    Verdict.AGAIN: "{:,}件の再送を始めました。",
    Verdict.SKIP: "{:,}件を送らないことにしました。",
    Verdict.SEND: "{:,}件を送信待ちにしました。",
}
MEANWHILE = "{:,}件は、ほかの管理者が先に決めたか、結果が分かったため、何もしていません。"


@dataclass(frozen=True, slots=True)
class Trace:
    """An attempt as one looks for it at the service: its number, from and until when (JST), our reference."""

    number: int
    begins_at: str
    ends_at: str
    reference: str


def is_of_a_service(reason: str) -> bool:
    """Return whether the reason is what an SMS service can't tell, so that it is to be named."""
    return reason in manual_review.REASONS


def happened(reason: str) -> str:
    """Return what happened."""
    return manual_review.REASONS.get(reason) or f"{result_codes.words(reason)}しています。"


def traces(attempts: Sequence[Attempt]) -> list[Trace]:
    """Return what to look for."""
    return [
        Trace(one.number, display.jst_exact(one.begins_at), display.jst_exact(one.ends_at), one.reference)
        for one in attempts
    ]


def service(campaign: Campaign) -> str:
    """Return the name of the SMS service, with the account's, and how its records are read where that differs."""
    account = campaign.sms_account
    if account is None:
        return "送信サービス"
    if account.shared_account_id is not None:
        return f"共用アカウント「{account.name}」（記録は、運営担当者に連絡して確かめてもらってください）"
    named = f"{PROVIDERS[account.provider].label}（SMSアカウント「{account.name}」）"
    return f"{named}。{_BY_TEXT}" if abilities.of(account).lookup_by is LookupBy.TEXT else named
