"""Campaigns, and the questions that prove who reads them."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.account import PaymentAccount, SmsAccount
from app.models.base import CreatedAt, TenantOwned, Time, owned, refers_to
from app.models.tenant import Tenant
from app.models.user import User


class Campaign(TenantOwned, Model):
    """配信: one text with its questions, sent to the people of its lists.

    A standing one (常設配信) takes people one by one for years. Each version of its words is a campaign of its own:
    `line_id` is the first version's, null for that one itself; the campaigns of its lists bear it too, which are not
    `standing`. From `ended_at` on it takes nobody in; `day_limit` is how many it takes on a day of Japan's calendar.
    """

    __tablename__ = "campaign"
    __table_args__ = owned(
        refers_to("sms_account", "sms_account_id"),
        refers_to("sms_account", "standby_account_id"),
        refers_to("payment_account", "payment_account_id"),
        CheckConstraint("max_failures BETWEEN 3 AND 10", name="max_failures"),
        CheckConstraint("(link_minutes IS NULL) <> (link_until IS NULL)", name="one_validity"),
        CheckConstraint("link_minutes BETWEEN 5 AND 527040", name="link_minutes"),
        CheckConstraint("page_language IN ('ja', 'en')", name="page_language"),
        CheckConstraint("profile IN ('normal', 'collection')", name="profile"),
        CheckConstraint("retry_times BETWEEN 0 AND 5", name="retry_times"),
        CheckConstraint("retry_after_minutes BETWEEN 5 AND 1440", name="retry_after_minutes"),
        refers_to("campaign", "line_id"),
        CheckConstraint("day_limit > 0", name="day_limit"),
        CheckConstraint("NOT standing OR (link_until IS NULL AND day_limit IS NOT NULL)", name="standing"),
        Index("ix_campaign_line_id", "tenant_id", "line_id", postgresql_where=text("line_id IS NOT NULL")),
        Index("ix_campaign_standing", "tenant_id", "id", postgresql_where=text("standing")),
        Index("ix_campaign_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        Index("ix_campaign_tenant_id_state_id", "tenant_id", "state", "id"),
        Index("ix_campaign_tenant_id_served_at", "tenant_id", "served_at"),
        Index("ix_campaign_stopped", "tenant_id", "id", postgresql_where=text("checks_stopped_at IS NOT NULL")),
        Index("ix_campaign_restore_hold", "tenant_id", "id", postgresql_where=text("restore_hold <> ''")),
        Index("ix_campaign_check_due_at", "check_due_at", postgresql_where=text("check_due_at IS NOT NULL")),
        Index("ix_campaign_uncounted", "tenant_id", postgresql_where=text("counted_at IS NULL")),
        Index("ix_campaign_starts_at", "starts_at", postgresql_where=text("state = 'scheduled'")),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    # random; begins the references of people whose link has no secret
    key: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="draft")
    sms_account_id: Mapped[int | None] = mapped_column(BigInteger)
    # whether another account of the company's, with its own sender, may take over; the one that does at the moment
    may_switch: Mapped[bool] = mapped_column(server_default=text("false"))
    standby_account_id: Mapped[int | None] = mapped_column(BigInteger)
    payment_account_id: Mapped[int | None] = mapped_column(BigInteger)
    sms_text: Mapped[str] = mapped_column(Text, server_default="")
    page_title: Mapped[str] = mapped_column(Text, server_default="")
    page_text: Mapped[str] = mapped_column(Text, server_default="")
    page_language: Mapped[str] = mapped_column(Text, server_default="ja")
    # while set nobody's answers are taken: far too many were wrong (`app.identity.guard`)
    checks_stopped_at: Mapped[Time | None]
    # wrong answers before this moment no longer count
    checks_watched_from: Mapped[Time | None]
    payment_required: Mapped[bool] = mapped_column(server_default=text("false"))
    link_minutes: Mapped[int | None] = mapped_column(server_default="20160")
    link_until: Mapped[Time | None]
    max_failures: Mapped[int] = mapped_column(server_default="5")
    # narrows the company's (`app.campaigns.send_windows`)
    send_window: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # 'collection' (督促) keeps to 8:00-21:00, whatever the windows say
    profile: Mapped[str] = mapped_column(Text, server_default="normal")
    starts_at: Mapped[Time | None]
    # nothing is sent from this moment on
    deadline_at: Mapped[Time | None]
    # how often an SMS that failed for a passing cause is tried again, and how long after at least
    retry_times: Mapped[int] = mapped_column(server_default="3")
    retry_after_minutes: Mapped[int] = mapped_column(server_default="60")
    # rises with each change of content
    revision: Mapped[int] = mapped_column(server_default="0")
    # the last check over every row (`app.campaigns.preflight_result.Preflight`), bound to the content by its digest
    preflight: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    # a check is due, or under way: due again then if its worker dies (`app.campaigns.ordered_checks`)
    check_due_at: Mapped[Time | None]
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
    asked_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    asked_at: Mapped[Time | None]
    # the digest that a second person is asked to approve
    asked_digest: Mapped[str] = mapped_column(Text, server_default="")
    approved_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    returned_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    # why the request was sent back
    returned_reason: Mapped[str] = mapped_column(Text, server_default="")
    launched_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    launched_at: Mapped[Time | None]
    completed_at: Mapped[Time | None]
    # when a worker last took a slice of it: of a company's campaigns, the one that waited longest is next
    served_at: Mapped[Time | None]
    # not empty: nothing is sent, an account could not be asked after a restore (`app.setback.account_holds`)
    restore_hold: Mapped[str] = mapped_column(Text, server_default="")
    # when its totals were last compared with a count; null: they lack what was before them (`app.reports.totals`)
    counted_at: Mapped[CreatedAt | None]
    standing: Mapped[bool] = mapped_column(server_default=text("false"))
    line_id: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[Time | None]
    day_limit: Mapped[int | None]

    tenant: Mapped[Tenant] = relationship(viewonly=True)
    sms_account: Mapped[SmsAccount | None] = relationship(
        foreign_keys=[sms_account_id], primaryjoin="Campaign.sms_account_id == SmsAccount.id"
    )
    standby_account: Mapped[SmsAccount | None] = relationship(
        foreign_keys=[standby_account_id], primaryjoin="Campaign.standby_account_id == SmsAccount.id", viewonly=True
    )
    payment_account: Mapped[PaymentAccount | None] = relationship(
        foreign_keys=[payment_account_id], primaryjoin="Campaign.payment_account_id == PaymentAccount.id"
    )
    questions: Mapped[list["Question"]] = relationship(
        back_populates="campaign",
        order_by="Question.position",
        cascade="all, delete-orphan",
        foreign_keys="Question.campaign_id",
        primaryjoin="Campaign.id == Question.campaign_id",
    )
    author: Mapped[User | None] = relationship(foreign_keys=[created_by])

    def __str__(self) -> str:
        return self.name


class StandingDay(TenantOwned, Model):
    """How many people a standing campaign took in on a day of Japan's calendar; `campaign_id` is its first version."""

    __tablename__ = "standing_day"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        UniqueConstraint("campaign_id", "day"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[date]
    people: Mapped[int]


class Question(TenantOwned, Model):
    """設問. `position` is 1 to 4 and unique within the campaign: the database allows no fifth.

    `column_name` names the list's column that holds the right answers, where it differs from the label; `choices` has
    a line for each choice; `kana` says whether a text answer tells hiragana from katakana, `variants_alike` whether it
    takes 髙 and 高 for one letter.
    """

    __tablename__ = "question"
    __table_args__ = owned(
        refers_to("campaign", "campaign_id", ondelete="CASCADE"),
        UniqueConstraint("campaign_id", "position", deferrable=True, initially="DEFERRED"),
        CheckConstraint("position BETWEEN 1 AND 4", name="at_most_four"),
        CheckConstraint("kind IN ('text', 'digits', 'date', 'postcode', 'last4', 'choice')", name="kind"),
        CheckConstraint("kana IN ('as_written', 'kana')", name="kana"),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenant.id"))
    campaign_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]
    label: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="text")
    column_name: Mapped[str] = mapped_column(Text, server_default="")
    kana: Mapped[str] = mapped_column(Text, server_default="as_written")
    choices: Mapped[str] = mapped_column(Text, server_default="")
    variants_alike: Mapped[bool] = mapped_column(server_default="false")

    campaign: Mapped[Campaign] = relationship(
        back_populates="questions", foreign_keys=[campaign_id], primaryjoin="Campaign.id == Question.campaign_id"
    )

    def __str__(self) -> str:
        return self.label
