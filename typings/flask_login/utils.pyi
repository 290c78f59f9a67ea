from datetime import timedelta
from typing import Any, Protocol

from werkzeug.local import LocalProxy

class _User(Protocol):
    @property
    def is_active(self) -> bool: ...
    def get_id(self) -> str: ...

class _CurrentUser(LocalProxy[Any]):
    @property
    def is_active(self) -> bool: ...
    @property
    def is_authenticated(self) -> bool: ...
    @property
    def is_anonymous(self) -> bool: ...

# stands for whom the user loader gave, or for an anonymous one; what every user has is described
current_user: _CurrentUser

def login_user(
    user: _User,
    remember: bool = False,
    duration: timedelta | None = None,
    force: bool = False,
    fresh: bool = True,
) -> bool: ...
