"""Compare what is known outside the database with it: the database falls short of that. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

# writers at the same moment that wait for nobody; each claim reads all of them
SLOTS = 16


# nothing leaves either while the folder outside can't be written; this ends by itself
OUTSIDE = "outside"


class Why(StrEnum):
    """Why everything that sends or charges is held."""

    BEAT = "beat"  # outside knows of commits that the database doesn't
    TIMELINE = "timeline"  # it runs on another server, or on another timeline of it
    INSTALLATION = "installation"  # outside knows another installation
    MISSED = "missed"  # a provider has messages of ours that the database doesn't know
    UNASKED = "unasked"  # a provider that had to be asked gave no clear answer


class Branch(NamedTuple):
    """One line of history of one installation: what happened since its `epoch` began, on this server and timeline."""

    installation: str
    epoch: int
    system: str
    timeline: int


class Beat(NamedTuple):
    """How often a slot was raised, and when last, by the database's clock."""

    branch: Branch
    slot: int
    raised: int
    at: datetime


@dataclass(slots=True)
class Known:
    """The highest count of each slot of each branch, and the newest sign of life."""

    counts: dict[Branch, dict[int, int]] = field(default_factory=dict)
    at: datetime | None = None

    def learn(self, beats: Iterable[Beat]) -> None:
        """Take in beats in any order; nothing known gets lower."""
        for beat in beats:
            slots = self.counts.setdefault(beat.branch, {})
            slots[beat.slot] = max(beat.raised, slots.get(beat.slot, 0))
            self.at = beat.at if self.at is None else max(self.at, beat.at)

    def falls_short(self, branch: Branch, counts: Mapping[int, int]) -> Why | None:
        """Return why a database on `branch` with these counts was set back; None where it knows all that we do."""
        for other, slots in self.counts.items():
            if other.installation != branch.installation:
                return Why.INSTALLATION
            if other.epoch > branch.epoch:
                return Why.BEAT
            if other.epoch < branch.epoch:
                continue  # a restore that was accepted since
            if other != branch:
                return Why.TIMELINE
            if any(count > counts.get(slot, 0) for slot, count in slots.items()):
                return Why.BEAT
        return None

    def lost(self, epoch: int, counts: Mapping[int, int]) -> int:
        """Return how many beats are known since a database's `epoch` began that its counts lack."""
        return sum(
            max(0, count - (counts.get(slot, 0) if branch.epoch == epoch else 0))
            for branch, slots in self.counts.items()
            if branch.epoch >= epoch
            for slot, count in slots.items()
        )

    def copy(self) -> "Known":
        """Return what is known now: others of this process learn on."""
        return Known({branch: dict(slots) for branch, slots in self.counts.items()}, self.at)

    def newest_epoch(self) -> int:
        """Return the newest epoch known, 0 for none."""
        return max((branch.epoch for branch in self.counts), default=0)

    def beats(self) -> list[Beat]:
        """Return everything known as beats."""
        if self.at is None:
            return []
        return [
            Beat(branch, slot, count, self.at) for branch, slots in self.counts.items() for slot, count in slots.items()
        ]
