"""A single-page app, answered at / beside the API: the files of one directory, read when the service starts.

A path that is no file is a page of the app, which has its own routes: it gets `index.html`.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from litestar.datastructures import Headers
from litestar.types import HTTPScope, Message, Send

from identity.entrypoints.http.headers import add_headers

NOT_OF_THE_APP = frozenset({"api", "health", ".well-known"})
"""First segments of paths that are the service's own."""
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
ROUTE = "/{page}"
"""What stands for every path of the app in the log and in metrics."""
_INDEX = "/index.html"
_HASHED = "/assets/"
"""Where a bundler puts files that have a digest of their content in their name."""
_FOR_EVER, _ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"
_SMALL = 1000  # bytes, which are one packet with or without compression
_TYPES = {  # the system's own table is another on each system
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_COMPRESSED_ALREADY = {".ico", ".jpg", ".png", ".webp", ".woff2"}
_REFUSES_GZIP = re.compile("gzip *; *q=0(\\.0*)?")  # RFC 9110, 12.4.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """A file as it is sent, plain or compressed."""

    body: bytes
    etag: bytes
    headers: list[tuple[bytes, bytes]]

    @classmethod
    def of(cls, body: bytes, headers: Mapping[str, str]) -> Self:
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        pairs = [(name.encode(), value.encode()) for name, value in {**headers, "etag": etag}.items()]
        return cls(body=body, etag=etag.encode(), headers=pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    plain: Representation
    gzipped: Representation | None

    @classmethod
    def read(cls, path: Path, name: str) -> Self:
        body, suffix = path.read_bytes(), path.suffix.lower()
        headers = {
            "content-type": _TYPES.get(suffix, "application/octet-stream"),
            "cache-control": _FOR_EVER if name.startswith(_HASHED) else _ASK_AGAIN,
            "content-security-policy": CONTENT_SECURITY_POLICY,
            "cross-origin-opener-policy": "same-origin",
            "vary": "accept-encoding",
        }
        gzipped = None
        if len(body) > _SMALL and suffix not in _COMPRESSED_ALREADY:
            compressed = gzip.compress(body, mtime=0)
            gzipped = Representation.of(compressed, headers | {"content-encoding": "gzip"})
        return cls(plain=Representation.of(body, headers), gzipped=gzipped)

    def for_client(self, headers: Headers) -> Representation:
        codings = [coding.strip().lower() for coding in headers.get("accept-encoding", "").split(",")]
        accepts = any(each.startswith("gzip") and not _REFUSES_GZIP.fullmatch(each) for each in codings)
        return self.gzipped if self.gzipped and accepts else self.plain


class SinglePageApp:
    """The files of the directory. Raises `OSError` when one cannot be read."""

    def __init__(self, directory: Path) -> None:
        paths = {f"/{path.relative_to(directory).as_posix()}": path for path in directory.rglob("*")}
        self._files = {
            name: File.read(path, name) for name, path in paths.items() if path.is_file() and "/." not in name
        }

    def file(self, scope: HTTPScope) -> File | None:
        """What answers the request; `None`: it is none for the app."""
        path = scope["path"]
        belongs_to = path.strip("/").partition("/")[0]
        if scope["method"] not in {"GET", "HEAD"} or belongs_to in NOT_OF_THE_APP:
            return None
        is_page = "." not in path.rpartition("/")[2]  # and not an asset of an earlier build
        return self._files.get(path) or (self._files[_INDEX] if is_page else None)


async def send_file(file: File, scope: HTTPScope, send: Send) -> None:
    scope["path_template"] = ROUTE
    headers = Headers.from_scope(scope)
    sent = file.for_client(headers)
    known = {etag.strip().removeprefix("W/") for etag in headers.get("if-none-match", "").split(",")}
    status, body = (304, b"") if sent.etag.decode() in known else (200, sent.body)
    length = [(b"content-length", str(len(body)).encode())] if status == 200 else []
    start: Message = {"type": "http.response.start", "status": status, "headers": [*sent.headers, *length]}
    await add_headers(start, scope)
    await send(start)
    await send(
        {
            "type": "http.response.body",
            "body": b"" if scope["method"] == "HEAD" else body,
            "more_body": False,
        }
    )
