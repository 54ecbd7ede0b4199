"""HT-6: whatever one sends, to any route there is, nothing of another account is read or changed.

The routes are those of the application, so that a new one is tried from its first day on, or fails by name.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
from litestar import get
from litestar.params import FromPath
from litestar.routes import HTTPRoute
from tests.http.conftest import Link, TokenPair

from identity.domain.events import ANYBODY
from identity.domain.secrets import Secret

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
UNDO = "/api/auth/undo-deletion/"
PASSWORDS = {"john": "correct horse battery", "mary": "staple another way"}


@pytest.fixture
async def service(reused):
    """With each route that a setting switches on."""
    return await reused(login_code=True)


async def two_accounts(service):
    """Each with two sessions."""
    tokens = {}
    for name, password in PASSWORDS.items():
        await service.register(name, f"{name}@example.com", password)
        tokens[name] = [await service.log_in(name, password), await service.log_in(name, password)]
    return tokens


async def state_of(service, tokens):
    """All that its owner sees of an account."""
    profile = (await service.profile(tokens[0].access)).json()
    sessions = (await service.get("/api/user/sessions/", access=tokens[0].access)).json()
    assert {(await service.profile(each.access)).status_code for each in tokens} == {200}
    return profile, sorted(sessions, key=lambda each: each["id"])


def reference(user_id):
    return base64.urlsafe_b64encode(str(user_id).encode()).decode().rstrip("=")


async def access_again(service, name, passwords):
    """Whichever of the passwords it is, and even if he has deleted his account."""
    for _ in range(2):
        for password in passwords:
            if await service.can_log_in(name, password):
                return (await service.log_in(name, password)).access
        await service.deliver()
        assert (await service.post(UNDO, service.link("undo-deletion")._asdict())).status_code == 200
    raise AssertionError(f"{name} cannot log in any more")


def paths(service, hers):
    """Every path there is, each parameter filled with what is hers. On those of administrators, who are asked
    for before it is looked at, with one thing only."""
    templates = [route.path for route in service.client.app.routes if isinstance(route, HTTPRoute)]
    assert len(templates) > 15
    for template in templates:
        if "{" not in template:
            yield template
            continue
        before, _, rest = template.partition("{")
        after = rest.partition("}")[2]
        for value in hers[:1] if before.startswith("/api/admin/") else hers:
            yield f"{before}{value}{after}"


ON_MEMORY = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")
"""Where there is much to try that is refused before the storage is asked, or is the same on every one."""


@ON_MEMORY
async def test_no_request_with_ones_own_credentials_reads_or_changes_another_account(service):
    tokens = await two_accounts(service)
    before = await state_of(service, tokens["mary"])
    profile, sessions = before
    link = await service.reset_link("john@example.com")  # his own
    ids = [session["id"] for session in sessions]
    hers = [*ids, str(profile["id"]), "mary", "mary@example.com", reference(profile["id"])]
    everything = {
        "id": profile["id"],
        "user": profile["id"],
        "user_id": profile["id"],
        "sub": str(profile["id"]),
        "username": "mary",
        "email": "mary@example.com",
        "new_email": "mary@example.com",
        "password": PASSWORDS["john"],
        "old_password": PASSWORDS["john"],
        "new_password": PASSWORDS["john"] + "!",
        "uidb64": reference(profile["id"]),
        "token": link.token,
        "session_id": ids[0],
        "sid": ids[0],
        "jti": ids[0],
        "refresh": ids[0],
        "access": ids[0],
        "request": ids[0],
        "code": "00000000",
    }
    claims = {
        "X-User": "mary",
        "X-User-Id": str(profile["id"]),
        "X-Forwarded-User": "mary",
        "X-Original-URL": f"/api/user/sessions/{ids[0]}/",
        "X-HTTP-Method-Override": "DELETE",
        "Cookie": f"sid={ids[0]}; user=mary; refresh={ids[0]}",
    }
    passwords = (PASSWORDS["john"], everything["new_password"])
    count = 0
    access, has_changed_something = tokens["john"][0].access, False
    for path, method in itertools.product(paths(service, hers), METHODS):
        for how in ({"json": everything}, {"data": everything}, {}):
            if has_changed_something and (await service.profile(access)).status_code != 200:
                access = await access_again(service, "john", passwords)
            answer = await service.client.request(
                method,
                path,
                params={"id": profile["id"], "user": "mary", "sid": ids[0]},
                headers={"Authorization": f"Bearer {access}", **claims},
                **how,
            )
            count += 1
            has_changed_something = answer.status_code == 200 and method not in {"GET", "HEAD"}
            assert answer.status_code < 500
            assert not [each for each in (*ids, "mary@example.com") if each in answer.text], (method, path)
    assert count > 400
    assert await state_of(service, tokens["mary"]) == before
    assert await service.can_log_in("mary", PASSWORDS["mary"])
    assert not await service.can_log_in("mary", PASSWORDS["john"])


async def test_no_pair_of_ones_own_and_anothers_secrets_is_good(service):
    tokens = await two_accounts(service)
    before = await state_of(service, tokens["mary"])
    his, hers = await service.reset_link("john@example.com"), await service.reset_link("mary@example.com")
    assert his.uidb64 != hers.uidb64
    for link in (his._replace(uidb64=hers.uidb64), hers._replace(uidb64=his.uidb64)):
        answer = await service.reset(link, PASSWORDS["john"])
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid or expired token."})
    pairs = [("mary", "john"), ("mary@example.com", "john"), ("john", "mary"), ("john@example.com", "mary")]
    for name, owner in pairs:
        assert not await service.can_log_in(name, PASSWORDS[owner])
    for one, other in itertools.permutations([tokens["john"][0], tokens["mary"][0]]):
        for kind in ("access", "refresh"):
            mine, theirs = getattr(one, kind).split("."), getattr(other, kind).split(".")
            for mask in itertools.product((0, 1), repeat=3):
                if len(set(mask)) == 1:
                    continue  # whole
                mixed = ".".join((mine, theirs)[choice][part] for part, choice in enumerate(mask))
                if mixed in {getattr(one, kind), getattr(other, kind)}:
                    continue  # their heads are alike
                assert (await service.profile(mixed)).status_code == 401
                for path, field in (("refresh", "refresh"), ("verify", "token"), ("blacklist", "refresh")):
                    assert (await service.post(f"/api/auth/token/{path}/", {field: mixed})).status_code == 401
    assert await state_of(service, tokens["mary"]) == before


# One request to each route, as its owner would send it, from everybody


class Code(NamedTuple):
    """What one is answered who asks for a code, and what one is mailed."""

    request: str
    code: str


NO_TOKENS, NO_LINK, NO_CODE = TokenPair("x", "x"), Link("MQ", "x"), Code("x", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What somebody has of an account, or pretends to have."""

    name: str
    reference: str = "MQ"
    password: str = "nobody's password"
    session_id: str = "0" * 32
    tokens: TokenPair = NO_TOKENS
    link: Link = NO_LINK
    code: Code = NO_CODE

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"


ANONYMOUS = Person(name="nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one sends to a route, and the status that it is answered with."""

    owner: int
    others: int
    """To those who name Mary, with secrets of their own: what is theirs they may have."""
    anonymous: int
    body: Callable[[Person, Person], dict[str, Any]] = lambda named, sender: {}
    """By whom it names, and whose secrets are in it."""
    link: str = "reset-password"
    """The page of the link that each of them was mailed before."""
    is_for_administrators: bool = False
    """Whether it is the matter of another test what a superuser may do with it."""


OWN = Request(owner=200, others=200, anonymous=401)
"""What the access token alone decides."""
OF_ADMINISTRATORS = Request(owner=403, others=403, anonymous=401, is_for_administrators=True)
NOBODYS = Request(owner=200, others=200, anonymous=200)
"""Where there is nothing of any account."""


def link_of(named: Person, sender: Person) -> dict[str, Any]:
    return {"uidb64": named.reference, "token": sender.link.token}


def refresh_of(_: Person, sender: Person) -> dict[str, Any]:
    return {"refresh": sender.tokens.refresh}


OF_A_REFRESH_TOKEN = Request(owner=200, others=200, anonymous=401, body=refresh_of)
OF_AN_ADDRESS = replace(NOBODYS, body=lambda named, _: {"email": named.email})
OF_A_LINK = Request(owner=200, others=400, anonymous=400, body=link_of)
REQUESTS = {
    "POST /api/auth/register": Request(
        owner=400,
        others=400,
        anonymous=400,
        body=lambda named, _: {"username": named.name, "email": named.email, "password": "kX9!qLzw"},
    ),
    "POST /api/auth/verify-email": replace(OF_A_LINK, link="verify-email"),
    "POST /api/auth/resend-verification": OF_AN_ADDRESS,
    "POST /api/auth/login": Request(
        owner=200,
        others=401,
        anonymous=401,
        body=lambda named, sender: {"username": named.name, "password": sender.password},
    ),
    "POST /api/auth/login-code": OF_AN_ADDRESS,
    "POST /api/auth/login-code/confirm": Request(
        owner=200,
        others=401,
        anonymous=401,
        body=lambda named, sender: {"request": named.code.request, "code": sender.code.code},
    ),
    "POST /api/auth/token/refresh": OF_A_REFRESH_TOKEN,
    "POST /api/auth/token/verify": Request(
        owner=200, others=200, anonymous=401, body=lambda _, sender: {"token": sender.tokens.access}
    ),
    "POST /api/auth/logout": OF_A_REFRESH_TOKEN,
    "POST /api/auth/token/blacklist": OF_A_REFRESH_TOKEN,
    "POST /api/auth/logout-all": OWN,
    "GET /api/user/sessions": OWN,
    "DELETE /api/user/sessions/{session_id}": Request(owner=200, others=404, anonymous=401),
    "POST /api/user/sessions/revoke-others": OWN,
    "GET /api/user/profile": OWN,
    "PATCH /api/user/profile": Request(
        owner=200,
        others=400,
        anonymous=401,
        body=lambda named, _: {"username": named.name, "display_name": "Mary"},
    ),
    "POST /api/user/change-email": Request(
        owner=400,
        others=200,
        anonymous=401,
        body=lambda named, sender: {"new_email": named.email, "password": sender.password},
    ),
    "POST /api/auth/confirm-email-change": replace(OF_A_LINK, link="confirm-email"),
    "POST /api/auth/undo-email-change": replace(OF_A_LINK, link="undo-email-change"),
    "POST /api/user/change-password": Request(
        owner=200,
        others=200,
        anonymous=401,
        body=lambda _, sender: {"old_password": sender.password, "new_password": "kX9!qLzw"},
    ),
    "POST /api/auth/forgot-password": OF_AN_ADDRESS,
    "POST /api/auth/reset-password": replace(
        OF_A_LINK, body=lambda named, sender: {**link_of(named, sender), "password": "kX9!qLzw"}
    ),
    "GET /api/user/export": OWN,
    "POST /api/user/delete": Request(
        owner=200, others=200, anonymous=401, body=lambda _, sender: {"password": sender.password}
    ),
    "POST /api/auth/undo-deletion": replace(OF_A_LINK, link="undo-deletion"),
    "GET /api/admin/users": OF_ADMINISTRATORS,
    "GET /api/admin/users/{user_id}": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/disable": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/enable": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/force-reset": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/end-sessions": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/verify-email": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/promote": OF_ADMINISTRATORS,
    "POST /api/admin/users/{user_id}/demote": OF_ADMINISTRATORS,
    "GET /api/admin/audit": OF_ADMINISTRATORS,
    "GET /api/admin/outbox": OF_ADMINISTRATORS,
    "POST /api/admin/outbox/{letter_id}/retry": OF_ADMINISTRATORS,
    "GET /.well-known/jwks.json": NOBODYS,
    "GET /api/schema": NOBODYS,
    "GET /api/schema/openapi.json": NOBODYS,
    "GET /health/live": NOBODYS,
    "GET /health/ready": NOBODYS,
}


def routes(app):
    """As they are called above. Of those that only refuse a method, there is one on each path."""
    served = {
        f"{method} {re.sub(r':[a-z]+}', '}', route.path)}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method not in {"HEAD", "OPTIONS"} and not (handler.name or "").endswith("other methods")
    }
    return served - {"GET /api/schema/{path}"}  # the framework's own "not found" below the schema


def assert_every_route_is_tried(app):
    forgotten, gone = routes(app) - set(REQUESTS), set(REQUESTS) - routes(app)
    assert not forgotten, f"say in REQUESTS what others may do with {', '.join(sorted(forgotten))}"
    assert not gone, f"there is no {', '.join(sorted(gone))} any more"


async def becomes(service, name, *, link):
    password, email = f"the password of {name[::-1]}", f"{name}@example.com"

    async def register():
        await service.container.register_user()(
            username=name, email=email, password=Secret(password), superuser=name.startswith("root")
        )

    service.in_the_app(register)
    tokens = await service.log_in(name, password)
    sessions = (await service.get("/api/user/sessions/", access=tokens.access)).json()
    person = Person(
        name=name,
        reference=reference(service.user(name).id),
        password=password,
        session_id=sessions[0]["id"],
        tokens=tokens,
        code=await mailed_code(service, email),
    )
    return replace(person, link=await mailed_link(service, person, link))


async def mailed_code(service, email):
    await service.deliver()  # what else was waiting
    answer = await service.post("/api/auth/login-code/", {"email": email})
    await service.deliver()
    (digits,) = re.findall(r"^ +(\d{4} \d{4})$", service.last_mail().text, re.MULTILINE)
    return Code(answer.json()["request"], digits)


async def mailed_link(service, person, page):
    of_address, own = {"email": person.email}, {"password": person.password}
    change = ("/api/user/change-email/", {"new_email": f"new_{person.email}", **own})
    path, body = {
        "reset-password": ("/api/auth/forgot-password/", of_address),
        "verify-email": ("/api/auth/resend-verification/", of_address),
        "confirm-email": change,
        "undo-email-change": change,
        "undo-deletion": ("/api/user/delete/", own),
    }[page]
    assert (await service.post(path, body, access=person.tokens.access)).status_code == 200
    await service.deliver()
    if page == "undo-email-change":
        assert (await service.confirm_email_change(service.link("confirm-email"))).status_code == 200
        await service.deliver()
    return service.link(page)


def all_of(service, name):
    """All that is stored of an account, but for what the log has of those who tried from outside."""
    user = service.user(name)

    async def read():
        async with service.container.read()() as uow:
            return (
                await uow.users.get(user.id),
                await uow.sessions.history(user.id, limit=100),
                await uow.devices.of_user(user.id),
                await uow.reservations.of_user(user.id),
                [each for each in await uow.audit_log.of_user(user.id, limit=100) if each.actor != ANYBODY],
            )

    return service.in_the_app(read)


async def try_route(service, route, asked):
    method, _, path = route.partition(" ")
    await becomes(service, "root_who_stays", link="reset-password")  # or the other could not leave
    mary, john, root = [
        await becomes(service, name, link=asked.link) for name in ("mary_mary", "john_other", "root_other")
    ]
    user_id = service.user(mary.name).id
    hers = {mary.email, mary.session_id, *mary.tokens, mary.link.token, *mary.code}
    before = all_of(service, mary.name)

    async def answered(sender):
        return await service.client.request(
            method,
            path.format(session_id=mary.session_id, user_id=user_id, letter_id="0" * 32),
            headers={} if sender is ANONYMOUS else {"Authorization": f"Bearer {sender.tokens.access}"},
            json=asked.body(mary, sender) if method in {"POST", "PATCH"} else None,
        )

    for sender, status in ((ANONYMOUS, asked.anonymous), (john, asked.others), (root, asked.others)):
        if sender is root and asked.is_for_administrators:
            continue
        answer = await answered(sender)
        assert answer.status_code == status, (sender.name, answer.text)
        assert not [each for each in hers if each in answer.text], sender.name
        assert all_of(service, mary.name) == before, sender.name
    answer = await answered(mary)
    assert answer.status_code == asked.owner, answer.text


async def test_every_route_of_the_application_is_tried(service):
    assert_every_route_is_tried(service.client.app)


@pytest.mark.parametrize(
    "route", [route for route, asked in REQUESTS.items() if not asked.is_for_administrators]
)
async def test_neither_another_user_nor_an_administrator_nor_anybody_else_reaches_an_account(service, route):
    await try_route(service, route, REQUESTS[route])


@ON_MEMORY
@pytest.mark.parametrize("route", [route for route, asked in REQUESTS.items() if asked.is_for_administrators])
async def test_nobody_but_administrators_reaches_what_is_theirs(service, route):
    await try_route(service, route, REQUESTS[route])


@get("/api/user/planted/{session_id:str}", include_in_schema=False)
async def planted(session_id: FromPath[str]) -> str:
    return f"the session {session_id}"


async def test_a_new_route_fails_by_name_and_so_does_one_that_tells_too_much(start):
    service = await start(login_code=True)
    service.client.app.register(planted)
    with pytest.raises(AssertionError, match=r"others may do with GET /api/user/planted/\{session_id\}"):
        assert_every_route_is_tried(service.client.app)
    with pytest.raises(AssertionError, match="nobody"):
        await try_route(service, "GET /api/user/planted/{session_id}", NOBODYS)
