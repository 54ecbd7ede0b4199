"""Database servers that a test may stop and break, and a way to them that it may cut and block."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from tests.databases import execute

MOST_CONNECTIONS = 30
_ADMINISTRATOR, _USER, _DATABASE = "root", "identity", "identity"
_PASSWORD = "the-password-of-the-database"
_SCHEMES = {"postgresql": "postgresql", "mariadb": "mariadb"}
_SOON = 30.0  # seconds; generous, for machines that do something else besides


def private_server(kind: str, *, password: str = _PASSWORD) -> Any:
    """A context: a server of one's own, with an empty database.

    Skips the test where the server is not installed; where `CI` is set, fails it.
    """
    return {"postgresql": _postgresql, "mariadb": _mariadb}[kind](password)


@dataclass
class PrivateServer:
    kind: str
    port: int
    password: str
    command: list[str]
    account: dict[str, Any]
    """Of the operating system: the arguments of `Popen` that make the server run under it."""
    is_ready: str
    """What it writes to its log when it takes connections."""
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """For a user who owns the database and has no other privileges."""
        return f"{_SCHEMES[self.kind]}://{_USER}:{self.password}@127.0.0.1:{self.port}/{_DATABASE}"

    def execute(self, *statements: str, database: str = _DATABASE) -> list[tuple[Any, ...]]:
        """As the administrator: runs the statements one by one, each committed; the rows of the last."""
        url = make_url(self.url).set(username=_ADMINISTRATOR, database=database)
        return execute(self.kind, url.render_as_string(hide_password=False), *statements)

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self.account,
            )
        deadline = time.monotonic() + _SOON
        while self.is_ready not in (text := self.log.read_text(encoding="utf-8", errors="replace")):
            assert self.process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.01)

    def stop(self, *, immediately: bool = True) -> None:
        """`immediately` is without a word to those who are connected, and without tidying up."""
        if self.process is None:
            return
        crash = signal.SIGQUIT if self.kind == "postgresql" else signal.SIGKILL
        orderly = signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM
        self.process.send_signal(crash if immediately else orderly)
        try:
            self.process.wait(_SOON)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def is_running(self) -> bool:
        return self.process is not None


@contextmanager
def _postgresql(password: str) -> Iterator[PrivateServer]:
    programs = _programs("PostgreSQL", ["initdb", "postgres"], _postgresql_folders())
    account = _account_that_is_not_root()
    with _folder(account) as folder:
        data, key = folder / "data", folder / "key"
        key.write_text(password, encoding="utf-8")
        _run(
            [
                *(programs["initdb"], f"--pgdata={data}", f"--username={_ADMINISTRATOR}", f"--pwfile={key}"),
                *("--auth-local=trust", "--auth-host=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            account,
        )
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "max_connections": MOST_CONNECTIONS,
            "superuser_reserved_connections": 3,
            "shared_buffers": "8MB",
            "fsync": "off",
            "autovacuum": "off",
            "max_wal_senders": 0,
            "wal_level": "minimal",
        }
        command = [programs["postgres"], "-D", str(data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        server = PrivateServer(
            "postgresql",
            port,
            password,
            command,
            account,
            "database system is ready to accept connections",
            folder / "log",
        )
        setup = [
            f"CREATE ROLE {_USER} LOGIN PASSWORD '{password}'",
            f"CREATE DATABASE {_DATABASE} OWNER {_USER}",
        ]
        with _started(server):
            server.execute(*setup, database="postgres")
            yield server


@contextmanager
def _mariadb(password: str) -> Iterator[PrivateServer]:
    programs = _programs("MariaDB", ["mariadb-install-db", "mariadbd"], ["/usr/sbin", "/usr/local/sbin"])
    account: dict[str, Any] = {}
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    with _folder(account) as folder:
        data, key = folder / "data", folder / "key"
        _run(
            [
                *(programs["mariadb-install-db"], "--no-defaults", f"--datadir={data}", *as_root),
                *("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"),
            ],
            account,
        )
        key.write_text(
            f"CREATE DATABASE IF NOT EXISTS {_DATABASE};\n"
            f"ALTER USER {_ADMINISTRATOR}@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            f"CREATE USER IF NOT EXISTS {_USER} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON {_DATABASE}.* TO {_USER};\n",
            encoding="utf-8",
        )
        port = free_port()
        command = [
            *(programs["mariadbd"], "--no-defaults", f"--datadir={data}", *as_root, f"--init-file={key}"),
            *("--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}"),
            *(f"--pid-file={folder / 'pid'}", f"--max-connections={MOST_CONNECTIONS}", "--skip-name-resolve"),
            *("--innodb-buffer-pool-size=8M", "--innodb-log-file-size=8M", "--innodb-use-native-aio=0"),
            *("--innodb-flush-log-at-trx-commit=2", "--performance-schema=0", "--skip-log-bin"),
        ]
        server = PrivateServer(
            "mariadb", port, password, command, account, "ready for connections", folder / "log"
        )
        with _started(server):
            yield server


def _postgresql_folders() -> list[str]:
    """Where its server programs are, which are rarely on the path; the newest version first."""
    folders = []
    with suppress(OSError, subprocess.CalledProcessError):
        folders.append(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    return [
        *folders,
        *(str(folder) for folder in sorted(versions, key=lambda folder: -float(folder.parent.name))),
    ]


def _programs(server: str, names: list[str], folders: list[str]) -> dict[str, str]:
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
    found = {name: program for name in names if (program := shutil.which(name, path=path))}
    missing = [name for name in names if name not in found]
    if missing:
        message = f"{server} is not installed: there is no {' and no '.join(missing)}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


def _account_that_is_not_root() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


@contextmanager
def _folder(account: dict[str, Any]) -> Iterator[Path]:
    """Of a short name, since that of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="db-", ignore_cleanup_errors=True) as name:
        if account:
            os.chown(name, account["user"], account["group"])
        yield Path(name)


def _run(command: list[str], account: dict[str, Any]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        check=False,
        text=True,
        errors="replace",
        **account,
    )
    assert done.returncode == 0, done.stdout


@contextmanager
def _started(server: PrivateServer) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()


def free_port() -> int:
    """Below those that connections get, so that nobody takes it while the server is stopped."""
    while True:
        port = random.randrange(15_000, 30_000)
        with closing(socket.socket()) as attempt, suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            return port


# The way to a server


class Proxy:
    """Passes on what a client and a database server say to each other, until it is told otherwise."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._server = (
            self._url.host,
            self._url.port or {"postgresql": 5432}.get(self._url.drivername, 3306),
        )
        self._lock = threading.RLock()
        self._links: set[_Link] = set()
        self._going_on = threading.Event()
        self._going_on.set()
        self._left: dict[str, int] = {}
        self._unanswered: bytes | None = None
        self._announced_by = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self.octets: dict[str, list[int]] = {"asked": [0], "answered": [0]}
        """How many the clients and the server had sent in all, after each piece."""
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    @property
    def url(self) -> str:
        """Leads to the server through this proxy."""
        host, port = self._address
        return self._url.set(host=host, port=port).render_as_string(hide_password=False)

    @property
    def connections(self) -> int:
        return len(self._links)

    def close(self) -> None:
        self.refuse()
        self._listener.close()

    def refuse(self) -> None:
        """From now on connections are refused, and those that were open are cut."""
        with self._lock:
            # Bound and not listening keeps the port ours.
            self._replace_listener()
            self._going_on.set()
        self.cut()

    def cut(self) -> None:
        """Those connections that are open. New ones are welcome."""
        with self._lock:
            for link in list(self._links):
                link.cut()
            self._links.clear()

    def cut_after(self, octets: int, said: str = "asked") -> None:
        """Cuts the connection on which the last of so many is "asked" or "answered", when it has arrived."""
        self._left[said] = octets

    def lose_the_answer_to(self, statement: bytes, *, after: bytes = b"") -> None:
        """Cuts the connection on which this is sent (after that), as soon as there is an answer; once."""
        self._unanswered, self._announced_by = statement, after

    def freeze(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._going_on.clear()

    def forget(self) -> None:
        """For ever nothing arrives on those connections that are open, as when a firewall forgot them."""
        with self._lock:
            for link in self._links:
                link.is_forgotten = True

    def go_on(self) -> None:
        """Ends all of that. What was on its way while it was frozen arrives late."""
        with self._lock:
            self._left.clear()
            self._unanswered = None
            if not self._listens():
                self._listener.listen()
                threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()
            self._going_on.set()

    def _listens(self) -> bool:
        return bool(self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def _replace_listener(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(self._address)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._going_on.wait()
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        link = _Link(client, server)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._links.add(link)
        answers = threading.Thread(target=self._pass_on, args=[link, server, client], daemon=True)
        answers.start()
        self._pass_on(link, client, server)
        answers.join()
        with self._lock:
            self._links.discard(link)
        client.close()
        server.close()

    def _pass_on(self, link: _Link, source: socket.socket, target: socket.socket) -> None:
        said = "asked" if source is link.client else "answered"
        with suppress(OSError):
            while octets := source.recv(65536):
                self._going_on.wait()
                if link.is_forgotten:
                    continue
                if link.is_unanswered and said == "answered":
                    break
                target.sendall(self._passed(link, octets, said))
                if link.is_over:
                    break
        if not link.is_forgotten:
            link.cut()

    def _passed(self, link: _Link, octets: bytes, said: str) -> bytes:
        """What of it arrives."""
        with self._lock:
            if said == "asked" and self._unanswered is not None:
                link.is_announced = link.is_announced or self._announced_by in octets
                if link.is_announced and self._unanswered in octets:
                    self._unanswered, link.is_unanswered = None, True
            if said in self._left:
                octets = octets[: self._left[said]]
                self._left[said] -= len(octets)
                if not self._left[said]:
                    del self._left[said]
                    link.is_over = True
            self.octets[said].append(self.octets[said][-1] + len(octets))
            return octets


@dataclass(eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    is_over: bool = False
    is_announced: bool = False
    is_unanswered: bool = False
    is_forgotten: bool = False

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
