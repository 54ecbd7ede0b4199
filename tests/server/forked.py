"""The `identity` command in forks of one process that has imported it, as forker.py describes."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

FORKER = Path(__file__).with_name("forker.py")
STARTING = 60.0  # seconds


class Forked:
    """A fork, to be used as if it were a `Popen`."""

    def __init__(self, teller: socket.socket) -> None:
        self._teller = teller
        self._teller.settimeout(STARTING)
        self.pid = int(self._teller.recv(32))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._teller], [], [], 0)[0]:
            self.returncode = int(self._teller.recv(32))
            self._teller.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self._teller], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("identity", timeout or 0)
        status = self.poll()
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Forker:
    """The process that is forked. Starts when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: int
    ) -> Forked:
        if self._process is None:
            self._orders, of_the_forker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with of_the_forker:
                self._process = subprocess.Popen([sys.executable, FORKER], stdin=of_the_forker)
        order = {"arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        teller, of_the_fork = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with of_the_fork:
            socket.send_fds(self._orders, [json.dumps(order).encode()], [of_the_fork.fileno(), output])
        return Forked(teller)

    def close(self) -> None:
        if self._process is not None:
            self._orders.close()
            self._process.wait(STARTING)
            self._process = None
