import socket

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dev.process import DevError
from dev.valkey import start_valkey

PASSWORD = "a-password_of-the-test"


def test_a_killed_server_comes_back_with_what_it_was_told(tmp_path):
    server = start_valkey(tmp_path, password=PASSWORD)
    try:
        with redis.Redis.from_url(server.url(3), decode_responses=True) as client:
            client.set("note", "まだある")
            told = client.config_get("appendonly", "maxmemory-policy", "bind")
        assert told == {"appendonly": "yes", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
        server.process.kill()
        server.process.wait()
        server = start_valkey(tmp_path, password=PASSWORD, port=server.port)
        with redis.Redis.from_url(server.url(3), decode_responses=True) as client:
            assert client.get("note") == "まだある"
    finally:
        server.stop()
    assert server.process.returncode == 0


def test_the_server_asks_for_its_password_and_shows_it_to_nobody(tmp_path):
    server = start_valkey(tmp_path, password=PASSWORD, durable=False)
    try:
        with (
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        assert PASSWORD not in " ".join(psutil.Process(server.process.pid).cmdline())
        assert (tmp_path / "valkey.conf").stat().st_mode & 0o777 == 0o600
    finally:
        server.stop()


def test_a_taken_port_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DevError, match=r"(?s)ended at once.*in use"):
        start_valkey(tmp_path, password=PASSWORD, port=taken.getsockname()[1])
