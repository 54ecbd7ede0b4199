"""The signing keys of this service: kept in its database, opened in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from identity.adapters.jwt.vault import Vault
from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, ReadUnitOfWork
from identity.domain.signing_key import SigningKey, UnreadableKey

ALGORITHM = "ES256"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenKey:
    """A signing key that can be used."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    public: ec.EllipticCurvePublicKey


class Keyring:
    """Reads the keys once, making the first where there is none.

    The first key is stored once, however many processes start at the same time. A key that the secret does
    not open is never replaced: that would silently log everybody out.

    Raises:
        UnreadableKey: the keys in the database were sealed under another secret.
    """

    def __init__(
        self,
        *,
        read: ReadUnitOfWork,
        begin: BeginUnitOfWork,
        vault: Vault,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._read = read
        self._begin = begin
        self._vault = vault
        self._clock = clock
        self._randomness = randomness
        self._keys: dict[str, OpenKey] = {}
        self._loading = asyncio.Lock()

    async def signing(self) -> OpenKey:
        """The key that signs new tokens: the newest."""
        keys = await self._loaded()
        return keys[next(reversed(keys))]

    async def verifying(self, kid: str) -> OpenKey | None:
        return (await self._loaded()).get(kid)

    async def _loaded(self) -> dict[str, OpenKey]:
        if not self._keys:
            async with self._loading:
                if not self._keys:
                    self._keys = {key.kid: self._open(key) for key in await self._stored()}
        return self._keys

    @retried_on_conflict
    async def _stored(self) -> tuple[SigningKey, ...]:
        async with self._read() as uow:
            keys = await uow.signing_keys.all()
        if keys:
            return keys
        async with self._begin() as uow:
            await uow.signing_keys.add_first(self._new_key())
        async with self._read() as uow:
            return await uow.signing_keys.all()

    def _new_key(self) -> SigningKey:
        kid = self._randomness.identifier()
        private = ec.generate_private_key(ec.SECP256R1())
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return SigningKey(
            kid=kid,
            algorithm=ALGORITHM,
            sealed_private_key=self._vault.seal(der, row=kid),
            created_at=self._clock.now(),
        )

    def _open(self, key: SigningKey) -> OpenKey:
        private = load_der_private_key(self._vault.open(key.sealed_private_key, row=key.kid), password=None)
        if key.algorithm != ALGORITHM or not isinstance(private, ec.EllipticCurvePrivateKey):
            raise UnreadableKey(key.kid)
        return OpenKey(kid=key.kid, private=private, public=private.public_key())
