"""What only a socket shows: bodies and heads that are too large, too slow, or never end, and what follows."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest
from tests.server.raw import CHUNKED, FLOOD, LAST_CHUNK, LONG, Connection, chunk, length

CANARY = "canary-9fK2mQ7xWv4T"
LIMIT = 16 * 1024
HEAD_LIMIT = 32 * 1024
HEAD_SECONDS = BODY_SECONDS = 1.0
LIMITS = {
    "identity.entrypoints.http.connection:HEAD_TIME_LIMIT": HEAD_SECONDS,
    "identity.entrypoints.http.connection:BODY_TIME_LIMIT": BODY_SECONDS,
    "identity.entrypoints.http.body:TIME_LIMIT": BODY_SECONDS,
    "identity.entrypoints.server:IDLE_LIMIT": 60,  # so that it is not this one that ends a connection
}
TOO_LARGE = {"detail": "Request body exceeds the limit of 16384 bytes."}
TOO_SLOW = {"detail": "Request body was not received within 1 seconds."}
REFUSED = {"detail": "No active account found with the given credentials"}

BODY = json.dumps({"username": "nobody", "password": CANARY}).encode()
LOGIN = b"POST /api/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(shared_commands):
    server = shared_commands.serve(limits=LIMITS, deliver_mail="false")
    yield server
    server.wait_until_ready()
    assert server.stop() == 0
    assert CANARY not in server.text
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text


@pytest.fixture
def connect(server):
    yield lambda: Connection(server.connect())
    server.disconnect()


@pytest.fixture
def connection(connect):
    return connect()


# Bodies that are too large


def test_a_chunked_body_within_the_limit_is_taken(connection):
    connection.send(LOGIN, CHUNKED, chunk(BODY[:10]), chunk(BODY[10:]), LAST_CHUNK)
    assert connection.status_and_json() == (401, REFUSED)


def test_a_chunked_body_is_refused_as_soon_as_it_is_over_the_limit(connection):
    connection.send(LOGIN, CHUNKED, chunk(b" " * LIMIT), chunk(b" "))
    assert connection.status_and_json() == (413, TOO_LARGE)
    assert connection.is_cut()


def test_a_chunked_body_that_never_ends_is_not_read_for_ever(connection):
    connection.send(LOGIN, CHUNKED)
    assert connection.flood(chunk(b" " * 8192)) < FLOOD


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(connection):
    connection.send(LOGIN, length(LIMIT + 1))
    assert connection.status_and_json() == (413, TOO_LARGE)
    assert connection.is_cut()


@pytest.mark.parametrize("size", [LIMIT + 1, 40 * 1024, 200 * 1024])
def test_a_large_body_that_comes_together_with_its_head_is_refused_in_words_too(connect, size):
    for _ in range(3):  # how much of it the server reads at once is the network's choice
        connection = connect()
        connection.send(LOGIN, length(size), b" " * size)
        assert connection.status_and_json() == (413, TOO_LARGE)


def test_a_client_that_sends_megabytes_still_reads_why_they_are_refused(server):
    answer = server.client.post(
        "/api/auth/login/", content=b" " * 10_000_000, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)


def test_a_body_of_exactly_the_limit_is_taken(connection):
    connection.send(LOGIN, length(LIMIT), BODY + b" " * (LIMIT - len(BODY)))
    assert connection.status_and_json() == (401, REFUSED)


# Bodies that are slow


def test_a_body_that_stalls_is_refused_in_time_and_the_connection_closed(connection):
    connection.send(LOGIN, length(BODY), BODY[:-1])
    status, headers, body = connection.answer()
    assert (status, json.loads(body)) == (408, TOO_SLOW)
    assert headers["connection"] == "close"
    assert connection.is_cut()
    assert BODY_SECONDS < connection.age < LONG


def test_a_chunked_body_that_stalls_is_refused_in_time(connection):
    connection.send(LOGIN, CHUNKED, chunk(BODY))
    assert connection.status_and_json() == (408, TOO_SLOW)
    assert connection.is_cut()


def test_a_body_that_dribbles_in_within_the_time_is_taken(connection):
    connection.send(LOGIN, length(BODY))
    for i in range(len(BODY)):
        connection.send(BODY[i : i + 1])
        time.sleep(BODY_SECONDS / 4 / len(BODY))
    assert connection.status_and_json() == (401, REFUSED)


def test_a_body_that_dribbles_in_for_too_long_is_refused_in_time(connection):
    connection.send(LOGIN, length(LIMIT))
    with contextlib.suppress(ConnectionError):
        while connection.age < 3 * BODY_SECONDS:
            connection.send(b" ")
            time.sleep(BODY_SECONDS / 20)
    assert connection.status_and_json() == (408, TOO_SLOW)


def test_a_body_that_nobody_asked_for_does_not_hold_its_connection_when_it_stalls(connect):
    declared, chunked, unknown = connect(), connect(), connect()
    declared.send(LIVE[:-2], length(10), b"12345")
    chunked.send(LIVE[:-2], CHUNKED, chunk(b"12345"))
    unknown.send(b"POST /unknown HTTP/1.1\r\nHost: localhost\r\n", length(10), b"12345")
    assert [each.answer()[0] for each in (declared, chunked, unknown)] == [200, 200, 404]
    assert [each.is_cut() for each in (declared, chunked, unknown)] == [True] * 3


def test_half_a_body_and_then_nobody_is_no_failure_of_ours(server, connect):
    for headers, half in ((length(BODY), BODY[:20]), (CHUNKED, chunk(BODY[:20]))):
        connection = connect()
        connection.send(LOGIN, headers, half)
        connection.socket.close()
    still_listening = connect()
    still_listening.send(LOGIN, length(BODY), BODY[:20])
    still_listening.socket.shutdown(socket.SHUT_WR)
    assert still_listening.is_cut()
    server.wait_until_ready()
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(connection):
    connection.send(LOGIN, b"Expect: 100-continue\r\n", length(BODY))
    status, _, _ = connection.answer()
    assert status == 100
    connection.send(BODY)
    assert connection.status_and_json() == (401, REFUSED)


def test_a_client_that_asks_for_leave_to_send_too_much_is_refused_at_once(connection):
    connection.send(LOGIN, b"Expect: 100-continue\r\n", length(LIMIT + 1))
    assert connection.status_and_json() == (413, TOO_LARGE)


# Heads


def test_a_head_that_stalls_is_cut_in_time(connect):
    silent, half, between = connect(), connect(), connect()
    half.send(LOGIN)
    between.send(LIVE)
    assert between.answer()[0] == 200
    between.send(LIVE[:20])
    assert [each.is_cut() for each in (silent, half, between)] == [True] * 3
    assert HEAD_SECONDS <= half.age < LONG


def test_a_head_that_dribbles_in_is_cut_in_time(connection):
    connection.send(b"GET /health/live HTTP/1.1\r\nX: ")
    with pytest.raises(ConnectionError):  # noqa: PT012
        while connection.age < LONG:
            connection.send(b"x")
            time.sleep(HEAD_SECONDS / 20)
    assert connection.age >= HEAD_SECONDS


def test_a_head_that_never_ends_is_cut(server, connect):
    one_header, many_headers, path = connect(), connect(), connect()
    one_header.send(b"GET /health/live HTTP/1.1\r\nX: ")
    assert one_header.flood(b"x" * 8192) < FLOOD
    many_headers.send(b"GET /health/live HTTP/1.1\r\n")
    assert many_headers.flood(b"X: y\r\n" * 1000) < FLOOD
    path.send(b"GET /")
    assert path.flood(b"x" * 8192) < FLOOD
    server.wait_until_ready()


def head(size: int, form: str) -> bytes:
    """A head of this many octets."""
    start, unit = {
        "one long header": (LIVE[:-2] + b"X: ", b"x"),
        "many headers": (LIVE[:-2], b"X: yyyy\r\n"),
        "a long path": (b"GET /", b"p"),
    }[form]
    end = {
        "one long header": b"\r\n\r\n",
        "many headers": b"\r\n",
        "a long path": b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }[form]
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


FORMS = ["one long header", "many headers", "a long path"]


@pytest.mark.parametrize("size", [33 * 1024 + 512, 50_000, 100_000])
@pytest.mark.parametrize("form", FORMS)
def test_a_head_over_32_kib_is_refused_when_it_is_sent_at_once(connection, form, size):
    connection.send(head(size, form))
    status, headers, _ = connection.answer()
    assert status in {400, 431}
    assert headers["connection"] == "close"
    assert connection.is_cut()


@pytest.mark.parametrize("form", FORMS)
def test_a_head_over_32_kib_is_refused_when_it_dribbles_in(connection, form):
    whole = head(100_000, form)
    for start in range(0, HEAD_LIMIT, 1024):  # in time, and no octet more than are allowed
        connection.send(whole[start : start + 1024])
        time.sleep(0.002)
    connection.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.answer()
    connection.socket.settimeout(LONG)
    connection.send(whole[HEAD_LIMIT : HEAD_LIMIT + 1])
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (431, "close")
    assert connection.is_cut()


@pytest.mark.parametrize("form", FORMS)
def test_a_head_of_30_kib_is_taken_however_it_comes(connection, form):
    whole, status = head(30 * 1024, form), 404 if form == "a long path" else 200
    connection.send(whole)
    assert connection.answer()[0] == status
    for start in range(0, len(whole), 1024):
        connection.send(whole[start : start + 1024])
        time.sleep(0.002)
    assert connection.answer()[0] == status


def test_a_head_of_a_megabyte_is_refused_however_it_comes(connection):
    try:
        connection.send(LIVE[:-2], b"X: ", b"x" * 1_000_000, b"\r\n\r\n")
        status, headers, _ = connection.answer()
    except ConnectionError:
        return  # cut while it was sent
    assert (status, headers["connection"]) == (431, "close")


# Connections that go on


def test_a_connection_goes_on_after_refusals(connection):
    def get(path):
        return b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"

    connection.send(LOGIN, length(BODY), BODY)
    assert connection.status_and_json() == (401, REFUSED)
    connection.send(LOGIN, length(b"{"), b"{")
    assert connection.answer()[0] == 400
    connection.send(LOGIN.replace(b"application/json", b"text/plain"), length(BODY), BODY)
    assert connection.answer()[0] == 415
    connection.send(get(b"/unknown"))
    assert connection.status_and_json() == (404, {"detail": "Not found."})
    connection.send(b"POST /unknown HTTP/1.1\r\nHost: localhost\r\n", length(BODY), BODY)
    assert connection.status_and_json() == (404, {"detail": "Not found."})
    connection.send(get(b"/api/auth/login/"))
    assert connection.status_and_json() == (405, {"detail": 'Method "GET" not allowed.'})
    connection.send(get(b"/api/user/profile/"))
    assert connection.answer()[0] == 401
    connection.send(LIVE)
    assert connection.answer()[0] == 200


def test_pipelined_requests_are_answered_in_order(connection):
    connection.send(
        LIVE, LOGIN, length(BODY), BODY, LIVE.replace(b"live", b"ready"), LOGIN, length(b""), LIVE
    )
    answers = [connection.answer() for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 401, 200, 400, 200]
    assert b"alive" in answers[0][2]
    assert b"ready" in answers[2][2]


def test_pipelined_bodies_within_the_limit_are_taken_together(connection):
    body = BODY + b" " * (LIMIT - len(BODY))
    connection.send(*[LOGIN, length(body), body] * 4)
    assert [connection.status_and_json() for _ in range(4)] == [(401, REFUSED)] * 4


def test_http_1_0_is_answered_and_closed(connection):
    connection.send(b"GET /health/live HTTP/1.0\r\n\r\n")
    status, headers, body = connection.answer()
    assert (status, headers["connection"], json.loads(body)) == (200, "close", {"status": "alive"})
    assert connection.is_cut()


def test_a_head_request_gets_no_body(connection):
    connection.send(LIVE.replace(b"GET", b"HEAD"))
    assert connection.answer(has_body=False)[0] == 200
    connection.send(LIVE)
    assert connection.answer()[0] == 200


def test_a_wish_for_another_protocol_is_not_granted_but_answered(connection):
    connection.send(LIVE[:-2], b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    status, _, body = connection.answer()
    assert (status, json.loads(body)) == (200, {"status": "alive"})


def test_a_client_that_sends_requests_without_end_and_reads_no_answer_is_cut_early(connection):
    # Each request that waits for its turn costs memory: 45 MB of them made 2.3 GB.
    assert connection.flood(LIVE * 1000) < FLOOD / 4


# What is no HTTP


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"NONSENSE\r\n\r\n", id="one word"),
        pytest.param(b"GET /health/live HTTP/9.9\r\nHost: localhost\r\n\r\n", id="version"),
        pytest.param(b"G\xffT / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="method"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", id="path beyond ASCII"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n", id="header without colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", id="NUL in a header"),
        pytest.param(LOGIN + b"Content-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(LOGIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", id="two lengths"),
        pytest.param(LOGIN + b"Content-Length: 5\r\n" + CHUNKED + LAST_CHUNK, id="length and chunks"),
        pytest.param(LOGIN + CHUNKED + b"canary-9fK2mQ7xWv4T\r\n", id="chunk size"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
    ],
)
def test_what_is_no_http_is_answered_with_400_and_closed(connection, request_):
    connection.send(request_)
    status, body = connection.status_and_json()
    assert (status, list(body)) == (400, ["detail"])
    assert connection.is_cut()


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(b"", id="missing"),
        pytest.param(b"Host: localhost\r\nHost: localhost\r\n", id="twice"),
        pytest.param(b"Host: localhost\r\nHost: elsewhere.example\r\n", id="two"),
    ],
)
def test_a_host_that_is_missing_or_given_twice_is_400(connection, hosts):
    connection.send(b"GET /health/live HTTP/1.1\r\n", hosts, b"\r\n")
    status, body = connection.status_and_json()
    assert (status, list(body)) == (400, ["detail"])


# The log


def test_nothing_that_was_sent_is_logged(server, connect):
    bodies = [BODY, BODY[:-1], b"\xff" + BODY, b"[" * 1000 + BODY, f'"{CANARY}"'.encode(), CANARY.encode()]
    for path in (b"login", b"register", b"reset-password", b"token/refresh", b"token/verify", b"logout"):
        for body in bodies:
            connection = connect()
            connection.send(LOGIN.replace(b"login", path), length(body), body)
            assert 400 <= connection.answer()[0] < 500
    broken = connect()
    broken.send(LOGIN, CHUNKED, chunk(BODY), CANARY.encode(), b"\r\n")
    with contextlib.suppress(AssertionError):
        broken.answer()
    assert CANARY not in server.text
