"""Sessions that end at one server are over at the other on the next request; and one mail of many logins."""

from __future__ import annotations

import pytest
from tests.databases import execute

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb"], scope="module")

PASSWORD = "yourpassword123"
CROWD = 20
QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.1}
NOT_FOUND = {"detail": "Not found.", "code": "session_not_found"}


@pytest.fixture(scope="module")
def url(kind, databases):
    return databases.new(kind)


@pytest.fixture(scope="module")
def servers(url, shared_commands, shared_smtp):
    """Two on one database."""
    settings = {
        "database_url": url,
        "secret": "a secret of at least 32 bytes, for tests",
        "mail_url": shared_smtp.url,
    }
    pair = [
        shared_commands.serve(wait=False, limits=QUICKLY, auto_migrate="true", **settings) for _ in range(2)
    ]
    for server in pair:
        server.wait_until_it_listens()
        server.wait_until_ready()
    yield pair
    for server in pair:
        assert " ERROR " not in server.text


def listed(server, tokens):
    answer = server.get("/api/user/sessions/", access=tokens["access"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def end(server, tokens, session_id):
    headers = {"Authorization": f"Bearer {tokens['access']}"}
    answer = server.client.delete(f"/api/user/sessions/{session_id}/", headers=headers)
    return answer.status_code, answer.json()


def works(server, tokens):
    profile = server.get("/api/user/profile/", access=tokens["access"]).status_code
    refresh = server.post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]}).status_code
    assert (profile, refresh) in {(200, 200), (401, 401)}
    return profile == 200


def test_what_is_ended_at_one_server_is_over_at_the_other_on_the_next_request(servers):
    here, there = servers
    here.register("ann")
    for one, other in ((here, there), (there, here)):
        sessions = [server.log_in("ann") for server in (one, other, one, other)]
        phone, *others = sessions
        (current,) = [each["id"] for each in listed(other, phone) if each["is_current"]]
        assert end(one, others[0], current) == (200, {})
        assert not works(other, phone)
        assert end(other, others[0], current) == (404, NOT_FOUND)

        assert one.post("/api/user/sessions/revoke-others/", {}, access=others[0]["access"]).json() == {}
        assert [works(other, each) for each in others] == [True, False, False]
        assert len(listed(other, others[0])) == 1

        assert one.post("/api/auth/logout-all/", {}, access=others[0]["access"]).json() == {}
        assert not any(works(other, each) for each in sessions)


@pytest.fixture(scope="module")
def carol(servers):
    servers[0].register("carol")
    return servers[0].log_in("carol")


@pytest.mark.parametrize(
    "session_id", ["%00", "0%000", "%f0%9f%a6%8a", "%ff", "x" * 8000, "%27", "%5c", "%25"]
)
def test_an_id_that_a_database_may_choke_on_is_not_found(servers, carol, session_id):
    for server in servers:
        assert end(server, carol, session_id) == (404, NOT_FOUND)


def test_many_logins_from_a_new_device_at_both_servers_are_told_of_by_one_mail(
    servers, kind, url, shared_smtp, eventually
):
    here, there = servers
    name = f"bob-{kind}"
    here.register(name)
    here.log_in(name)
    login = ("/api/auth/login/", {"username": name, "password": PASSWORD})
    volleys = [server.aim([login] * CROWD) for server in servers]
    for volley in volleys:
        volley.fire()
    for volley in volleys:
        assert {answer.status for answer in volley.answers()} == {200}
    assert "New sign-in" in shared_smtp.arrives(name, "New sign-in")["Subject"]
    there.forgot(name)
    shared_smtp.arrives(name, "password")  # what came before it has been delivered
    assert len(shared_smtp.to(name, "New sign-in")) == 1
    assert eventually(lambda: execute(kind, url, "SELECT user_id FROM outbox") == [])
