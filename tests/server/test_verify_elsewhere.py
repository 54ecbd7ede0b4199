"""The examples of services that accept our access tokens, run against a real Identity."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity.container import build_container
from identity.domain.secrets import Secret
from identity.domain.tokens import Claims, TokenKind
from identity.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples"
ISSUER = "https://id.example.com"
SECRET = "the secret of this deployment, of 32 bytes or more"
DJANGO = (
    "from wsgiref.simple_server import make_server\n"
    "from django.core.wsgi import get_wsgi_application\n"
    "server = make_server('127.0.0.1', 0, get_wsgi_application())\n"
    "print(f'answering on http://127.0.0.1:{server.server_port}', flush=True)\n"
    "server.serve_forever()\n"
)
COMMANDS = {
    "PyJWT": ([sys.executable, EXAMPLES / "verify_with_pyjwt.py"], {}),
    "DRF": (
        [sys.executable, "-c", DJANGO],
        {"PYTHONPATH": str(EXAMPLES / "verify_with_drf"), "DJANGO_SETTINGS_MODULE": "settings"},
    ),
}


@pytest.fixture(scope="module")
def identity(shared_commands):
    server = shared_commands.serve(issuer=ISSUER, secret=SECRET, deliver_mail="false")
    server.register("john")
    yield server
    assert " ERROR " not in server.text


@contextmanager
def running(example, keys_url, folder, **more):
    command, variables = COMMANDS[example]
    ours = ("IDENTITY_", "DJANGO_", "PYTHONPATH")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    settings = {"ISSUER": ISSUER, "KEYS_URL": keys_url, "PORT": "0", "SECRET_KEY": "django's own secret"}
    settings |= more
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, env=inherited | settings | variables, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process, output
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in output.read_text()


@pytest.fixture(scope="module", params=COMMANDS)
def example(request, identity, tmp_path_factory, eventually):
    """A function that presents a token to the example, and gives its answer."""
    keys_url = f"{identity.url}/.well-known/jwks.json"
    with running(request.param, keys_url, tmp_path_factory.mktemp("example")) as (process, output):

        def address():
            assert process.poll() is None, output.read_text()
            return re.search(r"answering on (\S+)", output.read_text())

        url = eventually(address)[1]
        with httpx.Client(timeout=20, trust_env=False) as client:
            yield lambda token=None: client.get(
                url, headers={} if token is None else {"Authorization": f"Bearer {token}"}
            )


def signed(identity, *, kind=TokenKind.ACCESS, lifetime=timedelta(minutes=5), **settings):
    """A token that the service itself signs, but with another life, or by other settings."""
    url = f"sqlite:///{identity.folder / 'identity.db'}"
    how = {"database_url": url, "secret": Secret(SECRET), "issuer": ISSUER, **settings}
    container = build_container(Settings(**how))
    now = datetime.now(UTC)
    claims = Claims(
        kind=kind,
        user_id=1,
        session_id="0" * 32,
        jti="1" * 32,
        issued_at=now - timedelta(minutes=10),
        expires_at=now + lifetime,
    )

    async def sign():
        try:
            return await container.tokens().sign(claims)
        finally:
            await container.storage().dispose()

    return asyncio.run(sign())


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def changed(token, *, header=None, claims=None, signature=None):
    """The token with other members, under the old signature or another one."""
    head = jwt.get_unverified_header(token) | (header or {})
    body = jwt.decode(token, options={"verify_signature": False}) | (claims or {})
    return f"{segment(head)}.{segment(body)}.{token.split('.')[2] if signature is None else signature}"


def signed_by_another_key(token):
    return jwt.encode(
        jwt.decode(token, options={"verify_signature": False}),
        ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers=jwt.get_unverified_header(token),
    )


def signed_with_the_public_key(identity, token):
    (key,) = identity.get("/.well-known/jwks.json").json()["keys"]
    pem = jwt.PyJWK(key).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = changed(token, header={"alg": "HS256"}, signature="")
    mac = hmac.digest(pem, forged.rstrip(".").encode(), "sha256")
    return forged + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


REFUSED = {
    "expired": lambda identity, _: signed(identity, lifetime=-timedelta(minutes=1)),
    "a refresh token": lambda identity, _: identity.log_in("john")["refresh"],
    "a refresh token of this audience": lambda identity, _: signed(
        identity, kind=TokenKind.REFRESH, issuer=ISSUER, audience=ISSUER
    ),
    "for another audience": lambda identity, _: signed(identity, audience="another"),
    "of another issuer": lambda identity, _: signed(identity, issuer="https://evil.example"),
    "tampered": lambda _, good: changed(good, claims={"sub": "2", "user_id": "2"}),
    "alg none": lambda _, good: changed(good, header={"alg": "none"}, signature=""),
    "alg none with its signature": lambda _, good: changed(good, header={"alg": "none"}),
    "signed by another key": lambda _, good: signed_by_another_key(good),
    "signed with the public key as a secret": signed_with_the_public_key,
    "of an unknown key": lambda _, good: changed(good, header={"kid": "unknown"}),
    "without a key": lambda _, good: changed(good, header={"kid": None}),
    "cut short": lambda _, good: good[:-4],
    "no token": lambda *_: "nonsense",
    "an endless one": lambda _, good: good + "A" * 5000,
}


def test_an_access_token_is_accepted(example, identity):
    answer = example(identity.log_in("john")["access"])
    assert answer.status_code == 200
    assert {name: str(value) for name, value in answer.json().items()} == {"user_id": "1"}


def test_a_token_that_is_signed_for_these_tests_is_as_good(example, identity):
    assert example(signed(identity)).status_code == 200


@pytest.mark.parametrize("token", REFUSED)
def test_any_other_token_is_refused(example, identity, token):
    good = signed(identity)
    answer = example(REFUSED[token](identity, good))
    assert answer.status_code == 401
    assert "user_id" not in answer.text
    assert example(good).status_code == 200


def test_nobody_is_let_in_without_a_token(example):
    assert example().status_code == 401


def test_a_service_that_cannot_fetch_the_keys_says_so_and_lets_nobody_in(tmp_path, identity, eventually):
    with running("PyJWT", "http://127.0.0.1:9/", tmp_path) as (_, output):
        url = eventually(lambda: re.search(r"answering on (\S+)", output.read_text()))[1]
        bearer = {"Authorization": f"Bearer {signed(identity)}"}
        answer = httpx.get(url, headers=bearer, trust_env=False, timeout=20)
    assert answer.status_code == 503


@pytest.mark.parametrize(("algorithms", "status"), [("RS256,ES256", 200), ("ES256", 200), ("RS256", 401)])
def test_while_the_algorithm_is_changed_a_service_may_accept_both(
    tmp_path, identity, eventually, algorithms, status
):
    keys_url = f"{identity.url}/.well-known/jwks.json"
    with running("PyJWT", keys_url, tmp_path, ALGORITHMS=algorithms) as (_, output):
        url = eventually(lambda: re.search(r"answering on (\S+)", output.read_text()))[1]
        bearer = {"Authorization": f"Bearer {signed(identity)}"}
        assert httpx.get(url, headers=bearer, trust_env=False, timeout=20).status_code == status
