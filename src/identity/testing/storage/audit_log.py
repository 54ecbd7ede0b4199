"""What `AuditLog` owes. As a whole nothing reads it but people: see `StorageTests.events_of`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from identity.domain.events import OPERATOR, Actor, Event, KeyAdded, LoggedIn, LoggedOut, UserRegistered
from identity.domain.session import Client
from identity.testing.samples import NOW, SECOND
from identity.testing.storage.subject import Storage, StorageTests, add_user


class AuditLogBehaviour(StorageTests):
    async def test_an_event_is_kept_whole_even_of_an_account_that_is_not_there(
        self, storage: Storage
    ) -> None:
        client = Client(address="192.0.2.7", user_agent="Mozilla/5.0 🦊 ' \" \\ %s :x")
        events = [
            LoggedIn(at=NOW, user_id=7, session_id="s", client=client),
            LoggedOut(at=NOW + SECOND, user_id=8),
            LoggedOut(at=NOW + SECOND, user_id=8, actor=Actor.administrator(9)),
            UserRegistered(at=NOW + SECOND, actor=OPERATOR),
            KeyAdded(at=NOW + SECOND, actor=OPERATOR, subject="k" * 64),
        ]
        async with storage.begin() as uow:
            for event in events:
                await uow.audit_log.append(event)
        assert await self._events(storage) == events

    async def test_an_event_says_by_which_request_it_came_about(self, storage: Storage) -> None:
        client = Client(address="192.0.2.7", request_id="0123456789abcdef")
        async with storage.begin() as uow:
            await uow.audit_log.append(LoggedOut(at=NOW, user_id=8, client=client))
        (event,) = await self._events(storage)
        assert event.client.request_id == client.request_id

    async def test_the_same_thing_may_happen_twice(self, storage: Storage) -> None:
        event = LoggedOut(at=NOW, user_id=(await add_user(storage)).id)
        for _ in range(2):
            async with storage.begin() as uow:
                await uow.audit_log.append(event)
        assert await self._events(storage) == [event, event]

    async def test_events_are_kept_in_the_order_they_came_in(self, storage: Storage) -> None:
        """The clocks of two servers are apart: the order of the log is not that of its times."""
        events: list[Event] = [
            UserRegistered(at=NOW + SECOND, user_id=1),
            LoggedIn(at=NOW, user_id=1, session_id="s"),
            LoggedOut(at=NOW, user_id=1, session_id="s"),
        ]
        for event in events:
            async with storage.begin() as uow:
                await uow.audit_log.append(event)
        assert await self._events(storage) == events

    async def _events(self, storage: Storage) -> Sequence[Event]:
        events = await self.events_of(storage)
        if events is None:
            pytest.skip("`events_of` does not say what the audit log holds")
        return list(events)
