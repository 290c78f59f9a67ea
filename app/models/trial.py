"""Trial messages: a campaign's SMS on the clerk's own phone, before anybody else gets it."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to


class TrialMessage(TenantOwned, Model):
    """テスト送信: one SMS, nobody's of the list.

    The row is committed before the request leaves.

    `reference` is the provider's name for it (`app.references`), which no receipt is matched to; null in rows of
    before.
    """

    __tablename__ = "trial_message"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        refers_to("sms_account", "sms_account_id"),
        CheckConstraint("state IN ('sending', 'accepted', 'undelivered', 'unknown')", name="state"),
        Index("ix_trial_message_campaign_id_id", "campaign_id", "id"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    sms_account_id: Mapped[int] = mapped_column(BigInteger)
    phone_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    reference: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="sending")
    code: Mapped[str] = mapped_column(Text, server_default="")
    created_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
    answered_at: Mapped[Time | None]
