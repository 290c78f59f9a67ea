"""Readiness of a campaign: what keeps it from being launched, step by step, and what its accounts and contract lack."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from app.accounts import AddressGone, Unusable, for_payment, for_sms
from app.campaigns import preflight, preflight_result, schedule, standing_line
from app.extensions import db
from app.models import Campaign, Import, PaymentAccount, Recipient, SmsAccount
from app.problems import Kind, Problem
from app.states.vocabulary import ImportState, TenantState

_NO_SMS_ACCOUNT = Kind("sms_account_not_chosen", "SMSの送信元アカウントが選ばれていません。")
_NO_SMS_ACCOUNT_YET = Kind(
    "sms_account_not_registered",
    "SMSの送信元アカウントがまだ登録されていません。自社の管理者が、「設定」の「SMSアカウント」で登録します。",
)
_SMS_ACCOUNT_STOPPED = Kind(
    "sms_account_stopped", "選ばれているSMSアカウントは停止中です。別のアカウントを選んでください。"
)
_SMS_ACCOUNT_UNUSABLE = Kind(
    "sms_account_without_credentials",
    "選ばれているSMSアカウントに認証情報がありません。管理者に設定を依頼してください。",
)
_SMS_ADDRESS_GONE = Kind(
    "sms_account_address_gone",
    "選ばれているSMSアカウントの接続先が、運営担当者の一覧から外れています。別のアカウントを選ぶか、管理者にお知らせください。",
)
_NO_PAYMENT_ACCOUNT = Kind("payment_account_not_chosen", "支払いを受け取る決済アカウントが選ばれていません。")
_NO_PAYMENT_ACCOUNT_YET = Kind(
    "payment_account_not_registered",
    "支払いを受け取る決済アカウントがまだ登録されていません。自社の管理者が、「設定」の「決済アカウント」で登録します。",
)
_PAYMENT_ACCOUNT_STOPPED = Kind(
    "payment_account_stopped", "選ばれている決済アカウントは停止中です。別のアカウントを選んでください。"
)
_PAYMENT_ACCOUNT_UNUSABLE = Kind(
    "payment_account_without_credentials",
    "選ばれている決済アカウントに認証情報がありません。管理者に設定を依頼してください。",
)
_PAYMENT_ADDRESS_GONE = Kind(
    "payment_account_address_gone",
    "選ばれている決済アカウントの接続先が、運営担当者の一覧から外れています。別のアカウントを選ぶか、管理者にお知らせください。",
)
_NO_CONTRACT = Kind(
    "contract_not_active", "ご契約が利用中ではないため送信できません。運営担当者にお問い合わせください。"
)
_NO_LIST = Kind("list_missing", "名簿がまだ取り込まれていません。")
_LIST_ON_ITS_WAY = Kind("list_import_running", "名簿を取り込んでいます。終わるまでお待ちください。")
_NOT_CHECKED = Kind("check_missing", "送信前の確認がまだです。")
_CHECK_VOID = Kind("check_void", "送信前の確認のあとで内容か名簿が変わりました。もう一度確認してください。")


@dataclass(frozen=True, slots=True)
class Missing:
    """The gaps of a step (write, list, check)."""

    step: str
    problem: Problem


def has_people(campaign_id: int) -> bool:
    """Return whether the campaign has any recipient."""
    return db.session.scalar(select(select(Recipient.id).where(Recipient.campaign_id == campaign_id).exists())) or False


def missing(campaign: Campaign) -> list[Missing]:
    """List what keeps the campaign from being launched, step by step."""
    found = [Missing("write", problem) for problem in _missing_in_writing(campaign)]
    if campaign.standing:
        found += [Missing("write", problem) for problem in standing_line.problems(campaign)]
    elif not has_people(campaign.id):
        found.append(Missing("list", _NO_LIST()))
    elif import_running(campaign.id):
        found.append(Missing("list", _LIST_ON_ITS_WAY()))
    checked = preflight_result.current(campaign)
    if checked is None:
        # a check that was made is void once anything it looked at has changed
        found.append(Missing("check", _CHECK_VOID() if campaign.preflight else _NOT_CHECKED()))
    else:
        found += [Missing("check", problem) for problem in checked.problems]
    return found


def _missing_in_writing(campaign: Campaign) -> list[Problem]:
    found = preflight.text_problems(campaign) + missing_to_send(campaign)
    if campaign.payment_required:
        found += _missing_for_payment(campaign)
    return found + schedule.problems(campaign, datetime.now(UTC))


def missing_to_send(campaign: Campaign) -> list[Problem]:
    """Return what the campaign's SMS account lacks."""
    account = campaign.sms_account
    if account is None:
        return [_NO_SMS_ACCOUNT() if _has_any(campaign, SmsAccount) else _NO_SMS_ACCOUNT_YET()]
    if not account.active:
        return [_SMS_ACCOUNT_STOPPED()]
    try:
        for_sms(account)
    except AddressGone:
        return [_SMS_ADDRESS_GONE()]
    except Unusable:
        return [_SMS_ACCOUNT_UNUSABLE()]
    return []


def _has_any(campaign: Campaign, kind: type[SmsAccount | PaymentAccount]) -> bool:
    """Return whether the company has an account that could be chosen."""
    mine = select(kind.id).where(kind.tenant_id == campaign.tenant_id, kind.active)
    return db.session.scalar(select(mine.exists())) or False


def missing_contract(campaign: Campaign) -> list[Problem]:
    """Return what the company's contract lacks."""
    if campaign.tenant.state in {TenantState.TRIAL, TenantState.ACTIVE}:
        return []
    return [_NO_CONTRACT()]


def _missing_for_payment(campaign: Campaign) -> list[Problem]:
    account = campaign.payment_account
    if account is None:
        return [_NO_PAYMENT_ACCOUNT() if _has_any(campaign, PaymentAccount) else _NO_PAYMENT_ACCOUNT_YET()]
    if not account.active:
        return [_PAYMENT_ACCOUNT_STOPPED()]
    try:
        for_payment(account)
    except AddressGone:
        return [_PAYMENT_ADDRESS_GONE()]
    except Unusable:
        return [_PAYMENT_ACCOUNT_UNUSABLE()]
    return []


def import_running(campaign_id: int) -> bool:
    """Return whether a list of the campaign is on its way in."""
    running = select(Import.id).where(
        Import.campaign_id == campaign_id, Import.state.in_((ImportState.QUEUED, ImportState.RUNNING))
    )
    return db.session.scalar(select(running.exists())) or False
