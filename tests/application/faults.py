"""Every use case of the container over ports of which any call may fail, on memory and on SQLite.

Nothing here names a port: what a use case is given is found by its fields, so that a new port is one more
place to fail from its first day on.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, get_type_hints

from dependency_injector.providers import BaseSingleton, Object, Singleton
from dependency_injector.providers import Callable as Current
from tests.application.sqlite_file import SqliteFile
from tests.application.world import COMMON_PASSWORD, Hasher, Mailer, World, renderer

from identity.adapters.jwt.keys import SealedKeys
from identity.adapters.memory import (
    FixedClock,
    MemorySchema,
    MemoryStorage,
    MemoryTokens,
    MemoryWebhookSender,
    SeededRandomness,
    WordList,
)
from identity.application.courier import Courier
from identity.application.ports import UnitOfWork
from identity.container import Container, build_container
from identity.domain.errors import Unavailable
from identity.domain.secrets import Secret
from identity.domain.signing_key import SigningKey
from identity.settings import Settings

BEFORE, DURING, AFTER = "before", "during", "after"
SETTINGS = Settings(
    database_url="memory:",
    mail_url="memory:",
    secret=Secret("s" * 32),
    email_verification="off",
    frontend_url="https://app.example.org",
)

# What may go wrong with a call. Of a connection that was lost some libraries say nothing but this.
KINDS: dict[str, Callable[[], BaseException]] = {
    "time-out": lambda: Unavailable("on fire"),
    "connection lost": lambda: ConnectionResetError("on fire"),
    "ValueError": lambda: ValueError("on fire"),
    "MemoryError": lambda: MemoryError("on fire"),
    "cancelled": lambda: asyncio.CancelledError("on fire"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The call with this number fails, before it has done anything or when it has done all of it.

    `during` is for a task that is cancelled while it waits for the call, which may then be done or not.
    """

    number: int
    when: str
    kind: str


class FaultyTap:
    """Stands before every port: counts each call, and lets the one that is chosen fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.used: set[type] = set()
        self._broken = ""
        self._fault: Fault | None = None

    def forget(self) -> None:
        self.calls.clear()

    def fail_once(self, fault: Fault) -> None:
        """Lets the call with that number, from now, fail."""
        self.forget()
        self._fault = fault

    def fail_always(self, name: str) -> None:
        """Lets every call of this name raise a `ValueError` from now on."""
        self.forget()
        self._broken = name

    def before(self, name: str) -> int:
        """The number of the call."""
        self.calls.append(name)
        if name == self._broken:
            raise ValueError("on fire")
        number = len(self.calls)
        self._fail(number, BEFORE)
        if self._fails(number, DURING):
            self._fault = None
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        return number

    def after(self, number: int) -> None:
        self._fail(number, AFTER)

    def _fails(self, number: int, when: str) -> bool:
        return self._fault is not None and (self._fault.number, self._fault.when) == (number, when)

    def _fail(self, number: int, when: str) -> None:
        if self._fails(number, when) and self._fault is not None:
            kind, self._fault = self._fault.kind, None
            raise KINDS[kind]()

    # Ports

    def on_use_case(self, use_case: Any) -> Any:
        """The same use case, and those it is made of, over tapped ports."""
        self.used.add(type(use_case))
        ports = _ports(type(use_case))
        tapped = {}
        for field in fields(use_case):
            value = getattr(use_case, field.name)
            if field.name in ports:
                tapped[field.name] = self.on_port(field.name, value)
            elif is_use_case(type(value)) or isinstance(value, Courier):
                tapped[field.name] = self.on_use_case(value)
        return replace(use_case, **tapped)

    def on_port(self, name: str, port: Any) -> Any:
        if inspect.isroutine(port):
            return self._on_method(name, port, end="commit" if name == "begin" else f"{name}.exit")
        return _Tapped(self, name, port)

    def _on_method(self, name: str, method: Any, *, end: str) -> Any:
        @functools.wraps(method)
        def called(*args: Any, **kwargs: Any) -> Any:
            if inspect.iscoroutinefunction(method):
                return self._awaited(name, method(*args, **kwargs))
            if name in {"begin", "read"}:
                return self._entered(name, functools.partial(method, *args, **kwargs), end=end)
            number = self.before(name)
            answer = method(*args, **kwargs)
            if hasattr(answer, "__aenter__"):
                return self._entered(name, lambda: answer, end=end, number=number)
            self.after(number)
            return answer

        return called

    async def _awaited(self, name: str, work: Any) -> Any:
        try:
            number = self.before(name)
        except BaseException:
            work.close()
            raise
        answer = await work
        self.after(number)
        return answer

    @asynccontextmanager
    async def _entered(
        self,
        name: str,
        make: Callable[[], AbstractAsyncContextManager[Any]],
        *,
        end: str,
        number: int | None = None,
    ) -> AsyncIterator[Any]:
        number = self.before(name) if number is None else number
        async with make() as value:
            self.after(number)
            yield self._parts(value) if isinstance(value, UnitOfWork) else value
            number = self.before(end)
        self.after(number)

    def _parts(self, uow: UnitOfWork) -> UnitOfWork:
        parts = {part.name: getattr(uow, part.name) for part in fields(uow)}
        return UnitOfWork(**{name: _Tapped(self, name, part) for name, part in parts.items()})


class _Tapped:
    def __init__(self, tap: FaultyTap, name: str, port: Any) -> None:
        self._tap = tap
        self._name = name
        self._port = port

    def __getattr__(self, attribute: str) -> Any:
        name = f"{self._name}.{attribute}"
        return self._tap._on_method(name, getattr(self._port, attribute), end=f"{name}.exit")

    def __contains__(self, item: Any) -> bool:
        number = self._tap.before(f"{self._name}.contains")
        answer = item in self._port
        self._tap.after(number)
        return answer


@functools.cache
def _ports(use_case: type) -> frozenset[str]:
    """The names of the fields that are ports."""
    kinds = get_type_hints(use_case)
    return frozenset(name for name, kind in kinds.items() if getattr(kind, "_is_protocol", False))


@functools.cache
def is_use_case(kind: type) -> bool:
    return (
        is_dataclass(kind)
        and kind.__module__.startswith("identity.application.")
        and any("__call__" in vars(each) for each in kind.__mro__)
    )


def use_cases(container: Container) -> dict[str, type]:
    """Every one of the container, by its name there."""
    made = {name: getattr(provider, "cls", None) for name, provider in container.providers.items()}
    return {name: kind for name, kind in made.items() if isinstance(kind, type) and is_use_case(kind)}


class RepeatableKeys(SealedKeys):
    """Real keys, the same ones in the same order each time."""

    MADE: dict[object, SigningKey] = {}  # noqa: RUF012 - shared on purpose

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self._numbers = itertools.count()

    async def generate(self, *, at: datetime, signs_from: datetime) -> SigningKey:
        number = next(self._numbers)
        if number not in self.MADE:
            self._randomness = SeededRandomness(number)  # the others' numbers are to stay the same
            self.MADE[number] = await super().generate(at=at, signs_from=signs_from)
        return replace(self.MADE[number], created_at=at, signs_from=signs_from)

    def resealed(self, key: SigningKey) -> SigningKey:
        if key.kid not in self.MADE:
            self.MADE[key.kid] = super().resealed(key)
        return replace(key, sealed_private_key=self.MADE[key.kid].sealed_private_key)


class FaultyWorld(World):
    """The use cases as the container wires them, by the names that they have there.

    It is made ready on memory, which is quick; `on_file` goes on in a SQLite database that holds the same.
    """

    current: ClassVar[FaultyWorld]
    """The one whose ports the container gives; making a container takes longer than what is done with it."""

    def __init__(self) -> None:
        FaultyWorld.current = self
        self.webhooks = MemoryWebhookSender()
        self.tap: Any = FaultyTap()
        self.clock = FixedClock()
        self.randomness = SeededRandomness()
        self.hasher = Hasher()
        self.mailer = Mailer()
        self._tokens = MemoryTokens(self.clock)
        self.memory = MemoryStorage()
        self.file: SqliteFile | None = None
        for singleton in _singletons():
            singleton.reset()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in _use_cases():
            raise AttributeError(name)
        use_case = self.tap.on_use_case(self.as_wired(name))
        setattr(self, name, use_case)
        return use_case

    def forget_use_cases(self) -> None:
        """What was used until now is not counted as used."""
        self.tap.used.clear()
        for name in _use_cases():
            vars(self).pop(name, None)

    def as_wired(self, name: str) -> Any:
        """What the container makes under this name."""
        return getattr(_container(), name)()

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self.storage.begin()

    def read(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self.storage.read()

    @property
    def storage(self) -> Any:
        return self.file.storage if self.file else self.memory

    def on_file(self, file: SqliteFile) -> None:
        self.file = file

    def state(self) -> Any:
        return self.file.state() if self.file else self.memory.committed()

    def sketch(self) -> dict[str, Any]:
        """What is stored, without the random values: how many of each, and what was noted down in words."""
        if self.file:
            return self.file.sketch()
        state = self.memory.committed()
        return {
            **{part.name: len(getattr(state, part.name)) for part in fields(state)},
            "audit": [event.kind for event in state.events],
            "mail": sorted(queued.intent.kind for queued in state.outbox.values()),
        }


@functools.cache
def _container() -> Container:
    container = build_container(SETTINGS)

    def override(name: str, current: Callable[[FaultyWorld], Any]) -> None:
        getattr(container, name).override(Current(lambda: current(FaultyWorld.current)))

    override("clock", lambda world: world.clock)
    override("randomness", lambda world: world.randomness)
    override("hasher", lambda world: world.hasher)
    override("mailer", lambda world: world.mailer)
    override("webhook_sender", lambda world: world.webhooks)
    override("tokens", lambda world: world._tokens)
    override("storage", lambda world: world)
    container.renderer.override(Object(renderer()))
    container.schema.override(Object(MemorySchema()))
    container.sealed_keys.override(
        Singleton(RepeatableKeys, vault=container.vault, randomness=container.randomness, algorithm="ES256")
    )
    container.judge_password.add_kwargs(
        common_passwords=Object(WordList([COMMON_PASSWORD.reveal(), "12345678"]))
    )
    return container


@functools.cache
def _use_cases() -> dict[str, type]:
    return use_cases(_container())


@functools.cache
def _singletons() -> list[Any]:
    """All that may hold state, however deep."""
    return [provider for provider in _container().traverse() if isinstance(provider, BaseSingleton)]
