"""A number that Python reads and people don't mean is refused in words, by every field that takes one."""

import pytest
from werkzeug.datastructures import MultiDict
from wtforms import Form
from wtforms.validators import NumberRange, Optional

from admin_views.framework.fields import AmountField, WholeField
from tests.admin_views.campaign_pages import campaign_form

ODD = ["9" * 400, "-" + "9" * 790, "1e400", "sNaN", "NaN", "-Infinity", "1_000", "٣", "１" * 400, "0x10", "1" * 101]


class Asking(Form):
    whole = WholeField("件数", [Optional(), NumberRange(0, 1000, "0から1000まで")])
    amount = AmountField("割合", [Optional(), NumberRange(0, 1000, "0から1000まで")])


@pytest.mark.parametrize("typed", ODD)
def test_what_nobody_means_as_a_number_is_none(typed: str) -> None:
    for field in ("whole", "amount"):
        form = Asking(MultiDict({field: typed}))
        assert not form.validate()
        assert len(form.errors[field]) == 1


def test_numbers_as_people_type_them_are_read() -> None:
    for typed, number in [("12", 12), (" ９９９ ", 999), ("0,100", 100), ("+5", 5), ("0", 0)]:
        form = Asking(MultiDict({"whole": typed, "amount": f"{typed.strip()}.5"}))
        assert form.validate(), form.errors
        assert (form.whole.data, float(form.amount.data or 0)) == (number, number + 0.5)
    assert Asking(MultiDict({"whole": "", "amount": ""})).validate()


def test_a_campaigns_form_says_so_and_goes_on(clerk, ours) -> None:
    del ours
    page = clerk.post("/admin/campaign/new/", data=campaign_form(retry_after_minutes="9" * 400))
    assert page.status_code == 200
    assert "9" * 400 in page.get_data(as_text=True)
