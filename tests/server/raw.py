"""A socket to the server, on which a test sends what no client library would."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import dataclass, field

LONG = 15.0  # seconds; beyond it a connection was not cut
FLOOD = 64 * 1024 * 1024  # octets; more than the buffers between two sockets hold

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class Connection:
    socket: socket.socket
    received: bytes = b""
    opened: float = field(default_factory=time.monotonic)

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def flood(self, piece: bytes) -> int:
        """Sends it again and again until the other side will have no more; how many octets went out."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < FLOOD:
                sent += self.socket.send(piece)
        return sent

    def answer(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.received) < length:
            self._receive()
        body, self.received = self.received[:length], self.received[length:]
        return int(status.split()[1]), headers, body

    def status_and_json(self) -> tuple[int, object]:
        status, headers, body = self.answer()
        assert headers["content-type"] == "application/json"
        assert headers["cache-control"] == "no-store"
        return status, json.loads(body)

    def _receive(self) -> None:
        more = self.socket.recv(65536)
        assert more, f"the connection ended after {self.received!r}"
        self.received += more

    def is_cut(self) -> bool:
        """Whether the other side ends the connection without another word."""
        self.socket.settimeout(LONG)
        try:
            return self.received == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    @property
    def age(self) -> float:
        return time.monotonic() - self.opened


def length(body: bytes | int) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % (body if isinstance(body, int) else len(body))


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)
