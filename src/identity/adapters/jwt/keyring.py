"""The keys of this service as they are now: kept in its database, opened in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from identity.adapters.jwt.keys import OpenKey, SealedKeys
from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork
from identity.domain import signing_key
from identity.domain.signing_key import SigningKey, UnreadableKey

log = logging.getLogger(__name__)

RELOADED_EVERY = timedelta(seconds=3)
"""So that every process hears of a rotation or a retirement within five seconds."""


class Keyring:
    """Reads the keys again and again, making the first where there is none.

    The first key is stored once, however many processes start at the same time. A key that the secret does
    not open is never replaced: that would silently log everybody out.

    Args:
        longest_lifetime: of any token, for which a key verifies once its successor signs.
        shared: signs instead of the keys in the database, which then only verify.

    Raises:
        UnreadableKey: the keys in the database were sealed under another secret.
    """

    def __init__(
        self,
        *,
        read: ReadUnitOfWork,
        begin: BeginUnitOfWork,
        sealed: SealedKeys,
        clock: Clock,
        longest_lifetime: timedelta,
        shared: OpenKey | None = None,
    ) -> None:
        self._read = read
        self._begin = begin
        self._sealed = sealed
        self._clock = clock
        self._longest_lifetime = longest_lifetime
        self._shared = shared
        self._keys: tuple[SigningKey, ...] = ()
        self._open: dict[str, OpenKey] = {}
        self._loaded_at: datetime | None = None
        self._loads = 0
        self._loading = asyncio.Lock()

    async def signing(self) -> OpenKey:
        """The key that signs new tokens."""
        await self._refresh()
        if self._shared is not None:
            return self._shared
        key = signing_key.signing(self._keys, at=self._clock.now())
        if key is None:  # the only one has been retired this moment, and its successor is not read yet
            await self._load()
            key = signing_key.signing(self._keys, at=self._clock.now())
        if key is None or key.kid not in self._open:
            raise UnreadableKey("no key that can be opened is there to sign")
        return self._open[key.kid]

    async def verifying(self, kid: str) -> OpenKey | None:
        if self._shared is not None and kid == self._shared.kid:
            return self._shared
        await self._refresh()
        key = self._accepted().get(kid)
        if key is None and all(known.kid != kid for known in self._keys):
            await self._load()  # it may be younger than what was read
            key = self._accepted().get(kid)
        return key

    async def published(self) -> tuple[Mapping[str, str], ...]:
        await self._refresh()
        return tuple(key.jwk() for key in self._accepted().values())

    def _accepted(self) -> dict[str, OpenKey]:
        accepted = signing_key.verifying(
            self._keys, at=self._clock.now(), longest_lifetime=self._longest_lifetime
        )
        return {key.kid: self._open[key.kid] for key in accepted if key.kid in self._open}

    async def _refresh(self) -> None:
        if self._loaded_at is None or abs(self._clock.now() - self._loaded_at) >= RELOADED_EVERY:
            await self._load()

    async def _load(self) -> None:
        """Reads the keys. Who comes while others read shares a reading that began after they came."""
        loads_before = self._loads
        async with self._loading:
            if self._loads > loads_before:
                return
            self._loads += 1
            at = self._clock.now()
            keys = await self._stored()
            # Known by their kid, not by their seal: another process may have sealed them under a new secret.
            self._open = {key.kid: opened for key in keys if (opened := self._opened(key)) is not None}
            self._keys, self._loaded_at = keys, at

    def _opened(self, key: SigningKey) -> OpenKey | None:
        if key.retired_at is not None:
            return None
        if key.kid in self._open:
            return self._open[key.kid]
        try:
            return self._sealed.open(key)
        except UnreadableKey:
            if self._loaded_at is None:
                raise
            log.error("signing key %s does not open with this secret", key.kid)
            return None

    @retried_on_conflict
    async def _stored(self) -> tuple[SigningKey, ...]:
        async with self._read() as uow:
            keys = await uow.signing_keys.all()
        if keys:
            return keys
        now = self._clock.now()
        first = await self._sealed.generate(at=now, signs_from=now)
        async with self._begin() as uow:
            await uow.signing_keys.add_first(first)
        async with self._read() as uow:
            return await uow.signing_keys.all()
