"""The fixtures of tests that send."""

from tests.launched import launched, sandbox, tuned
from tests.outcomes.live_door import door
from tests.sharing import share

__all__ = ["door", "launched", "sandbox", "share", "tuned"]
