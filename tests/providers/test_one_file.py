"""A provider is one file and one line: no other code of the product knows one by its name.

That such a file and line are enough is for `tests/admin_views/accounts/test_fifth_providers.py` to show.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from app import config, provider_addresses
from app.providers import payments, sms

ROOT = Path(__file__).parents[2]
NAMES = (*sms.PROVIDERS, *payments.PROVIDERS)
# a newcomer's demo begins with some
SETTINGS = {"app/demo.py"}
# tells a manager under which name PayPay's own screens show our reference
WORDS = {"admin_views/accounts/restore_words.py"}


def written(tree: ast.Module) -> Iterator[str]:
    """Yield every name and text of a module's code: comments and docstrings may speak of a provider."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name


def test_no_other_code_names_a_provider() -> None:
    known = {
        path.relative_to(ROOT).as_posix()
        for room in ("app", "admin_views", "public", "api", "callbacks", "jobs")
        for path in (ROOT / room).rglob("*.py")
        if any(name in text.lower() for text in written(ast.parse(path.read_text("utf-8"))) for name in NAMES)
    }
    assert {path for path in known if not path.startswith("app/providers/")} - SETTINGS - WORDS == set()


def test_what_starts_the_product_names_no_provider() -> None:
    told = [text.lower() for text in written(ast.parse((ROOT / "dev" / "stack.py").read_text("utf-8")))]
    assert [name for name in NAMES if any(name in text for text in told)] == []


def test_each_provider_has_the_address_of_its_api(settings: config.Settings) -> None:
    for name, provider in provider_addresses.providers().items():
        assert bool(settings.api_bases[name]) or provider.api_base is None
        assert provider.api_base is None or provider.api_base.startswith("https://")
