"""Todoke: `create_app` is the one place where the parts meet."""

import importlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from flask import Flask, has_request_context, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from app import config, extensions, limits, logs, tenancy
from app.api_access import entry
from app.config import Settings
from app.event_feed import holders
from app.process_state import process_state
from app.setback import beat, doubt
from app.tenancy import scope, time_limits
from app.tenancy.time_limits import Limits
from app.web import headers, health, request_guard

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_COMMON_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)

# blueprints of recipients and providers; None is of no blueprint, such as /healthz
_ANSWERED_AT_ONCE = {"public", "sample", "trust", "sms_callbacks", "payment_callbacks", None}
_RETRY_AFTER_S = 5
# keys that are looked up at once before long bodies are read
_LOOKS = 3

_log = structlog.get_logger()


class _Product(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Take every function as it is: none of ours is a coroutine, and Flask asks that of each, at each request."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Make the WSGI application from `settings`, or from the environment.

    Raises BadSettings.
    """
    settings = settings or Settings.from_env()
    process_state.begin_anew()
    config.install(settings)
    logs.configure(settings.log_format, settings.log_level, of_request=_of_request)
    app = _Product(__name__, static_folder=None)
    app.config.update(_flask_config(settings))
    _bind_extensions(app, settings)
    _guard(app, settings)
    _add_doors(app, settings)
    _add_answers(app)
    common = list(_COMMON_HEADERS)
    if settings.https:
        common.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    app.wsgi_app = headers.wrap(app.wsgi_app, lambda _path, _status: common)  # type: ignore[method-assign,assignment]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _of_request() -> dict[str, str | None]:
    """Return what a log line says of the request in which it is written: never its address, which may be a link."""
    return {"endpoint": request.endpoint, "method": request.method} if has_request_context() else {}


def _limits_of_request() -> Limits | None:
    """Return the limits of a request's transactions: a recipient's page answers sooner than the back office."""
    if not has_request_context():
        return None
    return time_limits.PAGE if request.blueprint in _ANSWERED_AT_ONCE else time_limits.STAFF


def _flask_config(settings: Settings) -> dict[str, object]:
    return {
        "SECRET_KEY": settings.secret_key,
        "TRUSTED_HOSTS": list(settings.trusted_hosts),
        # `app.limits` bounds each body before it gets here; these hold where nothing says more
        "MAX_CONTENT_LENGTH": limits.LARGEST_FORM,  # where files are uploaded, the view raises it for itself
        "MAX_FORM_MEMORY_SIZE": limits.LARGEST_FORM,
        "MAX_FORM_PARTS": limits.MOST_FIELDS,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        # an error's text must not show a statement's parameters: they are people's details
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "hide_parameters": True,
            "pool_size": settings.database_pool,
            "max_overflow": 5,
            "pool_pre_ping": True,
            # Of a prepared statement PostgreSQL makes, at its eleventh time, one plan for any values: it joins each of
            # a batch with each, where it believes that a new list's tables hold a row or two.
            "connect_args": {"prepare_threshold": None, **time_limits.LIBPQ},
        },
        "SESSION_COOKIE_SECURE": settings.https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "BABEL_DEFAULT_LOCALE": "ja",
        "BABEL_DEFAULT_TIMEZONE": "Asia/Tokyo",
        # Redis's unix:// is redis+unix:// here
        "RATELIMIT_STORAGE_URI": settings.redis_url.replace("unix://", "redis+unix://", 1),
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        "RATELIMIT_KEY_PREFIX": "todoke",
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
    }


def _bind_extensions(app: Flask, settings: Settings) -> None:
    extensions.vault.load(settings.field_keys, settings.digest_key, settings.link_token_chars)
    extensions.redis_client.bind(settings.redis_url)
    # the same connections, so that one silence is noticed once
    pool = extensions.redis_client.connection.connection_pool
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {"connection_pool": pool}
    extensions.db.init_app(app)
    extensions.migrate.init_app(app, extensions.db, directory="migrations")
    extensions.babel.init_app(app)
    extensions.csrf.init_app(app)
    extensions.limiter.init_app(app)
    with app.app_context():
        scope.bind(extensions.db.engine, _limits_of_request)
        beat.watch(extensions.db.engine)


def _guard(app: Flask, settings: Settings) -> None:
    """Put the guard around the product; the doors' headers come around both."""
    # a stranger's long bodies must not make as many connections to the database
    looks = threading.BoundedSemaphore(_LOOKS)

    def signed_in(environ: "WSGIEnvironment") -> bool:
        if environ["PATH_INFO"].startswith(limits.API):
            with looks:
                return entry.of_request(environ, settings.trusted_proxies) is not None
        session = app.session_interface.open_session(app, app.request_class(environ))
        return session is not None and "_user_id" in session

    # a load balancer asks by address: for what it asks, any host is ours
    host = settings.trusted_hosts[0].lstrip(".")
    guarded = request_guard.wrap(app.wsgi_app, settings.upload_max_bytes, signed_in, host)
    app.wsgi_app = guarded  # type: ignore[method-assign,assignment]


def _add_answers(app: Flask) -> None:
    """Answer with 503 what PostgreSQL ended for the sake of others, or could not be asked at all."""

    def busy(fault: Exception) -> ResponseReturnValue:
        if not (isinstance(fault, OperationalError | psycopg.OperationalError) or tenancy.gave_way(fault)):
            raise fault
        extensions.db.session.remove()
        _log.warning("database answer timed out", error=type(getattr(fault, "orig", fault)).__name__)
        return app.handle_http_exception(ServiceUnavailable(retry_after=_RETRY_AFTER_S))

    app.register_error_handler(DBAPIError, busy)
    app.register_error_handler(psycopg.OperationalError, busy)


def _add_doors(app: Flask, settings: Settings) -> None:
    # by name: the doors import the domain, and the domain must not import a door
    for name in ("app.cli", "callbacks", "public", "admin_views", "api"):
        importlib.import_module(name).register(app)
    app.session_interface = importlib.import_module("public.session").TwoSidedSessions(settings)

    def standing() -> dict[str, str]:
        with app.app_context(), tenancy.platform():
            held, holder = doubt.why_nothing_leaves(), holders.holder()
        feed = {"feed_held_since": holder.since.isoformat(timespec="seconds")} if holder is not None else {}
        return ({"hold": held} if held else {}) | feed

    database = health.Check(standing)

    @app.get("/healthz")
    @extensions.limiter.exempt
    def healthz() -> tuple[dict[str, str], int]:
        """Return whether the database answers, and what is held; for supervisors and load balancers."""
        try:
            held = database.answer()
        except ProgrammingError as fault:
            if not health.lacks_tables(fault):
                raise
            return {"status": health.NO_TABLES}, 503
        if held is None:
            return {"status": "the database gives no answer"}, 503
        return {"status": "ok"} | held, 200
