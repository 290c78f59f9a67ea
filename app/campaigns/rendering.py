"""A recipient's details, opened for the moment in which they are used, and the texts made of them."""

import json
from collections.abc import Iterable, Mapping

from app.campaigns import template
from app.campaigns.sms_length import flatten
from app.extensions import vault
from app.models import Campaign
from app.vault import Place

TIED = "\x1f"
"""Begins the stored name of a cell that is kept for a merge field under the field's name, beside its own column.

No column's name begins so. `template.key` takes it for white space: among the values a tied cell meets its field, and
as it comes after the columns it goes before one of the same name.
"""


def phone_place(tenant_id: int, recipient_id: int) -> Place:
    """Return where a phone number is sealed."""
    return Place(tenant_id, "recipient", "phone_sealed", recipient_id)


def fields_place(tenant_id: int, recipient_id: int) -> Place:
    """Return where the list's cells are sealed."""
    return Place(tenant_id, "recipient", "fields_sealed", recipient_id)


def open_phone(tenant_id: int, recipient_id: int, sealed: bytes) -> str:
    """Return the number in E.164. Raises CannotOpen."""
    return vault.open_text(sealed, phone_place(tenant_id, recipient_id))


def open_fields(tenant_id: int, recipient_id: int, sealed: bytes) -> dict[str, str]:
    """Return the list's cells by column name, in the list's order. Raises CannotOpen."""
    fields: dict[str, str] = json.loads(vault.open_text(sealed, fields_place(tenant_id, recipient_id)))
    return fields


def own_columns(fields: Iterable[str]) -> list[str]:
    """List the names of a person's own columns, without those that are kept for merge fields."""
    return [name for name in fields if not name.startswith(TIED)]


def sms_text(text: str, company: str, fields: Mapping[str, str], link: str) -> str:
    """Render the SMS of one person. Raises MissingField."""
    return template.render(text, _values(fields) | {template.COMPANY: company, template.LINK: link}, flatten)


def page_texts(campaign: Campaign, company: str, fields: Mapping[str, str]) -> tuple[str, str]:
    """Render the page's title and message of one person. Raises MissingField."""
    values = _values(fields) | {template.COMPANY: company}
    title, message = (template.render(text, values, str.strip) for text in (campaign.page_title, campaign.page_text))
    return title, message


def _values(fields: Mapping[str, str]) -> dict[str, str]:
    return {template.key(name): value for name, value in fields.items()}
