"""The extensions, created here and bound in `create_app`."""

import socket
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

import redis
from flask import Response, abort, current_app, request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter._extension import LimiterContext
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from app import redis_silence
from app.vault import Vault


class Base(DeclarativeBase):
    """The base of all tables; constraints are named, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# These skip checks that each extension makes at each request; they took longer than a link's look-up.


class QuickLimiter(Limiter):
    """Passes the endpoints that nothing limits."""

    unlimited: frozenset[str] = frozenset({"public.welcome", "sms_callbacks.receipt"})
    _nothing = LimiterContext()

    @property
    def context(self) -> LimiterContext:
        """Return what is known of the request's limits; where there are none, nothing is noted."""
        return self._nothing if request.endpoint in self.unlimited else super().context

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:  # noqa: FBT001, FBT002 - Flask-Limiter's own
        if request.endpoint not in self.unlimited:
            super()._check_request_limit(callable_name, in_middleware)


class QuickCSRF(CSRFProtect):
    """Asks of the method first: to look changes nothing."""

    def protect(self, apply_exemptions: bool = False) -> None:  # noqa: FBT001, FBT002 - Flask-WTF's own
        """Check the request's token where its method needs one."""
        if request.method in current_app.config["WTF_CSRF_METHODS"]:
            try:
                super().protect(apply_exemptions)
            except AttributeError:
                if None not in request.form:
                    raise
                abort(HTTPStatus.BAD_REQUEST)  # a part of a form without a name, which no browser sends


class QuickLogin(LoginManager):
    """Keeps nobody signed in beyond the session, so that there is no such cookie to renew."""

    def _update_remember_cookie(self, response: Response) -> Response:
        return response


# asked for after 10 s without a word, given up after 15 s without an acknowledgement; where the system knows them
_KEEPALIVE = {
    number: value
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", 15_000),
    )
    if (number := getattr(socket, name, None)) is not None
}


class RedisClient:
    """The process's Redis client, bound in `create_app`."""

    connection: "redis.Redis"
    brief: "redis.Redis"
    # one that is silent for so long counts as away, seconds; RQ's workers wait longer, by their own setting
    silent_s = 5.0
    # the same where somebody waits for a page, or a provider for the answer to its receipt
    hurried_s = 0.12

    def bind(self, url: str) -> None:
        """Make the client; nothing is connected until it is used."""
        # RQ's workers wait for minutes: by these they notice a server that vanished without a goodbye
        kept = {} if url.startswith("unix:") else {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
        silence = redis_silence.Silence()
        self.connection = redis.Redis(connection_pool=redis_silence.pool(url, self.silent_s, silence, **kept))
        # for what no worker may wait for either; whichever of the two finds the server silent spares the other the wait
        self.brief = redis.Redis(connection_pool=redis_silence.pool(url, self.hurried_s, silence, **kept))

    def hurry(self) -> None:
        """Wait for no answer longer than a page may: the web server calls it once, before it serves."""
        hurried = {"socket_connect_timeout": self.hurried_s, "socket_timeout": self.hurried_s}
        self.connection.connection_pool.connection_kwargs.update(hurried)


def counted_address() -> str:
    """Return what limits count by: the client's address, of IPv6 the network that one customer has."""
    told = get_remote_address()
    try:
        address = ip_address(told)
    except ValueError:
        return told  # a proxy's own way of writing it
    if isinstance(address, IPv4Address):
        return told
    return str(address.ipv4_mapped or IPv6Network((address, 64), strict=False))


def in_own_session(act: Callable[[], None]) -> Callable[[], None]:
    """Return `act` for another thread: in this one's context, with a database session of its own."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way

    def work() -> None:
        with app.app_context():
            act()

    return partial(copy_context().run, work)


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model

migrate = Migrate()
login = QuickLogin()
babel = Babel()
csrf = QuickCSRF()
limiter = QuickLimiter(counted_address)
redis_client = RedisClient()
vault = Vault()
