"""Mistakes that are planted in the service, which killing it must bring to light."""

from __future__ import annotations

import asyncio
from typing import Any

from identity.adapters.memory import PlainHasher
from identity.application.passwords import ResetPassword
from identity.application.registration import RegisterUser
from identity.domain.errors import OneTimeTokenRefused
from identity.domain.one_time_token import Purpose

register_in_order = RegisterUser.__call__


async def reset_in_two_transactions(
    self: ResetPassword, *, uidb64: str, token: Any, password: Any, client: Any
) -> None:
    """The password is there before the link is spent."""
    user, _ = await self.follow_link(
        uidb64=uidb64, token=token, purpose=Purpose.RESET_PASSWORD, client=client
    )
    now = self.clock.now()
    password_hash = await PlainHasher().hash(password)
    async with self.begin() as uow:
        await uow.users.save(user.with_password(password_hash, at=now))
    async with self.begin() as uow:
        if not await uow.one_time_tokens.spend(
            token.digest(), purpose=Purpose.RESET_PASSWORD, user_id=user.id, at=now
        ):
            raise OneTimeTokenRefused


async def register_after_the_answer(self: RegisterUser, **fields: Any) -> Any:
    """The account is stored a moment after its owner was told that it is."""
    loop = asyncio.get_running_loop()
    loop.call_later(0.1, lambda: loop.create_task(register_in_order(self, **fields)))
    async with self.judge_registration.read() as uow:
        return await uow.users.get(1)  # somebody, for the answer


MISTAKES = {
    "reset in two transactions": (ResetPassword, reset_in_two_transactions),
    "registration after the answer": (RegisterUser, register_after_the_answer),
}


def plant(name: str) -> None:
    """In this process, for good."""
    use_case, mistake = MISTAKES[name]
    use_case.__call__ = mistake  # type: ignore[method-assign,assignment]
