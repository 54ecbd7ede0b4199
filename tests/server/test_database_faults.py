"""A database server that is away, restarted, silent, busy or full: 503 in time, then all is well again.

Nothing is ever half-done.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url
from tests.servers import MOST_CONNECTIONS, Proxy, private_server

from identity.adapters.sql.dialects import DIALECTS

EX_UNAVAILABLE = 69
PASSWORD = "yourpassword123"
SECRET = secrets.token_urlsafe(32)
UNAVAILABLE = {"detail": "Service temporarily unavailable, try again later."}
MARGIN = 3.0  # seconds, for machines that do something else besides
TIMEOUT = 12.0  # seconds: a unit of work, and taking leave of a server that does not answer
LOCK_TIMEOUT = {"postgresql": 2.0, "mariadb": 4 * 2.0}  # MariaDB's is a reason to try again, three times
RECOVERY = 5.0 + 1.0
SERVER_POOLS_IDLE = 1.0  # seconds after which a connection is asked whether it still lives


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def private(request):
    with private_server(request.param) as server:
        yield server


@pytest.fixture
def database(private):
    """A server of one's own, that runs."""
    if not private.is_running:
        private.start()
    return private


def using(url):
    return {"database_url": url, "secret": SECRET, "auto_migrate": "true"}


@pytest.fixture(scope="module")
def shared_way(private):
    with contextlib.closing(Proxy(private.url)) as way:
        yield way


@pytest.fixture(scope="module")
def shared_service(private, shared_way, shared_commands):
    if not private.is_running:
        private.start()
    server = shared_commands.serve(**using(shared_way.url), deliver_mail="false")
    yield server
    server.kill()


@pytest.fixture
def way(shared_way):
    """The way from `service` to its database."""
    yield shared_way
    shared_way.go_on()


@pytest.fixture
def service(database, way, shared_service):
    shared_service.wait_until_ready()
    return shared_service


def is_unavailable(answer):
    """In the words of the contract, whichever client got the answer."""
    status = getattr(answer, "status_code", None) or answer.status
    if status != 503:
        return False
    body = answer.body if hasattr(answer, "body") else answer.json()
    assert body == UNAVAILABLE
    assert int(answer.headers["Retry-After"]) >= 1
    return True


def log_in(server, name):
    return server.post("/api/auth/login/", {"username": name, "password": PASSWORD})


def register(server, name):
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    return server.post("/api/auth/register/", body)


def recovers(ask):
    """The request succeeds soon, though perhaps not at once; until then it is answered with 503."""
    deadline = time.monotonic() + RECOVERY
    while (answer := ask()).status_code != 200:
        assert is_unavailable(answer), answer.text
        assert time.monotonic() < deadline, f"not within {RECOVERY} seconds"
        time.sleep(0.05)
    assert time.monotonic() < deadline
    return answer


def had_no_error(server):
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text
    return True


def parts(database, name):
    """How many accounts have this name, how many events belong to those, and how many sessions."""
    names = dict(database.execute("SELECT id, username_key FROM users"))
    counts = [list(names.values()).count(name)]
    for table in ("audit_events", "sessions"):
        rows = database.execute(f"SELECT user_id FROM {table}")  # noqa: S608
        counts.append([names.get(user_id) for (user_id,) in rows].count(name))
    return tuple(counts)


def all_rows(database):
    tables = ("users", "sessions", "one_time_tokens", "outbox", "audit_events")
    return {table: sorted(map(str, database.execute(f"SELECT * FROM {table}"))) for table in tables}  # noqa: S608


# --- at the start ----------------------------------------------------------------------------------------


@pytest.fixture
def deserted_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        yield bound.getsockname()[1]


def said(command):
    """What it said besides that it waits, which it says at most once."""
    assert "Traceback" not in command.text
    lines = command.text.splitlines()
    others = [line for line in lines if "waiting for the database: " not in line]
    assert len(lines) - len(others) <= 1
    return others


@pytest.mark.parametrize("arguments", ["serve", "migrate"])
@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_database_that_does_not_come_up_ends_the_start_in_one_line_after_a_while(
    commands, deserted_port, scheme, arguments
):
    url = f"{scheme}://identity:the-password@127.0.0.1:{deserted_port}/identity"
    began = time.monotonic()
    command = commands.run(arguments, **using(url), startup_wait="2s", port=0)
    assert time.monotonic() - began > 2
    assert command.process.returncode == EX_UNAVAILABLE
    assert command.text.count("waiting for the database: ") == 1
    (line,) = said(command)
    assert line.startswith("identity: cannot use the database: ")
    assert "the-password" not in command.text


WRONG = {
    "password": ({"password": "the-wrong-password"}, {"postgresql": "password", "mariadb": "denied"}),
    "database": ({"database": "nowhere"}, {"postgresql": "nowhere", "mariadb": "nowhere"}),
    "host": ({"host": "database.invalid"}, {"postgresql": "reached", "mariadb": "database.invalid"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_in_the_url_is_named_in_one_line_that_has_no_secret(commands, database, what):
    changes, reason = WRONG[what]
    url = make_url(database.url).set(**changes)
    command = commands.run(
        "serve", **using(url.render_as_string(hide_password=False)), startup_wait="0s", port=0
    )
    assert command.process.returncode == EX_UNAVAILABLE
    (line,) = said(command)
    assert line.startswith("identity: cannot use the database: ")
    assert reason[database.kind] in line
    for secret in (url.password, SECRET):
        assert secret not in command.text


def test_a_service_that_starts_before_its_database_waits_for_it(commands, database, eventually):
    database.stop()
    server = commands.serve(wait=False, **using(database.url))
    eventually(lambda: "waiting for the database: " in server.text)
    time.sleep(1)
    assert server.process.poll() is None
    database.start()
    server.wait_until_it_listens()
    server.wait_until_ready()
    server.register(f"early-{database.kind}")
    assert server.can_log_in(f"early-{database.kind}")
    assert had_no_error(server)


# --- restarted -------------------------------------------------------------------------------------------

QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.2, "identity.application.courier:LEASE": 3.0}


def test_a_restart_of_the_database_needs_none_of_the_service(commands, database, smtp):
    server = commands.serve(**using(database.url), mail_url=smtp.url, limits=QUICKLY)
    server.register("restart")
    tokens = server.log_in("restart")
    server.forgot("restart")
    database.stop()

    for _ in range(2):
        answers = server.at_once(
            [
                ("/api/auth/login/", {"username": "restart", "password": PASSWORD}),
                ("/api/auth/forgot-password/", {"email": "nobody@example.com"}),
                ("/api/auth/token/refresh/", {"refresh": tokens["refresh"]}),
                ("/api/auth/logout/", {"refresh": tokens["refresh"]}),
                *[("/api/auth/login/", {"username": "nobody", "password": PASSWORD})] * 8,
            ]
        )
        assert all(is_unavailable(answer) for answer in answers)
        assert max(answer.seconds for answer in answers) < TIMEOUT
        assert is_unavailable(register(server, "meanwhile"))
        assert is_unavailable(server.get("/api/user/profile/", access=tokens["access"]))
        assert server.get("/health/ready").status_code == 503
        assert server.get("/health/live").status_code == 200

    database.start()
    recovers(lambda: log_in(server, "restart"))
    recovers(lambda: server.get("/api/user/profile/", access=tokens["access"]))
    recovers(lambda: server.get("/health/ready"))
    assert parts(database, "meanwhile") == (0, 0, 0)
    assert server.reset(smtp.link("restart")).status_code == 200
    server.forgot("restart")
    assert had_no_error(server)


def test_requests_that_a_restart_of_the_database_meets_are_done_or_not_done(commands, database):
    server = commands.serve(**using(database.url), deliver_mail="false")
    server.register("met")
    outcomes = Counter()
    for turn, moment in enumerate([0.0, 0.03, 0.1, 0.3]):
        names = [f"met-{turn}-{number}" for number in range(4)]
        bodies = [{"username": n, "email": f"{n}@example.com", "password": PASSWORD} for n in names]
        logins = [("/api/auth/login/", {"username": "met", "password": PASSWORD})] * 4
        volley = server.aim([*[("/api/auth/register/", body) for body in bodies], *logins]).fire()
        time.sleep(moment)
        database.stop()
        answers = volley.answers()
        database.start()
        for answer in answers:
            assert answer.status in {200, 201} or is_unavailable(answer), server.text
            assert answer.seconds < TIMEOUT
        outcomes.update(answer.status for answer in answers)
        for name, answer in zip(names, answers[:4], strict=True):
            there = parts(database, name)
            assert there in {(0, 0, 0), (1, 1, 0)}
            assert answer.status == 503 or there == (1, 1, 0)
        recovers(lambda: log_in(server, "met"))
    assert outcomes[503]
    assert had_no_error(server)


# --- the way to the server -------------------------------------------------------------------------------


def test_after_idle_connections_were_cut_the_next_request_succeeds(service, way):
    service.register("idle")
    tokens = service.log_in("idle")
    for _ in range(2):
        service.at_once([("/api/auth/login/", {"username": "idle", "password": PASSWORD})] * 8)
        assert way.connections > 2
        time.sleep(SERVER_POOLS_IDLE + 0.1)
        way.cut()
        assert log_in(service, "idle").status_code == 200
        assert service.get("/api/user/profile/", access=tokens["access"]).status_code == 200
    assert had_no_error(service)


def test_a_registration_whose_connection_is_cut_is_done_or_not_done(service, database, way):
    assert register(service, "whole").status_code == 201
    before = way.octets["asked"][-1]
    assert register(service, "entire").status_code == 201
    length = way.octets["asked"][-1] - before
    outcomes = Counter()
    for tenth in range(10):
        name = f"cut-{tenth}"
        way.cut_after(1 + length * tenth // 10)
        answer = register(service, name)
        assert answer.status_code == 201 or is_unavailable(answer), answer.text
        outcomes[answer.status_code] += 1
        there = parts(database, name)
        assert there == ((1, 1, 0) if answer.status_code == 201 else (0, 0, 0))
        way.go_on()
        recovers(lambda: log_in(service, "whole"))
        again = register(service, name)
        assert again.status_code == (400 if there[0] else 201), again.text
    assert outcomes[503] >= 5
    assert had_no_error(service)


COMMIT = {"postgresql": b"COMMIT\0", "mariadb": b"COMMIT"}


def test_after_an_unknown_outcome_trying_again_finds_the_account_there_once(service, database, way):
    way.lose_the_answer_to(COMMIT[database.kind], after=b"UserRegistered")
    assert is_unavailable(register(service, "unknown"))
    assert parts(database, "unknown") == (1, 1, 0)
    assert recovers(lambda: log_in(service, "unknown"))
    again = register(service, "unknown")
    assert (again.status_code, list(again.json())) == (400, ["username", "email"])
    assert parts(database, "unknown") == (1, 2, 1)


def test_a_server_that_falls_silent_is_503_in_time_and_used_again_when_it_speaks(service, database, way):
    service.register("silent")
    tokens = service.log_in("silent")
    before = all_rows(database)
    asking = [
        lambda: log_in(service, "silent"),
        lambda: service.get("/api/user/profile/", access=tokens["access"]),
        lambda: register(service, "stillborn"),
        lambda: service.post("/api/auth/forgot-password/", {"email": "silent@example.com"}),
    ]
    way.freeze()
    began = time.monotonic()
    with ThreadPoolExecutor(len(asking) * 2) as threads:
        answers = [future.result() for future in [threads.submit(ask) for ask in asking * 2]]
    assert time.monotonic() - began < TIMEOUT + MARGIN
    assert all(is_unavailable(answer) for answer in answers)
    way.go_on()
    recovers(lambda: service.get("/api/user/profile/", access=tokens["access"]))
    assert all_rows(database) == before
    recovers(lambda: log_in(service, "silent"))
    assert had_no_error(service)


# --- the server has no time, or no room ------------------------------------------------------------------


@contextlib.contextmanager
def strangers(database, connections=1):
    """What others do on the server: a function that connects, and one that executes a query."""
    engine, _ = DIALECTS[database.kind].engines(
        database.url, connections=connections, patience=timedelta(seconds=5)
    )
    connected = []

    async def connect():
        connected.append(await engine.connect())

    async def execute(query):
        return (await connected[0].exec_driver_sql(query)).all()

    async def leave():
        for connection in connected:
            await connection.close()
        await engine.dispose()

    with asyncio.Runner() as runner:
        try:
            yield lambda: runner.run(connect()), lambda query: runner.run(execute(query))
        finally:
            runner.run(leave())


@contextlib.contextmanager
def locked(database, name):
    """Another transaction holds the row of the account."""
    with strangers(database) as (connect, execute):
        connect()
        query = f"SELECT id FROM users WHERE username_key = '{name}' FOR UPDATE"  # noqa: S608
        assert len(execute(query)) == 1
        yield


def test_an_account_that_another_has_locked_is_503_in_time_and_nothing_is_changed(service, database):
    service.register("locked")
    service.register("free")
    tokens = service.log_in("locked")
    before = all_rows(database)
    with locked(database, "locked"):
        began = time.monotonic()
        assert is_unavailable(log_in(service, "locked"))
        assert time.monotonic() - began < LOCK_TIMEOUT[database.kind] + MARGIN
        assert all_rows(database) == before
        assert service.get("/api/user/profile/", access=tokens["access"]).status_code == 200
        assert log_in(service, "free").status_code == 200
    assert log_in(service, "locked").status_code == 200
    assert had_no_error(service)


def test_an_account_that_another_has_locked_for_a_moment_is_waited_for(service, database):
    service.register("moment")
    with locked(database, "moment"):
        volley = service.aim([("/api/auth/login/", {"username": "moment", "password": PASSWORD})]).fire()
        time.sleep(0.7)
    assert [answer.status for answer in volley.answers()] == [200]


GIVE_WAY = {
    "postgresql": (
        """
        CREATE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('attempts') <= {conflicts} THEN RAISE 'on purpose' USING ERRCODE = '40001'; END IF;
            RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER give_way BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION give_way()",
    ),
    "mariadb": (
        """
        CREATE TRIGGER give_way BEFORE INSERT ON audit_events FOR EACH ROW
        BEGIN
            IF NEXTVAL(attempts) <= {conflicts} THEN
                SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1020, MESSAGE_TEXT = 'on purpose';
            END IF;
        END
        """,
    ),
}
GIVE_WAY_NO_MORE = {
    "postgresql": ("DROP TRIGGER give_way ON audit_events", "DROP FUNCTION give_way"),
    "mariadb": ("DROP TRIGGER give_way",),
}


@contextlib.contextmanager
def giving_way(database, conflicts):
    """So many transactions end in a serialization failure; yields what tells how many were tried."""
    user = make_url(database.url).username
    grant = {"postgresql": [f"GRANT USAGE ON SEQUENCE attempts TO {user}"], "mariadb": []}
    trigger = [statement.format(conflicts=conflicts) for statement in GIVE_WAY[database.kind]]
    database.execute("CREATE SEQUENCE attempts", *grant[database.kind], *trigger)
    following = {"postgresql": "SELECT nextval('attempts')", "mariadb": "SELECT NEXTVAL(attempts)"}
    try:
        yield lambda: database.execute(following[database.kind])[0][0] - 1
    finally:
        database.execute(*GIVE_WAY_NO_MORE[database.kind], "DROP SEQUENCE attempts")


def test_a_request_that_has_to_give_way_three_times_succeeds(service, database):
    with giving_way(database, conflicts=3) as attempts:
        assert register(service, "patient").status_code == 201
        assert attempts() == 4
    assert parts(database, "patient") == (1, 1, 0)
    assert had_no_error(service)


def test_a_request_that_always_has_to_give_way_is_503_and_leaves_nothing(service, database):
    with giving_way(database, conflicts=1000) as attempts:
        answer = register(service, "starved")
        assert is_unavailable(answer)
        assert answer.headers["Retry-After"] == "1"
        assert attempts() == 4
    assert parts(database, "starved") == (0, 0, 0)
    assert register(service, "starved").status_code == 201
    assert had_no_error(service)


@contextlib.contextmanager
def full(database):
    """Strangers have every connection there is."""
    with strangers(database, connections=MOST_CONNECTIONS + 1) as (connect, _):
        taken = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(MOST_CONNECTIONS + 1):
                connect()
                taken += 1
        assert MOST_CONNECTIONS / 2 < taken <= MOST_CONNECTIONS
        yield


def test_a_server_full_of_connections_is_503_until_there_is_room(service, commands, database, way):
    service.register("crowded")
    way.cut()
    with full(database):
        for _ in range(2):
            began = time.monotonic()
            assert is_unavailable(log_in(service, "crowded"))
            assert is_unavailable(register(service, "outside"))
            assert time.monotonic() - began < MARGIN
        command = commands.run("migrate", **using(database.url), startup_wait="0s")
        assert command.process.returncode == EX_UNAVAILABLE
        assert len(said(command)) == 1
    recovers(lambda: log_in(service, "crowded"))
    assert parts(database, "outside") == (0, 0, 0)
    assert had_no_error(service)
