"""More logins at once than can be hashed: each gets an answer in time, and the others hardly notice.

`make storm` says how many; here is what no busy machine may break.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

from tests.server.commands import AS_EVER
from tests.server.load import keep_logging_in, keep_probing, login, percentile, profile

PASSWORD = "yourpassword123"
LOGIN = "/api/auth/login/"
CLIENTS, SECONDS = 300, 3.0
SLOTS = 2
MEBIBYTE = 1024  # in KiB
OF_A_HASH = 19 * MEBIBYTE
OF_REQUESTS = 150 * MEBIBYTE  # generous: 300 took 40 MiB
COUNTED = {"hasher": "counted_hasher:CountedHasher", "deliver_mail": "false"}
DEADLINE, SLACK = 2.0, 10.0  # seconds


def most_memory(process):
    """In KiB, since it was started."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def test_a_crowd_that_logs_in_is_answered_in_time_and_stands_in_nobodys_way(serve):
    server = serve(
        **AS_EVER,
        hashing_memory=SLOTS * OF_A_HASH // MEBIBYTE,
        deliver_mail="false",
        trusted_proxies="127.0.0.1/32",
    )
    for number in range(10):
        server.register(f"user{number}")
    look = profile(server.log_in("user0")["access"])
    requests = [login(f"user{n}", PASSWORD, address=f"10.0.{n}.1") for n in (m % 10 for m in range(CLIENTS))]
    before = most_memory(server.process.pid)

    async def storm():
        return await asyncio.gather(
            keep_logging_in(server.port, requests, seconds=SECONDS),
            keep_probing(server.port, look, seconds=SECONDS),
        )

    outcome, probes = asyncio.run(storm())
    answers = outcome.logins + outcome.late
    assert {answer.status for answer in answers} == {200, 503}
    assert all(answer.retry_after for answer in answers if answer.status == 503)
    assert max(answer.seconds for answer in answers) < DEADLINE + SLACK
    # The crowd waits for its turns, the profile for none.
    assert percentile(probes, 50) < percentile(outcome.login_seconds(200), 50)
    assert most_memory(server.process.pid) - before < SLOTS * OF_A_HASH + OF_REQUESTS

    time.sleep(DEADLINE)
    assert server.can_log_in("user1")
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text


# With a hasher that takes its time


def on_one_core():
    """The command to run the server under; so one password is hashed at a time."""
    return ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]


def test_clients_that_go_away_give_up_their_places(serve, verified, monkeypatch, eventually):
    monkeypatch.setenv("HASHING_SECONDS", "0.2")
    server = serve(prefix=on_one_core(), **COUNTED)
    server.register("john")
    volley = server.aim([(LOGIN, {"username": "john", "password": PASSWORD})] * 100).fire()
    eventually(verified)
    for connection in volley.connections:
        connection.close()
    began = time.monotonic()
    eventually(lambda: server.post(LOGIN, {"username": "john", "password": PASSWORD}).status_code == 200)
    assert time.monotonic() - began < 100 * 0.2 / 2  # in half of the time that the hundred would take
    assert verified() < 50


def test_a_crowd_that_holds_back_its_bodies_holds_no_places(serve, verified):
    server = serve(prefix=on_one_core(), **COUNTED)
    server.register("john")
    volley = server.aim([(LOGIN, {"username": "john", "password": PASSWORD})] * 300)  # not fired
    server.log_in("john")
    assert len(volley.connections) == 300


def test_who_is_refused_in_a_crowd_gets_the_answer_that_any_page_can_read(serve, verified, monkeypatch):
    monkeypatch.setenv("HASHING_SECONDS", "0.2")
    server = serve(prefix=on_one_core(), cors_origins="https://app.example", **COUNTED)
    server.register("john")
    answers = server.at_once([(LOGIN, {"username": "john", "password": PASSWORD})] * 400)
    assert Counter(answer.status for answer in answers).keys() == {200, 503}
    for refused in (answer for answer in answers if answer.status == 503):
        assert refused.body == {"detail": "Service temporarily unavailable, try again later."}
        assert 2 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["Cache-Control"] == "no-store"
        assert refused.headers["X-Request-ID"]
        assert refused.headers["Content-Type"] == "application/json"
