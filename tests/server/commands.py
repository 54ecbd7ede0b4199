"""The real command as a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.databases import execute
from tests.server.forked import Forked, Forker
from tests.server.service import LINK, SOON, Link, Service, Volley, eventually

IDENTITY = Path(sys.executable).with_name("identity")
LAUNCHER = Path(__file__).with_name("launcher.py")
SECRET = secrets.token_urlsafe(32)  # of every server with a server database
# What a test does within five minutes is its own matter. Those about the limits set them.
WITHOUT_LIMITS = {"login_free_failures": 100, "address_failures": 100_000, "address_requests": 100_000}
CHEAPLY = {"hasher": "identity.adapters.memory:PlainHasher"}
"""Where it is not the hashing that is tested, which is in most tests."""
AS_EVER = {"hasher": "argon2"}
QUIET = {
    "email_verification": "off",  # which mail a test waits for is its own matter
    "log_format": "text",
}
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would load the system's authorities for each client
LISTENING = re.compile(r"running on http://127\.0\.0\.1:([0-9]+)")


@dataclass
class Command:
    """A run of the `identity` command, and what it said."""

    process: subprocess.Popen[bytes] | Forked
    folder: Path
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(SOON)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status after this signal."""
        self.process.send_signal(number)
        return self.wait()

    def signal_all(self, number: int) -> None:
        """Sends a signal to the process and its worker processes, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.signal_all(signal.SIGKILL)
            self.process.wait()


@dataclass
class Server(Command, Service):
    client: httpx.Client
    database_url: str
    port: int = 0
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_it_listens(self) -> None:
        def port() -> int | None:
            listening = LISTENING.search(self.text)
            assert listening or self.process.poll() is None, self.text
            return int(listening[1]) if listening else None

        self.port = eventually(port)
        self.client.base_url = self.url

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.text
            with contextlib.suppress(httpx.TransportError):
                return self.client.get("/health/ready").status_code == 200
            return False

        eventually(is_ready)

    # Requests

    def connect(self) -> socket.socket:
        """A connection that is closed at the end of the test, if not before."""
        self.connections.append(socket.create_connection(("127.0.0.1", self.port), timeout=SOON))
        return self.connections[-1]

    def disconnect(self) -> None:
        for connection in self.connections:
            connection.close()

    def post(self, path: str, body: object, *, access: str | None = None) -> httpx.Response:
        return self.client.post(path, json=body, headers=_bearer(access))

    def get(self, path: str, *, access: str | None = None) -> httpx.Response:
        return self.client.get(path, headers=_bearer(access))

    def aim(self, requests: Sequence[tuple[Any, ...]]) -> Volley:
        volley = Volley([])
        for path, body, *access in requests:
            content = json.dumps(body).encode()
            head = {
                "Host": f"127.0.0.1:{self.port}",
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                "Connection": "close",
                **_bearer(*access),
            }
            lines = [f"POST {path} HTTP/1.1", *(f"{name}: {text}" for name, text in head.items()), "", ""]
            connection = self.connect()
            connection.sendall("\r\n".join(lines).encode() + content[:-1])
            volley.connections.append(connection)
        return volley

    # Mail on the console

    def mail_in_the_output(self) -> str:
        """All of the first mail that was printed, or nothing as long as there is none."""
        printed = re.search(r"^-{20,}$(.+?)^-{20,}$", self.text, re.DOTALL | re.MULTILINE)
        return printed[1] if printed else ""

    def link_in_the_output(self) -> Link:
        link = LINK.search(self.mail_in_the_output())
        assert link, self.text
        return Link(*link.groups())

    # The database

    @property
    def database(self) -> Path:
        """The file of SQLite."""
        return self.folder / self.database_url.removeprefix("sqlite:///")

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        kind = self.database_url.partition(":")[0]
        if kind == "sqlite":
            with contextlib.closing(sqlite3.connect(self.database, timeout=SOON)) as connection:
                return connection.execute(statement, values).fetchall()
        for value in values:
            quoted = str(value).replace("'", "''")
            statement = statement.replace("?", f"'{quoted}'", 1)
        return execute(kind, self.database_url, statement)


@dataclass
class Replicas(Service):
    """Servers on one database, whose requests go to one after the other."""

    servers: list[Server]

    def __post_init__(self) -> None:
        self._turns = itertools.cycle(self.servers)

    @property
    def text(self) -> str:
        return "".join(server.text for server in self.servers)

    def wait_until_ready(self) -> None:
        for server in self.servers:
            server.wait_until_it_listens()
            server.wait_until_ready()

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    def post(self, path: str, body: object, *, access: str | None = None) -> httpx.Response:
        return next(self._turns).post(path, body, access=access)

    def get(self, path: str, *, access: str | None = None) -> httpx.Response:
        return next(self._turns).get(path, access=access)

    def aim(self, requests: Sequence[tuple[Any, ...]]) -> Volley:
        volleys = [next(self._turns).aim([request]) for request in requests]
        return Volley([connection for volley in volleys for connection in volley.connections])

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.servers[0].rows(statement, *values)


def _bearer(access: str | None = None) -> dict[str, str]:
    return {} if access is None else {"Authorization": f"Bearer {access}"}


class Commands:
    """Starts the command in a folder, with settings by environment only, and stops all that it started.

    Without `settings` for another database it is on SQLite, with a file in the folder. With a forker, what
    does not ask to be `anew` is not a new run of the interpreter, but a fork of one.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, object] | None = None, forker: Forker | None = None
    ) -> None:
        self.folder = folder
        self.settings = settings or {}
        self.forker = forker
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Commands:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, *arguments: str, **how: Any) -> Command:
        return self._start(Command, arguments, **how)

    def run(self, *arguments: str, **how: Any) -> Command:
        """Starts it and waits for its end."""
        command = self.start(*arguments, **how)
        command.wait()
        return command

    def serve(self, *, wait: bool = True, **how: Any) -> Server:
        """Starts a server on a free port, and waits until it is ready."""
        client = httpx.Client(
            timeout=SOON,
            trust_env=False,
            verify=NO_TLS,
            limits=httpx.Limits(max_keepalive_connections=0),  # the server may close an idle one any time
        )
        self._stack.callback(client.close)
        server = self._start(Server, ["serve"], client=client, **{"port": 0, **how})
        self._stack.callback(server.disconnect)
        if wait:
            server.wait_until_it_listens()
            server.wait_until_ready()
        return server

    def serve_twice(
        self, *, wait: bool = True, first: Mapping[str, object] | None = None, **how: Any
    ) -> Replicas:
        """Starts two servers at the same moment, and waits until both are ready.

        `first` are settings that only the first one has.
        """
        one, other = {**how, **(first or {})}, how
        replicas = Replicas([self.serve(wait=False, **each) for each in (one, other)])
        if wait:
            replicas.wait_until_ready()
        return replicas

    def _start(
        self,
        kind: Any,
        arguments: Sequence[str],
        *,
        folder: Path | None = None,
        limits: Mapping[str, float] | None = None,
        prefix: Sequence[str] = (),
        anew: bool = False,
        client: httpx.Client | None = None,
        **settings: object,
    ) -> Any:
        """`limits` as in launcher.py; `prefix` is a command that runs ours."""
        forker = None if anew or prefix else self.forker
        folder = folder or self.folder
        folder.mkdir(exist_ok=True)
        output = folder / f"output-{len(list(folder.glob('output-*')))}.txt"
        settings = {**WITHOUT_LIMITS, **QUIET, **self.settings, **settings}
        environment = {name: text for name, text in os.environ.items() if not name.startswith("IDENTITY_")}
        environment |= {f"IDENTITY_{name.upper()}": str(value) for name, value in settings.items()}
        environment |= {"LIMITS": json.dumps(limits), "PYTHONUNBUFFERED": "1"}
        program = [sys.executable, LAUNCHER] if limits else [IDENTITY]
        with output.open("wb") as file:
            if forker:
                process = forker.start(
                    arguments, folder=folder, environment=environment, output=file.fileno()
                )
            else:
                process = subprocess.Popen(
                    [*prefix, *program, *arguments],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=0o022,
                )
        database_url = settings.get("database_url", "sqlite:///identity.db")
        of_a_server = {"client": client, "database_url": database_url} if client else {}
        command = kind(process, folder, output, **of_a_server)
        self._stack.callback(command.kill)
        return command
