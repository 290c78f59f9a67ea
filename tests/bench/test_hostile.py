"""Workbooks that mean harm, each a small one: an end within the bounds, in words for a clerk. And the bench's judge."""

import time
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest

from app.intake.reading.list_rows import Limits
from app.intake.reading.reader import read_table
from app.problems import Refused
from bench.hostile import FIELDS, _told, holds, watching
from bench.hostile_workbooks import HARMS, write

GOOD = dict(zip(FIELDS, ("one text", 4.9, 299.0, 99.0), strict=True))
SMALL = 3_000_000


def end(stream: BinaryIO) -> str:
    """Return a name out of the first row, or how the refusal ends."""
    try:
        rows = list(read_table(stream, Limits(preview=True)).rows)
        return rows[0][1][2]
    except Refused as bad:
        return bad.message_ja[-1]


@pytest.mark.parametrize("name", HARMS)
def test_each_harm_ends_within_its_bounds_and_in_words(name: str, tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    write(path, name, SMALL)
    before = psutil.Process().cpu_times()
    began = before.children_user + before.children_system
    with path.open("rb") as stream, watching() as children:
        assert end(stream) in {"佐藤 花子", "。"}
        time.sleep(0.1)
    after = psutil.Process().cpu_times()
    assert after.children_user + after.children_system - began < 5
    assert children.peak_mb
    assert max(children.peak_mb.values()) < 300


def test_a_file_without_harm_is_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    write(path, "instructions", 1)
    with path.open("rb") as stream:
        assert len(list(read_table(stream).rows)) == 40


@pytest.mark.parametrize("breach", [{"seconds": 5.1}, {"peak_rss_mb": 301.0}, {"page_p99_ms": 100.1}])
def test_one_breach_is_enough(breach: dict[str, float]) -> None:
    assert holds(GOOD, "壊れています")
    assert not holds(GOOD, "")
    assert not holds({**GOOD, **breach}, "壊れています")


def test_what_a_clerk_reads_is_found() -> None:
    assert _told('<div class="flash flash-error" role="alert"><p>取り込めません。</p></div>') == "取り込めません。"
    assert _told('<p>ファイル全体を調べています</p><div class="flash"><p>まだ</p></div>') == ""
    assert _told("<h1>列の確認</h1>") == "列の確認"
