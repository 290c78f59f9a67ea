"""Select the people of a file: the filters of the list of people, as a value that a job can keep.

In: states, carrier, days, found people, a campaign or none. Out: a condition on `recipient` with its values. Nothing of
it is text from outside that becomes SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Self

from app.states.vocabulary import PAGE, PAYMENT, SMS

_TRACKS = (SMS, PAGE, PAYMENT)


@dataclass(frozen=True, slots=True)
class Selection:
    """People of one campaign, or with None of all of the tenant's.

    `states` names the state that people must stand in, by track (sms, page, payment). `since` and `until` are days in
    Japan on which the last SMS left, both included. `ids` are people that a search found.
    """

    campaign_id: int | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    carrier: str = ""
    since: date | None = None
    until: date | None = None
    ids: tuple[int, ...] | None = None

    def condition(self, tenant_id: int) -> tuple[str, dict[str, Any]]:
        """Return the condition on `recipient r`, and its values."""
        parts, values = ["r.tenant_id = :tenant_id"], {"tenant_id": tenant_id}
        wanted: dict[str, Any] = {}
        if self.campaign_id is not None:
            wanted["campaign_id"] = self.campaign_id
        wanted |= {f"{track.name}_state": self.states[track.name] for track in _TRACKS if track.name in self.states}
        if self.carrier:
            wanted["carrier"] = self.carrier
        parts += [f"r.{name} = :{name}" for name in wanted]
        midnight = "CAST(:{name} AS timestamp) AT TIME ZONE 'Asia/Tokyo'"
        if self.since is not None:
            parts.append(f"r.sent_at >= {midnight.format(name='since')}")
            wanted["since"] = self.since
        if self.until is not None:
            parts.append("r.sent_at IS NOT NULL")
            if self.until < date.max:
                parts.append(f"r.sent_at < {midnight.format(name='behind')}")
                wanted["behind"] = self.until + timedelta(days=1)
        if self.ids is not None:
            parts.append("r.id = ANY(:ids)")
            wanted["ids"] = list(self.ids)
        return " AND ".join(parts), values | wanted

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "campaign_id": self.campaign_id,
            "states": dict(self.states),
            "carrier": self.carrier,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "ids": list(self.ids) if self.ids is not None else None,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(
            told["campaign_id"],
            told["states"],
            told["carrier"],
            date.fromisoformat(told["since"]) if told["since"] else None,
            date.fromisoformat(told["until"]) if told["until"] else None,
            tuple(told["ids"]) if told["ids"] is not None else None,
        )
