"""What every storage owes the use cases (the docstrings of `ports.py`), asked of each one we have."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from identity.adapters.memory import MemoryStorage
from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.schema import audit_events
from identity.adapters.sql.storage import SqlStorage
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import UnitOfWork
from identity.domain.errors import Conflict, EmailTaken, InvalidInput, Unavailable, UsernameTaken
from identity.domain.events import LoggedIn, LoggedOut
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import OneTimeToken, Purpose
from identity.domain.secrets import Digest, PasswordHash
from identity.domain.session import Client, Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import NewUser, User

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
RESET = Purpose.RESET_PASSWORD


class Storage(Protocol):
    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]: ...

    def read(self) -> AbstractAsyncContextManager[UnitOfWork]: ...

    async def dispose(self) -> None: ...


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy, which is quicker than to migrate one for each test."""
    path = tmp_path_factory.mktemp("migrated") / "identity.db"

    async def migrate() -> None:
        storage = SqlStorage(f"sqlite:///{path}")
        await SqlSchema(storage).upgrade()
        await storage.dispose()

    asyncio.run(migrate())
    return path


@pytest.fixture(params=["memory", "sqlite"])
async def storage(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> AsyncIterator[Storage]:
    if request.param == "memory":
        yield MemoryStorage()
        return
    sql = SqlStorage(f"sqlite:///{shutil.copy(migrated, tmp_path)}")
    yield sql
    await sql.dispose()


class Abandoned(Exception):
    """Raised by a test to leave a unit of work."""


def new_user(username: str = "ann", email: str | None = None, **values: Any) -> NewUser:
    given = {"password_hash": PasswordHash("hash"), "joined_at": NOW} | values
    address = EmailAddress(email or f"{username}@example.org")
    return NewUser(username=Username(username), email=address, **given)


def new_session(user: User, id: str = "s", **values: Any) -> Session:
    given = {"current": "c", "created_at": NOW, "last_used_at": NOW, "expires_at": NOW + HOUR} | values
    return Session(id=id, user_id=user.id, **given)


def new_token(user: User, digest: bytes = b"1" * 32, **values: Any) -> OneTimeToken:
    given = {"intent_id": "i", "created_at": NOW, "expires_at": NOW + HOUR} | values
    return OneTimeToken(
        digest=Digest(digest), purpose=RESET, user_id=user.id, email_key=user.email.key, **given
    )


def new_intent(id: str = "i", *, at: datetime = NOW, email_key: str | None = None) -> MailIntent:
    email_key = email_key or f"{id}@example.org"
    return MailIntent(id=id, kind=MailKind.PASSWORD_RESET, created_at=at, email_key=email_key)


def new_key(kid: str = "k", *, at: datetime = NOW) -> SigningKey:
    return SigningKey(kid=kid, algorithm="ES256", sealed_private_key=b"\x00\xff" * 50, created_at=at)


async def add_user(storage: Storage, username: str = "ann", **values: Any) -> User:
    async with storage.begin() as uow:
        return await uow.users.add(new_user(username, **values))


async def add_sessions(storage: Storage, *sessions: Session) -> None:
    async with storage.begin() as uow:
        for session in sessions:
            await uow.sessions.add(session)


async def stored_session(storage: Storage, id: str = "s") -> Session:
    async with storage.read() as uow:
        found = await uow.sessions.get_with_user(id)
    assert found
    return found[0]


async def stored_user(storage: Storage, user_id: int) -> User:
    async with storage.read() as uow:
        user = await uow.users.get(user_id)
    assert user
    return user


async def all_at_once(count: int, attempt: Callable[[int], Awaitable[object]]) -> Counter[Any]:
    return Counter(await asyncio.gather(*(attempt(number) for number in range(count))))


# --- accounts --------------------------------------------------------------------------------------------


async def test_an_account_is_read_back_as_it_was_added(storage: Storage) -> None:
    superuser = await add_user(storage, "Ann", email="Änn@Example.org", superuser_since=NOW + SECOND)
    assert superuser == User(
        id=superuser.id,
        username=Username("Ann"),
        email=EmailAddress("Änn@Example.org"),
        password_hash=PasswordHash("hash"),
        joined_at=NOW,
        password_changed_at=NOW,
        superuser_since=NOW + SECOND,
    )
    async with storage.read() as uow:
        assert await uow.users.get(superuser.id) == superuser
        assert await uow.users.with_username(Username("ANN")) == superuser
        assert await uow.users.with_email(EmailAddress("ÄNN@example.ORG")) == superuser


async def test_an_account_that_is_not_there_is_none(storage: Storage) -> None:
    async with storage.read() as uow:
        assert await uow.users.get(1) is None
        assert await uow.users.with_username(Username("ann")) is None
        assert await uow.users.with_email(EmailAddress("ann@example.org")) is None


async def test_keys_are_compared_exactly(storage: Storage) -> None:
    names = ["ann", "ánn", "a\u0301nn\u0301", "ann.", "ann ", "an", "mike", "mıke", "🦊", "🐺", "x" * 150]
    users = {name: await add_user(storage, name, email=f"{name}@x.org") for name in names}
    async with storage.read() as uow:
        for name, user in users.items():
            assert await uow.users.with_username(Username(name)) == user
            assert await uow.users.with_email(EmailAddress(f"{name}@x.org")) == user


async def test_a_taken_username_and_a_taken_address_are_told_apart(storage: Storage) -> None:
    await add_user(storage, "ann", email="ann@example.org")
    with pytest.raises(UsernameTaken):
        await add_user(storage, "ANN", email="other@example.org")
    with pytest.raises(EmailTaken):
        await add_user(storage, "other", email="Ann@example.ORG")


async def test_a_refused_account_leaves_nothing_of_its_unit_of_work(storage: Storage) -> None:
    await add_user(storage)

    async def add_two() -> None:
        async with storage.begin() as uow:
            await uow.users.add(new_user("bob"))
            await uow.users.add(new_user("eve", email="ann@example.org"))

    with pytest.raises(EmailTaken):
        await add_two()
    async with storage.read() as uow:
        assert await uow.users.with_username(Username("bob")) is None


async def test_the_id_of_an_account_is_never_given_again(storage: Storage) -> None:
    ids = [(await add_user(storage)).id]
    with pytest.raises(InvalidInput):
        await add_user(storage)
    ids.append((await add_user(storage, "bob")).id)
    assert ids == sorted(set(ids))
    assert min(ids) > 0


async def test_a_save_is_read_back_with_the_next_version(storage: Storage) -> None:
    user = await add_user(storage)
    changed = replace(
        user.with_password(PasswordHash("new"), at=NOW + SECOND).disabled(at=NOW + HOUR),
        username=Username("Bob"),
        email=EmailAddress("Bob@example.org"),
        superuser_since=NOW,
    )
    async with storage.begin() as uow:
        saved = await uow.users.save(changed)
    assert saved == replace(changed, version=2)
    assert await stored_user(storage, user.id) == saved
    async with storage.read() as uow:
        assert await uow.users.with_username(Username("bob")) == saved
        assert await uow.users.with_email(EmailAddress("bob@example.org")) == saved
        assert await uow.users.with_username(Username("ann")) is None
    await add_user(storage, "ann")  # the names it no longer has are free


async def test_a_save_of_an_old_copy_is_a_conflict_and_changes_nothing(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        saved = await uow.users.save(user.with_password(PasswordHash("first"), at=NOW))
    with pytest.raises(Conflict):
        async with storage.begin() as uow:
            await uow.users.save(user.with_password(PasswordHash("second"), at=NOW))
    assert await stored_user(storage, user.id) == saved


async def test_a_save_of_an_account_that_is_gone_is_a_conflict(storage: Storage) -> None:
    user = await add_user(storage)
    with pytest.raises(Conflict):
        async with storage.begin() as uow:
            await uow.users.save(replace(user, id=user.id + 1, username=Username("bob")))


async def test_a_save_with_a_taken_name_is_refused(storage: Storage) -> None:
    await add_user(storage)
    bob = await add_user(storage, "bob")
    with pytest.raises(UsernameTaken):
        async with storage.begin() as uow:
            await uow.users.save(replace(bob, username=Username("Ann")))
    with pytest.raises(EmailTaken):
        async with storage.begin() as uow:
            await uow.users.save(replace(bob, email=EmailAddress("ANN@example.org")))
    assert await stored_user(storage, bob.id) == bob


async def test_a_login_is_noted_and_leaves_the_version_alone(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        assert await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
    assert await stored_user(storage, user.id) == replace(user, last_login_at=NOW)
    async with storage.begin() as uow:
        assert await uow.users.record_login(
            user.id, verified=user.password_hash, rehashed=PasswordHash("new"), at=NOW + SECOND
        )
    rehashed = await stored_user(storage, user.id)
    assert rehashed == replace(user, last_login_at=NOW + SECOND, password_hash=PasswordHash("new"))


async def test_a_login_with_a_password_that_is_gone_is_not_noted(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        changed = await uow.users.save(user.with_password(PasswordHash("new"), at=NOW))
    async with storage.begin() as uow:
        for verified, user_id in [(user.password_hash, user.id), (changed.password_hash, user.id + 1)]:
            assert not await uow.users.record_login(user_id, verified=verified, rehashed=None, at=NOW)
    assert await stored_user(storage, user.id) == changed


async def test_a_login_of_a_disabled_account_is_not_noted(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        disabled = await uow.users.save(user.disabled(at=NOW))
    async with storage.begin() as uow:
        assert not await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
    assert await stored_user(storage, user.id) == disabled


async def test_a_save_does_not_undo_a_login_that_happened_meanwhile(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
        await uow.users.save(user.with_password(PasswordHash("new"), at=NOW))
    assert (await stored_user(storage, user.id)).last_login_at == NOW


async def test_logins_of_one_account_wait_for_each_other(storage: Storage) -> None:
    user = await add_user(storage)

    async def log_in() -> None:
        async with storage.begin() as uow:
            await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW + HOUR)

    async with storage.begin() as uow:
        await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
        second = asyncio.create_task(log_in())
        await asyncio.sleep(0.05)
        assert not second.done()
    await second
    assert (await stored_user(storage, user.id)).last_login_at == NOW + HOUR


# --- sessions --------------------------------------------------------------------------------------------


async def test_a_session_is_read_back_with_its_account(storage: Storage) -> None:
    user = await add_user(storage)
    bare = new_session(user, "bare")
    full = new_session(
        user,
        "full",
        pending="p",
        previous="q",
        handed_out_at=NOW + SECOND,
        promoted_at=NOW + 2 * SECOND,
        revoked_at=NOW + 3 * SECOND,
        client=Client(address="2001:db8::1", user_agent="Mozilla 🦊 " + "x" * 1000),
    )
    await add_sessions(storage, bare, full)
    async with storage.read() as uow:
        assert await uow.sessions.get_with_user("bare") == (bare, user)
        assert await uow.sessions.get_with_user("full") == (full, user)
        assert await uow.sessions.get_with_user("none") is None


async def test_a_session_of_nobody_is_not_stored(storage: Storage) -> None:
    user = await add_user(storage)
    with pytest.raises((ValueError, DBAPIError)):
        await add_sessions(storage, new_session(replace(user, id=user.id + 1)))


async def test_a_rotation_stores_what_it_was_given(storage: Storage) -> None:
    user = await add_user(storage)
    before = new_session(user)
    await add_sessions(storage, before)
    after = replace(
        before,
        current="p",
        pending="n",
        previous="c",
        handed_out_at=NOW + SECOND,
        promoted_at=NOW + 2 * SECOND,
        last_used_at=NOW + 3 * SECOND,
    )
    async with storage.begin() as uow:
        assert await uow.sessions.rotate(before, after)
    assert await stored_session(storage) == after


@pytest.mark.parametrize("changed", ["current", "pending", "previous"])
@pytest.mark.parametrize("was", ["none", "some"])
async def test_a_rotation_of_an_old_copy_changes_nothing(storage: Storage, changed: str, was: str) -> None:
    user = await add_user(storage)
    stored = new_session(user, pending="p", previous="q")
    await add_sessions(storage, stored)
    before = replace(stored, **{changed: "else" if was == "some" or changed == "current" else None})
    async with storage.begin() as uow:
        assert not await uow.sessions.rotate(before, replace(before, pending="n"))
    assert await stored_session(storage) == stored


async def test_a_rotation_of_a_revoked_or_absent_session_changes_nothing(storage: Storage) -> None:
    user = await add_user(storage)
    revoked = new_session(user, revoked_at=NOW)
    await add_sessions(storage, revoked)
    async with storage.begin() as uow:
        assert not await uow.sessions.rotate(revoked, replace(revoked, pending="n"))
        absent = replace(revoked, id="absent")
        assert not await uow.sessions.rotate(absent, replace(absent, pending="n"))
    assert await stored_session(storage) == revoked


async def test_a_session_is_revoked_once(storage: Storage) -> None:
    user = await add_user(storage)
    session, other = new_session(user), new_session(user, "other")
    await add_sessions(storage, session, other)
    async with storage.begin() as uow:
        assert await uow.sessions.revoke("s", at=NOW)
        assert not await uow.sessions.revoke("s", at=NOW + SECOND)
        assert not await uow.sessions.revoke("absent", at=NOW)
    assert await stored_session(storage) == replace(session, revoked_at=NOW)
    assert await stored_session(storage, "other") == other


async def test_a_session_past_its_end_is_over_and_cannot_be_revoked(storage: Storage) -> None:
    user = await add_user(storage)
    session = new_session(user)
    await add_sessions(storage, session)
    async with storage.begin() as uow:
        assert not await uow.sessions.revoke("s", at=session.expires_at)
    assert await stored_session(storage) == session


async def test_all_sessions_of_an_account_end_besides_one(storage: Storage) -> None:
    ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
    long_over = new_session(ann, "over", revoked_at=NOW - HOUR)
    await add_sessions(
        storage, *(new_session(ann, name) for name in "abc"), long_over, new_session(bob, "bob")
    )
    async with storage.begin() as uow:
        await uow.sessions.revoke_all(ann.id, at=NOW, besides="b")
    ends = [(await stored_session(storage, name)).revoked_at for name in ["a", "b", "c", "over", "bob"]]
    assert ends == [NOW, None, NOW, NOW - HOUR, None]
    async with storage.begin() as uow:
        await uow.sessions.revoke_all(ann.id, at=NOW + SECOND)
    assert (await stored_session(storage, "b")).revoked_at == NOW + SECOND


async def test_the_oldest_sessions_end_when_there_are_too_many(storage: Storage) -> None:
    ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
    ages = [3, 1, 4, 2, 5]
    await add_sessions(
        storage,
        *(new_session(ann, f"s{age}", created_at=NOW - age * SECOND) for age in ages),
        new_session(ann, "revoked", revoked_at=NOW - SECOND),
        new_session(ann, "expired", expires_at=NOW),
        new_session(bob, "bob", created_at=NOW - HOUR),
    )
    async with storage.begin() as uow:
        await uow.sessions.revoke_surplus(ann.id, keep=3, at=NOW)
        await uow.sessions.revoke_surplus(ann.id, keep=3, at=NOW + SECOND)
        await uow.sessions.revoke_surplus(bob.id, keep=3, at=NOW)
    over = {age: (await stored_session(storage, f"s{age}")).revoked_at for age in sorted(ages)}
    assert over == {1: None, 2: None, 3: None, 4: NOW, 5: NOW}
    assert (await stored_session(storage, "expired")).revoked_at is None
    assert (await stored_session(storage, "bob")).revoked_at is None


async def test_only_sessions_that_ended_before_the_limit_are_purged(storage: Storage) -> None:
    user = await add_user(storage)
    early = [new_session(user, f"early{number}", expires_at=NOW - SECOND) for number in range(2)]
    await add_sessions(storage, *early, new_session(user, "late", expires_at=NOW))
    async with storage.begin() as uow:
        assert await uow.sessions.purge(expired_before=NOW, limit=10) == 2
        assert await uow.sessions.purge(expired_before=NOW, limit=10) == 0
        assert await uow.sessions.get_with_user("early0") is None
        assert await uow.sessions.get_with_user("late") is not None


# --- one-time tokens -------------------------------------------------------------------------------------


async def test_a_token_is_found_until_it_is_spent(storage: Storage) -> None:
    user = await add_user(storage)
    token = new_token(user)
    async with storage.begin() as uow:
        await uow.one_time_tokens.add(token)
        found = await uow.one_time_tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW)
        assert found == token
        assert await uow.one_time_tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=NOW)
    async with storage.begin() as uow:
        assert not await uow.one_time_tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=NOW)
        assert not await uow.one_time_tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW)


@pytest.mark.parametrize("wrong", ["digest", "user", "expired", "void"])
async def test_a_token_that_does_not_fit_is_neither_found_nor_spent(storage: Storage, wrong: str) -> None:
    user, other = await add_user(storage), await add_user(storage, "bob")
    token = new_token(user)
    async with storage.begin() as uow:
        await uow.one_time_tokens.add(token)
        if wrong == "void":
            await uow.one_time_tokens.void(user.id, at=NOW)
    digest = Digest(b"2" * 32) if wrong == "digest" else token.digest
    user_id = other.id if wrong == "user" else user.id
    at = token.expires_at if wrong == "expired" else NOW
    async with storage.begin() as uow:
        assert await uow.one_time_tokens.find(digest, purpose=RESET, user_id=user_id, at=at) is None
        assert not await uow.one_time_tokens.spend(digest, purpose=RESET, user_id=user_id, at=at)


async def test_voiding_spares_the_tokens_of_others(storage: Storage) -> None:
    ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
    token = new_token(bob)
    async with storage.begin() as uow:
        await uow.one_time_tokens.add(token)
        await uow.one_time_tokens.void(ann.id, at=NOW)
        assert await uow.one_time_tokens.spend(token.digest, purpose=RESET, user_id=bob.id, at=NOW)


async def test_intents_whose_mail_left_are_counted_once_each_and_spent_or_void_tokens_too(
    storage: Storage,
) -> None:
    ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
    minted = [
        ("early", NOW, ann),
        ("twice", NOW + SECOND, ann),
        ("twice", NOW + 2 * SECOND, ann),
        ("spent", NOW + SECOND, ann),
        ("this one", NOW + SECOND, ann),
        ("bob's", NOW + SECOND, bob),
    ]
    async with storage.begin() as uow:
        for number, (intent, at, user) in enumerate(minted):
            digest = bytes([number]) * 32
            await uow.one_time_tokens.add(new_token(user, digest, intent_id=intent, created_at=at))
        await uow.one_time_tokens.spend(Digest(bytes([3]) * 32), purpose=RESET, user_id=ann.id, at=NOW)
        await uow.one_time_tokens.void(ann.id, at=NOW)
        for intent in ("twice", "spent", "this one", "bob's"):
            await uow.one_time_tokens.mark_sent(intent, at=NOW + 5 * SECOND)
    async with storage.read() as uow:

        async def count(user: User, *, sent_since: datetime, minted_since: datetime) -> int:
            return await uow.one_time_tokens.count_intents(
                user.id,
                purpose=RESET,
                sent_since=sent_since,
                minted_since=minted_since,
                besides="this one",
            )

        assert await count(ann, sent_since=NOW + 4 * SECOND, minted_since=NOW + HOUR) == 2
        assert await count(ann, sent_since=NOW + 5 * SECOND, minted_since=NOW + HOUR) == 0
        assert await count(bob, sent_since=NOW + 4 * SECOND, minted_since=NOW + HOUR) == 1


async def test_an_intent_whose_mail_may_be_leaving_now_is_counted(storage: Storage) -> None:
    ann = await add_user(storage, "ann")
    async with storage.begin() as uow:
        await uow.one_time_tokens.add(new_token(ann, b"1" * 32, intent_id="waiting", created_at=NOW))
    async with storage.read() as uow:
        for minted_since, expected in ((NOW - SECOND, 1), (NOW, 0)):
            counted = await uow.one_time_tokens.count_intents(
                ann.id, purpose=RESET, sent_since=NOW, minted_since=minted_since, besides="this one"
            )
            assert counted == expected


async def test_only_tokens_that_expired_before_the_limit_are_purged(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        await uow.one_time_tokens.add(new_token(user, b"1" * 32, expires_at=NOW - SECOND))
        await uow.one_time_tokens.add(new_token(user, b"2" * 32, expires_at=NOW))
        assert await uow.one_time_tokens.purge(expired_before=NOW, limit=10) == 1
        assert await uow.one_time_tokens.find(
            Digest(b"2" * 32), purpose=RESET, user_id=user.id, at=NOW - SECOND
        )


# --- outbox ----------------------------------------------------------------------------------------------


async def test_an_intent_is_claimed_as_it_was_put(storage: Storage) -> None:
    values = {"address": "2001:db8::1", "user_agent": "Mozilla 🦊\x00 é"}
    notice = replace(new_intent(), kind=MailKind.PASSWORD_CHANGED, user_id=7, email_key=None, values=values)
    async with storage.begin() as uow:
        await uow.outbox.put(notice)
    async with storage.begin() as uow:
        claimed = await uow.outbox.claim(lease_id="lease", at=NOW, lease=HOUR)
    assert claimed
    assert (claimed.intent, claimed.lease_id, claimed.attempts) == (notice, "lease", 1)


async def test_unclaimed_intents_of_one_kind_and_reader_become_one(storage: Storage) -> None:
    async with storage.begin() as uow:
        await uow.outbox.put(new_intent("first", email_key="ann@example.org"))
        await uow.outbox.put(new_intent("second", email_key="ann@example.org"))
        await uow.outbox.put(new_intent("third", email_key="bob@example.org"))
        claims = [await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR) for _ in range(3)]
        assert {claim and claim.intent.id for claim in claims} == {"first", "third", None}
        # One that comes while the first is being sent is kept.
        await uow.outbox.put(new_intent("fourth", email_key="ann@example.org"))
        claim = await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert claim
        assert claim.intent.id == "fourth"


async def test_the_longest_due_intent_is_claimed_first(storage: Storage) -> None:
    ages = [2, 7, 1, 9, 4, 8, 3]
    async with storage.begin() as uow:
        for age in ages:
            await uow.outbox.put(new_intent(str(age), at=NOW - age * SECOND))
    claimed = []
    for _ in ages:
        async with storage.begin() as uow:
            claim = await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert claim
        claimed.append(int(claim.intent.id))
    assert claimed == sorted(ages, reverse=True)


async def test_an_intent_is_not_due_before_its_time(storage: Storage) -> None:
    async with storage.begin() as uow:
        await uow.outbox.put(new_intent())
    async with storage.begin() as uow:
        assert not await uow.outbox.has_due(at=NOW - SECOND)
        assert await uow.outbox.claim(lease_id="l", at=NOW - SECOND, lease=HOUR) is None
        assert await uow.outbox.has_due(at=NOW)


async def test_a_claimed_intent_is_due_again_when_its_lease_lapses(storage: Storage) -> None:
    async with storage.begin() as uow:
        await uow.outbox.put(new_intent())
        first = await uow.outbox.claim(lease_id="first", at=NOW, lease=HOUR)
    assert first
    almost = NOW + HOUR - timedelta(microseconds=1)
    async with storage.begin() as uow:
        assert not await uow.outbox.has_due(at=almost)
        assert await uow.outbox.claim(lease_id="second", at=almost, lease=HOUR) is None
        assert await uow.outbox.has_due(at=NOW + HOUR)
        second = await uow.outbox.claim(lease_id="second", at=NOW + HOUR, lease=HOUR)
    assert second
    assert second.attempts == 2
    async with storage.begin() as uow:  # the first worker has lost it
        assert not await uow.outbox.settle(first)
        assert not await uow.outbox.postpone(first, until=NOW, error="late")
        assert not await uow.outbox.bury(first, at=NOW, error="late")
        assert not await uow.outbox.release(first)
        assert await uow.outbox.settle(second)
        assert not await uow.outbox.settle(second)
        assert await uow.outbox.oldest() is None


async def test_a_postponed_intent_is_due_at_its_new_time(storage: Storage) -> None:
    async with storage.begin() as uow:
        await uow.outbox.put(new_intent())
        claimed = await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert claimed
        assert await uow.outbox.postpone(claimed, until=NOW + SECOND, error="the server said: later")
        assert not await uow.outbox.settle(claimed)
    async with storage.begin() as uow:
        assert not await uow.outbox.has_due(at=NOW)
        again = await uow.outbox.claim(lease_id="m", at=NOW + SECOND, lease=HOUR)
        assert again
        assert again.attempts == 2


async def test_a_released_intent_is_due_at_once_and_the_attempt_not_counted(storage: Storage) -> None:
    async with storage.begin() as uow:
        await uow.outbox.put(new_intent())
        claimed = await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert claimed
        assert await uow.outbox.release(claimed)
        assert not await uow.outbox.settle(claimed)
        again = await uow.outbox.claim(lease_id="m", at=NOW, lease=HOUR)
        assert again
        assert again.attempts == 1


async def test_a_dead_letter_is_kept_but_never_due(storage: Storage) -> None:
    async with storage.begin() as uow:
        await uow.outbox.put(new_intent())
        claimed = await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert claimed
        assert await uow.outbox.bury(claimed, at=NOW, error="no such mailbox")
    async with storage.begin() as uow:
        assert not await uow.outbox.has_due(at=NOW + 99 * HOUR)
        assert await uow.outbox.claim(lease_id="m", at=NOW + 99 * HOUR, lease=HOUR) is None
        assert await uow.outbox.oldest() is None
        assert await uow.outbox.purge(dead_before=NOW, limit=10) == 0
        assert await uow.outbox.purge(dead_before=NOW + SECOND, limit=10) == 1


async def test_the_oldest_waiting_intent_is_told(storage: Storage) -> None:
    async with storage.begin() as uow:
        assert await uow.outbox.oldest() is None
        await uow.outbox.put(new_intent("late", at=NOW))
        await uow.outbox.put(new_intent("early", at=NOW - HOUR))
        await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert await uow.outbox.oldest() == NOW - HOUR
        assert await uow.outbox.purge(dead_before=NOW + HOUR, limit=10) == 0


# --- audit log and signing keys --------------------------------------------------------------------------


async def test_an_event_is_kept_whole_even_of_an_account_that_is_not_there(storage: Storage) -> None:
    client = Client(address="192.0.2.7", user_agent="Mozilla/5.0")
    async with storage.begin() as uow:
        await uow.audit_log.append(LoggedIn(at=NOW, user_id=7, session_id="s", client=client))
        await uow.audit_log.append(LoggedOut(at=NOW + SECOND, user_id=8))
    assert await logged(storage) == [
        {
            "at": NOW,
            "kind": "LoggedIn",
            "user_id": 7,
            "session_id": "s",
            "client_address": "192.0.2.7",
            "client_user_agent": "Mozilla/5.0",
        },
        {
            "at": NOW + SECOND,
            "kind": "LoggedOut",
            "user_id": 8,
            "session_id": None,
            "client_address": "",
            "client_user_agent": "",
        },
    ]


async def logged(storage: Storage) -> list[dict[str, object]]:
    """The audit log as it is stored, which no port reads."""
    if isinstance(storage, SqlStorage):
        async with storage.connection() as connection:
            rows = await connection.execute(select(audit_events).order_by(audit_events.c.id))
            columns = [dict(row) for row in rows.mappings()]
        assert [row.pop("id") for row in columns] == [1, 2]
        return columns
    assert isinstance(storage, MemoryStorage)
    return [
        {
            "at": event.at,
            "kind": event.kind,
            "user_id": event.user_id,
            "session_id": event.session_id,
            "client_address": event.client.address,
            "client_user_agent": event.client.user_agent,
        }
        for event in storage.events
    ]


async def test_the_first_signing_key_is_stored_once(storage: Storage) -> None:
    async with storage.read() as uow:
        assert await uow.signing_keys.all() == ()
    async with storage.begin() as uow:
        assert await uow.signing_keys.add_first(new_key())
        assert not await uow.signing_keys.add_first(new_key("other", at=NOW - HOUR))
        assert not await uow.signing_keys.add_first(new_key())
    async with storage.read() as uow:
        assert await uow.signing_keys.all() == (new_key(),)


# --- the unit of work ------------------------------------------------------------------------------------


async def everything(uow: UnitOfWork) -> None:
    user = await uow.users.add(new_user("eve"))
    await uow.sessions.add(new_session(user))
    await uow.one_time_tokens.add(new_token(user))
    await uow.outbox.put(new_intent())
    await uow.audit_log.append(LoggedIn(at=NOW, user_id=user.id))
    await uow.signing_keys.add_first(new_key())


async def is_empty(storage: Storage) -> bool:
    async with storage.read() as uow:
        return (
            await uow.users.with_username(Username("eve")) is None
            and await uow.sessions.get_with_user("s") is None
            and await uow.outbox.oldest() is None
            and await uow.signing_keys.all() == ()
        )


async def test_an_exception_rolls_everything_back_and_is_let_through(storage: Storage) -> None:

    async def fail() -> None:
        async with storage.begin() as uow:
            await everything(uow)
            raise Abandoned

    with pytest.raises(Abandoned):
        await fail()
    assert await is_empty(storage)
    async with storage.begin() as uow:
        await everything(uow)  # nothing is in its way
    assert not await is_empty(storage)


async def test_a_unit_of_work_sees_its_own_writes_and_others_only_what_is_committed(storage: Storage) -> None:
    async with storage.begin() as uow:
        await everything(uow)
        assert await uow.users.with_username(Username("eve")) is not None
        assert await asyncio.create_task(is_empty(storage))
    assert not await is_empty(storage)


async def test_each_single_read_sees_what_was_committed_before_it(storage: Storage) -> None:
    async with storage.read() as uow:
        assert await uow.users.with_username(Username("ann")) is None
        await asyncio.create_task(add_user(storage))
        assert await uow.users.with_username(Username("ann")) is not None


async def test_reading_does_not_wait_for_a_writer(storage: Storage) -> None:
    user = await add_user(storage)
    async with storage.begin() as uow:
        await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
        assert await asyncio.create_task(stored_user(storage, user.id)) == user


async def test_writing_in_a_unit_of_work_that_only_reads_fails(storage: Storage) -> None:
    with pytest.raises((RuntimeError, Unavailable)):
        async with storage.read() as uow:
            await everything(uow)
    assert await is_empty(storage)


async def test_a_unit_of_work_inside_another_is_refused_and_the_outer_one_goes_on(storage: Storage) -> None:
    async with storage.begin() as uow:
        await everything(uow)
        with pytest.raises(RuntimeError):
            async with storage.begin():
                pass
    assert not await is_empty(storage)
    await add_user(storage)


async def test_a_cancelled_unit_of_work_is_rolled_back_and_the_next_one_works(storage: Storage) -> None:
    inside = asyncio.Event()

    async def stall() -> None:
        async with storage.begin() as uow:
            await everything(uow)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(stall())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await is_empty(storage)
    await add_user(storage)


async def test_cancelling_at_any_moment_leaves_all_or_nothing_and_a_storage_that_works(
    storage: Storage,
) -> None:
    chance = random.Random(1)

    async def register(number: int) -> None:
        async with storage.begin() as uow:
            user = await uow.users.add(new_user(f"user{number}"))
            await uow.sessions.add(new_session(user, f"session{number}"))

    async def interrupted(number: int) -> None:
        task = asyncio.create_task(register(number))
        await asyncio.sleep(chance.random() * 0.02)
        task.cancel()
        await asyncio.wait([task])

    for batch in range(10):
        await asyncio.gather(*(interrupted(batch * 6 + number) for number in range(6)))
    async with storage.read() as uow:
        for number in range(60):
            user = await uow.users.with_username(Username(f"user{number}"))
            session = await uow.sessions.get_with_user(f"session{number}")
            assert (user is None) == (session is None)
    await add_user(storage)


# --- concurrency -----------------------------------------------------------------------------------------


async def test_one_of_eight_registrations_of_a_name_wins(storage: Storage) -> None:
    async def register(number: int) -> object:
        try:
            await add_user(storage, "ann", email=f"{number}@example.org")
        except UsernameTaken:
            return UsernameTaken
        return "added"

    assert await all_at_once(8, register) == {"added": 1, UsernameTaken: 7}


async def test_one_of_eight_spenders_of_a_token_wins(storage: Storage) -> None:
    user = await add_user(storage)
    token = new_token(user)
    async with storage.begin() as uow:
        await uow.one_time_tokens.add(token)

    async def spend(_: int) -> bool:
        async with storage.begin() as uow:
            return await uow.one_time_tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=NOW)

    assert await all_at_once(8, spend) == {True: 1, False: 7}


async def test_the_version_counts_the_saves_that_succeeded(storage: Storage) -> None:
    user = await add_user(storage)

    async def change(number: int) -> bool:
        await asyncio.sleep(number // 4 * 0.01)
        copy = await stored_user(storage, user.id)
        try:
            async with storage.begin() as uow:
                await uow.users.save(copy.with_password(PasswordHash(f"hash {number}"), at=NOW))
        except Conflict:
            return False
        return True

    outcomes = await all_at_once(12, change)
    assert outcomes[True] >= 1
    assert (await stored_user(storage, user.id)).version == 1 + outcomes[True]


async def test_one_of_eight_rotations_of_a_session_wins(storage: Storage) -> None:
    user = await add_user(storage)
    session = new_session(user)
    await add_sessions(storage, session)

    async def rotate(number: int) -> bool:
        async with storage.begin() as uow:
            return await uow.sessions.rotate(session, replace(session, pending=f"child {number}"))

    assert await all_at_once(8, rotate) == {True: 1, False: 7}


async def test_one_of_ten_first_signing_keys_is_stored(storage: Storage) -> None:
    async def add_first(number: int) -> bool:
        async with storage.begin() as uow:
            return await uow.signing_keys.add_first(new_key(f"key {number}"))

    assert await all_at_once(10, add_first) == {True: 1, False: 9}
    async with storage.read() as uow:
        assert len(await uow.signing_keys.all()) == 1


async def test_no_two_workers_claim_the_same_intent(storage: Storage) -> None:
    async with storage.begin() as uow:
        for number in range(20):
            await uow.outbox.put(new_intent(str(number)))
    claims: list[str] = []

    async def work(number: int) -> None:
        while True:
            async with storage.begin() as uow:
                claimed = await uow.outbox.claim(lease_id=f"worker {number}", at=NOW, lease=HOUR)
            if claimed is None:
                return
            claims.append(claimed.intent.id)

    await all_at_once(4, work)
    assert sorted(claims) == sorted(str(number) for number in range(20))


async def test_intents_that_are_put_at_once_become_one(storage: Storage) -> None:
    async def put(number: int) -> None:
        async with storage.begin() as uow:
            await uow.outbox.put(new_intent(str(number), email_key="ann@example.org"))

    await all_at_once(10, put)
    async with storage.begin() as uow:
        assert await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
        assert not await uow.outbox.has_due(at=NOW)
