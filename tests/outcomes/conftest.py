"""The fixtures of tests that send."""

from tests.launched import carrier, launched, sandbox, tuned
from tests.outcomes.live_door import door

__all__ = ["carrier", "door", "launched", "sandbox", "tuned"]
