"""The profile as a bare ASGI application: verify the token, one SELECT by the driver itself, msgspec.

Of no use but as a measure: no other route, no time, no refusal in words.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiosqlite
import asyncpg
import jwt
import msgspec

DATABASE_URL = os.environ["BENCH_DATABASE_URL"]
CONNECTIONS = int(os.environ["BENCH_CONNECTIONS"])
KEYS = {each["kid"]: jwt.PyJWK(each) for each in json.loads(os.environ["BENCH_KEYS"])["keys"]}
CACHED = os.environ["BENCH_CACHE"] == "1"
AUDIENCE = os.environ["BENCH_AUDIENCE"]
MOST_CACHED = 10_000
COLUMNS = "users.id, username, email, joined_at, password_changed_at, last_used_at, expires_at, revoked_at"
QUERY = f"SELECT {COLUMNS}, disabled_at FROM sessions JOIN users ON users.id = user_id WHERE sessions.id = "  # noqa: S608
HEADERS = [(b"content-type", b"application/json")]

Scope = MutableMapping[str, Any]
encode = msgspec.json.Encoder().encode
verified: dict[str, dict[str, Any]] = {}


class Profile(msgspec.Struct):
    id: int
    username: str
    email: str
    date_joined: datetime
    last_updated: datetime


async def _leave_as_it_is(_: object) -> None:
    """A single SELECT leaves nothing behind; the pool's own reset would be a second statement."""


class Postgresql:
    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            DATABASE_URL, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_leave_as_it_is
        )

    async def find(self, session: str) -> Any:
        async with self._pool.acquire() as connection:
            return await connection.fetchrow(QUERY + "$1", session)

    async def close(self) -> None:
        await self._pool.close()


class Sqlite:
    def __init__(self) -> None:
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            path = DATABASE_URL.removeprefix("sqlite:///")
            self._free.put_nowait(await aiosqlite.connect(path, isolation_level=None))

    async def find(self, session: str) -> Any:
        async with self._borrowed() as connection:
            rows = await connection.execute_fetchall(QUERY + "?", (session,))
            row = list(next(iter(rows)))
        return [*row[:3], *(text and datetime.fromisoformat(text).replace(tzinfo=UTC) for text in row[3:])]

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[aiosqlite.Connection]:
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)

    async def close(self) -> None:
        while not self._free.empty():
            await self._free.get_nowait().close()


storage = Sqlite() if DATABASE_URL.startswith("sqlite:") else Postgresql()


def verify(token: str) -> dict[str, Any]:
    claims = verified.get(token) if CACHED else None
    if claims is None:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE)
        if CACHED:
            if len(verified) >= MOST_CACHED:
                verified.clear()
            verified[token] = claims
    return claims


async def app(
    scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    token = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    if token is None:
        await send({"type": "http.response.start", "status": 401, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"{}"})
        return
    claims = verify(token[7:].decode())
    row = await storage.find(claims["sid"])
    now = datetime.now(UTC)
    user_id, username, email, joined_at, changed_at, _, expires_at, revoked_at, disabled_at = row
    is_live = (
        revoked_at is None and disabled_at is None and expires_at > now and user_id == int(claims["sub"])
    )
    body = encode(Profile(user_id, username, email, joined_at, changed_at)) if is_live else b"{}"
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": 200 if is_live else 401, "headers": [*HEADERS, length]}
    )
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await storage.open()
            await send({"type": "lifespan.startup.complete"})
        else:
            await storage.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
