"""Keys by their algorithm: making them, sealing them, and their public halves as JSON Web Keys."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from identity.adapters.jwt.vault import Vault
from identity.application.ports import Randomness
from identity.domain.secrets import Secret
from identity.domain.signing_key import SigningKey, UnreadableKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_RSA_BITS = 3072  # as strong as AES-128 (NIST SP 800-57, table 2), as P-256 is
_MAKERS: Mapping[str, Callable[[], PrivateKey]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS),
}
_KINDS: Mapping[str, type] = {"ES256": ec.EllipticCurvePrivateKey, "RS256": rsa.RSAPrivateKey}
_TO_JWK: Mapping[str, Callable[..., dict[str, Any]]] = {
    "ES256": ECAlgorithm.to_jwk,
    "RS256": RSAAlgorithm.to_jwk,
}


class UnknownAlgorithm(UnreadableKey):
    """A newer version has made this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenKey:
    """A key that can be used, by its one algorithm."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)
    public: Any = field(repr=False)

    def jwk(self) -> Mapping[str, str]:
        """The public half (RFC 7517)."""
        half = _TO_JWK[self.algorithm](self.public, as_dict=True)
        half.pop("key_ops", None)
        return {**half, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


def shared_key(secret: Secret) -> OpenKey:
    """For HS256: who verifies with it can also sign. It has no public half."""
    octets = secret.reveal().encode()
    kid = hashlib.sha256(b"identity/kid:" + octets).hexdigest()[:32]
    return OpenKey(kid=kid, algorithm="HS256", private=octets, public=octets)


class SealedKeys:
    """Keys whose private half is kept under the service's secret."""

    def __init__(self, *, vault: Vault, randomness: Randomness, algorithm: str) -> None:
        self._vault = vault
        self._randomness = randomness
        self._algorithm = algorithm

    async def generate(self, *, at: datetime, signs_from: datetime) -> SigningKey:
        private = await asyncio.to_thread(_MAKERS[self._algorithm])  # an RSA key takes a second at times
        kid = self._randomness.identifier()
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return SigningKey(
            kid=kid,
            algorithm=self._algorithm,
            sealed_private_key=self._vault.seal(der, row=kid),
            created_at=at,
            signs_from=signs_from,
        )

    def open(self, key: SigningKey) -> OpenKey:
        """Raises `UnreadableKey`, or its kind `UnknownAlgorithm`."""
        if key.algorithm not in _KINDS:
            raise UnknownAlgorithm(key.kid)
        private = load_der_private_key(self._vault.open(key.sealed_private_key, row=key.kid), password=None)
        if not isinstance(private, _KINDS[key.algorithm]):
            raise UnreadableKey(key.kid)
        return OpenKey(kid=key.kid, algorithm=key.algorithm, private=private, public=private.public_key())

    def resealed(self, key: SigningKey) -> SigningKey:
        der = self._vault.open(key.sealed_private_key, row=key.kid)
        return key.with_seal(self._vault.seal(der, row=key.kid))
