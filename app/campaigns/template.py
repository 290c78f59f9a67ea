"""Texts with merge fields: `{氏名}様、…{リンク}`."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

LINK = "リンク"
COMPANY = "会社名"
BUILT_IN = (LINK, COMPANY)

# what a phone would take for a part of the link, so that it led nowhere: what a field holds is not known here
_TOUCHED = re.compile(rf"\{{\s*{LINK}\s*\}}[0-9A-Za-z{{]")
_FIELD = re.compile(r"\{([^{}\r\n]{1,100})\}")


class MissingField(Exception):  # noqa: N818 - it names what is missing
    """A merge field that the recipient's fields don't hold; `name` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@lru_cache(1024)  # a list's columns are the same for all of its people
def key(name: str) -> str:
    """Give the form under which names of fields and columns meet: full-width and half-width alike."""
    return unicodedata.normalize("NFKC", name).strip()


def fields_in(text: str) -> list[str]:
    """List the merge fields of a text, each once, in order; built-in ones too."""
    return list(dict.fromkeys(_every_field(text)))


def merged(text: str) -> dict[str, int]:
    """Count how often a text merges each field that differs from person to person."""
    return dict(Counter(name for name in _every_field(text) if name not in BUILT_IN))


def _every_field(text: str) -> list[str]:
    return [key(name) for name in _FIELD.findall(text)]


def render(text: str, fields: Mapping[str, str], shown: Callable[[str], str] = str) -> str:
    """Put the fields into the text, each as `shown` gives it; names meet by `key`. Raises MissingField."""

    def value(match: re.Match[str]) -> str:
        name = key(match.group(1))
        if name not in fields:
            raise MissingField(name)
        return shown(fields[name])

    return _FIELD.sub(value, text)


def problems(text: str, *, needs_link: bool) -> list[str]:
    """Say in Japanese what is wrong with a text as such, before any list is there."""
    found = []
    if not text.strip():
        return ["本文が入力されていません。"]
    rest = _FIELD.sub("", text)
    if "{" in rest or "}" in rest:
        found.append(
            "差込項目の { と } の組み合わせが正しくありません。{氏名} のように半角の波かっこで囲んでください。"
        )
    if needs_link and LINK not in fields_in(text):
        found.append("SMS本文に {リンク} がありません。専用ページのURLが入る位置に {リンク} と書いてください。")
    if needs_link and fields_in(text).count(LINK) and len(re.findall(r"\{\s*リンク\s*\}", text)) > 1:
        found.append("SMS本文の {リンク} は1か所だけにしてください。")
    elif needs_link and _TOUCHED.search(text):
        found.append(
            "SMS本文の {リンク} に、英数字か差込項目がすぐ続いています。リンクが開けなくなることがあるため、"
            "{リンク} の後に半角の空白か改行を入れてください。"
        )
    return found
