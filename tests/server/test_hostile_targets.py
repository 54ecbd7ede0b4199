"""Paths, queries and methods that no client library sends, over a socket."""

from __future__ import annotations

import pytest
from tests.server.raw import Connection
from tests.server.test_hostile_requests import ALIVE, HOST, LIVE, NOT_FOUND, NOT_HTTP, PROMPTLY, get

SETTINGS = {"deliver_mail": "false"}
CREDENTIALS_MISSING = {"detail": "Authentication credentials were not provided."}


@pytest.fixture(scope="module")
def server(shared_commands):
    server = shared_commands.serve(**SETTINGS)
    yield server
    assert server.stop() == 0
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text


@pytest.fixture
def connection(server):
    yield Connection(server.connect())
    after = Connection(server.connect())
    after.send(LIVE, b"\r\n")
    assert after.status_and_json() == (200, ALIVE)
    assert after.age < PROMPTLY
    server.disconnect()


def answers(connection, request_, status, body):
    """And the connection goes on."""
    connection.send(request_)
    assert connection.status_and_json() == (status, body)
    connection.send(LIVE, b"\r\n")
    assert connection.status_and_json() == (200, ALIVE)


@pytest.mark.parametrize(
    "target",
    [
        b"//health//live",
        b"/health/live////",
        b"/%68ealth/%6Cive",
        b"/health/live?",
        b"/health/live?a=%00&b=%ff&c=%zz&d[$ne]=1&e=../../etc/passwd",
        b"/health/live?" + b"a=b&" * 7000,
        b"/health/live?" + b"%F0%9F%A6%8A" * 2000,
        b"/health/live#fragment",
        b"http://localhost/health/live",
        b"http://elsewhere.example:8080/health/live?q",
    ],
    ids=lambda target: target[:40].decode(),
)
def test_a_path_is_the_same_however_it_is_written(connection, target):
    answers(connection, get(target), 200, ALIVE)


@pytest.mark.parametrize(
    "target",
    [
        b"/../health/live",
        b"/api/../health/live",
        b"/api/..;/health/live",
        b"/%2e%2e/health/live",
        b"/api/%2e%2e%2fhealth/live",
        b"/..%5c..%5cetc/passwd",
        b"/.%00./etc/passwd",
        b"/health/live%00",
        b"/health/live%0d%0aSet-Cookie:%20a=b",
        b"/health/live;jsessionid=1",
        b"/health/live%3Fa",
        b"/health/live/.",
        b"/health\\live",
        b"/health/%6cive%20",
        b"/health/%zz%e",
        b"/%ff%fe",
        b"/%ed%a0%80",
        b"/%252e%252e/",
        b"/health/" + b"x" * 30_000,
        b"/" + b"a/" * 15_000,
        b"/" + b"%2f" * 10_000 + b"x",
        b"/" + b"%00" * 10_000,
        b"/api/schema/../../etc/passwd",
        b"/api/schema/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"/api/auth/login/' OR '1'='1",
        b"/api/auth/login/{{7*7}}",
        b"/api/user/profile/${jndi:ldap://x}",
        b"/.git/config",
        b"*",
        b"/",
    ],
    ids=lambda target: target[:40].decode(),
)
def test_an_odd_path_is_not_found(connection, target):
    if b" " in target:
        target = target.replace(b" ", b"%20")
    answers(connection, get(target), 404, NOT_FOUND)


@pytest.mark.parametrize(
    "target",
    [
        b"health/live",
        b"",
        b"\\health\\live",
        b"ftp://x:99999/",
        b"http://",
        b"://",
        b"/\0",
        b"/\x7f",
        b"/\xff",
    ],
    ids=repr,
)
def test_what_is_no_path_is_refused_and_cut(connection, target):
    connection.send(get(target))
    assert connection.status_and_json() == (400, NOT_HTTP)
    assert connection.is_cut()


METHODS = [
    b"TRACE", b"PROPFIND", b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"SEARCH", b"PURGE",
    b"REPORT", b"M-SEARCH", b"SUBSCRIBE", b"LINK", b"QUERY", b"PATCH", b"PUT", b"DELETE",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=bytes.decode)
def test_a_method_that_a_path_does_not_have_is_refused_in_the_same_words(connection, method):
    refused = {"detail": f'Method "{method.decode()}" not allowed.'}
    answers(connection, get(b"/health/live", method=method), 405, refused)
    answers(connection, get(b"/api/auth/login/", method=method), 405, refused)
    answers(connection, get(b"/api/user/profile/", method=method), 401, CREDENTIALS_MISSING)
    answers(connection, get(b"/api/nowhere/", method=method), 404, NOT_FOUND)


@pytest.mark.parametrize(
    ("target", "status"), [(b"/health/live", 405), (b"/api/user/profile/", 401), (b"example.com:443", 400)]
)
def test_the_service_is_no_proxy(connection, target, status):
    connection.send(get(target, method=b"CONNECT"), get(b"/health/live"))
    assert connection.status_and_json()[0] == status
    assert connection.is_cut()


def test_nothing_of_a_request_is_mirrored(connection):
    line = b"Cookie: canary-9fK2mQ7xWv4T\r\n"
    connection.send(get(b"/health/live?canary-9fK2mQ7xWv4T", line, method=b"TRACE"))
    status, headers, body = connection.answer()
    assert status == 405
    assert "canary" not in str(headers)
    assert b"canary" not in body


def test_http_1_0_is_closed_whatever_it_asks_for(connection):
    connection.send(b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n" + HOST + b"\r\n")
    assert connection.status_and_json() == (200, ALIVE)
    assert connection.is_cut()
