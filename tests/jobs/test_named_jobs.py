"""Whoever writes to Redis gives no orders: a worker calls the product's own jobs, and Redis may stand behind TLS."""

import inspect
import itertools
import json
import socket
import socketserver
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis as redis_package
from flask import Flask
from rq.serializers import JSONSerializer

from app import config, create_app, queues
from app.config import Settings
from app.extensions import db, limiter, redis_client
from app.queues import JOBS, NamedJob
from jobs.worker import Worker
from tests.providers.conftest import certificate

__all__ = ["certificate"]


def test_the_list_of_jobs_is_what_the_jobs_modules_define() -> None:
    modules = {name.rpartition(".")[0] for name in JOBS}
    defined = {
        f"{module}.{name}"
        for module in modules
        for name, item in vars(import_module(module)).items()
        if inspect.isfunction(item) and item.__module__ == module and not name.startswith("_")
    }
    assert defined == set(JOBS)


@pytest.fixture
def put(app: Flask, redis: redis_package.Redis) -> Callable[..., None]:
    """Write a job into Redis by hand, as anybody can who reaches it."""
    del app

    number = itertools.count(1)

    def write(func: Any, args: Any = (), *, instance: Any = None, kwargs: Any = None, **rest: Any) -> None:
        data = json.dumps([func, instance, args, kwargs or {}]).encode()
        job = str(next(number))
        told: dict[Any, Any] = {"data": zlib.compress(data), "origin": "tracking", "status": "queued", "timeout": "3"}
        told |= {"created_at": "2026-11-30T00:00:00.000000Z"} | rest
        redis.hset(f"rq:job:{job}", mapping=told)
        redis.rpush("rq:queue:tracking", job)

    return write


def work() -> None:
    queue = queues.queue("tracking")
    worker = Worker(
        [queue], connection=redis_client.connection, serializer=JSONSerializer, job_class=NamedJob, worker_ttl=30
    )
    worker.work(burst=True, logging_level="ERROR")


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Path]:
    """A file that a job makes where one runs that must not."""
    file = tmp_path / "ran"
    yield file
    assert not file.exists()


def test_a_worker_runs_nothing_that_the_product_does_not_name(put: Callable[..., None], witness: Path) -> None:
    order = f"touch {witness}"
    put("os.system", [order])
    put("subprocess.getoutput", [order])
    put("builtins.exec", [f"open({str(witness)!r}, 'w')"])
    put("jobs.worker.run", ["tracking"])
    put("jobs.delivery.send")  # of another queue
    put("touch", [], instance={"a": 1})
    put(None)
    put(["os.system"], [order])
    put("jobs.outcomes.poll", [order])
    put("jobs.outcomes.poll", [True])
    put("jobs.outcomes.poll", [1], kwargs={"tenant_id": 1})
    put("jobs.outcomes.poll", 1)
    work()
    failed = queues.queue("tracking").failed_job_registry
    assert len(failed) == 12
    assert queues.waiting("jobs.outcomes.poll") == set()


def test_what_a_job_of_ours_says_besides_leads_nowhere(
    put: Callable[..., None], witness: Path, redis: redis_package.Redis
) -> None:
    del witness
    hooks = json.dumps([{"url": "http://127.0.0.1:9/", "job_status": "finished"}])
    put(
        "jobs.outcomes.poll",
        [999],
        success_callback_name="os.abort",
        failure_callback_name="os.abort",
        stopped_callback_name="os.abort",
        webhooks=hooks,
    )
    job = NamedJob.fetch("1", connection=redis, serializer=JSONSerializer)
    assert (job.success_callback, job.failure_callback, job.stopped_callback, job.webhooks) == (None, None, None, [])
    assert isinstance(job, NamedJob)
    assert job.fault() is None
    work()


def test_a_broken_job_is_put_aside_and_hides_no_other(put: Callable[..., None], redis: redis_package.Redis) -> None:
    put("jobs.outcomes.poll", [7])
    put("jobs.outcomes.poll", [8])
    redis.hset("rq:job:1", "data", b"no json at all")
    assert queues.waiting("jobs.outcomes.poll") == {(8,)}


class _TlsDoor(socketserver.ThreadingTCPServer):
    """TLS in front of the tests' Valkey, whose wheel is built without."""

    daemon_threads = True
    behind: int
    context: ssl.SSLContext


class _Passing(socketserver.BaseRequestHandler):
    server: _TlsDoor

    def handle(self) -> None:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.server.behind)) as inner,
            self.server.context.wrap_socket(self.request, server_side=True) as outer,
        ):
            threading.Thread(target=self._pass, args=[inner, outer], daemon=True).start()
            self._pass(outer, inner)

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                target.sendall(piece)


@pytest.fixture
def tls_redis(certificate: Path, settings: Settings) -> Iterator[str]:
    """Where Redis answers over TLS alone, by a certificate that must be the right one."""
    plain = urlsplit(settings.redis_url)
    with _TlsDoor(("127.0.0.1", 0), _Passing) as door:
        door.behind = plain.port or 6379
        door.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        door.context.load_cert_chain(certificate)
        threading.Thread(target=door.serve_forever, daemon=True).start()
        at = f"127.0.0.1:{door.server_address[1]}"
        yield f"rediss://:{plain.password}@{at}{plain.path}?ssl_ca_certs={certificate}"
        door.shutdown()


def test_redis_may_stand_behind_tls(app: Flask, settings: Settings, tls_redis: str) -> None:

    del app
    product = create_app(replace(settings, redis_url=tls_redis))
    with product.app_context():
        assert queues.enqueue("jobs.outcomes.poll", 999)
        assert queues.waiting("jobs.outcomes.poll") == {(999,)}
        work()
        assert queues.waiting("jobs.outcomes.poll") == set()
        assert limiter.storage.check()
    for _ in range(2):
        assert product.test_client().post("/abcdefghijkmnpqr").status_code == 404
    assert redis_client.connection.keys("*todoke*")
    with product.app_context():
        db.engine.dispose()
    config.install(settings)
