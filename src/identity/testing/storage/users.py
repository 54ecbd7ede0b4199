"""What `Users` owes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from identity.domain.errors import Conflict, EmailTaken, UsernameTaken
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash
from identity.domain.user import User
from identity.testing.samples import HOUR, NOW, SECOND, new_user
from identity.testing.storage.subject import Storage, StorageTests, add_user, stored_user


class Abandoned(Exception):
    """Raised by a test to leave a unit of work."""


class UsersBehaviour(StorageTests):
    async def test_an_account_is_read_back_as_it_was_added(self, storage: Storage) -> None:
        superuser = await add_user(storage, "Ann", email="Änn@Example.org", superuser_since=NOW + SECOND)
        bob = await add_user(storage, "bob", email_verified_at=NOW - HOUR)
        assert superuser == User(
            id=superuser.id,
            username=Username("Ann"),
            email=EmailAddress("Änn@Example.org"),
            password_hash=PasswordHash("hash"),
            joined_at=NOW,
            password_changed_at=NOW,
            superuser_since=NOW + SECOND,
        )
        assert await stored_user(storage, superuser.id) == superuser
        assert (await stored_user(storage, bob.id)).email_verified_at == NOW - HOUR

    async def test_an_account_is_found_by_the_keys_of_its_names(self, storage: Storage) -> None:
        ann = await add_user(storage, "Ann", email="Änn@Example.org")
        await add_user(storage, "bob")
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("ANN")) == ann
            assert await uow.users.with_email(EmailAddress("ÄNN@example.ORG")) == ann

    async def test_an_account_that_is_not_there_is_none(self, storage: Storage) -> None:
        async with storage.read() as uow:
            assert await uow.users.get(1) is None
            assert await uow.users.with_username(Username("ann")) is None
            assert await uow.users.with_email(EmailAddress("ann@example.org")) is None
        ann = await add_user(storage)
        async with storage.read() as uow:
            assert await uow.users.get(ann.id + 1) is None
            assert await uow.users.with_username(Username("ann@example.org")) is None
            assert await uow.users.with_email(EmailAddress("ann")) is None

    async def test_a_taken_username_and_a_taken_address_are_told_apart(self, storage: Storage) -> None:
        ann = await add_user(storage, "ann", email="ann@example.org")
        with pytest.raises(UsernameTaken):
            await add_user(storage, "ANN", email="other@example.org")
        with pytest.raises(EmailTaken):
            await add_user(storage, "other", email="Ann@example.ORG")
        assert await stored_user(storage, ann.id) == ann

    async def test_a_name_that_quotes_the_other_constraint_does_not_confuse_them(
        self, storage: Storage
    ) -> None:
        """Databases quote the value in their message, and some tell the constraint nowhere else."""
        names = ["users.email_key", "uq_users_email_key", "'x' for key 'uq_users_email_key'", "(email_key)"]
        for name in names:
            await add_user(storage, name, email=f"{name}@example.org")
            with pytest.raises(UsernameTaken):
                await add_user(storage, name, email=f"other-{name}@example.org")
        await add_user(storage, "bob", email="uq_users_username_key@example.org")
        with pytest.raises(EmailTaken):
            await add_user(storage, "eve", email="uq_users_username_key@example.org")

    async def test_the_id_of_an_account_is_never_given_to_another(self, storage: Storage) -> None:
        ids = [(await add_user(storage)).id]
        with pytest.raises(UsernameTaken):
            await add_user(storage, email="other@example.org")
        ids.append((await add_user(storage, "bob")).id)
        with pytest.raises(Abandoned):
            async with storage.begin() as uow:
                raise Abandoned(await uow.users.add(new_user("carol")))
        ids.append((await add_user(storage, "dave")).id)
        assert ids == sorted(set(ids))
        assert min(ids) > 0

    async def test_a_save_is_read_back_with_the_next_version(self, storage: Storage) -> None:
        user = await add_user(storage)
        changed = replace(
            user.with_password(PasswordHash("new"), at=NOW + SECOND).disabled(at=NOW + HOUR),
            username=Username("Bob"),
            email=EmailAddress("Bob@example.org"),
            superuser_since=NOW,
            email_verified_at=NOW + SECOND,
            display_name="Bob 🦊",
            locale="de-AT",
            time_zone="Europe/Vienna",
            erasure_due_at=NOW + 2 * HOUR,
        )
        async with storage.begin() as uow:
            saved = await uow.users.save(changed)
        assert saved == replace(changed, version=2)
        less = replace(
            saved, disabled_at=None, superuser_since=None, email_verified_at=None, erasure_due_at=None
        )
        assert await stored_user(storage, user.id) == saved
        async with storage.begin() as uow:
            again = await uow.users.save(less)
        assert again == replace(less, version=3)
        assert await stored_user(storage, user.id) == again

    async def test_a_save_gives_up_the_names_it_no_longer_has(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            renamed = await uow.users.save(
                replace(user, username=Username("bob"), email=EmailAddress("bob@example.org"))
            )
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("bob")) == renamed
            assert await uow.users.with_email(EmailAddress("bob@example.org")) == renamed
            assert await uow.users.with_username(Username("ann")) is None
            assert await uow.users.with_email(EmailAddress("ann@example.org")) is None
        assert (await add_user(storage, "ann")).id != user.id

    async def test_a_save_of_an_old_copy_is_a_conflict_and_changes_nothing(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            saved = await uow.users.save(user.with_password(PasswordHash("first"), at=NOW))
        with pytest.raises(Conflict):
            async with storage.begin() as uow:
                await uow.users.save(user.with_password(PasswordHash("second"), at=NOW))
        assert await stored_user(storage, user.id) == saved

    async def test_a_save_of_an_account_that_is_gone_is_a_conflict(self, storage: Storage) -> None:
        user = await add_user(storage)
        with pytest.raises(Conflict):
            async with storage.begin() as uow:
                await uow.users.save(replace(user, id=user.id + 1, username=Username("bob")))
        assert await stored_user(storage, user.id) == user

    async def test_a_save_with_a_taken_name_is_refused_and_changes_nothing(self, storage: Storage) -> None:
        await add_user(storage)
        bob = await add_user(storage, "bob")
        with pytest.raises(UsernameTaken):
            async with storage.begin() as uow:
                await uow.users.save(replace(bob, username=Username("Ann")))
        with pytest.raises(EmailTaken):
            async with storage.begin() as uow:
                await uow.users.save(replace(bob, email=EmailAddress("ANN@example.org")))
        assert await stored_user(storage, bob.id) == bob

    async def test_a_save_and_a_login_spare_the_other_accounts(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        async with storage.begin() as uow:
            await uow.users.save(ann.with_password(PasswordHash("new"), at=NOW + SECOND))
        async with storage.begin() as uow:
            await uow.users.record_login(ann.id, verified=PasswordHash("new"), rehashed=None, at=NOW)
        assert await stored_user(storage, bob.id) == bob

    async def test_a_login_is_noted_and_leaves_the_version_alone(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            noted = await uow.users.record_login(
                user.id, verified=user.password_hash, rehashed=None, at=NOW + SECOND
            )
            assert noted is True
        assert await stored_user(storage, user.id) == replace(user, last_login_at=NOW + SECOND)

    async def test_a_login_may_replace_the_hash_by_one_of_today(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            noted = await uow.users.record_login(
                user.id, verified=user.password_hash, rehashed=PasswordHash("new"), at=NOW + SECOND
            )
            assert noted is True
        rehashed = replace(user, password_hash=PasswordHash("new"), last_login_at=NOW + SECOND)
        assert await stored_user(storage, user.id) == rehashed

    async def test_a_login_with_a_password_that_is_gone_is_not_noted(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            changed = await uow.users.save(user.with_password(PasswordHash("new"), at=NOW))
        async with storage.begin() as uow:
            noted = await uow.users.record_login(
                user.id, verified=user.password_hash, rehashed=PasswordHash("old, of today"), at=NOW
            )
            assert noted is False
        assert await stored_user(storage, user.id) == changed

    async def test_a_login_of_an_account_that_is_gone_is_not_noted(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            noted = await uow.users.record_login(
                user.id + 1, verified=user.password_hash, rehashed=None, at=NOW
            )
            assert noted is False

    async def test_a_login_of_a_disabled_account_is_not_noted(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            disabled = await uow.users.save(user.disabled(at=NOW))
        async with storage.begin() as uow:
            noted = await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
            assert noted is False
        assert await stored_user(storage, user.id) == disabled

    async def test_a_login_of_an_account_that_awaits_its_erasure_is_not_noted(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            leaving = await uow.users.save(replace(user, erasure_due_at=NOW + HOUR))
        async with storage.begin() as uow:
            noted = await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
            assert noted is False
        assert await stored_user(storage, user.id) == leaving

    async def test_a_save_does_not_undo_a_login_that_happened_meanwhile(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW)
            await uow.users.save(user.with_password(PasswordHash("new"), at=NOW))
        assert (await stored_user(storage, user.id)).last_login_at == NOW

    async def test_a_save_does_not_note_a_login(self, storage: Storage) -> None:
        user = await add_user(storage)
        async with storage.begin() as uow:
            await uow.users.save(replace(user, last_login_at=NOW))
        assert (await stored_user(storage, user.id)).last_login_at is None
