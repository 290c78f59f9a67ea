"""Describe campaigns that wait after a restore: which account couldn't be asked, why, and what a manager compares."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from admin_views.framework import display
from admin_views.framework.scoping import rows
from app.models import Campaign, SmsAccount
from app.providers.payments import PROVIDERS as PAYMENT_PROVIDERS
from app.providers.sms import PROVIDERS as SMS_PROVIDERS
from app.setback import account_holds
from app.setback.account_holds import AccountHold
from app.states import result_codes

_WHY = {
    "no_list": "一覧で照会する方法がないサービスのため",
    "unusable": "認証情報が登録されていないか、使えないため",
    "flapping": "照会するたびに一覧の内容が変わり、そろわなかったため",
    "incomplete": "一覧に、こちらに記録のある送信が載っていなかったため",
    "endless": "一覧が長すぎて、終わりまで読めなかったため",
    "too_slow": "一覧を15分以内に読み終えられなかったため",
    "unreadable_number": "一覧に、読み取れない電話番号があったため",
    "of_nobody": "共用アカウントの一覧に、どの企業のものか分からないSMSがあったため",
    "unknown": "照会できなかったため",
}
_SHARED = "共用アカウント"
_KINDS = {account_holds.SMS: "SMSアカウント", account_holds.PAYMENT: "決済アカウント"}
_LABELS = {
    account_holds.SMS: {name: provider.label for name, provider in SMS_PROVIDERS.items()},
    account_holds.PAYMENT: {name: provider.label for name, provider in PAYMENT_PROVIDERS.items()},
}


@dataclass(frozen=True, slots=True)
class Wait:
    """An account that wasn't asked: what happened, what to compare, what then, and where a manager says it is done."""

    kind: str
    account_id: int
    title: str
    happened: str
    compare: Sequence[str]
    then: Sequence[str]
    url: str


def waits(campaign: Campaign) -> list[Wait]:
    """Return what a campaign waits for, or would wait for once it is launched."""
    return [wait(one) for one in account_holds.awaited(campaign)]


def wait(hold: AccountHold) -> Wait:
    """Return what is said of one hold."""
    row = account_holds.account_of(hold.kind, hold.account_id)
    if row is None:
        return Wait(
            hold.kind,
            hold.account_id,
            "復元の前の送信や支払い",
            "データベースを復元する前に送られたか、支払われたかを、サービスに照会できませんでした。",
            ("送信サービスと決済サイトの管理画面の履歴を、この配信の送信先と見くらべてください。",),
            ("すでに送られた方や支払った方がいるときは、許可しないでください。",),
            "",
        )
    service = _SHARED if _is_shared(hold) else _LABELS[hold.kind][row.provider]
    span = f"{display.jst(row.restore_since)} から {display.jst(row.restore_until)} まで（日本時間）"
    code = row.restore_hold.removeprefix(f"{account_holds.NEW}_")
    why = _WHY.get(code) or f"照会に失敗したため（{result_codes.words(code)}）"
    what = "送られたSMS" if hold.kind == account_holds.SMS else "支払い"
    happened = (
        f"データベースを復元したため、{span}に{what}の記録が欠けているかもしれません。{why}、確かめられていません。"
    )
    if account_holds.is_new(row.restore_hold):
        happened = _new(row.restore_hold, span, why)
    return Wait(
        hold.kind,
        hold.account_id,
        f"{_KINDS[hold.kind]}「{row.name}」（{service}）",
        happened,
        _sms_compare(service, span) if hold.kind == account_holds.SMS else _payment_compare(service, span),
        _SMS_THEN if hold.kind == account_holds.SMS else _PAYMENT_THEN,
        url_for("restored.account", kind=hold.kind, account_id=hold.account_id),
    )


def _new(code: str, span: str, why: str) -> str:
    """Return what is said of an account that was registered after a restore."""
    said = f"データベースの復元のあとに登録されました。{span}に、同じ契約でSMSが送られていたかもしれません。"
    if code == account_holds.NEW:
        return f"{said}いま自動で照会しています。数分で終わり、確かめられれば自動で送信が始まります。"
    return f"{said}{why}、確かめられていません。アカウントの画面で認証情報を確かめて保存すると、もう一度照会します。"


def _is_shared(hold: AccountHold) -> bool:
    if hold.kind != account_holds.SMS:
        return False
    allotted = (SmsAccount.id == hold.account_id, SmsAccount.shared_account_id.is_not(None))
    return rows(SmsAccount).filter(*allotted).first() is not None


def _sms_compare(service: str, span: str) -> Sequence[str]:
    if service == _SHARED:
        return (
            f"運営担当者に連絡して、{span}に御社のSMSがこのアカウントで送られていないかを、確かめてもらいます。",
            "送られていたときは、その電話番号と、止まっている配信の名簿（「送信待ち」の方）の電話番号を見くらべます。",
        )
    numbers = (
        "履歴の電話番号と、止まっている配信の名簿（「送信待ち」の方）の電話番号を見くらべます"
        "（同じ名簿を、別の配信で送っていたものも含みます）。"
    )
    return (f"{service}の管理画面で、{span}の送信履歴を開きます。", numbers)


def _payment_compare(service: str, span: str) -> Sequence[str]:
    numbers = (
        "完了した取引の金額と、当社の参照番号（PayPayでは加盟店決済ID。2つ目の数字が送信先ごとに違います）を、"
        "この配信の送信先の画面の「支払いの記録」と見くらべます。"
    )
    return (f"{service}の管理画面で、{span}の取引履歴を開きます。", numbers)


_SMS_THEN = (
    "同じ電話番号が1つもなければ、送信を許可できます。",
    "同じ電話番号があれば許可せず、この配信を取り消して、その方を除いた名簿で新しい配信をつくってください。",
)
_PAYMENT_THEN = (
    "取引履歴にあって、こちらで「支払済」でない方は、先にその方の画面の「消込（ほかの方法で入金済み）」で支払済にします。",
    "すべて合ったら、送信と支払いの受付を許可します。",
)
