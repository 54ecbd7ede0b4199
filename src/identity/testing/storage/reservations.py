"""What `Reservations` owes, and what the other repositories owe to them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from identity.domain.errors import EmailTaken, UsernameTaken
from identity.domain.names import EmailAddress, Username
from identity.domain.user import User
from identity.testing.samples import (
    HOUR,
    MICROSECOND,
    NOW,
    new_device,
    new_intent,
    new_session,
    new_token,
    new_user,
)
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_sessions,
    add_tokens,
    add_user,
    again_after_conflicts,
    all_at_once,
    assert_one_won,
    put_intents,
    stored_user,
)

NAME, ADDRESS = Username("eve"), EmailAddress("eve@example.org")
LATER = NOW + HOUR
EIGHT = 8


class ReservationsBehaviour(StorageTests):
    async def test_a_name_is_held_by_its_key_until_it_is_released(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await _hold(storage, NAME, ann)
        assert await _is_held(storage, Username("EVE"))
        assert not await _is_held(storage, EmailAddress("eve"))
        assert not await _is_held(storage, Username("ev"))
        async with storage.begin() as uow:
            assert await uow.reservations.release(Username("Eve"), user_id=bob.id) is False
            assert await uow.reservations.release(EmailAddress("eve"), user_id=ann.id) is False
            assert await uow.reservations.release(Username("Eve"), user_id=ann.id) is True
            assert await uow.reservations.release(Username("Eve"), user_id=ann.id) is False
        assert not await _is_held(storage, NAME)

    async def test_a_name_is_released_with_those_of_its_kind_that_are_held_as_long_or_longer(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        earlier, as_long, longer, anothers = (EmailAddress(f"{number}@e.org") for number in range(4))
        await _hold(storage, earlier, ann, until=LATER - MICROSECOND)
        await _hold(storage, ADDRESS, ann, until=LATER)
        await _hold(storage, as_long, ann, until=LATER)
        await _hold(storage, longer, ann, until=LATER + HOUR)
        await _hold(storage, NAME, ann, until=LATER + HOUR)
        await _hold(storage, anothers, bob, until=LATER + HOUR)
        async with storage.begin() as uow:
            assert await uow.reservations.release_from(EmailAddress("nobody@e.org"), user_id=ann.id) is False
            assert await uow.reservations.release_from(anothers, user_id=ann.id) is False
        everything = (earlier, ADDRESS, as_long, longer, NAME, anothers)
        assert [await _is_held(storage, name) for name in everything] == [True] * 6
        async with storage.begin() as uow:
            assert (
                await uow.reservations.release_from(EmailAddress("EVE@example.org"), user_id=ann.id) is True
            )
            assert await uow.reservations.release_from(ADDRESS, user_id=ann.id) is False
        held = [name for name in everything if await _is_held(storage, name)]
        assert held == [earlier, NAME, anothers]

    async def test_a_name_is_not_held_from_the_account_that_it_is_held_for(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await _hold(storage, ADDRESS, ann)
        await _hold(storage, NAME, None)
        assert not await _is_held(storage, ADDRESS, besides=ann)
        assert await _is_held(storage, ADDRESS, besides=bob)
        assert await _is_held(storage, NAME, besides=ann)

    async def test_a_name_that_is_held_is_refused_to_everybody_else(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        for holder in (ann, None):
            name, address = (
                Username(f"n{holder and holder.id}"),
                EmailAddress(f"{holder and holder.id}@e.org"),
            )
            await _hold(storage, name, holder)
            await _hold(storage, address, holder)
            for other in (bob, None):
                with pytest.raises(UsernameTaken):
                    await _hold(storage, name, other)
                with pytest.raises(EmailTaken):
                    await _hold(storage, address, other)
            assert await _is_held(storage, name, besides=bob)
        assert not await _is_held(storage, Username(f"n{ann.id}"), besides=ann)

    async def test_an_account_that_holds_a_name_may_hold_it_longer(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await _hold(storage, NAME, ann)
        await _hold(storage, NAME, ann, until=LATER + HOUR)
        assert await _purge(storage, LATER + HOUR) == ()
        assert await _purge(storage, LATER + HOUR + MICROSECOND) == (ann.id,)

    async def test_names_that_ended_before_the_limit_are_held_until_they_are_purged(
        self, storage: Storage
    ) -> None:
        ann = await add_user(storage)
        await _hold(storage, NAME, ann, until=NOW - MICROSECOND)
        await _hold(storage, Username("nobody's"), None, until=NOW - HOUR)
        await _hold(storage, ADDRESS, ann, until=NOW)
        assert await _is_held(storage, NAME)
        assert set(await _purge(storage, NOW)) == {ann.id, None}
        assert await _purge(storage, NOW) == ()
        assert not await _is_held(storage, NAME)
        assert await _is_held(storage, ADDRESS)

    async def test_no_more_names_are_purged_at_once_than_was_said(self, storage: Storage) -> None:
        for number in range(5):
            await _hold(storage, Username(str(number)), None, until=NOW - HOUR)
        for count in (3, 2, 0):
            assert len(await _purge(storage, NOW, limit=3)) == count

    async def test_no_account_is_added_with_a_name_that_is_held(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await _hold(storage, NAME, None)
        await _hold(storage, ADDRESS, ann)
        with pytest.raises(UsernameTaken):
            await add_user(storage, "Eve", email="other@example.org")
        with pytest.raises(EmailTaken):
            await add_user(storage, "other", email="Eve@example.org")
        async with storage.read() as uow:
            assert await uow.users.with_email(EmailAddress("other@example.org")) is None
            assert await uow.users.with_username(Username("other")) is None
        await add_user(storage, "eve@example.org", email="eve")  # which is neither

    async def test_an_account_is_added_unless_one_with_its_address_is_found(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            added, is_new = await uow.users.add_or_find(new_user("ann", email_verified_at=NOW))
        assert (added, is_new) == (await stored_user(storage, added.id), True)
        assert added.email_verified_at == NOW
        async with storage.begin() as uow:
            found = await uow.users.add_or_find(new_user("bob", email="ANN@example.org"))
            await uow.reservations.hold(NAME, user_id=None, until=LATER)  # the unit of work goes on
        assert found == (added, False)
        assert await _is_held(storage, NAME)
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("bob")) is None

    async def test_the_account_for_which_an_address_is_held_is_found(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await _hold(storage, ADDRESS, ann)
        async with storage.begin() as uow:
            assert await uow.users.add_or_find(new_user("bob", email="Eve@example.org")) == (ann, False)
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("bob")) is None

    async def test_a_username_is_refused_whether_or_not_the_address_is_found(self, storage: Storage) -> None:
        await add_user(storage)
        await _hold(storage, NAME, None)
        for name in ("ann", "ANN", "eve"):
            for email in ("ann@example.org", "free@example.org"):
                with pytest.raises(UsernameTaken):
                    async with storage.begin() as uow:
                        await uow.users.add_or_find(new_user(name, email=email))
        async with storage.read() as uow:
            assert await uow.users.with_email(EmailAddress("free@example.org")) is None

    async def test_the_account_whose_username_is_its_address_is_found_by_both(self, storage: Storage) -> None:
        ann = await add_user(storage, "ann@example.org", email="ann@example.org")
        for name in ("ann@example.org", "ANN@example.org"):
            async with storage.begin() as uow:
                assert await uow.users.add_or_find(new_user(name, email=name)) == (ann, False)

    async def test_an_account_is_erased_with_all_that_is_its_own(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        for user in (ann, bob):
            name = user.username.value
            await add_sessions(storage, new_session(user, name))
            await add_tokens(storage, new_token(user, name.encode().ljust(32), intent_id=name))
            await _hold(storage, Username(f"{name} of old"), user)
            async with storage.begin() as uow:
                await uow.devices.see(user.id, new_device(), at=NOW, since=NOW)
        to_ann = replace(new_intent("by id"), email_key=None, user_id=ann.id)
        await put_intents(storage, to_ann, new_intent("by address", email_key="ann@example.org"))
        async with storage.begin() as uow:
            assert await uow.users.erase(ann) is True
            assert await uow.outbox.has_due(at=NOW) is False
        async with storage.begin() as uow:
            assert await uow.users.erase(ann) is False
            assert await uow.users.get(ann.id) is None
            assert await uow.sessions.get_with_user("ann") is None
            assert await uow.sessions.get_with_user("bob") is not None
            assert await uow.devices.purge(seen_before=LATER, limit=10) == 1
            assert await uow.one_time_tokens.purge(expired_before=LATER + HOUR, limit=10) == 1
            assert await uow.reservations.purge(ended_before=LATER + HOUR, limit=10) == (bob.id,)
        assert await stored_user(storage, bob.id) == bob
        assert (await add_user(storage, "ann")).id not in (ann.id, bob.id)

    async def test_an_account_that_was_changed_or_logged_in_to_is_not_erased(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await add_sessions(storage, new_session(ann))
        async with storage.begin() as uow:
            await uow.users.save(ann.verified(at=NOW))
            await uow.users.record_login(bob.id, verified=bob.password_hash, rehashed=None, at=NOW)
        async with storage.begin() as uow:
            assert await uow.users.erase(ann) is False
            assert await uow.users.erase(bob) is False
            assert await uow.sessions.get_with_user("s") is not None
        assert (await stored_user(storage, ann.id)).is_verified
        assert (await stored_user(storage, bob.id)).last_login_at == NOW

    async def test_one_of_eight_who_want_to_hold_a_name_gets_it(self, storage: Storage) -> None:
        users = [await add_user(storage, f"user{number}") for number in range(EIGHT - 2)]
        holders = [*users, None, None]

        async def hold(number: int) -> bool:
            await _hold(storage, NAME, holders[number])
            return True

        assert_one_won(await all_at_once(EIGHT, hold), lost=UsernameTaken)

    async def test_one_of_eight_who_register_or_hold_a_name_gets_it(self, storage: Storage) -> None:
        """Each adds an account before it holds the name, or finds one and holds it all the same."""
        await add_user(storage, email="taken@example.org")

        async def register(number: int) -> bool:
            email = f"{number}@example.org" if number % 2 else "taken@example.org"
            async with storage.begin() as uow:
                user, is_new = await uow.users.add_or_find(new_user("eve", email=email))
                await asyncio.sleep(0)
                await uow.reservations.hold(NAME, user_id=user.id if is_new else None, until=LATER)
            return True

        assert_one_won(await all_at_once(EIGHT, register), lost=UsernameTaken)

    async def test_an_address_that_is_given_up_goes_to_nobody_else_meanwhile(self, storage: Storage) -> None:
        """A change of address, which holds the old one, beside registrations with that."""
        for turn in range(4):
            old = EmailAddress(f"old{turn}@example.org")
            ann = await add_user(storage, f"ann{turn}", email=old.value)

            async def change(ann: User = ann, old: EmailAddress = old) -> bool:
                async with storage.begin() as uow:
                    new = EmailAddress(f"new-{old}")
                    await uow.users.save(replace(ann, email=new))
                    assert not await uow.reservations.is_held(new, besides=ann.id)
                    await asyncio.sleep(0)
                    await uow.reservations.hold(old, user_id=ann.id, until=LATER)
                return True

            async def act(number: int, turn: int = turn, old: EmailAddress = old) -> bool:
                if number == turn:
                    return await change()
                await add_user(storage, f"{turn} {number}", email=old.value)
                return True

            outcomes = await all_at_once(4, lambda number: again_after_conflicts(lambda: act(number)))
            assert outcomes == {True: 1, EmailTaken: 3}
            assert (await stored_user(storage, ann.id)).email != old
            assert await _is_held(storage, old)


async def _hold(
    storage: Storage, name: Username | EmailAddress, holder: User | None, *, until: datetime = LATER
) -> None:
    async with storage.begin() as uow:
        await uow.reservations.hold(name, user_id=holder.id if holder else None, until=until)


async def _is_held(storage: Storage, name: Username | EmailAddress, *, besides: User | None = None) -> bool:
    async with storage.read() as uow:
        return await uow.reservations.is_held(name, besides=besides.id if besides else None)


async def _purge(storage: Storage, before: datetime, *, limit: int = 10) -> tuple[int | None, ...]:
    async with storage.begin() as uow:
        return await uow.reservations.purge(ended_before=before, limit=limit)
