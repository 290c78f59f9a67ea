"""The fixtures of tests that send."""

from tests.launched import carrier, launched, sandbox, tuned

__all__ = ["carrier", "launched", "sandbox", "tuned"]
