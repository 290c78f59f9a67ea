"""The copies outside the database: what is appended outlives torn lines, replaced files and many writers."""

import os
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis as redis_package

from app.setback.known import Beat, Branch, Known
from app.setback.outside import Folder, OutsideAway, RedisCopy
from dev.servers import Servers

HERE = Branch("a1", 1, "7713916722158330271", 1)
NOW = datetime(2026, 4, 1, 12, 0, 0, 123456, tzinfo=UTC)


def beat(slot: int, raised: int) -> Beat:
    return Beat(HERE, slot, raised, NOW)


def highest(folder: Path) -> dict[int, int]:
    known = Known()
    known.learn(Folder(folder).read())
    return known.counts.get(HERE, {})


def test_what_was_appended_is_read_once_by_each_reader(tmp_path: Path) -> None:
    writer, reader = Folder(tmp_path / "made"), Folder(tmp_path / "made")
    writer.append(beat(3, 1), [])
    assert reader.read() == [beat(3, 1)]
    assert reader.read() == []
    writer.append(beat(3, 2), [])
    assert reader.read() == [beat(3, 2)]


def test_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.append(beat(3, 7), [])
    [file] = tmp_path.glob("*.beat")
    with file.open("ab") as torn:
        torn.write(b"a1 1 77139167221583")
    reader = Folder(tmp_path)
    assert reader.read() == [beat(3, 7)]
    folder.append(beat(3, 8), [])
    assert reader.read() == [beat(3, 8)]


def test_another_machines_file_counts_too(tmp_path: Path) -> None:
    Folder(tmp_path).append(beat(1, 4), [])
    [file] = tmp_path.glob("*.beat")
    file.rename(tmp_path / "another-machine.beat")
    Folder(tmp_path).append(beat(2, 5), [])
    assert highest(tmp_path) == {1: 4, 2: 5}


def _append(folder: Path, slot: int) -> None:
    known = Known()
    mine = Folder(folder)
    for raised in range(1, 1_501):
        known.learn(mine.read())
        known.learn([beat(slot, raised)])
        mine.append(beat(slot, raised), known.beats())


def test_files_stay_small_and_the_highest_stays_whoever_writes_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(_append, [tmp_path] * 4, range(4)))
    assert highest(tmp_path) == dict.fromkeys(range(4), 1_500)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 4 * 256_000


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutsideAway):
        Folder(tmp_path).append(beat(1, 1), [])


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideAway):
        Folder(tmp_path / "file").append(beat(1, 1), [])
    with pytest.raises(OutsideAway):
        Folder(tmp_path / "file").read()


def test_redis_keeps_the_highest(servers: Servers, redis: redis_package.Redis) -> None:
    copy = RedisCopy(redis_package.Redis.from_url(servers.redis_url))
    copy.write([beat(1, 5), beat(2, 1)])
    copy.write([beat(1, 4)])
    assert sorted(copy.read()) == [beat(1, 5), beat(2, 1)]
    redis.flushdb()
    assert copy.read() == []


def test_without_redis_nothing_is_known_and_nothing_fails() -> None:
    copy = RedisCopy(redis_package.Redis.from_url("redis://127.0.0.1:9/0"))
    copy.write([beat(1, 5)])
    assert copy.read() == []
