"""The fixtures of drills that pay."""

from tests.payments.stand_ins import listener, running_site, shops

__all__ = ["listener", "running_site", "shops"]
