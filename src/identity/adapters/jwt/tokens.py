"""Signing and reading access and refresh tokens."""

from __future__ import annotations

import re
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt

from identity.adapters.jwt.keyring import Keyring
from identity.adapters.jwt.keys import OpenKey
from identity.application.ports import Clock
from identity.domain.errors import TokenFault, TokenRefused
from identity.domain.tokens import Claims, TokenKind

LONGEST_TOKEN = 4096  # characters; ours have some 600, and checking a longer one is an attacker's wish
MOST_VERIFIED = 4096  # tokens, some 6 MB
LEEWAY = timedelta(seconds=30)
"""How far another machine's clock may be off."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515, 7.1, without padding
_IDENTIFIER = re.compile("[0-9a-f]{32}")  # what `Randomness` makes
_USER_ID = re.compile("[1-9][0-9]{0,18}")  # 64 bits hold more than that
_LATEST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())  # leaves room to add the leeway
_TYP = {
    TokenKind.ACCESS: "at+jwt",  # RFC 9068, 2.1
    TokenKind.REFRESH: "rt+jwt",
}
_REQUIRED = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "token_type"]


class _Verified(NamedTuple):
    """What was found of a token whose signature need not be checked again. Its time and key need to be."""

    claims: Claims
    kid: str


class JwtTokens:
    """JSON Web Tokens that carry SimpleJWT's `token_type` and `user_id` beside the registered claims.

    A refresh token's audience is the issuer itself, so that no other service takes one for an access token.
    """

    def __init__(self, *, keyring: Keyring, issuer: str, audience: str, clock: Clock) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self._audience = {TokenKind.ACCESS: audience, TokenKind.REFRESH: issuer}
        self._clock = clock
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

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
            payload, key.private, algorithm=key.algorithm, headers={"kid": key.kid, "typ": _TYP[claims.kind]}
        )

    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        claims = await self._genuine(token)
        now = self._clock.now()
        # Of a refresh token the session's row decides; it must outlive a clock that was set back.
        if claims.kind is TokenKind.ACCESS and claims.issued_at > now + LEEWAY:
            raise TokenRefused(TokenFault.INVALID)
        if claims.expires_at + (LEEWAY if claims.kind is TokenKind.ACCESS else timedelta()) <= now:
            raise TokenRefused(TokenFault.EXPIRED)
        if expected not in {None, claims.kind}:
            raise TokenRefused(TokenFault.WRONG_TYPE)
        return claims

    async def _genuine(self, token: str) -> Claims:
        """The claims of a token that we signed, with a key that is still accepted. Knows no time."""
        verified = self._verified.get(token)
        if verified is not None and await self._keyring.verifying(verified.kid) is not None:
            self._verified.move_to_end(token)
            return verified.claims
        header = self._header(token)
        key = await self._keyring.verifying(header["kid"])
        if key is None:
            raise TokenRefused(TokenFault.INVALID)
        payload = self._payload(token, key)
        claims = _claims(payload)
        if header.get("typ") != _TYP[claims.kind] or payload["aud"] != self._audience[claims.kind]:
            raise TokenRefused(TokenFault.INVALID)
        if claims.kind is TokenKind.ACCESS:  # which comes again and again
            self._verified[token] = _Verified(claims, key.kid)
            if len(self._verified) > MOST_VERIFIED:
                self._verified.popitem(last=False)
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
                algorithms=[key.algorithm],  # the one of this key, whatever the token says
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


def _claims(payload: dict[str, Any]) -> Claims:
    """A signature does not vouch for the form: with HS256 other services have the key too."""
    try:
        return Claims(
            kind=TokenKind(payload["token_type"]),
            user_id=int(_matching(_USER_ID, payload["sub"])),
            session_id=_matching(_IDENTIFIER, payload["sid"]),
            jti=_matching(_IDENTIFIER, payload["jti"]),
            issued_at=_time(payload["iat"]),
            expires_at=_time(payload["exp"]),
        )
    except (TypeError, ValueError):
        raise TokenRefused(TokenFault.INVALID) from None


def _matching(form: re.Pattern[str], claim: object) -> str:
    if not isinstance(claim, str) or not form.fullmatch(claim):
        raise ValueError("is not of the form in which it is signed")
    return claim


def _time(claim: object) -> datetime:
    if type(claim) is not int or not 0 <= claim <= _LATEST:  # a bool is an int too
        raise ValueError("is no time in whole seconds")
    return datetime.fromtimestamp(claim, UTC)
