"""Requests that are nearly right: those of the service's own document, with some of it spoilt.

Words such as `@access@` stand for what only the service under test knows; `filled` puts it there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from litestar import Litestar
from litestar.routes import HTTPRoute

WORDS = re.compile(rb"@[a-z0-9_]+@")
HIS = {
    "username": "@username@",
    "email": "@email@",
    "password": "@password@",
    "old_password": "@password@",
    "new_password": "@new_password@",
    "refresh": "@refresh@",
    "uidb64": "@uidb64@",
}
"""The fields of a body, as they are right for the account that sends it."""

# Of another account, what anybody may know, and secrets that are spoilt.
KNOWN = ["@her_username@", "@her_email@", "@her_session@", "@her_uidb64@", "@her_spoilt_access@"]
TOKENS = ["@access@", "@refresh@", "@her_spoilt_access@", "@her_spoilt_refresh@", "a.b.c", "e30.e30.e30"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X-Y"]
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
Pairs = list[tuple[str, Any]]


@dataclass(frozen=True)
class Request:
    method: str
    path: bytes
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def filled(self, words: Mapping[bytes, bytes]) -> Request:
        def fill(text: bytes) -> bytes:
            return WORDS.sub(lambda word: words.get(word[0], word[0]), text)

        headers = tuple((name, fill(value)) for name, value in self.headers)
        path, query, body = fill(self.path), fill(self.query), fill(self.body)
        return replace(self, path=path, query=query, headers=headers, body=body)

    @property
    def octets(self) -> bytes:
        """As one writes it on a connection."""
        target = self.path + (b"?" + self.query if self.query else b"")
        lines = [b"%s %s HTTP/1.1" % (self.method.encode(), target)]
        lines += [b"%s: %s" % header for header in self.headers]
        return b"\r\n".join([*lines, b"", self.body])


@dataclass(frozen=True)
class Route:
    """A path, its methods, and a body for those that take one."""

    path: str
    methods: frozenset[str]
    body: Mapping[str, Any] | None


def routes(app: Litestar) -> list[Route]:
    """Every route of the application's table, with the bodies that its document shows."""
    bodies: dict[str, Mapping[str, Any]] = {}
    for path, operations in app.openapi_schema.to_schema()["paths"].items():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
            if content:
                bodies[path.rstrip("/")] = _with_words(path, _example(content))
    return [
        Route(route.path, frozenset(route.methods), bodies.get(route.path))
        for route in app.routes
        if isinstance(route, HTTPRoute)
    ]


def _example(content: Mapping[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    return next(iter(content["examples"].values()))["value"]


def _with_words(path: str, example: Mapping[str, Any]) -> Mapping[str, Any]:
    tokens = {"reset": "@reset_token@", "verify-email": "@verification_token@"}
    token = next((word for part, word in tokens.items() if part in path), "@access@")
    words = {**HIS, "token": token}
    if "register" in path:
        words |= {"username": "@new_username@", "email": "@new_username@@example.com"}
    return {name: words.get(name, value) for name, value in example.items()}


def right(route: Route, method: str) -> Request:
    """A request in which nothing is spoilt."""
    body = b"" if route.body is None else _dumps(route.body).encode()
    path = _path(route.path, "openapi.json" if "schema" in route.path else "@session@", "slash")
    return _request(method, path, b"", authorization=[b"Bearer @access@"], typed=(JSON, body), more=OURS)


# Values

ODD_CHARACTERS = "\0\x1f\x7f\ud800\u200d\u202e\ufeff@.%'\"\\<{$"
CHARACTERS = st.characters(exclude_categories=()) | st.sampled_from(ODD_CHARACTERS)
PIECES = st.text(CHARACTERS, min_size=1, max_size=3)
TEXTS = st.text(CHARACTERS, max_size=40) | st.builds(str.__mul__, PIECES, st.sampled_from([100, 3000]))
SCALARS = (
    TEXTS
    | st.sampled_from([*KNOWN, *TOKENS, *HIS.values(), "", " ", "MQ", "1e400"])
    | st.integers()
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
OCTETS = st.binary(max_size=40) | st.sampled_from(
    [b"\0", b"\xff", b"[" * 999, b'{"a":' * 99, b"}", b'"', b"\\u", b"\xed\xa0\x80", b"NaN"]
)

# Bodies


def _changed(pairs: Pairs, how: str, place: int, name: str, value: Any) -> Pairs:
    place = place % len(pairs) if pairs else 0
    before, after = pairs[:place], pairs[place + 1 :]
    return {
        "none": pairs,
        "missing": before + after,
        "other": [*before, (pairs[place][0] if pairs else name, value), *after],
        "twice": pairs + pairs[place : place + 1],
        "more": [*pairs, (name, value)],
        "nested": [("data", dict(pairs))],
    }[how]


def _json(pairs: Pairs, ascii_only: bool) -> bytes:
    text = ", ".join(f"{_dumps(name, ascii_only)}: {_dumps(value, ascii_only)}" for name, value in pairs)
    return b"{" + text.encode(errors="surrogatepass") + b"}"


def _dumps(value: Any, ascii_only: bool = True) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)


def _form(pairs: Pairs) -> bytes:
    return "&".join(f"{name}={value}" for name, value in pairs).encode(errors="surrogatepass")


def _spoilt(typed: tuple[str, bytes], how: str, place: int, octets: bytes) -> tuple[str, bytes]:
    media_type, content = typed
    place %= len(content) + 1
    return media_type, {
        "none": content,
        "cut": content[:place],
        "put": content[:place] + octets + content[place:],
        "replace": content[:place] + octets + content[place + len(octets) :],
        "other": octets,
    }[how]


def bodies(body: Mapping[str, Any] | None) -> st.SearchStrategy[tuple[str, bytes]]:
    """A media type and octets. Fields may be missing, of another kind, there twice, too many, or cut."""
    names = st.sampled_from([*(body or {}), "id", "user_id", "is_superuser", "__proto__", "sid"]) | TEXTS
    changes = st.sampled_from(["none", "none", "other", "other", "more", "missing", "twice", "nested"])
    pairs = st.builds(_changed, st.just([*(body or {}).items()]), changes, st.integers(0, 9), names, VALUES)
    in_json = st.tuples(st.just(JSON), st.builds(_json, pairs, st.booleans()))
    in_a_form = st.tuples(st.just(FORM), pairs.map(_form))
    anything = st.tuples(st.sampled_from([JSON, FORM]), VALUES.map(lambda value: _dumps(value).encode()))
    nothing = st.just((JSON, b""))
    written = nothing | anything if body is None else in_json | in_json | in_a_form | anything
    how = st.sampled_from(["none", "none", "none", "none", "cut", "put", "replace", "other"])
    return st.builds(_spoilt, written, how, st.integers(0, 20_000), OCTETS)


# Requests

GOOD = st.just([b"Bearer @access@"])
AUTHORIZATIONS = (
    GOOD
    | GOOD
    | st.just([])
    | st.sampled_from(TOKENS).map(lambda token: [b"Bearer " + token.encode()])
    | st.sampled_from([b"", b"Bearer", b"bearer  @access@ ", b"Basic @access@"]).map(lambda value: [value])
    | st.just([b"Bearer @access@", b"Bearer @access@"])
    | st.binary(max_size=60).map(lambda octets: [b"Bearer " + octets])
)
NAMES = st.sampled_from(
    [
        b"origin", b"cookie", b"user-agent", b"content-type", b"content-length", b"expect", b"if-none-match",
        b"x-forwarded-for", b"access-control-request-method", b"access-control-request-headers", b"accept",
        b"host", b"transfer-encoding", b"x-http-method-override", b"range", b"accept-encoding",
    ]
)  # fmt: skip
ODD_VALUES = [
    b"http://localhost:3000", b"null", b"*", b"__Host-refresh=@refresh@", b"refresh=@refresh@", b"PUT",
    b"POST", b"text/plain", b"application/json;charset=utf-16", b"-1", b"99999999999999999999",
    b"100-continue", b"",
]  # fmt: skip
HEADER_VALUES = (
    st.sampled_from(ODD_VALUES)
    | st.binary(max_size=30)
    | st.binary(min_size=1, max_size=2).map(lambda octets: octets * 4000)
)
OURS = [(b"origin", b"http://localhost:3000"), (b"cookie", b"refresh=@refresh@")]
MORE = st.just([]) | st.just(OURS) | st.lists(st.tuples(NAMES, HEADER_VALUES), max_size=2)
QUERIES = st.sampled_from([b"", b"", b"id=1&user=@her_username@", b"a=%00", b"%ff=&[]=$", b"token=@access@"])
SEGMENTS = st.sampled_from([*KNOWN, "%00", "..", "%2e%2e%2f", "%ff", "x" * 5000, "*", "1"])
ODD_PATHS = st.sampled_from(["none", "slash"] * 4 + ["slashes", "longer", "dots", "escaped", "capitals"])


def _path(template: str, segment: str, how: str) -> bytes:
    path = re.sub(r"{[^}]+}", lambda _: segment, template)
    return {
        "none": path,
        "slash": path + "/",
        "slashes": path.replace("/", "//"),
        "longer": f"{path}/{segment}",
        "dots": f"{path}/../{segment}",
        "escaped": path.replace("a", "%61"),
        "capitals": path.upper(),
    }[how].encode()


def requests(table: list[Route]) -> st.SearchStrategy[Request]:
    """To every route there is, by every method; more often by one that it has."""
    return st.one_of([_to(route) for route in table])


def _to(route: Route) -> st.SearchStrategy[Request]:
    own = st.sampled_from(sorted(route.methods))
    likely = own if route.body is None else st.just("POST")
    return st.builds(
        _request,
        likely | likely | own | st.sampled_from(METHODS),
        st.builds(
            _path, st.just(route.path), st.sampled_from(["@session@", "@her_session@"]) | SEGMENTS, ODD_PATHS
        ),
        QUERIES,
        authorization=AUTHORIZATIONS,
        typed=bodies(route.body),
        more=MORE,
    )


def _request(
    method: str, path: bytes, query: bytes, *, authorization: list[bytes], typed: tuple[str, bytes], more: Any
) -> Request:
    media_type, body = typed
    headers = [(b"host", b"localhost"), *((b"authorization", value) for value in authorization)]
    if body:
        headers.append((b"content-type", media_type.encode()))
    return Request(method, path, query, (*headers, *more), body)
