from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

from flask import Flask, Response

_Loader: TypeAlias = Callable[[str], Any]
_Handler = TypeVar("_Handler", bound=Callable[[], Any])

class LoginManager:
    anonymous_user: Callable[[], Any]
    login_view: str | None
    blueprint_login_views: dict[str, str | None]
    session_protection: Literal["basic", "strong"] | None
    id_attribute: str
    def __init__(self, app: Flask | None = None, add_context_processor: bool = True) -> None: ...
    def init_app(self, app: Flask, add_context_processor: bool = True) -> None: ...
    # gives back what it was given; called with the id that the session keeps
    def user_loader(self, callback: _Loader) -> _Loader: ...
    def unauthorized_handler(self, callback: _Handler) -> _Handler: ...
    def _update_remember_cookie(self, response: Response) -> Response: ...
