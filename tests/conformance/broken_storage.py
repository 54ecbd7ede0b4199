"""Storages that are each broken in one way, around the honest one, to see that the kit notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, ClassVar

from identity.adapters.memory import MemoryStorage
from identity.adapters.memory.state import State, drop
from identity.application.letters import Backlog, ClaimedIntent, Intent, Letter, LetterPlace
from identity.application.mail import MAIL, MailIntent
from identity.application.ports import UnitOfWork
from identity.domain.errors import Conflict, EmailTaken, Unavailable, UsernameTaken
from identity.domain.events import OWNER, Event, NumberedEvent
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Digest
from identity.domain.session import Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import NewUser, User
from identity.domain.user_search import Cursor, UserPage
from identity.testing.storage.transactions import Terminated

NO_TIME = timedelta(0)
A_LITTLE = timedelta(microseconds=1)
WITHOUT_LIMIT = 1_000_000


class Repository:
    """A repository that does what the honest one does, but for the methods of a subclass."""

    def __init__(self, honest: Any) -> None:
        self.honest = honest

    def __getattr__(self, method: str) -> Any:
        return getattr(self.honest, method)


class Broken:
    """A storage with some of the repositories broken, or, as a subclass, the units of work."""

    def __init__(
        self, honest: Callable[[], MemoryStorage] = MemoryStorage, **repositories: type[Repository]
    ) -> None:
        self.honest = honest()
        self._repositories = repositories

    @property
    def events(self) -> tuple[Event, ...]:
        return self.honest.events

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with self.honest.begin() as uow:
            yield self._broken(uow)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        async with self.honest.read() as uow:
            yield self._broken(uow)

    def _broken(self, uow: UnitOfWork) -> UnitOfWork:
        broken: dict[str, Any] = {
            name: repository(getattr(uow, name)) for name, repository in self._repositories.items()
        }
        return replace(uow, **broken)


# --- units of work ---------------------------------------------------------------------------------------


class EachStatementOnItsOwn(MemoryStorage):
    """Commits every statement at once, beside those of others: there are no transactions."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        await asyncio.sleep(0)
        yield self._unit_of_work(_Live(self))


class _Live:
    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def seen(self) -> State:
        return self._storage.committed()

    changed = seen

    def end(self) -> None:
        """Goes on."""


class CommitsNevertheless(Broken):
    """Commits although the block raised an exception of these kinds, which it lets through."""

    kinds: ClassVar[tuple[type[BaseException], ...]] = (Exception,)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        failure = None
        async with super().begin() as uow:
            try:
                yield uow
            except self.kinds as error:
                failure = error
        if failure is not None:
            raise failure


class CommitsWhenCancelled(CommitsNevertheless):
    kinds = (asyncio.CancelledError,)


class CommitsWhenTerminated(CommitsNevertheless):
    """Knows the exceptions of programs, and of the event loop, and no others."""

    kinds = (Terminated,)


class SwallowsExceptions(Broken):
    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        with suppress(Exception):
            async with super().begin() as uow:
                yield uow


class ShowsWhatIsNotCommitted(Broken):
    open: UnitOfWork | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with super().begin() as uow:
            self.open = uow
            try:
                yield uow
            finally:
                self.open = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        async with super().read() as uow:
            yield self.open or uow


class JoinsTheOuterOne(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.open: dict[asyncio.Task[Any] | None, UnitOfWork] = {}

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        task = asyncio.current_task()
        if task in self.open:
            yield self.open[task]
            return
        async with super().begin() as uow:
            self.open[task] = uow
            try:
                yield uow
            finally:
                del self.open[task]


class ReadsBesideItself(MemoryStorage):
    def _refuse_nesting(self) -> None:
        """Does not."""


class WritesInReads(Broken):
    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        async with self.begin() as uow:
            yield uow


class ReadsASnapshot(Broken):
    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        async with super().read() as uow:
            yield replace(uow, users=RemembersWhatItRead(uow.users))


class LosesConnections(Broken):
    """Each block that fails keeps its connection."""

    free = 10

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        if not self.free:
            raise Unavailable("no connection is free")
        self.free -= 1
        async with super().begin() as uow:
            yield uow
        self.free += 1


# --- accounts --------------------------------------------------------------------------------------------


class RemembersWhatItRead(Repository):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self._known: dict[Username, User | None] = {}

    async def with_username(self, username: Username) -> User | None:
        if username not in self._known:
            self._known[username] = await self.honest.with_username(username)
        return self._known[username]


class SavesOldCopies(Repository):
    async def save(self, user: User) -> User:
        stored = await self.honest.get(user.id)
        return await self.honest.save(replace(user, version=stored.version))


class SavesLogins(Repository):
    async def save(self, user: User) -> User:
        saved = await self.honest.save(user)
        await self.honest.record_login(
            user.id, verified=user.password_hash, rehashed=None, at=user.last_login_at
        )
        return saved


class AnswersNothing(Repository):
    async def record_login(self, *args: Any, **kwargs: Any) -> None:
        await self.honest.record_login(*args, **kwargs)


class NotesEveryLogin(Repository):
    async def record_login(self, *args: Any, **kwargs: Any) -> bool:
        await self.honest.record_login(*args, **kwargs)
        return True


class ChecksThenInserts(Repository):
    """Its answer is what it found before, while others insert; the last of them overwrites the others."""

    async def add(self, user: NewUser) -> User:
        if await self.honest.with_username(user.username) is not None:
            raise UsernameTaken
        await asyncio.sleep(0)
        if await self.honest.with_username(user.username) is not None:
            return user.with_id(1)
        return await self.honest.add(user)


class RefusesAndGoesOn(Repository):
    """Undoes the one statement that was refused, as some databases do, and not the unit of work."""

    async def add(self, user: NewUser) -> User:
        if await self.honest.with_username(user.username) is not None:
            raise UsernameTaken
        return await self.honest.add(user)


class ChecksThenSaves(Repository):
    """Compares the version in one statement and stores in the next."""

    async def save(self, user: User) -> User:
        if (await self.honest.get(user.id)).version != user.version:
            raise Conflict("the account was changed by another request")
        await asyncio.sleep(0)
        saved = replace(user, version=user.version + 1)
        self.honest.view.changed().users[user.id] = saved
        return saved


class GivesIdsAgain(Repository):
    async def add(self, user: NewUser) -> User:
        return replace(await self.honest.add(user), id=1)


class TellsOneRefusal(Repository):
    """Finds the constraint by looking for its name in a message that quotes the values."""

    async def add(self, user: NewUser) -> User:
        try:
            return await self.honest.add(user)
        except UsernameTaken as taken:
            raise EmailTaken if "email_key" in user.username.key else taken from None


class IgnoresCase(Repository):
    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self._taken: set[str] = set()

    async def add(self, user: NewUser) -> User:
        if user.username.key.casefold() in self._taken:
            raise UsernameTaken
        self._taken.add(user.username.key.casefold())
        return await self.honest.add(user)


class IgnoresTrailingSpace(Repository):
    async def with_username(self, username: Username) -> User | None:
        return await self.honest.with_username(Username(username.value.rstrip(" ")))


class CutsLongNames(Repository):
    def cut(self, text: str) -> str:
        return text[:150]

    async def add(self, user: NewUser) -> User:
        name, email = self.cut(user.username.value), self.cut(user.email.value)
        return await self.honest.add(replace(user, username=Username(name), email=EmailAddress(email)))


class CutsAtNul(CutsLongNames):
    def cut(self, text: str) -> str:
        return text.partition("\x00")[0]


class ReplacesHalfPairs(CutsLongNames):
    def cut(self, text: str) -> str:
        return text.encode(errors="replace").decode()


class ForgetsTheZone(Repository):
    def read(self, at: datetime) -> datetime:
        return at.replace(tzinfo=None)

    async def get(self, user_id: int) -> User | None:
        user = await self.honest.get(user_id)
        values = {each.name: getattr(user, each.name) for each in fields(user)}
        times = {name: self.read(at) for name, at in values.items() if isinstance(at, datetime)}
        return replace(user, **times)


class AnswersInItsOwnZone(ForgetsTheZone):
    def read(self, at: datetime) -> datetime:
        return at.astimezone(timezone(timedelta(hours=1)))


class TakesEveryTimeForUtc(Repository):
    async def add(self, user: NewUser) -> User:
        return await self.honest.add(replace(user, joined_at=user.joined_at.replace(tzinfo=UTC)))


class CutsTimesToSeconds(Repository):
    async def add(self, user: NewUser) -> User:
        return await self.honest.add(replace(user, joined_at=user.joined_at.replace(microsecond=0)))


# --- reservations ----------------------------------------------------------------------------------------


class AddsWhateverIsReserved(Repository):
    async def add(self, user: NewUser) -> User:
        self.honest.view.changed().reservations.clear()
        return await self.honest.add(user)


class FindsNoFormerAddress(Repository):
    async def add_or_find(self, user: NewUser) -> tuple[User, bool]:
        held = self.honest.view.changed().reservations
        for name in [name for name in held if name[0] == "email"]:
            del held[name]
        return await self.honest.add_or_find(user)


class FindsBeforeTheUsername(Repository):
    async def add_or_find(self, user: NewUser) -> tuple[User, bool]:
        found = await self.honest.with_email(user.email)
        return (found, False) if found else await self.honest.add_or_find(user)


class RefusesTheNameOfTheFound(Repository):
    async def add_or_find(self, user: NewUser) -> tuple[User, bool]:
        if await self.honest.with_username(user.username):
            self.honest.view.end()
            raise UsernameTaken
        return await self.honest.add_or_find(user)


class ErasesTheAccountAlone(Repository):
    async def erase(self, user: User) -> bool:
        state = self.honest.view.changed()
        sessions, outbox = state.sessions.copy(), state.outbox.copy()
        erased = await self.honest.erase(user)
        state.sessions.update(sessions)
        state.outbox.update(outbox)
        return erased


class ErasesWhatWasChanged(Repository):
    async def erase(self, user: User) -> bool:
        stored = await self.honest.get(user.id)
        return stored is not None and await self.honest.erase(stored)


class HoldsForTheLatest(Repository):
    async def hold(self, name: Any, *, user_id: int | None, until: datetime) -> None:
        self.honest.view.changed().reservations.clear()
        await self.honest.hold(name, user_id=user_id, until=until)


class ChecksThenHolds(Repository):
    async def hold(self, name: Any, *, user_id: int | None, until: datetime) -> None:
        if await self.honest.is_held(name):
            raise UsernameTaken
        await asyncio.sleep(0)
        self.honest.view.changed().reservations.clear()
        await self.honest.hold(name, user_id=user_id, until=until)


class HoldsFromTheHolder(Repository):
    async def is_held(self, name: Any, *, besides: int | None = None) -> bool:
        return await self.honest.is_held(name)


class ReleasesForAnybody(Repository):
    async def release(self, name: Any, *, user_id: int) -> bool:
        held = self.honest.view.changed().reservations
        holders = {reserved.user_id for reserved in held.values()}
        return any([await self.honest.release(name, user_id=holder) for holder in holders])


class ReleasesOneName(Repository):
    async def release_from(self, name: Any, *, user_id: int) -> bool:
        return await self.honest.release(name, user_id=user_id)


class ReleasesAllNames(Repository):
    async def release_from(self, name: Any, *, user_id: int) -> bool:
        held = self.honest.view.changed().reservations
        is_own = await self.honest.release(name, user_id=user_id)
        for each, reserved in list(held.items()):
            if is_own and reserved.user_id == user_id:
                del held[each]
        return is_own


class DoesNotHoldLonger(Repository):
    async def hold(self, name: Any, *, user_id: int | None, until: datetime) -> None:
        if (
            user_id is None
            or not await self.honest.is_held(name)
            or await self.honest.is_held(name, besides=user_id)
        ):
            await self.honest.hold(name, user_id=user_id, until=until)


class PurgesNamesTooEarly(Repository):
    async def purge(self, *, ended_before: datetime, limit: int) -> tuple[int | None, ...]:
        return await self.honest.purge(ended_before=ended_before + A_LITTLE, limit=limit)


# --- sessions --------------------------------------------------------------------------------------------


class RotatesWhateverItFinds(Repository):
    async def rotate(self, before: Session, after: Session) -> bool:
        stored, _ = await self.honest.get_with_user(before.id)
        return await self.honest.rotate(stored, after)


class ChecksThenRotates(Repository):
    async def rotate(self, before: Session, after: Session) -> bool:
        stored, _ = await self.honest.get_with_user(before.id)
        if stored != before:
            return False
        await asyncio.sleep(0)
        stored, _ = await self.honest.get_with_user(before.id)
        return await self.honest.rotate(stored, after)


class RevokesAgain(Repository):
    async def revoke(self, session_id: str, **values: Any) -> bool:
        await self.honest.revoke(session_id, **values)
        return True


class RevokesForAnybody(Repository):
    async def revoke(self, session_id: str, *, at: datetime, user_id: int | None = None) -> bool:
        return await self.honest.revoke(session_id, at=at)


class ForgetsSinceWhen(Repository):
    """Stores a rotation without the column that came last."""

    async def rotate(self, before: Session, after: Session) -> bool:
        return await self.honest.rotate(before, replace(after, pending_since=before.pending_since))


class ListsRevokedSessionsToo(Repository):
    async def of_user(self, user_id: int) -> tuple[Session, ...]:
        stored = self.honest.view.seen().sessions.values()
        owned = [session for session in stored if session.user_id == user_id]
        return tuple(sorted(owned, key=lambda session: session.last_used_at, reverse=True))


class ListsTheOldestFirst(Repository):
    async def of_user(self, user_id: int) -> tuple[Session, ...]:
        return tuple(reversed(await self.honest.of_user(user_id)))


class ListsInNoOrder(Repository):
    """Among those that were used at the same time."""

    async def of_user(self, user_id: int) -> tuple[Session, ...]:
        found = await self.honest.of_user(user_id)
        return found if len(found) % 2 else tuple(sorted(found, key=lambda s: (s.last_used_at, s.id)))[::-1]


class NotesEveryUse(Repository):
    async def touch(self, session_id: str, *, at: datetime, unless_since: datetime) -> bool:
        return await self.honest.touch(session_id, at=at, unless_since=at)


class ChecksThenNotesTheUse(Repository):
    async def touch(self, session_id: str, *, at: datetime, unless_since: datetime) -> bool:
        stored, _ = await self.honest.get_with_user(session_id)
        await asyncio.sleep(0)
        await self.honest.touch(session_id, at=at, unless_since=at)
        return stored.last_used_at <= unless_since


class NotesTheUseOfAnOldCopy(Repository):
    """Reads the session and stores it again, with what others have made of it meanwhile undone."""

    async def touch(self, session_id: str, *, at: datetime, unless_since: datetime) -> bool:
        stored, _ = await self.honest.get_with_user(session_id)
        await asyncio.sleep(0)
        self.honest.view.changed().sessions[session_id] = replace(stored, last_used_at=at)
        return True


class SparesNone(Repository):
    async def revoke_all(self, user_id: int, *, at: datetime, besides: str | None = None) -> int:
        return await self.honest.revoke_all(user_id, at=at)


class CountsWhatWasOver(Repository):
    async def revoke_all(self, user_id: int, *, at: datetime, besides: str | None = None) -> int:
        await self.honest.revoke_all(user_id, at=at, besides=besides)
        sessions = self.honest.view.changed().sessions.values()
        return len([each for each in sessions if each.user_id == user_id and each.id != besides])


class KeepsOneTooMany(Repository):
    async def revoke_surplus(self, user_id: int, *, keep: int, at: datetime) -> None:
        await self.honest.revoke_surplus(user_id, keep=keep + 1, at=at)


class CountsLiveSessionsFirst(Repository):
    """Judges the surplus by sessions it read before those of others were stored."""

    async def add(self, session: Session) -> None:
        others = [await self.honest.get_with_user(f"s{number}") for number in range(8)]
        self.known = [found[0] for found in others if found] + [session]
        await asyncio.sleep(0)
        await self.honest.add(session)

    async def revoke_surplus(self, user_id: int, *, keep: int, at: datetime) -> None:
        for session in sorted(self.known, key=lambda each: each.created_at)[:-keep]:
            await self.honest.revoke(session.id, at=at)


class PurgesTooEarly(Repository):
    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        return await self.honest.purge(expired_before=expired_before + A_LITTLE, limit=limit)


class PurgesWithoutLimit(Repository):
    async def purge(self, *, limit: int, **values: Any) -> int:
        return await self.honest.purge(limit=WITHOUT_LIMIT, **values)


# --- devices ---------------------------------------------------------------------------------------------


class KnowsDevicesForEver(Repository):
    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        return await self.honest.see(user_id, device, at=at, since=datetime.min.replace(tzinfo=UTC))


class KnowsWhatItHasJustSeen(Repository):
    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        await self.honest.see(user_id, device, at=at, since=since)
        return await self.honest.see(user_id, device, at=at, since=since)


class SharesDevices(Repository):
    async def see(self, user_id: int, device: Digest, **values: Any) -> bool:
        return await self.honest.see(1, device, **values)


class TurnsDevicesBack(Repository):
    """Overwrites with the time of a clock that is behind."""

    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        is_known = await self.honest.see(user_id, device, at=at, since=since)
        self.honest.view.changed().devices[user_id, device] = at
        return is_known


class NotesDevicesOfNobody(Repository):
    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        devices = self.honest.view.changed().devices
        seen_at = devices.get((user_id, device))
        devices[user_id, device] = at
        return seen_at is not None and seen_at > since


class ChecksThenSees(Repository):
    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        seen_at = self.honest.view.seen().devices.get((user_id, device))
        await asyncio.sleep(0)
        await self.honest.see(user_id, device, at=at, since=since)
        return seen_at is not None and seen_at > since


class ForgetsTheNewestDevices(Repository):
    async def forget_surplus(self, user_id: int, *, keep: int) -> None:
        devices = self.honest.view.changed().devices
        own = sorted((seen_at, device) for (owner, device), seen_at in devices.items() if owner == user_id)
        for _, device in own[keep:]:
            del devices[user_id, device]


class PurgesDevicesTooEarly(Repository):
    async def purge(self, *, seen_before: datetime, limit: int) -> int:
        return await self.honest.purge(seen_before=seen_before + A_LITTLE, limit=limit)


# --- one-time tokens -------------------------------------------------------------------------------------


class SpendsTwice(Repository):
    async def spend(self, digest: Digest, **values: Any) -> bool:
        return await self.honest.find(digest, **values) is not None


class ChecksThenSpends(Repository):
    async def spend(self, digest: Digest, **values: Any) -> bool:
        found = await self.honest.find(digest, **values)
        await asyncio.sleep(0)
        await self.honest.spend(digest, **values)
        return found is not None


class FindsWhatHasJustExpired(Repository):
    async def find(self, digest: Digest, *, at: datetime, **values: Any) -> Any:
        return await self.honest.find(digest, at=at - A_LITTLE, **values)


class VoidsAll(Repository):
    async def void(self, user_id: int, *, at: datetime) -> None:
        tokens = self.honest.view.changed().one_time_tokens
        for digest, issued in tokens.items():
            if issued.token.user_id == user_id:
                tokens[digest] = replace(issued, over_at=at)


class CountsThisIntentToo(Repository):
    async def count_intents(self, user_id: int, *, besides: str, **values: Any) -> int:
        return await self.honest.count_intents(user_id, besides="", **values)


class CountsWithoutWaiting(Repository):
    async def count_intents(self, user_id: int, **values: Any) -> int:
        count = await self.honest.count_intents(user_id, **values)
        await asyncio.sleep(0)
        return count


# --- login codes -----------------------------------------------------------------------------------------


class SpendsCodesTwice(Repository):
    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        code = await self.honest.find(request)
        await self.honest.spend(request, digest=digest, at=at)
        return code is not None and code.digest == digest and at < code.expires_at


class ChecksThenSpendsCodes(Repository):
    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        code = await self.honest.find(request)
        await asyncio.sleep(0)
        await self.honest.spend(request, digest=digest, at=at)
        return code is not None and code.digest == digest and code.spent_at is None


class ChecksThenCountsTries(Repository):
    async def count_try(self, request: Digest, *, most: int, at: datetime) -> bool:
        code = await self.honest.find(request)
        await asyncio.sleep(0)
        return code.tries < most and await self.honest.count_try(request, most=WITHOUT_LIMIT, at=at)


class CountsNoTriesForNobody(Repository):
    async def count_try(self, request: Digest, *, most: int, at: datetime) -> bool:
        code = await self.honest.find(request)
        return code.digest is not None and await self.honest.count_try(request, most=most, at=at)


class SpendsAnyCode(Repository):
    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        code = await self.honest.find(request)
        return code is not None and await self.honest.spend(request, digest=code.digest, at=at)


class KeepsTheFirstDigest(Repository):
    async def set_digest(self, request: Digest, digest: Digest, *, at: datetime) -> bool:
        code = await self.honest.find(request)
        return await self.honest.set_digest(request, code.digest or digest, at=at)


class SetsADigestAndTriesAnew(Repository):
    async def set_digest(self, request: Digest, digest: Digest, *, at: datetime) -> bool:
        codes = self.honest.view.changed().login_codes
        codes[request] = replace(codes[request], tries=0)
        return await self.honest.set_digest(request, digest, at=at)


class SpendsCodesThatHaveJustExpired(Repository):
    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        return await self.honest.spend(request, digest=digest, at=at - A_LITTLE)


class SparesCodesOfTheErased(Repository):
    async def erase(self, user: User) -> bool:
        codes = self.honest.view.changed().login_codes
        spared = dict(codes)
        erased = await self.honest.erase(user)
        codes.update(spared)
        return erased


class PurgesCodesTooEarly(Repository):
    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        return await self.honest.purge(expired_before=expired_before + A_LITTLE, limit=limit)


# --- outbox ----------------------------------------------------------------------------------------------


class _OfItsOwn(MailIntent):
    @property
    def coalescing_key(self) -> str:
        return self.id


class CoalescesNothing(Repository):
    async def put(self, intent: MailIntent) -> None:
        await self.honest.put(_OfItsOwn(**{each.name: getattr(intent, each.name) for each in fields(intent)}))


class LeasesForNoTime(Repository):
    async def claim(self, *, lease: timedelta, **values: Any) -> ClaimedIntent | None:
        return await self.honest.claim(lease=NO_TIME, **values)


class TakesAnyLease(Repository):
    async def settle(self, claimed: ClaimedIntent) -> bool:
        queued = self.honest.view.seen().outbox[claimed.intent.id]
        return await self.honest.settle(replace(claimed, lease_id=queued.lease_id))


class SettlesTheWholeLease(Repository):
    async def settle(self, claimed: ClaimedIntent) -> bool:
        queued = list(self.honest.view.seen().outbox.values())
        settled = [await self.honest.settle(replace(claimed, intent=each.intent)) for each in queued]
        return any(settled)


class CountsWhatWasReleased(Repository):
    async def release(self, claimed: ClaimedIntent) -> bool:
        return await self.honest.postpone(claimed, until=claimed.intent.created_at, error="")


class HasOneQueue(Repository):
    async def claim(self, *, queue: str = MAIL, **values: Any) -> ClaimedIntent | None:
        claimed = await self.honest.claim(queue=queue, **values)
        others = {backlog.queue for backlog in await self.honest.backlog()} - {queue}
        for other in sorted(others):
            claimed = claimed or await self.honest.claim(queue=other, **values)
        return claimed


class KnowsMailAlone(Repository):
    async def backlog(self) -> tuple[Backlog, ...]:
        return tuple(each for each in await self.honest.backlog() if each.queue == MAIL)


class CountsTheDeadAmongTheWaiting(Repository):
    async def backlog(self) -> tuple[Backlog, ...]:
        return tuple(replace(each, waiting=each.waiting + each.dead) for each in await self.honest.backlog())


class CoalescesWebhooks(Repository):
    async def put(self, intent: Intent) -> None:
        queued = self.honest.view.changed().outbox.values()
        if isinstance(intent, MailIntent) or all(each.intent.kind != intent.kind for each in queued):
            await self.honest.put(intent)


class PurgesMailThatWaits(Repository):
    async def purge(self, *, before: datetime, limit: int) -> int:
        outbox = self.honest.view.changed().outbox
        return drop(outbox, lambda queued: queued.due_at < before, limit)


class KeepsWhatNobodyTakes(Repository):
    async def purge(self, *, before: datetime, limit: int) -> int:
        outbox = self.honest.view.changed().outbox
        return drop(outbox, lambda queued: queued.dead_at is not None and queued.dead_at < before, limit)


class ErasesWebhooksToo(Repository):
    async def erase(self, user: User) -> bool:
        outbox = self.honest.view.changed().outbox
        drop(outbox, lambda queued: queued.intent.user_id == user.id)
        return bool(await self.honest.erase(user))


class ForgetsTheAttempt(Repository):
    async def claim(self, **values: Any) -> ClaimedIntent | None:
        claimed = await self.honest.claim(**values)
        return claimed and replace(claimed, attempts=1)


# --- audit log and signing keys --------------------------------------------------------------------------


class LogsNothing(Repository):
    async def append(self, event: Event) -> None:
        """Says that it did."""


class LogsEachThingOnce(Repository):
    async def append(self, event: Event) -> None:
        if event not in self.honest.view.seen().events:
            await self.honest.append(event)


class LogsNobody(Repository):
    async def append(self, event: Event) -> None:
        await self.honest.append(replace(event, actor=OWNER))


class LogsNoRequests(Repository):
    async def append(self, event: Event) -> None:
        await self.honest.append(replace(event, client=replace(event.client, request_id="")))


# --- what owners see, and what is erased -----------------------------------------------------------------


class SealsAgain(Repository):
    async def seal(self, seals: Any, **how: Any) -> None:
        notes = self.honest.view.changed().audit_notes
        for number, _ in seals:
            if number in notes:
                notes[number] = replace(notes[number], seal=None)
        await self.honest.seal(seals, **how)


class SealsWhatIsGone(Repository):
    async def seal(self, seals: Any, **how: Any) -> None:
        notes = self.honest.view.changed().audit_notes
        await self.honest.seal([each for each in seals if each[0] in notes], **how)


class GoesOnWithAnyDay(Repository):
    async def seal(self, seals: Any, *, day: Any, before: Any) -> None:
        stored = self.honest.view.seen().sealed_days.get(day.day)
        await self.honest.seal(seals, day=day, before=stored)


class ReadsDaysByName(Repository):
    async def days(self) -> Any:
        return tuple(sorted(await self.honest.days(), key=lambda day: day.day))


class MarksDaysAgain(Repository):
    async def mark_purged(self, day: str, *, at: datetime) -> bool:
        days = self.honest.view.changed().sealed_days
        if day in days:
            days[day] = replace(days[day], purged_at=at)
        return day in days


class PurgesTheWholeLog(Repository):
    async def purge(self, *, until: int, limit: int) -> int:
        return await self.honest.purge(until=WITHOUT_LIMIT, limit=limit)


class PurgesTheLogWithoutLimit(Repository):
    async def purge(self, *, until: int, limit: int) -> int:
        return await self.honest.purge(until=until, limit=WITHOUT_LIMIT)


class KeepsSalts(Repository):
    async def forget_clients(self, user_id: int) -> None:
        notes = self.honest.view.changed().audit_notes
        before = dict(notes)
        await self.honest.forget_clients(user_id)
        notes.update(before)


class HistoryOfWhatIsNotRevoked(Repository):
    async def history(self, user_id: int, *, limit: int) -> tuple[Session, ...]:
        return tuple((await self.honest.of_user(user_id))[:limit])


class HistoryWithoutLimit(Repository):
    async def history(self, user_id: int, *, limit: int) -> tuple[Session, ...]:
        return await self.honest.history(user_id, limit=WITHOUT_LIMIT)


class ListsDevicesInAnyOrder(Repository):
    async def of_user(self, user_id: int) -> tuple[datetime, ...]:
        return tuple(reversed(await self.honest.of_user(user_id)))


class ListsNamesOfNobody(Repository):
    async def of_user(self, user_id: int) -> tuple[tuple[Username | EmailAddress, datetime], ...]:
        return await self.honest.of_user(user_id) + await self.honest.of_user(None)


class ReadsEventsAsTheyWereNoted(Repository):
    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        noted = [event for event in self.honest.view.seen().events if event.user_id == user_id]
        return tuple(noted[::-1][:limit])


class ReadsEventsOfAll(Repository):
    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        return tuple(sorted(self.honest.view.seen().events, key=lambda each: each.at, reverse=True)[:limit])


class ForgetsAllClients(Repository):
    async def forget_clients(self, user_id: int) -> None:
        for owner in {event.user_id for event in self.honest.view.seen().events}:
            await self.honest.forget_clients(owner)


class ForgetsNoClients(Repository):
    async def forget_clients(self, user_id: int) -> None:
        """Says that it did."""


class FindsWhatIsAlmostDue(Repository):
    async def due_for_erasure(self, *, at: datetime, limit: int) -> tuple[User, ...]:
        return await self.honest.due_for_erasure(at=at + A_LITTLE, limit=limit)


class FindsAllThatIsDue(Repository):
    async def due_for_erasure(self, *, at: datetime, limit: int) -> tuple[User, ...]:
        return await self.honest.due_for_erasure(at=at, limit=WITHOUT_LIMIT)


class CountsClosedSuperusers(Repository):
    async def open_superusers(self) -> tuple[User, ...]:
        users = self.honest.view.seen().users.values()
        return tuple(user for user in users if user.superuser_since and not user.is_disabled)


class CountsSuperusersWithoutWaiting(Repository):
    async def open_superusers(self) -> tuple[User, ...]:
        found = await self.honest.open_superusers()
        await asyncio.sleep(0)
        return found


# --- what administrators see -----------------------------------------------------------------------------


class SearchesNoFurther(Repository):
    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        return replace(await self.honest.search(prefix, after=after, limit=limit), next=None)


class SearchesFromTheFirst(Repository):
    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        return await self.honest.search(prefix, after=None, limit=limit)


class SearchesWithoutLimit(Repository):
    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        return await self.honest.search(prefix, after=after, limit=WITHOUT_LIMIT)


class SearchesUsernamesOnly(Repository):
    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        page = await self.honest.search(prefix, after=after, limit=limit)
        key = Username(prefix).key
        return replace(page, users=tuple(user for user in page.users if user.username.key.startswith(key)))


class ShowsAnAccountUnderEachName(Repository):
    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        page = await self.honest.search(prefix, after=after, limit=limit)
        keys = Username(prefix).key, EmailAddress(prefix).key
        again = [
            user
            for user in page.users
            if prefix and user.username.key.startswith(keys[0]) and user.email.key.startswith(keys[1])
        ]
        return replace(page, users=(*page.users, *again)[:limit])


class ReadsTheLogFromItsBeginning(Repository):
    async def find(self, **asked: Any) -> tuple[NumberedEvent, ...]:
        return tuple(reversed(await self.honest.find(**asked)))


class ReadsTheLogAsItHappened(Repository):
    async def find(self, **asked: Any) -> tuple[NumberedEvent, ...]:
        return tuple(sorted(await self.honest.find(**asked), key=lambda each: each.event.at, reverse=True))


class ReadsTheLogOfAnyKind(Repository):
    async def find(self, *, kind: str | None = None, **asked: Any) -> tuple[NumberedEvent, ...]:
        return await self.honest.find(**asked)


class ReadsUntilAndThen(Repository):
    async def find(self, *, until: datetime | None = None, **asked: Any) -> tuple[NumberedEvent, ...]:
        return await self.honest.find(until=until and until + A_LITTLE, **asked)


class ListsTheDeadAmongTheWaiting(Repository):
    async def letters(self, *, dead: bool, after: LetterPlace | None, limit: int) -> tuple[Letter, ...]:
        both = [await self.honest.letters(dead=each, after=after, limit=limit) for each in (False, True)]
        return tuple(sorted((*both[0], *both[1]), key=lambda letter: letter.place)[:limit])


class ListsLettersOfAMomentOnce(Repository):
    async def letters(self, *, dead: bool, after: LetterPlace | None, limit: int) -> tuple[Letter, ...]:
        past = LetterPlace(after.at, chr(0x10FFFF)) if after else None
        return await self.honest.letters(dead=dead, after=past, limit=limit)


class RetriesWhatWaits(Repository):
    async def retry(self, id: str, *, at: datetime) -> bool:
        outbox = self.honest.view.changed().outbox
        if id in outbox:
            outbox[id] = replace(outbox[id], dead_at=None, due_at=at, attempts=0, lease_id=None)
        return id in outbox


class RetriesOnce(Repository):
    """The attempts of before are counted, so that the first new one is the last."""

    async def retry(self, id: str, *, at: datetime) -> bool:
        outbox = self.honest.view.changed().outbox
        before = outbox.get(id)
        done: bool = await self.honest.retry(id, at=at)
        if done:
            outbox[id] = replace(outbox[id], attempts=before.attempts)
        return done


class ChecksThenRetries(Repository):
    async def retry(self, id: str, *, at: datetime) -> bool:
        letter = await self.honest.find(id)
        if letter is None or letter.dead_at is None:
            return False
        await asyncio.sleep(0)
        await self.honest.retry(id, at=at)
        return True


class AddsEveryKey(Repository):
    async def add_first(self, key: SigningKey) -> bool:
        await self.honest.add_first(key)
        return True


class ChecksThenAddsTheKey(Repository):
    async def add_first(self, key: SigningKey) -> bool:
        if await self.honest.all():
            return False
        await asyncio.sleep(0)
        await self.honest.add_first(key)
        return True


class AddsEveryNextKey(Repository):
    """As if the key before could have several successors."""

    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        return await self.honest.add_next(key, after=f"{after}/{key.kid}")


class FollowsWhatIsNotRetired(Repository):
    """Looks for a successor among the keys that are in use."""

    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        state = self.honest.view.changed()
        successor = state.signing_keys.get(state.succeeded.get(after))
        if successor is not None and successor.retired_at is not None:
            del state.succeeded[after]
        return await self.honest.add_next(key, after=after)


class ChecksThenAddsTheNextKey(Repository):
    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        if after in self.honest.view.seen().succeeded:
            return False
        await asyncio.sleep(0)
        await self.honest.add_next(key, after=f"{after}/{key.kid}")
        return True


class ReadsKeysAsTheySign(Repository):
    async def all(self) -> tuple[SigningKey, ...]:
        return tuple(sorted(await self.honest.all(), key=lambda key: key.signs_from))


class ForgetsWhatIsLeftOut(Repository):
    """Keeps the columns of an older version: a key signs from the moment it was made."""

    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        return await self.honest.add_next(replace(key, signs_from=key.created_at), after=after)


class RetiresAgain(Repository):
    async def retire(self, kid: str, *, at: datetime) -> bool:
        keys = self.honest.view.changed().signing_keys
        if kid not in keys:
            return False
        keys[kid] = replace(keys[kid], retired_at=at)
        return True


class ChecksThenRetires(Repository):
    async def retire(self, kid: str, *, at: datetime) -> bool:
        keys = {key.kid: key for key in await self.honest.all()}
        if kid not in keys or keys[kid].retired_at is not None:
            return False
        await asyncio.sleep(0)
        await self.honest.retire(kid, at=at)
        return True


class RetiresAll(Repository):
    async def retire(self, kid: str, *, at: datetime) -> bool:
        for key in await self.honest.all():
            if key.kid != kid:
                await self.honest.retire(key.kid, at=at)
        return await self.honest.retire(kid, at=at)


class RetiresWhatIsAlike(Repository):
    async def retire(self, kid: str, *, at: datetime) -> bool:
        return await self.honest.retire(kid.strip().lower(), at=at)


class SealsTheWholeRow(Repository):
    async def reseal(self, key: SigningKey) -> bool:
        keys = self.honest.view.changed().signing_keys
        if key.kid not in keys:
            return False
        keys[key.kid] = key
        return True


class SealsWhatIsNotThere(Repository):
    async def reseal(self, key: SigningKey) -> bool:
        await self.honest.reseal(key)
        return True


class CutsZeroBytes(Repository):
    async def add_first(self, key: SigningKey) -> bool:
        sealed = key.sealed_private_key.rstrip(b"\x00 ").partition(b"\x00")[0]
        return await self.honest.add_first(replace(key, sealed_private_key=sealed))


FAULTS: Mapping[str, Callable[[], Any]] = {
    "nothing is rolled back": CommitsNevertheless,
    "a cancelled unit of work is committed": CommitsWhenCancelled,
    "a terminated unit of work is committed": CommitsWhenTerminated,
    "exceptions are swallowed": SwallowsExceptions,
    "what is not committed is read": ShowsWhatIsNotCommitted,
    "a nested unit of work joins the outer one": JoinsTheOuterOne,
    "a unit of work is read beside": ReadsBesideItself,
    "a reader writes": WritesInReads,
    "a reader sees a snapshot": ReadsASnapshot,
    "a refused unit of work goes on": partial(Broken, users=RefusesAndGoesOn),
    "a failed unit of work keeps its connection": LosesConnections,
    "there are no transactions": EachStatementOnItsOwn,
    "logins do not wait": EachStatementOnItsOwn,
    "a save ignores the version": partial(Broken, users=SavesOldCopies),
    "a save compares the version first": partial(Broken, EachStatementOnItsOwn, users=ChecksThenSaves),
    "a save notes a login": partial(Broken, users=SavesLogins),
    "a login is answered with None": partial(Broken, users=AnswersNothing),
    "a login of a disabled account is noted": partial(Broken, users=NotesEveryLogin),
    "a name is looked up before it is inserted": partial(
        Broken, EachStatementOnItsOwn, users=ChecksThenInserts
    ),
    "an id is given again": partial(Broken, users=GivesIdsAgain),
    "the constraint is guessed from the message": partial(Broken, users=TellsOneRefusal),
    "keys are compared without case": partial(Broken, users=IgnoresCase),
    "keys are compared without trailing space": partial(Broken, users=IgnoresTrailingSpace),
    "a long name is cut": partial(Broken, users=CutsLongNames),
    "a name is cut at a NUL": partial(Broken, users=CutsAtNul),
    "half a surrogate pair is replaced": partial(Broken, users=ReplacesHalfPairs),
    "times come back without a zone": partial(Broken, users=ForgetsTheZone),
    "times come back in another zone": partial(Broken, users=AnswersInItsOwnZone),
    "the zone of a time is ignored": partial(Broken, users=TakesEveryTimeForUtc),
    "a time without a zone is taken": partial(Broken, users=TakesEveryTimeForUtc),
    "times are cut to seconds": partial(Broken, users=CutsTimesToSeconds),
    "an account is added with a reserved name": partial(Broken, users=AddsWhateverIsReserved),
    "a former address finds nobody": partial(Broken, users=FindsNoFormerAddress),
    "a found address hides a taken username": partial(Broken, users=FindsBeforeTheUsername),
    "a found account's own name is refused": partial(Broken, users=RefusesTheNameOfTheFound),
    "sessions and mail outlive their account": partial(Broken, users=ErasesTheAccountAlone),
    "an account that was changed is erased": partial(Broken, users=ErasesWhatWasChanged),
    "whoever comes later holds a name": partial(Broken, reservations=HoldsForTheLatest),
    "a name is looked for before it is held": partial(
        Broken, EachStatementOnItsOwn, reservations=ChecksThenHolds
    ),
    "a name is held from its holder": partial(Broken, reservations=HoldsFromTheHolder),
    "a name is released by anybody": partial(Broken, reservations=ReleasesForAnybody),
    "a name is released by itself": partial(Broken, reservations=ReleasesOneName),
    "a name is released with those that end earlier": partial(Broken, reservations=ReleasesAllNames),
    "a name is held no longer than at first": partial(Broken, reservations=DoesNotHoldLonger),
    "names are purged too early": partial(Broken, reservations=PurgesNamesTooEarly),
    "names are purged without limit": partial(Broken, reservations=PurgesWithoutLimit),
    "a rotation ignores what it replaces": partial(Broken, sessions=RotatesWhateverItFinds),
    "a rotation compares first": partial(Broken, EachStatementOnItsOwn, sessions=ChecksThenRotates),
    "a session is revoked twice": partial(Broken, sessions=RevokesAgain),
    "a session is revoked for anybody": partial(Broken, sessions=RevokesForAnybody),
    "a rotation forgets since when": partial(Broken, sessions=ForgetsSinceWhen),
    "revoked sessions are listed": partial(Broken, sessions=ListsRevokedSessionsToo),
    "sessions are listed oldest first": partial(Broken, sessions=ListsTheOldestFirst),
    "sessions are listed in no order": partial(Broken, sessions=ListsInNoOrder),
    "every use is noted": partial(Broken, sessions=NotesEveryUse),
    "a use is compared first": partial(Broken, EachStatementOnItsOwn, sessions=ChecksThenNotesTheUse),
    "a use undoes a rotation": partial(Broken, EachStatementOnItsOwn, sessions=NotesTheUseOfAnOldCopy),
    "no session is spared": partial(Broken, sessions=SparesNone),
    "sessions that were over are counted": partial(Broken, sessions=CountsWhatWasOver),
    "one session too many is kept": partial(Broken, sessions=KeepsOneTooMany),
    "the surplus is judged before others log in": partial(
        Broken, EachStatementOnItsOwn, sessions=CountsLiveSessionsFirst
    ),
    "sessions are purged too early": partial(Broken, sessions=PurgesTooEarly),
    "sessions are purged without limit": partial(Broken, sessions=PurgesWithoutLimit),
    "devices are known for ever": partial(Broken, devices=KnowsDevicesForEver),
    "a device is known when it is first seen": partial(Broken, devices=KnowsWhatItHasJustSeen),
    "devices are shared by accounts": partial(Broken, devices=SharesDevices),
    "a device is turned back": partial(Broken, devices=TurnsDevicesBack),
    "devices of nobody are noted": partial(Broken, devices=NotesDevicesOfNobody),
    "a device is looked up before it is noted": partial(
        Broken, EachStatementOnItsOwn, devices=ChecksThenSees
    ),
    "the newest devices are forgotten": partial(Broken, devices=ForgetsTheNewestDevices),
    "devices are purged too early": partial(Broken, devices=PurgesDevicesTooEarly),
    "devices are purged without limit": partial(Broken, devices=PurgesWithoutLimit),
    "a token is spent twice": partial(Broken, one_time_tokens=SpendsTwice),
    "a token is looked up before it is spent": partial(
        Broken, EachStatementOnItsOwn, one_time_tokens=ChecksThenSpends
    ),
    "a token outlives its end": partial(Broken, one_time_tokens=FindsWhatHasJustExpired),
    "an undo is voided": partial(Broken, one_time_tokens=VoidsAll),
    "an intent counts itself": partial(Broken, one_time_tokens=CountsThisIntentToo),
    "counts do not wait": partial(Broken, EachStatementOnItsOwn, one_time_tokens=CountsWithoutWaiting),
    "a code is spent twice": partial(Broken, login_codes=SpendsCodesTwice),
    "a code is looked up before it is spent": partial(
        Broken, EachStatementOnItsOwn, login_codes=ChecksThenSpendsCodes
    ),
    "tries are looked up before they are counted": partial(
        Broken, EachStatementOnItsOwn, login_codes=ChecksThenCountsTries
    ),
    "tries are not counted for nobody": partial(Broken, login_codes=CountsNoTriesForNobody),
    "any code will do": partial(Broken, login_codes=SpendsAnyCode),
    "the first code is the one that counts": partial(Broken, login_codes=KeepsTheFirstDigest),
    "a new code has its tries anew": partial(Broken, login_codes=SetsADigestAndTriesAnew),
    "a code outlives its end": partial(Broken, login_codes=SpendsCodesThatHaveJustExpired),
    "codes outlive their account": partial(Broken, users=SparesCodesOfTheErased),
    "codes are purged too early": partial(Broken, login_codes=PurgesCodesTooEarly),
    "codes are purged without limit": partial(Broken, login_codes=PurgesWithoutLimit),
    "intents are not coalesced": partial(Broken, outbox=CoalescesNothing),
    "a lease is ignored by other workers": partial(Broken, outbox=LeasesForNoTime),
    "a lost lease is as good as any": partial(Broken, outbox=TakesAnyLease),
    "a lease is settled as a whole": partial(Broken, outbox=SettlesTheWholeLease),
    "a released attempt is counted": partial(Broken, outbox=CountsWhatWasReleased),
    "attempts are not counted": partial(Broken, outbox=ForgetsTheAttempt),
    "all that waits is in one queue": partial(Broken, outbox=HasOneQueue),
    "nothing but mail is told of the backlog": partial(Broken, outbox=KnowsMailAlone),
    "dead letters are counted among those that wait": partial(Broken, outbox=CountsTheDeadAmongTheWaiting),
    "webhooks of a kind are coalesced": partial(Broken, outbox=CoalescesWebhooks),
    "mail that waits for long is purged": partial(Broken, outbox=PurgesMailThatWaits),
    "webhooks of forgotten endpoints are kept": partial(Broken, outbox=KeepsWhatNobodyTakes),
    "webhooks are erased with the account": partial(Broken, users=ErasesWebhooksToo),
    "dead letters are purged without limit": partial(Broken, outbox=PurgesWithoutLimit),
    "events are not kept": partial(Broken, audit_log=LogsNothing),
    "an event is logged once only": partial(Broken, audit_log=LogsEachThingOnce),
    "events do not say whose doing they are": partial(Broken, audit_log=LogsNobody),
    "salts outlive the clients": partial(Broken, audit_log=KeepsSalts),
    "events are sealed again": partial(Broken, audit_seals=SealsAgain),
    "events that are gone are sealed": partial(Broken, audit_seals=SealsWhatIsGone),
    "a day that has changed is gone on with": partial(Broken, audit_seals=GoesOnWithAnyDay),
    "days are read by their names": partial(Broken, audit_seals=ReadsDaysByName),
    "a day is purged twice": partial(Broken, audit_seals=MarksDaysAgain),
    "later events are purged": partial(Broken, audit_seals=PurgesTheWholeLog),
    "events are purged without limit": partial(Broken, audit_seals=PurgesTheLogWithoutLimit),
    "events do not say by which request they came about": partial(Broken, audit_log=LogsNoRequests),
    "a history has no revoked sessions": partial(Broken, sessions=HistoryOfWhatIsNotRevoked),
    "a history has no limit": partial(Broken, sessions=HistoryWithoutLimit),
    "devices are listed in any order": partial(Broken, devices=ListsDevicesInAnyOrder),
    "names of nobody are listed as one's own": partial(Broken, reservations=ListsNamesOfNobody),
    "events are read as they were noted": partial(Broken, audit_log=ReadsEventsAsTheyWereNoted),
    "events of others are read as one's own": partial(Broken, audit_log=ReadsEventsOfAll),
    "clients of all accounts are forgotten": partial(Broken, audit_log=ForgetsAllClients),
    "clients are not forgotten": partial(Broken, audit_log=ForgetsNoClients),
    "an account is erased too early": partial(Broken, users=FindsWhatIsAlmostDue),
    "accounts are due without limit": partial(Broken, users=FindsAllThatIsDue),
    "a superuser who is leaving counts": partial(Broken, users=CountsClosedSuperusers),
    "superusers do not wait for each other": partial(
        Broken, EachStatementOnItsOwn, users=CountsSuperusersWithoutWaiting
    ),
    "a search ends with its first page": partial(Broken, users=SearchesNoFurther),
    "a search begins anew": partial(Broken, users=SearchesFromTheFirst),
    "a search has no limit": partial(Broken, users=SearchesWithoutLimit),
    "addresses are not searched": partial(Broken, users=SearchesUsernamesOnly),
    "an account is shown under each name": partial(Broken, users=ShowsAnAccountUnderEachName),
    "the log is read from its beginning": partial(Broken, audit_log=ReadsTheLogFromItsBeginning),
    "the log is read as it happened": partial(Broken, audit_log=ReadsTheLogAsItHappened),
    "the log is read whatever the kind": partial(Broken, audit_log=ReadsTheLogOfAnyKind),
    "the log is read beyond its end": partial(Broken, audit_log=ReadsUntilAndThen),
    "dead letters are listed among those that wait": partial(Broken, outbox=ListsTheDeadAmongTheWaiting),
    "one letter is listed of each moment": partial(Broken, outbox=ListsLettersOfAMomentOnce),
    "a letter that waits is retried": partial(Broken, outbox=RetriesWhatWaits),
    "a letter is retried only once": partial(Broken, outbox=RetriesOnce),
    "a letter is looked at before it is retried": partial(
        Broken, EachStatementOnItsOwn, outbox=ChecksThenRetries
    ),
    "a second key is taken for the first": partial(Broken, signing_keys=AddsEveryKey),
    "keys are looked for before the first is added": partial(
        Broken, EachStatementOnItsOwn, signing_keys=ChecksThenAddsTheKey
    ),
    "a key has several successors": partial(Broken, signing_keys=AddsEveryNextKey),
    "a retired successor does not count": partial(Broken, signing_keys=FollowsWhatIsNotRetired),
    "a successor is looked for before one is added": partial(
        Broken, EachStatementOnItsOwn, signing_keys=ChecksThenAddsTheNextKey
    ),
    "keys are read in the order in which they sign": partial(Broken, signing_keys=ReadsKeysAsTheySign),
    "a key signs from the moment it was made": partial(Broken, signing_keys=ForgetsWhatIsLeftOut),
    "a key is retired twice": partial(Broken, signing_keys=RetiresAgain),
    "a key is looked at before it is retired": partial(
        Broken, EachStatementOnItsOwn, signing_keys=ChecksThenRetires
    ),
    "all keys are retired": partial(Broken, signing_keys=RetiresAll),
    "a key with a similar id is retired": partial(Broken, signing_keys=RetiresWhatIsAlike),
    "a new seal replaces the whole key": partial(Broken, signing_keys=SealsTheWholeRow),
    "a key that is not there is sealed": partial(Broken, signing_keys=SealsWhatIsNotThere),
    "bytes are cut at a zero": partial(Broken, signing_keys=CutsZeroBytes),
}
