"""The fixtures of tests that send."""

from tests.launched import launched, sandbox, tuned
from tests.outcomes.live_door import door

__all__ = ["door", "launched", "sandbox", "tuned"]
