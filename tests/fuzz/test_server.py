"""Octets that were a request once, on connections to the real server.

Whatever arrives: every connection ends in time, all that comes back is HTTP and documented, never a 5xx; and
the worker goes on, with nothing in its log and nothing of another account shown or changed.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from tests.fuzz.grammar import Request, right, routes
from tests.fuzz.rounds import run
from tests.fuzz.service import is_documented
from tests.server.commands import Commands, Server

from identity.container import build_container
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

SECONDS = 0.3  # for a head, for a body, and between requests
SETTINGS = {
    "deliver_mail": "false",
    "limits": {
        "identity.entrypoints.http.connection:HEAD_TIME_LIMIT": SECONDS,
        "identity.entrypoints.http.connection:BODY_TIME_LIMIT": SECONDS,
        "identity.entrypoints.http.body:TIME_LIMIT": SECONDS,
        "identity.entrypoints.server:IDLE_LIMIT": SECONDS,
    },
}
"""Of the server that is fuzzed; a limit on requests would be lifted here."""

END = 10.0  # seconds, after which a connection hangs
VOLLEY = 50  # requests at once, for most of the time goes into waiting for the ends of connections
PASSWORD = "correct horse battery"

PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%", b"%00", b"\xff", b"\x80" * 40, b"x" * 9000, b"{",
    b"\r\n\r\n", b"\r\n ", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 99999999\r\n", b"Content-Length: -1\r\n", b"Host: x\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Expect: 100-continue\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Origin: http://localhost:3000\r\n", b"Access-Control-Request-Method: PUT\r\n", b"5\r\n12345\r\n",
    b"ffff\r\n", b"0\r\n\r\n", b"X: y\r\n" * 500, b"[" * 500, b"\\u0000", b"\xed\xa0\x80", b"HEAD",
    b"CONNECT", b"/" * 900, b'"',
]  # fmt: skip


@dataclass(frozen=True)
class Edit:
    how: str
    place: float
    octets: bytes
    length: int

    def of(self, content: bytes) -> bytes:
        start = int(self.place * len(content))
        end = start + self.length
        return {
            "put": content[:start] + self.octets + content[start:],
            "replace": content[:start] + self.octets + content[start + len(self.octets) :],
            "remove": content[:start] + content[end:],
            "repeat": content[:end] + content[start:],
            "cut": content[:start],
            "again": content + content,
        }[self.how]


EDITS = st.builds(
    Edit,
    st.sampled_from(["put", "put", "put", "replace", "replace", "remove", "repeat", "cut", "again"]),
    st.floats(0, 1),
    st.sampled_from(PIECES) | st.binary(min_size=1, max_size=8),
    st.sampled_from([1, 2, 7, 40]),
)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    for edit in edits:
        content = edit.of(content)
    return content


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Commands(tmp_path_factory.mktemp("fuzz") / "deployment") as commands:
        server = commands.serve(**SETTINGS)
        yield server
        assert server.stop() == 0


@dataclass
class Fuzzer:
    server: Server
    canaries: list[bytes]
    count: int = 0

    def holds(self, volley: list[bytes]) -> None:
        connections = [self._sent(content) for content in volley]
        for content, received in zip(volley, self._received(connections), strict=True):
            self._check(content, received)
        assert self.server.client.get("/health/live").json() == {"status": "alive"}
        assert " ERROR " not in self.server.text
        assert "Traceback" not in self.server.text

    def _sent(self, content: bytes) -> socket.socket:
        self.count += 1
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=END)
        with contextlib.suppress(ConnectionError):  # it may be cut while we send
            connection.sendall(content)
        return connection

    def _received(self, connections: list[socket.socket]) -> list[bytes]:
        """What comes on each until the other side ends it."""
        received = {connection.fileno(): b"" for connection in connections}
        poll = select.poll()
        for connection in connections:
            poll.register(connection, select.POLLIN)
        waiting = {connection.fileno(): connection for connection in connections}
        deadline = time.monotonic() + END
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} connections hang"
            for number, _ in poll.poll(1000):
                try:
                    more = waiting[number].recv(65536)
                except ConnectionError:
                    more = b""
                received[number] += more
                if not more:
                    poll.unregister(number)
                    del waiting[number]
        answers = [received[connection.fileno()] for connection in connections]
        for connection in connections:
            connection.close()
        return answers

    def _check(self, sent: bytes, received: bytes) -> None:
        assert not [canary for canary in self.canaries if canary in received and canary not in sent]
        while received:
            head, end, received = received.partition(b"\r\n\r\n")
            assert end, head
            line, *lines = head.decode("latin-1").split("\r\n")
            status = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z -]+", line)
            assert status, line
            headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
            if status[1] == "100":
                continue
            # Nothing but an answer to HEAD has a length and no body.
            is_empty = not received or received.startswith(b"HTTP/1.1 ")
            length = 0 if is_empty else int(headers.get("content-length", 0))
            body, received = received[:length], received[length:]
            assert len(body) == length
            is_documented(int(status[1]), headers.get, body, method="HEAD" if is_empty else "")


def originals(words: dict[bytes, bytes]) -> list[bytes]:
    """A right request to every route by every method, with its length."""
    app = create_app(build_container(Settings(database_url="memory:", mail_url="memory:")))
    return [
        with_length(right(route, method).filled(words))
        for route in routes(app)
        for method in sorted(route.methods)
    ]


def with_length(request: Request) -> bytes:
    length = ((b"content-length", str(len(request.body)).encode()),) if request.body else ()
    return Request(request.method, request.path, request.query, request.headers + length, request.body).octets


def test_whatever_octets_arrive_every_connection_ends_and_the_worker_goes_on(server):
    server.register("canary_jane", PASSWORD)
    server.register("mallory", PASSWORD)
    hers, his = server.log_in("canary_jane", PASSWORD), server.log_in("mallory", PASSWORD)
    known = {"username": "mallory", "password": PASSWORD, "access": his["access"], "refresh": his["refresh"]}
    words = {f"@{name}@".encode(): text.encode() for name, text in known.items()}
    fuzzer = Fuzzer(server, [b"canary_jane", hers["access"].encode(), hers["refresh"].encode()])
    raw = st.builds(edited, st.sampled_from(originals(words)), st.lists(EDITS, min_size=1, max_size=4))
    try:
        run(st.lists(raw, min_size=VOLLEY, max_size=VOLLEY), fuzzer.holds, examples=4, of_each_seed=20)
    finally:
        print(f"{fuzzer.count} requests to the server")
    assert server.post("/api/auth/token/refresh/", {"refresh": hers["refresh"]}).status_code == 200
    assert server.can_log_in("canary_jane", PASSWORD)
