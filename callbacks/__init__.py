"""Door: what providers tell us unasked: receipts and payment webhooks.

In: a provider's POST. Out: a row kept as it came, and a job that makes something of it. Can't happen here: a state that
changes on a pusher's word, or a push that is answered before it is kept.
"""

from flask import Flask

from app.extensions import csrf
from callbacks import payments, sms


def register(app: Flask) -> None:
    """Add the door to the application.

    Providers carry no session: a secret address or a signature stands for it.
    """
    for blueprint in (payments.bp, sms.bp):
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
