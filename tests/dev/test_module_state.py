"""State that a module keeps for itself is named: the next application in the process would go on with it."""

from pathlib import Path

import pytest

from dev.lint import files
from dev.module_state import module_state
from dev.stack import ROOT


def found(folder: Path, source: str, name: str = "app/part.py") -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return [fault.split(":")[2].strip() for fault in module_state(folder, [path])]


def test_the_product_keeps_its_state_in_one_place() -> None:
    assert module_state(ROOT, files(ROOT)) == []


@pytest.mark.parametrize(
    "source",
    [
        "kept = None\ndef keep(value):\n    global kept\n    kept = value\n",
        "kept = {}\n",
        "kept: dict[str, int] = {}\n",
        "if True:\n    kept = []\n",
        "kept = {'a': 1}\ndef keep(value):\n    kept['a'] = value\n",
        "kept = {'a': 1}\ndef forget():\n    del kept['a']\n",
        "kept = {'a': {1}}\ndef keep(value):\n    kept['a'].add(value)\n",
        "from collections import deque\nkept = deque()\n",
        "import threading\nkept = threading.Event()\n",
        "import threading\nkept = threading.local()\n",
        "class kept:\n    value = None\ndef keep(value):\n    kept.value = value\n",
        "class Part:\n    @classmethod\n    def keep(cls, value):\n        cls.value = value\n",
        "class Part:\n    def keep(self, value):\n        self.value = value\nkept = Part()\n",
        "from threading import Event\nclass Part(Event):\n    pass\nkept = Part()\n",
        "from functools import cache\n@cache\ndef kept(number):\n    return number\n",
        "from functools import lru_cache\n@lru_cache(maxsize=9)\ndef kept(number):\n    return number\n",
        "from functools import cache\nfrom app import other\nkept = cache(other.find)\n",
    ],
)
def test_state_that_a_module_keeps_is_found(tmp_path: Path, source: str) -> None:
    assert set(found(tmp_path, source)) & {"kept", "cls"}


@pytest.mark.parametrize(
    "source",
    [
        "WORDS = {'a': 1}\ndef word():\n    return WORDS['a']\n",
        "WORDS = {'a': 1}\ndef words():\n    WORDS = {}\n    WORDS['b'] = 2\n    return WORDS\n",
        "from contextvars import ContextVar\nwho = ContextVar('who')\ndef enter():\n    who.set(1)\n",
        "class Part:\n    def __init__(self):\n        self.a = 1\n    def read(self):\n        pass\npart = Part()\n",
        "class Part:\n    def keep(self, value):\n        self.value = value\ndef make():\n    return Part()\n",
    ],
)
def test_what_never_changes_for_a_process_is_no_state(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == []


def test_tools_around_the_product_may_keep_theirs(tmp_path: Path) -> None:
    assert found(tmp_path, "kept = {}\n", name="dev/part.py") == []
