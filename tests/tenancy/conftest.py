"""The fixtures of tests that send, by a shared account too."""

from tests.launched import launched, sandbox, tuned
from tests.sharing import share

__all__ = ["launched", "sandbox", "share", "tuned"]
