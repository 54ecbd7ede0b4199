"""A server as a process of its own, the accounts that it is asked for, and one connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from tests.server.commands import Commands, Server
from tests.timing.hashers import CheapHasher

from identity.container import build_container
from identity.domain.login_code import LoginCode
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Digest, PasswordHash, Secret
from identity.domain.user import NewUser, User, user_reference
from identity.settings import Settings

PASSWORD, WRONG_PASSWORD = "yourpassword123", "yourpassword124"
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_SOON = 20.0  # seconds; generous, for machines that do something else besides
_AT_ONCE = 100  # accounts of each kind; a transaction has to end in time
_LONG = timedelta(days=1)  # than which no measurement takes longer


@dataclass
class Connection:
    """Requests one after the other on one connection, with no more around them than what is measured."""

    port: int
    _socket: socket.socket | None = None

    def post(self, path: str, body: object, *, access: str | None = None) -> tuple[int, float]:
        """The status of the answer, and how many milliseconds it took from the first octet to the last."""
        content = json.dumps(body).encode()
        authorization = "" if access is None else f"Authorization: Bearer {access}\r\n"
        request = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{authorization}"
            f"Content-Length: {len(content)}\r\n\r\n"
        ).encode() + content
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=_SOON)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer, began = b"", time.perf_counter_ns()
        self._socket.sendall(request)
        while True:
            answer += (more := self._socket.recv(65536))
            ended = time.perf_counter_ns()
            assert more, f"the connection ended after {answer!r}"
            head, blank, rest = answer.partition(b"\r\n\r\n")
            if blank and len(rest) >= int(_LENGTH.search(head + b"\r\n")[1]):  # type: ignore[index]
                return int(answer.split(None, 2)[1]), (ended - began) / 1e6

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass
class Deployment:
    """A server with `count` accounts: their names and nobody's are of one length, as requests have to be."""

    server: Server
    count: int
    """Of the accounts of each kind."""
    users: list[User] = field(default_factory=list)
    """The known ones; none has a higher id than the last of them."""
    _names: Iterator[int] = field(default_factory=itertools.count)

    def known(self, number: int) -> str:
        """Of an account whose address is not verified."""
        return f"known-{number % self.count:05}"

    def verified(self, number: int) -> str:
        return f"verif-{number % self.count:05}"

    def nobody(self, number: int) -> str:
        return f"other-{number % self.count:05}"

    def disabled(self, number: int) -> str:
        return f"disab-{number % self.count:05}"

    def new(self) -> str:
        """A name that nobody has had, another one each time."""
        return f"fresh-{next(self._names):05}"

    @staticmethod
    def request(name: str) -> str:
        """What somebody was answered who asked for a code to log in with at this name's address."""
        return f"{name:A>43}"

    @cached_property
    def access(self) -> str:
        """Of a session of a verified account."""
        return self.server.log_in(self.verified(0))["access"]

    @property
    def reference(self) -> str:
        """Of an account, as in the link of a reset mail."""
        return user_reference(self.users[-1].id)

    @property
    def nobodys_reference(self) -> str:
        """Of an id that no account has; it is as long as the other."""
        return user_reference(10 ** len(str(self.users[-1].id)) - 1)

    def fill(self) -> None:
        """Opens the accounts in the database: by requests it would take a transaction for each."""
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        container = build_container(Settings(database_url=f"sqlite:///{self.server.database}"))
        password_hash = await CheapHasher().hash(Secret(PASSWORD))
        now = datetime.now(UTC)
        try:
            for first in range(0, self.count, _AT_ONCE):
                async with container.begin()() as uow:
                    for number in range(first, min(first + _AT_ONCE, self.count)):
                        disabled = await uow.users.add(_account(self.disabled(number), password_hash, now))
                        await uow.users.save(disabled.disabled(at=now))
                        verified = _account(self.verified(number), password_hash, now)
                        await uow.users.add(replace(verified, email_verified_at=now))
                        known = _account(self.known(number), password_hash, now)
                        self.users.append(await uow.users.add(known))
                        # As when the mail has left, which it does for an account only.
                        await uow.login_codes.add(self._code(self.known(number), Digest(bytes(32)), now))
                        await uow.login_codes.add(self._code(self.nobody(number), None, now))
        finally:
            await container.storage().dispose()

    def _code(self, name: str, digest: Digest | None, at: datetime) -> LoginCode:
        return LoginCode(
            request=Secret(self.request(name)).digest(),
            email_key=_address(name).key,
            created_at=at,
            expires_at=at + _LONG,
            digest=digest,
        )


@contextmanager
def deployment(
    folder: Path, *, count: int, planted: str = "nothing", hasher: str = "CheapHasher", **settings: object
) -> Iterator[Deployment]:
    """Starts it, and ends it. Without a `mail_url`, no mail is delivered."""
    with Commands(folder) as commands:
        server = commands.serve(
            prefix=[sys.executable, str(_LAUNCHER), planted],
            hasher=f"tests.timing.hashers:{hasher}",
            **({} if "mail_url" in settings else {"deliver_mail": "false"}),
            **settings,
        )
        deployment = Deployment(server, count)
        deployment.fill()
        yield deployment


@contextmanager
def mail_server() -> Iterator[str]:
    """The URL of one that takes everything, in a process of its own so that it does not slow down ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sink = [sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Sink"]
    process = subprocess.Popen(sink, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _SOON
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"smtp://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def no_mail_server() -> Iterator[str]:
    """The URL of a port where nobody listens, and nobody will meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"smtp://127.0.0.1:{bound.getsockname()[1]}"


def _account(name: str, password_hash: PasswordHash, at: datetime) -> NewUser:
    return NewUser(
        username=Username.parse(name),
        email=_address(name),
        password_hash=password_hash,
        joined_at=at,
    )


def _address(name: str) -> EmailAddress:
    return EmailAddress.parse(f"{name}@example.com")
