"""What `Outbox` owes."""

from __future__ import annotations

from dataclasses import replace

from identity.application.letters import Backlog
from identity.application.mail import MAIL, MailKind
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND, new_intent, new_webhook
from identity.testing.storage.subject import Storage, StorageTests, add_user, claim, put_intents


class OutboxBehaviour(StorageTests):
    async def test_an_intent_is_claimed_as_it_was_put(self, storage: Storage) -> None:
        values = {"address": "2001:db8::1", "user_agent": "Mozilla"}
        notice = replace(
            new_intent(), kind=MailKind.PASSWORD_CHANGED, user_id=7, email_key=None, values=values
        )
        await put_intents(storage, notice)
        claimed = await claim(storage, "lease")
        assert (claimed.intent, claimed.lease_id, claimed.attempts) == (notice, "lease", 1)

    async def test_an_intent_for_an_address_that_is_nobodys_is_claimed_as_it_was_put(
        self, storage: Storage
    ) -> None:
        await put_intents(storage, new_intent(email_key="nobody@example.org"))
        assert (await claim(storage)).intent == new_intent(email_key="nobody@example.org")

    async def test_an_empty_outbox_has_nothing_due(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            assert await uow.outbox.has_due(at=NOW) is False
            assert await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR) is None
            assert await uow.outbox.oldest() is None

    async def test_unclaimed_intents_of_one_kind_and_reader_become_one(self, storage: Storage) -> None:
        await put_intents(
            storage,
            new_intent("first", email_key="ann@example.org"),
            new_intent("second", email_key="ann@example.org"),
            new_intent("third", email_key="bob@example.org"),
        )
        async with storage.begin() as uow:
            claims = [await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR) for _ in range(3)]
        assert {claim and claim.intent.id for claim in claims} == {"first", "third", None}

    async def test_intents_of_other_kinds_and_other_readers_stay_apart(self, storage: Storage) -> None:
        to_address = new_intent("address", email_key="7")
        to_account = replace(to_address, id="account", user_id=7, email_key=None)
        other_kind = replace(to_account, id="kind", kind=MailKind.SESSION_REUSED)
        await put_intents(storage, to_address, to_account, other_kind)
        claims = [await claim(storage) for _ in range(3)]
        assert {claimed.intent.id for claimed in claims} == {"address", "account", "kind"}

    async def test_an_intent_that_comes_while_one_like_it_is_being_sent_is_kept(
        self, storage: Storage
    ) -> None:
        await put_intents(storage, new_intent("first", email_key="ann@example.org"))
        first = await claim(storage)
        await put_intents(storage, new_intent("second", email_key="ann@example.org"))
        assert (await claim(storage)).intent.id == "second"
        async with storage.begin() as uow:
            assert await uow.outbox.settle(first) is True

    async def test_the_longest_due_intent_is_claimed_first(self, storage: Storage) -> None:
        ages = [2, 7, 1, 9, 4, 8, 3]
        await put_intents(storage, *(new_intent(str(age), at=NOW - age * SECOND) for age in ages))
        claimed = [int((await claim(storage)).intent.id) for _ in ages]
        assert claimed == sorted(ages, reverse=True)

    async def test_an_intent_that_was_postponed_is_as_old_as_its_new_time(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("a", at=NOW - 3 * SECOND), new_intent("b", at=NOW - SECOND))
        first = await claim(storage)
        assert first.intent.id == "a"
        async with storage.begin() as uow:
            assert await uow.outbox.postpone(first, until=NOW, error="later") is True
        assert [(await claim(storage)).intent.id for _ in range(2)] == ["b", "a"]

    async def test_an_intent_is_not_due_before_its_time(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        async with storage.begin() as uow:
            assert await uow.outbox.has_due(at=NOW - MICROSECOND) is False
            assert await uow.outbox.claim(lease_id="l", at=NOW - MICROSECOND, lease=HOUR) is None
            assert await uow.outbox.has_due(at=NOW) is True
            assert await uow.outbox.has_due(at=NOW) is True  # asking takes nothing
            assert await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR) is not None
            assert await uow.outbox.has_due(at=NOW) is False

    async def test_a_claimed_intent_is_due_again_when_its_lease_lapses(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        await claim(storage, "first")
        almost = NOW + HOUR - MICROSECOND
        async with storage.begin() as uow:
            assert await uow.outbox.has_due(at=almost) is False
            assert await uow.outbox.claim(lease_id="second", at=almost, lease=HOUR) is None
            assert await uow.outbox.has_due(at=NOW + HOUR) is True
            second = await uow.outbox.claim(lease_id="second", at=NOW + HOUR, lease=HOUR)
        assert second is not None
        assert (second.intent, second.lease_id, second.attempts) == (new_intent(), "second", 2)

    async def test_one_whose_lease_was_taken_over_can_do_nothing_any_more(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        first = await claim(storage, "first")
        async with storage.begin() as uow:
            second = await uow.outbox.claim(lease_id="second", at=NOW + HOUR, lease=HOUR)
        assert second is not None
        async with storage.begin() as uow:
            assert await uow.outbox.settle(first) is False
            assert await uow.outbox.postpone(first, until=NOW, error="late") is False
            assert await uow.outbox.bury(first, at=NOW, error="late") is False
            assert await uow.outbox.release(first) is False
            assert await uow.outbox.has_due(at=NOW + HOUR) is False
            assert await uow.outbox.settle(second) is True

    async def test_a_settled_intent_is_gone(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        claimed = await claim(storage)
        async with storage.begin() as uow:
            assert await uow.outbox.settle(claimed) is True
            assert await uow.outbox.settle(claimed) is False
            assert await uow.outbox.release(claimed) is False
            assert await uow.outbox.oldest() is None
            assert await uow.outbox.has_due(at=NOW + 99 * HOUR) is False
            assert await uow.outbox.purge(before=NOW + 99 * HOUR, limit=10) == 0

    async def test_settling_one_intent_spares_the_others_of_the_same_lease(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("a"), new_intent("b"))
        one, other = await claim(storage, "same"), await claim(storage, "same")
        async with storage.begin() as uow:
            assert await uow.outbox.settle(one) is True
            assert await uow.outbox.oldest() == NOW
            assert await uow.outbox.settle(other) is True

    async def test_a_postponed_intent_is_due_at_its_new_time(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        claimed = await claim(storage)
        async with storage.begin() as uow:
            until = NOW + SECOND
            assert await uow.outbox.postpone(claimed, until=until, error="421 'later' 🦊 %s :x") is True
            assert await uow.outbox.settle(claimed) is False
        async with storage.begin() as uow:
            assert await uow.outbox.has_due(at=until - MICROSECOND) is False
            again = await uow.outbox.claim(lease_id="m", at=until, lease=HOUR)
        assert again is not None
        assert again.attempts == 2

    async def test_a_released_intent_is_due_at_once_and_the_attempt_not_counted(
        self, storage: Storage
    ) -> None:
        await put_intents(storage, new_intent())
        claimed = await claim(storage)
        async with storage.begin() as uow:
            assert await uow.outbox.release(claimed) is True
            assert await uow.outbox.settle(claimed) is False
        again = await claim(storage, "m")
        assert (again.intent, again.attempts) == (claimed.intent, 1)

    async def test_a_dead_letter_is_kept_but_never_due(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        claimed = await claim(storage)
        async with storage.begin() as uow:
            assert await uow.outbox.bury(claimed, at=NOW, error="550 no such mailbox") is True
            assert await uow.outbox.release(claimed) is False
        async with storage.begin() as uow:
            assert await uow.outbox.has_due(at=NOW + 99 * HOUR) is False
            assert await uow.outbox.claim(lease_id="m", at=NOW + 99 * HOUR, lease=HOUR) is None
            assert await uow.outbox.oldest() is None
            assert await uow.outbox.purge(before=NOW, limit=10) == 0
            assert await uow.outbox.purge(before=NOW + MICROSECOND, limit=10) == 1
            assert await uow.outbox.purge(before=NOW + MICROSECOND, limit=10) == 0

    async def test_the_oldest_waiting_intent_is_told(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("late"), new_intent("early", at=NOW - HOUR))
        assert (await claim(storage)).intent.id == "early"  # and it waits as long as it is not settled
        async with storage.read() as uow:
            assert await uow.outbox.oldest() == NOW - HOUR

    async def test_only_dead_letters_are_purged(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("claimed"), new_intent("waiting", at=NOW + SECOND))
        claimed = await claim(storage)
        async with storage.begin() as uow:
            assert await uow.outbox.purge(before=NOW + 99 * HOUR, limit=10) == 0
            assert await uow.outbox.settle(claimed) is True
            assert await uow.outbox.oldest() == NOW + SECOND

    async def test_webhooks_that_nobody_takes_any_more_are_purged(self, storage: Storage) -> None:
        await put_intents(
            storage,
            new_intent("mail"),
            new_webhook("due"),
            new_webhook("claimed", queue="webhook:b"),
            new_webhook("later", at=NOW + SECOND),
        )
        claimed = await claim(storage, queue="webhook:b")
        async with storage.begin() as uow:
            assert await uow.outbox.purge(before=NOW, limit=10) == 0
            assert await uow.outbox.purge(before=NOW + SECOND, limit=10) == 1
            assert await uow.outbox.find("due") is None
            assert await uow.outbox.settle(claimed) is True
            assert await uow.outbox.purge(before=NOW + 99 * HOUR, limit=10) == 1
            assert await uow.outbox.find("mail") is not None

    async def test_no_more_dead_letters_are_purged_at_once_than_was_said(self, storage: Storage) -> None:
        await put_intents(storage, *(new_intent(str(number)) for number in range(5)))
        claims = [await claim(storage) for _ in range(5)]
        async with storage.begin() as uow:
            for claimed in claims:
                await uow.outbox.bury(claimed, at=NOW, error="")
        async with storage.begin() as uow:
            purged = [await uow.outbox.purge(before=NOW + SECOND, limit=3) for _ in range(3)]
        assert purged == [3, 2, 0]

    async def test_a_webhook_is_claimed_as_it_was_put(self, storage: Storage) -> None:
        await put_intents(storage, new_webhook())
        claimed = await claim(storage, "lease", queue=new_webhook().queue)
        assert (claimed.intent, claimed.lease_id, claimed.attempts) == (new_webhook(), "lease", 1)

    async def test_webhooks_of_one_kind_stay_apart(self, storage: Storage) -> None:
        await put_intents(storage, new_webhook("first"), new_webhook("second"))
        claims = [await claim(storage, queue=new_webhook().queue) for _ in range(2)]
        assert {claimed.intent.id for claimed in claims} == {"first", "second"}

    async def test_a_queue_is_not_aware_of_the_others(self, storage: Storage) -> None:
        in_a, in_b = new_webhook("a", at=NOW - HOUR), new_webhook("b", queue="webhook:b")
        async with storage.begin() as uow:
            await uow.outbox.put(in_a)
            assert await uow.outbox.has_due(at=NOW) is False
            assert await uow.outbox.has_due(at=NOW, queue=in_b.queue) is False
            assert await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR) is None
            assert await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR, queue=in_b.queue) is None
            await uow.outbox.put(in_b)
            await uow.outbox.put(new_intent("mail"))
            oldest = [await uow.outbox.oldest(queue=queue) for queue in (in_a.queue, in_b.queue)]
            assert oldest == [NOW - HOUR, NOW]
            assert await uow.outbox.oldest() == NOW
        for queue, intent in ((MAIL, "mail"), (in_b.queue, "b"), (in_a.queue, "a")):
            assert (await claim(storage, queue=queue)).intent.id == intent

    async def test_how_much_there_is_in_each_queue_is_told(self, storage: Storage) -> None:
        async with storage.read() as uow:
            assert await uow.outbox.backlog() == ()
        await put_intents(storage, *(new_intent(name, at=NOW - HOUR) for name in "abc"), new_intent("d"))
        await put_intents(storage, new_webhook(), new_webhook("dead", queue="webhook:b"))
        dead, leased = await claim(storage, queue="webhook:b"), await claim(storage)
        async with storage.begin() as uow:
            await uow.outbox.bury(dead, at=NOW, error="410")
        async with storage.read() as uow:
            assert await uow.outbox.backlog() == (
                Backlog(queue=MAIL, waiting=4, dead=0, oldest=leased.intent.created_at),
                Backlog(queue="webhook:a", waiting=1, dead=0, oldest=NOW),
                Backlog(queue="webhook:b", waiting=0, dead=1, oldest=None),
            )

    async def test_an_erased_account_leaves_its_webhooks_to_be_sent(self, storage: Storage) -> None:
        user = await add_user(storage)
        await put_intents(storage, replace(new_webhook(), user_id=user.id))
        async with storage.begin() as uow:
            assert await uow.users.erase(user) is True
        assert (await claim(storage, queue=new_webhook().queue)).intent.user_id == user.id
