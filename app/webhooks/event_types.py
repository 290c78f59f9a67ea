"""The types of events that an endpoint may ask for, with their words: steps of people and of campaigns."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from app.states.vocabulary import CAMPAIGN, PAGE, PAYMENT, SMS, CampaignState, PageState, PaymentState, SmsState, Track

_OFFERED: Sequence[tuple[Track, Sequence[StrEnum]]] = (
    (
        SMS,
        (
            SmsState.QUEUED,
            SmsState.ACCEPTED,
            SmsState.DELIVERED,
            SmsState.UNDELIVERED,
            SmsState.UNKNOWN,
            SmsState.CANCELLED,
            SmsState.EXPIRED,
        ),
    ),
    (
        PAGE,
        (
            PageState.OPENED,
            PageState.VERIFIED,
            PageState.VIEWED,
            PageState.LOCKED,
            PageState.EXPIRED,
            PageState.REVOKED,
        ),
    ),
    (
        PAYMENT,
        (
            PaymentState.UNPAID,
            PaymentState.STARTED,
            PaymentState.PENDING,
            PaymentState.PAID,
            PaymentState.FAILED,
            PaymentState.EXPIRED,
            PaymentState.CANCELLED,
            PaymentState.REFUNDED,
        ),
    ),
    (
        CAMPAIGN,
        (
            CampaignState.SCHEDULED,
            CampaignState.SENDING,
            CampaignState.PAUSED,
            CampaignState.COMPLETED,
            CampaignState.CANCELLED,
        ),
    ),
)

# the type of a manager's test, which every endpoint gets
PING = "ping"


def type_of(track: str, state: str) -> str:
    """Return an event's type, such as `sms.delivered`."""
    return f"{track}.{state}"


EVENT_TYPES: Mapping[str, str] = {
    type_of(track.name, state): f"{track.label}：{track.words[state]}" for track, states in _OFFERED for state in states
}
"""Every type that may be asked for, with its words on screens."""


def word(event_type: str) -> str:
    """Return a type's word."""
    return "テスト通知" if event_type == PING else EVENT_TYPES.get(event_type, event_type)
