"""What the service is killed at, and what must be so afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.server.kill.service import ELSEWHERE, LATER, NEW_PASSWORD, PASSWORD, Answer, Service

Ready = dict[str, Any]
"""What the client holds: tokens, and a link."""
Command = Callable[[Service, Ready], Awaitable[Answer]]
Check = Callable[[Service, Ready, Answer | None, bool], AsyncIterator[str]]
"""Given what the client was answered, if anything, and whether the command is done: all that is wrong.

Each ends with another try, as of a client that does not know what became of the first.
"""


async def registers(service: Service, ready: Ready) -> Answer:
    return await service.register("bob")


async def check_registration(
    service: Service, ready: Ready, answer: Answer | None, done: bool
) -> AsyncIterator[str]:
    if await service.can_log_in("bob") != done:
        yield "the account is not there as a whole"
    again = await service.register("bob")
    if again.status != (400 if done else 201):
        yield f"another try was answered {again}"
    if not await service.can_log_in("bob"):
        yield "nobody can log in after another try"
    if service.noted("UserRegistered") != 2:
        yield "not one registration was noted of each account"


async def logs_in(service: Service, ready: Ready) -> Answer:
    return await service.post("auth/login", username="alice", password=PASSWORD, address=ELSEWHERE)


async def check_login(
    service: Service, ready: Ready, answer: Answer | None, done: bool
) -> AsyncIterator[str]:
    if answer and not await service.refreshed(answer.body["refresh"]):
        yield "a session that was acknowledged is not there"
    if (service.noted("new_device") == 1) != done:
        yield "the mail about the new device does not agree with the session"
    again = await logs_in(service, ready)
    if again.status != 200 or not await service.refreshed(again.body["refresh"]):
        yield f"another try was answered {again}"
    if service.noted("new_device") != 1:
        yield "not one mail about the new device"
    if not await service.refreshed(ready["tokens"]["refresh"]):
        yield "an earlier session is over"


async def refreshes(service: Service, ready: Ready) -> Answer:
    return await service.post("auth/token/refresh", refresh=ready["tokens"]["refresh"])


async def check_refresh(
    service: Service, ready: Ready, answer: Answer | None, done: bool
) -> AsyncIterator[str]:
    """Whoever got no answer sends the same token again; whoever did sends the next."""
    tokens = await service.refreshed(ready["tokens"]["refresh"])
    if tokens is None:
        yield "another try is refused: the client is logged out"
        return
    if answer:
        tokens = await service.refreshed(answer.body["refresh"])
        if tokens is None:
            yield "a token that was acknowledged is refused"
            return
    for _ in range(2):
        if not await service.is_known_by(tokens["access"]):
            yield "an access token is refused"
        service.clock.advance(LATER)
        tokens = await service.refreshed(tokens["refresh"])
        if tokens is None:
            yield "the client is logged out later"
            return
    if not await service.refreshed(ready["other"]["refresh"]):
        yield "the other session is over"


async def changes(service: Service, ready: Ready) -> Answer:
    access = ready["tokens"]["access"]
    return await service.post(
        "user/change-password", access=access, old_password=PASSWORD, new_password=NEW_PASSWORD
    )


async def check_change(
    service: Service, ready: Ready, answer: Answer | None, done: bool
) -> AsyncIterator[str]:
    async for problem in check_password(service, done):
        yield problem
    if bool(await service.refreshed(ready["other"]["refresh"])) == done:
        yield "the other session does not agree with the password"
    again = await changes(service, ready)
    if again.status != (400 if done else 200):
        yield f"another try was answered {again}"
    async for problem in check_password(service, True):
        yield f"after another try {problem}"
    if service.noted("PasswordChanged") != 1 or service.noted("password_changed") != 1:
        yield "not one change was noted, and one mail"
    if not await service.is_known_by(ready["tokens"]["access"]):
        yield "the session that changed it is over"
    if (
        await service.post("auth/reset-password", **ready["link"], password="another password")
    ).status != 400:
        yield "a link that was mailed before still works"


async def resets(service: Service, ready: Ready) -> Answer:
    return await service.post("auth/reset-password", **ready["link"], password=NEW_PASSWORD)


async def check_reset(
    service: Service, ready: Ready, answer: Answer | None, done: bool
) -> AsyncIterator[str]:
    async for problem in check_password(service, done):
        yield problem
    again = await resets(service, ready)
    if again.status != (400 if done else 200):
        yield f"another try was answered {again}"
    async for problem in check_password(service, True):
        yield f"after another try {problem}"
    if (await resets(service, ready)).status != 400:
        yield "the link works twice"
    if service.noted("PasswordReset") != 1 or service.noted("password_changed") != 1:
        yield "not one reset was noted, and one mail"
    for name in ("tokens", "other"):
        if await service.refreshed(ready[name]["refresh"]):
            yield "a session of before is still there"


async def check_password(service: Service, done: bool) -> AsyncIterator[str]:
    """The old password or the new one, never both or neither."""
    old, new = [await service.can_log_in("alice", password) for password in (PASSWORD, NEW_PASSWORD)]
    if (old, new) != (not done, done):
        yield f"the old password works: {old}, the new one: {new}"


COMMANDS: dict[str, tuple[Command, Check]] = {
    "register": (registers, check_registration),
    "login": (logs_in, check_login),
    "refresh": (refreshes, check_refresh),
    "change": (changes, check_change),
    "reset": (resets, check_reset),
}
