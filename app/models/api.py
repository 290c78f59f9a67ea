"""A company's own systems at the API: keys, addresses, answers that were given, what is left of limits, refusals."""

from ipaddress import IPv4Network, IPv6Network

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, CIDR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import CreatedAt, TenantOwned, Time, owned
from app.models.user import User


class ApiKey(TenantOwned, Model):
    """APIキー: shown once, when it is made; its digest stands here.

    `name` is the system that holds it: two of one name and mode may live at once, while one takes the other's place.
    `public_id` stands in the key itself and names it on screens. `created_by` is the user in whose name it acts.
    """

    __tablename__ = "api_key"
    __table_args__ = owned(
        CheckConstraint("mode IN ('live', 'test')", name="mode"),
        CheckConstraint("scopes <@ ARRAY['send', 'read', 'read-personal', 'pay', 'manage']", name="scopes"),
        CheckConstraint("octet_length(digest) = 32", name="digest"),
    )

    public_id: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Time | None]
    revoked_at: Mapped[Time | None]
    # to the minute
    last_used_at: Mapped[Time | None]

    creator: Mapped[User] = relationship(viewonly=True)

    def __str__(self) -> str:
        return self.name


class ApiAddress(TenantOwned, Model):
    """APIの接続元: a network from which a company's keys are taken; without any, none is."""

    __tablename__ = "api_address"
    __table_args__ = owned(UniqueConstraint("tenant_id", "network"))

    network: Mapped[IPv4Network | IPv6Network] = mapped_column(CIDR)
    note: Mapped[str] = mapped_column(Text, server_default="")
    created_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]

    def __str__(self) -> str:
        return str(self.network)


class ApiAnswer(TenantOwned, Model):
    """The answer to a request that did something, written in the transaction that did it.

    `key_digest` is of its Idempotency-Key, `fingerprint` of what was asked.
    """

    __tablename__ = "api_answer"
    __table_args__ = owned(
        UniqueConstraint("tenant_id", "key_digest"),
        Index("ix_api_answer_created_at", "created_at"),
    )

    key_digest: Mapped[bytes] = mapped_column(LargeBinary)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    api_key_id: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]


class ApiRate(Model):
    """The units left to a key or a company (`subject`) at a moment; not logged, so that counting costs no disk."""

    __tablename__ = "api_rate"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    units_left: Mapped[float]
    refused: Mapped[bool] = mapped_column(server_default=text("false"))
    at: Mapped[Time]


class ApiRefusal(TenantOwned, Model):
    """The first attempt of an hour from an address that was turned away, of a company whose key was named."""

    __tablename__ = "api_refusal"
    __table_args__ = owned(
        UniqueConstraint("tenant_id", "hour", "address"),
        CheckConstraint("reason IN ('key', 'address', 'company')", name="reason"),
        Index("ix_api_refusal_hour", "hour"),
    )

    # as it is shown: of IPv6 the network that one customer has; empty where no proxy told it
    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    public_id: Mapped[str] = mapped_column(Text)
    hour: Mapped[Time]


class TestNumber(TenantOwned, Model):
    """試験用の番号: a phone of the company's own, to which alone a test key sends.

    It counts once its owner has typed the code that was sent to it: `code_digest` is of that code, `tries` counts wrong
    ones.
    """

    __test__ = False  # pytest collects what is called so
    __tablename__ = "test_number"
    __table_args__ = owned(
        UniqueConstraint("tenant_id", "phone_index"),
        CheckConstraint("octet_length(phone_index) = 16", name="phone_index"),
    )

    phone_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    owner: Mapped[str] = mapped_column(Text)
    code_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    code_sent_at: Mapped[Time | None]
    tries: Mapped[int] = mapped_column(server_default="0")
    confirmed_at: Mapped[Time | None]
    created_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("app_user.id"))
    created_at: Mapped[CreatedAt]

    def __str__(self) -> str:
        return self.owner
