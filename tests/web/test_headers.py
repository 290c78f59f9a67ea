"""Headers as an answer leaves: common to all doors, each door's own, also where everything fails."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import create_environ, run_wsgi_app

from app.web.headers import wrap

COMMON = ["X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"]


@pytest.mark.parametrize("path", ["/", "/p", "/admin/", "/callbacks/none", "/healthz", "/static/page/page.css"])
def test_every_door_carries_the_common_ones_once(app: Flask, path: str) -> None:
    with app.test_client().get(path) as answer:
        headers = answer.headers
    for name in COMMON:
        assert len(headers.getlist(name)) == 1, name
    assert len(headers.getlist("Cache-Control")) <= 1
    assert len(headers.getlist("Content-Security-Policy")) <= 1


def test_ours_stand_in_the_place_of_others() -> None:
    def inner(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Cache-Control", "no-cache"), ("X", "kept")])
        return [b"body"]

    outer = wrap(inner, lambda path, status: [("Cache-Control", f"{path} {status}")])
    body, status, headers = run_wsgi_app(outer, create_environ("/p"))
    assert (list(body), status) == ([b"body"], "200 OK")
    assert list(headers) == [("X", "kept"), ("Cache-Control", "/p 200 OK")]
