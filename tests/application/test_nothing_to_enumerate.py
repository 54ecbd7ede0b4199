"""Whoever names an account, a session or an address that is not there has the service do the same (AU-6).

Law 6, held on every path that takes an identifier: the port calls and the refusal are one, in one order.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.application.recording import recorded
from tests.application.world import (
    BROWSER,
    GRACE,
    IDLE,
    NEW_PASSWORD,
    PASSWORD,
    RESET_LIFETIME,
    WRONG_PASSWORD,
    LoginCode,
    ResetLink,
    Tap,
    World,
)

import identity.application
from identity.adapters.memory import MemoryTokens
from identity.application.composing import LINKS_A_DAY
from identity.application.email_change import UNDONE_WITHIN
from identity.application.login import LogIn
from identity.application.passwords import RequestReset
from identity.application.registration import RegisterBlindly
from identity.application.throttling import NOTICES_A_DAY
from identity.domain.errors import IdentityError, LoginRefused
from identity.domain.login_code import LIFETIME, MOST_TRIES
from identity.domain.names import EmailAddress
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.tokens import TokenPair
from identity.domain.user import User, user_reference

Acts = Mapping[str, Callable[[], Awaitable[Any]]]

NOT_FOR_EVERYBODY = {
    "FindUser",
    "FollowLink",
    "JudgeRegistration",
    "ListOutbox",
    "ReadAuditLog",
    "RequestLink",
    "RetireKey",
    "RetryLetter",
    "SearchUsers",
    "SignTokens",
    "ConfirmPassword",
    "VerifyPassword",
}
"""Use cases that nobody reaches from outside: identifiers come from operators, or from other use cases."""

NAMED_BY_A_SECRET = {"ConfirmLoginCode"}
"""What these are about is named by a secret alone, and is held all the same."""


# Each makes a world ready, and returns the acts that must be alike.


async def log_in_by_name(world: World) -> Acts:
    await populated(world)
    return attempts(
        world,
        unknown="nobody",
        wrong="alice",
        disabled="carol",
        never_used="dave",
        garbage="not a name!",
    ) | {"disabled, right password": lambda: world.log_in(username="carol", password=PASSWORD)}


async def log_in_by_address(world: World) -> Acts:
    await populated(world)
    return attempts(
        world,
        unknown="nobody@example.com",
        wrong="alice@example.com",
        disabled="carol@example.com",
        never_used="dave@example.com",
        garbage="not an address@",
    ) | {"disabled, right password": lambda: world.log_in(username="carol@example.com", password=PASSWORD)}


async def log_in_with_a_name_that_nobody_can_have(world: World) -> Acts:
    await populated(world)
    return attempts(
        world,
        unknown="no\0body",
        known="\x7falice",
        inside="alice\0@example.com",
        much="x" * 10_000,
        much_and_known="alice" + "x" * 10_000,
    )


async def log_in_with_an_endless_password(world: World) -> Acts:
    await populated(world)
    return attempts(world, Secret("x" * 1025), unknown="nobody", known="alice", disabled="carol")


async def register_with_a_name_that_is_taken(world: World) -> Acts:
    """That it is taken must be told, but not what became of the account."""
    await populated(world)
    return {
        name: lambda name=name: world.register_user(
            username=name, email="new@example.com", password=PASSWORD, client=BROWSER
        )
        for name in ("alice", "carol", "dave")
    }


async def register_with_an_address_that_is_taken(world: World) -> Acts:
    await populated(world)
    return {
        name: lambda name=name: world.register_user(
            username="newcomer", email=f"{name}@example.com", password=PASSWORD, client=BROWSER
        )
        for name in ("alice", "carol", "dave")
    }


async def log_in_where_addresses_have_to_be_verified(world: World) -> Acts:
    """Also with the right password, of which nobody may learn that it is."""
    acts = await log_in_by_name(world)
    for name in ("alice", "dave"):
        await verified(world, name)
    for name in ("erin", "waiting"):
        await world.registered(name)
    await world.request_verification(email="waiting@example.com")
    world.log_in = replace(world.log_in, requires_verification=True)
    return acts | {
        f"{name}, {kind} password": lambda name=name, password=password: world.log_in(
            username=name, password=password, client=BROWSER
        )
        for name in ("erin", "waiting")
        for kind, password in (("right", PASSWORD), ("wrong", WRONG_PASSWORD))
    }


async def register_where_addresses_have_to_be_verified(world: World) -> Acts:
    users = await populated(world)
    await verified(world, "alice")
    former = EmailAddress("former@example.com")
    async with world.storage.begin() as uow:
        await uow.reservations.hold(former, user_id=users["dave"].id, until=world.clock.now())
    return {
        name: lambda name=name: world.register_blindly(
            username="newcomer", email=f"{name}@example.com", password=PASSWORD, client=BROWSER
        )
        for name in ("free", "alice", "carol", "dave", "former")
    }


async def register_with_a_name_that_was_asked_for(world: World) -> Acts:
    """Whether or not that has opened an account; one of long ago is no different."""
    await populated(world)
    for name, email in (("opened", "free"), ("kept", "alice")):
        await world.register_blindly(username=name, email=f"{email}@example.com", password=PASSWORD)
    return {
        f"{name}, {email}": lambda name=name, email=email: world.register_blindly(
            username=name, email=f"{email}@example.com", password=PASSWORD, client=BROWSER
        )
        for name in ("opened", "kept", "dave")
        for email in ("new", "alice", "free")
    }


async def ask_for_another_link(world: World) -> Acts:
    await populated(world)
    await verified(world, "dave")
    await world.registered("waiting")
    await world.request_verification(email="waiting@example.com")
    return {
        name: lambda name=name: world.request_verification(email=f"{name}@example.com")
        for name in ("nobody", "alice", "carol", "dave", "waiting")
    }


async def verify_with_a_bad_link(world: World) -> Acts:
    users = await populated(world)
    spent = await verified(world, "alice")
    await world.request_verification(email="dave@example.com")
    daves = await world.verification_link()
    alice, carol = (user_reference(users[name].id) for name in ("alice", "carol"))
    links = {
        "unknown account": replace(daves, uidb64=user_reference(999)),
        "wrong token": ResetLink(uidb64=alice, token="wrong"),
        "disabled account": ResetLink(uidb64=carol, token="wrong"),
        "another's token": replace(daves, uidb64=alice),
        "spent token": spent,
    }
    return {name: lambda link=link: world.verified(link) for name, link in links.items()}


async def forget_a_password(world: World) -> Acts:
    """Also while a mail waits, while one is on its way, and when there were as many as may be in a day."""
    await populated(world)
    await world.registered("often")
    for _ in range(LINKS_A_DAY):
        await world.reset_link("often@example.com")
    for waiting in ("dave", "anybody"):
        await world.request_reset(email=f"{waiting}@example.com")
    return {
        name: lambda name=name: world.request_reset(email=f"{name}@example.com")
        for name in ("nobody", "alice", "carol", "dave", "anybody", "often")
    }


async def reset_with_a_bad_link(world: World) -> Acts:
    users = await populated(world)
    await world.registered("mary")
    expired = await world.reset_link("alice@example.com")
    world.clock.advance(RESET_LIFETIME)
    spent, marys = await world.reset_link("dave@example.com"), await world.reset_link("mary@example.com")
    await world.reset_password(**spent.with_password(NEW_PASSWORD))
    alice, carol = (user_reference(users[name].id) for name in ("alice", "carol"))
    links = {
        "unknown account": ResetLink(uidb64=user_reference(999), token="wrong"),
        "unknown account, real token": replace(marys, uidb64=user_reference(999)),
        "wrong token": ResetLink(uidb64=alice, token="wrong"),
        "disabled account": ResetLink(uidb64=carol, token="wrong"),
        "another's token": replace(marys, uidb64=alice),
        "expired token": expired,
        "spent token": spent,
    }
    return {name: _reset(world, link) for name, link in links.items()}


async def ask_for_an_address_that_is_taken(world: World) -> Acts:
    """Also one that is kept for another account; and what becomes of that account is not told either."""
    await populated(world)
    await world.registered("mary")
    await world.changed_email(await world.logged_in("mary"), "mary@example.net")
    principal = await world.principal(await world.logged_in("alice"))
    return {
        email: lambda email=email: world.request_email_change(
            principal=principal, new_email=email, password=PASSWORD, client=BROWSER
        )
        for email in (
            *("free@example.com", "dave@example.com", "carol@example.com"),
            *("mary@example.com", "mary@example.net"),
        )
    }


async def confirm_an_address_with_a_bad_link(world: World) -> Acts:
    return await bad_links(world, "confirm_email_change", World.confirmation_link)


async def undo_a_change_of_address_with_a_bad_link(world: World) -> Acts:
    return await bad_links(world, "undo_email_change", World.changed_email)


async def take_a_username_that_is_taken(world: World) -> Acts:
    """That it is taken must be told, but not what became of the account."""
    await populated(world)
    await world.registered("mary")
    principal = await world.principal(await world.logged_in("mary"))
    return {
        name: lambda name=name: world.update_profile(principal=principal, username=name, client=BROWSER)
        for name in ("alice", "carol", "dave")
    }


async def ask_for_a_login_code(world: World) -> Acts:
    """Also when there were as many as may be in a day."""
    await populated(world)
    await world.registered("often")
    for _ in range(NOTICES_A_DAY.limit):
        await world.login_code("often@example.com")
    await world.request_login_code(email="dave@example.com", client=BROWSER)
    return {
        name: lambda name=name: world.request_login_code(email=f"{name}@example.com", client=BROWSER)
        for name in ("nobody", "alice", "carol", "dave", "often")
    }


async def log_in_with_a_wrong_code(world: World) -> Acts:
    await populated(world)
    await world.registered("mary")
    await world.registered("paul")
    codes = {
        "wrong": (await world.login_code("alice@example.com")).wrong,
        "void": (await world.login_code("mary@example.com")).wrong,
        "disabled since": (await world.login_code("paul@example.com")).wrong,
    }
    for kind, name in (("nobody's", "nobody"), ("disabled", "carol"), ("not mailed yet", "dave")):
        request = await world.request_login_code(email=f"{name}@example.com", client=BROWSER)
        codes[kind] = LoginCode(request=request, code=Secret("00000000"))
    await world.disable(await world.stored_user("paul"))
    world.clock.advance(timedelta(seconds=1))
    await world.changed(await world.logged_in("mary"))
    return {kind: _confirm(world, code) for kind, code in codes.items()}


async def log_in_with_a_code_that_is_over(world: World) -> Acts:
    await populated(world)
    codes = {"unknown": LoginCode(request=Secret("x" * 43), code=Secret("00000000"))}
    for kind, name in (("expired", "alice"), ("expired, nobody's", "nobody"), ("expired, disabled", "carol")):
        request = await world.request_login_code(email=f"{name}@example.com", client=BROWSER)
        codes[kind] = LoginCode(request=request, code=Secret("00000000"))
    world.clock.advance(LIFETIME)
    codes["spent"] = await world.login_code("dave@example.com")
    await world.confirm_login_code(**codes["spent"].fields(), client=BROWSER)
    for kind, name in (("tried too often", "alice"), ("tried too often, nobody's", "nobody")):
        request = await world.request_login_code(email=f"{name}@example.com", client=BROWSER)
        codes[kind] = LoginCode(request=request, code=Secret("00000000"))
        for _ in range(MOST_TRIES):
            with pytest.raises(LoginRefused):
                await _confirm(world, codes[kind])()
        world.clock.advance(timedelta(seconds=1))
    return {kind: _confirm(world, code) for kind, code in codes.items()}


async def undo_a_deletion_with_a_bad_link(world: World) -> Acts:
    users = await populated(world)
    await world.registered("mary")
    links = {}
    for name in ("alice", "dave", "mary"):
        principal = await world.principal(await world.logged_in(name))
        await world.request_deletion(principal=principal, password=PASSWORD)
        links[name] = await world.undo_link()
        world.clock.advance(timedelta(days=1))
    spent = links["dave"]
    await world.undo_deletion(uidb64=spent.uidb64, token=Secret(spent.token))
    world.clock.advance(GRACE - timedelta(days=3))  # Alice's time is over, and Mary has two days left
    carol = user_reference(users["carol"].id)
    bad = {
        "unknown account": ResetLink(uidb64=user_reference(999), token="wrong"),
        "unknown account, real token": replace(links["mary"], uidb64=user_reference(999)),
        "wrong token": replace(links["mary"], token="wrong"),
        "disabled account": ResetLink(uidb64=carol, token="wrong"),
        "account that nobody has deleted": replace(spent, token="wrong"),
        "another's token": replace(links["mary"], uidb64=spent.uidb64),
        "expired token": links["alice"],
        "spent token": spent,
    }
    return {name: _undo(world, link) for name, link in bad.items()}


async def end_a_session_that_is_not_ones_own(world: World) -> Acts:
    await populated(world)
    alice, dave = await world.logged_in("alice"), await world.logged_in("dave")
    ended, daves_ended = await world.logged_in("alice"), await world.logged_in("dave")
    for pair in (ended, daves_ended):
        await world.log_out(refresh=pair.refresh)
    principal = await world.principal(alice)
    ids = {
        "unknown": "f" * 32,
        "garbage": "../1",
        "another's": (await world.claims(dave.refresh)).session_id,
        "another's, over": (await world.claims(daves_ended.refresh)).session_id,
        "one's own, over": (await world.claims(ended.refresh)).session_id,
    }
    return {
        name: lambda which=which: world.end_session(principal=principal, session_id=which, client=BROWSER)
        for name, which in ids.items()
    }


async def refresh_a_session_that_is_over(world: World) -> Acts:
    pairs = await sessions_that_are_over(world)
    return {name: lambda pair=pair: world.refreshed(pair) for name, pair in pairs.items()}


async def verify_a_refresh_token_of_a_session_that_is_over(world: World) -> Acts:
    pairs = await sessions_that_are_over(world)
    return {name: lambda pair=pair: world.verify_token(token=pair.refresh) for name, pair in pairs.items()}


async def verify_an_access_token_of_a_session_that_is_over(world: World) -> Acts:
    pairs = await sessions_that_are_over(world)
    return {name: lambda pair=pair: world.verify_token(token=pair.access) for name, pair in pairs.items()}


async def authenticate_for_a_session_that_is_over(world: World) -> Acts:
    pairs = await sessions_that_are_over(world)
    return {name: lambda pair=pair: world.principal(pair) for name, pair in pairs.items()}


async def log_out_of_a_session_that_is_over(world: World) -> Acts:
    pairs = await sessions_that_are_over(world)
    # One may still log out of a disabled account.
    return {
        name: lambda pair=pair: world.log_out(refresh=pair.refresh)
        for name, pair in pairs.items()
        if name in {"unknown", "ended", "ended, account disabled"}
    }


# What they have in common


async def verified(world: World, name: str) -> ResetLink:
    """The link that was used for it."""
    await world.request_verification(email=f"{name}@example.com")
    link = await world.verification_link()
    await world.verified(link)
    return link


async def populated(world: World) -> dict[str, User]:
    """alice and dave have accounts, and dave has never used his; that of carol is disabled."""
    users = {name: await world.registered(name) for name in ("alice", "carol", "dave")}
    await world.logged_in("alice")
    await world.disable(users["carol"])
    return users


def attempts(world: World, password: Secret = WRONG_PASSWORD, **names: str) -> dict[str, Any]:
    return {
        kind: lambda name=name: world.log_in(username=name, password=password, client=BROWSER)
        for kind, name in names.items()
    }


def _reset(world: World, link: ResetLink) -> Callable[[], Awaitable[Any]]:
    return lambda: world.reset_password(**link.with_password(NEW_PASSWORD), client=BROWSER)


async def bad_links(
    world: World, use_case: str, mailed: Callable[[World, TokenPair, str], Awaitable[ResetLink]]
) -> Acts:
    """For a use case that takes nothing but a link, which is `mailed` on the way to a new address."""
    users = await populated(world)
    await world.registered("mary")
    expired = await mailed(world, await world.logged_in("alice"), "alice2@example.com")
    world.clock.advance(UNDONE_WITHIN)
    spent = await mailed(world, await world.logged_in("dave"), "dave2@example.com")
    await getattr(world, use_case)(**spent.parts())
    marys = await mailed(world, await world.logged_in("mary"), "mary2@example.com")
    alice, carol = (user_reference(users[name].id) for name in ("alice", "carol"))
    links = {
        "unknown account": ResetLink(uidb64=user_reference(999), token="wrong"),
        "unknown account, real token": replace(marys, uidb64=user_reference(999)),
        "wrong token": ResetLink(uidb64=alice, token="wrong"),
        "disabled account": ResetLink(uidb64=carol, token="wrong"),
        "another's token": replace(marys, uidb64=alice),
        "expired token": expired,
        "spent token": spent,
    }
    return {
        name: lambda link=link: getattr(world, use_case)(**link.parts(), client=BROWSER)
        for name, link in links.items()
    }


def _confirm(world: World, code: LoginCode) -> Callable[[], Awaitable[Any]]:
    return lambda: world.confirm_login_code(**code.fields(), client=BROWSER)


def _undo(world: World, link: ResetLink) -> Callable[[], Awaitable[Any]]:
    return lambda: world.undo_deletion(uidb64=link.uidb64, token=Secret(link.token), client=BROWSER)


async def sessions_that_are_over(world: World) -> dict[str, TokenPair]:
    """Genuine tokens that have not expired, of sessions that have ended or that nobody has heard of."""
    users = await populated(world)
    erin, frank = await world.registered("erin"), await world.registered("frank")
    pairs = {"idle": await world.logged_in("dave")}
    world.clock.advance(IDLE)
    pairs |= {
        "ended": await world.logged_in("alice"),
        "account disabled": await world.logged_in("erin"),
        "ended, account disabled": await world.logged_in("frank"),
    }
    for name in ("ended", "ended, account disabled"):
        await world.log_out(refresh=pairs[name].refresh)
    for user in (erin, frank):
        await world.disable(user)
    tokens, signed = MemoryTokens(world.clock), {}
    for kind in ("access", "refresh"):
        claims = await world.claims(getattr(pairs["ended"], kind))
        signed[kind] = await tokens.sign(replace(claims, session_id="f" * 32, user_id=users["alice"].id))
    return pairs | {"unknown": TokenPair(**signed), "idle": await _fresh(world, tokens, pairs["idle"])}


async def _fresh(world: World, tokens: MemoryTokens, pair: TokenPair) -> TokenPair:
    """With an access token that has not expired although the session is idle."""
    claims = await world.claims(pair.refresh)
    access = await world.claims((await world.logged_in("alice")).access)
    mine = replace(access, session_id=claims.session_id, user_id=claims.user_id)
    return replace(pair, access=await tokens.sign(mine))


CASES = {
    log_in_by_name: "log_in",
    log_in_by_address: "log_in",
    log_in_with_a_name_that_nobody_can_have: "log_in",
    log_in_with_an_endless_password: "log_in",
    register_with_a_name_that_is_taken: "register_user",
    register_with_an_address_that_is_taken: "register_user",
    log_in_where_addresses_have_to_be_verified: "log_in",
    register_where_addresses_have_to_be_verified: "register_blindly",
    register_with_a_name_that_was_asked_for: "register_blindly",
    ask_for_another_link: "request_verification",
    verify_with_a_bad_link: "verify_email",
    forget_a_password: "request_reset",
    reset_with_a_bad_link: "reset_password",
    ask_for_an_address_that_is_taken: "request_email_change",
    confirm_an_address_with_a_bad_link: "confirm_email_change",
    undo_a_change_of_address_with_a_bad_link: "undo_email_change",
    take_a_username_that_is_taken: "update_profile",
    ask_for_a_login_code: "request_login_code",
    log_in_with_a_wrong_code: "confirm_login_code",
    log_in_with_a_code_that_is_over: "confirm_login_code",
    undo_a_deletion_with_a_bad_link: "undo_deletion",
    end_a_session_that_is_not_ones_own: "end_session",
    refresh_a_session_that_is_over: "refresh_session",
    verify_a_refresh_token_of_a_session_that_is_over: "verify_token",
    verify_an_access_token_of_a_session_that_is_over: "verify_token",
    authenticate_for_a_session_that_is_over: "authenticate",
    log_out_of_a_session_that_is_over: "log_out",
}
"""And the use case, as the world names it, whose calls are recorded."""

Case = Callable[[World], Awaitable[Acts]]


async def observed(case: Case, plant: Callable[[World], None] = lambda world: None) -> dict[str, Any]:
    """For each act, done in a world of its own: the port calls, and how it was refused if it was."""
    observations: dict[str, Any] = {}
    names = list(await case(World()))
    for name in names:
        world, tap = World(), Tap()
        acts = await case(world)
        plant(world)
        setattr(world, CASES[case], recorded(getattr(world, CASES[case]), tap))
        refusal = None
        try:
            await acts[name]()
        except IdentityError as error:
            refusal = (type(error), error.args, repr(vars(error)))
        observations[name] = (tuple(tap.calls), refusal)
    return observations


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_the_port_calls_and_the_refusal_are_the_same_for_whoever_comes_to(case: Case) -> None:
    observations = await observed(case)
    assert len(observations) > 1
    assert set(observations.values()) == {next(iter(observations.values()))}, observations


def test_no_path_that_takes_an_identifier_is_left_out() -> None:
    held = {type(getattr(World(), use_case)).__name__ for use_case in CASES.values()}
    named_by_text = {each.__name__ for each in use_cases() if takes_text(each)}
    assert named_by_text | NAMED_BY_A_SECRET == held | NOT_FOR_EVERYBODY


def use_cases() -> set[type]:
    names = [
        each.name for each in pkgutil.iter_modules(identity.application.__path__, "identity.application.")
    ]
    kinds = [vars(importlib.import_module(name)).values() for name in names]
    return {kind for kind in itertools.chain(*kinds) if inspect.isclass(kind) and is_use_case(kind)}


def is_use_case(kind: type) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(inspect.getattr_static(kind, "__call__")))


def takes_text(use_case: type) -> bool:
    parameters = inspect.signature(use_case.__call__).parameters.values()  # type: ignore[operator]
    return any("str" in str(parameter.annotation).split(" | ") for parameter in parameters)


# The check itself


class LooksAgain(LogIn):
    """Asks for what it has found once more."""

    async def _find(self, username: str) -> tuple[User | None, str]:
        user, key = await super()._find(username)
        if user is not None:
            async with self.read() as uow:
                await uow.users.get(user.id)
        return user, key


class HashesForTheKnownOnly(LogIn):
    async def __call__(self, *, username: str, **others: Any) -> TokenPair:  # type: ignore[override]
        if (await self._find(username))[0] is None:
            raise LoginRefused
        return await super().__call__(username=username, **others)


class ShowsTheDisabled(LogIn):
    async def _find(self, username: str) -> tuple[User | None, str]:
        user, key = await super()._find(username)
        if user is not None and user.is_disabled:
            raise LoginRefused
        return user, key


class AsksFirst(RequestReset):
    async def __call__(self, *, email: str, **others: Any) -> None:  # type: ignore[override]
        async with self.begin() as uow:
            if await uow.users.with_email(EmailAddress(email)) is None:
                return
        await super().__call__(email=email, **others)


class WritesForTheRightOnly(LogIn):
    async def _refuse(self, user: User | None, client: Client, *, is_good: bool) -> None:
        if is_good:
            await super()._refuse(user, client, is_good=is_good)


class OpensNothingForTheKnown(RegisterBlindly):
    async def __call__(self, *, email: str, **others: Any) -> None:  # type: ignore[override]
        async with self.begin() as uow:
            if await uow.users.with_email(EmailAddress(email)) is not None:
                return
        await super().__call__(email=email, **others)


RIGHT = {"erin, right password", "waiting, right password"}


@pytest.mark.parametrize(
    ("planted", "case", "apart"),
    [
        (WritesForTheRightOnly, log_in_where_addresses_have_to_be_verified, RIGHT),
        (
            OpensNothingForTheKnown,
            register_where_addresses_have_to_be_verified,
            {"alice", "carol", "dave"},
        ),
        (LooksAgain, log_in_by_name, {"unknown", "garbage"}),
        (HashesForTheKnownOnly, log_in_by_address, {"unknown", "garbage"}),
        (ShowsTheDisabled, log_in_by_name, {"disabled", "disabled, right password"}),
        (AsksFirst, forget_a_password, {"nobody", "anybody"}),
    ],
)
async def test_a_planted_deviation_is_found(planted: type, case: Case, apart: set[str]) -> None:
    def plant(world: World) -> None:
        honest = getattr(world, CASES[case])
        parts = {field.name: getattr(honest, field.name) for field in fields(honest)}
        setattr(world, CASES[case], planted(**parts))

    observations = await observed(case, plant)
    differing = {observations[name] for name in apart}
    assert len(differing) == 1
    assert {name for name, seen in observations.items() if seen in differing} == apart
