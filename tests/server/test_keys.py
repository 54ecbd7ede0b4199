"""Signing keys of a real service: two processes under load while keys rotate, and a key that is retired."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import jwt
import pytest

QUICKLY = {"identity.application.signing_keys:HEARD_OF": 4.0}
"""A new key has less time to become known than it really has."""
HEARD_WITHIN = 5.0  # seconds, as the README promises
CALM = 2.0  # seconds of load after the last rotation
PASSWORD = "yourpassword123"
KEYS = "/.well-known/jwks.json"
SECRET = secrets.token_urlsafe(32)


@dataclass
class Pair:
    """Two processes on one database."""

    servers: list
    commands: object
    settings: dict

    def keys(self, *arguments):
        command = self.commands.run("keys", *arguments, limits=QUICKLY, **self.settings)
        assert command.process.returncode == 0, command.text
        return command.text

    def states(self):
        return {key["kid"]: key["state"] for key in json.loads(self.keys("list", "--json"))}


@pytest.fixture(params=["postgresql", "mariadb"])
def kind(request):
    return request.param


@pytest.fixture
def pair(kind, databases, commands):
    settings = {"database_url": databases.new(kind), "secret": SECRET, "auto_migrate": "true"}
    settings["deliver_mail"] = "false"
    servers = [commands.serve(wait=False, limits=QUICKLY, **settings) for _ in range(2)]
    for server in servers:
        server.wait_until_it_listens()
        server.wait_until_ready()
    yield Pair(servers, commands, settings)
    for server in servers:
        server.kill()
        assert " ERROR " not in server.text
        assert "Traceback" not in server.text


@dataclass
class Visitor:
    """Logs in once in a while, refreshes and reads the profile, each time at another of the processes."""

    name: str
    servers: list
    seen: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    kids: set = field(default_factory=set)
    tokens: dict = field(default_factory=dict)
    first: dict = field(default_factory=dict)
    """Of a session that is not refreshed."""

    def stay(self, stopping):
        with httpx.Client(timeout=20, trust_env=False) as client:
            for turn in itertools.count():
                if stopping.is_set():
                    return
                try:
                    self._take_a_turn(client, turn)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))

    def _take_a_turn(self, client, turn):
        url = self.servers[turn % 2].url
        other = self.servers[(turn + 1) % 2].url
        if turn % 25 == 0:
            body = {"username": self.name, "password": PASSWORD}
            self.first = self.first or self._ask(client.post(f"{url}/api/auth/login/", json=body))
            self.tokens = self._ask(client.post(f"{url}/api/auth/login/", json=body))
        else:
            body = {"refresh": self.tokens["refresh"]}
            self.tokens = self._ask(client.post(f"{url}/api/auth/token/refresh/", json=body)) or self.tokens
        self.kids.add(jwt.get_unverified_header(self.tokens["access"])["kid"])
        for address in (other, url):
            self._ask(client.get(f"{address}/api/user/profile/", headers=bearer(self.tokens["access"])))
        if turn % 10 == 0:
            self._ask(client.get(f"{other}/api/user/profile/", headers=bearer(self.first["access"])))
            self._ask(client.post(f"{other}/api/auth/token/verify/", json={"token": self.first["refresh"]}))

    def _ask(self, answer):
        self.seen[answer.status_code] += 1
        if answer.status_code != 200:
            self.wrong.append(f"{answer.request.url}: {answer.status_code} {answer.text}")
            return {}
        return answer.json()


def bearer(access):
    return {"Authorization": f"Bearer {access}"}


def kid(token):
    return jwt.get_unverified_header(token)["kid"]


def test_under_load_no_valid_token_is_refused_while_keys_rotate_and_a_retired_key_is_out_in_5_seconds(
    pair, eventually
):
    visitors = [Visitor(f"visitor{number}", pair.servers) for number in range(4)]
    for visitor in visitors:
        pair.servers[0].register(visitor.name)
    stopping = threading.Event()
    threads = [threading.Thread(target=visitor.stay, args=[stopping]) for visitor in visitors]
    for thread in threads:
        thread.start()
    try:
        pair.keys("rotate", "--now")
        pair.keys("rotate", "--now")
        eventually(lambda: all(len(visitor.kids) == 3 or visitor.wrong for visitor in visitors))
        time.sleep(CALM)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert [visitor.wrong for visitor in visitors] == [[]] * 4
    assert sum(visitor.seen[200] for visitor in visitors) > 100

    states = pair.states()
    assert list(states.values()) == ["verifying", "verifying", "signing"]
    oldest, _, leaked = states
    of_before, of_now = visitors[0].first, visitors[0].tokens
    assert [kid(token) for token in (of_before["access"], of_now["access"])] == [oldest, leaked]

    pair.keys("retire", leaked, "--yes")
    heard = time.monotonic() + HEARD_WITHIN
    for server in pair.servers:
        eventually(lambda server=server: refuses(server, of_now))
    assert time.monotonic() < heard
    for server in pair.servers:
        assert leaked not in {key["kid"] for key in server.get(KEYS).json()["keys"]}
        assert not refuses(server, of_before)
        tokens = server.log_in(visitors[0].name)
        assert kid(tokens["access"]) not in states
        for each in pair.servers:
            assert not refuses(each, tokens)


def refuses(server, tokens):
    """Whether both tokens are refused; one of them alone would be wrong."""
    access = server.get("/api/user/profile/", access=tokens["access"]).status_code
    refresh = server.post("/api/auth/token/verify/", {"token": tokens["refresh"]}).status_code
    assert {access, refresh} <= {200, 401}
    return access == refresh == 401


def test_a_secret_is_changed_while_both_processes_run_and_nobody_is_logged_out(pair):
    one, other = pair.servers
    one.register("john")
    tokens = one.log_in("john")
    both = {**pair.settings, "secret": f"{SECRET}, the new one", "secret_previous": SECRET}

    one.stop()
    renewed = pair.commands.serve(limits=QUICKLY, **both)
    command = pair.commands.run("keys", "reencrypt", limits=QUICKLY, **both)
    assert command.process.returncode == 0, command.text
    for server in (other, renewed):
        assert not refuses(server, tokens)
    time.sleep(3.1)  # until the keys are read again
    for server in (other, renewed):
        assert not refuses(server, tokens)
        assert not refuses(server, server.log_in("john"))
    renewed.stop()

    del both["secret_previous"]
    without = pair.commands.serve(limits=QUICKLY, **both)
    assert not refuses(without, tokens)
    wrong = pair.commands.run("serve", port=0, **pair.settings)
    assert wrong.process.returncode == 78
