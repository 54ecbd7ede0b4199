"""What administrators see: accounts by the beginning of a name, the audit log, and the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from identity.application.letters import Letter
from identity.domain.events import (
    OPERATOR,
    AccountDisabled,
    Actor,
    Event,
    LoggedIn,
    NumberedEvent,
    UserRegistered,
)
from identity.domain.names import EmailAddress, Username
from identity.domain.session import Client
from identity.domain.user import User
from identity.domain.user_search import Cursor
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND, new_intent
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_user,
    all_at_once,
    assert_one_won,
    claim,
    put_intents,
)

# What a database might take for a wildcard, sort in its own way, or hold to be equal; and what comes last.
BEGINNINGS = (
    "",
    "a",
    "ab",
    "b",
    "s",
    "ss",
    "é",
    "%",
    "_",
    "a%",
    "a_",
    "\\",
    "'",
    "字",
    "a\uffff",
    "🦊",
    "\U0010ffff",
)
NAMES = tuple(f"{beginning}{end}" for beginning in BEGINNINGS for end in ("1", "2"))
NOT_THERE = ("c", "abc", "Z", "e", "a\U0010ffff", "x" * 300)
EIGHT = 8


class AdministrationBehaviour(StorageTests):
    async def test_accounts_are_found_by_the_beginning_of_a_key_and_no_other_way(
        self, storage: Storage
    ) -> None:
        users = await _people(storage)
        for prefix in (*BEGINNINGS, *NOT_THERE, "A", "ß", "É", "a1@", "1@EXAMPLE"):
            async with storage.read() as uow:
                page = await uow.users.search(prefix, after=None, limit=1000)
            assert list(page.users) == _expected(users, prefix), prefix
            assert page.next is None

    async def test_pages_of_any_length_have_every_account_once_and_in_order(self, storage: Storage) -> None:
        users = await _people(storage)
        for prefix in ("", "a", "s", "a\uffff", "\U0010ffff", *NOT_THERE):
            for limit in (1, 2, 7):
                assert await _paged(storage, prefix, limit) == _expected(users, prefix), (prefix, limit)

    async def test_an_account_is_shown_at_the_lesser_of_two_keys_whichever_page_the_other_is_on(
        self, storage: Storage
    ) -> None:
        late = await add_user(storage, "az", email="aa@example.org")
        early = await add_user(storage, "ab", email="ay@example.org")
        middle = await add_user(storage, "ac", email="zz@example.org")
        for limit in (1, 2, 3, 4, 5):
            assert await _paged(storage, "a", limit) == [late, early, middle]

    async def test_whoever_comes_or_goes_between_two_pages_moves_nobody_else(self, storage: Storage) -> None:
        ann, bob, carol = [await add_user(storage, name) for name in ("ann", "bob", "carol")]
        async with storage.read() as uow:
            first = await uow.users.search("", after=None, limit=2)
        assert first.users == (ann, bob)
        async with storage.begin() as uow:
            assert await uow.users.erase(bob)
        await add_user(storage, "abe")
        async with storage.read() as uow:
            second = await uow.users.search("", after=first.next, limit=2)
        assert second.users == (carol,)

    async def test_a_place_that_nobody_has_is_as_good_as_any(self, storage: Storage) -> None:
        ann = await add_user(storage, "ann")
        async with storage.read() as uow:
            search = uow.users.search
            assert (await search("", after=Cursor("", "email"), limit=9)).users == (ann,)
            assert (await search("", after=Cursor("ann", "username"), limit=9)).users == ()
            assert (await search("an", after=Cursor("\U0010ffff" * 254, "username"), limit=9)).users == ()

    async def test_the_audit_log_is_read_by_all_that_is_asked_for_the_latest_noted_first(
        self, storage: Storage
    ) -> None:
        client = Client(address="192.0.2.7", user_agent="Mozilla", request_id="0123456789abcdef")
        events: list[Event] = [
            UserRegistered(at=NOW, user_id=1),
            LoggedIn(at=NOW + HOUR, user_id=1, session_id="s", client=client),
            LoggedIn(at=NOW + SECOND, user_id=2),
            AccountDisabled(at=NOW + SECOND, user_id=1, actor=Actor.administrator(2)),
            UserRegistered(at=NOW, actor=OPERATOR),
        ]
        async with storage.begin() as uow:
            for event in events:
                await uow.audit_log.append(event)
        everything = await _found(storage)
        assert [each.event for each in everything] == events[::-1]
        assert everything[3].event.client.request_id == client.request_id
        ids = [each.id for each in everything]
        assert ids == sorted(set(ids), reverse=True)
        questions: list[tuple[dict[str, Any], tuple[int, ...]]] = [
            ({"user_id": 1}, (1, 3, 4)),
            ({"user_id": 3}, ()),
            ({"kind": "LoggedIn"}, (2, 3)),
            ({"kind": "loggedin"}, ()),
            ({"since": NOW + SECOND}, (1, 2, 3)),
            ({"since": NOW + SECOND + MICROSECOND}, (3,)),
            ({"until": NOW + SECOND}, (0, 4)),
            ({"until": NOW + SECOND + MICROSECOND}, (0, 1, 2, 4)),
            ({"before": ids[0]}, (1, 2, 3, 4)),
            ({"before": ids[-1]}, ()),
            ({"limit": 2}, (0, 1)),
            ({"before": ids[1], "limit": 2}, (2, 3)),
            ({"user_id": 1, "kind": "LoggedIn", "since": NOW + HOUR, "before": ids[2]}, (3,)),
            ({"user_id": 2, "kind": "UserRegistered"}, ()),
        ]
        for asked, expected in questions:
            assert await _found(storage, **asked) == tuple(everything[number] for number in expected), asked

    async def test_letters_are_listed_as_they_wait_or_died_and_of_each_only_its_envelope(
        self, storage: Storage
    ) -> None:
        notice = replace(
            new_intent("c"), user_id=7, email_key=None, values={"address": "192.0.2.7", "to": "x@example.org"}
        )
        await put_intents(storage, new_intent("a"), notice, new_intent("b", at=NOW - HOUR))
        await _bury(storage, {"b": NOW + SECOND})
        async with storage.read() as uow:
            waiting = await uow.outbox.letters(dead=False, after=None, limit=9)
            dead = await uow.outbox.letters(dead=True, after=None, limit=9)
            found = [await uow.outbox.find(each) for each in ("a", "b", "c", "d")]
        a = Letter(
            id="a",
            kind="password_reset",
            created_at=NOW,
            user_id=None,
            email_key="a@example.org",
            due_at=NOW,
            attempts=0,
            error=None,
            dead_at=None,
        )
        b = replace(
            a,
            id="b",
            email_key="b@example.org",
            created_at=NOW - HOUR,
            due_at=NOW - HOUR,
            attempts=1,
            error="no such mailbox",
            dead_at=NOW + SECOND,
        )
        c = replace(a, id="c", user_id=7, email_key=None)
        assert waiting == (a, c)
        assert dead == (b,)
        assert found == [a, b, c, None]

    async def test_pages_of_letters_go_on_where_the_one_before_ended(self, storage: Storage) -> None:
        moments = {"a": 2, "b": 0, "c": 1, "d": 0, "e": 2, "f": 1, "g": 1}
        waiting = sorted(moments, key=lambda each: (moments[each], each))
        await put_intents(
            storage, *(new_intent(each, at=NOW + number * MICROSECOND) for each, number in moments.items())
        )
        for limit in (1, 2, 3):
            assert await _letters(storage, dead=False, limit=limit) == waiting
        deaths = {each: NOW + (2 - number) * MICROSECOND for each, number in moments.items()}
        await _bury(storage, deaths)
        for limit in (1, 2, 3):
            assert await _letters(storage, dead=True, limit=limit) == sorted(
                deaths, key=lambda each: (deaths[each], each)
            )
            assert await _letters(storage, dead=False, limit=limit) == []

    async def test_a_dead_letter_that_is_retried_is_as_one_that_was_never_tried(
        self, storage: Storage
    ) -> None:
        await put_intents(storage, new_intent("a"), new_intent("b"))
        await _bury(storage, {"a": NOW, "b": NOW})
        async with storage.begin() as uow:
            assert await uow.outbox.retry("a", at=NOW + HOUR) is True
            assert await uow.outbox.has_due(at=NOW + HOUR - MICROSECOND) is False
            claimed = await uow.outbox.claim(lease_id="l", at=NOW + HOUR, lease=HOUR)
            assert claimed is not None
            assert (claimed.intent, claimed.attempts) == (new_intent("a"), 1)
            assert await uow.outbox.claim(lease_id="l", at=NOW + HOUR, lease=HOUR) is None

    async def test_only_a_dead_letter_is_retried(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("a"), new_intent("b", at=NOW + HOUR))
        claimed = await claim(storage)
        async with storage.begin() as uow:
            for each in ("a", "b", "c"):
                assert await uow.outbox.retry(each, at=NOW) is False
            assert await uow.outbox.settle(claimed) is True  # the lease is still this one's
            assert await uow.outbox.has_due(at=NOW) is False

    async def test_one_of_eight_who_retry_a_letter_does(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("a"))
        await _bury(storage, {"a": NOW})

        async def retry(_: int) -> bool:
            async with storage.begin() as uow:
                return await uow.outbox.retry("a", at=NOW)

        assert_one_won(await all_at_once(EIGHT, retry))


async def _people(storage: Storage) -> list[User]:
    """Each has the address that begins as the name of somebody else does."""
    return [
        await add_user(storage, name, email=f"{other}@example.org")
        for name, other in zip(NAMES, reversed(NAMES), strict=True)
    ]


def _expected(users: Sequence[User], prefix: str) -> list[User]:
    if not prefix:
        return sorted(users, key=lambda user: user.username.key)
    found = []
    for user in users:
        keys = [
            (user.username.key, Username(prefix).key),
            (user.email.key, EmailAddress(prefix).key),
        ]
        matching = [key for key, beginning in keys if key.startswith(beginning)]
        if matching:
            found.append((min(matching), user))
    return [user for _, user in sorted(found, key=lambda pair: pair[0])]


async def _paged(storage: Storage, prefix: str, limit: int) -> list[User]:
    found: list[User] = []
    after: Cursor | None = None
    async with storage.read() as uow:
        for _ in range(2 * len(NAMES) + 1):  # which is more than there are keys
            page = await uow.users.search(prefix, after=after, limit=limit)
            assert len(page.users) <= limit
            found += page.users
            if page.next is None:
                return found
            assert after is None or page.next > after
            after = page.next
    raise AssertionError("there is always another page")


async def _found(storage: Storage, **asked: Any) -> tuple[NumberedEvent, ...]:
    async with storage.read() as uow:
        return await uow.audit_log.find(**{"limit": 9, **asked})


async def _letters(storage: Storage, *, dead: bool, limit: int) -> list[str]:
    ids: list[str] = []
    after = None
    async with storage.read() as uow:
        while page := await uow.outbox.letters(dead=dead, after=after, limit=limit):
            assert len(page) <= limit
            ids += [letter.id for letter in page]
            after = page[-1].place
    return ids


async def _bury(storage: Storage, deaths: dict[str, datetime]) -> None:
    """Those that wait and are named, each at its time; the others wait on."""
    for _ in deaths:
        async with storage.begin() as uow:
            claimed = await uow.outbox.claim(lease_id="l", at=NOW + SECOND, lease=HOUR)
            assert claimed is not None
            at = deaths[claimed.intent.id]
            assert await uow.outbox.bury(claimed, at=at, error="no such mailbox") is True
