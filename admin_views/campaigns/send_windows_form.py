"""Send windows in forms: hours for each weekday, and whether holidays count.

In a company's form and a campaign's.
"""

from collections.abc import Mapping, Sequence

from wtforms import BooleanField, Field, FormField, RadioField, StringField
from wtforms.validators import ValidationError

from admin_views.framework.fields import Check, one_line, select_options
from admin_views.framework.secure_view import Form
from app.campaigns.send_windows import DAY_WORDS, DAYS, DAYTIME, Window, clock_minutes, clock_text

USUAL, OWN = "usual", "own"


def _time(label: str) -> StringField:
    # 9:00 and ９：００ are 09:00
    return StringField(label, filters=[lambda typed: _clock(one_line(typed).translate(_HALF_WIDTH))])


_HALF_WIDTH = str.maketrans("０１２３４５６７８９：", "0123456789:")


def _clock(typed: str) -> str:
    return f"0{typed}" if typed[1:2] == ":" else typed


class HoursForm(Form):
    """Hours by weekday; a day without is closed.

    `choice` says whether they count at all.
    """

    choice = RadioField("送信時間帯")
    holidays = BooleanField("祝日にも送る", description="外すと、国民の祝日・振替休日には送りません。")

    mon_from, mon_to = _time("月曜の開始"), _time("月曜の終了")
    tue_from, tue_to = _time("火曜の開始"), _time("火曜の終了")
    wed_from, wed_to = _time("水曜の開始"), _time("水曜の終了")
    thu_from, thu_to = _time("木曜の開始"), _time("木曜の終了")
    fri_from, fri_to = _time("金曜の開始"), _time("金曜の終了")
    sat_from, sat_to = _time("土曜の開始"), _time("土曜の終了")
    sun_from, sun_to = _time("日曜の開始"), _time("日曜の終了")

    def days(self) -> list[tuple[str, Field, Field]]:
        """Return each weekday's word with its two fields."""
        return [
            (f"{word}曜日", self[f"{day}_from"], self[f"{day}_to"]) for day, word in zip(DAYS, DAY_WORDS, strict=True)
        ]

    def validate(self, extra_validators: Mapping[str, Sequence[Check]] | None = None) -> bool:
        """Check the hours that count."""
        fine = super().validate(extra_validators)
        if self.choice.data != OWN:
            return bool(fine)
        found = [_check_day(start, end) for _, start, end in self.days()]
        if not any(start.data for _, start, _ in self.days()) and all(found):
            self.mon_from.errors = ["送信する曜日の開始と終了を、1つ以上入力してください。"]
            return False
        return bool(fine) and all(found)

    def window(self) -> Window | None:
        """Return the window as typed, once it is valid; None where the usual hours are to count."""
        if self.choice.data != OWN:
            return None
        return Window(
            tuple(
                (clock_minutes(start.data), clock_minutes(end.data)) if start.data else None
                for _, start, end in self.days()
            ),
            bool(self.holidays.data),
        )


def hours_field(label: str, usual: str, own: str) -> "FormField[HoursForm]":
    """Make the field; `usual` and `own` are the words of the two choices."""

    class Chosen(HoursForm):
        choice = RadioField(label, choices=select_options([(USUAL, usual), (OWN, own)]), default=USUAL)

    return FormField(Chosen, label)


def hours_typed(stored: Mapping[str, object] | None) -> dict[str, object]:
    """Return the field's values for a stored window; where there is none, the usual hours stand ready to be changed."""
    window = DAYTIME if stored is None else Window.from_json(stored)
    values: dict[str, object] = {"choice": USUAL if stored is None else OWN, "holidays": window.holidays}
    for day, hours in zip(DAYS, window.days, strict=True):
        values[f"{day}_from"], values[f"{day}_to"] = (clock_text(hours[0]), clock_text(hours[1])) if hours else ("", "")
    return values


def _check_day(start: Field, end: Field) -> bool:
    if not start.data and not end.data:
        return True
    try:
        if not (start.data and end.data):
            raise ValidationError("開始と終了の両方を入力してください。送らない曜日は両方を空にしてください。")
        if _minutes(start.data) >= _minutes(end.data):
            raise ValidationError("終了は開始より後にしてください。")
    except ValidationError as problem:
        start.errors = [str(problem)]
        return False
    return True


def _minutes(typed: str) -> int:
    try:
        return clock_minutes(typed)
    except ValueError:
        raise ValidationError("時刻は 09:00 の形で、00:00 から 24:00 の間で入力してください。") from None
