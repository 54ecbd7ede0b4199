"""A mail API on a real socket: takes JSON, asks for a token, sends one mail for each idempotency key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API_TOKEN = "canary-5Wd2nQ8rLx0vT6kYh3Zs"
SENDER = "Acme <no-reply@acme.example>"


@dataclass
class MailApi:
    """What arrived, and how to answer. An event holds the answer back, or the end of it, until it is set."""

    url: str
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    held_back: threading.Event | None = None
    end_held_back: threading.Event | None = None
    paths: list[str] = field(default_factory=list)
    mails: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, request: BaseHTTPRequestHandler) -> int:
        content = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.paths.append(request.path)
        if self.held_back:
            self.held_back.wait(30)
        if request.headers["Authorization"] != f"Bearer {API_TOKEN}":
            return 401
        if 200 <= self.status <= 299:
            self.mails.setdefault(request.headers["Idempotency-Key"], content)
        return self.status


@contextmanager
def mail_api() -> Iterator[MailApi]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.paths.append(self.path)
            self.send_error(405)

        def do_POST(self) -> None:
            self.send_response(api.take(self))
            for name, value in {**api.headers, "Content-Length": str(len(api.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if api.end_held_back:
                api.end_held_back.wait(30)
            self.wfile.write(api.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that was interrupted is gone before it has its answer."""

    server = Server(("127.0.0.1", 0), Handler)
    api = MailApi(url=f"http://127.0.0.1:{server.server_port}/messages")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
