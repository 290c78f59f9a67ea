"""How endpoints and deliveries stand, in words."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from flask import url_for
from markupsafe import Markup

from admin_views.framework import display
from admin_views.framework.access import may_open
from admin_views.framework.scoping import rows
from app.models import WebhookDelivery, WebhookEndpoint

RESTS: Mapping[str, str] = {
    "asked": "休止",
    "failing": "休止（5日間届かず）",
    "gone": "休止（受信側が終了）",
}
WHY: Mapping[str, str] = {
    "asked": "管理者が休止しました。再開すると、休止中の出来事も通知できます。",
    "failing": (
        "5日間、1件も届かなかったため、自動で休止しました。受信側のサーバーを直し、テスト通知で確かめてから再開してください。"
        "休止中の出来事は失われていません。"
    ),
    "gone": (
        "受信側が「終了した」（410）と答えたため、休止しました。URLが正しいか受信側に確かめ、必要なら変更してから再開してください。"
        "休止中の出来事は失われていません。"
    ),
}
# why a try failed, and what to look at
_FAULTS: Mapping[str, str] = {
    "http": "受信側がエラーを返しました。受信側のログを確かめてください。",
    "redirect": "受信側が別のURLへ転送しようとしました。転送先のURLを通知先に登録してください。",
    "gone": "受信側が「終了した」と答えました。",
    "timeout": "15秒以内に返事がありませんでした。受信側は、受け取ったらすぐに返事をするようにしてください。",
    "refused": "受信側に接続できませんでした。サーバーが動いているか確かめてください。",
    "dns": "URLのホスト名が見つかりませんでした。URLを確かめてください。",
    "tls": "暗号化された接続を開けませんでした。受信側の証明書を確かめてください。",
    "address": "社内や端末の中だけのアドレスを指しているため、送りませんでした。URLを確かめてください。",
    "skipped": "再開のときに、送らないことにしました。",
}
_CUT = "返事の途中で接続が切れました。受信側のログを確かめてください。"
_NAMED = 3


def state_badge(row: WebhookEndpoint) -> Markup:
    """Return an endpoint's state with its colour."""
    if row.rests_because:
        return display.badge("paused" if row.rests_because == "asked" else "failed", RESTS[row.rests_because])
    if row.failing_since is not None:
        return display.badge("expired", f"届いていません（{display.jst(row.failing_since)}から）")
    return display.badge("active", "有効")


def outcome(row: WebhookDelivery) -> Markup:
    """Return how a delivery stands, with its colour."""
    if row.due_at is not None:
        return display.badge("queued", f"待ち（{display.jst_exact(row.due_at)}）")
    if row.delivered:
        return display.badge("delivered", "届いた")
    return display.badge("failed", "届かず")


def fault(row: WebhookDelivery) -> str:
    """Describe why the last try failed; empty where it didn't."""
    return _FAULTS.get(row.fault, _CUT) if row.fault else ""


def notices() -> Iterator[tuple[str, str, str]]:
    """Return what home tells of endpoints, with a button and where it leads; to managers alone."""
    if not may_open("webhook"):
        return
    resting = rows(WebhookEndpoint).filter(WebhookEndpoint.rests_because.in_(("failing", "gone")))
    for row in resting.order_by(WebhookEndpoint.id).limit(_NAMED):
        why = "5日間届かなかったため" if row.rests_because == "failing" else "受信側が終了したと答えたため"
        text = f"通知先「{row.name}」は、{why}休止しています。"
        yield text, "わけを見て再開する", url_for("webhook.one", webhook_id=row.id)
    for row in rows(WebhookEndpoint).filter(WebhookEndpoint.rests_because == "").order_by(WebhookEndpoint.id):
        given_up = rows(WebhookDelivery).filter(
            WebhookDelivery.endpoint_id == row.id,
            WebhookDelivery.due_at.is_(None),
            ~WebhookDelivery.delivered,
            WebhookDelivery.event_id.is_not(None),
            WebhookDelivery.fault != "skipped",
        )
        if given_up.first() is not None:
            url = url_for("webhook.log", webhook_id=row.id, only="failed")
            yield f"通知先「{row.name}」に届けられなかった通知があります。", "ログを見て送り直す", url


def alive_until(row: WebhookEndpoint) -> datetime | None:
    """Return until when the secret before signs too; None where it doesn't."""
    if row.former_until is None or row.former_until <= datetime.now(UTC):
        return None
    return row.former_until
