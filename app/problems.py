"""Refusals as values: why an act was not done, as a code with facts for programs and as Japanese for screens.

In: a kind, declared once in the room that refuses, and the facts of one case. Out: a `Problem`, which rooms return or
raise as `Refused`. Can't happen here: two kinds with one code; a sentence that tells other facts than its problem.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Fact = int | str

_declared: dict[str, "Kind"] = {}


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why something was not done."""

    code: str
    """Stable: programs and tests decide by it. No screen shows it."""
    message_ja: str
    """The fault and what to do, as screens show it."""
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    """Facts of this case that the sentence tells: numbers, names, limits."""

    def __str__(self) -> str:
        """Return the Japanese: a page that prints a problem never prints its code."""
        return self.message_ja

    def to_json(self) -> dict[str, object]:
        """Return it as it is stored."""
        return {"code": self.code, "message_ja": self.message_ja, "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Problem":
        """Return it as it was stored: its sentence is the one that was shown then."""
        return cls(stored["code"], stored["message_ja"], stored["facts"])

    def followed_by(self, words: str) -> "Problem":
        """Return the same problem with a sentence more, such as what to do about it in one place."""
        return replace(self, message_ja=self.message_ja + words) if words else self

    def within(self, heading: str, **facts: Fact) -> "Problem":
        """Return the same problem with a heading before its sentence, such as the name of a text or a sheet."""
        return replace(self, message_ja=heading + self.message_ja, facts={**self.facts, **facts})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem, declared once: `template_ja` takes its facts by `str.format`."""

    code: str
    template_ja: str

    def __post_init__(self) -> None:
        if self.code in _declared:
            raise ValueError(f"the code {self.code} is declared twice")
        _declared[self.code] = self

    def __call__(self, **facts: Fact) -> Problem:
        """Return the problem of one case."""
        return Problem(self.code, self.template_ja.format(**facts), facts)


class Refused(Exception):  # noqa: N818 - it says what became of the act
    """An act that was not done, for one or more problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{problem.code}: {problem.message_ja}" for problem in problems))
        self.problems = problems

    @property
    def problem(self) -> Problem:
        """The first of the problems, often the only one."""
        return self.problems[0]

    @property
    def messages_ja(self) -> list[str]:
        """The sentences that a screen shows."""
        return messages_ja(self.problems)

    @property
    def message_ja(self) -> str:
        """The sentences that a screen shows in one place, a line each."""
        return "\n".join(self.messages_ja)


def messages_ja(problems: Sequence[Problem]) -> list[str]:
    """Return the sentences that a screen shows."""
    return [problem.message_ja for problem in problems]


def declared() -> list[Kind]:
    """List the kinds of all modules that were imported, by their codes."""
    return [_declared[code] for code in sorted(_declared)]
