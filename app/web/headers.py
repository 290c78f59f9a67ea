"""Headers put on where an answer leaves for the server: whatever made it, an error that nothing handled too.

Here and not in Flask's `after_request`: that is passed over by faults in other hooks, and costs each page more.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers: TypeAlias = list[tuple[str, str]]


def wrap(application: "WSGIApplication", choose: Callable[[str, str], Headers]) -> "WSGIApplication":
    """Return `application` with headers of ours on its answers, in the place of those it set by these names.

    `choose` gives them for a path and a status line.
    """

    def with_headers(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: Headers, exc_info=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            ours = choose(environ.get("PATH_INFO", ""), status)
            names = {name for name, _ in ours}
            return start_response(status, [*(header for header in headers if header[0] not in names), *ours], exc_info)

        return application(environ, start)

    return with_headers
