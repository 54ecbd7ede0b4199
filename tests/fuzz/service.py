"""The service in this process, without a client between: two accounts, and what must hold of any answer."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.grammar import Request

from identity.adapters.memory import FixedClock, PlainHasher
from identity.application.links import RequestLink
from identity.container import build_container
from identity.domain.errors import IdentityError
from identity.domain.secrets import Secret
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

SETTINGS: dict[str, Any] = {"database_url": "memory:", "mail_url": "memory:", "secret": Secret("s" * 32)}
"""Of every service that is fuzzed; a limit on requests would be lifted here."""

SECONDS = 0.05  # of work, for one request (HT-7)
LIFETIME = 400  # requests, after which a service starts anew: each makes the state larger that others copy
HER_PASSWORD = "canary staple 9fK2mQ7xWv4T"


@dataclass
class Answer:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        return next((v.decode("latin-1") for n, v in self.headers if n.decode().lower() == name), None)


class Failures(logging.Handler):
    """Keeps what the service says went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Service:
    """He sends the requests; what is hers must stay as it is."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.runner = asyncio.Runner()
        self.failures = Failures()
        logging.getLogger().addHandler(self.failures)
        self.count = 0
        self.reached: dict[str, set[tuple[str, int]]] = {}
        """The methods and statuses that each route was seen with."""
        self._start()

    def close(self) -> None:
        logging.getLogger().removeHandler(self.failures)
        self.runner.close()

    def _start(self) -> None:
        self.container = build_container(Settings(**SETTINGS, **self.settings))
        self.container.hasher.override(PlainHasher())
        self.container.clock.override(FixedClock())
        self.app = create_app(self.container)
        self.his_number = 0
        self.runner.run(self._register("canary_jane", HER_PASSWORD))
        self.hers = [self.runner.run(self._log_in("canary_jane", HER_PASSWORD)) for _ in range(2)]
        self._new_him()
        self.her_user = next(iter(self._state.users.values()))
        self.her_id = self.her_user.id
        self.her_state = self._hers()
        sessions = [session.id for session in self.her_state[1]]
        uidb64 = base64.urlsafe_b64encode(str(self.her_id).encode()).decode().rstrip("=")
        secrets = [token for pair in self.hers for token in (pair.access, pair.refresh)]
        self.canaries = [each.encode() for each in (*sessions, *secrets, "canary_jane", HER_PASSWORD)]
        self.her_words = {
            "her_username": "canary_jane",
            "her_email": "canary_jane@example.com",
            "her_session": sessions[0],
            "her_uidb64": uidb64,
            "her_spoilt_access": _spoilt(self.hers[0].access),
            "her_spoilt_refresh": _spoilt(self.hers[0].refresh),
        }

    async def _register(self, name: str, password: str) -> None:
        await self.container.register_user()(
            username=name, email=f"{name}@example.com", password=Secret(password)
        )

    async def _log_in(self, name: str, password: str) -> Any:
        return await self.container.log_in()(username=name, password=Secret(password))

    def _new_him(self) -> None:
        self.his_number += 1
        self.his_name, self.his_password = f"mallory{self.his_number}", "correct horse battery"
        self.runner.run(self._register(self.his_name, self.his_password))

    @property
    def _state(self) -> Any:
        return self.container.storage().committed()

    def _hers(self) -> tuple[Any, list[Any], list[Any]]:
        """All that is stored of her."""
        state = self._state
        sessions = [each for each in state.sessions.values() if each.user_id == self.her_id]
        devices = [key for key in state.devices if key[0] == self.her_id]
        return state.users.get(self.her_id), sessions, devices

    def words(self, request: Request) -> dict[bytes, bytes]:
        """What the words in the request stand for now. Whoever has lost his account gets another."""
        try:
            pair = self.runner.run(self._log_in(self.his_name, self.his_password))
        except IdentityError:
            self._new_him()
            pair = self.runner.run(self._log_in(self.his_name, self.his_password))
        claims = json.loads(_decoded(pair.access.split(".")[1]))
        words = {
            "username": self.his_name,
            "email": f"{self.his_name}@example.com",
            "password": self.his_password,
            "new_password": "another horse entirely",
            "new_username": f"trudy{self.count}",
            "access": pair.access,
            "refresh": pair.refresh,
            "session": claims["sid"],
            **self.her_words,
        }
        for word, ask, page in (
            ("reset_token", self.container.request_reset, "reset-password"),
            ("verification_token", self.container.request_verification, "verify-email"),
        ):
            if f"@{word}@".encode() in request.body:
                words["uidb64"], words[word] = self.runner.run(self._link(ask(), page))
        return {f"@{name}@".encode(): text.encode() for name, text in words.items()}

    async def _link(self, ask: RequestLink, page: str) -> tuple[str, str]:
        await ask(email=f"{self.his_name}@example.com")
        deliver_mail, sent = self.container.deliver_mail(), self.container.mailer().sent
        while await deliver_mail():
            pass
        his = "".join(mail.text for mail in sent if self.his_name in str(mail.to))
        links = re.findall(rf"/{page}/([\w-]+)/([\w-]+)", his)
        return links[-1] if links else ("MQ", "none")  # at most five in a day

    # One request

    def exchange(self, request: Request) -> Answer:
        """All requests pass here."""
        self.count += 1
        if self.count % LIFETIME == 0:
            self._start()
        return self.runner.run(self._exchange(request.filled(self.words(request))))

    async def _exchange(self, request: Request) -> Answer:
        answer = Answer()
        self.sent = request
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": urllib.parse.unquote(request.path.decode()),
            "raw_path": request.path,
            "root_path": "",
            "query_string": request.query,
            "headers": list(request.headers),
            "client": ("192.0.2.1", 4711),
            "server": ("localhost", 80),
            "state": {},
        }
        middle = len(request.body) // 2
        events = [
            {"type": "http.request", "body": request.body[:middle], "more_body": True},
            {"type": "http.request", "body": request.body[middle:], "more_body": False},
        ]

        async def receive() -> dict[str, Any]:
            return events.pop(0) if events else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                answer.body += message.get("body", b"")

        began = time.thread_time()
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        answer.seconds = time.thread_time() - began
        route = scope.get("path_template")
        self.reached.setdefault(str(route), set()).add((request.method, answer.status))
        return answer

    # What must hold

    def holds(self, request: Request) -> None:
        """Of the answer to this request, and of what is hers afterwards."""
        for _ in range(3):  # what is in the way for a moment is not there three times
            answer = self.exchange(request)
            if answer.seconds < SECONDS:
                break
        assert answer.seconds < SECONDS, f"{answer.seconds:.3f} s"
        is_documented(answer.status, answer.header, answer.body, method=request.method)
        failures, self.failures.records = self.failures.records, []  # the next example starts anew
        assert not failures, failures[0].getMessage()
        sent = b"\0".join([self.sent.octets, urllib.parse.unquote_to_bytes(self.sent.octets)])
        shown = answer.body + b"\0".join(value for _, value in answer.headers)
        assert not [canary for canary in self.canaries if canary in shown and canary not in sent]
        is_untouched = self._hers() == self.her_state
        if not is_untouched:
            self._start()
        assert is_untouched, "what is hers was changed"


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _spoilt(token: str) -> str:
    """The token with a signature that is surely another one."""
    head, claims, signature = token.split(".")
    return f"{head}.{claims}.{signature[::-1].swapcase()}"


def is_documented(status: int, header: Any, body: bytes, *, method: str) -> None:
    """What a client may get: the headers of every answer, and for a refusal one of three envelopes."""
    assert 200 <= status < 500, (status, body)
    assert header("x-content-type-options") == "nosniff"
    assert "default-src 'none'" in header("content-security-policy")
    assert re.fullmatch(r"no-store|public, max-age=\d+", header("cache-control"))
    assert header("server") is None
    assert header("access-control-allow-origin") in {
        None,
        "*",
        "http://localhost:3000",
        "http://localhost:5173",
    }
    assert (status == 401) == (header("www-authenticate") is not None)
    assert status != 405 or header("allow")
    if status < 400 or (method == "HEAD" and not body):
        return
    assert header("content-type") == "application/json"
    refusal = json.loads(body)
    if "detail" in refusal:
        assert isinstance(refusal["detail"], str)
        assert set(refusal) <= {"detail", "code", "messages"}
    elif "error" in refusal:
        assert set(refusal) == {"error"}
        assert isinstance(refusal["error"], str)
    else:
        assert refusal
        assert all(isinstance(text, str) for texts in refusal.values() for text in texts)
        assert all(isinstance(texts, list) for texts in refusal.values())
