"""A service that accepts the access tokens of Identity, with PyJWT and the standard library.

    pip install 'pyjwt[crypto]'
    ISSUER=https://id.example.com AUDIENCE=identity python verify_with_pyjwt.py

`Verifier` is all that a service in another framework needs. It does not hear of a logout: an access token is
good until it expires, some minutes later. Where that is too late, ask `POST /api/auth/token/verify/` instead.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

LONGEST_TOKEN = 4096  # characters


class Verifier:
    """Checks access tokens by the published keys, which are fetched every five minutes."""

    def __init__(self, *, issuer: str, audience: str, keys_url: str, algorithm: str = "ES256") -> None:
        """`algorithm` is that of IDENTITY_TOKEN_ALGORITHM; none that a token asks for is believed."""
        self._issuer = issuer
        self._audience = audience
        self._algorithm = algorithm
        self._keys = jwt.PyJWKClient(keys_url, lifespan=300, timeout=5)

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
            algorithms=[self._algorithm],
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
    )
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8001"))), Handler)
    print(f"answering on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
