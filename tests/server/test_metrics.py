"""What Prometheus is told: of a server that has had something to do, of one without its database, of several
processes; and that nobody's name is in it, and no client can fill it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from datetime import timedelta

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from tests.server.scraping import Scrape, addresses, scrape
from tests.server.service import PASSWORD, SOON, eventually

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.memory import FixedClock
from identity.application.letters import Backlog
from identity.application.ports import PoolLoad
from identity.domain.errors import Unavailable
from identity.entrypoints.metrics import Metrics, Sources, readings

QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.05}
LOGIN = "/api/auth/login/"


@pytest.fixture(scope="module")
def server(shared_commands):
    """Has been asked for something of each kind."""
    server = shared_commands.serve(metrics_port=0, address_failures=2, limits=QUICKLY, workers=1)
    server.register("john")
    tokens = server.log_in("john")
    wrong = {"username": "john", "password": "canary-wrong-password"}
    for status in (401, 401, 429, 429):
        assert server.post(LOGIN, wrong).status_code == status
    assert server.post(LOGIN, {"username": "john"}).status_code == 400
    refresh = "/api/auth/token/refresh/"
    for token, status in ((tokens["refresh"], 200), ("canary-no-token", 401)):
        assert server.post(refresh, {"refresh": token}).status_code == status
    server.forgot("john")
    eventually(server.mail_in_the_output)
    return server


@pytest.fixture(scope="module")
def seen(server) -> Scrape:
    (address,) = addresses(server)
    return eventually(
        lambda: (one := scrape(address)).happened("identity_deliveries_total", "outcome") and one
    )


def test_requests_are_counted_by_route_and_status(seen):
    """The checks for readiness, with which tests begin, are left out."""
    requests = seen.happened("identity_http_requests_total", "method", "route", "status")
    assert {labels: count for labels, count in requests.items() if "ready" not in labels[1]} == {
        ("POST", "/api/auth/register", "201"): 1,
        ("POST", "/api/auth/login", "200"): 1,
        ("POST", "/api/auth/login", "401"): 2,
        ("POST", "/api/auth/login", "429"): 2,
        ("POST", "/api/auth/login", "400"): 1,
        ("POST", "/api/auth/token/refresh", "200"): 1,
        ("POST", "/api/auth/token/refresh", "401"): 1,
        ("POST", "/api/auth/forgot-password", "200"): 1,
    }
    timed = {"method": "POST", "route": "/api/auth/login"}
    assert seen("identity_http_request_seconds_count", **timed) == 6
    assert 0 < seen("identity_http_request_seconds_sum", **timed) < 6 * SOON
    assert seen("identity_http_request_seconds_bucket", le="+Inf", **timed) == 6


def test_logins_and_refreshes_are_counted_by_outcome(seen):
    assert seen.happened("identity_logins_total", "kind", "outcome") == {
        ("password", "succeeded"): 1,
        ("password", "refused"): 2,
        ("password", "throttled"): 2,
        ("password", "invalid"): 1,
    }
    assert seen("identity_logins_total", kind="code", outcome="refused") == 0
    assert seen.happened("identity_refreshes_total", "outcome") == {"succeeded": 1, "refused": 1}


def test_the_throttle_s_decisions_are_counted_by_limit(seen):
    assert seen.happened("identity_throttle_decisions_total", "limit", "decision") == {
        ("account", "allowed"): 3,
        ("address", "allowed"): 3,
        ("address", "refused"): 2,
        ("register", "allowed"): 1,
        ("refused refresh", "allowed"): 1,
        ("forgot password", "allowed"): 1,
    }


def test_mails_are_counted_by_what_became_of_them(seen):
    assert seen.happened("identity_deliveries_total", "queue", "outcome") == {("mail", "sent"): 1}


def test_the_lane_the_connections_and_the_process_are_described(seen):
    assert seen("identity_hashing_slots") >= 1
    assert seen("identity_hashing_in_use") == seen("identity_hashing_waiting") == 0
    assert seen("identity_hashing_refused_total") == seen("identity_scrape_errors_total") == 0
    assert seen("identity_database_pool_size", pool="write") == 1  # of SQLite
    assert seen("identity_database_pool_size", pool="read") == 4
    for pool in ("write", "read"):
        states = {"in_use", "idle"}
        assert sum(seen("identity_database_connections", pool=pool, state=state) for state in states) >= 1
    assert seen("identity_info", version="0.1.0", python=sys.version.split()[0]) == 1
    assert seen("process_resident_memory_bytes") > 10_000_000
    assert 0 < seen("process_cpu_seconds_total") < 600
    assert 0 < seen("process_open_fds") < seen("process_max_fds")


def test_nobody_s_name_address_or_token_is_in_it(seen):
    for canary in ("john", "example.com", PASSWORD, "canary", "127.0.0.1", "eyJ"):
        assert canary not in seen.text


def test_it_is_valid_open_metrics_where_that_is_asked_for(server):
    (address,) = addresses(server)
    form = "application/openmetrics-text"
    for accept in (form, f"{form};version=1.0.0;q=0.6,text/plain", f"{form};version=x"):
        answer = httpx.get(address, headers={"Accept": accept}, trust_env=False)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in open_metrics(answer.text)}
        assert {"identity_logins", "identity_http_request_seconds", "process_open_fds"} < names
    for accept in ("", "*/*", "text/plain; version=1.0.0", "text/plain; version=\xff", "x" * 1000):
        answer = httpx.get(address, headers={"Accept": accept.encode("latin-1")}, trust_env=False)
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_it_is_not_on_the_service_s_own_port(server):
    assert server.get("/metrics").status_code == server.get("/metrics/").status_code == 404
    (address,) = addresses(server)
    assert httpx.get(address.removesuffix("metrics"), trust_env=False).status_code == 404


def test_no_client_can_make_labels(server):
    (address,) = addresses(server)
    server.get("/api/nowhere/")
    server.client.request("PROPFIND", "/api/nowhere/")
    server.get("/api/user/sessions/0/")
    server.client.request("DELETE", "/api/user/sessions/0/")
    before = scrape(address)
    for number in range(30):
        server.get(f"/api/{number}/canary")
        server.client.request("DELETE", f"/api/user/sessions/canary-{number}/?canary={number}")
        server.client.request(f"CANARY{number}", f"/api/user/profile/{number}")
    after = scrape(address)
    series = {name: set(samples) for name, samples in after.values.items()}
    assert series == {name: set(samples) for name, samples in before.values.items()}
    assert "canary" not in after.text.lower()
    unknown = {"method": "GET", "route": "-", "status": "404"}
    assert after("identity_http_requests_total", **unknown) == 30 + before(
        "identity_http_requests_total", **unknown
    )


def test_each_worker_counts_for_itself_and_tells_of_the_outbox_that_all_have(serve):
    first = two_free_ports()
    server = serve(metrics_port=first, workers=2, deliver_mail="false")
    both = addresses(server, count=2)
    assert sorted(both) == [f"http://127.0.0.1:{port}/metrics" for port in (first, first + 1)]
    asked = "/api/nowhere/"
    for _ in range(20):
        assert server.get(asked).status_code == 404
    unknown = {"method": "GET", "route": "-", "status": "404"}
    server.register("john")
    server.forgot("john")
    for each in map(scrape, both):
        assert each("identity_outbox_letters", queue="mail", state="waiting") == 1
        assert each("identity_outbox_letters", queue="mail", state="dead") == 0
        assert 0 <= each("identity_outbox_oldest_seconds", queue="mail") < SOON
    counts = [
        scrape(each).values["identity_http_requests_total"].get(tuple(sorted(unknown.items())), 0)
        for each in both
    ]
    assert sum(counts) == 20
    assert server.stop() == 0
    assert " ERROR " not in server.text


def two_free_ports() -> int:
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
        return port
    raise AssertionError("no two ports beside each other are free")


def test_who_does_not_ask_for_them_does_not_load_them():
    program = """if True:
        import sys
        from identity.entrypoints.server import build_app
        from identity.settings import Settings
        app = build_app(Settings(database_url="memory:"))
        assert app.observers == ()
        print("prometheus_client" in sys.modules)
        build_app(Settings(database_url="memory:", metrics_port=0))
        print("prometheus_client" in sys.modules)
        """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


# Without a server


def metrics(*, backlog=None, lane=None, clock=None):
    async def empty():
        return ()

    return Metrics(
        Sources(
            lane=lane or AsyncHashingLane(slots=2),
            decisions=dict,
            pools=lambda: (PoolLoad(name="write", size=5, in_use=2, idle=1),),
            backlog=backlog or empty,
            clock=clock or FixedClock(),
        )
    )


async def scraped(metrics) -> Scrape:
    text, _ = await metrics.exposed("")
    return Scrape(text.decode())


async def test_the_outbox_is_looked_at_when_prometheus_asks():
    clock = FixedClock()
    put_at = clock.now()
    webhooks = Backlog(queue="webhook:4711", waiting=3, dead=1, oldest=put_at)
    queues = [webhooks]

    async def backlog():
        return tuple(queues)

    watched = metrics(backlog=backlog, clock=clock)
    clock.advance(timedelta(seconds=90))
    seen = await scraped(watched)
    assert seen.happened("identity_outbox_letters", "queue", "state") == {
        ("webhook:4711", "waiting"): 3,
        ("webhook:4711", "dead"): 1,
    }
    assert seen.happened("identity_outbox_oldest_seconds", "queue") == {"webhook:4711": 90}
    assert seen("identity_outbox_letters", queue="mail", state="waiting") == 0

    queues.clear()  # what is empty is told to be so, not left out
    seen = await scraped(watched)
    assert seen("identity_outbox_letters", queue="webhook:4711", state="waiting") == 0
    assert seen("identity_outbox_oldest_seconds", queue="webhook:4711") == 0

    clock.advance(timedelta(seconds=-180))  # the clock of whoever put it there is ahead
    queues.append(webhooks)
    assert (await scraped(watched))("identity_outbox_oldest_seconds", queue="webhook:4711") == 0


async def test_without_the_database_all_but_the_outbox_is_told(monkeypatch):
    monkeypatch.setattr(readings, "PATIENCE", 0.01)

    async def down():
        raise Unavailable("the database cannot be reached")

    async def silent():
        await asyncio.sleep(SOON)

    async def broken():
        raise ZeroDivisionError

    for backlog in (down, silent, broken):
        without = metrics(backlog=backlog)
        for count in (1, 2):
            seen = await scraped(without)
            assert seen("identity_scrape_errors_total") == count
            assert "identity_outbox_letters" not in seen.values
            assert seen("identity_database_connections", pool="write", state="in_use") == 2
            assert seen("identity_database_connections", pool="write", state="idle") == 1
            assert seen("identity_hashing_slots") == 2


async def test_the_lane_is_looked_at_when_prometheus_asks_and_a_crowd_counts_as_refused_by_it():
    lane = AsyncHashingLane(slots=2)
    watched = metrics(lane=lane)
    async with lane.turn():
        seen = await scraped(watched)
        assert seen("identity_hashing_in_use") == 1
        with pytest.raises(Unavailable):
            async with lane.turn(until=0.0):
                pytest.fail("it is too late")
    watched.crowd()
    watched.crowd()
    seen = await scraped(watched)
    assert (seen("identity_hashing_in_use"), seen("identity_hashing_refused_total")) == (0, 3)
