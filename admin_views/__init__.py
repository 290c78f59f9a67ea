"""Door: the back office."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the door to the application."""
