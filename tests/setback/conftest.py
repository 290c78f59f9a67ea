"""The fixtures of tests that send."""

from tests.launched import launched, sandbox, tuned

__all__ = ["launched", "sandbox", "tuned"]
