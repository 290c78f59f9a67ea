# flask-babel 4.0.0 has few annotations and no py.typed. Only what the project and Flask-Admin's stubs use is here.
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any

from babel import Locale
from babel.support import NullTranslations
from flask import Flask
from flask_babel.speaklater import LazyString as LazyString

class Babel:
    def __init__(
        self,
        app: Flask | None = None,
        date_formats: Mapping[str, str | None] | None = None,
        configure_jinja: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None: ...
    def init_app(
        self,
        app: Flask,
        default_locale: str = "en",
        default_domain: str = "messages",
        default_translation_directories: str = "translations",
        default_timezone: str = "UTC",
        locale_selector: Callable[[], str | Locale | None] | None = None,
        timezone_selector: Callable[[], str | tzinfo | None] | None = None,
    ) -> None: ...

class Domain:
    domain: list[str]
    def __init__(self, translation_directories: str | list[str] | None = None, domain: str = "messages") -> None: ...
    @property
    def translation_directories(self) -> list[str]: ...
    # Translations, a kind of NullTranslations; outside a request an empty one
    def get_translations(self) -> NullTranslations: ...
    def gettext(self, string: str, **variables: object) -> str: ...
    def ngettext(self, singular: str, plural: str, num: int, **variables: object) -> str: ...
    def lazy_gettext(self, string: str, **variables: object) -> LazyString: ...
