"""Two processes on one database: each knows at once what the other did, and goes on with what it left."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from sqlalchemy import insert
from tests.databases import execute

from identity.adapters.sql.dialects import DIALECTS
from identity.adapters.sql.schema import signing_keys

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb"], scope="module")

PASSWORD = "yourpassword123"
LEASE = 3.0  # seconds
WINDOW = 2  # seconds in which a superseded refresh token is still honoured
QUICKLY = {
    "identity.entrypoints.worker:PAUSE": 0.1,
    "identity.entrypoints.worker:LANES": 1,  # a process has one mail on its way
    "identity.application.courier:LEASE": LEASE,
    "identity.application.courier:SENDING_LIMIT": 60.0,
}
PATIENTLY = {  # so that a process waits for another one's start
    "identity.adapters.sql.postgresql:LOCK_PATIENCE": 15.0,
    "identity.adapters.sql.mariadb:LOCK_PATIENCE": 15.0,
}
WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist "
    "WHERE db = DATABASE() AND (state = 'User lock' OR info LIKE 'INSERT INTO signing_keys%')",
}
"""How many connections to the database wait for a lock."""


@contextlib.contextmanager
def held_back(url, hold, eventually):
    """Two processes that the block starts, until both wait for what `hold` does in a transaction.

    Which is then rolled back, so that both go on at the same moment.
    """
    kind = url.partition(":")[0]
    engine, _ = DIALECTS[kind].engines(url, connections=1, patience=timedelta(seconds=5))
    with contextlib.ExitStack() as holding, asyncio.Runner() as runner:

        async def begin():
            connection = await engine.connect()
            await connection.run_sync(lambda connection: holding.enter_context(hold(connection)))
            return connection

        async def end():
            await connection.run_sync(lambda _: holding.close())
            await connection.close()
            await engine.dispose()

        connection = runner.run(begin())
        try:
            yield
            eventually(lambda: execute(kind, url, WAITING[kind]) == [(2,)])
        finally:
            runner.run(end())


@pytest.fixture(scope="module")
def pair(kind, shared_commands, shared_smtp, eventually):
    """Two servers that found the same database empty."""
    url = shared_commands.settings["database_url"]
    with held_back(url, DIALECTS[kind].schema_lock, eventually):
        pair = shared_commands.serve_twice(
            wait=False, limits=QUICKLY, mail_url=shared_smtp.url, reuse_window=WINDOW
        )
    pair.wait_until_ready()
    yield pair
    pair.kill()
    assert " ERROR " not in pair.text
    assert "Traceback" not in pair.text


@pytest.fixture
def joining(pair, shared_commands, shared_smtp):
    """A third server, which a test may end."""
    yield (server := shared_commands.serve(limits=QUICKLY, mail_url=shared_smtp.url))
    server.kill()
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text


def refresh(server, tokens):
    """The tokens that replace these."""
    answer = server.post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def may_enter(server, tokens):
    answer = server.get("/api/user/profile/", access=tokens["access"])
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


def is_over(server, tokens):
    """Whether neither of the tokens is worth anything to this server."""
    answer = server.post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]})
    refused = {"detail": "Token is blacklisted", "code": "token_not_valid"}
    return (answer.status_code, answer.json()) == (401, refused) and not may_enter(server, tokens)


def kid(tokens):
    return jwt.get_unverified_header(tokens["access"])["kid"]


# Starting


def test_two_that_migrate_an_empty_database_at_once_both_come_up_on_one_schema(pair):
    assert len(pair.rows("SELECT version_num FROM alembic_version")) == 1
    for server in pair.servers:
        assert server.get("/health/ready").status_code == 200


def test_of_two_that_make_the_first_key_at_once_each_accepts_what_the_other_signs(commands, kind, eventually):
    @contextlib.contextmanager
    def a_first_key(connection):
        key = {"kid": "rolled back", "algorithm": "", "sealed_private_key": b"", "is_first": 1}
        connection.execute(insert(signing_keys).values(**key, created_at=datetime.now(UTC)))
        yield

    with held_back(commands.settings["database_url"], a_first_key, eventually):
        pair = commands.serve_twice(wait=False, limits=PATIENTLY, deliver_mail="false")
    pair.wait_until_ready()
    pair.register("john")
    one, other = pair.servers
    of_one, of_other = one.log_in("john"), other.log_in("john")
    assert may_enter(other, of_one)
    assert may_enter(one, of_other)
    assert pair.rows("SELECT kid FROM signing_keys") == [(kid(of_one),)] == [(kid(of_other),)]


# Sessions


def test_a_login_at_one_is_good_at_the_other_at_once(pair):
    one, other = pair.servers
    one.register("login")
    tokens = one.log_in("login")
    assert may_enter(other, tokens)
    for token in tokens.values():
        assert other.post("/api/auth/token/verify/", {"token": token}).status_code == 200


def test_a_logout_at_one_holds_for_the_very_next_request_to_the_other(pair):
    one, other = pair.servers
    one.register("logout")
    tokens = one.log_in("logout")
    assert may_enter(one, tokens)
    assert may_enter(other, tokens)
    assert one.post("/api/auth/logout/", {"refresh": tokens["refresh"]}).status_code == 200
    assert not may_enter(other, tokens)
    assert is_over(other, tokens)
    assert is_over(one, tokens)


def test_a_session_that_is_refreshed_at_one_goes_on_at_the_other(pair):
    one, other = pair.servers
    one.register("refresh")
    tokens = one.log_in("refresh")
    for server in (one, other, one, other):
        tokens = refresh(server, tokens)
        assert may_enter(one, tokens)
        assert may_enter(other, tokens)


def test_a_refresh_token_that_comes_back_at_one_ends_the_session_at_the_other(pair, shared_smtp):
    one, other = pair.servers
    one.register("reuse")
    stolen = one.log_in("reuse")
    used = refresh(one, stolen)
    tokens = refresh(other, used)
    time.sleep(WINDOW + 0.1)
    assert may_enter(one, tokens)
    assert other.post("/api/auth/token/refresh/", {"refresh": stolen["refresh"]}).status_code == 401
    assert not may_enter(one, tokens)
    assert is_over(one, tokens)
    assert is_over(other, tokens)
    assert pair.audited("reuse").count("RefreshTokenReused") == 1
    shared_smtp.arrives("reuse")


def test_a_password_change_at_one_ends_the_other_sessions_at_the_other_at_once(pair):
    one, other = pair.servers
    one.register("change")
    own, another = one.log_in("change"), other.log_in("change")
    assert may_enter(other, another)
    change = {"old_password": PASSWORD, "new_password": "yournewpassword123"}
    assert one.post("/api/user/change-password/", change, access=own["access"]).status_code == 200
    assert not may_enter(other, another)
    assert is_over(other, another)
    assert may_enter(other, own)
    assert not other.can_log_in("change")
    assert other.can_log_in("change", "yournewpassword123")


# Mail


@pytest.mark.parametrize("answer", ["stall", "hold"])
def test_a_mail_whose_worker_is_killed_is_delivered_by_another_when_its_lease_is_over(
    pair, joining, shared_smtp, eventually, answer
):
    names = [f"{answer}-{i}" for i in range(3)]  # so each process has one of them on its way
    for name in names:
        pair.register(name)
        shared_smtp.answers[f"{name}@example.com"] = answer
    asked = time.monotonic()
    for name in names:
        pair.forgot(name)
    for name in names:
        shared_smtp.wait_until_stalled(name)
    joining.kill()
    for name in names:
        shared_smtp.go_on(name)
    eventually(lambda: pair.rows("SELECT id FROM outbox") == [])
    assert time.monotonic() - asked > LEASE

    copies = [[mail["Message-ID"] for mail in shared_smtp.to(name)] for name in names]
    assert sorted(len(ids) for ids in copies) == [1, 1, 2 if answer == shared_smtp.HOLD else 1]
    assert [len(set(ids)) for ids in copies] == [1, 1, 1]
    for name in names:
        assert pair.reset(shared_smtp.link(name)).status_code == 200


# Stopping


def test_while_one_stops_no_request_to_the_other_fails(pair, joining, eventually):
    stays, leaves = pair.servers[0], joining
    stays.register("stays")
    tokens = stays.log_in("stays")
    login = ("/api/auth/login/", {"username": "stays", "password": PASSWORD})
    here, there = stays.aim([login] * 8).fire(), leaves.aim([login] * 8).fire()
    there.wait_for_the_first()
    leaves.process.send_signal(signal.SIGTERM)

    def has_left():
        assert may_enter(stays, tokens)
        tokens.update(refresh(stays, tokens))
        return leaves.process.poll() is not None

    eventually(has_left)
    assert leaves.process.returncode == 0
    assert Counter(answer.status for answer in here.answers() + there.answers()) == {200: 16}
    assert may_enter(stays, tokens)
