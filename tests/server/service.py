"""What one asks of a service that runs, over real sockets, whichever process answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

PASSWORD = "yourpassword123"
SOON = 20.0  # seconds; generous, for machines that do something else besides
LINK = re.compile(r"/reset-password/([\w-]+)/([\w-]+)")


def eventually(what: Callable[[], Any]) -> Any:
    """The first result of `what` that is true."""
    deadline = time.monotonic() + SOON
    while not (result := what()):
        assert time.monotonic() < deadline, f"not within {SOON} seconds"
        time.sleep(0.02)
    return result


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
