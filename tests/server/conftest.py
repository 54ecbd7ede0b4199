"""The real command as a process of its own: real sockets, a real database and a real mail server."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import html
import http.client
import itertools
import json
import os
import re
import secrets
import select
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope
from tests.databases import Databases, execute
from tests.server.forked import Forked, Forker

IDENTITY = Path(sys.executable).with_name("identity")
LAUNCHER = Path(__file__).with_name("launcher.py")
PASSWORD = "yourpassword123"
SOON = 20.0  # seconds; generous, for machines that do something else besides
SECRET = secrets.token_urlsafe(32)  # of every server with a server database
# What a test does within five minutes is its own matter. Those about the limits set them.
WITHOUT_LIMITS = {"login_free_failures": 100, "address_failures": 100_000, "address_requests": 100_000}
CHEAPLY = {"hasher": "identity.adapters.memory:PlainHasher"}
"""For a server that is asked for many passwords, where it is not the hashing that is tested."""
QUIET = {
    "email_verification": "off",  # which mail a test waits for is its own matter
    "log_format": "text",
}
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would load the system's authorities for each client
LISTENING = re.compile(r"running on http://127\.0\.0\.1:([0-9]+)")
LINK = re.compile(r"/reset-password/([\w-]+)/([\w-]+)")


def eventually(what: Callable[[], Any]) -> Any:
    """The first result of `what` that is true."""
    deadline = time.monotonic() + SOON
    while not (result := what()):
        assert time.monotonic() < deadline, f"not within {SOON} seconds"
        time.sleep(0.02)
    return result


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[[Callable[[], Any]], Any]:
    return eventually


# Requests


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]
    seconds: float
    """From the last octet of the request to the end of the answer."""


class Link(NamedTuple):
    """What a mailed link carries."""

    uidb64: str
    token: str


@dataclass
class Volley:
    """Requests on connections of their own, complete but for the last octet; `fire` sends these together."""

    connections: list[socket.socket]
    fired: float = 0.0

    def fire(self) -> Volley:
        self.fired = time.monotonic()
        for connection in self.connections:
            connection.send(b"}")
        return self

    def wait_for_the_first(self) -> None:
        """Returns when one request, any of them, is answered."""
        assert select.select(self.connections, [], [], SOON)[0], "no answer"

    def answers(self) -> list[Answer]:
        """In the order of the requests. A connection that was cut has no body, or even the status 0."""
        poll = select.poll()
        answers: dict[int, Answer] = {}
        for connection in self.connections:
            poll.register(connection, select.POLLIN)
        while len(answers) < len(self.connections):
            ready = poll.poll(SOON * 1000)
            assert ready, "no answer"
            for number, _ in ready:
                poll.unregister(number)
                connection = next(each for each in self.connections if each.fileno() == number)
                answers[number] = self._answer(connection)
        in_order = [answers[connection.fileno()] for connection in self.connections]
        for connection in self.connections:
            connection.close()
        return in_order

    def _answer(self, connection: socket.socket) -> Answer:
        status, headers, content = 0, httpx.Headers(), b"null"
        with (
            contextlib.closing(http.client.HTTPResponse(connection)) as response,
            contextlib.suppress(OSError, http.client.HTTPException),
        ):
            response.begin()
            status, headers = response.status, httpx.Headers(response.getheaders())
            content = response.read()
        return Answer(status, json.loads(content), headers, time.monotonic() - self.fired)


class Service:
    """What one asks of the service, whichever process answers."""

    def post(self, path: str, body: object, *, access: str | None = None) -> httpx.Response:
        raise NotImplementedError

    def get(self, path: str, *, access: str | None = None) -> httpx.Response:
        raise NotImplementedError

    def aim(self, requests: Sequence[tuple[Any, ...]]) -> Volley:
        """Requests to POST: a path, a body, and an access token or none."""
        raise NotImplementedError

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database answers; `values` stand for the question marks in the statement."""
        raise NotImplementedError

    def at_once(self, requests: Sequence[tuple[Any, ...]]) -> list[Answer]:
        return self.aim(requests).fire().answers()

    def register(self, name: str, password: str = PASSWORD) -> None:
        body = {"username": name, "email": f"{name}@example.com", "password": password}
        answer = self.post("/api/auth/register/", body)
        assert answer.status_code == 201, answer.text

    def log_in(self, name: str, password: str = PASSWORD) -> dict[str, str]:
        answer = self.post("/api/auth/login/", {"username": name, "password": password})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def can_log_in(self, name: str, password: str = PASSWORD) -> bool:
        answer = self.post("/api/auth/login/", {"username": name, "password": password})
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200

    def forgot(self, name: str) -> httpx.Response:
        answer = self.post("/api/auth/forgot-password/", {"email": f"{name}@example.com"})
        assert (answer.status_code, answer.json()) == (
            200,
            {"message": "Password reset instructions sent to your email"},
        )
        return answer

    def reset(self, link: Link, password: str = "newpassword123") -> httpx.Response:
        return self.post("/api/auth/reset-password/", {**link._asdict(), "password": password})

    def audited(self, name: str) -> list[str]:
        """The kinds of what happened to the account, in order."""
        statement = (
            "SELECT kind FROM audit_events JOIN users ON users.id = user_id WHERE username = ? "
            "ORDER BY audit_events.id"
        )
        return [kind for (kind,) in self.rows(statement, name)]


# Processes


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


@pytest.fixture(scope="module")
def kind() -> str:
    """Of the database. A module that runs on several is parametrised with it, in the scope of the module."""
    return "sqlite"


@pytest.fixture(scope="module")
def new_database(databases: Databases, kind: str) -> Callable[[], dict[str, object]]:
    """Makes a database without any table: the settings of a server that is to use it."""
    return lambda: _settings_for(databases.new(kind))


def _settings_for(url: str) -> dict[str, object]:
    for_a_server = {"secret": SECRET, "auto_migrate": "true"}
    return {"database_url": url, **({} if url.startswith("sqlite:") else for_a_server)}


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker | None]:
    if not hasattr(os, "pidfd_open"):  # which only Linux has
        yield None
        return
    with contextlib.closing(Forker()) as forker:
        yield forker


@pytest.fixture
def commands(tmp_path: Path, databases: Databases, kind: str, forker: Forker | None) -> Iterator[Commands]:
    settings = {} if kind == "sqlite" else _settings_for(databases.migrated(kind))
    with Commands(tmp_path / "deployment", settings, forker) as commands:
        yield commands


@pytest.fixture(scope="module")
def shared_commands(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    new_database: Callable[[], dict[str, object]],
    forker: Forker | None,
) -> Iterator[Commands]:
    """For servers that several tests of a module use."""
    settings = {} if kind == "sqlite" else new_database()
    with Commands(tmp_path_factory.mktemp("shared") / "deployment", settings, forker) as commands:
        yield commands


@pytest.fixture
def serve(commands: Commands) -> Callable[..., Server]:
    return commands.serve


@pytest.fixture
def verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many passwords were verified so far, by servers with the hasher of counted_hasher.py."""
    file = tmp_path / "verified"
    file.touch()
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("VERIFIED", str(file))
    monkeypatch.setenv("HASHING_SECONDS", "0.01")
    return lambda: len(file.read_text(encoding="ascii").splitlines())


# Mail


class MailServer:
    """A real SMTP server that writes down what it takes, and answers each recipient as it is told.

    `answers` maps a recipient to a reply such as "450 later", or to STALL: no reply to RCPT; or to HOLD: the
    mail is taken, but there is no reply; or to CUT: the same, but the connection ends, once.
    """

    STALL, HOLD, CUT = "stall", "hold", "cut"

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.stalled: list[str] = []
        """The recipients whose sender was kept waiting."""
        self._going_on: set[str] = set()
        self._controller: _Controller | None = None
        self._bound = _bound(0)  # keeps the port ours while nobody listens there
        self.port: int = self._bound.getsockname()[1]

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._controller = _Controller(self, self._bound)
        self._controller.start()

    def stop(self) -> None:
        """From now on connections are refused, and those that were open are cut."""
        if self._controller is not None:
            self._controller.end()
            self._controller = None
            self._bound = _bound(self.port)

    def close(self) -> None:
        self.stop()
        self._bound.close()

    def to(self, name: str, subject: str = "") -> list[EmailMessage]:
        return [
            mail for mail in self.mails if mail["To"] == f"{name}@example.com" and subject in mail["Subject"]
        ]

    def arrives(self, name: str, subject: str = "") -> EmailMessage:
        """The first mail to this account, when it is there."""
        return eventually(lambda: self.to(name, subject))[0]

    def wait_until_stalled(self, name: str) -> None:
        """Returns when the sender of a mail to this account is kept waiting."""
        eventually(lambda: f"{name}@example.com" in self.stalled)

    def go_on(self, name: str) -> None:
        """Lets those go on who were kept waiting."""
        self._going_on.add(f"{name}@example.com")

    def link(self, name: str) -> Link:
        """What stands in the link of the first mail to this account that has one."""
        return link_in(self.arrives(name, "Reset"))

    # What aiosmtpd calls

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: object, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 ok")
        if answer == self.STALL:
            await self._keep_waiting(address)
            answer = "250 ok"
        if answer[0] in "45":
            return answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        (address,) = envelope.rcpt_tos
        if self.answers.get(address) == self.CUT:
            del self.answers[address]
            server.transport.abort()
        if self.answers.get(address) == self.HOLD:
            await self._keep_waiting(address)
        return "250 taken"

    async def _keep_waiting(self, address: str) -> None:
        self.stalled.append(address)
        while address not in self._going_on:  # noqa: ASYNC110 - it is added by another thread
            await asyncio.sleep(0.02)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class _Controller(Controller):
    """Listens on a socket that is there already, and leaves no connection behind."""

    def __init__(self, handler: MailServer, listener: socket.socket) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=handler.port)
        self._listener = listener
        self._transports: set[asyncio.Transport] = set()

    def factory(self) -> SMTP:
        transports = self._transports

        class Connection(SMTP):
            def connection_made(self, transport: Any) -> None:
                transports.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                transports.discard(self.transport)
                super().connection_lost(error)

        return Connection(self.handler, enable_SMTPUTF8=True, loop=self.loop)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result(SOON)
        self.stop()

    async def _cut(self) -> None:
        assert self.server is not None
        # What was just accepted needs a server that is open to become a transport, which can be closed.
        self.loop.remove_reader(self._listener)
        await asyncio.sleep(0.02)
        self.server.close()
        for transport in list(self._transports):
            transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def link_in(mail: EmailMessage) -> Link:
    """The link in both parts of the mail, which must be the same."""
    text, page = (part.get_content() for part in mail.iter_parts())
    in_text, in_page = LINK.search(text), LINK.search(html.unescape(page))
    assert in_text
    assert in_page
    assert in_text[0] == in_page[0]
    return Link(*in_text.groups())


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    with contextlib.closing(MailServer()) as server:
        server.start()
        yield server


@pytest.fixture(scope="module")
def shared_smtp(kind: str) -> Iterator[MailServer]:
    """For servers that several tests of a module use, on one kind of database."""
    with contextlib.closing(MailServer()) as server:
        server.start()
        yield server
