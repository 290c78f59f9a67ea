"""Signs that the database was set back, and messages that left meanwhile."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to


class Installation(Model):
    """The one row about this installation, which every scope may read.

    `key` is random and made once, `epoch` rises with each restore that was accepted (`flask after-restore`). `system`
    and `timeline` are the server's and the line of its history on which the database is known to run. While `held_why`
    (`app.setback.known.Why`) isn't empty nothing is sent or charged; `held_since` is the database's last sign of life
    before, so what left since may be missing. `restored_since` and `restored_until` are the time that the last restores
    lost: an account that is registered later is asked about it. `held_event_id` is the last event of before the hold;
    `feed_eras` name, for each restore, its epoch and that event: later ones have another server's transaction numbers.
    """

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("only_one", name="only_one"),)

    only_one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    key: Mapped[str] = mapped_column(Text)
    epoch: Mapped[int] = mapped_column(server_default="1")
    system: Mapped[str] = mapped_column(Text)
    timeline: Mapped[int] = mapped_column(BigInteger)
    held_why: Mapped[str] = mapped_column(Text, server_default="")
    held_at: Mapped[Time | None]
    held_since: Mapped[Time | None]
    held_facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    asking_until: Mapped[Time | None]
    held_event_id: Mapped[int | None] = mapped_column(BigInteger)
    feed_eras: Mapped[list[list[int]]] = mapped_column(JSONB, server_default="[]")
    restored_since: Mapped[Time | None]
    restored_until: Mapped[Time | None]
    created_at: Mapped[CreatedAt]


class BeatSlot(Model):
    """One of the beat's counters (`app.setback.beat`): how often it was raised, and when last."""

    __tablename__ = "beat"
    __table_args__ = ({"postgresql_with": {"fillfactor": "20"}},)

    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    at: Mapped[Time | None]


class MissedMessage(TenantOwned, Model):
    """An SMS of ours that left for somebody whom the restored database doesn't know.

    `phone_index` is the number's blind index. Nobody with that number is sent to before a manager released it.
    """

    __tablename__ = "missed_message"
    __table_args__ = owned(
        refers_to("sms_account", "sms_account_id"),
        Index("uq_missed_message_provider_id", "sms_account_id", "provider_id", unique=True),
        Index("ix_missed_message_open", "tenant_id", "phone_index", postgresql_where=text("released_at IS NULL")),
    )

    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    provider_id: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    left_at: Mapped[Time]
    found_at: Mapped[CreatedAt]
    released_at: Mapped[Time | None]
    released_by: Mapped[str] = mapped_column(Text, server_default="")
