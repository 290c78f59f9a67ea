"""Our names at providers: of an SMS, a test SMS, a payment, a refund.

This module alone writes and reads them.

In: a person's mark, their row's number, the attempt. Out: `<mark>.<recipient id>.<attempt>` for an SMS, `.p<attempt>`
for a payment, with `.r<number>` after it for a refund, `.h<attempt>` for money recorded by hand, `<mark>.t<id>` for a
test SMS, `<mark>.w` for one to the company's own number; an SMS's or a payment's has at most 30 characters with row
numbers of 13 digits. Can't happen here: one reference for two people, though a restored backup gives their row numbers
again (the mark is random, drawn anew with each generation of the link); two that differ by case alone, as a carrier may
write them; a personal detail. Before there were marks the campaign's key stood in their place: those still read.
"""

import re
import secrets
from collections.abc import Iterable
from typing import NamedTuple

# of a secret's 128 bits so many stand in references; the vault's key and the rest keep the link's token from being made
_MARK_BYTES, _MARK_SPARE_BITS = 8, 4
_MARK_SHIFTS = (50, 40, 30, 20, 10, 0)
# letters and figures that stay apart in capitals, two for each ten bits (RFC 4648's alphabet)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]
_MARK = "([0-9A-Za-z_-]{1,20})"
# of a row's number: every such number is a bigint of PostgreSQL's, with room to pass over some after it
_ROW = "([0-9]{1,18})"
_ATTEMPT = "([0-9]{1,9})"

# characters of the longest reference that is written: a mark, a row number of 13 digits, an attempt of 3
LONGEST = 30

_SMS = re.compile(rf"{_MARK}\.{_ROW}\.{_ATTEMPT}", re.ASCII)
_PAYMENT = re.compile(rf"{_MARK}\.{_ROW}\.p{_ATTEMPT}", re.ASCII)
_TEST_SMS = re.compile(rf"{_MARK}\.[tT]{_ROW}", re.ASCII)


class Sms(NamedTuple):
    """An SMS's reference, read: the mark in lower case, whoever wrote it."""

    mark: str
    recipient_id: int
    attempt: int


class Payment(NamedTuple):
    """A payment's reference, read: the mark in lower case, whoever wrote it."""

    mark: str
    recipient_id: int
    attempt: int


def mark(secret: bytes | None, campaign_key: str) -> str:
    """Return what begins a person's references: 60 bits of their link's secret, the campaign's key without one."""
    if secret is None:
        return campaign_key
    bits = int.from_bytes(secret[:_MARK_BYTES], "big") >> _MARK_SPARE_BITS
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _MARK_SHIFTS])


def sms(mark: str, recipient_id: int, attempt: int) -> str:
    """Return the reference of one attempt to send."""
    return f"{mark}.{recipient_id}.{attempt}"


def payment(mark: str, recipient_id: int, attempt: int) -> str:
    """Return the reference of one attempt to pay."""
    return f"{mark}.{recipient_id}.p{attempt}"


def refund(payment_reference: str, number: int) -> str:
    """Return the reference of a payment's so many-th refund."""
    return f"{payment_reference}.r{number}"


def by_hand(mark: str, recipient_id: int, attempt: int) -> str:
    """Return the reference of money that staff recorded."""
    return f"{mark}.{recipient_id}.h{attempt}"


def test_sms(row_id: int) -> str:
    """Return the reference of a test SMS, with a mark drawn for it."""
    return f"{mark(secrets.token_bytes(_MARK_BYTES), '')}.t{row_id}"


def witness() -> str:
    """Return the reference of an SMS to a company's own number, a mark drawn for it."""
    return f"{mark(secrets.token_bytes(_MARK_BYTES), '')}.w"


def of_attempt(stored: str | None, campaign_key: str, recipient_id: int, attempt: int) -> str:
    """Return the reference of an attempt on record; those of before references were stored bear the campaign's key."""
    return sms(campaign_key, recipient_id, attempt) if stored is None else stored


def of_test_sms(stored: str | None, campaign_key: str, row_id: int) -> str:
    """Return the reference of a test SMS on record, as `of_attempt` does of an attempt."""
    return f"{campaign_key}.t{row_id}" if stored is None else stored


def compared(text: str) -> str:
    """Return a reference as it is compared: a carrier may write it in another case, or with blanks."""
    return text.strip().lower()


def parse_sms(text: str) -> Sms | None:
    """Read an SMS's reference; None for one that can't be ours."""
    match = _SMS.fullmatch(text.strip())
    return None if match is None else Sms(match[1].lower(), int(match[2]), int(match[3]))


def parse_test_sms(text: str) -> int | None:
    """Return the row's number that a test SMS's reference names; None for one that can't be ours."""
    match = _TEST_SMS.fullmatch(text.strip())
    return None if match is None else int(match[2])


def parse_payment(text: str) -> Payment | None:
    """Read a payment's reference, as it was given to the letter; None for one that can't be ours."""
    match = _PAYMENT.fullmatch(text)
    return None if match is None else Payment(match[1].lower(), int(match[2]), int(match[3]))


def bears_mark(read: Sms | Payment, secret: bytes | None, campaign_key: str) -> bool:
    """Return whether a reference that was read bears a person's mark: a row's number may be another's today."""
    return read.mark == mark(secret, campaign_key).lower()


def mismatch(ours: str, named: Iterable[str]) -> bool:
    """Return whether an answer names references and ours is none of them."""
    others = set(map(compared, named))
    return bool(others) and compared(ours) not in others
