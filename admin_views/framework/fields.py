"""Pieces of forms: texts without surrounding space, and checks that say in Japanese what to type instead."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import phonenumbers
from flask import abort, request
from wtforms import DecimalField, Field, IntegerField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import DataRequired, Length, StopValidation, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget, TextInput

from admin_views.framework.scoping import as_id
from app import limits
from app.values.card_numbers import holds_card_number

_SLACK = 200  # characters

Check = Callable[[Any, Any], object]

# one address, as browsers take it: HTML's own rule for input type=email, with a dot in the domain
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")

_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{0,6})?")


def select_options(pairs: Iterable[tuple[object, str]]) -> list[SelectChoice]:
    """Return the options of a select, of (value, words)."""
    return [SelectChoice(str(value), words) for value, words in pairs]


def one_line(value: str | None) -> str:
    """Return a typed line without space around it, and with single spaces within."""
    return " ".join((value or "").split())


def many_lines(value: str | None) -> str:
    """Return a typed text with one kind of line break, without space at its end."""
    return (value or "").replace("\r\n", "\n").replace("\r", "\n").rstrip()


def typed(name: str, most: int = limits.TYPED) -> str:
    """Return what a form without fields of ours sent under a name; 413 where it is longer than `most` characters."""
    value = request.form.get(name, "")
    if len(value) > most:
        abort(413)
    return value


def refuse_long(field: Any, values: Sequence[object]) -> None:
    """Have a field refused, and shown as it was typed, whose text is too long to be worked upon.

    A line break counts twice as it arrives, and white space around a text counts for nothing later: so this bound is
    wider than the field's own, which is told either way.
    """
    most = next((check.max for check in field.validators if isinstance(check, Length) and check.max > 0), limits.TYPED)
    long = next((value for value in values if isinstance(value, str) and len(value) > 2 * most + _SLACK), None)
    if long is None:
        return

    def take(_values: object) -> None:
        field.data = None

    def refuse(_form: object) -> None:
        raise StopValidation(f"長すぎます。{most:,}文字以内で入力してください。")

    field.filters, field.process_formdata, field.pre_validate, field._value = (), take, refuse, lambda: long  # noqa: SLF001 - what WTForms asks a field for


def required(message: str) -> DataRequired:
    """Refuse nothing typed."""
    return DataRequired(message)


def at_most(characters: int) -> Length:
    """Refuse more than so many characters."""
    return Length(max=characters, message=f"{characters}文字以内で入力してください。")


def no_card_number(_form: object, field: Field) -> None:
    """Refuse a text that holds a payment card's number: none enters the system."""
    if holds_card_number(field.data or ""):
        raise StopValidation("カード番号と思われる数字が含まれています。カード番号は入力できません。")


def email(_form: object, field: Field) -> None:
    """Refuse what is no mail address."""
    if not _EMAIL.fullmatch(field.data or ""):
        raise StopValidation("メールアドレスを name@example.co.jp の形で入力してください。")


def japanese_phone(_form: object, field: Field) -> None:
    """Refuse what can't be dialled in Japan."""
    try:
        number = phonenumbers.parse(field.data or "", "JP")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValidationError("電話番号を 03-1234-5678 や 0120-123-456 の形で入力してください。")


def line(label: str, *checks: Check, most: int = 100, help: str = "") -> StringField:  # noqa: A002 - what it is
    """Make a field for one line of text."""
    return StringField(label, [*checks, at_most(most), no_card_number], filters=[one_line], description=help)


def text(
    label: str,
    *checks: Check,
    most: int,
    help: str = "",  # noqa: A002 - what it is
    render_kw: dict[str, object] | None = None,
) -> TextAreaField:
    """Make a field for several lines of text."""
    return TextAreaField(
        label, [*checks, at_most(most), no_card_number], filters=[many_lines], description=help, render_kw=render_kw
    )


def phone_line(label: str, *checks: Check, help: str = "") -> StringField:  # noqa: A002 - what it is
    """Make a field for a phone number that people call."""
    return StringField(
        label,
        [*checks, at_most(20), japanese_phone],
        filters=[lambda typed: unicodedata.normalize("NFKC", one_line(typed)).replace("ー", "-")],
        description=help,
    )


class _Number(Field):
    """A number typed as text: a browser's own field sends nothing for what it can't read; that would be "no limit"."""

    widget = TextInput()

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed, in full width and with commas too."""
        typed = [unicodedata.normalize("NFKC", str(value)).replace(",", "").strip() for value in valuelist]
        # Python reads more as a number than people mean, and can't compare all of it: sNaN, or 400 digits
        meant = [value if not value or _NUMBER.fullmatch(value) else "?" for value in typed]
        super().process_formdata(meant)

    def pre_validate(self, _form: object) -> None:
        """Report one fault of what is no number, not also that it is out of range."""
        if self.process_errors and self.raw_data and str(self.raw_data[0]).strip():
            raise StopValidation


class WholeField(_Number, IntegerField):
    """A whole number."""


class AmountField(_Number, DecimalField):
    """A number that may have a fraction."""


class ChoicesField(SelectMultipleField):
    """Boxes to tick; `text` is what is kept: the chosen words in the order offered, with commas between."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def __init__(self, label: str, *checks: Check, offered: Mapping[str, str], **rest: Any):
        super().__init__(label, list(checks), choices=select_options(offered.items()), validate_choice=False, **rest)
        self.offered = tuple(offered)

    def process_data(self, value: str | None) -> None:
        """Take what was kept; what is offered no longer is ticked no longer."""
        kept = (value or "").replace(" ", "").split(",")
        self.data = [word for word in self.offered if word in kept]

    def pre_validate(self, _form: object) -> None:
        """Refuse what is not on offer."""
        if set(self.data or ()) - set(self.offered):
            raise ValidationError("選択肢から選び直してください。")

    @property
    def text(self) -> str:
        """Return what is kept."""
        return ",".join(word for word in self.offered if word in (self.data or ()))


class RowField(SelectField):
    """A select of rows of the open scope, by id; `offer` gives (id, text) when the form is made. Blank gives None."""

    def __init__(self, label: str, *checks: Check, offer: Callable[[], list[tuple[int, str]]], blank: str, **rest: Any):
        super().__init__(
            label,
            list(checks),
            coerce=as_id,
            choices=lambda: select_options([("", blank), *offer()]),
            validate_choice=False,
            **rest,
        )
        self.offer = offer

    def process_data(self, value: object) -> None:
        """Take the row's id."""
        self.data = as_id(value)

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take what was chosen."""
        self.data = as_id(valuelist[0]) if valuelist and valuelist[0] else None

    def pre_validate(self, _form: object) -> None:
        """Refuse a row that is not on offer, which is how another company's row looks."""
        if self.raw_data and self.raw_data[0] and self.data not in {number for number, _ in self.offer()}:
            raise ValidationError("選択肢から選び直してください。")
