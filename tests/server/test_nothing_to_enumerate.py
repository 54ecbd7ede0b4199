"""Answers as they travel: octet for octet one for known, unknown and disabled (AU-5)."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3

import pytest

PASSWORD, WRONG = "yourpassword123", "yourpassword124"
OF_ONE_REQUEST = re.compile(rb"(?im)^(date: |x-request-id: )([^\r]*)")


@pytest.fixture(scope="module")
def server(shared_commands):
    """Knows john_doe; the account of gone is disabled."""
    server = shared_commands.serve(deliver_mail="false")
    for name in ("john_doe", "gone"):
        server.register(name, PASSWORD)
    with contextlib.closing(sqlite3.connect(server.database, timeout=20)) as connection, connection:
        connection.execute("UPDATE users SET disabled_at = joined_at WHERE username = 'gone'")
    return server


def answer(server, path, body, connection=None):
    """Every octet, but for the time and the number of the request, which are as long as they are."""
    own = connection or server.connect()
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    own.sendall(head.encode() + content)
    octets = b""
    while True:
        octets += (more := own.recv(65536))
        assert more, octets
        before, blank, after = octets.partition(b"\r\n\r\n")
        if blank and len(after) >= int(re.search(rb"(?i)\r\ncontent-length: (\d+)", before)[1]):
            return OF_ONE_REQUEST.sub(lambda found: found[1] + b"?" * len(found[2]), octets)


LOGINS = {
    "unknown": ("nobody", PASSWORD),
    "unknown address": ("nobody@example.com", PASSWORD),
    "no name": ("not a name!", PASSWORD),
    "wrong": ("john_doe", WRONG),
    "wrong, by address": ("john_doe@example.com", WRONG),
    "disabled": ("gone", PASSWORD),
    "disabled, by address": ("gone@example.com", PASSWORD),
    "disabled and wrong": ("gone", WRONG),
    "too long": ("john_doe", "x" * 1025),
}
FORGOTTEN = {name: f"{name}@example.com" for name in ("john_doe", "JOHN_DOE", "nobody", "gone", "nobody2")}
RESETS = {"known": "MQ", "disabled": "Mg", "unknown": "OTk", "none": "../1"}
REQUESTS = {
    "/api/auth/login/": [{"username": name, "password": word} for name, word in LOGINS.values()],
    "/api/auth/forgot-password/": [{"email": address} for address in FORGOTTEN.values()],
    "/api/auth/reset-password/": [
        {"uidb64": each, "token": "A" * 43, "password": WRONG} for each in RESETS.values()
    ],
}


@pytest.mark.parametrize("path", REQUESTS)
def test_an_answer_is_the_same_octet_for_octet_whoever_is_asked_for(server, path):
    alone = {answer(server, path, body) for body in REQUESTS[path]}
    one = server.connect()
    in_a_row = {answer(server, path, body, one) for body in REQUESTS[path]}
    assert len(alone | in_a_row) == 1, alone | in_a_row


def test_and_this_sees_every_octet(server):
    path = "/api/auth/login/"
    refused, blank = ({"username": name, "password": WRONG} for name in ("nobody", " "))
    assert answer(server, path, refused) != answer(server, path, blank)
    head = answer(server, path, refused).partition(b"\r\n\r\n")[0].lower()
    assert re.findall(rb"(?m)^([\w-]+): \?+", head) == [b"date", b"x-request-id"]
