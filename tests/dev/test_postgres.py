import os
import signal
import socket
from collections.abc import Iterator

import psutil
import psycopg
import pytest

from dev.postgres import SUPERUSER, Postgres, remove_postgres, start_postgres
from dev.process import DevError

PASSWORD = "a-password_of-the-test"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders can be closed to the server's user")


@pytest.fixture
def folder(tmp_path_factory) -> Iterator:
    made = tmp_path_factory.mktemp("postgres")
    yield made
    remove_postgres(made)


def _write(server: Postgres) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE kept")
    with psycopg.connect(server.url(database="kept")) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'まだある' AS text")


def _read(server: Postgres) -> object:
    with psycopg.connect(server.url(database="kept")) as connection:
        return connection.execute("SELECT text FROM note").fetchone()


def test_a_killed_server_comes_back_with_its_data_at_the_same_port(folder):
    server = start_postgres(folder, password=PASSWORD)
    try:
        _write(server)
        server.process.kill()
        server.process.wait()
        again = server = start_postgres(folder, password=PASSWORD, port=server.port)
        assert _read(again) == ("まだある",)
    finally:
        server.stop()
    assert server.process.returncode == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url(), connect_timeout=2)


def test_the_server_asks_for_its_password_and_keeps_to_this_machine(folder):
    server = start_postgres(folder, password=PASSWORD, durable=False)
    try:
        for user in (SUPERUSER, "todoke"):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(server.url(user).replace(PASSWORD, "guess"))
        with psycopg.connect(server.url()) as connection:
            assert connection.execute(
                "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (False, False, True, True)
        with psycopg.connect(server.url(SUPERUSER)) as connection:
            shown = {
                name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
                for name in ("listen_addresses", "unix_socket_directories", "timezone", "server_encoding", "fsync")
            }
        assert shown == {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "timezone": "UTC",
            "server_encoding": "UTF8",
            "fsync": "off",
        }
        assert PASSWORD not in " ".join(psutil.Process(server.process.pid).cmdline())
    finally:
        server.stop()
    assert not [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size < 100_000 and PASSWORD.encode() in path.read_bytes()
    ]


def test_a_taken_port_and_another_password_are_told(folder):
    start_postgres(folder, password=PASSWORD, durable=False).stop()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DevError, match=r"(?s)ended at once.*in use"):
        start_postgres(folder, password=PASSWORD, port=taken.getsockname()[1], durable=False)
    with pytest.raises(DevError, match="another password"):
        start_postgres(folder, password="another", durable=False)
    start_postgres(folder, password=PASSWORD, durable=False).stop()


@needs_root
def test_below_folders_closed_to_others_the_data_lie_elsewhere_and_are_found_again(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = start_postgres(closed / "data", password=PASSWORD)
    home = server.home
    try:
        _write(server)
        assert closed not in home.parents
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        server = start_postgres(closed / "data", password=PASSWORD)
        assert (server.home, _read(server)) == (home, ("まだある",))
    finally:
        server.stop()
        remove_postgres(closed / "data")
    assert not home.exists()


@needs_root
def test_data_moved_below_a_closed_folder_go_along(folder):
    server = start_postgres(folder / "open" / "data", password=PASSWORD, durable=False)
    _write(server)
    server.stop()
    (folder / "closed").mkdir(mode=0o700)
    (folder / "open" / "data").rename(folder / "closed" / "data")
    server = start_postgres(folder / "closed" / "data", password=PASSWORD, durable=False)
    try:
        assert _read(server) == ("まだある",)
    finally:
        server.stop()
        remove_postgres(folder / "closed" / "data")
