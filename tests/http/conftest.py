"""The service behind its HTTP interface, in this process, on each storage; and its public verbs."""

from __future__ import annotations

import copy
import gc
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any, NamedTuple

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import AsyncTestClient
from tests.application.sqlite_file import SqliteFile

from identity.adapters.memory import FixedClock, PlainHasher
from identity.application.mail import Message
from identity.application.throttling import Buckets
from identity.container import Container, build_container
from identity.domain.names import Username
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.throttling import Backoff, Window
from identity.domain.user import User
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

PASSWORD = "yourpassword123"


def pytest_collection_finish() -> None:
    """Spares the garbage collector what importing has made; it took a third of the time of these tests."""
    gc.freeze()


class TokenPair(NamedTuple):
    access: str
    refresh: str


class Link(NamedTuple):
    """What a mailed link carries."""

    uidb64: str
    token: str


class CountingHasher(PlainHasher):
    """A cheap hasher that says how often it worked."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def raise_cost(self) -> None:
        """From now on, the hashes made before are outdated."""
        super().__init__(cost=2)

    async def hash(self, password: Secret) -> PasswordHash:
        self.count += 1
        return await super().hash(password)

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        self.count += 1
        return await super().verify(password, password_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    client: AsyncTestClient[Litestar]
    container: Container
    clock: FixedClock
    hasher: CountingHasher
    access: str = ""
    """Of john_doe, where the service is shared."""

    # Requests

    async def post(self, path: str, body: object, *, access: str | None = None) -> Response:
        return await self.client.post(path, json=body, headers=bearer(access))

    async def get(self, path: str, *, access: str | None = None) -> Response:
        return await self.client.get(path, headers=bearer(access))

    async def register(
        self, username: str = "john_doe", email: str = "john@example.com", password: str = PASSWORD
    ) -> None:
        body = {"username": username, "email": email, "password": password}
        answer = await self.post("/api/auth/register/", body)
        assert answer.status_code == 201, answer.text

    async def log_in(self, username: str = "john_doe", password: str = PASSWORD) -> TokenPair:
        answer = await self.post("/api/auth/login/", {"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return TokenPair(**answer.json())

    async def can_log_in(self, username: str = "john_doe", password: str = PASSWORD) -> bool:
        answer = await self.post("/api/auth/login/", {"username": username, "password": password})
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200

    async def refresh(self, refresh: str) -> Response:
        return await self.post("/api/auth/token/refresh/", {"refresh": refresh})

    async def profile(self, access: str) -> Response:
        return await self.get("/api/user/profile/", access=access)

    async def update_profile(self, access: str, body: object) -> Response:
        return await self.client.patch("/api/user/profile/", json=body, headers=bearer(access))

    async def change_email(
        self, access: str, new_email: object = "john@example.net", password: object = PASSWORD
    ) -> Response:
        body = {"new_email": new_email, "password": password}
        return await self.post("/api/user/change-email/", body, access=access)

    async def confirm_email_change(self, link: Link) -> Response:
        return await self.post("/api/auth/confirm-email-change/", link._asdict())

    async def undo_email_change(self, link: Link) -> Response:
        return await self.post("/api/auth/undo-email-change/", link._asdict())

    async def change_password(
        self, access: str, old: str = PASSWORD, new: str = "yournewpassword123"
    ) -> None:
        body = {"old_password": old, "new_password": new}
        answer = await self.post("/api/user/change-password/", body, access=access)
        assert answer.status_code == 200, answer.text

    async def forgot(self, email: object = "john@example.com") -> Response:
        return await self.post("/api/auth/forgot-password/", {"email": email})

    async def reset(self, link: Link, password: str = "newpassword123") -> Response:
        return await self.post("/api/auth/reset-password/", {**link._asdict(), "password": password})

    # Mail

    async def deliver(self) -> list[Message]:
        """Delivers until nothing is due; the mails that went out."""
        deliver_mail = self.container.deliver_mail()
        sent = self.container.mailer().sent
        before = len(sent)

        async def deliver_all() -> None:
            while await deliver_mail():
                pass

        self.in_the_app(deliver_all)
        return sent[before:]

    def last_mail(self) -> Message:
        return self.container.mailer().sent[-1]

    def link(self, page: str = "(?:reset-password|verify-email)") -> Link:
        """What stands in the link to this page that was mailed last."""
        pattern = rf"http://localhost:3000/{page}/([\w-]+)/([\w-]+)"
        links = re.findall(pattern, "".join(mail.text for mail in self.container.mailer().sent))
        return Link(*links[-1])

    async def reset_link(self, email: str = "john@example.com") -> Link:
        await self.deliver()  # what else was waiting
        assert (await self.forgot(email)).status_code == 200
        assert len(await self.deliver()) == 1
        return self.link()

    def has_mail_waiting(self) -> bool:
        async def oldest() -> object:
            async with self.container.read()() as uow:
                return await uow.outbox.oldest()

        return self.in_the_app(oldest) is not None

    # What has no public verb

    def user(self, username: str = "john_doe") -> User:
        async def find() -> User | None:
            async with self.container.read()() as uow:
                return await uow.users.with_username(Username(username))

        user = self.in_the_app(find)
        assert user
        return user

    def disable(self, username: str = "john_doe") -> None:
        user = self.user(username)

        async def disable() -> None:
            async with self.container.begin()() as uow:
                await uow.users.save(user.disabled(at=self.clock.now()))

        self.in_the_app(disable)

    def in_the_app(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Runs it in the event loop of the application: the test client has one in a thread of its own."""
        return self.client.blocking_portal.call(call)


def bearer(access: str | None) -> dict[str, str]:
    return {} if access is None else {"Authorization": f"Bearer {access}"}


# A test fails to log in as often as it likes, at a moment at which the clock stands still.
_WITHOUT_LIMIT = Buckets(
    key=b"a key for limits",
    per_account=Backoff(free=1_000_000, stop=1_000_000),
    failures_per_address=Window(limit=1_000_000, length=timedelta(minutes=5)),
    requests_per_address=Window(limit=1_000_000, length=timedelta(minutes=5)),
)


@asynccontextmanager
async def running(
    database_url: str,
    *,
    overrides: dict[str, object] | None = None,
    is_throttled: bool = False,
    **settings: Any,
) -> AsyncIterator[Service]:
    own: dict[str, Any] = {"email_verification": "off"}  # what a test finds in the outbox is its own matter
    container = build_container(
        Settings(database_url=database_url, mail_url="memory:", secret=Secret("s" * 32), **own | settings)
    )
    clock, hasher = FixedClock(), CountingHasher()
    without_limit = {} if is_throttled else {"buckets": _WITHOUT_LIMIT}
    stand_ins = {"clock": clock, "hasher": hasher, **without_limit, **(overrides or {})}
    for port, adapter in stand_ins.items():
        getattr(container, port).override(adapter)
    async with AsyncTestClient(create_app(container)) as client:
        client.follow_redirects = False
        service = Service(client=client, container=container, clock=clock, hasher=hasher)
        try:
            service.in_the_app(container.schema().upgrade)
            yield service
        finally:
            service.in_the_app(container.storage().dispose)


@pytest.fixture(scope="session", params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
async def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and nothing else, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "identity.db"
    async with running(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture
def database_url(storage: str, empty_database: Path, tmp_path: Path) -> str:
    if storage == "memory":
        return "memory:"
    return f"sqlite:///{copyfile(empty_database, tmp_path / 'identity.db')}"


class Reused:
    """Services by their settings. Each is built once: that takes longer than what most tests ask of it."""

    def __init__(self, new_database: Callable[[], str], services: AsyncExitStack) -> None:
        self._new_database = new_database
        self._services = services
        self._beginnings: dict[tuple[tuple[str, Any], ...], Beginning] = {}

    async def __call__(self, **settings: Any) -> Service:
        """One that nobody has used yet, or is as if nobody had. It is for one test, which has no other."""
        key = tuple(sorted(settings.items()))
        if key not in self._beginnings:
            url = self._new_database()
            service = await self._services.enter_async_context(running(url, **settings))
            file = None if url == "memory:" else SqliteFile(url)
            if file:
                self._services.push_async_callback(file.close)
            self._beginnings[key] = Beginning(service, file)
        beginning = self._beginnings[key]
        beginning.put_back()
        return beginning.service


class Beginning:
    """What a service was like when it had just made its first key, to be put back."""

    def __init__(self, service: Service, file: SqliteFile | None) -> None:
        self.service = service
        self._file = file
        self._headers = service.client.headers.copy()
        container = service.container
        service.in_the_app(container.keyring().signing)
        adapters = [container.limiter(), container.keyring(), container.mailer()]
        stand_ins = [service.clock, service.hasher]
        self._kept = [
            (each, _contents(vars(each)))
            for each in (*adapters, *stand_ins, *([] if file else [container.storage()]))
        ]
        if file:
            file.keep()

    def put_back(self) -> None:
        self.service.client.cookies.clear()
        self.service.client.headers = self._headers.copy()
        for each, contents in self._kept:
            vars(each).clear()
            vars(each).update(_contents(contents))
        if self._file:
            self._file.put_back()


def _contents(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes, of which those that are changed in place are copied."""
    in_place = (dict, list, itertools.count)
    return {
        name: copy.copy(value) if isinstance(value, in_place) else value for name, value in attributes.items()
    }


@pytest.fixture(scope="session")
async def reused(
    storage: str, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reused]:
    def new_database() -> str:
        if storage == "memory":
            return "memory:"
        return f"sqlite:///{copyfile(empty_database, tmp_path_factory.mktemp('reused') / 'identity.db')}"

    async with AsyncExitStack() as services:
        yield Reused(new_database, services)


@pytest.fixture
async def service(reused: Reused) -> Service:
    """A service that nobody has used yet."""
    return await reused()


@pytest.fixture
async def start(database_url: str) -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    """Starts a service with other settings, or with other adapters: `start(overrides={"hasher": ...})`."""
    async with AsyncExitStack() as services:

        async def start(**how: Any) -> Service:
            return await services.enter_async_context(running(database_url, **how))

        yield start


@pytest.fixture(scope="session")
async def shared_service(storage: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A service for all tests that do no more than log in. It knows john_doe; its clock stands still."""
    path = tmp_path_factory.mktemp("shared") / "identity.db"
    url = "memory:" if storage == "memory" else f"sqlite:///{path}"
    async with running(url, sessions_per_account=10_000) as service:
        await service.register()
        yield replace(service, access=(await service.log_in()).access)
