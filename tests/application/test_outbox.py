"""Turning the intents of the outbox into mail that has left the house."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.application.world import (
    BROWSER,
    NEW_PASSWORD,
    PASSWORD,
    RESET_LIFETIME,
    World,
    link_in,
)

from identity.application.courier import FIRST_DELAY, Outcome
from identity.application.letters import LEASE
from identity.application.mail import MailIntent, MailKind, Message, PasswordResetMail
from identity.application.outbox import MAIL_SCHEDULE
from identity.domain.errors import MailDeferred, MailRefused, OneTimeTokenRefused, TokenRefused
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.user import User

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def notice(world: World, alice: User) -> str:
    """A mail waits that never expires; its id."""
    await world.changed(await world.logged_in("alice"))
    (intent,) = world.storage.intents
    return intent.id


def always(error: BaseException) -> Callable[[Message], Any]:
    async def fails(_: Message) -> None:
        raise error

    return fails


def times(count: int, error: BaseException) -> Callable[[Message], Any]:
    left = [error] * count

    async def fails(_: Message) -> None:
        if left:
            raise left.pop()

    return fails


async def is_due(world: World, after: timedelta = timedelta()) -> bool:
    async with world.storage.read() as uow:
        return await uow.outbox.has_due(at=world.clock.now() + after)


async def is_waiting(world: World) -> bool:
    """Neither sent, nor a dead letter."""
    async with world.storage.read() as uow:
        return await uow.outbox.oldest() is not None


class PowerCut(BaseException):
    """Nothing of the worker runs after it."""


class TestDelivering:
    async def test_it_says_whether_there_was_a_mail(self, world: World, notice: str) -> None:
        assert await world.deliver_mail()
        assert not await world.deliver_mail()

    async def test_with_nothing_to_do_it_takes_no_lock(self, world: World) -> None:
        await world.deliver_mail()
        assert "begin" not in world.tap.calls

    async def test_the_oldest_goes_first_and_each_once(self, world: World) -> None:
        for name in ("carol", "alice", "bob"):
            await world.registered(name)
            world.clock.advance(timedelta(seconds=1))
            await world.request_reset(email=f"{name}@example.com")
        assert [str(mail.to) for mail in await world.delivered()] == [
            "carol@example.com",
            "alice@example.com",
            "bob@example.com",
        ]
        assert world.waiting == []

    async def test_a_message_bears_the_id_and_the_date_of_its_intent(self, world: World, notice: str) -> None:
        asked_at = world.clock.now()
        world.clock.advance(timedelta(minutes=3))
        (message,) = await world.delivered()
        assert (message.id, message.date) == (notice, asked_at)

    async def test_a_reset_mail_holds_a_link_that_works(self, world: World, alice: User) -> None:
        await world.request_reset(email="alice@example.com")
        (message,) = await world.delivered()
        link = link_in(message)
        assert link.token in message.html
        await world.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_the_token_lives_as_long_from_its_mail_not_from_the_request(
        self, world: World, alice: User
    ) -> None:
        await world.request_reset(email="alice@example.com")
        world.clock.advance(RESET_LIFETIME - TICK)
        (message,) = await world.delivered()
        world.clock.advance(RESET_LIFETIME - TICK)
        await world.reset_password(**link_in(message).with_password(NEW_PASSWORD))

    async def test_an_intent_that_is_older_than_its_tokens_lifetime_is_not_sent(
        self, world: World, alice: User
    ) -> None:
        await world.request_reset(email="alice@example.com")
        world.clock.advance(RESET_LIFETIME)
        assert await world.delivered() == []
        assert world.waiting == []
        assert not world.state().one_time_tokens

    async def test_a_notice_is_sent_however_late(self, world: World, notice: str) -> None:
        world.clock.advance(timedelta(days=30))
        assert len(await world.delivered()) == 1

    async def test_five_notices_of_a_kind_are_sent_to_an_account_in_a_day_and_the_others_dropped(
        self, world: World, alice: User
    ) -> None:
        passwords = [PASSWORD, NEW_PASSWORD] * 4
        sent = []
        for old, new in itertools.pairwise(passwords):
            await world.changed(await world.logged_in("alice", old), old, new)
            sent.append(len(await world.delivered()))
        assert sent == [1, 1, 1, 1, 1, 0, 0]
        assert world.waiting == []
        await world.registered("bob")
        await world.changed(await world.logged_in("bob"))
        assert len(await world.delivered()) == 1
        world.clock.advance(timedelta(days=1))
        await world.changed(await world.logged_in("alice", NEW_PASSWORD), NEW_PASSWORD, PASSWORD)
        assert len(await world.delivered()) == 1

    async def test_a_notice_that_has_to_wait_counts_once(self, world: World, alice: User) -> None:
        world.mailer.before = times(MAIL_SCHEDULE.attempts - 1, MailDeferred("try later"))
        await world.changed(await world.logged_in("alice"))
        for _ in range(MAIL_SCHEDULE.attempts):
            await world.deliver_mail()
            world.clock.advance(MAIL_SCHEDULE.longest_delay)
        assert len(world.mailer.sent) == 1
        await world.changed(await world.logged_in("alice", NEW_PASSWORD), NEW_PASSWORD, PASSWORD)
        assert len(await world.delivered()) == 1

    async def test_no_mail_is_sent_inside_a_transaction(self, world: World, notice: str) -> None:
        """Law 4. Somebody else can write while the mail server takes its time."""

        async def somebody_writes(_: Message) -> None:
            async with asyncio.timeout(1):
                await world.registered("bob")

        world.mailer.before = somebody_writes
        assert len(await world.delivered()) == 1

    async def test_two_kinds_of_mail_to_one_reader_are_two(self, world: World, notice: str) -> None:
        pair = await world.logged_in("alice", NEW_PASSWORD)
        await world.refreshed(await world.refreshed(pair))
        world.clock.advance(timedelta(hours=1))
        with pytest.raises(TokenRefused):
            await world.refreshed(pair)
        await world.request_reset(email="alice@example.com")
        assert sorted(world.waiting) == ["password_changed", "password_reset", "session_reused"]
        assert len({message.subject for message in await world.delivered()}) == 3

    async def test_two_workers_never_send_one_intent(self, world: World) -> None:
        for number in range(10):
            await world.registered(f"user{number}")
            await world.request_reset(email=f"user{number}@example.com")

        async def takes_its_time(_: Message) -> None:
            await asyncio.sleep(0)

        world.mailer.before = takes_its_time
        await asyncio.gather(*(world.delivered() for _ in range(5)))
        assert sorted(str(mail.to) for mail in world.mailer.sent) == [
            f"user{n}@example.com" for n in range(10)
        ]

    async def test_a_worker_that_was_not_first_has_nothing_to_send(self, world: World, notice: str) -> None:
        world.tap.answer_once("outbox.claim", None)
        assert not await world.deliver_mail()
        assert world.mailer.sent == []

    async def test_a_request_that_comes_during_a_send_is_kept(self, world: World, alice: User) -> None:
        await world.request_reset(email="alice@example.com")

        async def asks_again(_: Message) -> None:
            world.mailer.before = times(0, OSError())
            await world.request_reset(email="alice@example.com")

        world.mailer.before = asks_again
        assert len(await world.delivered()) == 2


class TestADeferral:
    async def test_backs_off_twice_as_long_each_time_with_jitter_and_up_to_an_hour(
        self, world: World, notice: str
    ) -> None:
        world.mailer.before = always(MailDeferred("421 try later"))
        for attempt in range(1, MAIL_SCHEDULE.attempts):
            assert await world.deliver_mail()
            longest = min(FIRST_DELAY * 2 ** (attempt - 1), MAIL_SCHEDULE.longest_delay)
            assert not await is_due(world, longest / 2 - TICK)
            assert await is_due(world, longest)
            world.clock.advance(longest)
        assert (timedelta(seconds=30), timedelta(hours=1)) == (
            FIRST_DELAY,
            MAIL_SCHEDULE.longest_delay,
        )

    async def test_jitters(self, world: World, alice: User) -> None:
        """Mail that was put off together does not come back together."""
        world.mailer.before = always(MailDeferred("421 try later"))
        for number in range(20):
            await world.registered(f"user{number}")
            await world.request_reset(email=f"user{number}@example.com")
        await world.delivered()
        assert len({queued.due_at for queued in world.state().outbox.values()}) == 20

    async def test_makes_a_dead_letter_of_it_after_the_twelfth_try(self, world: World, notice: str) -> None:
        tries = []

        async def later(message: Message) -> None:
            tries.append(message.id)
            raise MailDeferred("421 try later")

        world.mailer.before = later
        for _ in range(12):
            assert await is_waiting(world)
            assert await world.deliver_mail()
            world.clock.advance(MAIL_SCHEDULE.longest_delay)
        assert tries == [notice] * 12
        assert not await is_waiting(world)
        assert world.waiting == ["password_changed"]  # for people to look at
        assert not await is_due(world, timedelta(days=1000))

    async def test_is_forgotten_once_it_worked(self, world: World, notice: str) -> None:
        world.mailer.before = times(3, MailDeferred("421 try later"))
        for _ in range(4):
            await world.delivered()
            world.clock.advance(MAIL_SCHEDULE.longest_delay)
        assert [message.id for message in world.mailer.sent] == [notice]
        assert world.waiting == []

    @pytest.mark.parametrize(
        "error",
        [OSError("connection reset"), TimeoutError(), ValueError("a bug"), ExceptionGroup("", [OSError()])],
    )
    async def test_is_what_every_unexpected_error_amounts_to(
        self, error: Exception, world: World, notice: str
    ) -> None:
        world.mailer.before = times(1, error)
        assert await world.deliver_mail()
        assert not await is_due(world)
        world.clock.advance(FIRST_DELAY)
        assert len(await world.delivered()) == 1

    async def test_is_also_what_a_broken_template_amounts_to(self, world: World, notice: str) -> None:
        world.tap.fail_once("renderer.render", RuntimeError("somebody mends it"))
        assert await world.delivered() == []
        world.clock.advance(FIRST_DELAY)
        assert len(await world.delivered()) == 1

    async def test_of_a_reset_is_tried_again_only_while_its_token_would_live(
        self, world: World, alice: User
    ) -> None:
        await world.request_reset(email="alice@example.com")
        world.mailer.before = times(3, MailDeferred("421 try later"))
        for _ in range(4):
            await world.delivered()
            world.clock.advance(timedelta(minutes=20))
        assert world.mailer.sent == []
        assert world.waiting == []


class TestARefusal:
    async def test_makes_a_dead_letter_of_it_at_once(self, world: World, notice: str) -> None:
        world.mailer.before = always(MailRefused("550 no such mailbox"))
        assert await world.deliver_mail()
        assert not await is_waiting(world)
        assert not await is_due(world, timedelta(days=1000))
        assert world.waiting == ["password_changed"]

    async def test_is_kept_with_its_reason(self, world: World, notice: str) -> None:
        world.mailer.before = always(MailRefused("550 no such mailbox"))
        await world.deliver_mail()
        (letter,) = world.state().outbox.values()
        assert letter.error == "550 no such mailbox"

    async def test_does_not_keep_the_next_mail_to_the_same_reader_from_being_sent(
        self, world: World, alice: User
    ) -> None:
        await world.request_reset(email="alice@example.com")
        world.mailer.before = always(MailRefused("550 no such mailbox"))
        await world.delivered()
        world.mailer.before = times(0, OSError())
        await world.reset_link()


class TestOnePoisonMessage:
    @pytest.mark.parametrize(
        "error",
        [MailDeferred("421"), MailRefused("550"), OSError(), UnicodeEncodeError("ascii", "é", 0, 1, "no")],
    )
    async def test_holds_up_nobody(self, error: Exception, world: World) -> None:
        for name in ("mallory", "alice", "bob"):
            await world.registered(name)
            await world.request_reset(email=f"{name}@example.com")

        async def chokes(message: Message) -> None:
            if message.to.local_part == "mallory":
                raise error

        world.mailer.before = chokes
        for _ in range(4):
            await world.delivered()
            world.clock.advance(timedelta(minutes=1))
        assert [str(mail.to) for mail in world.mailer.sent] == ["alice@example.com", "bob@example.com"]


class TestAMailServerThatStalls:
    async def test_is_given_up_before_the_lease_lapses(
        self, world: World, notice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("identity.application.courier.SENDING_LIMIT", timedelta(milliseconds=10))

        async def stalls(_: Message) -> None:
            await asyncio.sleep(3600)

        world.mailer.before = stalls
        assert await asyncio.wait_for(world.deliver_mail(), timeout=10)
        assert not await is_due(world)
        assert await is_waiting(world)

    async def test_is_given_up_before_another_worker_may_take_the_mail(
        self, world: World, notice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = asyncio.get_running_loop()
        real_time, passed = loop.time, timedelta()
        monkeypatch.setattr(loop, "time", lambda: real_time() + passed.total_seconds())

        async def takes_almost_as_long_as_the_lease(_: Message) -> None:
            nonlocal passed
            passed = LEASE - timedelta(seconds=1)
            world.clock.advance(passed)
            assert not await is_due(world)
            await asyncio.sleep(0.5)  # a send that is not given up would succeed now

        world.mailer.before = takes_almost_as_long_as_the_lease
        assert await world.deliver_mail() is Outcome.DEFERRED
        assert world.mailer.sent == []
        assert not await is_due(world)


class TestAWorkerThatDies:
    async def test_holds_its_mail_until_the_lease_lapses_and_no_longer(
        self, world: World, notice: str
    ) -> None:
        world.mailer.before = times(1, PowerCut())
        with pytest.raises(PowerCut):
            await world.deliver_mail()
        assert not await is_due(world, LEASE - TICK)
        assert await world.delivered() == []
        world.clock.advance(LEASE)
        (message,) = await world.delivered()
        assert message.id == notice

    async def test_after_the_server_took_the_mail_causes_one_more_copy_with_the_same_id(
        self, world: World, notice: str
    ) -> None:
        world.mailer.after = times(1, PowerCut())
        with pytest.raises(PowerCut):
            await world.deliver_mail()
        world.clock.advance(LEASE)
        await world.delivered()
        assert [message.id for message in world.mailer.sent] == [notice, notice]

    async def test_before_it_could_settle_likewise(self, world: World, notice: str) -> None:
        world.tap.fail_once("outbox.settle", OSError("the database is gone"))
        with pytest.raises(OSError, match="gone"):
            await world.deliver_mail()
        world.clock.advance(LEASE)
        await world.delivered()
        assert [message.id for message in world.mailer.sent] == [notice, notice]

    async def test_counts_as_a_try_so_that_a_mail_that_kills_every_worker_ends_as_a_dead_letter(
        self, world: World, notice: str
    ) -> None:
        world.mailer.before = always(PowerCut())
        for _ in range(MAIL_SCHEDULE.attempts):
            with pytest.raises(PowerCut):
                await world.deliver_mail()
            world.clock.advance(LEASE)
        assert await world.deliver_mail()
        assert not await is_waiting(world)
        assert world.waiting == ["password_changed"]  # for people to look at

    async def test_and_comes_back_after_another_took_over_does_not_settle_for_it(
        self, world: World, notice: str
    ) -> None:
        """A worker that was asleep for longer than its lease."""

        async def another_takes_over(_: Message) -> None:
            world.clock.advance(LEASE)
            world.mailer.before = always(MailDeferred("421 try later"))
            assert await world.deliver_mail()

        world.mailer.before = another_takes_over
        await world.deliver_mail()
        assert await is_waiting(world)  # the other's postponement stands


class TestADeliveryThatIsCancelled:
    async def _cancelled(self, world: World) -> None:
        started = asyncio.Event()

        async def stalls(_: Message) -> None:
            started.set()
            await asyncio.Event().wait()

        world.mailer.before = stalls
        delivery = asyncio.create_task(world.deliver_mail())
        await started.wait()
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery
        world.mailer.before = times(0, OSError())

    async def test_gives_its_lease_back_at_once(self, world: World, notice: str) -> None:
        await self._cancelled(world)
        assert await is_due(world)
        (message,) = await world.delivered()
        assert message.id == notice

    async def test_keeps_its_lease_once_the_mail_has_left(self, world: World, notice: str) -> None:
        """Given back, it would be due at once, and the mail would leave again."""
        world.tap.fail_once("outbox.settle", asyncio.CancelledError())  # type: ignore[arg-type]
        with pytest.raises(asyncio.CancelledError):
            await world.deliver_mail()
        assert [mail.id for mail in world.mailer.sent] == [notice]
        assert not await is_due(world)
        world.clock.advance(LEASE)
        assert await is_due(world)

    async def test_does_not_count_as_a_try(self, world: World, notice: str) -> None:
        for _ in range(MAIL_SCHEDULE.attempts + 3):
            await self._cancelled(world)
        world.mailer.before = times(1, MailDeferred("421 try later"))
        await world.delivered()
        world.clock.advance(FIRST_DELAY)
        assert len(await world.delivered()) == 1


class TestARetryOfAResetMail:
    async def test_holds_a_fresh_token_and_the_earlier_one_still_works(
        self, world: World, alice: User
    ) -> None:
        """The connection broke after the server had taken the mail: its reader has it, and we do not know."""
        await world.request_reset(email="alice@example.com")
        world.mailer.after = times(1, MailDeferred("connection lost"))
        await world.delivered()
        world.clock.advance(FIRST_DELAY)
        await world.delivered()
        first, second = world.mailer.sent
        assert first.id == second.id
        assert link_in(first).token != link_in(second).token
        await world.reset_password(**link_in(first).with_password(NEW_PASSWORD))
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link_in(second).with_password(NEW_PASSWORD))

    async def test_after_the_account_was_disabled_is_not_sent(self, world: World, alice: User) -> None:
        await world.request_reset(email="alice@example.com")
        world.mailer.before = times(1, MailDeferred("421 try later"))
        await world.delivered()
        await world.disable(alice)
        world.clock.advance(FIRST_DELAY)
        assert await world.delivered() == []
        assert world.waiting == []


class TestAtMostFiveResetMailsADay:
    async def _ask(self, world: World, email: str = "alice@example.com") -> int:
        await world.request_reset(email=email)
        return len(await world.delivered())

    async def test_the_sixth_is_not_sent_and_nobody_is_told(self, world: World, alice: User) -> None:
        assert [await self._ask(world) for _ in range(50)] == [1] * 5 + [0] * 45
        assert world.waiting == []

    async def test_however_the_address_is_written(self, world: World, alice: User) -> None:
        addresses = ["alice@example.com", "ALICE@example.com", "Alice@Example.Com"] * 3
        assert sum([await self._ask(world, address) for address in addresses]) == 5

    async def test_a_day_after_the_first_there_is_room_for_one_more(self, world: World, alice: User) -> None:
        for _ in range(5):
            await self._ask(world)
            world.clock.advance(timedelta(hours=1))
        world.clock.advance(timedelta(hours=19) - TICK)
        assert await self._ask(world) == 0
        world.clock.advance(TICK)
        assert await self._ask(world) == 1
        assert await self._ask(world) == 0

    async def test_each_account_has_its_own(self, world: World, alice: User) -> None:
        await world.registered("bob")
        for _ in range(6):
            await self._ask(world)
        assert await self._ask(world, "bob@example.com") == 1

    async def test_retries_of_one_mail_do_not_count(self, world: World, alice: User) -> None:
        sent = 0
        for _ in range(6):
            await world.request_reset(email="alice@example.com")
            world.mailer.before = times(4, MailDeferred("421 try later"))
            for _ in range(5):
                sent += len(await world.delivered())
                world.clock.advance(timedelta(minutes=8))
        assert sent == 5

    async def test_the_last_of_them_may_be_retried(self, world: World, alice: User) -> None:
        for _ in range(4):
            await self._ask(world)
        world.mailer.before = times(2, MailDeferred("421 try later"))
        sent = await self._ask(world)
        for _ in range(2):
            world.clock.advance(timedelta(minutes=2))
            sent += len(await world.delivered())
        assert sent == 1

    async def test_a_reset_in_between_does_not_start_the_count_anew(self, world: World, alice: User) -> None:
        for _ in range(4):
            await self._ask(world)
        link = await world.reset_link()
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        await world.delivered()
        assert await self._ask(world) == 0

    async def test_mail_that_never_left_does_not_count(self, world: World, alice: User) -> None:
        world.mailer.before = always(MailRefused("550 mailbox full"))
        for _ in range(7):
            assert await self._ask(world) == 0
        world.mailer.before = times(0, OSError())
        world.clock.advance(LEASE)
        assert [await self._ask(world) for _ in range(6)] == [1] * 5 + [0]

    async def test_mail_that_is_just_leaving_does(self, world: World, alice: User) -> None:
        for _ in range(4):
            await self._ask(world)

        async def meanwhile_another_worker_has_another(_: Message) -> None:
            world.mailer.before = times(0, OSError())
            assert await self._ask(world) == 0

        world.mailer.before = meanwhile_another_worker_has_another
        assert await self._ask(world) == 1

    async def test_notices_are_not_counted(self, world: World, alice: User) -> None:
        for _ in range(6):
            await self._ask(world)
        await world.changed(await world.logged_in("alice"))
        assert len(await world.delivered()) == 1


class TestWhoIsWrittenTo:
    async def put(self, world: World, user: User, *, to: EmailAddress | None = None) -> None:
        async with world.storage.begin() as uow:
            await uow.outbox.put(
                MailIntent.about(
                    user.id,
                    MailKind.PASSWORD_CHANGED,
                    id=f"{to} {len(world.storage.intents)}",
                    at=world.clock.now(),
                    to=to,
                )
            )

    async def test_the_address_that_the_intent_names_if_it_is_another(
        self, world: World, alice: User
    ) -> None:
        await self.put(world, alice, to=EmailAddress("Former@example.com"))
        (mail,) = await world.delivered()
        assert mail.to.value == "Former@example.com"
        assert "alice" in mail.text

    async def test_each_address_once(self, world: World, alice: User) -> None:
        one, other = EmailAddress("one@example.com"), EmailAddress("other@example.com")
        for to in (None, one, other, EmailAddress("ONE@example.com"), None):
            await self.put(world, alice, to=to)
        written_to = sorted(mail.to.value for mail in await world.delivered())
        assert written_to == ["alice@example.com", "one@example.com", "other@example.com"]

    async def test_nobody_whose_account_awaits_its_erasure(self, world: World, alice: User) -> None:
        await self.put(world, alice)
        await world.request_reset(email="alice@example.com")
        async with world.storage.begin() as uow:
            await uow.users.save(dataclasses.replace(alice, erasure_due_at=world.clock.now() + 14 * DAY))
        assert await world.delivered() == []
        assert world.waiting == []


class TestNoSecretIsAtRest:
    async def test_neither_password_nor_token_is_in_an_intent_an_event_a_log_or_a_repr(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        await world.registered("alice")
        pair = await world.logged_in("alice")
        fresh = await world.refreshed(pair)
        await world.changed(fresh)
        link = await world.reset_link()
        principal = await world.principal(fresh)
        world.mailer.after = times(1, MailDeferred("421 try later"))
        await world.request_reset(email="alice@example.com")
        await world.delivered()
        other = link_in(world.mailer.sent[-1])
        await world.reset_password(**link.with_password(Secret("newpassword123")))

        shown = "\n".join(
            map(
                repr,
                [
                    world.state(),
                    world.storage.intents,
                    world.storage.events,
                    world.mailer.sent,
                    principal,
                    pair,
                    link_mail(),
                ],
            )
        )
        for secret in (
            "yourpassword123",
            NEW_PASSWORD.reveal(),
            "newpassword123",
            pair.access,
            pair.refresh,
            fresh.access,
            fresh.refresh,
            link.token,
            other.token,
            "canary",
        ):
            assert secret not in shown
            assert secret not in caplog.text
        assert "421 try later" in caplog.text

    async def test_every_column_of_the_storage_included(self, world: World, alice: User) -> None:
        """Not only what a repr would show."""
        link = await world.reset_link()
        await world.logged_in("alice")
        stored = everything_in(world.state())
        assert alice.username.value in stored
        assert link.token not in stored
        assert "yourpassword123" not in stored


def link_mail() -> PasswordResetMail:
    return PasswordResetMail(
        to=EmailAddress("alice@example.com"),
        username=Username("alice"),
        link=Secret("https://app.example.org/canary"),
        expires_in=RESET_LIFETIME,
    )


def everything_in(value: Any) -> str:
    """Every text in it, also where a repr leaves it out."""
    if dataclasses.is_dataclass(value):
        return "\n".join(everything_in(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return "\n".join(everything_in(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return "\n".join(map(everything_in, value))
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class TestWhatAMailSays:
    async def test_where_the_request_came_from(self, world: World, notice: str) -> None:
        (message,) = await world.delivered()
        assert BROWSER.address in message.text

    async def test_a_client_that_is_not_known_is_no_obstacle(self, world: World, alice: User) -> None:
        link = await world.reset_link()
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert len(await world.delivered()) == 1
