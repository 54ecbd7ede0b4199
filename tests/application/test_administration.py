"""What administrators see: accounts and the search for them, the audit log, and the outbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.application.world import BROWSER, IDLE, World

from identity.application.administration import SHOWN_WITH_AN_ACCOUNT
from identity.application.letters import LetterPlace
from identity.application.sessions import Principal
from identity.domain.errors import AccountNotFound, DeadLetterNotFound, InvalidInput, MailRefused
from identity.domain.events import OPERATOR, Actor
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import NO_PASSWORD
from identity.domain.user import NewUser, User
from identity.domain.user_search import EMAIL, USERNAME, Cursor
from identity.testing.samples import NOW

HOSTILE = ("\0", "a\0b", "\ud800")


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def root(world: World) -> Principal:
    return await world.superuser("root")


async def names(world: World, search: str = "") -> list[str]:
    page = await world.search_users(search=search)
    return [user.username.value for user in page.users]


class TestTheSearch:
    async def test_finds_by_the_beginning_of_a_username_or_an_address_whatever_its_case(
        self, world: World
    ) -> None:
        for name, email in [
            ("ann", "x@example.com"),
            ("Bob", "Anna@example.com"),
            ("carol", "z@example.com"),
        ]:
            await world.registered(name, email)
        assert await names(world) == ["ann", "Bob", "carol"]
        assert await names(world, "AN") == ["ann", "Bob"]
        assert await names(world, " anna@ ") == ["Bob"]
        assert await names(world, "n") == []

    @pytest.mark.parametrize("wildcard", ["%", "_", "*", "a%", "\\", "'", '"; DROP TABLE users; --'])
    async def test_has_no_wildcards(self, world: World, alice: User, wildcard: str) -> None:
        assert await names(world, wildcard) == []

    @pytest.mark.parametrize("text", ["x" * 300, "🦊", "\U0010ffff", "a\U0010ffff"])
    async def test_of_what_no_name_can_be_finds_nothing(self, world: World, alice: User, text: str) -> None:
        assert await names(world, text) == []

    @pytest.mark.parametrize("text", HOSTILE)
    async def test_of_control_characters_is_refused(self, world: World, alice: User, text: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            await world.search_users(search=text)
        assert refused.value.fields == {"search": ("Null characters are not allowed.",)}

    @pytest.mark.parametrize("cursor", ["x", "%", "é", "AA", "x" * 5000, "dXNlcm5hbWU6YQ=", *HOSTILE])
    async def test_refuses_a_cursor_that_it_did_not_hand_out(self, world: World, cursor: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            await world.search_users(after=cursor)
        assert refused.value.fields == {"after": ("Invalid cursor.",)}

    async def test_goes_on_where_the_page_before_ended(self, world: World) -> None:
        for name in ("ann", "bob", "carol"):
            await world.registered(name)
        first = await world.search_users(limit=2)
        assert [user.username.value for user in first.users] == ["ann", "bob"]
        assert first.next is not None
        second = await world.search_users(limit=2, after=str(first.next))
        assert [user.username.value for user in second.users] == ["carol"]
        assert second.next is None


class TestCursors:
    @given(
        st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=254),
        st.sampled_from([USERNAME, EMAIL]),
    )
    def test_come_back_as_they_were_handed_out(self, key: str, kind: str) -> None:
        text = str(Cursor(key, kind))
        assert text.isascii()
        assert Cursor.parse(text) == Cursor(key, kind)

    @given(st.text(max_size=100))
    def test_are_nothing_else(self, text: str) -> None:
        cursor = Cursor.parse(text)
        assert cursor is None or str(cursor) == text
        place = LetterPlace.parse(text)
        assert place is None or str(place) == text

    def test_of_letters_come_back_as_they_were_handed_out(self) -> None:
        place = LetterPlace(NOW, "0f" * 16)
        assert LetterPlace.parse(str(place)) == place

    @pytest.mark.parametrize(
        "text", ["", "-", "20260102T030405.678901-", "20260102T030405.678901-a b", "x-a"]
    )
    def test_of_letters_are_nothing_else(self, text: str) -> None:
        assert LetterPlace.parse(text) is None


class TestFindingAnAccount:
    async def test_by_its_id_its_username_or_its_address(self, world: World, alice: User) -> None:
        for name in (str(alice.id), "ALICE", " alice ", "Alice@Example.com"):
            assert await world.find_user(name=name) == alice

    async def test_digits_are_an_id_and_never_a_name(self, world: World, alice: User) -> None:
        await world.registered("4711")
        with pytest.raises(AccountNotFound):
            await world.find_user(name="4711")

    @pytest.mark.parametrize("name", ["", "bob", "bob@example.com", "0", "9" * 30, "²", "x" * 300, *HOSTILE])
    async def test_that_is_not_there_is_refused(self, world: World, alice: User, name: str) -> None:
        with pytest.raises(AccountNotFound):
            await world.find_user(name=name)


class TestAnAccount:
    async def test_is_shown_with_its_sessions_and_events(self, world: World, alice: User) -> None:
        await world.logged_in("alice")
        world.clock.advance(IDLE)
        await world.logged_in("alice")
        details = await world.show_user(user_id=alice.id)
        new, old = details.sessions
        assert details.live == {new.id}
        assert old.created_at < new.created_at
        assert [each.event.kind for each in details.events] == ["LoggedIn", "LoggedIn", "UserRegistered"]
        assert {each.event.user_id for each in details.events} == {alice.id}

    async def test_that_is_disabled_has_no_live_session(self, world: World, alice: User) -> None:
        await world.logged_in("alice")
        await world.disable(alice)  # without an end to its sessions
        assert (await world.show_user(user_id=alice.id)).live == frozenset()

    async def test_is_shown_with_no_more_than_the_latest(self, world: World, alice: User) -> None:
        for _ in range(SHOWN_WITH_AN_ACCOUNT + 2):
            await world.logged_in("alice")
            world.clock.advance(timedelta(seconds=1))
        details = await world.show_user(user_id=alice.id)
        assert len(details.sessions) == len(details.events) == SHOWN_WITH_AN_ACCOUNT
        assert details.events[-1].event.kind == "LoggedIn"

    async def test_that_is_not_there_is_refused(self, world: World) -> None:
        with pytest.raises(AccountNotFound):
            await world.show_user(user_id=1)


class TestTheAuditLog:
    async def test_is_read_by_account_kind_and_time_the_latest_first(self, world: World, alice: User) -> None:
        await world.registered("bob")
        world.clock.advance(timedelta(hours=1))
        later = world.clock.now()
        await world.logged_in("alice")
        everything = await world.read_audit_log()
        assert [each.event.kind for each in everything] == ["LoggedIn", "UserRegistered", "UserRegistered"]
        of_alice = await world.read_audit_log(user_id=alice.id)
        assert [each.event.kind for each in of_alice] == ["LoggedIn", "UserRegistered"]
        assert await world.read_audit_log(kind="LoggedIn") == everything[:1]
        assert await world.read_audit_log(since=later) == everything[:1]
        assert await world.read_audit_log(until=later) == everything[1:]
        assert await world.read_audit_log(before=everything[1].id) == everything[2:]
        assert await world.read_audit_log(limit=2) == everything[:2]

    @pytest.mark.parametrize("kind", ["loggedin", "LoggedIn ", "x" * 300, *HOSTILE])
    async def test_of_a_kind_that_there_is_not_is_refused(self, world: World, kind: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            await world.read_audit_log(kind=kind)
        assert refused.value.fields == {"kind": ("There is no such kind of event.",)}


class TestTheOutbox:
    async def test_shows_what_waits_and_what_was_given_up(self, world: World, alice: User) -> None:
        letter = await given_up(world)
        await world.request_reset(email="nobody@example.com")
        (waiting,) = (await world.list_outbox(dead=False)).letters
        (dead,) = (await world.list_outbox(dead=True)).letters
        assert (waiting.email_key, waiting.attempts, waiting.error) == ("nobody@example.com", 0, None)
        assert (dead.id, dead.email_key, dead.attempts) == (letter, "alice@example.com", 1)
        assert dead.error == "no such mailbox"

    async def test_goes_on_where_the_page_before_ended(self, world: World) -> None:
        for number in range(5):
            await world.request_reset(email=f"{number}@example.com")
        seen, after = [], None
        for _ in range(3):
            page = await world.list_outbox(dead=False, after=after, limit=2)
            seen += [each.email_key for each in page.letters]
            after = str(page.next)
        assert sorted(map(str, seen)) == [f"{number}@example.com" for number in range(5)]
        assert page.next is None

    async def test_refuses_a_cursor_that_it_did_not_hand_out(self, world: World) -> None:
        with pytest.raises(InvalidInput):
            await world.list_outbox(dead=True, after="x")


class TestTryingALetterAgain:
    async def test_sends_it_and_says_who_had_it_sent(
        self, world: World, alice: User, root: Principal
    ) -> None:
        letter = await given_up(world)
        again = await world.retry_letter(by=root, letter_id=letter, client=BROWSER)
        assert (again.id, again.dead_at, again.attempts) == (letter, None, 0)
        assert again == (await world.list_outbox(dead=False)).letters[0]
        assert [mail.to for mail in await world.delivered()] == [alice.email]
        event = world.storage.events[-1]
        assert (event.kind, event.user_id, event.client) == ("LetterRetried", alice.id, BROWSER)
        assert event.actor == Actor.administrator(root.user.id)

    async def test_twice_is_refused_the_second_time(self, world: World, alice: User) -> None:
        letter = await given_up(world)
        await world.retry_letter(by=OPERATOR, letter_id=letter)
        before = world.state()
        with pytest.raises(DeadLetterNotFound):
            await world.retry_letter(by=OPERATOR, letter_id=letter)
        assert world.state() == before

    @pytest.mark.parametrize("letter", ["", "0" * 32, "x" * 300, *HOSTILE])
    async def test_that_is_not_there_is_refused(self, world: World, alice: User, letter: str) -> None:
        await given_up(world)
        with pytest.raises(DeadLetterNotFound):
            await world.retry_letter(by=OPERATOR, letter_id=letter)

    async def test_that_waits_is_refused(self, world: World, alice: User) -> None:
        await world.request_reset(email="alice@example.com")
        (waiting,) = (await world.list_outbox(dead=False)).letters
        with pytest.raises(DeadLetterNotFound):
            await world.retry_letter(by=OPERATOR, letter_id=waiting.id)

    async def test_sends_no_link_that_would_be_over(self, world: World, alice: User) -> None:
        letter = await given_up(world)
        world.clock.advance(timedelta(hours=2))
        await world.retry_letter(by=OPERATOR, letter_id=letter)
        assert await world.delivered() == []


async def given_up(world: World) -> str:
    """The id of a mail to Alice that the server refused."""

    async def refuse(_: object) -> None:
        raise MailRefused("no such mailbox")

    honest, world.mailer.before = world.mailer.before, refuse
    await world.request_reset(email="alice@example.com")
    await world.deliver_mail()
    world.mailer.before = honest
    (dead,) = (await world.list_outbox(dead=True)).letters
    return dead.id


# However names begin, and however long the pages are

NAMES = st.text(st.sampled_from("abAß_.é字\uffff🦊\U0010ffff"), min_size=1, max_size=4)


class TestPages:
    @given(
        people=st.lists(st.tuples(NAMES, NAMES), max_size=12),
        prefix=st.text(st.sampled_from("abAß_é字\uffff🦊\U0010ffff@"), max_size=3),
        limit=st.integers(1, 5),
    )
    async def test_have_everybody_once_and_in_order(
        self, people: list[tuple[str, str]], prefix: str, limit: int
    ) -> None:
        world = World()
        users = await added(world, people)
        found, after = [], None
        while True:
            page = await world.search_users(search=prefix, after=after, limit=limit)
            assert len(page.users) <= limit
            found += page.users
            if page.next is None:
                break
            after = str(page.next)
        assert found == expected(users, prefix)


async def added(world: World, people: list[tuple[str, str]]) -> list[User]:
    """Names that are taken already are left out."""
    users: list[User] = []
    async with world.storage.begin() as uow:
        for name, local_part in people:
            username, email = Username(name), EmailAddress(f"{local_part}@example.com")
            taken = {user.username.key for user in users}, {user.email.key for user in users}
            if username.key not in taken[0] and email.key not in taken[1]:
                new = NewUser(username=username, email=email, password_hash=NO_PASSWORD, joined_at=NOW)
                users.append(await uow.users.add(new))
    return users


def expected(users: list[User], prefix: str) -> list[User]:
    if not prefix:
        return sorted(users, key=lambda user: user.username.key)
    found = []
    for user in users:
        keys = [(user.username.key, Username(prefix).key), (user.email.key, EmailAddress(prefix).key)]
        matching = [key for key, wanted in keys if key.startswith(wanted)]
        if matching:
            found.append((min(matching), user))
    return [user for _, user in sorted(found, key=lambda pair: pair[0])]
