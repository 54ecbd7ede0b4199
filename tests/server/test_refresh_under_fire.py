"""Many honest tabs and one thief, who ask two servers on one database at the same time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from tests.databases import execute

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb"], scope="module")

WINDOW = 3  # seconds
APPS, TABS, ROUNDS = 6, 5, 4
QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.1}


class Pair:
    """Two servers on one database."""

    def __init__(self, commands, **settings):
        self.serve = lambda: commands.serve(
            wait=False, limits=QUICKLY, reuse_window=f"{WINDOW}s", auto_migrate="true", **settings
        )
        self.start()

    def start(self):
        self.servers = [self.serve(), self.serve()]
        for server in self.servers:
            server.wait_until_it_listens()
            server.wait_until_ready()

    def restart(self):
        for server in self.servers:
            assert server.stop() == 0
            assert " ERROR " not in server.text
        self.start()

    def refresh(self, *tokens):
        """What each of the tokens is answered, all presented at once: half of them at each server."""
        volleys = [
            server.aim([("/api/auth/token/refresh/", {"refresh": token}) for token in tokens[half::2]])
            for half, server in enumerate(self.servers)
        ]
        for volley in volleys:
            volley.fire()
        one, other = (volley.answers() for volley in volleys)
        return [(one, other)[number % 2][number // 2] for number in range(len(tokens))]

    def is_over(self, tokens):
        """For both tokens, at both servers."""
        refused = {"detail": "Token is blacklisted", "code": "token_not_valid"}
        return all(
            server.post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]}).json() == refused
            and server.get("/api/user/profile/", access=tokens["access"]).status_code == 401
            for server in self.servers
        )


def jti(tokens):
    return jwt.decode(tokens["refresh"], options={"verify_signature": False})["jti"]


def lives(pair, stored):
    """Each time all tabs refresh at once, and what the last one of them was given is what is stored."""
    for _ in range(ROUNDS):
        answers = pair.refresh(*[stored["refresh"]] * TABS)
        assert [answer.status for answer in answers] == [200] * TABS
        assert len({jti(answer.body) for answer in answers}) == 1
        stored = answers[-1].body
        time.sleep(0.5)
    return stored


def is_robbed(pair, stored):
    """The thief asks beside the owner, and once more: the last tokens of both."""
    owner, thief = pair.refresh(stored["refresh"], stored["refresh"])
    assert jti(owner.body) == jti(thief.body)
    time.sleep(WINDOW + 0.1)
    (thief,) = pair.refresh(stored["refresh"])
    assert jti(owner.body) != jti(thief.body)
    answers = pair.refresh(*[thief.body["refresh"], owner.body["refresh"]] * TABS)
    assert {answer.status for answer in answers[1::2]} == {401}
    fruits = [answer.body for answer in answers if answer.status == 200]
    return [owner.body, thief.body, *fruits]


def test_honest_tabs_stay_logged_in_and_a_stolen_session_ends_at_both_and_for_good(
    kind, databases, commands, smtp
):
    url = databases.new(kind)
    pair = Pair(
        commands, database_url=url, secret="a secret of at least 32 bytes, for tests", mail_url=smtp.url
    )
    names = [f"app{number}" for number in range(APPS)]
    for name in ["victim", *names]:
        pair.servers[0].register(name)
    sessions = [pair.servers[1].log_in(name) for name in names]
    stolen, elsewhere = pair.servers[0].log_in("victim"), pair.servers[0].log_in("victim")

    with ThreadPoolExecutor() as threads:
        robbery = threads.submit(is_robbed, pair, stolen)
        honest = list(threads.map(lives, [pair] * APPS, sessions))
        dead = [stolen, *robbery.result()]

    assert all(map(pair.is_over, dead))
    assert "signed a device out" in smtp.arrives("victim", "signed a device out")["Subject"]
    pair.restart()
    assert all(map(pair.is_over, dead))
    still = pair.refresh(*(session["refresh"] for session in [elsewhere, *honest]))
    assert [answer.status for answer in still] == [200] * (1 + APPS)
    events = execute(kind, url, "SELECT kind FROM audit_events WHERE kind = 'RefreshTokenReused'")
    assert len(events) == len(smtp.to("victim", "signed a device out")) == 1
    assert not any(smtp.to(name) for name in names)
    for server in pair.servers:
        assert " ERROR " not in server.text
