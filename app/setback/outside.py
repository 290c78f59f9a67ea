"""The copies of the beat outside the database: a folder of append-only files, and Redis.

A line of a file is `installation epoch system timeline slot count time`; one that is torn, or not in that form, says
nothing. Each machine appends to a file of its own, so that a shared folder needs no locks between machines.
"""

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
import structlog
from redis.exceptions import RedisError

from app.setback.known import Beat, Branch

_SUFFIX = ".beat"
_OLD = ".old"
# a file longer than this is replaced by the highest of all that is known, bytes
_LONGEST = 256_000
_LINE = re.compile(rb"([0-9a-z]{1,64}) (\d{1,9}) (\d{1,20}) (\d{1,9}) (\d{1,4}) (\d{1,18}) (\d{1,12}\.\d{6})")
_MEMBER = re.compile(rb"([0-9a-z]{1,64}) (\d{1,9}) (\d{1,20}) (\d{1,9}) (\d{1,4})")
_KEY = "todoke:beat"
_AT = b"at"
# how long a Redis that gave no answer is left alone, seconds
_REST_S = 15.0

_log = structlog.get_logger()


class OutsideAway(Exception):  # noqa: N818 - it says what happened
    """The folder can't be read or written: nothing may leave, since nobody would remember it."""


class Folder:
    """The files of OUTSIDE_DIR. Reads only what was appended since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = path / f"{re.sub(r'[^A-Za-z0-9-]', '-', socket.gethostname()) or 'host'}{_SUFFIX}"
        self._read_to: dict[str, tuple[int, int]] = {}  # by name: inode, offset

    def read(self) -> list[Beat]:
        """Return the beats that were not returned before. Raises OutsideAway."""
        beats: list[Beat] = []
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if entry.name.endswith((_SUFFIX, _SUFFIX + _OLD)):
                        beats += self._read_file(entry)
        except OSError as fault:
            raise OutsideAway(type(fault).__name__) from fault
        return beats

    def _read_file(self, entry: "os.DirEntry[str]") -> Iterator[Beat]:
        path = Path(entry.path)
        found = path.stat()  # the entry's own may be cached by the system
        inode, offset = self._read_to.get(entry.name, (0, 0))
        if inode != found.st_ino or offset > found.st_size:
            offset = 0
        if offset == found.st_size:
            return
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        # the text behind the last line break is still being written
        whole = data.rfind(b"\n") + 1
        self._read_to[entry.name] = (found.st_ino, offset + whole)
        yield from filter(None, map(_parse, data[:whole].splitlines()))

    def append(self, beat: Beat, known: Sequence[Beat]) -> None:
        """Append a beat, so that it outlives a power cut. Raises OutsideAway.

        `known` takes the place of a file that is too long.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._own, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                size = os.lseek(descriptor, 0, os.SEEK_END)
                # a line that a crash tore off must not swallow this one
                begin = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
                os.write(descriptor, begin + _write(beat))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if not size:
                _sync_folder(self._path)
            if size > _LONGEST:
                self._shorten([*known, beat])
        except OSError as fault:
            raise OutsideAway(type(fault).__name__) from fault

    def try_writing(self) -> None:
        """Append an empty line, which says nothing.

        Raises OutsideAway where the next beat could not be written.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._own, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.write(descriptor, b"\n")
            finally:
                os.close(descriptor)
        except OSError as fault:
            raise OutsideAway(type(fault).__name__) from fault

    def _shorten(self, known: Sequence[Beat]) -> None:
        """Replace the file by what is known; what others still write into the old one is read there."""
        with (self._path / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._own.stat().st_size <= _LONGEST:
                return  # another process was faster
            old = self._own.with_name(self._own.name + _OLD)
            before = old.read_bytes() if old.exists() else b""
            self._own.rename(old)
            lines = (before + old.read_bytes()).splitlines()
            highest: dict[tuple[Branch, int], Beat] = {}
            for beat in [*filter(None, map(_parse, lines)), *known]:
                other = highest.get((beat.branch, beat.slot))
                if other is None or (beat.raised, beat.at) > (other.raised, other.at):
                    highest[beat.branch, beat.slot] = beat
            descriptor = os.open(self._own, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.write(descriptor, b"".join(map(_write, highest.values())))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _sync_folder(self._path)


class RedisCopy:
    """The copy in Redis: one sorted set, whose scores never fall.

    Without Redis nothing is known and nothing lost.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._rests_until = 0.0

    def read(self) -> list[Beat]:
        """Return every beat that Redis knows."""
        if time.monotonic() < self._rests_until:
            return []
        try:
            rows: Any = self._client.zrange(_KEY, 0, -1, withscores=True)
        except RedisError as error:
            self._rest(error)
            return []
        scores: dict[bytes, int] = {member: int(score) for member, score in rows}
        at = datetime.fromtimestamp(scores.pop(_AT, 0) / 1e6, UTC)
        members = ((_MEMBER.fullmatch(member), count) for member, count in scores.items())
        return [
            Beat(Branch(match[1].decode(), int(match[2]), match[3].decode(), int(match[4])), int(match[5]), count, at)
            for match, count in members
            if match is not None
        ]

    def write(self, beats: Sequence[Beat]) -> None:
        """Write beats; a higher count stays."""
        if not beats or time.monotonic() < self._rests_until:
            return
        scores = {" ".join(map(str, (*beat.branch, beat.slot))): beat.raised for beat in beats}
        scores[_AT.decode()] = max(int(beat.at.timestamp() * 1e6) for beat in beats)
        try:
            self._client.zadd(_KEY, scores, gt=True)
        except RedisError as error:
            self._rest(error)

    def _rest(self, error: RedisError) -> None:
        _log.warning("beat not copied to Redis", error=type(error).__name__)
        self._rests_until = time.monotonic() + _REST_S


def _sync_folder(path: Path) -> None:
    """Make a new file's name outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(beat: Beat) -> bytes:
    return f"{' '.join(map(str, beat.branch))} {beat.slot} {beat.raised} {beat.at.timestamp():.6f}\n".encode()


def _parse(line: bytes) -> Beat | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    branch = Branch(match[1].decode(), int(match[2]), match[3].decode(), int(match[4]))
    return Beat(branch, int(match[5]), int(match[6]), datetime.fromtimestamp(float(match[7]), UTC))
