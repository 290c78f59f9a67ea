"""証跡: who did what, when.

Read-only; operators see the platform's own, managers their company's.
"""

from collections.abc import Callable, Mapping

from flask import g, url_for
from markupsafe import Markup
from sqlalchemy.orm import Query

from admin_views.framework import display
from admin_views.framework.filters import Choice, Days
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import as_id, rows
from app import tenancy
from app.models import AuditEntry, User
from app.values.suppression_reasons import REASON_WORDS

ACTS = {
    "sign_in": "サインイン",
    "sign_in_rest": "サインインの一時停止（続けて失敗）",
    "password": "パスワードの変更",
    "factor_on": "二段階認証の設定",
    "factor_off": "二段階認証の解除",
    "recovery_codes": "回復コードの作り直し",
    "end_session": "サインインの終了",
    "launch": "送信の開始",
    "schedule": "送信の予約",
    "ask_approval": "承認の依頼",
    "approve": "承認",
    "send_back": "差し戻し",
    "take_back": "承認の依頼の取り下げ",
    "withdraw": "予約の取りやめ",
    "pause": "一時停止",
    "resume": "再開",
    "resume_checks": "回答の受け付けの再開",
    "after_restore": "復元後の取り込み",
    "release_restored": "復元の確認待ちの解除",
    "release_account": "アカウントの復元の確認待ちの解除",
    "cancel": "取消",
    "end_standing": "常設配信の終了",
    "trial": "テスト送信",
    "resend": "不達の人への再送",
    "remind": "リマインドの送信",
    "settle_as_sent": "照会中を送信済みとした",
    "settle_call_off": "照会中をもう送らないとした",
    "settle_again": "照会中の再送",
    "settle_doubled": "二重に届いたSMSを対応済みにした",
    "number_send": "同じ番号への上限を超えた送信",
    "number_skip": "同じ番号への保留の取消",
    "discard": "取込の取消",
    "correct_row": "エラーの行を直して追加",
    "amend_recipient": "送信先の修正",
    "exclude_recipient": "送信先を対象外にした",
    "include_recipient": "対象外の送信先を戻した",
    "replace_rows": "前の名簿の行との置き換え",
    "export_status": "結果のダウンロード",
    "export_rejects": "エラー行のダウンロード",
    "order_export": "ファイルの作成の依頼",
    "add_suppression": "送信しない番号の登録",
    "change_suppression": "送信しない番号の変更",
    "end_suppression": "送信しない番号の登録の終了",
    "import_suppressions": "送信しない番号のファイルからの登録",
    "export_suppressions": "送信しない番号のダウンロード",
    "dismiss_suppression": "送信しない番号の候補の却下",
    "reveal_phone": "電話番号の表示",
    "unlock": "ロックの解除",
    "revoke_link": "リンクの無効化",
    "reopen_link": "リンクを元に戻した",
    "renew_link": "期限の切れたリンクの送り直し",
    "refund_payment": "返金",
    "cancel_payment": "支払い手続きの取消",
    "settle_payment": "消込",
    "unsettle_payment": "消込の取消",
    "close_problem": "要確認の支払いを確認済みにした",
    "close_difference": "支払いの差異を対応済みにした",
    "create_api_key": "APIキーの作成",
    "revoke_api_key": "APIキーの無効化",
    "add_api_address": "APIの接続元アドレスの登録",
    "remove_api_address": "APIの接続元アドレスの削除",
    "add_test_number": "試験用の番号の登録",
    "send_test_number_code": "試験用の番号への確認コードの送信",
    "confirm_test_number": "試験用の番号の確認",
    "remove_test_number": "試験用の番号の削除",
    "tenant.create": "企業の登録",
    "tenant.update": "企業の変更",
    "user.create": "利用者の登録",
    "user.update": "利用者の変更",
    "sms_account.create": "SMSアカウントの登録",
    "sms_account.update": "SMSアカウントの変更",
    "shared_account.create": "共用SMSアカウントの登録",
    "shared_account.update": "共用SMSアカウントの変更",
    "allotment.give": "共用SMSアカウントの割当",
    "allotment.change": "共用SMSアカウントの割当の変更",
    "allotment.take_back": "共用SMSアカウントの引き上げ",
    "sender_number.applied": "送信元番号の申請",
    "sender_number.approved": "送信元番号の承認",
    "sender_number.rejected": "送信元番号の却下",
    "sender_number.retired": "送信元番号の廃止",
    "payment_account.create": "決済アカウントの登録",
    "payment_account.update": "決済アカウントの変更",
    "export_layout.create": "レイアウトの作成",
    "export_layout.update": "レイアウトの変更",
    "export_layout.delete": "レイアウトの削除",
    "webhook.create": "通知先の登録",
    "webhook.update": "通知先の変更",
    "webhook.rest": "通知先の休止",
    "webhook.resume": "通知先の再開",
    "webhook.renew_secret": "通知先の署名の鍵の作り直し",
    "webhook.end_secret": "通知先の前の署名の鍵の終了",
    "webhook.ping": "テスト通知",
    "webhook.replay": "通知の送り直し",
    "campaign.create": "配信の作成",
    "campaign.update": "配信の変更",
}
_TARGETS = {
    "campaign": "配信",
    "recipient": "送信先",
    "user": "利用者",
    "tenant": "企業",
    "import": "取込",
    "export": "ファイル",
    "sms_account": "SMSアカウント",
    "shared_account": "共用SMSアカウント",
    "sender_number": "送信元番号",
    "payment_account": "決済アカウント",
    "payment_difference": "支払いの差異",
    "export_layout": "レイアウト",
    "suppression": "送信しない番号",
    "api_key": "APIキー",
    "api_address": "APIの接続元アドレス",
    "test_number": "試験用の番号",
    "webhook": "通知先",
}
# where a target is to be seen: its number stands on no other screen
_PLACES: Mapping[str, Callable[[str], str]] = {
    "sender_number": lambda number: url_for("sender_number.one", sender_number_id=number),
    "webhook": lambda number: url_for("webhook.one", webhook_id=number),
    "campaign": lambda number: url_for("flow.overview", campaign_id=number),
    "recipient": lambda number: url_for("recipient.details_view", id=number),
}
_FIELDS = {
    "name": "名前",
    "email": "メールアドレス",
    "role": "役割",
    "active": "有効・無効",
    "password_hash": "パスワード",
    "totp_sealed": "二段階認証",
    "totp_since": "二段階認証",
    "totp_step": "二段階認証",
    "recovery_digests": "二段階認証",
    "second_factor_required": "二段階認証",
    "state": "状態",
    "contact_phone": "問い合わせ先",
    "contact_hours": "受付時間",
    "about": "企業の紹介",
    "colour": "自社の色",
    "logo": "ロゴ",
    "verifiable": "発信元番号の照会",
    "sender": "送信元の表示",
    "carrier": "携帯会社",
    "number": "送信元番号",
    "settings": "設定",
    "credentials_sealed": "認証情報",
    "test_mode": "種別",
    "sms_text": "SMS本文",
    "page_title": "ページの題名",
    "page_text": "ページの本文",
    "sms_account_id": "SMSアカウント",
    "may_switch": "ほかのアカウントでの送信",
    "takeover_order": "代わりに送る順番",
    "payment_account_id": "決済アカウント",
    "payment_required": "支払い",
    "link_minutes": "有効期限",
    "link_until": "有効期限",
    "max_failures": "回答の失敗回数",
    "send_window": "送信時間帯",
    "daily_cap": "1日の上限",
    "standing": "常設配信",
    "day_limit": "1日に受け付ける上限",
    "rate_per_s": "1秒の上限",
    "approval_above": "承認が要らない件数の上限",
    "price_yen": "SMS1通の料金",
    "witness_phone_sealed": "確認用番号",
    "page_language": "ページの言語",
    "url": "URL",
    "event_types": "通知する出来事",
    "in_order": "順番",
    "form": "ファイルの形",
    "columns": "列",
    "profile": "送信のきまり",
    "starts_at": "送信を始める日時",
    "deadline_at": "送信の締切",
    "retry_times": "再送",
    "retry_after_minutes": "再送",
}


def actor_name(actor: str) -> str:
    """Name who did something: a user, the system, the person written to, a provider."""
    kind, _, number = actor.partition(":")
    if kind == "api_key":
        return f"API（キー{number}）"
    if kind != "user":
        return {"system": "システム", "person": "本人", "provider": "外部サービス"}.get(kind, kind)
    # a page names the same few people again and again
    names: dict[str, str] = g.setdefault("actor_names", {})
    if number not in names:
        user_id = as_id(number)
        user = rows(User).filter(User.id == user_id).one_or_none() if user_id else None
        names[number] = user.name if user else "運営"
    return names[number]


def _target(_view: object, _context: object, entry: AuditEntry, _name: str) -> Markup | str:
    kind, _, number = entry.target.partition(":")
    if kind not in _TARGETS:
        return display.NOTHING
    said = f"{_TARGETS[kind]} {number}"
    if kind not in _PLACES or entry.tenant_id is None:
        return said
    return Markup('<a href="{}">{}</a>').format(_PLACES[kind](number), said)


_REASONS = {str(reason): word for reason, word in REASON_WORDS.items()}


def _detail(_view: object, _context: object, entry: AuditEntry, _name: str) -> str:
    detail = entry.detail or {}
    parts = []
    if "people" in detail:
        parts.append(f"{detail['people']:,}件")
    if "yen" in detail:
        parts.append(display.yen(detail["yen"]))
    if "deliveries" in detail:
        parts.append(f"{detail['deliveries']:,}件")
    if detail.get("skip"):
        parts.append("休止中の出来事は通知しない")
    if "rows" in detail:
        parts.append(f"{detail['rows']:,}行")
    if "network" in detail:
        parts.append(str(detail["network"]))
    if "row" in detail:
        parts.append(f"{detail['row']:,}行目")
    if detail.get("by") == "recovery":
        parts.append("回復コードを使用")
    if "reason" in detail:
        # of a suppression it is one of our words, else what somebody typed
        parts.append(f"理由：{_REASONS.get(detail['reason'], detail['reason'])}")
    parts += list(dict.fromkeys(_FIELDS[name] for name in detail.get("fields", []) if name in _FIELDS))
    return "、".join(parts) or display.NOTHING


class AuditView(SecureModelView[AuditEntry]):
    """証跡."""

    column_list = ("at", "actor", "act", "target", "detail")
    column_filters = [
        Choice(AuditEntry.act, "操作", "act", lambda: list(ACTS.items()), rank=2),
        Days(AuditEntry.at, "日時"),
    ]
    column_sortable_list = ("at",)
    column_labels = {"at": "日時", "actor": "操作した人", "act": "操作", "target": "対象", "detail": "内容"}
    column_formatters = {
        "at": lambda _v, _c, entry, _n: display.jst_exact(entry.at),
        "actor": lambda _v, _c, entry, _n: actor_name(entry.actor),
        "act": display.words_of(ACTS),
        "target": _target,
        "detail": _detail,
    }
    intro = "サインイン、送信、電話番号の表示などの記録です。変更も削除もできません。"
    empty_text = "まだ記録がありません。"

    def __init__(self) -> None:
        super().__init__(AuditEntry, "証跡", endpoint="audit")

    def get_query(self) -> Query[AuditEntry]:
        """Return the company's entries; to operators, those of the platform itself."""
        tenant_id = tenancy.current().tenant_id
        mine = AuditEntry.tenant_id.is_(None) if tenant_id is None else AuditEntry.tenant_id == tenant_id
        return super().get_query().filter(mine)
