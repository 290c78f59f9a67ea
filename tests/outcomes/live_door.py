"""The product's web server, live: receipts come to it as from outside."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.waiting import until


class Door:
    """The product's web server, live, and what the carrier was answered."""

    def __init__(self, app: Flask) -> None:
        self.answers: list[str] = []
        self.after: Callable[[], None] = lambda: None
        self._app = app
        self._server = make_server("127.0.0.1", 0, self._call, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _call(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        def told(status: str, *more: Any) -> Any:
            self.answers.append(status)
            return start(status, *more)

        answer = self._app.wsgi_app(environ, told)
        self.after()
        return answer

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, count: int) -> None:
        until(lambda: len(self.answers) >= count)


@pytest.fixture
def door(app: Flask) -> Iterator[Door]:
    opened = Door(app)
    yield opened
    opened.close()
