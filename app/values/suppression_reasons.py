"""Why a company sends nothing to a number: the few reasons that its staff choose from, and their words."""

from collections.abc import Mapping
from enum import StrEnum


class SuppressionReason(StrEnum):
    """Why a number gets no SMS."""

    WISH = "wish"
    WRONG_NUMBER = "wrong_number"
    LAWYER = "lawyer"
    CONTRACT_ENDED = "contract_ended"
    OTHER = "other"


REASON_WORDS: Mapping[SuppressionReason, str] = {
    SuppressionReason.WISH: "本人の申出",
    SuppressionReason.WRONG_NUMBER: "番号違い",
    SuppressionReason.LAWYER: "弁護士介入",
    SuppressionReason.CONTRACT_ENDED: "解約",
    SuppressionReason.OTHER: "その他",
}
