"""Many requests at the same moment: one effect, a right answer to each, and never a failure of ours."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import jwt
import pytest

PASSWORD = "yourpassword123"
CROWD = 50
MAILS = 60
A_WHILE = 0.3  # seconds, in which a copy that another worker had claimed would arrive
NAME_TAKEN = {"username": ["A user with that username already exists."]}
EMAIL_TAKEN = {"email": ["A user with that email already exists."]}
QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.1}
numbers = itertools.count()  # for names: several services send their mail to one mail server

ONE, WORKERS, REPLICAS = "one process", "two workers", "a process beside two workers"


def on(*deployments):
    """Runs the test against each of these: a kind of database, and what serves it."""
    return pytest.mark.parametrize(("kind", "processes"), deployments, scope="module")


IN_REPLICAS = [("postgresql", REPLICAS), ("mariadb", REPLICAS)]
in_any_deployment = on(("sqlite", ONE), ("sqlite", WORKERS), *IN_REPLICAS)
in_one_of_each_kind = on(("sqlite", ONE), *IN_REPLICAS)
in_replicas = on(*IN_REPLICAS)


@pytest.fixture(scope="module")
def service(processes, new_database, shared_commands, shared_smtp):
    how = {"limits": QUICKLY, "mail_url": shared_smtp.url, **new_database()}
    if processes == REPLICAS:
        service = shared_commands.serve_twice(first={"workers": 2}, **how)
    else:
        service = shared_commands.serve(workers=2 if processes == WORKERS else 1, **how)
    yield service
    service.kill()
    assert " ERROR " not in service.text
    assert "Traceback" not in service.text


def answered(service, requests):
    """What each is answered in the end: who is told that it is nobody's turn soon comes again."""
    answers = list(service.at_once(requests))
    while again := [number for number, answer in enumerate(answers) if answer.status == 503]:
        later = service.at_once([requests[number] for number in again])
        for number, answer in zip(again, later, strict=True):
            answers[number] = answer
    return answers


def statuses(answers):
    return Counter(answer.status for answer in answers)


def refused_bodies(answers):
    return [answer.body for answer in answers if answer.status == 400]


@in_any_deployment
def test_of_many_who_register_one_name_one_gets_it(service):
    answers = answered(
        service,
        [
            (
                "/api/auth/register/",
                {"username": "Mary" if i % 2 else "mary", "email": f"m{i}@example.com", "password": PASSWORD},
            )
            for i in range(CROWD)
        ],
    )
    assert statuses(answers) == {201: 1, 400: CROWD - 1}
    assert refused_bodies(answers) == [NAME_TAKEN] * (CROWD - 1)
    (winner,) = (i for i, answer in enumerate(answers) if answer.status == 201)
    tokens = service.log_in("mary")
    profile = service.get("/api/user/profile/", access=tokens["access"]).json()
    assert profile["email"] == f"m{winner}@example.com"


@in_one_of_each_kind
def test_of_many_who_register_one_address_one_gets_it(service):
    answers = answered(
        service,
        [
            ("/api/auth/register/", {"username": f"anna{i}", "email": address, "password": PASSWORD})
            for i in range(CROWD // 2)
            for address in ("anna@example.com", "ANNA@Example.com")[i % 2 : i % 2 + 1]
        ],
    )
    assert statuses(answers) == {201: 1, 400: CROWD // 2 - 1}
    assert refused_bodies(answers) == [EMAIL_TAKEN] * (CROWD // 2 - 1)
    assert len(service.rows("SELECT id FROM users WHERE email_key = 'anna@example.com'")) == 1


@in_any_deployment
def test_of_many_resets_with_one_token_one_is_done(service, shared_smtp):
    name = f"reset-{next(numbers)}"
    service.register(name)
    service.forgot(name)
    link = shared_smtp.link(name)
    passwords = [f"a new password {i}" for i in range(CROWD)]
    answers = answered(
        service,
        [("/api/auth/reset-password/", {**link._asdict(), "password": password}) for password in passwords],
    )
    assert statuses(answers) == {200: 1, 400: CROWD - 1}
    assert refused_bodies(answers) == [{"error": "Invalid or expired token."}] * (CROWD - 1)

    logins = answered(
        service, [("/api/auth/login/", {"username": name, "password": password}) for password in passwords]
    )
    assert [login.status == 200 for login in logins] == [answer.status == 200 for answer in answers]
    assert not service.can_log_in(name, PASSWORD)
    assert service.audited(name).count("PasswordReset") == 1


@in_any_deployment
def test_many_refreshes_with_one_token_get_the_same_next_token_which_works(service):
    name = f"refresh-{next(numbers)}"
    service.register(name)
    refresh = service.log_in(name)["refresh"]
    answers = answered(service, [("/api/auth/token/refresh/", {"refresh": refresh})] * CROWD)
    assert statuses(answers) == {200: CROWD}
    assert len({jti(answer.body["refresh"]) for answer in answers}) == 1

    following = service.post("/api/auth/token/refresh/", {"refresh": answers[-1].body["refresh"]})
    assert following.status_code == 200
    tokens = following.json()
    assert jti(tokens["refresh"]) not in {jti(refresh), jti(answers[0].body["refresh"])}
    for access in (tokens["access"], answers[0].body["access"]):
        assert service.get("/api/user/profile/", access=access).status_code == 200


def jti(token):
    return jwt.decode(token, options={"verify_signature": False})["jti"]


@in_one_of_each_kind
@pytest.mark.parametrize("head_start", [0.0, 0.02, 0.04, 0.06])
def test_a_reset_beside_a_change_leaves_one_password_and_no_session_of_the_old_one(
    service, shared_smtp, head_start
):
    name = f"both-{next(numbers)}"
    service.register(name)
    sessions = [service.log_in(name) for _ in range(2)]
    service.forgot(name)
    reset = {**shared_smtp.link(name)._asdict(), "password": "by the reset"}
    change = {"old_password": PASSWORD, "new_password": "by the change"}
    login = ("/api/auth/login/", {"username": name, "password": PASSWORD})

    # A change hashes twice, a reset once: with a head start of one hash they reach the database together.
    later = service.aim([login, ("/api/auth/reset-password/", reset), login])
    sooner = service.aim([login, ("/api/user/change-password/", change, sessions[0]["access"])]).fire()
    time.sleep(head_start)
    later.fire()
    [login_1, of_the_change], [login_2, of_the_reset, login_3] = sooner.answers(), later.answers()

    changed, was_reset = of_the_change.status == 200, of_the_reset.status == 200
    assert changed != was_reset
    assert (of_the_change.status, of_the_reset.status) in {(200, 400), (400, 200), (401, 200)}
    works = [service.can_log_in(name, each) for each in (PASSWORD, "by the change", "by the reset")]
    assert works == [False, changed, was_reset]
    done = [kind for kind in service.audited(name) if kind in {"PasswordChanged", "PasswordReset"}]
    assert done == ["PasswordChanged" if changed else "PasswordReset"]

    # The session that changed the password is its owner's, and the only one that may go on.
    logins = [login_1, login_2, login_3]
    assert statuses(logins).keys() <= {200, 401}
    born_meanwhile = [login.body for login in logins if login.status == 200]
    alive = [
        service.get("/api/user/profile/", access=session["access"]).status_code == 200
        for session in [*sessions, *born_meanwhile]
    ]
    assert alive == [changed, *([False] * (len(alive) - 1))]


@in_replicas
def test_each_of_many_mails_is_sent_by_one_worker_and_arrives_once(service, shared_smtp, eventually):
    names = [f"mail-{next(numbers)}" for _ in range(MAILS)]
    accounts = [{"username": name, "email": f"{name}@example.com", "password": PASSWORD} for name in names]
    registered = answered(service, [("/api/auth/register/", account) for account in accounts])
    assert statuses(registered) == {201: MAILS}
    asked = answered(
        service, [("/api/auth/forgot-password/", {"email": f"{name}@example.com"}) for name in names]
    )
    assert statuses(asked) == {200: MAILS}
    eventually(lambda: service.rows("SELECT id FROM outbox") == [])
    time.sleep(A_WHILE)
    assert Counter(len(shared_smtp.to(name)) for name in names) == {1: MAILS}
    assert "lease had lapsed" not in service.text
