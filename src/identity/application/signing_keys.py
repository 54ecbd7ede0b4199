"""The life of the keys that sign tokens."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, KeyGenerator, PublicKeys, ReadUnitOfWork
from identity.domain.errors import Conflict
from identity.domain.events import OPERATOR, SERVICE, Actor, KeyAdded, KeyRetired, KeysResealed
from identity.domain.signing_key import PUBLISHED_AHEAD, SigningKey, signing, verifying

log = logging.getLogger(__name__)

HEARD_OF = timedelta(seconds=10)
"""After this long every process knows a new key, and it can sign."""
AHEAD_OF_TIME = timedelta(hours=2)
"""Whoever rotates when due looks every hour; a key is never to sign for longer than its period."""


class NoSuchKey(Exception):
    """There is no key with this id, or it is retired already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    key: SigningKey
    state: str
    """`next`, `signing`, `verifying`, `expired` or `retired`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeys:
    """Every key there ever was and what it does now, the oldest first."""

    read: ReadUnitOfWork
    clock: Clock
    longest_lifetime: timedelta

    async def __call__(self) -> tuple[ListedKey, ...]:
        async with self.read() as uow:
            keys = await uow.signing_keys.all()
        now = self.clock.now()
        present = signing(keys, at=now)
        accepted = verifying(keys, at=now, longest_lifetime=self.longest_lifetime)

        def state(key: SigningKey) -> str:
            if key.retired_at is not None:
                return "retired"
            if key == present:
                return "signing"
            if key.signs_from > now:
                return "next"
            return "verifying" if key in accepted else "expired"

        return tuple(ListedKey(key=key, state=state(key)) for key in keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishKeys:
    """The public keys for those who verify tokens elsewhere, as JSON Web Keys (RFC 7517)."""

    public_keys: PublicKeys

    async def __call__(self) -> tuple[Mapping[str, str], ...]:
        return await self.public_keys.published()


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKeys:
    """Adds the next key, which signs once everybody who verifies has had a day to fetch it, or `soon`.

    `None`: another rotation was first, or a next key is waiting for its time already (unless `soon`).
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    generator: KeyGenerator
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, soon: bool = False, actor: Actor = OPERATOR) -> SigningKey | None:
        async with self.read() as uow:
            keys = await uow.signing_keys.all()
        now = self.clock.now()
        unretired = [key for key in keys if key.retired_at is None]
        if not soon and any(key.signs_from > now for key in unretired):
            return None
        key = await self.generator.generate(
            at=_later_than_all(keys, now),
            signs_from=now + HEARD_OF + (timedelta() if soon else PUBLISHED_AHEAD),
        )
        async with self.begin() as uow:
            if not keys:
                added = await uow.signing_keys.add_first(key)
            else:
                added = await uow.signing_keys.add_next(key, after=keys[-1].kid)
            if added:
                await uow.audit_log.append(KeyAdded(at=now, actor=actor, subject=key.kid))
        return key if added else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKeysWhenDue:
    """Rotates in time for the present key to sign for `period`, or when `algorithm` was changed."""

    read: ReadUnitOfWork
    rotate_keys: RotateKeys
    clock: Clock
    period: timedelta
    algorithm: str

    async def __call__(self) -> SigningKey | None:
        async with self.read() as uow:
            keys = await uow.signing_keys.all()
        now = self.clock.now()
        newest = max(
            (key for key in keys if key.retired_at is None), key=lambda key: key.signs_from, default=None
        )
        if newest is None or newest.signs_from > now:
            return None
        is_due = now >= newest.signs_from + self.period - PUBLISHED_AHEAD - AHEAD_OF_TIME
        if not is_due and newest.algorithm == self.algorithm:
            return None
        key = await self.rotate_keys(actor=SERVICE)
        if key is not None:
            log.info("signing key %s will sign from %s on", key.kid, key.signs_from.isoformat())
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireKey:
    """Takes a key out of use at once: every token it has signed is refused, on every replica within seconds.

    If it is the one that signs, a new one does from now on. Sessions whose refresh token it signed have to be
    begun anew. Keys that have expired are retired with it: without their successor they would verify again.

    Raises:
        NoSuchKey: there is none with this id, or it is retired already.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    generator: KeyGenerator
    clock: Clock
    longest_lifetime: timedelta

    @retried_on_conflict
    async def __call__(self, *, kid: str) -> None:
        async with self.read() as uow:
            keys = await uow.signing_keys.all()
        now = self.clock.now()
        present = signing(keys, at=now)
        accepted = verifying(keys, at=now, longest_lifetime=self.longest_lifetime)
        successor = (
            await self.generator.generate(at=_later_than_all(keys, now), signs_from=now)
            if present is not None and present.kid == kid
            else None
        )
        async with self.begin() as uow:
            if not await uow.signing_keys.retire(kid, at=now):
                raise NoSuchKey(kid)
            for key in keys:
                if key.retired_at is None and key not in accepted:
                    await uow.signing_keys.retire(key.kid, at=now)
            if successor and not await uow.signing_keys.add_next(successor, after=keys[-1].kid):
                raise Conflict("a rotation was first")
            await uow.audit_log.append(KeyRetired(at=now, actor=OPERATOR, subject=kid))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReencryptKeys:
    """Seals every key but the retired ones under today's secret. How many. Safe to repeat.

    Raises:
        UnreadableKey: neither today's secret nor the previous one opens a key. Nothing was changed then.
    """

    begin: BeginUnitOfWork
    generator: KeyGenerator
    clock: Clock

    @retried_on_conflict
    async def __call__(self) -> int:
        async with self.begin() as uow:
            keys = [key for key in await uow.signing_keys.all() if key.retired_at is None]
            for key in [self.generator.resealed(key) for key in keys]:
                await uow.signing_keys.reseal(key)
            if keys:
                await uow.audit_log.append(KeysResealed(at=self.clock.now(), actor=OPERATOR))
        return len(keys)


def _later_than_all(keys: Sequence[SigningKey], now: datetime) -> datetime:
    """When the next key is made: also where a clock was set back, it stands last in the storage's order."""
    return max(now, keys[-1].created_at + timedelta.resolution) if keys else now
