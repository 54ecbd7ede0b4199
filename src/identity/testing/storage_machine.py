"""Random histories, told to two storages at once: what the one answers, the other must answer too.

The one is the model, the other the subject. Each answer is compared, and whatever can be read: within a unit
of work, meanwhile outside, and afterwards. What the ports leave open (which of two things of one moment is
older, say) is not asked for, and the audit log cannot be read. A binding opens each of the two, empty::

    @asynccontextmanager
    async def my_storage():
        yield MyStorage(...)

    def test_my_storage_answers_as_the_memory_does():
        assert_alike(memory_storage, my_storage)
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain
from typing import Any, TypeAlias, TypeVar, cast

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from identity.application.letters import ClaimedIntent, Letter
from identity.application.mail import MAIL, MailIntent, MailKind
from identity.application.ports import UnitOfWork
from identity.domain.errors import EmailTaken, IdentityError, InvalidInput, UsernameTaken
from identity.domain.events import LoggedIn
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import OneTimeToken
from identity.domain.secrets import Digest, PasswordHash
from identity.domain.session import Client, Session
from identity.domain.user import NewUser, User
from identity.testing import samples
from identity.testing.samples import HOUR, MICROSECOND, NOW, RESET
from identity.testing.storage import Storage

T = TypeVar("T")
A = TypeVar("A", NewUser, User)
M = TypeVar("M", bound=Callable[..., Awaitable[object]])

OpenStorage: TypeAlias = Callable[[], AbstractAsyncContextManager[Storage]]
PHASES = [Phase.generate, Phase.shrink]  # not explain, which takes long and finds little in a history
SETTINGS = settings(max_examples=25, stateful_step_count=20, derandomize=True, deadline=None, phases=PHASES)


def assert_alike(model: OpenStorage, subject: OpenStorage, *, settings: settings = SETTINGS) -> None:
    """Raises `AssertionError` with the shortest history that was found after which the two differ."""
    # Its type asks for a class, its documentation for anything that makes a machine.
    run_state_machine_as_test(cast(Any, lambda: StorageMachine(model, subject)), settings=settings)


# Everything begins and ends at one of a few moments: much happens just before, just then or just after.
EARLIER = st.sampled_from([NOW, NOW + HOUR])
LATER = st.sampled_from([NOW + 2 * HOUR, NOW + 3 * HOUR])
MOMENTS = EARLIER | LATER
SOMETIMES = st.none() | EARLIER
OFFSETS = st.sampled_from([timedelta(0), MICROSECOND, -MICROSECOND])
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9.5))])
TIMES = st.builds(lambda moment, offset, zone: (moment + offset).astimezone(zone), MOMENTS, OFFSETS, ZONES)

# Texts that some database, collation, pattern or escape takes for another, or for less than they are.
LOOK_ALIKES = ["a", "A", "á", "a\u0301", "a ", "a.", "a%", "a'\"\\", "ß", "ss", "🦊", "🐺"]
IDS = st.sampled_from(["i", "I", "í", "i "])
USERNAMES = st.sampled_from(LOOK_ALIKES).map(Username)
ADDRESSES = st.sampled_from(LOOK_ALIKES).map(lambda text: EmailAddress(f"{text}@example.org"))
HASHES = IDS.map(PasswordHash)
CLIENTS = st.sampled_from([Client(), Client(address="2001:db8::1", user_agent="Mozilla 🦊 \\'\"%")])
WAYS = st.sampled_from(["settle", "postpone", "bury", "release", "retry"])
QUEUES = [MAIL, samples.new_webhook().queue]
MAILS = st.sampled_from([MailKind.PASSWORD_RESET, MailKind.PASSWORD_CHANGED])

ACCOUNT = {
    "username": USERNAMES,
    "email": ADDRESSES,
    "password_hash": HASHES,
    "superuser_since": SOMETIMES,
    "email_verified_at": SOMETIMES,
}
CLOSED = {"disabled_at": SOMETIMES, "erasure_due_at": SOMETIMES}
CHANGES = st.fixed_dictionaries({}, optional=ACCOUNT | CLOSED | {"display_name": IDS})
JTIS = {"current": IDS, "pending": st.none() | IDS, "previous": st.none() | IDS}
GENERATIONS = st.fixed_dictionaries(JTIS | {"handed_out_at": SOMETIMES, "promoted_at": SOMETIMES})
MISTAKES = st.one_of([st.fixed_dictionaries({jti: values}) for jti, values in JTIS.items()])

WHICH = st.integers(0, 9)  # of those that are known; the newest for 0, and for 9 one that is not there
NOBODY = 2**40
NO_USER = samples.new_user("nobody").with_id(NOBODY)
NO_SESSION = samples.new_session(NO_USER, "none")
NO_TOKEN = samples.new_token(NO_USER, bytes(32))
NO_CLAIM = ClaimedIntent(intent=samples.new_intent("none"), lease_id="none", attempts=1)
MANY, ALL = 5, 1000  # the newest are read after each unit of work; no history puts as much anywhere


def one(known: Sequence[T], which: int, none: T) -> T:
    return known[-1 - which % len(known)] if known and which < 9 else none


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of `Driver`, to be called with these arguments."""

    method: Callable[..., Awaitable[object]]
    arguments: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"{self.method.__name__}(**{self.arguments!r})"


OPERATIONS: defaultdict[str, list[st.SearchStrategy[Operation]]] = defaultdict(list)


def drawn(port: str, /, weight: int = 1, **arguments: st.SearchStrategy[Any]) -> Callable[[M], M]:
    def note(method: M) -> M:
        for _ in range(weight):  # each a strategy of its own, since `one_of` counts the same one once
            operation = st.builds(Operation, st.just(method), st.fixed_dictionaries(arguments))
            OPERATIONS[port].append(operation)
        return method

    return note


Answers: TypeAlias = list[tuple[object, object]]  # to what was done, or the class of its error


class Abandoned(Exception):
    """Leaves a unit of work, which rolls back."""


class Driver:
    """Does to one of the storages what is done to both, and remembers what it has put there.

    Both remember the same in the same order, but for the ids of accounts, which each storage makes up.
    """

    uow: UnitOfWork
    at: datetime

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.made: Counter[str] = Counter()
        self.taken: set[tuple[str, datetime]] = set()
        self.ids: list[int] = []
        self.copies: list[User] = []  # old and new
        self.sessions: list[Session] = []
        self.tokens: list[OneTimeToken] = []
        self.claims: list[ClaimedIntent] = []

    async def unit_of_work(self, operations: Sequence[Operation], at: datetime, ends_well: bool) -> Answers:
        self.at = at
        before = self.ids.copy(), self.copies.copy(), self.claims.copy()
        answers: Answers = []
        doing: object = "begin"
        try:
            async with self.storage.begin() as self.uow:
                for operation in operations:
                    doing = operation
                    answer = await operation.method(self, **operation.arguments)
                    answers.append((doing, self.told(answer)))
                doing = "end"
                if not ends_well:
                    answers += await self.look(self.uow, "inside")
                    answers += await asyncio.create_task(self.read("outside"))
                    answers.append(("empty", self.told(await self.empty())))
                    raise Abandoned
        except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
            is_agreed = isinstance(error, IdentityError | Abandoned)  # for a caller's mistake there is none
            answers.append((doing, type(error) if is_agreed else Exception))
            self.ids, self.copies, self.claims = before  # an id that was rolled back may be given again
        return answers + await self.read("afterwards")

    async def read(self, when: str) -> Answers:
        async with self.storage.read() as uow:
            return await self.look(uow, when)

    async def look(self, uow: UnitOfWork, when: str) -> Answers:
        sessions, tokens = self.sessions[-MANY:], self.tokens[-MANY:]
        get, find = uow.sessions.get_with_user, uow.one_time_tokens.find
        found = {
            "users": [await uow.users.get(user_id) for user_id in self.ids],
            "sessions": [await get(each.id) for each in sessions],
            "tokens": [await find(t.digest, purpose=RESET, user_id=t.user_id, at=self.at) for t in tokens],
            "search": [await self.searched(uow, prefix) for prefix in ("", "a")],
            "outbox": [await uow.outbox.has_due(at=self.at), await uow.outbox.oldest()],
            "queues": await uow.outbox.backlog(),
            "letters": [await uow.outbox.letters(dead=dead, after=None, limit=ALL) for dead in (True, False)],
            "keys": await uow.signing_keys.all(),
        }
        return [(f"{what}, {when}", self.told(answer)) for what, answer in found.items()]

    async def searched(self, uow: UnitOfWork, prefix: str) -> object:
        page = await uow.users.search(prefix, after=None, limit=2)
        return [page.users, page.next]

    async def empty(self) -> object:
        """Shows what cannot be read: the order of the outbox, and how much is left to be purged."""
        claims: list[ClaimedIntent | None] = []
        while None not in claims and len(claims) < self.made["intent"]:
            lease_id = f"last {len(claims)}"
            claims.append(await self.uow.outbox.claim(lease_id=lease_id, at=self.at, lease=HOUR))
        claims.append(await self.uow.outbox.claim(lease_id="last", at=self.at, lease=HOUR, queue=QUEUES[1]))
        return [claims, await self.purge(limit=1), await self.purge(limit=ALL)]

    def told(self, answer: Any) -> Any:
        """The answer, with the accounts numbered in the order of their making."""
        numbers: dict[int | None, int] = {user_id: number for number, user_id in enumerate(self.ids)}
        match answer:
            case User():
                return replace(answer, id=numbers.get(answer.id, -1))
            case Session() | OneTimeToken() | MailIntent(user_id=int()) | Letter(user_id=int()):
                return replace(answer, user_id=numbers.get(answer.user_id, -1))
            case ClaimedIntent():
                return replace(answer, intent=self.told(answer.intent))
            case list() | tuple():
                return [self.told(each) for each in answer]
            case _:
                return answer

    def user_id(self, which: int) -> int:
        return one(self.ids, which, NOBODY)

    def new_id(self, what: str) -> str:
        """Each much like the one before."""
        quotient, rest = divmod(self.made[what], 4)
        self.made[what] += 1
        return ("x{}", "X{}", "x\u0301{}", "x{} ")[rest].format(quotient)

    def untaken(self, what: str, moment: datetime) -> datetime:
        """This moment or one a little later: which of two things of one moment is older, is left open."""
        while (what, moment) in self.taken:
            moment += MICROSECOND
        self.taken.add((what, moment))
        return moment

    @drawn("accounts", new=st.builds(NewUser, joined_at=EARLIER, **ACCOUNT))
    async def add_user(self, *, new: NewUser) -> User:
        user = await self._stored(new, self.uow.users.add)
        self.ids.append(user.id)
        self.copies.append(user)
        return user

    @drawn("accounts", username=USERNAMES, email=ADDRESSES)
    async def find_user(self, *, username: Username, email: EmailAddress) -> list[User | None]:
        return [await self.uow.users.with_username(username), await self.uow.users.with_email(email)]

    @drawn("accounts", 2, which=WHICH, reads_first=st.booleans(), changes=CHANGES)
    async def save(self, *, which: int, reads_first: bool, changes: dict[str, Any]) -> User:
        copy = one(self.copies, which, NO_USER)
        current = await self.uow.users.get(copy.id) if reads_first else None
        changed = replace(current or copy, password_changed_at=self.at, **changes)
        saved = await self._stored(changed, self.uow.users.save)
        self.copies.append(saved)
        return replace(saved, last_login_at=None)  # it is not saved, and may be an old one

    @drawn("accounts", new=st.builds(NewUser, joined_at=EARLIER, **ACCOUNT))
    async def add_or_find(self, *, new: NewUser) -> list[object]:
        user, is_new = await self.uow.users.add_or_find(new)
        self.ids += [user.id] if is_new else []
        self.copies.append(user)
        return [user, is_new]

    @drawn("accounts", which=WHICH)
    async def erase(self, *, which: int) -> bool:
        return await self.uow.users.erase(one(self.copies, which, NO_USER))

    @drawn("accounts", name=USERNAMES, whose=st.none() | WHICH, until=MOMENTS)
    @drawn("accounts", name=ADDRESSES, whose=WHICH, until=MOMENTS)
    async def hold(self, *, name: Username | EmailAddress, whose: int | None, until: datetime) -> None:
        """An address is held for an account, and there is one."""
        user_id = None if whose is None else self.user_id(whose)
        if user_id is not None and await self.uow.users.get(user_id) is None:
            return
        await self.uow.reservations.hold(name, user_id=user_id, until=until)

    @drawn("accounts", name=USERNAMES | ADDRESSES, whose=WHICH)
    async def release(self, *, name: Username | EmailAddress, whose: int) -> list[bool]:
        user_id, reservations = self.user_id(whose), self.uow.reservations
        return [
            await reservations.is_held(name),
            await reservations.is_held(name, besides=user_id),
            await reservations.release(name, user_id=user_id),
        ]

    @drawn("accounts", name=USERNAMES | ADDRESSES, whose=WHICH)
    async def release_from(self, *, name: Username | EmailAddress, whose: int) -> bool:
        return await self.uow.reservations.release_from(name, user_id=self.user_id(whose))

    async def _stored(self, user: A, store: Callable[[A], Awaitable[User]]) -> User:
        holders = await self.find_user(username=user.username, email=user.email)
        own = user.id if isinstance(user, User) else None
        try:
            return await store(user)
        except (UsernameTaken, EmailTaken):
            if all(holder is not None and holder.id != own for holder in holders):
                raise InvalidInput({}) from None  # which of the two is refused, is left open
            raise

    @drawn("accounts", 2, which=WHICH, verified=st.none() | HASHES, rehashed=st.none() | HASHES)
    async def record_login(self, *, which: int, verified: PasswordHash | None, **rehash: Any) -> bool:
        copy = one(self.copies, which, NO_USER)
        proven = verified or copy.password_hash
        return await self.uow.users.record_login(copy.id, verified=proven, at=self.at, **rehash)

    @drawn("sessions", 2, whose=WHICH, created_at=EARLIER, expires_at=LATER, client=CLIENTS, **JTIS)
    async def add_session(self, *, whose: int, created_at: datetime, **values: Any) -> None:
        user_id, created_at = self.user_id(whose), self.untaken("session", created_at)
        session_id = self.new_id("session")
        session = replace(NO_SESSION, id=session_id, user_id=user_id, created_at=created_at, **values)
        await self.uow.sessions.add(session)
        self.sessions.append(session)

    @drawn("sessions", 2, which=WHICH, mistake=st.just({}), generation=GENERATIONS)
    @drawn("sessions", which=WHICH, mistake=MISTAKES, generation=GENERATIONS)
    async def rotate(self, *, which: int, mistake: dict[str, Any], generation: dict[str, Any]) -> bool:
        copy = one(self.sessions, which, NO_SESSION)
        found = await self.uow.sessions.get_with_user(copy.id)
        before = replace(found[0] if found else copy, **mistake)
        return await self.uow.sessions.rotate(before, replace(before, last_used_at=self.at, **generation))

    @drawn("sessions", which=WHICH)
    async def revoke(self, *, which: int) -> bool:
        return await self.uow.sessions.revoke(one(self.sessions, which, NO_SESSION).id, at=self.at)

    @drawn("sessions", whose=WHICH, besides=st.none() | WHICH)
    async def revoke_all(self, *, whose: int, besides: int | None) -> int:
        spared = None if besides is None else one(self.sessions, besides, NO_SESSION).id
        return await self.uow.sessions.revoke_all(self.user_id(whose), at=self.at, besides=spared)

    @drawn("sessions", whose=WHICH, keep=st.integers(0, 3))
    async def revoke_surplus(self, *, whose: int, keep: int) -> None:
        await self.uow.sessions.revoke_surplus(self.user_id(whose), keep=keep, at=self.at)

    @drawn("tokens", 3, whose=WHICH, intent_id=IDS, created_at=EARLIER, expires_at=LATER)
    async def add_token(self, *, whose: int, **values: Any) -> None:
        digest = Digest(self.new_id("token").encode().ljust(32, b"\0"))
        token = replace(NO_TOKEN, digest=digest, user_id=self.user_id(whose), **values)
        await self.uow.one_time_tokens.add(token)
        self.tokens.append(token)

    @drawn("tokens", which=WHICH, by=st.none() | WHICH)
    async def spend(self, *, which: int, by: int | None) -> bool:
        token = one(self.tokens, which, NO_TOKEN)
        user_id = token.user_id if by is None else self.user_id(by)
        spend = self.uow.one_time_tokens.spend
        return await spend(token.digest, purpose=RESET, user_id=user_id, at=self.at)

    @drawn("tokens", whose=WHICH)
    async def void(self, *, whose: int) -> None:
        await self.uow.one_time_tokens.void(self.user_id(whose), at=self.at)

    @drawn("tokens", intent_id=IDS)
    async def mark_sent(self, *, intent_id: str) -> None:
        await self.uow.one_time_tokens.mark_sent(intent_id, at=self.at)

    @drawn("tokens", 2, whose=WHICH, sent_since=MOMENTS, minted_since=EARLIER, besides=IDS)
    async def count_intents(self, *, whose: int, **limits: Any) -> int:
        return await self.uow.one_time_tokens.count_intents(self.user_id(whose), purpose=RESET, **limits)

    @drawn("outbox", 3, kind=MAILS, reader=WHICH | IDS, created_at=EARLIER, client=CLIENTS)
    async def put(self, *, kind: MailKind, reader: int | str, created_at: datetime, client: Client) -> None:
        intent = MailIntent(
            id=self.new_id("intent"),
            kind=kind,
            created_at=self.untaken("due", created_at),
            user_id=self.user_id(reader) if isinstance(reader, int) else None,
            email_key=reader if isinstance(reader, str) else None,
            values={"address": client.address, "user_agent": client.user_agent},
        )
        await self.uow.outbox.put(intent)

    @drawn("outbox", created_at=EARLIER)
    async def put_webhook(self, *, created_at: datetime) -> None:
        at = self.untaken("due", created_at)
        await self.uow.outbox.put(samples.new_webhook(self.new_id("intent"), at=at, queue=QUEUES[1]))

    @drawn("outbox", 4, until=LATER, queue=st.sampled_from(QUEUES))
    async def claim(self, *, until: datetime, queue: str) -> ClaimedIntent | None:
        lease_id, lease = self.new_id("lease"), max(until - self.at, MICROSECOND)
        claimed = await self.uow.outbox.claim(lease_id=lease_id, at=self.at, lease=lease, queue=queue)
        self.claims += [claimed] if claimed else []
        return claimed

    @drawn("outbox", 4, which=WHICH, how=WAYS, until=LATER)
    async def give_back(self, *, which: int, how: str, until: datetime) -> bool:
        outbox, claimed = self.uow.outbox, one(self.claims, which, NO_CLAIM)
        match how:
            case "settle":
                return await outbox.settle(claimed)
            case "postpone":
                return await outbox.postpone(claimed, until=self.untaken("due", until), error="later")
            case "bury":
                return await outbox.bury(claimed, at=self.at, error="never")
            case "retry":
                return await outbox.retry(claimed.intent.id, at=self.untaken("due", until))
            case _:
                return await outbox.release(claimed)

    @drawn("rest", whose=WHICH, client=CLIENTS)
    async def append(self, *, whose: int, client: Client) -> None:
        await self.uow.audit_log.append(LoggedIn(at=self.at, user_id=self.user_id(whose), client=client))

    @drawn("rest", kid=IDS)
    async def add_first(self, *, kid: str) -> bool:
        return await self.uow.signing_keys.add_first(samples.new_key(kid, at=self.at))

    @drawn("rest", limit=st.just(ALL))  # with a lower one it is left open which rows go
    async def purge(self, *, limit: int) -> list[int]:
        return [
            len(await self.uow.reservations.purge(ended_before=self.at, limit=limit)),
            await self.uow.outbox.purge(before=self.at, limit=limit),
            await self.uow.one_time_tokens.purge(expired_before=self.at, limit=limit),
            await self.uow.sessions.purge(expired_before=self.at, limit=limit),
        ]


REST = OPERATIONS.pop("rest")
ANYTHING = [*chain(*OPERATIONS.values()), *REST]
# Mostly of one port, since those have to do with each other.
UNITS = st.one_of(
    [st.lists(st.one_of(each), min_size=1, max_size=20) for each in (*OPERATIONS.values(), ANYTHING)]
)


class StorageMachine(RuleBasedStateMachine):
    def __init__(self, model: OpenStorage, subject: OpenStorage) -> None:
        super().__init__()
        with ExitStack() as opened:
            self.runner = opened.enter_context(asyncio.Runner())
            storages = AsyncExitStack()
            opened.callback(lambda: self.runner.run(storages.aclose()))
            enter = storages.enter_async_context
            self.drivers = [Driver(self.runner.run(enter(each()))) for each in (model, subject)]
            self._close = opened.pop_all().close

    def teardown(self) -> None:
        self._close()

    @initialize()
    def begin_with_two_accounts(self) -> None:
        for name in "ab":
            self.unit_of_work([Operation(Driver.add_user, {"new": samples.new_user(name)})], NOW, True)

    # One rule: of several, Hypothesis would leave out some in most histories, and few would get far.
    @rule(operations=UNITS, at=TIMES, ends_well=st.sampled_from([True, True, False]))
    def unit_of_work(self, operations: list[Operation], at: datetime, ends_well: bool) -> None:
        model, subject = (
            self.runner.run(driver.unit_of_work(operations, at, ends_well)) for driver in self.drivers
        )
        for ours, theirs in zip(model, subject, strict=False):
            assert theirs == ours, f"the model:   {ours}\nthe subject: {theirs}"
