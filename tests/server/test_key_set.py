"""The key set of a real service, read by those who verify tokens elsewhere."""

from __future__ import annotations

import contextlib
import socket
import sqlite3

import jwt
import pytest

KEYS = "/.well-known/jwks.json"


@pytest.fixture(scope="module")
def server(shared_commands):
    yield (server := shared_commands.serve(deliver_mail="false"))
    assert " ERROR " not in server.text


def test_pyjwt_s_own_client_reads_the_key_set_and_verifies_an_access_token(server):
    server.register("john")
    access = server.log_in("john")["access"]
    client = jwt.PyJWKClient(f"{server.url}{KEYS}")
    claims = jwt.decode(
        access,
        client.get_signing_key_from_jwt(access),
        algorithms=["ES256"],
        audience="identity",
        issuer="http://127.0.0.1:8000",
        options={"require": ["exp", "iat", "sub", "jti", "sid"]},
    )
    assert (claims["token_type"], claims["sub"], claims["user_id"]) == ("access", "1", "1")
    forged = access[:-8] + "AAAAAAAA"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, client.get_signing_key_from_jwt(forged), algorithms=["ES256"], audience="identity")


def test_who_knows_the_tag_gets_no_body(server):
    first = server.get(KEYS)
    again = server.client.get(KEYS, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert server.client.head(KEYS).headers["etag"] == first.headers["etag"]


def test_a_head_of_a_megabyte_is_not_read_to_its_end(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        head = f"GET {KEYS} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: ".encode()
        try:
            connection.sendall(head + b'"x", ' * 200_000 + b"\r\n\r\n")
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""
    assert server.get(KEYS).status_code == 200


def test_a_key_that_has_signed_long_enough_gets_a_successor_when_the_service_starts(serve, eventually):
    server = serve(deliver_mail="false")
    server.register("john")
    tokens = server.log_in("john")
    server.stop()
    with contextlib.closing(sqlite3.connect(server.folder / "identity.db")) as database, database:
        (made,) = database.execute("SELECT created_at FROM signing_keys").fetchone()
        long_ago = str(int(made[:4]) - 4) + made[4:]  # on a leap day too
        database.execute("UPDATE signing_keys SET created_at = ?, signs_from = ?", (long_ago, long_ago))

    server = serve(deliver_mail="false")
    first, following = eventually(lambda: keys_of_two(server))
    assert first == jwt.get_unverified_header(tokens["access"])["kid"]
    assert f"signing key {following} will sign from " in server.text
    assert jwt.get_unverified_header(server.log_in("john")["access"])["kid"] == first
    assert server.get("/api/user/profile/", access=tokens["access"]).status_code == 200


def keys_of_two(server):
    """The ids of the published keys, once there are two."""
    kids = [key["kid"] for key in server.get(KEYS).json()["keys"]]
    return kids if len(kids) == 2 else None
