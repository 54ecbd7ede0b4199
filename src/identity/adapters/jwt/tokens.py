"""Signing and reading access and refresh tokens."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from identity.adapters.jwt.keyring import ALGORITHM, Keyring, OpenKey
from identity.application.ports import Clock
from identity.domain.errors import TokenFault, TokenRefused
from identity.domain.tokens import Claims, TokenKind

LONGEST_TOKEN = 4096  # characters; ours have some 600, and checking a longer one is an attacker's wish
LEEWAY = timedelta(seconds=30)
"""How far another machine's clock may be off."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515, 7.1, without padding
_TYP = {
    TokenKind.ACCESS: "at+jwt",  # RFC 9068, 2.1
    TokenKind.REFRESH: "rt+jwt",
}
_REQUIRED = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "token_type"]


class JwtTokens:
    """ES256 tokens that carry SimpleJWT's `token_type` and `user_id` beside the registered claims.

    A refresh token's audience is the issuer itself, so that no other service takes one for an access token.
    """

    def __init__(self, *, keyring: Keyring, issuer: str, audience: str, clock: Clock) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self._audience = {TokenKind.ACCESS: audience, TokenKind.REFRESH: issuer}
        self._clock = clock

    async def sign(self, claims: Claims) -> str:
        key = await self._keyring.signing()
        payload = {
            "iss": self._issuer,
            "aud": self._audience[claims.kind],
            "sub": str(claims.user_id),
            "sid": claims.session_id,
            "jti": claims.jti,
            "iat": int(claims.issued_at.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
            "token_type": claims.kind.value,
            "user_id": str(claims.user_id),
        }
        return jwt.encode(
            payload, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": _TYP[claims.kind]}
        )

    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        header = self._header(token)
        key = await self._keyring.verifying(header["kid"])
        if key is None:
            raise TokenRefused(TokenFault.INVALID)
        payload = self._payload(token, key)
        claims = _claims(payload)
        if header.get("typ") != _TYP[claims.kind] or payload["aud"] != self._audience[claims.kind]:
            raise TokenRefused(TokenFault.INVALID)
        now = self._clock.now()
        # Of a refresh token the session's row decides; it must outlive a clock that was set back.
        if claims.kind is TokenKind.ACCESS and claims.issued_at > now + LEEWAY:
            raise TokenRefused(TokenFault.INVALID)
        if claims.expires_at + (LEEWAY if claims.kind is TokenKind.ACCESS else timedelta()) <= now:
            raise TokenRefused(TokenFault.EXPIRED)
        if expected not in {None, claims.kind}:
            raise TokenRefused(TokenFault.WRONG_TYPE)
        return claims

    def _header(self, token: str) -> dict[str, Any]:
        if len(token) > LONGEST_TOKEN or not _FORM.fullmatch(token):
            raise TokenRefused(TokenFault.INVALID)
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenRefused(TokenFault.INVALID) from None
        # Nothing else may stand here: no `crit` to understand, no key that the token brings along.
        if header.keys() - {"alg", "typ", "kid"} or not isinstance(header.get("kid"), str):
            raise TokenRefused(TokenFault.INVALID)
        return header

    def _payload(self, token: str, key: OpenKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                # Time is judged by the service's clock, below; the audience, once the kind is known.
                options={
                    "require": _REQUIRED,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenRefused(TokenFault.INVALID) from None


def _text(claim: object) -> str:
    if not isinstance(claim, str):
        raise TypeError(claim)
    return claim


def _claims(payload: dict[str, Any]) -> Claims:
    try:
        return Claims(
            kind=TokenKind(payload["token_type"]),
            user_id=int(payload["sub"]),
            session_id=_text(payload["sid"]),
            jti=_text(payload["jti"]),
            issued_at=datetime.fromtimestamp(payload["iat"], UTC),
            expires_at=datetime.fromtimestamp(payload["exp"], UTC),
        )
    except (TypeError, ValueError, OverflowError):
        raise TokenRefused(TokenFault.INVALID) from None
