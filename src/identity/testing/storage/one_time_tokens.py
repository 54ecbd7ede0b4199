"""What `OneTimeTokens` owes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from identity.application.ports import UnitOfWork
from identity.domain.names import EmailAddress
from identity.domain.one_time_token import UNDOING, Purpose
from identity.domain.secrets import Digest
from identity.domain.user import User
from identity.testing.samples import HOUR, MICROSECOND, NOW, RESET, SECOND, new_token
from identity.testing.storage.subject import Storage, StorageTests, add_tokens, add_user, is_refused


class OneTimeTokensBehaviour(StorageTests):
    async def test_a_token_is_found_until_it_is_spent(self, storage: Storage) -> None:
        user = await add_user(storage)
        token = new_token(user)
        await add_tokens(storage, token)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW) == token
            assert await tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=NOW) is True
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=NOW) is False
            assert await tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW) is None

    async def test_a_token_is_good_until_the_moment_it_expires(self, storage: Storage) -> None:
        user = await add_user(storage)
        token = new_token(user)
        await add_tokens(storage, token)
        over, almost = token.expires_at, token.expires_at - MICROSECOND
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.find(token.digest, purpose=RESET, user_id=user.id, at=over) is None
            assert await tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=over) is False
            assert await tokens.find(token.digest, purpose=RESET, user_id=user.id, at=almost) == token
            assert await tokens.spend(token.digest, purpose=RESET, user_id=user.id, at=almost) is True

    async def test_another_digest_is_neither_found_nor_spent(self, storage: Storage) -> None:
        user = await add_user(storage)
        await add_tokens(storage, new_token(user))
        other = Digest(b"2" * 32)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.find(other, purpose=RESET, user_id=user.id, at=NOW) is None
            assert await tokens.spend(other, purpose=RESET, user_id=user.id, at=NOW) is False

    async def test_the_token_of_another_account_is_neither_found_nor_spent(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        token = new_token(ann)
        await add_tokens(storage, token)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.find(token.digest, purpose=RESET, user_id=bob.id, at=NOW) is None
            assert await tokens.spend(token.digest, purpose=RESET, user_id=bob.id, at=NOW) is False
            assert await tokens.spend(token.digest, purpose=RESET, user_id=ann.id, at=NOW) is True

    async def test_spending_one_token_spares_the_others_of_its_account(self, storage: Storage) -> None:
        user = await add_user(storage)
        one, other = new_token(user, b"1" * 32), new_token(user, b"2" * 32)
        await add_tokens(storage, one, other)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.spend(one.digest, purpose=RESET, user_id=user.id, at=NOW) is True
            assert await tokens.find(other.digest, purpose=RESET, user_id=user.id, at=NOW) == other

    async def test_voiding_spoils_every_token_of_the_account_and_no_other(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        hers = [new_token(ann, b"1" * 32), new_token(ann, b"2" * 32, intent_id="j")]
        his = new_token(bob, b"3" * 32)
        await add_tokens(storage, *hers, his)
        async with storage.begin() as uow:
            await uow.one_time_tokens.void(ann.id, at=NOW)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            for token in hers:
                assert await tokens.find(token.digest, purpose=RESET, user_id=ann.id, at=NOW) is None
                assert await tokens.spend(token.digest, purpose=RESET, user_id=ann.id, at=NOW) is False
            assert await tokens.spend(his.digest, purpose=RESET, user_id=bob.id, at=NOW) is True

    async def test_voiding_spares_what_undoes_a_change(self, storage: Storage) -> None:
        """Whoever stole the account would change the password, to rid themselves of its owner's undo."""
        ann = await add_user(storage)
        tokens = {
            purpose: replace(new_token(ann, bytes([number]) * 32), purpose=purpose)
            for number, purpose in enumerate(Purpose)
        }
        await add_tokens(storage, *tokens.values())
        async with storage.begin() as uow:
            await uow.one_time_tokens.void(ann.id, at=NOW)
        async with storage.read() as uow:
            find = uow.one_time_tokens.find
            found = [
                await find(token.digest, purpose=purpose, user_id=ann.id, at=NOW)
                for purpose, token in tokens.items()
            ]
        assert {token.purpose for token in found if token} == UNDOING

    async def test_a_token_keeps_the_address_that_it_was_mailed_to(self, storage: Storage) -> None:
        ann = await add_user(storage)
        token = new_token(ann, email=EmailAddress("Änn@example.org"))
        await add_tokens(storage, token)
        async with storage.read() as uow:
            found = await uow.one_time_tokens.find(token.digest, purpose=RESET, user_id=ann.id, at=NOW)
        assert found == token

    async def test_a_token_of_nobody_is_not_stored(self, storage: Storage) -> None:
        user = await add_user(storage)
        nobody = replace(user, id=user.id + 1)
        token = new_token(nobody)
        assert await is_refused(add_tokens(storage, token))
        async with storage.read() as uow:
            found = await uow.one_time_tokens.find(token.digest, purpose=RESET, user_id=nobody.id, at=NOW)
            assert found is None

    async def test_a_token_does_not_take_the_place_of_another(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        token = new_token(ann)
        await add_tokens(storage, token)
        assert await is_refused(add_tokens(storage, new_token(bob)))
        async with storage.read() as uow:
            find = uow.one_time_tokens.find
            assert await find(token.digest, purpose=RESET, user_id=ann.id, at=NOW) == token

    async def test_intents_whose_mail_left_are_counted_once_each_and_spent_or_void_tokens_too(
        self, storage: Storage
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
            for intent in ("twice", "spent", "this one", "bob's", "of nobody"):
                await uow.one_time_tokens.mark_sent(intent, at=NOW + 5 * SECOND)
        later = NOW + HOUR  # than any was minted
        async with storage.begin() as uow:
            assert await _counted(uow, ann, sent_since=NOW + 4 * SECOND, minted_since=later) == 2
            assert await _counted(uow, ann, sent_since=NOW + 5 * SECOND, minted_since=later) == 0
            assert await _counted(uow, bob, sent_since=NOW + 4 * SECOND, minted_since=later) == 1

    async def test_an_intent_whose_mail_may_be_leaving_now_is_counted(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await add_tokens(
            storage,
            new_token(ann, b"1" * 32, intent_id="waiting"),
            new_token(ann, b"2" * 32, intent_id="this one"),
        )
        async with storage.begin() as uow:
            assert await _counted(uow, ann, sent_since=NOW, minted_since=NOW - MICROSECOND) == 1
            assert await _counted(uow, ann, sent_since=NOW, minted_since=NOW) == 0

    async def test_an_intent_that_was_minted_and_has_left_is_counted_once(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await add_tokens(storage, new_token(ann))
        async with storage.begin() as uow:
            await uow.one_time_tokens.mark_sent("i", at=NOW)
            assert await _counted(uow, ann, sent_since=NOW - SECOND, minted_since=NOW - SECOND) == 1

    async def test_only_tokens_that_expired_before_the_limit_are_purged(self, storage: Storage) -> None:
        user = await add_user(storage)
        early = new_token(user, b"1" * 32, expires_at=NOW - MICROSECOND)
        late = new_token(user, b"2" * 32, expires_at=NOW)
        await add_tokens(storage, early, late)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.purge(expired_before=NOW, limit=10) == 1
            assert await tokens.purge(expired_before=NOW, limit=10) == 0
            before = NOW - HOUR
            assert await tokens.find(early.digest, purpose=RESET, user_id=user.id, at=before) is None
            assert await tokens.find(late.digest, purpose=RESET, user_id=user.id, at=before) == late

    async def test_no_more_tokens_are_purged_at_once_than_was_said(self, storage: Storage) -> None:
        user = await add_user(storage)
        expired = [new_token(user, bytes([n]) * 32, expires_at=NOW - SECOND) for n in range(5)]
        await add_tokens(storage, *expired)
        async with storage.begin() as uow:
            tokens = uow.one_time_tokens
            assert await tokens.purge(expired_before=NOW, limit=3) == 3
            found = [
                await tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW - HOUR)
                for token in expired
            ]
            assert found.count(None) == 3
        async with storage.begin() as uow:
            assert await uow.one_time_tokens.purge(expired_before=NOW, limit=3) == 2
            assert await uow.one_time_tokens.purge(expired_before=NOW, limit=3) == 0


async def _counted(uow: UnitOfWork, user: User, *, sent_since: datetime, minted_since: datetime) -> int:
    return await uow.one_time_tokens.count_intents(
        user.id, purpose=RESET, sent_since=sent_since, minted_since=minted_since, besides="this one"
    )
