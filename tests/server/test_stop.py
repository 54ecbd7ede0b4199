"""An orderly stop: readiness fails first, what was accepted is answered, leases are given back, status 0."""

from __future__ import annotations

import signal
from collections import Counter

import httpx
import pytest

PASSWORD = "yourpassword123"
LOGIN = ("/api/auth/login/", {"username": "john", "password": PASSWORD})
IMPATIENT = {"identity.entrypoints.worker:PATIENCE": 0.5, "identity.entrypoints.worker:PAUSE": 0.1}
COUNTED = {"hasher": "counted_hasher:CountedHasher", "deliver_mail": "false"}
STOPPING = (503, {"status": "stopping", "outbox_age_seconds": None})


def readiness(server):
    """The answers to who asks again and again, until nobody listens any more."""
    answers = []
    while True:
        try:
            answer = server.get("/health/ready")
        except httpx.TransportError:
            return answers
        answers.append((answer.status_code, answer.json()))


@pytest.mark.usefixtures("verified")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_with_a_hundred_logins_in_flight_answers_them_all(serve, workers):
    server = serve(workers=workers, **COUNTED)
    server.register("john")
    volley = server.aim([LOGIN] * 100).fire()
    volley.wait_for_the_first()
    server.process.send_signal(signal.SIGTERM)
    answers = readiness(server)
    logins = volley.answers()

    outcomes = Counter(login.status for login in logins if login.body)
    assert outcomes[200] > 0
    assert outcomes[200] + outcomes[503] == 100  # on a slow machine some would wait for too long
    assert server.wait() == 0
    assert answers[-1] == STOPPING
    assert " ERROR " not in server.text
    assert "Traceback" not in server.text
    assert server.audited("john").count("LoggedIn") == outcomes[200]


@pytest.mark.usefixtures("verified")
def test_ctrl_c_in_a_terminal_which_reaches_every_process_answers_all_logins_too(serve):
    server = serve(workers=2, **COUNTED)
    server.register("john")
    volley = server.aim([LOGIN] * 100).fire()
    volley.wait_for_the_first()
    server.signal_all(signal.SIGINT)
    outcomes = Counter(login.status for login in volley.answers() if login.body)
    assert outcomes[200] > 0
    assert outcomes[200] + outcomes[503] == 100
    assert server.wait() == 0
    assert "Traceback" not in server.text


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGTERM, 2)], ids=str
)
def test_a_stop_while_a_mail_server_stalls_gives_the_mail_back(serve, smtp, number, workers):
    smtp.answers["john@example.com"] = smtp.STALL
    server = serve(workers=workers, mail_url=smtp.url, limits=IMPATIENT)
    server.register("john")
    server.forgot("john")
    smtp.wait_until_stalled("john")
    assert server.rows("SELECT attempts, lease_id IS NULL FROM outbox") == [(1, 0)]
    assert server.stop(number) == 0
    assert server.rows("SELECT attempts, lease_id, leased_until, dead_at, error FROM outbox") == [
        (0, None, None, None, None)
    ]
    assert "Traceback" not in server.text


def test_delivery_by_a_process_of_its_own_gives_the_mail_back_too(commands, smtp):
    smtp.answers["john@example.com"] = smtp.STALL
    server = commands.serve(mail_url=smtp.url, deliver_mail="false")
    server.register("john")
    server.forgot("john")
    delivery = commands.start("deliver-mail", mail_url=smtp.url, limits=IMPATIENT)
    smtp.wait_until_stalled("john")
    assert delivery.stop(signal.SIGINT) == 0
    assert server.rows("SELECT attempts, lease_id FROM outbox") == [(0, None)]


def test_a_stop_waits_for_a_mail_that_is_nearly_sent(serve, smtp):
    smtp.answers["john@example.com"] = smtp.STALL
    server = serve(mail_url=smtp.url, limits={"identity.entrypoints.worker:PAUSE": 0.1})
    server.register("john")
    server.forgot("john")
    smtp.wait_until_stalled("john")
    server.process.send_signal(signal.SIGTERM)
    assert STOPPING in readiness(server)
    smtp.go_on("john")
    assert server.wait() == 0
    assert len(smtp.to("john", "Reset")) == 1
    assert server.rows("SELECT id FROM outbox") == []


def test_connections_that_idle_or_stall_do_not_hold_up_a_stop(serve):
    server = serve(deliver_mail="false")
    silent, half, idle = server.connect(), server.connect(), server.connect()
    half.send(b"POST /api/auth/login/ HTTP/1.1\r\nHost: localhost\r\n")
    idle.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert idle.recv(65536)
    assert server.stop() == 0
    assert silent.recv(1) == b""


def test_workers_whose_parent_was_killed_leave_their_port_to_the_next(serve):
    server = serve(workers=2)
    server.process.send_signal(signal.SIGKILL)
    assert readiness(server)[-1] == STOPPING
    assert "the parent of this worker is gone" in server.text
