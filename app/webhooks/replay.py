"""Send again what was sent before, and a test: a manager's acts upon an endpoint's deliveries.

In: a delivery, all that failed, or a span of days. Out: rows that are due now, and how many. Can't happen here: a
delivery of another company; one that waits made due a second time; an act without an entry in the audit. Each function
commits; the tenant's scope must be open.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, select, update

from app import audit, queues, tenancy
from app.extensions import db
from app.models import WebhookDelivery
from app.problems import Kind, Refused
from app.values.japan_time import TOKYO
from app.webhooks.endpoints import DELIVER, locked
from app.webhooks.event_types import PING

# the most of one act: for more there is the feed, which the receiver reads at its own pace
MOST: Final = 50_000
_MOST_PINGS: Final = 5

_NOTHING = Kind("webhook_nothing_to_replay", "送り直す通知がありません。期間や状態を確かめてください。")
_MANY = Kind(
    "webhook_too_many_to_replay",
    "送り直す通知が{most:,}件を超えます。期間を短くして、何回かに分けてください。",
)
_NO_SPAN = Kind("webhook_span_missing", "送り直す期間の初めの日と終わりの日を入力してください。")
_WAITS = Kind("webhook_delivery_waits", "この通知は送信を待っています。送り直す必要はありません。")
_GONE = Kind("webhook_delivery_not_found", "通知が見つかりません。一覧から選び直してください。")
_PINGED = Kind("webhook_ping_waits", "テスト通知が送信を待っています。少し待ってから、ログで結果を確かめてください。")
_NO_PING = Kind("webhook_ping_replayed", "テスト通知は送り直せません。もう一度「テスト通知を送る」を押してください。")


def ping(endpoint_id: int, *, actor: str) -> int:
    """Have a test sent; return its row. Raises Refused."""
    row = locked(endpoint_id)
    now = datetime.now(UTC)
    waiting = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == row.id, WebhookDelivery.event_id.is_(None), WebhookDelivery.due_at.is_not(None)
    )
    if len(db.session.scalars(waiting.limit(_MOST_PINGS)).all()) >= _MOST_PINGS:
        raise Refused(_PINGED())
    made = WebhookDelivery(
        tenant_id=row.tenant_id, endpoint_id=row.id, event_type=PING, event_at=now, created_at=now, due_at=now
    )
    db.session.add(made)
    db.session.flush()
    delivery_id = made.id
    audit.record(db.session, actor=actor, act="webhook.ping", target=f"webhook:{row.id}")
    db.session.commit()
    queues.offer(DELIVER)
    return delivery_id


def one(endpoint_id: int, delivery_id: int, *, actor: str) -> None:
    """Send a delivery again. Raises Refused."""
    locked(endpoint_id)
    found = db.session.scalar(
        select(WebhookDelivery).where(
            WebhookDelivery.id == delivery_id,
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.tenant_id == tenancy.current().tenant_id,
        )
    )
    if found is None:
        raise Refused(_GONE())
    if found.due_at is not None:
        raise Refused(_WAITS())
    if found.event_id is None:
        raise Refused(_NO_PING())
    _again(endpoint_id, WebhookDelivery.id == delivery_id, actor=actor)


def failed(endpoint_id: int, *, actor: str) -> int:
    """Send all that were given up again; return how many. Raises Refused."""
    locked(endpoint_id)
    return _again(endpoint_id, ~WebhookDelivery.delivered, actor=actor)


def span(endpoint_id: int, first: date | None, last: date | None, *, actor: str) -> int:
    """Send all of these days again, both in Japan and included; return how many. Raises Refused."""
    if first is None or last is None:
        raise Refused(_NO_SPAN())
    first, last = min(first, last), max(first, last)
    locked(endpoint_id)
    begins = datetime.combine(first, datetime.min.time(), TOKYO)
    ends = datetime.combine(last, datetime.min.time(), TOKYO) + timedelta(days=1)
    within = (WebhookDelivery.event_at >= begins) & (WebhookDelivery.event_at < ends)
    return _again(endpoint_id, within, actor=actor)


def _again(endpoint_id: int, which: ColumnElement[bool], *, actor: str) -> int:
    chosen = (
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.tenant_id == tenancy.current().tenant_id,
            WebhookDelivery.due_at.is_(None),
            WebhookDelivery.event_id.is_not(None),
            which,
        )
        .order_by(WebhookDelivery.id)
        .limit(MOST + 1)
    )
    ids = db.session.scalars(chosen).all()
    if not ids:
        raise Refused(_NOTHING())
    if len(ids) > MOST:
        raise Refused(_MANY(most=MOST))
    db.session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(ids))
        .values(due_at=datetime.now(UTC), delivered=False, tries=0, fault="", replays=WebhookDelivery.replays + 1)
    )
    audit.record(
        db.session,
        actor=actor,
        act="webhook.replay",
        target=f"webhook:{endpoint_id}",
        detail={"deliveries": len(ids)},
    )
    db.session.commit()
    queues.offer(DELIVER)
    return len(ids)
