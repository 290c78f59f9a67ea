"""An uploaded file in the database: sealed pieces, readable as one stream by any worker on any machine."""

import io
from typing import BinaryIO, cast

from sqlalchemy import text

from app import tenancy
from app.extensions import db, vault
from app.models import ImportChunk
from app.vault import Place

CHUNK_BYTES = 1 << 20
# a workbook is read at two places in turn
_KEPT = 3


class Removed(Exception):  # noqa: N818 - it says what happened
    """The file is gone: its import was given up while it was read."""


def write(tenant_id: int, import_id: int, position: int, data: bytes) -> None:
    """Seal one piece of the file, in the session's transaction.

    All pieces but the last hold `CHUNK_BYTES`.
    """
    chunk = ImportChunk(tenant_id=tenant_id, import_id=import_id, position=position, data_sealed=b"")
    db.session.add(chunk)
    db.session.flush()
    chunk.data_sealed = vault.seal(data, _place(tenant_id, chunk.id))
    db.session.flush()
    db.session.expunge(chunk)


def remove(import_id: int) -> None:
    """Remove the file, in the session's transaction."""
    db.session.execute(text("DELETE FROM import_chunk WHERE import_id = :id"), {"id": import_id})


def open_file(tenant_id: int, import_id: int, size: int) -> BinaryIO:
    """Open the stored file for reading; a few pieces of it are in memory at a time.

    Reading may raise Removed.
    """
    return cast("BinaryIO", io.BufferedReader(_StoredFile(tenant_id, import_id, size)))


class _StoredFile(io.RawIOBase):
    """A seekable stream over the pieces.

    Each is read in a transaction of its own: none stays open between reads.
    """

    def __init__(self, tenant_id: int, import_id: int, size: int) -> None:
        self._tenant_id = tenant_id
        self._import_id = import_id
        self._size = size
        self._at = 0
        self._kept: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        position, start = divmod(self._at, CHUNK_BYTES)
        if position not in self._kept:
            if len(self._kept) == _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[position] = self._load(position)
        piece = self._kept[position][start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _load(self, position: int) -> bytes:
        with tenancy.transaction() as connection:
            row = connection.execute(
                text("SELECT id, data_sealed FROM import_chunk WHERE import_id = :import_id AND position = :position"),
                {"import_id": self._import_id, "position": position},
            ).first()
        if row is None:
            raise Removed
        return vault.open(row.data_sealed, _place(self._tenant_id, row.id))


def _place(tenant_id: int, chunk_id: int) -> Place:
    return Place(tenant_id, "import_chunk", "data_sealed", chunk_id)
