from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue
from flask_admin.theme import Theme

_View = TypeVar("_View", bound=Callable[..., Any])

def expose(url: str = "/", methods: Iterable[str] | None = ("GET",)) -> Callable[[_View], _View]: ...

class AdminViewMeta(type):
    def __init__(cls, classname: str, bases: tuple[type, ...], fields: dict[str, Any]) -> None: ...

class BaseView(metaclass=AdminViewMeta):
    extra_css: list[str]
    extra_js: list[str]
    name: str | None
    category: str | None
    endpoint: str
    url: str | None
    static_folder: str | None
    static_url_path: str | None
    menu_class_name: str | None
    menu_icon_type: str | None
    menu_icon_value: str | None
    admin: Admin | None  # set by create_blueprint, as is blueprint
    blueprint: Blueprint | None
    _default_view: ClassVar[str | None]
    def __init__(
        self,
        name: str | None = None,
        category: str | None = None,
        endpoint: str | None = None,
        url: str | None = None,
        static_folder: str | None = None,
        static_url_path: str | None = None,
        menu_class_name: str | None = None,
        menu_icon_type: str | None = None,
        menu_icon_value: str | None = None,
    ) -> None: ...
    @property
    def _template_args(self) -> dict[str, Any]: ...
    @property
    def _debug(self) -> bool: ...
    def create_blueprint(self, admin: Admin) -> Blueprint: ...
    def render(self, template: str, **kwargs: Any) -> str: ...
    def is_visible(self) -> bool: ...
    def is_accessible(self) -> bool: ...
    def _handle_view(self, name: str, **kwargs: Any) -> ResponseReturnValue | None: ...
    def _run_view(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...
    def inaccessible_callback(self, name: str, **kwargs: Any) -> ResponseReturnValue: ...
    def get_url(self, endpoint: str, **kwargs: Any) -> str: ...

class AdminIndexView(BaseView):
    def __init__(
        self,
        name: str | None = None,
        category: str | None = None,
        endpoint: str | None = None,
        url: str | None = None,
        template: str = "admin/index.html",
        menu_class_name: str | None = None,
        menu_icon_type: str | None = None,
        menu_icon_value: str | None = None,
    ) -> None: ...
    def index(self) -> str: ...

class Admin:
    app: Flask | None
    name: str
    index_view: BaseView
    endpoint: str
    url: str | None
    static_url_path: str | None
    subdomain: str | None
    host: str | None
    theme: Theme
    translations_path: str | None
    category_icon_classes: dict[str, str]
    csp_nonce_generator: Callable[[], Any] | None
    _views: list[BaseView]
    def __init__(
        self,
        app: Flask | None = None,
        name: str | None = None,
        url: str | None = None,
        subdomain: str | None = None,
        index_view: BaseView | None = None,
        translations_path: str | None = None,
        endpoint: str | None = None,
        static_url_path: str | None = None,
        theme: Theme | None = None,
        category_icon_classes: dict[str, str] | None = None,
        host: str | None = None,
        csp_nonce_generator: Callable[[], Any] | None = None,
    ) -> None: ...
    def add_view(self, view: BaseView) -> None: ...
    def init_app(
        self, app: Flask, index_view: BaseView | None = None, endpoint: str | None = None, url: str | None = None
    ) -> None: ...
