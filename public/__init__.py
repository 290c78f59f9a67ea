"""Door: the recipient's pages.

Plain HTML that works without script, cookie banner or third party.

In: a person who tapped the link in an SMS. Out: pages that name the company, ask, show the message and lead to payment
and back. Can't happen here: a state changed by GET or HEAD of a link (previews and scanners fetch, people press), a
page that a cache or a search engine keeps, a link that leaks by a referrer.
"""

from flask import Flask

from app.web.headers import wrap
from public import errors, routes, sample, security_headers, trust


def register(app: Flask) -> None:
    """Add the door to the application."""
    # these pages send no referrer, so none can be asked for; the token in the form is what protects
    app.config["WTF_CSRF_SSL_STRICT"] = False
    app.url_map.converters["token"] = routes.TokenConverter
    app.url_map.converters["tail"] = routes.TailConverter
    app.url_map.converters["look"] = routes.LookConverter
    app.register_blueprint(routes.bp)
    app.register_blueprint(trust.bp)
    app.register_blueprint(sample.bp)
    errors.register(app)
    app.wsgi_app = wrap(app.wsgi_app, security_headers.choose)  # type: ignore[method-assign,assignment]
