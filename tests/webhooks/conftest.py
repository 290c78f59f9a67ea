"""The fixtures of tests of webhooks."""

from tests.jobs.conftest import start
from tests.launched import sandbox
from tests.webhooks.company import allowed, clock, company, delivered

__all__ = ["allowed", "clock", "company", "delivered", "sandbox", "start"]
