"""Telling other systems what happened: who is told of what, how it is signed, and what if nobody takes it."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.application.faults import FaultyWorld
from tests.application.scenarios import SCENARIOS
from tests.application.test_every_call_fails_once import outcome
from tests.application.world import BROWSER, NEW_PASSWORD, PASSWORD, WRONG_PASSWORD, World

from identity.adapters.memory import SeededRandomness
from identity.adapters.sql.schema import outbox
from identity.application.courier import FIRST_DELAY, Outcome
from identity.application.letters import WebhookIntent
from identity.application.ports import UnitOfWork
from identity.application.webhooks import WEBHOOK_SCHEDULE, AnnounceEvents, DeliverWebhook
from identity.domain.errors import (
    DeliveryDeferred,
    DeliveryRefused,
    InvalidInput,
    LoginRefused,
    NotPermitted,
)
from identity.domain.events import OPERATOR, KeyAdded, LoggedIn, vocabulary
from identity.domain.session import Client
from identity.domain.webhook import Endpoint, SigningSecret, Webhook, body_of, trial_body

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET, BEFORE = SigningSecret(key=b"k" * 32), SigningSecret(key=b"b" * 32)
ALL = Endpoint(url="https://all.example/hooks", secrets=(SECRET,))
LOGINS = Endpoint(
    url="https://logins.example/hooks?token=t",
    kinds=frozenset({"LoggedIn", "LoginRefused"}),
    secrets=(SECRET,),
)


@pytest.fixture
def world() -> World:
    return World(endpoints=(ALL, LOGINS))


def kinds(webhooks: list[Webhook], endpoint: Endpoint = ALL) -> list[str]:
    return [json.loads(each.body)["type"] for each in webhooks if each.url == endpoint.url]


async def letters(world: World, *, dead: bool) -> list[Any]:
    async with world.storage.read() as uow:
        found = await uow.outbox.letters(dead=dead, after=None, limit=1000)
    return [letter for letter in found if letter.queue != "mail"]


def deliver(world: World, endpoint: Endpoint) -> DeliverWebhook:
    (found,) = [each for each in world.deliver_webhooks if each.endpoint == endpoint]
    return found


# --- the signature --------------------------------------------------------------------------------------


def test_a_signature_is_that_of_the_specification_s_example() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    webhook = Webhook.signed(
        url=ALL.url,
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
        by=[SigningSecret(key=key)],
    )
    assert webhook.headers == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_revealed_as_receivers_libraries_want_it() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert SigningSecret(key=key).reveal() == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_neither_a_secret_nor_a_url_shows_itself() -> None:
    assert "kkk" not in repr(SECRET)
    shown = repr(LOGINS) + repr(Webhook.signed(url=LOGINS.url, id="i", at=NOON, body=b"body", by=[SECRET]))
    for hidden in ("kkk", "logins.example", "token=t", "body'"):
        assert hidden not in shown


# --- what is said ---------------------------------------------------------------------------------------


async def test_a_webhook_says_this_and_no_more(world: World) -> None:
    await world.registered("alice")
    await world.announced()
    world.clock.at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    client = dataclasses.replace(BROWSER, request_id="5f0c61f2ab2be4d1")
    await world.log_in(username="alice", password=PASSWORD, client=client)
    session = world.storage.events[-1].session_id
    told, again = await world.announced()
    assert told.body.decode() == (
        '{"type":"LoggedIn","timestamp":"2026-01-02T03:04:05.678901Z","data":{"user_id":1,"result":"done",'
        f'"actor":"owner","actor_id":null,"subject":"","session_id":"{session}",'
        '"request_id":"5f0c61f2ab2be4d1"}}'
    )
    assert (told.url, again.url, again.body) == (ALL.url, LOGINS.url, told.body)
    assert told.id != again.id  # each endpoint's own
    assert re.fullmatch("[0-9a-f]{32}", told.id)


def test_an_event_without_an_account_or_a_whole_second_is_told_in_the_same_form() -> None:
    event = KeyAdded(at=NOON, actor=OPERATOR, subject="k" * 32)
    assert body_of(event) == (
        '{"type":"KeyAdded","timestamp":"2026-01-01T12:00:00.000000Z","data":{"user_id":null,"result":"done",'
        f'"actor":"operator","actor_id":null,"subject":"{"k" * 32}","session_id":null,"request_id":""}}}}'
    )
    assert trial_body(NOON) == '{"type":"Test","timestamp":"2026-01-01T12:00:00.000000Z","data":{}}'


async def test_no_webhook_of_any_scenario_has_anything_personal_or_secret_and_every_kind_is_told() -> None:
    told: set[str] = set()
    for scenario in SCENARIOS:
        world = AnnouncingWorld()
        await world.registered("alice")
        await outcome(await scenario(world))
        queued = [each.intent for each in world.memory.committed().outbox.values()]
        said = [intent for intent in queued if isinstance(intent, WebhookIntent) and intent.body != "{}"]
        mailed = " ".join(mail.text for mail in world.mailer.sent).replace("/", " ").split()
        canaries = [
            *("alice", "bob", "root", "@", "example", "Mozilla", "Firefox", "192.0.2.7", "203.0.113.9"),
            *(secret.reveal() for secret in (PASSWORD, NEW_PASSWORD, WRONG_PASSWORD)),
            *(part for part in mailed if len(part) >= 40 or re.fullmatch(r"\d{4}", part)),
            *(user.password_hash for user in world.memory.committed().users.values() if user.password_hash),
        ]
        for intent in said:
            # A year is no code, and a number of four digits may stand in an id.
            text = re.sub(r'"timestamp":"[^"]*"|[0-9a-f]{32}', "", intent.body)
            assert not [canary for canary in canaries if canary in text], (scenario.__name__, intent.body)
            assert len(intent.body) < 1000
        told |= {intent.kind for intent in said}
    assert told == {
        kind for kind, event in vocabulary().items() if event.__module__ == "identity.domain.events"
    }


class AnnouncingWorld(FaultyWorld):
    """Every use case of the container, with an endpoint that wants to be told of all."""

    ids = SeededRandomness(1)

    def begin(self) -> Any:
        return AnnounceEvents(begin=self.memory.begin, endpoints=(ALL,), randomness=self.ids)()


def test_every_kind_and_every_queue_fits_into_the_outbox() -> None:
    columns = outbox.c
    assert max(map(len, vocabulary())) <= columns.kind.type.length
    assert {len(each.queue) for each in (ALL, LOGINS)} == {24}
    assert len(ALL.queue) <= columns.queue.type.length


# --- who is told ----------------------------------------------------------------------------------------


async def test_what_is_committed_is_told_to_each_endpoint_that_wants_its_kind(world: World) -> None:
    await world.registered("alice")
    with pytest.raises(LoginRefused):
        await world.logged_in("alice", WRONG_PASSWORD)
    world.clock.advance(timedelta(seconds=1))
    await world.logged_in("alice")
    sent = await world.announced()
    assert sorted(kinds(sent)) == ["LoggedIn", "LoginRefused", "UserRegistered"] == sorted(world.happened)
    assert sorted(kinds(sent, LOGINS)) == ["LoggedIn", "LoginRefused"]
    assert await world.announced() == []


async def test_what_is_rolled_back_is_told_to_nobody(world: World) -> None:
    await world.registered("alice")
    await world.announced()
    world.tap.fail_once("commit", RuntimeError("on fire"))
    with pytest.raises(RuntimeError):
        await world.registered("bob")
    with pytest.raises(InvalidInput):
        await world.registered("alice")
    assert await world.announced() == []
    assert await letters(world, dead=False) == []


async def test_whoever_cannot_be_told_of_it_does_not_have_it_done(world: World) -> None:
    """The event and its webhooks are committed together, or neither is."""
    state = world.state()
    broken = AnnounceEvents(
        begin=world.storage.begin,
        endpoints=(ALL, dataclasses.replace(LOGINS, kinds=frozenset())),
        randomness=_Fixed(),
    )
    with pytest.raises(Exception, match=r".*"):  # the second has the id of the first
        async with broken() as uow:
            await uow.audit_log.append(LoggedIn(at=NOON, user_id=1))
    assert world.state() == state


class _Fixed(SeededRandomness):
    def identifier(self) -> str:
        return "0" * 32


async def test_the_log_is_read_and_cleared_as_ever(world: World) -> None:
    await world.registered("alice")
    await world.logged_in("alice")
    announce = AnnounceEvents(begin=world.storage.begin, endpoints=(ALL,), randomness=SeededRandomness(2))
    async with announce() as uow:
        assert [each.kind for each in await uow.audit_log.of_user(1, limit=9)] == [
            "LoggedIn",
            "UserRegistered",
        ]
        assert [each.event.kind for each in await uow.audit_log.find(kind="LoggedIn", limit=9)] == [
            "LoggedIn"
        ]
        found = {"user_id": 1, "since": NOON, "until": NOON + timedelta(days=1), "before": 2, "limit": 9}
        assert [each.event.kind for each in await uow.audit_log.find(**found)] == ["UserRegistered"]
        await uow.audit_log.forget_clients(1)
    assert {event.client for event in world.storage.events} == {
        Client(request_id=event.client.request_id) for event in world.storage.events
    }


async def test_all_else_of_a_unit_of_work_is_the_storage_s_own(world: World) -> None:
    announce = AnnounceEvents(begin=world.storage.begin, endpoints=(ALL,), randomness=SeededRandomness(2))
    async with announce() as uow:
        assert isinstance(uow, UnitOfWork)
        with pytest.raises(RuntimeError):  # nor can it be nested
            async with announce():
                pass


# --- delivering -----------------------------------------------------------------------------------------


async def test_a_receiver_verifies_it_and_its_timestamp_is_of_the_attempt(world: World) -> None:
    await world.registered("alice")
    world.webhooks.answers[ALL.url] = 503
    first, second = deliver(world, ALL), timedelta(minutes=7)
    assert await first() is Outcome.DEFERRED
    world.clock.advance(second)
    world.webhooks.answers[ALL.url] = 200
    assert await first() is Outcome.SENT
    attempts = world.webhooks.sent
    assert len({each.id for each in attempts}) == len({each.body for each in attempts}) == 1
    assert [each.at for each in attempts] == [NOON, NOON + second]
    assert attempts[0].signatures != attempts[1].signatures
    for each in attempts:
        assert each.headers["webhook-timestamp"] == str(int(each.at.timestamp()))
        assert each.signatures == SECRET.signature(id=each.id, at=each.at, body=each.body)


async def test_while_the_service_s_secret_is_changed_both_sign(world: World) -> None:
    both = dataclasses.replace(ALL, secrets=(SECRET, BEFORE))
    await world.registered("alice")
    await dataclasses.replace(deliver(world, ALL), endpoint=both)()
    (sent,) = world.webhooks.sent
    assert sent.signatures.split(" ") == [
        secret.signature(id=sent.id, at=sent.at, body=sent.body) for secret in (SECRET, BEFORE)
    ]


async def test_it_is_tried_again_ever_later_for_two_to_three_days_and_then_given_up(world: World) -> None:
    await world.registered("alice")
    world.webhooks.answers[ALL.url] = 500
    tries, rests, began = deliver(world, ALL), [], world.clock.now()
    while await tries() is Outcome.DEFERRED:
        (letter,) = await letters(world, dead=False)
        assert await tries() is None  # not before its time
        rests.append(letter.due_at - world.clock.now())
        world.clock.at = letter.due_at
    assert len(world.webhooks.sent) == WEBHOOK_SCHEDULE.attempts == 16
    for number, rest in enumerate(rests):
        full = min(FIRST_DELAY * 2**number, timedelta(hours=12))
        assert full / 2 <= rest <= full
    at_most = sum((WEBHOOK_SCHEDULE.delay(number) for number in range(1, 16)), timedelta())
    assert timedelta(days=2) < at_most < timedelta(days=3)
    assert world.clock.now() - began <= at_most
    (dead,) = await letters(world, dead=True)
    assert (dead.kind, dead.queue, dead.attempts, dead.error) == (
        "UserRegistered",
        ALL.queue,
        16,
        "answered 500",
    )
    world.clock.advance(timedelta(days=9))
    assert await tries() is None


async def test_of_an_endpoint_that_is_gone_a_webhook_is_a_dead_letter_at_once(world: World) -> None:
    await world.registered("alice")
    world.webhooks.answers[ALL.url] = 410
    assert await deliver(world, ALL)() is Outcome.DEAD
    assert len(world.webhooks.sent) == 1
    (dead,) = await letters(world, dead=True)
    assert (dead.user_id, dead.email_key) == (1, None)


async def test_an_endpoint_that_is_away_holds_up_neither_mail_nor_another_endpoint(world: World) -> None:
    await world.registered("alice")
    world.webhooks.answers[ALL.url] = None
    for _ in range(5):
        await world.logged_in("alice")
        world.clock.advance(timedelta(seconds=1))
    await world.request_reset(email="alice@example.com")
    sent = await world.announced()
    assert (kinds(sent), kinds(sent, LOGINS)) == ([], ["LoggedIn"] * 5)
    assert len(await world.delivered()) == 1
    assert len(await letters(world, dead=False)) == 7


async def test_while_one_is_on_its_way_to_a_slow_endpoint_all_others_go_on(world: World) -> None:
    await world.registered("alice")
    await world.logged_in("alice")
    meanwhile: list[Any] = []

    class Slow:
        async def send(self, webhook: Webhook) -> None:
            if not meanwhile:
                meanwhile.append(None)
                meanwhile[0] = await deliver(world, LOGINS)(), await deliver(world, ALL)()

    slow = dataclasses.replace(deliver(world, ALL), sender=Slow())
    assert await slow() is Outcome.SENT
    assert meanwhile == [(Outcome.SENT, Outcome.SENT)]


async def test_whoever_waits_for_mail_gets_no_webhook_and_the_other_way_round(world: World) -> None:
    await world.registered("alice")
    assert await world.delivered() == []
    await world.announced()
    await world.request_reset(email="alice@example.com")
    assert kinds(await world.announced()) == ["ResetRequested"]
    assert world.waiting == ["password_reset"]


async def test_what_was_queued_for_an_endpoint_is_sent_after_its_kinds_have_changed(world: World) -> None:
    await world.registered("alice")
    narrower = dataclasses.replace(ALL, kinds=frozenset({"LoggedIn"}))
    assert narrower.queue == ALL.queue
    assert await dataclasses.replace(deliver(world, ALL), endpoint=narrower)() is Outcome.SENT


async def test_erasing_an_account_leaves_its_webhooks(world: World) -> None:
    user = await world.registered("alice")
    world.webhooks.answers[ALL.url] = 410
    await world.announced()
    world.webhooks.answers.clear()
    await world.logged_in("alice")
    await world.erase_user(by=OPERATOR, user_id=user.id)
    assert [each.kind for each in await letters(world, dead=True)] == ["UserRegistered"]
    sent = await world.announced()
    assert sorted(kinds(sent)) == ["AccountErased", "LoggedIn"]
    assert {json.loads(each.body)["data"]["user_id"] for each in sent} == {user.id}


# --- trying an endpoint ---------------------------------------------------------------------------------


async def test_an_endpoint_is_tried_without_the_outbox(world: World) -> None:
    state = world.state()
    await world.try_endpoint(LOGINS)
    (sent,) = world.webhooks.sent
    assert (sent.url, sent.body.decode()) == (LOGINS.url, trial_body(NOON))
    assert sent.signatures == SECRET.signature(id=sent.id, at=NOON, body=sent.body)
    assert world.state() == state


@pytest.mark.parametrize(("status", "error"), [(410, DeliveryRefused), (503, DeliveryDeferred)])
async def test_trying_an_endpoint_tells_why_it_was_not_received(
    world: World, status: int, error: type[Exception]
) -> None:
    world.webhooks.answers[ALL.url] = status
    with pytest.raises(error, match=str(status)):
        await world.try_endpoint(ALL)


# --- looking at them, and trying again ------------------------------------------------------------------


async def test_each_endpoint_is_shown_with_what_waits_and_is_dead_and_unknown_queues_after_them(
    world: World,
) -> None:
    await world.registered("alice")
    gone = Endpoint(url="https://gone.example/")
    async with world.storage.begin() as uow:
        intent = WebhookIntent(id="g" * 32, queue=gone.queue, kind="LoggedIn", created_at=NOON, body="{}")
        await uow.outbox.put(intent)
    await world.request_reset(email="alice@example.com")
    world.webhooks.answers[ALL.url] = 410
    await deliver(world, ALL)()
    shown = [
        (endpoint, each.queue, each.waiting, each.dead, each.oldest)
        for endpoint, each in await world.show_endpoints()
    ]
    assert shown == [
        (ALL, ALL.queue, 1, 1, NOON),
        (LOGINS, LOGINS.queue, 0, 0, None),
        (None, gone.queue, 1, 0, NOON),
    ]


@pytest.fixture
async def dead(world: World) -> World:
    """Three dead webhooks for ALL, two for LOGINS, and a dead mail."""
    await world.registered("alice")
    world.webhooks.answers |= {ALL.url: 410, LOGINS.url: 410}
    await world.logged_in("alice")
    world.clock.advance(timedelta(seconds=1))
    await world.logged_in("alice")
    await world.announced()
    world.webhooks.answers.clear()
    world.webhooks.sent.clear()
    async with world.storage.begin() as uow:
        for letter in await uow.outbox.letters(dead=False, after=None, limit=9):
            assert letter.queue == "mail"
    return world


async def test_the_dead_letters_of_these_endpoints_are_tried_again_and_each_leaves_an_event(
    dead: World,
) -> None:
    before = len(dead.storage.events)
    assert await dead.retry_webhooks(by=OPERATOR, endpoints=[ALL]) == 3
    retried = dead.storage.events[before:]
    assert [(event.kind, event.user_id, event.actor) for event in retried] == [
        ("LetterRetried", 1, OPERATOR)
    ] * 3
    assert [each.queue for each in await letters(dead, dead=True)] == [LOGINS.queue] * 2
    assert sorted(kinds(await dead.announced())) == sorted(
        ["UserRegistered", "LoggedIn", "LoggedIn", *["LetterRetried"] * 3]
    )


async def test_that_they_were_tried_again_is_told_once_and_leads_to_no_more(dead: World) -> None:
    await dead.retry_webhooks(by=OPERATOR, endpoints=[ALL, LOGINS])
    assert kinds(await dead.announced()).count("LetterRetried") == 5
    assert await dead.announced() == []
    assert await dead.retry_webhooks(by=OPERATOR, endpoints=[ALL, LOGINS]) == 0


async def test_webhooks_that_die_while_others_are_tried_again_do_not_make_it_endless(dead: World) -> None:
    """An endpoint that is still gone, with a server that delivers meanwhile."""
    dead.webhooks.answers[ALL.url] = 410
    tick = timedelta(seconds=1)

    async def retry_and_deliver(**how: Any) -> Any:
        answer = await dead.retry_letter(**how)
        dead.clock.advance(tick)
        await dead.announced()
        return answer

    retry = dataclasses.replace(dead.retry_webhooks, retry_letter=retry_and_deliver)
    assert await retry(by=OPERATOR, endpoints=[ALL]) == 3


async def test_what_another_has_tried_again_meanwhile_is_passed_over(dead: World) -> None:
    mine = await letters(dead, dead=True)
    other = next(each for each in mine if each.queue == ALL.queue)

    async def after_another(**how: Any) -> Any:
        if how["letter_id"] == other.id:
            await dead.retry_letter(**how)
        return await dead.retry_letter(**how)

    retry = dataclasses.replace(dead.retry_webhooks, retry_letter=after_another)
    assert await retry(by=OPERATOR, endpoints=[ALL]) == 2


async def test_more_than_a_page_of_them_are_tried_again(dead: World) -> None:
    async with dead.storage.begin() as uow:
        for number in range(230):
            queue = ALL.queue if number % 2 else LOGINS.queue
            intent = WebhookIntent(
                id=f"{number:032}", queue=queue, kind="LoggedIn", created_at=NOON, body="{}"
            )
            await uow.outbox.put(intent)
            claimed = await uow.outbox.claim(
                lease_id="l", at=dead.clock.now(), lease=timedelta(minutes=1), queue=queue
            )
            assert claimed
            await uow.outbox.bury(claimed, at=dead.clock.now(), error="x")
    assert await dead.retry_webhooks(by=OPERATOR, endpoints=[ALL]) == 115 + 3


async def test_mail_is_left_alone_and_so_is_what_nobody_asked_for(dead: World) -> None:
    await dead.request_reset(email="alice@example.com")
    async with dead.storage.begin() as uow:
        claimed = await uow.outbox.claim(lease_id="l", at=dead.clock.now(), lease=timedelta(minutes=1))
        assert claimed
        await uow.outbox.bury(claimed, at=dead.clock.now(), error="no such mailbox")
    assert await dead.retry_webhooks(by=OPERATOR, endpoints=[]) == 0
    await dead.retry_webhooks(by=OPERATOR, endpoints=[ALL, LOGINS])
    async with dead.storage.read() as uow:
        found = await uow.outbox.letters(dead=True, after=None, limit=9)
    assert [letter.queue for letter in found] == ["mail"]


async def test_only_superusers_and_operators_have_them_tried_again(dead: World) -> None:
    nobody = await dead.principal(await dead.logged_in("alice"))
    with pytest.raises(NotPermitted):
        await dead.retry_webhooks(by=nobody, endpoints=[ALL])
    assert len(await letters(dead, dead=True)) == 5
    assert await dead.retry_webhooks(by=await dead.superuser(), endpoints=[ALL]) == 3
