"""A service that accepts the access tokens of Identity, with PyJWT and the standard library.

    pip install 'pyjwt[crypto]>=2.15'
    ISSUER=https://id.example.com AUDIENCE=identity ALGORITHMS=ES256 python verify_with_pyjwt.py

`Verifier` is all that a service in another framework needs. It does not hear of a logout: an access token is
good until it expires, some minutes later. Where that is too late, ask `POST /api/auth/token/verify/` instead.

A token that names an unknown key makes `PyJWKClient` fetch the keys, once in `COOLDOWN`, and all others wait
for it: where the service does not answer, for as long as its timeout.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

LONGEST_TOKEN = 4096  # characters
COOLDOWN = 5  # seconds after a fetch in which a new key is not asked for; 30 if it is left out


class Verifier:
    """Checks access tokens by the published keys, which are fetched every five minutes."""

    def __init__(self, *, issuer: str, audience: str, keys_url: str, algorithms: Sequence[str]) -> None:
        """`algorithms`: IDENTITY_TOKEN_ALGORITHM, and while that is changed the one before too. A key is used
        for its own algorithm only, whatever a token asks for."""
        self._issuer = issuer
        self._audience = audience
        self._algorithms = list(algorithms)
        self._keys = jwt.PyJWKClient(keys_url, lifespan=300, timeout=5, cooldown_duration=COOLDOWN)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims. `sub` is the account's id, which is never given to another account.

        Raises:
            jwt.PyJWKClientConnectionError: the keys could not be fetched, so nothing is known of the token.
            jwt.PyJWTError: it is not one of ours, not for this service, or expired.
        """
        if len(token) > LONGEST_TOKEN or jwt.get_unverified_header(token).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        claims = jwt.decode(
            token,
            self._keys.get_signing_key_from_jwt(token),
            algorithms=self._algorithms,
            issuer=self._issuer,
            audience=self._audience,
            leeway=30,  # seconds that the clocks may be apart
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
        return dict(claims)


class Handler(BaseHTTPRequestHandler):
    """Tells the bearer of an access token who that is."""

    verifier: Verifier

    def do_GET(self) -> None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise jwt.InvalidTokenError("no token")
            self._answer(200, {"user_id": self.verifier.verify(token)["sub"]})
        except jwt.PyJWKClientConnectionError:
            self._answer(503, {"detail": "The keys cannot be fetched."})
        except jwt.PyJWTError:
            self._answer(401, {"detail": "Token is invalid or expired."})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    issuer = os.environ["ISSUER"]
    Handler.verifier = Verifier(
        issuer=issuer,
        audience=os.environ.get("AUDIENCE", "identity"),
        keys_url=os.environ.get("KEYS_URL", f"{issuer}/.well-known/jwks.json"),
        algorithms=os.environ.get("ALGORITHMS", "ES256").split(","),
    )
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8001"))), Handler)
    print(f"answering on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
