"""The keys of this service as they are now: kept in its database, opened in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from identity.adapters.jwt.keys import OpenKey, SealedKeys, UnknownAlgorithm
from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork
from identity.domain import signing_key
from identity.domain.events import SERVICE, KeyAdded
from identity.domain.signing_key import SigningKey, UnreadableKey

log = logging.getLogger(__name__)

RELOADED_EVERY = timedelta(seconds=3)
"""So that every process hears of a rotation or a retirement within five seconds."""


class Keyring:
    """Reads the keys again and again, making the first where there is none.

    The first key is stored once, however many processes start at the same time. A key that the secret does
    not open ends the start and is never replaced: that would silently log everybody out. One that comes
    later, or is for an algorithm of a newer version, is logged and left out; its predecessor signs on here.

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
        self._unopened: dict[str, bytes] = {}
        """By their kid the seals that did not open, so that the log has each once."""
        self._loaded_at: datetime | None = None
        self._begun = 0
        """How many readings have begun."""
        self._latest: asyncio.Task[None] | None = None
        """The latest reading, going on or over."""

    async def signing(self) -> OpenKey:
        """The key that signs new tokens."""
        await self._refresh()
        if self._shared is not None:
            return self._shared
        openable = [key for key in self._keys if key.kid in self._open]
        key = signing_key.signing(openable, at=self._clock.now())
        if key is None:
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

    def _is_outdated(self) -> bool:
        return self._loaded_at is None or abs(self._clock.now() - self._loaded_at) >= RELOADED_EVERY

    async def _refresh(self) -> None:
        """Reads the keys if it is time to. Who comes while others read shares their reading, its failure too:
        if each began one in turn, a slow database would hold up the last for as long as all together."""
        if self._is_outdated():
            await asyncio.shield(self._going_on() or self._begin_reading())

    async def _load(self) -> None:
        """Reads the keys. Who comes while others read shares a reading that began after they came."""
        begun_before = self._begun
        going_on = self._going_on()
        if going_on is not None:
            await asyncio.wait([going_on])
        if self._latest is None or self._begun == begun_before:
            self._latest = self._begin_reading()
        await asyncio.shield(self._latest)

    def _going_on(self) -> asyncio.Task[None] | None:
        return self._latest if self._latest is not None and not self._latest.done() else None

    def _begin_reading(self) -> asyncio.Task[None]:
        """As a task of its own, so that whoever is cancelled meanwhile leaves it to the others."""
        self._begun += 1
        self._latest = asyncio.create_task(self._read_all())
        return self._latest

    async def _read_all(self) -> None:
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
        if self._unopened.get(key.kid) == key.sealed_private_key:
            return None
        try:
            return self._sealed.open(key)
        except UnknownAlgorithm:
            log.error("signing key %s is for %s, which this version does not know", key.kid, key.algorithm)
        except UnreadableKey:
            if self._loaded_at is None:
                raise
            log.error("signing key %s does not open with this secret", key.kid)
        self._unopened[key.kid] = key.sealed_private_key
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
            if await uow.signing_keys.add_first(first):
                await uow.audit_log.append(KeyAdded(at=now, actor=SERVICE, subject=first.kid))
        async with self._read() as uow:
            return await uow.signing_keys.all()
