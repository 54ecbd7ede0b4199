"""Opening an account."""

from __future__ import annotations

import asyncio

import pytest
from tests.application.world import BROWSER, COMMON_PASSWORD, NEW_PASSWORD, PASSWORD, World

from identity.domain.errors import EmailTaken, InvalidInput, LoginRefused, UsernameTaken
from identity.domain.events import OPERATOR, SuperuserCreated, UserRegistered
from identity.domain.secrets import Secret
from identity.domain.user import User

BLANK = "This field may not be blank."
NUL = "Null characters are not allowed."
CHARACTERS = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
SYNTAX = "Enter a valid email address."
USERNAME_TAKEN = "A user with that username already exists."
EMAIL_TAKEN = "A user with that email already exists."
TOO_SHORT = "This password is too short. It must contain at least 8 characters."
TOO_COMMON = "This password is too common."
ALL_DIGITS = "This password is entirely numeric."
LIKE_USERNAME = "The password is too similar to the username."
LIKE_EMAIL = "The password is too similar to the email address."


async def refusal(
    world: World, username: str = "alice", email: str = "alice@example.com", password: Secret = PASSWORD
) -> dict[str, tuple[str, ...]]:
    before = world.state()
    with pytest.raises(InvalidInput) as refused:
        await world.register_user(username=username, email=email, password=password)
    assert world.state() == before
    return refused.value.fields


class TestAnAccountIsOpened:
    async def test_with_its_names_as_they_were_typed(self, world: World) -> None:
        user = await world.register_user(
            username=" Alice ", email=" Alice@Example.COM ", password=PASSWORD, client=BROWSER
        )
        assert (user.username.value, user.email.value) == ("Alice", "Alice@Example.COM")
        assert user.joined_at == user.password_changed_at == world.clock.now()
        assert (user.last_login_at, user.superuser_since, user.disabled_at) == (None, None, None)
        assert user == await world.stored_user("alice")

    async def test_and_its_owner_can_log_in(self, world: World) -> None:
        await world.registered()
        await world.logged_in()

    async def test_with_a_hash_in_place_of_the_password(self, world: World) -> None:
        user = await world.registered()
        assert PASSWORD.reveal() not in user.password_hash
        assert await world.hasher.verify(PASSWORD, user.password_hash)

    async def test_and_the_audit_log_tells_who_what_when_and_where(self, world: World) -> None:
        user = await world.register_user(
            username="alice", email="alice@example.com", password=PASSWORD, client=BROWSER
        )
        expected = UserRegistered(at=world.clock.now(), user_id=user.id, client=BROWSER)
        assert world.storage.events == (expected,)

    async def test_and_no_mail_is_sent(self, world: World) -> None:
        await world.registered()
        assert world.waiting == []

    async def test_an_operator_may_open_one_with_every_permission(self, world: World) -> None:
        root = await world.register_user(
            username="root", email="root@example.com", password=PASSWORD, superuser=True
        )
        assert root.superuser_since == world.clock.now()
        assert world.storage.events == (
            SuperuserCreated(at=world.clock.now(), user_id=root.id, actor=OPERATOR),
        )

    async def test_the_username_may_be_the_accounts_own_address(self, world: World) -> None:
        user = await world.registered("Alice@Example.com", "alice@example.COM")
        assert user.username.value == "Alice@Example.com"
        await world.logged_in("ALICE@EXAMPLE.COM")

    async def test_an_id_is_never_given_twice(self, world: World) -> None:
        first = await world.registered("alice")
        world.tap.fail_once("audit_log.append", OSError("disk full"))
        with pytest.raises(OSError, match="disk full"):
            await world.registered("bob")
        assert (await world.registered("carol")).id not in {first.id, first.id + 1}


class TestARefusalNamesEveryField:
    async def test_all_three_at_once(self, world: World) -> None:
        assert await refusal(world, "", "", Secret("")) == {
            "username": (BLANK,),
            "email": (BLANK,),
            "password": (BLANK,),
        }

    async def test_with_all_that_is_wrong_with_the_password(self, world: World) -> None:
        assert await refusal(world, "12345", "12345@example.com", Secret("12345")) == {
            "password": (TOO_SHORT, ALL_DIGITS, LIKE_USERNAME, LIKE_EMAIL)
        }

    @pytest.mark.parametrize(
        ("username", "message"),
        [
            (" ", BLANK),
            ("a b", CHARACTERS),
            ("a\0b", NUL),
            ("x" * 151, "Ensure this field has no more than 150 characters."),
            ("\u202eecila", CHARACTERS),
            ("al\u200bice", CHARACTERS),
        ],
    )
    async def test_the_username(self, username: str, message: str, world: World) -> None:
        assert await refusal(world, username=username) == {"username": (message,)}

    @pytest.mark.parametrize(
        ("email", "message"),
        [
            (" ", BLANK),
            ("alice", SYNTAX),
            ("a@x.com,b@y.com", SYNTAX),
            ("a@x.com\r\nBcc: b@y.com", NUL),
            ('"alice"@example.com', SYNTAX),
            ("a@[127.0.0.1]", SYNTAX),
            (
                f"a@{'d' * 62}.{'d' * 62}.{'d' * 62}.{'d' * 60}.com",
                "Ensure this field has no more than 254 characters.",
            ),
        ],
    )
    async def test_the_address(self, email: str, message: str, world: World) -> None:
        assert await refusal(world, email=email) == {"email": (message,)}

    @pytest.mark.parametrize(
        ("password", "messages"),
        [
            ("short", (TOO_SHORT,)),
            ("😀" * 7, (TOO_SHORT,)),
            (COMMON_PASSWORD.reveal(), (TOO_COMMON,)),
            (COMMON_PASSWORD.reveal().upper(), (TOO_COMMON,)),
            ("12345678", (TOO_COMMON, ALL_DIGITS)),
            ("xAlIcEx!", (LIKE_USERNAME, LIKE_EMAIL)),
            ("with\0null", (NUL,)),
            ("x" * 1_000_000, ("Ensure this field has no more than 256 characters.",)),
        ],
    )
    async def test_the_password(self, password: str, messages: tuple[str, ...], world: World) -> None:
        assert await refusal(world, password=Secret(password)) == {"password": messages}

    async def test_a_name_that_is_malformed_is_not_compared_with_the_password(self, world: World) -> None:
        assert await refusal(world, "not a name", "nor an address", Secret("not a name")) == {
            "username": (CHARACTERS,),
            "email": (SYNTAX,),
        }

    async def test_a_username_that_is_somebody_elses_address_or_nobodys(self, world: World) -> None:
        await world.registered("bob")
        await world.registered("carol@example.com", "carol@example.com")
        assert await refusal(world, username="bob@example.com") == {"username": (CHARACTERS,)}
        assert await refusal(world, username="carol@example.com") == {"username": (CHARACTERS,)}
        assert await refusal(world, username="a@b") == {"username": (CHARACTERS,)}
        assert await refusal(world, username="alice@example.com", email="not an address") == {
            "username": (CHARACTERS,),
            "email": (SYNTAX,),
        }

    async def test_nothing_is_hashed_for_it(self, world: World) -> None:
        await refusal(world, password=Secret("short"))
        assert "hasher.hash" not in world.tap.calls


class TestNamesAreUnique:
    @pytest.mark.parametrize("username", ["alice", "ALICE", "Alice", "ａｌｉｃｅ", " alice "])
    async def test_a_username_in_any_case_or_width(self, username: str, world: World) -> None:
        await world.registered("Alice")
        assert await refusal(world, username, "other@example.com") == {"username": (USERNAME_TAKEN,)}

    @pytest.mark.parametrize("email", ["alice@example.com", "ALICE@EXAMPLE.COM", " alice@Example.com "])
    async def test_an_address_in_any_case(self, email: str, world: World) -> None:
        await world.registered("alice", "Alice@example.com")
        assert await refusal(world, "other", email) == {"email": (EMAIL_TAKEN,)}

    async def test_both_taken_are_told_at_once_and_so_is_what_else_is_wrong(self, world: World) -> None:
        await world.registered("alice")
        await world.registered("bob")
        assert await refusal(world, "alice", "bob@example.com", Secret("short")) == {
            "username": (USERNAME_TAKEN,),
            "email": (EMAIL_TAKEN,),
            "password": (TOO_SHORT,),
        }

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("mike@example.com", "mıke@example.com"),
            ("strasse@example.com", "straße@example.com"),
            ("admin@example.com", "ádmin@example.com"),
        ],
    )
    async def test_addresses_that_only_resemble_each_other_are_two(
        self, one: str, other: str, world: World
    ) -> None:
        assert (await world.registered("one", one)).id != (await world.registered("other", other)).id

    @pytest.mark.parametrize(
        ("meanwhile", "refused", "field"),
        [
            (("alice", "first@example.com"), UsernameTaken, "username"),
            (("first", "alice@example.com"), EmailTaken, "email"),
        ],
    )
    async def test_the_constraint_decides_where_the_question_came_too_early(
        self, meanwhile: tuple[str, str], refused: type[InvalidInput], field: str, world: World
    ) -> None:
        world.hasher.while_hashing = lambda: world.registered(*meanwhile)
        with pytest.raises(refused) as refusal:
            await world.registered("alice", "alice@example.com")
        assert list(refusal.value.fields) == [field]
        assert world.happened == ["UserRegistered"]
        assert await world.stored_user(meanwhile[0])

    async def test_of_twenty_at_once_one_gets_the_name(self, world: World) -> None:
        results = await asyncio.gather(
            *(
                world.registered(name, f"{number}@example.com")
                for number, name in enumerate(["alice", "ALICE"] * 10)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, User) for result in results) == 1
        assert {type(result) for result in results if not isinstance(result, User)} <= {
            UsernameTaken,
            InvalidInput,
        }
        assert world.happened == ["UserRegistered"]

    async def test_of_twenty_at_once_one_gets_the_address(self, world: World) -> None:
        results = await asyncio.gather(
            *(world.registered(f"user{number}", "alice@example.com") for number in range(20)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, User) for result in results) == 1
        assert world.happened == ["UserRegistered"]


class TestJudgingWithoutOpening:
    """What the command line asks for one field after the other."""

    async def test_what_is_not_given_is_not_judged(self, world: World) -> None:
        assert await world.register_user.judge_registration() == {}
        assert await world.register_user.judge_registration(username="alice") == {}
        assert await world.register_user.judge_registration(email="nonsense") == {"email": (SYNTAX,)}
        assert await world.register_user.judge_registration(password=Secret("short")) == {
            "password": (TOO_SHORT,)
        }

    async def test_nothing_is_stored(self, world: World) -> None:
        before = world.state()
        await world.register_user.judge_registration(
            username="alice", email="alice@example.com", password=PASSWORD
        )
        assert world.state() == before


class TestARegistrationNeverTakesAnAccountOver:
    async def test_the_first_owner_keeps_the_password(self, world: World) -> None:
        await world.registered()
        with pytest.raises(InvalidInput):
            await world.register_user(username="ALICE", email="alice@example.com", password=NEW_PASSWORD)
        await world.logged_in("alice", PASSWORD)
        with pytest.raises(LoginRefused):
            await world.logged_in("alice", NEW_PASSWORD)
