"""Another system that takes webhooks, over real HTTP in a thread of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from identity.domain.webhook import SigningSecret


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that was received."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    def is_signed_by(self, *secrets: str) -> bool:
        """By these in this order, each as `identity webhooks secret` prints it."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
        signatures = [SigningSecret(key=key).signature(id=self.id, at=at, body=self.body) for key in keys]
        return self.headers["webhook-signature"].split(" ") == signatures


class Receiver:
    """Answers `status` to all. `settings` are those of a service that tells it of everything."""

    def __init__(self) -> None:
        self.status = 204
        self.taken: list[Taken] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): text for name, text in self.headers.items()}
                receiver.taken.append(Taken(headers, body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks?token=canary-of-the-url"
        self.settings = {"webhook_url": self.url, "webhook_private": "true"}

    def told(self, kind: str) -> list[Taken]:
        return [each for each in self.taken if each.said["type"] == kind]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()
