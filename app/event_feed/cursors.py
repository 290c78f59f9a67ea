"""Cursors: where a reader stands in the feed, sealed for its company, so that nobody reads a number in one."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.extensions import vault
from app.problems import Kind, Refused
from app.vault import CannotOpen, Place

BAD_CURSOR = Kind(
    "feed_cursor_unknown",
    "続きの位置を示す値が正しくありません。前の応答にあった値をそのままお使いください。初めから読むときは、値を付けずに"
    "呼び出してください。",
)

_FORM = struct.Struct(">IIQQ")
# characters of a sealed position with the longest id of a key, and more
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Era:
    """Events between two restores: those with ids above `after_id`, up to the next era's.

    `epoch` is the installation's with which it began, 0 for the first.
    """

    epoch: int
    after_id: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader stands: behind event (`xid`, `id`) of an era, in an installation of `epoch`."""

    epoch: int
    era: int
    xid: int
    id: int

    def taken_to(self, epoch: int, eras: Sequence[Era]) -> "Position":
        """Return where to go on after a restore: nothing is missed, and told twice only what may be others' events.

        The restored events are those that were read, as far as the backup goes, under the same numbers. An era that
        the database doesn't know was lost with what came before it: the last one that both know is read anew.
        """
        known = max(era.epoch for era in eras if era.epoch <= self.era)
        if known == self.era:
            return replace(self, epoch=epoch)
        return Position(epoch, known, 0, 0)


def sealed(tenant_id: int, position: Position) -> str:
    """Return a position as its company is given it."""
    packed = _FORM.pack(position.epoch, position.era, position.xid, position.id)
    return urlsafe_b64encode(vault.seal(packed, _place(tenant_id))).decode().rstrip("=")


def opened(tenant_id: int, cursor: str) -> Position:
    """Return the position of a cursor. Raises Refused for anything that this company was not given."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError("too long")
        padded = cursor + "=" * (-len(cursor) % 4)
        packed = vault.open(urlsafe_b64decode(padded.encode("ascii")), _place(tenant_id))
        return Position(*_FORM.unpack(packed))
    except (ValueError, CannotOpen, struct.error):
        raise Refused(BAD_CURSOR()) from None


def _place(tenant_id: int) -> Place:
    return Place(tenant_id, "event", "cursor", 0)
