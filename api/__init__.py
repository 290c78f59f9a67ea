"""Door: a company's own systems, over HTTP.

In: a request with a key, from a listed address. Out: JSON, or a problem (RFC 9457) with a code that lasts, in Japanese
or English. Can't happen here: a rule (each handler translates, asks one function of the domain, translates back); an
answer that repeats what was sent; an act done twice for one Idempotency-Key; a phone number without the scope for it.
"""

from flask import Flask

from api import campaigns, document, door, explanations, people, standing, writing
from app.api_access import idempotency
from app.extensions import db

ENDPOINTS = (*campaigns.ENDPOINTS, *writing.ENDPOINTS, *people.ENDPOINTS, *standing.ENDPOINTS)


def register(app: Flask) -> None:
    """Add the door to the application."""
    app.register_blueprint(explanations.bp)
    app.register_blueprint(document.blueprint(ENDPOINTS))
    door.register(app, ENDPOINTS)
    with app.app_context():
        idempotency.watch(db.engine)
