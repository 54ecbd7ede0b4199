"""A database that is locked, full or read-only: 503, nothing half-written, and recovery without a restart."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3

import pytest

resource = pytest.importorskip("resource")

PASSWORD = "yourpassword123"
UNAVAILABLE = {"detail": "Service temporarily unavailable, try again later."}
TABLES = ("users", "sessions", "one_time_tokens", "outbox", "audit_events")
BUSY_TIMEOUT, MARGIN = 10.0, 4.0  # seconds: half for the turn in this process, half for the file's lock


@pytest.fixture(scope="module")
def server(shared_commands):
    return shared_commands.serve(deliver_mail="false")


def contents(server):
    return {table: server.rows(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608


def writes(name, tokens):
    """Requests that each have something to write: what they ask, and how they are answered in good times."""
    change = {"old_password": PASSWORD, "new_password": "yournewpassword123"}
    another = {"username": f"not-{name}", "email": f"not-{name}@example.com", "password": PASSWORD}
    return [
        (("/api/auth/register/", another), 201),
        (("/api/auth/login/", {"username": name, "password": PASSWORD}), 200),
        (("/api/auth/token/refresh/", {"refresh": tokens["refresh"]}), 200),
        (("/api/auth/forgot-password/", {"email": f"{name}@example.com"}), 200),
        (("/api/user/change-password/", change, tokens["access"]), 200),
        (("/api/auth/logout/", {"refresh": tokens["refresh"]}), 200),
    ]


def refuses_all_writes(server, name, tokens):
    """Every write is answered with 503 and changes nothing; reads go on. How long the slowest took."""
    before = contents(server)
    answers = server.at_once([request for request, _ in writes(name, tokens)])
    for answer in answers:
        assert (answer.status, answer.body) == (503, UNAVAILABLE)
        assert int(answer.headers["Retry-After"]) >= 1
    assert server.get("/api/user/profile/", access=tokens["access"]).status_code == 200
    assert contents(server) == before
    return max(answer.seconds for answer in answers)


def does_all_writes(server, name, tokens):
    for request, status in writes(name, tokens):
        path, body, *access = request
        answer = server.post(path, body, access=access[0] if access else None)
        assert answer.status_code == status, (path, answer.text)
    assert server.rows("PRAGMA integrity_check") == [("ok",)]
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text


def test_a_database_that_is_locked_for_long_is_503_and_recovers_when_it_is_released(server):
    server.register("long")
    tokens = server.log_in("long")
    with contextlib.closing(sqlite3.connect(server.database, isolation_level=None)) as other_process:
        other_process.execute("BEGIN IMMEDIATE")
        assert refuses_all_writes(server, "long", tokens) < BUSY_TIMEOUT + MARGIN
        assert server.get("/health/ready").status_code == 200
    does_all_writes(server, "long", tokens)


def test_a_database_that_is_locked_for_a_moment_is_waited_for(server):
    server.register("moment")
    tokens = server.log_in("moment")
    requests = [request for request, _ in writes("moment", tokens)][:4]
    with contextlib.closing(sqlite3.connect(server.database, isolation_level=None)) as other_process:
        other_process.execute("BEGIN IMMEDIATE")
        volley = server.aim(requests).fire()
        assert server.get("/api/user/profile/", access=tokens["access"]).status_code == 200
        other_process.execute("COMMIT")
    assert [answer.status for answer in volley.answers()] == [201, 200, 200, 200]


@pytest.fixture
def full_disk():
    """To the server every file ends where a page of the write-ahead log would not fit any more."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("no limit can be set on another process's files")

    @contextlib.contextmanager
    def full_disk(server):
        before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
        yield
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)

    return full_disk


def test_a_full_disk_is_503_and_recovers_when_there_is_room_again(server, full_disk):
    server.register("full")
    tokens = server.log_in("full")
    with full_disk(server):
        refuses_all_writes(server, "full", tokens)
    does_all_writes(server, "full", tokens)


def test_a_file_that_is_read_only_is_503_and_recovers_when_it_is_writable_again(serve, full_disk):
    server = serve(deliver_mail="false", prefix=as_an_ordinary_user())
    server.register("readonly")
    tokens = server.log_in("readonly")
    with full_disk(server):  # after which the server opens the file anew
        refuses_all_writes(server, "readonly", tokens)
        server.database.chmod(0o400)
    refuses_all_writes(server, "readonly", tokens)
    server.database.chmod(0o600)
    does_all_writes(server, "readonly", tokens)


def as_an_ordinary_user():
    """The command before ours, under which permissions hold for root too."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write to any file, and there is no setpriv to change that")
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def test_what_is_written_while_others_read_the_file_survives_a_crash(serve):
    # SQLite's locks belong to the process, and go when any code in it closes the file. Whoever reads the file
    # then takes himself for the last, and deletes the log that the server goes on writing to.
    server = serve(deliver_mail="false")
    server.register("john")
    for i in range(3):
        server.at_once([("/api/auth/login/", {"username": f"nobody-{i}", "password": PASSWORD})] * 20)
        assert len(server.rows("SELECT id FROM users")) == i + 1
        server.register(f"user-{i}")
        assert len(server.rows("SELECT id FROM users")) == i + 2
    server.kill()
    assert server.rows("PRAGMA integrity_check") == [("ok",)]
    assert server.rows("SELECT username FROM users ORDER BY id") == [
        ("john",),
        *((f"user-{i}",) for i in range(3)),
    ]
