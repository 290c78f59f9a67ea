"""Texts with merge fields: `{氏名}様、…{リンク}`; and with a short form for what is too long: `{氏名|10|お客様}様`."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.campaigns.sms_length import units
from app.problems import Kind, Problem

LINK = "リンク"
COMPANY = "会社名"
BUILT_IN = (LINK, COMPANY)

# characters that a phone would take for a part of the link, so that it led nowhere: what a field holds is not known
# here
_TOUCHED = re.compile(rf"\{{\s*{LINK}\s*\}}[0-9A-Za-z{{]")
_FIELD = re.compile(r"\{([^{}\r\n]{1,100})\}")
# up to so many letters the field itself, else the words
_SHORT = re.compile(r"([^|｜]+)[|｜]\s*([0-9０-９]{1,2})\s*[|｜]\s*([^|｜\s][^|｜]{0,19})")
_LIKE_SHORT = re.compile(r"[^|｜]+[|｜]\s*[0-9０-９].*")
_POLITE = "様"
_SOON_POLITE = re.compile(f"[ \u3000]?{_POLITE}")

_EMPTY = Kind("text_empty", "本文が入力されていません。")
_BRACES = Kind(
    "text_braces_unpaired",
    "差込項目の {{ と }} の組み合わせが正しくありません。{{氏名}} のように半角の波かっこで囲んでください。",
)
_SHORT_FORM = Kind(
    "text_short_form_malformed",
    "差込項目の「|」の書き方が正しくありません。{{氏名|10|お客様}} のように、"
    "項目・文字数・代わりの言葉の順に書いてください。",
)
_NO_LINK = Kind(
    "text_link_missing",
    "SMS本文に {{リンク}} がありません。専用ページのURLが入る位置に {{リンク}} と書いてください。",
)
_TWO_LINKS = Kind("text_link_twice", "SMS本文の {{リンク}} は1か所だけにしてください。")
_LINK_TOUCHED = Kind(
    "text_link_touched",
    "SMS本文の {{リンク}} に、英数字か差込項目がすぐ続いています。リンクが開けなくなることがあるため、"
    "{{リンク}} の後に半角の空白か改行を入れてください。",
)


class MissingField(Exception):  # noqa: N818 - it names what is missing
    """A merge field that the recipient's fields don't hold; `name` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@lru_cache(1024)  # a list's columns are the same for all of its people
def key(name: str) -> str:
    """Return the form under which names of fields and columns meet: full-width and half-width alike."""
    return unicodedata.normalize("NFKC", name).strip()


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field as a text has it.

    Where its value has more than `most` UTF-16 units, `words` stand in its place.
    """

    name: str
    most: int | None = None
    words: str = ""

    def shown(self, value: str) -> str:
        """Return what stands there."""
        return value if self.most is None or units(value) <= self.most else self.words

    def width(self, longest: int) -> int:
        """Return the most units that values of up to `longest` take."""
        if self.most is None or longest <= self.most:
            return longest
        return max(self.most, units(self.words))

    @property
    def written(self) -> str:
        """The form that tells it from others."""
        return self.name if self.most is None else f"{self.name}|{self.most}|{self.words}"


@lru_cache(1024)  # texts are the same for all of a campaign's people
def _field(written: str, *, polite: bool) -> Field:
    """Read what stands between braces; with `polite`, 様 follows: お客様 doesn't get another."""
    short = _SHORT.fullmatch(written.strip())
    if short is None or key(short[1]) in BUILT_IN:
        return Field(key(written))
    words = short[3].strip()
    return Field(key(short[1]), int(short[2]), words.removesuffix(_POLITE) if polite else words)


def _field_at(match: re.Match[str]) -> Field:
    return _field(match.group(1), polite=_SOON_POLITE.match(match.string, match.end()) is not None)


def fields_in(text: str) -> list[str]:
    """List the merge fields of a text, each once, in order; built-in ones too."""
    return list(dict.fromkeys(field.name for field in _every_field(text)))


def merged_fields(text: str) -> list[Field]:
    """List the fields that differ from person to person, as often as the text merges each."""
    return [field for field in _every_field(text) if field.name not in BUILT_IN]


def merged(text: str) -> dict[str, int]:
    """Count how often a text merges each field that differs from person to person, by its written form."""
    return dict(Counter(field.written for field in merged_fields(text)))


def _every_field(text: str) -> list[Field]:
    return [_field_at(match) for match in _FIELD.finditer(text)]


def shorten(text: str, name: str, most: int, words: str) -> str:
    """Put a short form in wherever a field has none."""

    def written(match: re.Match[str]) -> str:
        field = _field_at(match)
        plain = field.name == name and field.most is None
        return f"{{{match.group(1).strip()}|{most}|{words}}}" if plain else match.group(0)

    return _FIELD.sub(written, text)


def rewrite(text: str, change: Callable[[str], str]) -> str:
    """Change a text's own words, those of short forms too; names of fields, which meet a list's columns, stay."""
    parts, end = [], 0
    for match in _FIELD.finditer(text):
        parts += [change(text[end : match.start()]), _rewritten(match.group(0), match.group(1), change)]
        end = match.end()
    return "".join([*parts, change(text[end:])])


def _rewritten(written: str, inner: str, change: Callable[[str], str]) -> str:
    short = _SHORT.fullmatch(inner.strip())
    if short is None or key(short[1]) in BUILT_IN:
        return written
    changed = f"{inner.strip()[: short.start(3)]}{change(short[3])}"
    return f"{{{changed}}}" if _SHORT.fullmatch(changed) else written


def own_words(text: str) -> str:
    """Return what a text says itself, short forms too, without the names of fields; the parts one after another."""
    parts: list[str] = []

    def keep(part: str) -> str:
        parts.append(part)
        return part

    rewrite(text, keep)
    return "".join(parts)


def render(text: str, fields: Mapping[str, str], shown: Callable[[str], str] = str) -> str:
    """Put the fields into the text, each as `shown` gives it; names meet by `key`.

    Raises MissingField.
    """

    def value(match: re.Match[str]) -> str:
        field = _field_at(match)
        if field.name not in fields:
            raise MissingField(field.name)
        return field.shown(shown(fields[field.name]))

    return _FIELD.sub(value, text)


def widest(text: str, longest: Mapping[str, int]) -> int:
    """Return the most units that a text can take, with fields up to their longest.

    Raises MissingField.
    """
    found = units(_FIELD.sub("", text))
    for field in _every_field(text):
        if field.name not in longest:
            raise MissingField(field.name)
        found += field.width(longest[field.name])
    return found


def problems(text: str, *, needs_link: bool) -> list[Problem]:
    """Return what is wrong with a text as such, before any list is there."""
    found = []
    if not text.strip():
        return [_EMPTY()]
    rest = _FIELD.sub("", text)
    if "{" in rest or "}" in rest:
        found.append(_BRACES())
    if any(_LIKE_SHORT.fullmatch(inner) and not _SHORT.fullmatch(inner.strip()) for inner in _FIELD.findall(text)):
        found.append(_SHORT_FORM())
    if needs_link and LINK not in fields_in(text):
        found.append(_NO_LINK())
    if needs_link and fields_in(text).count(LINK) and len(re.findall(r"\{\s*リンク\s*\}", text)) > 1:
        found.append(_TWO_LINKS())
    elif needs_link and _TOUCHED.search(text):
        found.append(_LINK_TOUCHED())
    return found
