"""Replacement of letters in an SMS that not every carrier shows: offered with a preview, made on a clerk's press."""

from dataclasses import dataclass

from app.campaigns import template
from app.campaigns.sms_length import hard_to_show
from app.values import carrier_letters


@dataclass(frozen=True, slots=True)
class Offer:
    """The letters of a text that some carriers can't show, and the text as it would be.

    `pairs` are letters with what each would be written with; `left` those that have nothing like them.
    """

    hard: list[str]
    pairs: list[tuple[str, str]]
    left: list[str]
    text: str


def offer(text: str) -> Offer:
    """Offer what an SMS text's own words may be written with.

    Names of fields stay: they meet a list's columns.
    """
    changed = template.rewrite(text, carrier_letters.replaced)
    own = template.own_words(text)
    left = hard_to_show(template.own_words(changed))
    return Offer(hard_to_show(own), carrier_letters.pairs(own), left, changed)
