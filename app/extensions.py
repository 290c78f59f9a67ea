"""The extensions, created here and bound in `create_app`."""

from typing import TYPE_CHECKING

import redis
from flask import request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

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


class QuickLimiter(Limiter):
    """Passes the endpoints that nothing limits: to find that out each time takes longer than their look-up."""

    unlimited: frozenset[str] = frozenset({"public.welcome"})

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:  # noqa: FBT001, FBT002 - Flask-Limiter's own
        if request.endpoint not in self.unlimited:
            super()._check_request_limit(callable_name, in_middleware)


class RedisClient:
    """The process's Redis client, bound in `create_app`."""

    connection: "redis.Redis"

    def bind(self, url: str) -> None:
        """Make the client; nothing is connected until it is used."""
        self.connection = redis.Redis.from_url(url)


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model

migrate = Migrate()
login = LoginManager()
babel = Babel()
csrf = CSRFProtect()
limiter = QuickLimiter(get_remote_address)
redis_client = RedisClient()
vault = Vault()
