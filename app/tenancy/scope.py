"""A transaction's scope and limits of time, told to PostgreSQL at each BEGIN and forgotten by it at each COMMIT."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event

from app.extensions import db
from app.tenancy import time_limits
from app.tenancy.time_limits import Limits


class NoScope(RuntimeError):  # noqa: N818 - it says what is missing
    """A transaction began outside `tenant()` and `platform()`."""


class ScopeInUse(RuntimeError):  # noqa: N818 - it says what was tried
    """A scope was entered while another was open: a tenant can't change in mid transaction."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One tenant's rows, or with None all rows, for the platform's own work."""

    tenant_id: int | None


_scope: ContextVar[Scope | None] = ContextVar("todoke_scope", default=None)


def current() -> Scope:
    """Return the open scope. Raises NoScope."""
    scope = _scope.get()
    if scope is None:
        raise NoScope("no scope is open: use tenancy.tenant(id) or tenancy.platform()")
    return scope


@contextmanager
def _entered(scope: Scope) -> Iterator[Scope]:
    opened = _scope.get()
    if opened is not None and opened != scope:
        raise ScopeInUse(f"{scope} was entered inside {opened}")
    if opened is not None:
        yield scope
        return
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        try:
            # rolls back what was not committed and empties the identity map before the next scope
            db.session.remove()
        finally:
            _scope.reset(token)  # also where PostgreSQL is away: the next one's rows are not this one's


def tenant(tenant_id: int) -> AbstractContextManager[Scope]:
    """Open the scope of one tenant for a with block; opening the same one again inside is harmless."""
    return _entered(Scope(tenant_id))


def platform() -> AbstractContextManager[Scope]:
    """Open the platform's scope: all rows.

    For sign-in, look-ups by token, sweeps and operators.
    """
    return _entered(Scope(None))


@contextmanager
def transaction() -> Iterator[Connection]:
    """Open a transaction of its own in the open scope, for hot paths that speak Core; commits at the end."""
    with db.engine.begin() as connection:
        yield connection


_TELL = """
    SELECT set_config('app.tenant_id', %s, true), set_config('app.platform', %s, true),
        set_config('idle_in_transaction_session_timeout', %s, true), set_config('lock_timeout', %s, true),
        set_config('statement_timeout', %s, true),
        -- what is sent or charged on a commit's word must not be forgotten, whatever the server does by default
        CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN set_config('synchronous_commit', 'on', true) END
"""


def _tell_postgres(connection: Connection, within: Limits) -> None:
    scope = current()
    # the DBAPI cursor: the Connection is still in the middle of its own BEGIN here
    cursor = connection.connection.cursor()
    tenant_id = "" if scope.tenant_id is None else str(scope.tenant_id)
    cursor.execute(_TELL, (tenant_id, "off" if tenant_id else "on", *within.values))
    cursor.close()


def bind(engine: Engine, limits_of_request: Callable[[], Limits | None]) -> None:
    """Make every transaction of `engine`, by ORM or Core, tell PostgreSQL its scope and its limits of time.

    `limits_of_request` returns those of the request that is being served, None outside one.
    """

    def tell(connection: Connection) -> None:
        _tell_postgres(connection, limits_of_request() or time_limits.current())

    event.listen(engine, "begin", tell)
