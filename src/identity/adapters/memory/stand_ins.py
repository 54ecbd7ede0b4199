"""Stand-ins for the world outside, time, chance, hashing, tokens, mail and webhooks: repeatable and cheap."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from identity.application.mail import Message
from identity.application.ports import Clock
from identity.domain.errors import DeliveryDeferred, DeliveryRefused, TokenFault, TokenRefused
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.tokens import Claims, TokenKind
from identity.domain.webhook import Webhook


class FixedClock:
    """Stands still until it is told otherwise; `at` may be set to any aware time in UTC."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, step: timedelta) -> None:
        self.at += step


class SeededRandomness:
    """The same values in the same order for the same seed: never for a service that anybody can reach."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is what it is for

    def identifier(self) -> str:
        return self._random.randbytes(16).hex()

    def token(self) -> Secret:
        return Secret(base64.urlsafe_b64encode(self._random.randbytes(32)).rstrip(b"=").decode())

    def digits(self, count: int) -> Secret:
        return Secret(f"{self._random.randrange(10**count):0{count}}")

    def fraction(self) -> float:
        return self._random.random()


class PlainHasher:
    """One round of SHA-256 without a salt. `cost` is only a number that a hash carries, to go out of date."""

    def __init__(self, cost: int = 1) -> None:
        self._cost = cost

    async def hash(self, password: Secret) -> PasswordHash:
        await asyncio.sleep(0)  # others run while a real one works
        return PasswordHash(f"plain${self._cost}${_sha256(password)}")

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        await asyncio.sleep(0)
        expected = (password_hash or "").rpartition("$")[2]
        return hmac.compare_digest(_sha256(password).encode(), expected.encode())

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return not password_hash.startswith(f"plain${self._cost}$")


def _sha256(password: Secret) -> str:
    return hashlib.sha256(password.reveal().encode(errors="surrogatepass")).hexdigest()


class MemoryTokens:
    """Tokens that are their claims in JSON and a MAC over them. No JWT, but as hard to forge as its key."""

    def __init__(self, clock: Clock, *, key: bytes = b"a key for tests") -> None:
        self._clock = clock
        self._key = key

    async def sign(self, claims: Claims) -> str:
        body = json.dumps(
            {
                "kind": claims.kind,
                "user_id": claims.user_id,
                "session_id": claims.session_id,
                "jti": claims.jti,
                "issued_at": claims.issued_at.isoformat(),
                "expires_at": claims.expires_at.isoformat(),
            }
        )
        return f"{base64.urlsafe_b64encode(body.encode()).decode()}.{self._mac(body)}"

    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        claims = self._genuine(token)
        if self._clock.now() >= claims.expires_at:
            raise TokenRefused(TokenFault.EXPIRED)
        if expected is not None and claims.kind is not expected:
            raise TokenRefused(TokenFault.WRONG_TYPE)
        return claims

    def _genuine(self, token: str) -> Claims:
        encoded, _, mac = token.partition(".")
        try:
            body = base64.urlsafe_b64decode(encoded).decode()
        except ValueError:
            raise TokenRefused(TokenFault.INVALID) from None
        canonical = base64.urlsafe_b64encode(body.encode()).decode() == encoded
        if not canonical or not hmac.compare_digest(self._mac(body).encode(), mac.encode("utf-8", "replace")):
            raise TokenRefused(TokenFault.INVALID)
        said = json.loads(body)
        return Claims(
            kind=TokenKind(said["kind"]),
            user_id=said["user_id"],
            session_id=said["session_id"],
            jti=said["jti"],
            issued_at=datetime.fromisoformat(said["issued_at"]),
            expires_at=datetime.fromisoformat(said["expires_at"]),
        )

    def _mac(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


class MemoryMailer:
    """Keeps the mails it was given in `sent`, the oldest first."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        self.sent.append(message)


class MemoryWebhookSender:
    """Keeps the webhooks that reached somebody in `sent`, the oldest first.

    Args:
        answers: the status that each URL answers, `None` where nobody is there. Every other URL answers 204.
    """

    def __init__(self, answers: Mapping[str, int | None] | None = None) -> None:
        self.sent: list[Webhook] = []
        self.answers: dict[str, int | None] = dict(answers or {})

    async def send(self, webhook: Webhook) -> None:
        status = self.answers.get(webhook.url, 204)
        if status is None:
            raise DeliveryDeferred("nobody is there")
        self.sent.append(webhook)
        if status == 410:
            raise DeliveryRefused("answered 410")
        if not 200 <= status < 300:
            raise DeliveryDeferred(f"answered {status}")


class WordList:
    """Finds exactly these passwords common, in any case."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(word.lower() for word in words)

    def __contains__(self, password: str) -> bool:
        return password.lower() in self._words
