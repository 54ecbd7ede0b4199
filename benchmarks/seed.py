"""`python -m benchmarks.seed --users 1000000 URL`: fills a migrated database of the service.

All users have one password hash, for a million would take seven hours. Each has a session, so that those
tables grow too that every request reads.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.rows import insert, password_hash
from benchmarks.subjects import PASSWORD

_USER = ("username", "username_key", "email", "email_key", "password_hash", "joined_at")
_USER += ("password_changed_at", "superuser_since", "version")
_SESSION = ("id", "user_id", "current_jti", "created_at", "last_used_at", "expires_at")
_SESSION += ("client_address", "client_user_agent")


def seed(database_url: str, *, users: int, sessions: bool = True, tell: bool = False) -> None:
    """Into a database without any user: user0, who is a superuser, user1, ... with the ids 1, 2, ..."""
    began = time.monotonic()

    def progress(table: str, done: int) -> None:
        if tell:
            elapsed = time.monotonic() - began
            print(f"\r{table}: {done:,} of {users:,}, {elapsed:.0f} s", end="", file=sys.stderr, flush=True)

    now = datetime.now(UTC)
    insert(database_url, "users", _USER, _users(users, now), progress=lambda n: progress("users", n))
    if sessions:
        rows = _sessions(users, now)
        insert(database_url, "sessions", _SESSION, rows, progress=lambda n: progress("sessions", n))
    if tell:
        print(f"\n{users:,} users with the password {PASSWORD}", file=sys.stderr)


def _users(count: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    for n in range(count):
        name, address = f"user{n}", f"user{n}@example.com"
        yield name, name, address, address, password_hash(), now, now, now if n == 0 else None, 1


def _sessions(count: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    for n in range(count):
        yield (
            uuid.uuid4().hex,
            n + 1,
            uuid.uuid4().hex,
            now,
            now,
            now + timedelta(days=30),
            "127.0.0.1",
            "seed",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed", description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--without-sessions", action="store_true")
    parser.add_argument("url", help="sqlite:///PATH or postgresql://user@host/name, migrated and empty")
    chosen = parser.parse_args()
    seed(chosen.url, users=chosen.users, sessions=not chosen.without_sessions, tell=True)


if __name__ == "__main__":
    main()
