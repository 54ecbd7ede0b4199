"""Requests that no client library sends, over a socket: each is answered for what it is, or refused and cut.

Bodies and heads that are too large or too slow are in test_sockets.py.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path

import pytest
from tests.server.raw import CHUNKED, LAST_CHUNK, Connection, chunk, length

CANARY = "canary-9fK2mQ7xWv4T"
SECONDS = 3.0  # for a head, and for a body
SETTINGS = {
    "deliver_mail": "false",
    "limits": {
        "identity.entrypoints.http.connection:HEAD_TIME_LIMIT": SECONDS,
        "identity.entrypoints.http.connection:BODY_TIME_LIMIT": SECONDS,
        "identity.entrypoints.http.body:TIME_LIMIT": SECONDS,
    },
}
PROMPTLY = 1.0  # seconds, in which a machine with much else to do answers too

BODY = json.dumps({"username": "nobody", "password": CANARY}).encode()
HOST = b"Host: localhost\r\n"
LOGIN = b"POST /api/auth/login/ HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /api/schema/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"

ALIVE = {"status": "alive"}
NOT_FOUND = {"detail": "Not found."}
REFUSED = {"detail": "No active account found with the given credentials"}
NOT_HTTP = {"detail": "Invalid HTTP request received."}


@pytest.fixture(scope="module")
def server(shared_commands):
    server = shared_commands.serve(**SETTINGS)
    yield server
    assert server.stop() == 0
    assert CANARY not in server.text
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text
    assert "WebSocket" not in server.text


@pytest.fixture
def connect(server):
    """And after each test, proof that the worker still answers."""
    yield lambda: Connection(server.connect())
    after = Connection(server.connect())
    after.send(LIVE, b"\r\n")
    assert after.status_and_json() == (200, ALIVE)
    assert after.age < PROMPTLY
    server.disconnect()


@pytest.fixture
def connection(connect):
    return connect()


def get(target: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return b"%s %s HTTP/%s\r\n%s\r\n" % (method, target, version, HOST + b"".join(headers))


def assert_refused_and_cut(connection):
    """One answer, whatever else was sent."""
    assert connection.status_and_json() == (400, NOT_HTTP)
    assert connection.is_cut()


# Where a request ends. Who reads it in another way than a proxy before us can be sent a stranger's request.


@pytest.mark.parametrize("value", [
    b"+5", b"-0", b"5, 5", b"5,6", b"5 5", b"0x5", b"5.0", b"5e0", b"", b"\x0b5", "\u0665".encode(), b"5;",
    b"99999999999999999999999", b"18446744073709551616", b"NaN", b'"5"',
])  # fmt: skip
def test_a_length_that_is_no_plain_number_is_refused(connection, value):
    connection.send(LOGIN, b"Content-Length: ", value, b"\r\n\r\n12345", SMUGGLED)
    assert_refused_and_cut(connection)


@pytest.mark.parametrize("number", [b"18446744073709551615", b"9223372036854775808", b"0" * 5000 + b"16385"])
def test_a_length_beyond_any_body_is_refused_at_once_and_cut(connection, number):
    connection.send(LOGIN, b"Content-Length: ", number, b"\r\n\r\n12345", SMUGGLED)
    status, body = connection.status_and_json()
    assert (status, body) == (413, {"detail": "Request body exceeds the limit of 16384 bytes."})
    assert connection.is_cut()
    assert connection.age < SECONDS


def test_a_length_with_zeros_before_it_is_the_number_it_is(connection):
    for zeros in (1, 10, 1000):
        connection.send(LOGIN, b"Content-Length: ", b"0" * zeros, b"%d\r\n\r\n" % len(BODY), BODY)
        assert connection.status_and_json() == (401, REFUSED)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"Content-Length: 5\r\nContent-Length: 5\r\n", id="a length twice"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 50\r\n", id="two lengths"),
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="length, chunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", id="chunked, length"),
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", id="length, identity"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="chunked, identity"),
        pytest.param(b"Transfer-Encoding: chunked, chunked\r\n", id="chunked, chunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", id="chunked twice"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", id="chunked, then another"),
        pytest.param(b"Transfer-Encoding: identity\r\n", id="identity"),
        pytest.param(b"Transfer-Encoding: gzip\r\n", id="gzip"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", id="xchunked"),
        pytest.param(b"Transfer-Encoding: chunkedx\r\n", id="chunkedx"),
        pytest.param(b'Transfer-Encoding: "chunked"\r\n', id="chunked in quotes"),
        pytest.param(b"Transfer-Encoding: \x0bchunked\r\n", id="chunked after a vertical tab"),
        pytest.param(b"Transfer-Encoding : chunked\r\n", id="a space before the colon"),
        pytest.param(b"Transfer-Encoding:\r\n chunked\r\n", id="chunked in a folded line"),
        pytest.param(b"Transfer-Encoding:\r\n", id="nothing"),
        pytest.param(b"X: y\nTransfer-Encoding: chunked\r\n", id="after a bare LF"),
        pytest.param(b"X: y\rTransfer-Encoding: chunked\r\n", id="after a bare CR"),
        pytest.param(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", id="upgrade, length"),
        pytest.param(
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
            id="upgrade, chunked",
        ),
    ],
)
def test_a_body_whose_end_can_be_read_in_two_ways_is_refused(connect, headers):
    for pause in (0.0, 0.05):  # in one packet, and in two
        connection = connect()
        connection.send(LOGIN, headers, b"\r\n")
        time.sleep(pause)
        with contextlib.suppress(ConnectionError):  # cut already
            connection.send(b"0\r\n\r\n", SMUGGLED)
        assert_refused_and_cut(connection)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"0x5\r\n12345\r\n0\r\n\r\n", id="0x"),
        pytest.param(b"-5\r\n12345\r\n0\r\n\r\n", id="negative"),
        pytest.param(b"+5\r\n12345\r\n0\r\n\r\n", id="plus"),
        pytest.param(b" 5\r\n12345\r\n0\r\n\r\n", id="space before"),
        pytest.param(b"5 \r\n12345\r\n0\r\n\r\n", id="space after"),
        pytest.param(b"5_0\r\n12345\r\n0\r\n\r\n", id="underscore"),
        pytest.param(b"\r\n12345\r\n0\r\n\r\n", id="nothing"),
        pytest.param(b"10000000000000000\r\n12345\r\n0\r\n\r\n", id="2 to the 64th"),
        pytest.param(b"5\r\n123456\r\n0\r\n\r\n", id="longer than it says"),
        pytest.param(b"5\r\n1234\r\n0\r\n\r\n", id="shorter than it says"),
        pytest.param(b"5\n12345\n0\n\n", id="bare LF"),
        pytest.param(b"5;x\n12345\r\n0\r\n\r\n", id="bare LF after an extension"),
        pytest.param(b"5\r12345\r0\r\r", id="bare CR"),
        pytest.param(b"5;x=\x00\r\n12345\r\n0\r\n\r\n", id="NUL in an extension"),
        pytest.param(b"5\r\n12345\r\n0\r\nX y\r\n\r\n", id="a trailer without colon"),
        pytest.param(b"5\r\n12345\r\n0\r\nContent-Length: 5\r\n\r\n", id="a length in a trailer"),
    ],
)
def test_chunks_of_another_form_are_refused(connection, chunks):
    connection.send(LOGIN, CHUNKED, chunks, SMUGGLED)
    status, _ = connection.status_and_json()
    assert status == 400
    assert connection.is_cut()


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"%X" % len(BODY) + b"\r\n" + BODY + b"\r\n" + LAST_CHUNK, id="a size in capitals"),
        pytest.param(b"0000%x" % len(BODY) + b"\r\n" + BODY + b"\r\n000" + LAST_CHUNK, id="zeros"),
        pytest.param(b'%x;a;b=c;d="e"\r\n%s\r\n0;x\r\n\r\n' % (len(BODY), BODY), id="extensions"),
        pytest.param(chunk(BODY) + b"0\r\nX-Digest: y\r\n\r\n", id="a trailer"),
        pytest.param(b"".join(chunk(b"%c" % octet) for octet in BODY) + LAST_CHUNK, id="octet by octet"),
    ],
)
def test_chunks_of_every_form_there_is_are_taken_and_the_connection_goes_on(connection, chunks):
    for _ in range(2):
        connection.send(LOGIN, CHUNKED, chunks)
        assert connection.status_and_json() == (401, REFUSED)


def test_a_trailer_is_no_header(connection):
    body = b'{"old_password": "x", "new_password": "y"}'
    change = b"POST /api/user/change-password/ HTTP/1.1\r\nContent-Type: text/plain\r\n" + HOST
    trailers = b"Content-Type: application/json\r\nHost: elsewhere.example\r\nAuthorization: Bearer a.b.c\r\n"
    connection.send(change, CHUNKED, chunk(body), b"0\r\n", trailers, b"\r\n")
    assert connection.status_and_json() == (401, {"detail": "Authentication credentials were not provided."})
    connection.send(LOGIN.replace(b"application/json", b"text/plain"), CHUNKED, chunk(BODY), b"0\r\n")
    connection.send(trailers, b"\r\n")
    assert connection.answer()[0] == 415


def test_trailers_without_end_cost_no_memory(server, connection):
    before = memory(server)
    connection.send(LOGIN, CHUNKED, chunk(BODY), b"0\r\n")
    for _ in range(40):
        connection.send(b"X: y\r\n" * 16_000)  # in all 640,000, which had taken 90 MB
    connection.send(b"\r\n")
    assert connection.status_and_json() == (401, REFUSED)
    assert memory(server) - before < 30_000


def memory(server) -> int:
    """Of the server, in KiB."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("only where there is /proc")
    return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1])


# Lines and headers


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET /health/live HTTP/1.1\nHost: localhost\n\n", id="bare LF everywhere"),
        pytest.param(LIVE + b"X: a\nY: b\r\n\r\n", id="bare LF"),
        pytest.param(LIVE + b"X: a\rY: b\r\n\r\n", id="bare CR"),
        pytest.param(LIVE + b"X: a\r\n b\r\n\r\n", id="a folded line"),
        pytest.param(LIVE + b"X: a\r\n\tb\r\n\r\n", id="a line folded with a tab"),
        pytest.param(b"GET /health/live HTTP/1.1\r\n Host: localhost\r\n\r\n", id="a first line folded"),
        pytest.param(LIVE + b": y\r\n\r\n", id="no name"),
        pytest.param(LIVE + b"X Y: z\r\n\r\n", id="a space in a name"),
        pytest.param(LIVE + b"X : y\r\n\r\n", id="a space after a name"),
        pytest.param(LIVE + b"X\xc3\xa4: y\r\n\r\n", id="a name beyond ASCII"),
        pytest.param(LIVE + b"X\0: y\r\n\r\n", id="NUL in a name"),
        pytest.param(LIVE + b"X(y): z\r\n\r\n", id="brackets in a name"),
        pytest.param(LIVE + b"X: \x7f\r\n\r\n", id="DEL in a value"),
        pytest.param(LIVE + b"X: \x1b[2J\r\n\r\n", id="an escape in a value"),
        pytest.param(b"GET /health live HTTP/1.1\r\n" + HOST + b"\r\n", id="a space in the path"),
        pytest.param(b"GET\t/health/live\tHTTP/1.1\r\n" + HOST + b"\r\n", id="tabs"),
        pytest.param(b"GET /health/live http/1.1\r\n" + HOST + b"\r\n", id="http in small letters"),
        pytest.param(b"get /health/live HTTP/1.1\r\n" + HOST + b"\r\n", id="a method in small letters"),
        pytest.param(b"MADE-UP /health/live HTTP/1.1\r\n" + HOST + b"\r\n", id="a made-up method"),
        pytest.param(b"GET /health/live\r\n\r\n", id="HTTP/0.9"),
        pytest.param(get(b"/health/live", version=b"1.2"), id="HTTP/1.2"),
        pytest.param(get(b"/health/live", version=b"2.0"), id="HTTP/2.0"),
        pytest.param(b"GET /health/live HTTP/2.0\r\n\r\n", id="HTTP/2.0 without Host"),
        pytest.param(get(b"/health/live", version=b"1.10"), id="HTTP/1.10"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="the preface of HTTP/2"),
        pytest.param(b"GET /health/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", id="HTTP/1.0, two hosts"),
        pytest.param(LIVE + b"".join(b"X%d:\r\n" % i for i in range(4000)) + b"\r\n", id="4,000 headers"),
        pytest.param(LIVE + b"X:\r\n" * 9000 + b"\r\n", id="9,000 headers"),
    ],
)  # fmt: skip
def test_what_is_no_http_is_refused_and_cut(connection, request_):
    connection.send(request_, SMUGGLED)
    status, headers, body = connection.answer()
    assert status in {400, 431}
    assert list(json.loads(body)) == ["detail"]
    assert headers["x-content-type-options"] == "nosniff"
    assert connection.is_cut()


@pytest.mark.parametrize(
    "host",
    [b"a/b", b"a b", b"a, b", b"a\tb", b"\xff", b"a\\b", b"<b>", b"a?b", b"a#b", b'"a"', b"a b:80"],
)
def test_a_host_that_is_no_name_is_refused(connection, host):
    connection.send(b"GET /health/live HTTP/1.1\r\nHost: ", host, b"\r\n\r\n")
    status, body = connection.status_and_json()
    assert (status, list(body)) == (400, ["detail"])


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"X-!#$%&'*+.^_`|~: y\r\n", id="every character a name may have"),
        pytest.param(b"X: \xff\xfe\xc3\xa4\r\n", id="octets beyond ASCII"),
        pytest.param(b"X:\r\nY: \t \r\n", id="empty values"),
        pytest.param(b"Cookie: " + b"a=b;" * 5000 + b"\r\n", id="5,000 cookies"),
        pytest.param(b"Cookie: =;;=;\xff=\xff; refresh\r\n", id="cookies of another form"),
        pytest.param(b"X: y\r\n" * 2000, id="one header 2,000 times"),
        pytest.param(b"Range: bytes=0-1\r\n", id="a range"),
        pytest.param(b"If-None-Match: *\r\nIf-Modified-Since: yesterday\r\n", id="conditions"),
        pytest.param(b"Accept: application/xml\r\nAccept-Encoding: gzip;q=x\r\n", id="wishes"),
        pytest.param(b"Expect: 100-continue\r\n", id="leave to send nothing"),
        pytest.param(b"Content-Type: multipart/form-data\r\n", id="a form without boundary"),
        pytest.param(b"X-HTTP-Method-Override: DELETE\r\nX-Forwarded-For: 1.1.1.1\r\n", id="claims"),
        pytest.param(b"Connection: Host\r\n", id="a connection without Host"),
        pytest.param(b"Content-Length: 5\r\n\r\n12345", id="a body that nobody asked for"),
    ],
)
def test_odd_headers_change_nothing(connection, headers):
    connection.send(LIVE, headers, b"" if headers.endswith(b"12345") else b"\r\n")
    status, answered, body = connection.answer()
    assert (status, json.loads(body)) == (200, ALIVE)
    assert answered["cache-control"] == "no-store"
    connection.send(LIVE, b"\r\n")
    assert connection.status_and_json() == (200, ALIVE)


def test_leave_to_send_a_body_is_given_in_http_1_1_words_only(connection):
    connection.send(LOGIN, b"Expect: 200-ok\r\n", length(BODY), BODY)
    assert connection.status_and_json() == (401, REFUSED)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.2", b"\xff", b"h2c, websocket"])
def test_a_wish_for_another_protocol_is_answered_and_the_connection_closed(connection, protocol):
    connection.send(LIVE, b"Connection: Upgrade\r\nUpgrade: ", protocol, b"\r\n\r\n", SMUGGLED)
    status, headers, body = connection.answer()
    assert (status, headers["connection"], json.loads(body)) == (200, "close", ALIVE)
    assert connection.is_cut()


# Credentials


PROFILE = b"/api/user/profile/"
INVALID = "token_not_valid"
TWO_VALUES = "bad_authorization_header"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param(b"Authorization: Bearer " + b"a.b" * 10_000 + b"\r\n", INVALID, id="30 KB"),
        pytest.param(b"Authorization: Bearer " + b"." * 30_000 + b"\r\n", INVALID, id="30,000 dots"),
        pytest.param(b"Authorization: " + b"Bearer " * 4000 + b"\r\n", TWO_VALUES, id="4,000 words"),
        pytest.param(b"Authorization: Bearer \xff\xfe.\xff.\xff\r\n", INVALID, id="octets beyond ASCII"),
        pytest.param(b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", TWO_VALUES, id="two headers"),
        pytest.param(b"Authorization: Basic YTpi\r\nAuthorization: Bearer a\r\n", None, id="two schemes"),
        pytest.param(b"Authorization: Bearer\xa0a.b.c\r\n", INVALID, id="a space that is none"),
        pytest.param(b"Authorization: Bearer ' OR 1=1 --\r\n", TWO_VALUES, id="SQL"),
        pytest.param(b"Authorization: Bearer ${jndi:x}\r\n", INVALID, id="a template"),
    ],
)
def test_odd_credentials_are_refused(connection, headers, code):
    for method in (b"GET", b"POST", b"TRACE", b"PROPFIND"):
        connection.send(get(PROFILE, headers, method=method))
        status, body = connection.status_and_json()
        assert (status, body.get("code")) == (401, code)


def test_credentials_that_are_good_are_not_when_they_are_sent_twice(server, connection):
    server.register("twice")
    line = f"Authorization: Bearer {server.log_in('twice')['access']}\r\n".encode()
    for headers, status in (((line,), 200), ((line, line), 401), ((b"Authorization: x\r\n", line), 401)):
        connection.send(get(PROFILE, *headers))
        assert connection.answer()[0] == status


def test_a_body_of_two_media_types_is_of_none(connection):
    for types in ((b"application/json", b"text/plain"), (b"text/plain", b"application/json")):
        connection.send(LOGIN.replace(b"application/json", types[0]), b"Content-Type: ", types[1], b"\r\n")
        connection.send(length(BODY), BODY)
        assert connection.answer()[0] == 415
