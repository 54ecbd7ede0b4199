"""Many good clients who log in again and again over connections that they keep, and one who asks meanwhile.

On the asyncio protocol itself: what measures a service must not need the cores that the service needs.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PATIENCE = 30.0  # seconds after which an answer is given up
PROBERS = 4
PROBES = 20  # in a second, of all probers
_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
_RETRY_AFTER = re.compile(rb"^retry-after: *(\d+)", re.IGNORECASE | re.MULTILINE)


class Answer(NamedTuple):
    status: int
    seconds: float
    retry_after: int | None


@dataclass
class Outcome:
    logins: list[Answer] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    """Seconds from when the profile was due, so that a late probe is not a quick one."""
    late: list[Answer] = field(default_factory=list)
    """Answers to logins that came after the time was over."""

    @property
    def statuses(self) -> Counter[int]:
        return Counter(login.status for login in self.logins)

    def login_seconds(self, status: int) -> list[float]:
        return [login.seconds for login in self.logins if login.status == status]


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    """One request after the other; made anew when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None

    async def open(self) -> None:
        self._received = b""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    async def ask(self, request: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            async with asyncio.timeout(PATIENCE):
                try:
                    head = await self._ask(request)
                except ConnectionError:  # closed as idle at the same moment: browsers ask again as well
                    head = await self._ask(request)
        except (OSError, TimeoutError):
            self.close()
            return Answer(0, loop.time() - asked_at, None)
        retry_after = _RETRY_AFTER.search(head)
        return Answer(int(head[9:12]), loop.time() - asked_at, int(retry_after[1]) if retry_after else None)

    async def _ask(self, request: bytes) -> bytes:
        """The head of the answer."""
        if self._transport is None or self._transport.is_closing():
            await self.open()
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank_line, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if blank_line and (length is None or len(body) >= int(length[1])):
            self._received = b""
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(head)


def login(name: str, password: str, *, address: str) -> bytes:
    content = json.dumps({"username": name, "password": password}).encode()
    head = (
        "POST /api/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Forwarded-For: {address}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def profile(access: str) -> bytes:
    head = f"GET /api/user/profile/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {access}\r\n\r\n"
    return head.encode()


async def keep_logging_in(port: int, requests: Sequence[bytes], *, seconds: float) -> Outcome:
    """One client for each request, all at the same moment. Who is refused waits as long as it was told."""
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    connections = [_Connection(port) for _ in requests]
    for connection in connections:
        await connection.open()
    ends_at = loop.time() + seconds

    async def client(connection: _Connection, request: bytes) -> None:
        while loop.time() < ends_at:
            answer = await connection.ask(request)
            if loop.time() >= ends_at:
                outcome.late.append(answer)
                return
            outcome.logins.append(answer)
            if answer.status != 200:
                pause = (answer.retry_after or 1) + random.random()
                await asyncio.sleep(min(pause, ends_at - loop.time()))

    await asyncio.gather(*map(client, connections, requests))
    for connection in connections:
        connection.close()
    return outcome


async def keep_probing(port: int, request: bytes, *, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    probes: list[float] = []

    async def prober(number: int) -> None:
        connection = _Connection(port)
        due = began_at + number / PROBES
        while due < began_at + seconds:
            await asyncio.sleep(due - loop.time())
            answer = await connection.ask(request)
            assert answer.status == 200, answer
            probes.append(loop.time() - due)
            due += PROBERS / PROBES
        connection.close()

    await asyncio.gather(*map(prober, range(PROBERS)))
    return probes
