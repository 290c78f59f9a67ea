"""The carrier, for what is sent to test numbers."""

from tests.launched import sandbox, tuned

__all__ = ["sandbox", "tuned"]
