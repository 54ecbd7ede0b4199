"""What an attacker gets evaluated, by whichever way and process; and what the owner can do meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest

PASSWORD = "yourpassword123"
LOGIN, CHANGE = "/api/auth/login/", "/api/user/change-password/"
COUNTED = {"hasher": "counted_hasher:CountedHasher"}
on_every_database = pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"], scope="module")


@pytest.fixture
def service(kind, commands, verified):
    """Starts two workers on SQLite, and on a server database also a process beside them."""

    def start(**settings):
        settings |= {**COUNTED, "deliver_mail": "false"}
        if kind == "sqlite":
            return commands.serve(workers=2, **settings)
        return commands.serve_twice(first={"workers": 2}, **settings)

    return start


def wrong(name, number):
    return LOGIN, {"username": name, "password": f"wrong password {number}"}


@on_every_database
def test_of_five_hundred_wrong_passwords_at_once_ten_are_evaluated(service, verified):
    service = service(login_free_failures=10, login_failures=10)
    service.register("john")
    outcomes = Counter()
    for _ in range(6):  # a busy machine has no turn for most of them
        answers = service.at_once([wrong("john", number) for number in range(500)])
        outcomes.update(answer.status for answer in answers)
        if outcomes[429]:
            break
    assert outcomes.keys() <= {401, 429, 503}
    assert 0 < outcomes[401] <= verified() <= 10
    assert outcomes[429] > 0
    assert "Traceback" not in service.text


@on_every_database
def test_a_hundred_in_a_row_are_evaluated_by_whatever_name_and_way(service, verified):
    service = service(login_free_failures=100, login_failures=100)
    service.register("john")
    access = service.log_in("john")["access"]
    begun = verified()
    names = ["john", "JOHN", " John ", "john@example.com", "JOHN@EXAMPLE.COM"]
    attempts = [
        (CHANGE, {"old_password": f"wrong password {number}", "new_password": "another good one"}, access)
        if number % 6 == 5
        else wrong(names[number % 6], number)
        for number in range(150)
    ]
    answers = [answer for _ in range(3) for answer in service.at_once(attempts)]
    assert {answer.status for answer in answers} <= {400, 401, 429, 503}
    failures = sum(answer.status in {400, 401} for answer in answers)
    assert failures <= verified() - begun <= 100
    for number in range(100 - verified() + begun):  # what a busy machine had no turn for
        assert service.post(*wrong("john", number)).status_code == 401
    answer = service.post(LOGIN, {"username": "john", "password": PASSWORD})
    assert answer.status_code == 429
    assert verified() - begun == 100


def test_an_account_without_any_further_try_still_refreshes_and_is_reset_by_mail(serve, verified, smtp):
    server = serve(**COUNTED, mail_url=smtp.url, login_free_failures=3, login_failures=3)
    server.register("john")
    refresh = server.log_in("john")["refresh"]
    for number in range(3):
        assert server.post(*wrong("john", number)).status_code == 401
    locked = server.post(LOGIN, {"username": "john", "password": PASSWORD})
    assert locked.status_code == 429
    assert int(locked.headers["Retry-After"]) > 0

    refreshed = server.post("/api/auth/token/refresh/", {"refresh": refresh})
    assert refreshed.status_code == 200
    assert server.get("/api/user/profile/", access=refreshed.json()["access"]).status_code == 200
    server.forgot("john")
    assert server.reset(smtp.link("john"), "a new password 1").status_code == 200
    assert server.can_log_in("john", "a new password 1")


def attempts_from_elsewhere(server, headers):
    """The answers to wrong passwords for many accounts, each of which claims to come from another address."""
    return [
        server.client.post(
            LOGIN,
            json={"username": f"user{number}", "password": "wrong password"},
            headers={name: text.format(number) for name, text in headers.items()},
        ).status_code
        for number in range(6)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.{}.1"},
        {"X-Real-IP": "203.0.{}.1", "X-Client-IP": "203.0.{}.1", "True-Client-IP": "203.0.{}.1"},
        {"Forwarded": "for=203.0.{}.1", "CF-Connecting-IP": "203.0.{}.1", "X-Forwarded": "203.0.{}.1"},
    ],
    ids=["X-Forwarded-For", "X-Real-IP", "Forwarded"],
)
def test_where_a_client_claims_to_come_from_changes_nothing(serve, verified, headers):
    server = serve(**COUNTED, address_failures=3)
    assert attempts_from_elsewhere(server, headers) == [401, 401, 401, 429, 429, 429]
    assert verified() == 3


def test_where_a_trusted_proxy_says_that_a_client_comes_from_counts(serve, verified):
    server = serve(**COUNTED, address_failures=3, trusted_proxies="127.0.0.1/32")
    assert attempts_from_elsewhere(server, {"X-Forwarded-For": "203.0.{}.1"}) == [401] * 6
    # What stands before the proxy's own word is the client's claim.
    claimed = attempts_from_elsewhere(server, {"X-Forwarded-For": "203.0.{}.1, 198.51.100.1"})
    assert claimed == [401, 401, 401, 429, 429, 429]
