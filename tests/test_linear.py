"""Work on what people send grows with its length and no faster: every regular expression, every reader.

Expressions are found in the code itself, so that a new one is tried without an edit here. Each meets texts made of the
very signs that it knows, twice: at one length and at double that. A quadratic one takes hundreds of times the limit.
"""

import ast
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.auth import passwords, second_factor
from app.identity import check
from app.intake.reading import number_format
from app.problems import Refused
from app.tenants import sender_check
from app.values import amounts, card_numbers, carrier_text, cell_text, column_names, dates, phones
from app.values.answers import Kana, QuestionKind, normalise

try:
    import re._parser as sre  # type: ignore[import-not-found]
except ImportError:  # pragma: no cover
    import sre_parse as sre

ROOT = Path(__file__).parents[1]
_LENGTH = 8_000
_SIGNS = 5
# A linear search of 16,000 signs takes some hundred microseconds; a quadratic one seconds. Machines are shared.
_LIMIT_S = 0.25
_ANCHORED = {"match", "fullmatch"}
_CALLS = {"match", "search", "fullmatch", "sub", "split", "findall", "finditer"}


@dataclass(frozen=True, slots=True)
class Found:
    """An expression, where it stands, and whether it is only ever asked to match from a text's beginning."""

    module: str
    pattern: re.Pattern[Any]
    anchored: bool


def patterns() -> Iterator[Found]:
    """Return every expression of the product: those that modules hold, and those written where they are used."""
    seen: set[tuple[str, str, bool]] = set()
    for folder in ("app", "admin_views", "public", "api", "callbacks", "jobs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if name.endswith(("__main__", "excel_child")) or "migrations" in name:
                continue
            module = import_module(name)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for pattern, anchored in (*_held(vars(module), _uses(tree)), *_written(tree, module)):
                key = (name, str(pattern.pattern), anchored)
                if key not in seen:
                    seen.add(key)
                    yield Found(name, pattern, anchored)


def _uses(tree: ast.AST) -> dict[str, set[str]]:
    """Return by name which methods of an expression are called, or taken."""
    uses: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in _CALLS:
            uses.setdefault(node.value.id, set()).add(node.attr)
    return uses


def _held(values: dict[str, Any], uses: dict[str, set[str]]) -> Iterator[tuple[re.Pattern[Any], bool]]:
    for name, value in values.items():
        if isinstance(value, re.Pattern):
            yield value, bool(uses.get(name)) and uses[name] <= _ANCHORED
        elif isinstance(value, tuple):
            for item in value:
                for part in item if isinstance(item, tuple) else (item,):
                    if isinstance(part, re.Pattern):
                        yield part, False


def _written(tree: ast.AST, module: ModuleType) -> Iterator[tuple[re.Pattern[Any], bool]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{name}" for name in _CALLS}:
            try:
                written = eval(ast.unparse(node.args[0]), dict(vars(module)))  # noqa: S307 - our own code
            except Exception:  # noqa: BLE001, S112 - made of local names: tried with its callers below
                continue
            yield re.compile(written), ast.unparse(node.func).removeprefix("re.") in _ANCHORED
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "regex":
            yield re.compile(ast.literal_eval(node.value)), True


FOUND = list(patterns())


def signs(pattern: str) -> list[str]:
    """Return some signs that an expression knows, one for each set it names."""
    known: list[str] = []

    def walk(item: Any) -> None:
        if isinstance(item, tuple) and len(item) == 2 and str(item[0]) == "LITERAL":
            known.append(chr(item[1]))
        elif isinstance(item, tuple) and len(item) == 2 and str(item[0]) == "RANGE":
            known.append(chr(item[1][0]))
        elif isinstance(item, tuple) and len(item) == 2 and str(item[0]) == "CATEGORY":
            known.append({"SPACE": " ", "DIGIT": "1", "WORD": "a"}.get(str(item[1]).removeprefix("CATEGORY_"), "é"))
        elif isinstance(item, list | tuple | sre.SubPattern):
            for part in item:
                walk(part)

    walk(sre.parse(pattern))
    chosen = list(dict.fromkeys([*known, "1", " ", "a"]))
    return chosen[:_SIGNS]  # pairs of them are tried


def attacks(pattern: str, length: int) -> Iterator[str]:
    """Return texts of that length that make an expression begin again and again, and fail at the end."""
    some = signs(pattern)
    words = "".join(re.findall(r"[^\W\d_]{2,}", pattern))[:20]
    for one in some:
        yield one * length + "\x02"
        yield words + one * length + "\x02"
        for other in some:
            if other != one:
                yield (one + other) * (length // 2) + "\x02"
                yield one + other * length + "\x02"


def timed(act: Callable[[], object]) -> float:
    """Return the processor time of an act, the best of two: others use this machine too."""
    best = 1e9
    for _ in range(2):
        began = time.thread_time()
        act()
        best = min(best, time.thread_time() - began)
        if best < _LIMIT_S / 4:
            break
    return best


def test_expressions_are_found_where_they_stand() -> None:
    names = {found.module for found in FOUND}
    assert {
        "app.values.dates",
        "app.values.card_numbers",
        "app.campaigns.template",
        "public.routes",
        "app.logs",
    } <= names
    assert len(FOUND) > 60


@pytest.mark.parametrize("found", FOUND, ids=[f"{found.module}-{n}" for n, found in enumerate(FOUND)])
def test_every_expression_is_linear(found: Found) -> None:
    pattern = found.pattern
    plain = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    for short, long in zip(attacks(plain, _LENGTH), attacks(plain, 2 * _LENGTH), strict=True):
        # a pattern that takes a quarter of the limit at one length is asked at double of it
        if _took(pattern, short, anchored=found.anchored) > _LIMIT_S / 8:
            # the fastest of some: another program's turn is not the expression's fault
            took = min(_took(pattern, long, anchored=found.anchored) for _ in range(5))
            assert took < _LIMIT_S, f"{plain!r} took {took:.2f} s for {len(long)} signs of {long[:6]!r}"


def _took(pattern: re.Pattern[Any], attack: str, *, anchored: bool) -> float:
    text: Any = attack.encode("latin-1", "ignore") if isinstance(pattern.pattern, bytes) else attack
    if anchored:
        return max(timed(lambda: pattern.match(text)), timed(lambda: pattern.fullmatch(text)))
    return timed(lambda: sum(1 for _ in pattern.finditer(text)))


def quietly(read: Callable[[str], object]) -> Callable[[str], object]:
    def act(text: str) -> object:
        try:
            return read(text)
        except (Refused, number_format.UnknownFormat):
            return None

    return act


READERS: dict[str, Callable[[str], object]] = {
    **{
        f"answer-{kind}-{kana}": quietly(lambda text, kind=kind, kana=kana: normalise(kind, text, kana=kana))  # type: ignore[misc]
        for kind in QuestionKind
        for kana in Kana
    },
    "date": quietly(dates.parse_date),
    "birth-year": quietly(lambda text: check._date("昭和", text, "1", "1")),
    "birth-day": quietly(lambda text: check._date("西暦", "1980", "1", text)),
    "phone": quietly(phones.to_e164),
    "amount": quietly(amounts.to_yen),
    "card": card_numbers.holds_card_number,
    "card-own-number": lambda text: card_numbers.holds_card_number(text, own_number=True),
    "may-hold-card": card_numbers.may_hold_card_number,
    "cell": cell_text.clean,
    "cell-warnings": lambda text: list(carrier_text.warnings(text)),
    "odd": carrier_text.looks_odd,
    "column-name": lambda text: column_names.canonical(text[:200]),
    "password": lambda text: passwords.problems(text, "a@example.jp", "名前"),
    "password-matches": lambda text: passwords.matches(passwords.dummy_hash(), text) if len(text) > 300 else None,
    "second-factor": second_factor._read,
    "sender": lambda text: sender_check.find(text, text) if len(text) > sender_check.MOST_TYPED else None,
    "number-format": quietly(number_format.number_format),
}

KINDS = {
    "digits": "1",
    "wide digits": "１",
    "combining": "\u0315\u0300\u0345",
    "hangul": "\u1161\u11a8",
    "expanding": "\ufdfa",
    "zero-width": "\u200b",
    "spaces": " ",
    "brackets": "（",
    "closing": "(]",
    "long vowels": "ー",
    "cards": "4111 1111 1111 1111 ",
    "hyphens": "1-",
    "shita": "下（下",
    "formula": "'=",
    "quotes": '="',
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_bears_any_length(reader: str) -> None:
    for kind, sign in KINDS.items():
        for length in (40_000, 80_000, 240_000):
            text = (sign * (length // len(sign) + 1))[:length]
            took = timed(lambda text=text: READERS[reader](text))  # type: ignore[misc]
            assert took < _LIMIT_S * length / 40_000, f"{kind} of {length} took {took:.2f} s"


def test_a_run_of_marks_is_what_makes_normalising_dear() -> None:
    """The reason for asking the length first: Python itself takes quadratic time for marks out of order."""
    short, long = ("a" + "\u0315\u0300" * (n // 2) for n in (2_000, 8_000))
    assert timed(lambda: unicodedata.normalize("NFKC", long)) > 4 * timed(lambda: unicodedata.normalize("NFKC", short))
