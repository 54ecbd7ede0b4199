"""What is measured. Every subject is a module with the same few verbs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-bench" / "bin"
"""Programs of the peers' environment."""
PASSWORD = "yourpassword123"
SOON = 30.0  # seconds


@dataclass(frozen=True)
class Api:
    """How a subject wants to be asked."""

    paths: Mapping[str, str]
    """By the workload: those that it has."""
    login_body: Callable[[str], str]
    """Of the user's name."""
    login_type: str
    access: str
    """The name of the access token in the answer to a login."""


@dataclass
class Service:
    """A subject that runs."""

    subject: str
    api: Api
    process: int
    url: str
    database_url: str
    start: float
    """Seconds from its start to its first answer."""

    @property
    def database(self) -> str:
        """The name of the database on its server."""
        return urlsplit(self.database_url).path.rpartition("/")[2]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], body: str | None = None) -> Any:
        """The answer's JSON. Raises `RuntimeError` unless its status is 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers=dict(headers))
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{self.subject}: {method} {path}: {answer.status} {text[:300]!r}")
            return json.loads(text)

    def log_in(self, name: str) -> dict[str, str]:
        """The tokens."""
        head = {"Content-Type": self.api.login_type}
        answer: dict[str, str] = self.ask(
            "POST", self.api.paths["login"], headers=head, body=self.api.login_body(name)
        )
        return answer


class Subject(Protocol):
    name: str
    label: str
    """For tables and plots."""

    def prepare(self, database_url: str, *, users: int) -> None:
        """Makes the tables, and so many users: user0, user1, ... with `PASSWORD`."""

    def start(self, database_url: str, *, workers: int = 1) -> contextlib.AbstractContextManager[Service]:
        """Runs it until the block ends."""


@dataclass
class Program:
    """Starts a command in a process group of its own, of which nothing is left in the end."""

    name: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path) -> None:
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout}{done.stderr}")

    @contextlib.contextmanager
    def started(self, port: int, *command: str | Path) -> Iterator[tuple[int, float]]:
        """The process, once it answers, and the seconds that this took."""
        output = self.folder / f"{self.name}-{port}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process.pid, wait_until_it_answers(port, process, output)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _environment(self) -> dict[str, str]:
        inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        return {**inherited, **self.environment}


def wait_until_it_answers(port: int, process: subprocess.Popen[bytes], output: Path) -> float:
    """The seconds until the first answer to a request, whatever its status."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SOON)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                connection.getresponse().read()
                return time.monotonic() - began
        if process.poll() is not None or time.monotonic() > began + SOON:
            raise RuntimeError(f"{output.name}: {output.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def own_program(*arguments: str) -> Sequence[str]:
    """A module of ours, by the interpreter of the service."""
    return [sys.executable, "-m", *arguments]
