"""Door: what providers tell us unasked: receipts and payment webhooks."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the door to the application."""
