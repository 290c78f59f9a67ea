"""A job works for so long, and then others have their turn."""

from datetime import timedelta

import pytest
import time_machine

from app.work_budget import WorkBudget


def test_a_budget_is_spent_after_its_seconds_whatever_the_wall_clock_says() -> None:
    budget = WorkBudget(60.0)
    with time_machine.travel(timedelta(days=1)):
        assert not budget.is_spent
    assert 59.0 < budget.left_s <= 60.0


def test_a_spent_budget_tells_how_long_it_is_over() -> None:
    budget = WorkBudget(-5.0)
    assert budget.is_spent
    assert budget.left_s == pytest.approx(-5.0, abs=0.5)


def test_a_budget_without_a_number_is_never_spent() -> None:
    assert not WorkBudget().is_spent
