"""What was acknowledged survives kill -9, and mail survives whatever its server does."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest
from tests.databases import KINDS

pytestmark = pytest.mark.parametrize("kind", KINDS, scope="module")

PASSWORD = "yourpassword123"
LEASE = 3.0  # seconds
QUICKLY = {
    "identity.entrypoints.worker:PAUSE": 0.1,
    "identity.application.courier:LEASE": LEASE,
    "identity.application.courier:SENDING_LIMIT": 2.0,
    "identity.application.courier:FIRST_DELAY": 0.2,
}
A_WHILE = 1.0  # seconds; several rounds of the worker, in which a second copy would arrive


def message_ids(mails):
    return Counter(mail["Message-ID"] for mail in mails)


def resets(link, server, name):
    """Whether the mailed link sets a new password, with which its owner can log in."""
    answer = server.reset(link)
    return answer.status_code == 200 and server.can_log_in(name, "newpassword123")


# kill -9


def test_a_mail_that_was_asked_for_before_a_crash_arrives_after_it_once(serve, smtp):
    server = serve(mail_url=smtp.url, deliver_mail="false")
    server.register("john")
    server.forgot("john")
    server.kill()

    server = serve(mail_url=smtp.url, limits=QUICKLY)
    link = smtp.link("john")
    time.sleep(A_WHILE)
    assert len(smtp.mails) == 1
    assert resets(link, server, "john")


def test_a_mail_that_was_on_its_way_in_a_crash_arrives_once_its_lease_is_over(serve, smtp):
    smtp.answers["john@example.com"] = smtp.STALL
    limits = {**QUICKLY, "identity.application.courier:SENDING_LIMIT": 60.0}
    server = serve(mail_url=smtp.url, limits=limits)
    server.register("john")
    server.forgot("john")
    smtp.wait_until_stalled("john")
    server.kill()
    del smtp.answers["john@example.com"]

    server = serve(mail_url=smtp.url, limits=limits)
    link = smtp.link("john")
    time.sleep(A_WHILE)
    assert len(smtp.mails) == 1
    assert resets(link, server, "john")


def test_an_account_whose_registration_was_acknowledged_survives_a_crash(serve, kind):
    server = serve(deliver_mail="false")
    names = [f"user-{i}" for i in range(20)]
    volley = server.aim([registration(name) for name in names]).fire()
    volley.wait_for_the_first()
    server.kill()
    answers = volley.answers()
    acknowledged = [name for name, answer in zip(names, answers, strict=True) if answer.status == 201]
    assert {answer.status for answer in answers} <= {201, 0}
    assert acknowledged

    server = serve(deliver_mail="false")
    if kind == "sqlite":
        assert server.rows("PRAGMA integrity_check") == [("ok",)]
        assert server.rows("PRAGMA foreign_key_check") == []
    for name in acknowledged:
        assert server.can_log_in(name)
    stored = [name for (name,) in server.rows("SELECT username FROM users")]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    for name in stored:  # an account that nobody was told of is there as a whole
        assert server.audited(name)[0] == "UserRegistered"
        assert server.can_log_in(name)

    again = server.at_once([registration(name) for name in names])
    assert [answer.status for answer in again] == [400 if name in stored else 201 for name in names]


def registration(name):
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    return "/api/auth/register/", body


# Mail servers in trouble


@pytest.fixture(scope="module")
def server(shared_commands, shared_smtp):
    yield (server := shared_commands.serve(mail_url=shared_smtp.url, limits=QUICKLY))
    assert "Traceback" not in server.text


def intents(server, name):
    """What the outbox still holds for this address: attempts, lease and whether it is a dead letter."""
    return server.rows(
        "SELECT attempts, lease_id, dead_at IS NOT NULL FROM outbox WHERE email_key = ?",
        f"{name}@example.com",
    )


def ask_for_both(server, name):
    """Asks for a mail to `name` and then for one to somebody else, and is answered as ever."""
    for each in (name, f"not-{name}"):
        server.register(each)
        answer = server.forgot(each)
        assert answer.elapsed.total_seconds() < QUICKLY["identity.application.courier:SENDING_LIMIT"]


def test_a_mail_server_that_stalls_holds_up_nobody_else_and_gets_the_mail_later(server, shared_smtp):
    shared_smtp.answers["stalled@example.com"] = shared_smtp.STALL
    ask_for_both(server, "stalled")
    shared_smtp.arrives("not-stalled")
    shared_smtp.wait_until_stalled("stalled")
    server.forgot("somebody")  # while it stalls
    del shared_smtp.answers["stalled@example.com"]
    assert resets(shared_smtp.link("stalled"), server, "stalled")
    assert len(shared_smtp.to("stalled", "Reset")) == 1


def test_a_mail_that_is_deferred_holds_up_nobody_else_and_is_sent_later(server, shared_smtp, eventually):
    shared_smtp.answers["deferred@example.com"] = "450 later"
    ask_for_both(server, "deferred")
    shared_smtp.arrives("not-deferred")
    eventually(lambda: [row for row in intents(server, "deferred") if row[0] >= 1 and row[1] is None])
    del shared_smtp.answers["deferred@example.com"]
    assert resets(shared_smtp.link("deferred"), server, "deferred")
    assert len(shared_smtp.to("deferred", "Reset")) == 1


def test_a_mail_that_is_refused_holds_up_nobody_else_and_is_kept_as_a_dead_letter(
    server, shared_smtp, eventually
):
    shared_smtp.answers["refused@example.com"] = "550 no such user"
    ask_for_both(server, "refused")
    shared_smtp.arrives("not-refused")
    eventually(lambda: intents(server, "refused") == [(1, None, True)])
    del shared_smtp.answers["refused@example.com"]
    time.sleep(A_WHILE)
    assert shared_smtp.to("refused") == []
    server.forgot("refused")  # asked for again, it is a mail of its own
    assert resets(shared_smtp.link("refused"), server, "refused")


def test_a_mail_whose_receipt_was_cut_off_comes_again_as_the_same_mail_and_only_once(
    server, shared_smtp, eventually
):
    shared_smtp.answers["cut@example.com"] = shared_smtp.CUT
    ask_for_both(server, "cut")
    shared_smtp.arrives("not-cut")
    eventually(lambda: len(shared_smtp.to("cut")) == 2)
    time.sleep(A_WHILE)
    assert list(message_ids(shared_smtp.to("cut")).values()) == [2]
    assert intents(server, "cut") == []
    assert resets(shared_smtp.link("cut"), server, "cut")  # of the first: a copy does not void it


def test_a_mail_server_that_is_down_gets_the_mail_when_it_is_up_again(serve, smtp, eventually):
    smtp.stop()
    server = serve(mail_url=smtp.url, limits=QUICKLY)
    ask_for_both(server, "john")
    eventually(lambda: [row for row in intents(server, "john") if row[0] >= 1 and row[1] is None])
    assert server.get("/health/ready").status_code == 200
    smtp.start()
    assert resets(smtp.link("john"), server, "john")
    smtp.arrives("not-john")
    smtp.arrives("john", "changed")
    assert set(message_ids(smtp.mails).values()) == {1}
    assert len(smtp.mails) == 3


# Mail from a process of its own


def test_mail_can_be_delivered_by_a_command_that_ends_when_nothing_is_due(commands, smtp):
    server = commands.serve(mail_url=smtp.url, deliver_mail="false")
    server.register("john")
    server.forgot("john")
    server.forgot("nobody")

    delivery = commands.run("deliver-mail", "--once", mail_url=smtp.url)
    assert delivery.process.returncode == 0
    assert delivery.text.splitlines()[-1] == "Mails: 1 sent, 1 dropped, 0 deferred, 0 dead."
    assert [mail["To"] for mail in smtp.mails] == ["john@example.com"]
    assert resets(smtp.link("john"), server, "john")
    assert server.rows("SELECT kind FROM outbox") == [("password_changed",)]


def test_mail_can_be_delivered_by_a_process_beside_the_server_that_stops_in_order(commands, smtp):
    server = commands.serve(mail_url=smtp.url, deliver_mail="false")
    delivery = commands.start("deliver-mail", mail_url=smtp.url)
    server.register("john")
    server.forgot("john")
    assert resets(smtp.link("john"), server, "john")
    smtp.arrives("john", "changed")
    assert delivery.stop(signal.SIGTERM) == 0
    assert "Traceback" not in delivery.text
    assert len(smtp.mails) == 2
