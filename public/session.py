"""The two sides' cookies: a recipient's page session and a staff session share neither name, key nor lifetime.

The page session holds ids and a flag, signed; what they are worth is asked of the database at each request.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface, SessionMixin
from itsdangerous import BadSignature

from app.config import Settings

STAFF_PREFIX = "/admin"

# the longest a staff session lives; its idle limit is the back office's own
_STAFF_LIFE = timedelta(hours=12)


class _Side(SecureCookieSessionInterface):
    """One side's signed cookie.

    With https its name carries `__Host-`: no other host can set it.
    """

    digest_method = staticmethod(sha256)

    def __init__(self, name: str, life: timedelta, *, https: bool) -> None:
        self.salt = f"session/{name}"
        self._name = f"__Host-{name}" if https else name
        self._life = life

    def get_cookie_name(self, app: Flask) -> str:
        """Return the side's own name."""
        del app
        return self._name

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        """Return the cookie's end, renewed with each answer, for sessions marked permanent."""
        del app
        return datetime.now(UTC) + self._life if session.permanent else None

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie; one that is altered or too old is none."""
        value = request.cookies.get(self._name)
        if not value or (serializer := self.get_signing_serializer(app)) is None:
            return self.session_class()
        try:
            return self.session_class(serializer.loads(value, max_age=int(self._life.total_seconds())))
        except BadSignature:
            return self.session_class()


class TwoSidedSessions(SessionInterface):
    """Chooses the side by the path: `/admin` is the back office, everything else the recipients'."""

    def __init__(self, settings: Settings) -> None:
        self._people = _Side("todoke", timedelta(minutes=settings.page_minutes), https=settings.https)
        self._staff = _Side("todoke_admin", _STAFF_LIFE, https=settings.https)

    def _side(self, path: str) -> _Side:
        return self._staff if path == STAFF_PREFIX or path.startswith(STAFF_PREFIX + "/") else self._people

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie of the side that the request is for."""
        return self._side(request.path).open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the cookie of the request's side; not with files: caches keep those, and must keep no cookie."""
        if (request.endpoint or "").endswith("static") or not (session or session.modified):
            return
        self._side(request.path).save_session(app, session, response)
