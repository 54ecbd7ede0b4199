"""Webhooks of a real service: they survive its death, and two that share a database send each once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.databases import KINDS
from tests.receiver import Receiver, receiving
from tests.server.commands import SECRET, Commands
from tests.server.service import eventually

pytestmark = pytest.mark.parametrize("kind", KINDS, scope="module")

QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.1}
A_WHILE = 0.5  # seconds; several rounds of the worker, in which a second copy would arrive


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_what_was_committed_before_a_crash_is_told_after_it_and_what_comes_next_at_once(
    commands: Commands, receiver: Receiver
) -> None:
    settings: dict[str, Any] = {**receiver.settings, "secret": SECRET}
    server = commands.serve(deliver_mail="false", **settings)
    server.register("john")
    server.kill()
    assert receiver.taken == []

    server = commands.serve(limits=QUICKLY, **settings)
    (of_john,) = eventually(lambda: receiver.told("UserRegistered"))
    secret = commands.run("webhooks", "secret", receiver.url, **settings).text.strip()
    assert of_john.is_signed_by(secret)
    assert [(of_john.said["data"]["user_id"],)] == server.rows("SELECT id FROM users WHERE username = 'john'")
    assert abs(time.time() - int(of_john.headers["webhook-timestamp"])) < 60
    server.log_in("john")
    (login,) = eventually(lambda: receiver.told("LoggedIn"))
    assert login.is_signed_by(secret)
    time.sleep(A_WHILE)
    assert len({each.id for each in receiver.taken}) == len(receiver.taken)
    assert server.rows("SELECT kind FROM outbox WHERE queue <> 'mail'") == []
    assert server.stop() == 0
    assert "Traceback" not in server.text
    assert "canary-of-the-url" not in server.text


def test_two_servers_send_each_webhook_once(commands: Commands, receiver: Receiver) -> None:
    pair = commands.serve_twice(limits=QUICKLY, **receiver.settings, secret=SECRET)
    names = [f"user-{number}" for number in range(10)]
    bodies = [
        {"username": name, "email": f"{name}@example.com", "password": "yourpassword123"} for name in names
    ]
    answers = pair.at_once([("/api/auth/register/", body) for body in bodies])
    assert {answer.status for answer in answers} == {201}
    eventually(lambda: len(receiver.told("UserRegistered")) >= len(names))
    time.sleep(A_WHILE)
    told = [(each.id, each.said["data"]["user_id"]) for each in receiver.told("UserRegistered")]
    assert len(told) == len(set(told)) == len({user_id for _, user_id in told}) == len(names)
    assert " ERROR " not in pair.text
    assert "Traceback" not in pair.text
