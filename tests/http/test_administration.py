"""/api/admin/: who may use it, what it answers, and how it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import quote

import pytest
from tests.http.conftest import PASSWORD, bearer

from identity.application.letters import WebhookIntent
from identity.domain.errors import MailRefused
from identity.domain.secrets import Secret

USERS, AUDIT, OUTBOX = "/api/admin/users/", "/api/admin/audit/", "/api/admin/outbox/"
ACTS = ("disable", "enable", "force-reset", "end-sessions", "verify-email", "promote", "demote")
NOT_PERMITTED = {"detail": "You do not have permission to perform this action."}
NOT_PROVIDED = {"detail": "Authentication credentials were not provided."}
LOG_IN_AGAIN = {"detail": "Log in again to continue.", "code": "login_too_old"}
NO_ACCOUNT = {"detail": "No such account.", "code": "account_not_found"}
NO_LETTER = {"detail": "No such dead letter.", "code": "dead_letter_not_found"}
REQUESTS = [
    ("GET", USERS),
    ("GET", f"{USERS}1/"),
    *(("POST", f"{USERS}1/{act}/") for act in ACTS),
    ("GET", AUDIT),
    ("GET", OUTBOX),
    ("POST", f"{OUTBOX}{'0' * 32}/retry/"),
]
ACCOUNT = {
    "id": 2,
    "username": "john_doe",
    "email": "john@example.com",
    "email_verified_at": None,
    "has_password": True,
    "display_name": "",
    "locale": "en",
    "time_zone": "",
    "date_joined": "2026-01-01T12:00:00Z",
    "last_updated": "2026-01-01T12:00:00Z",
    "last_login_at": None,
    "superuser_since": None,
    "disabled_at": None,
    "erasure_due_at": None,
}


@pytest.fixture
async def root(service):
    """The access token of a superuser, whose account is the first."""
    registering = partial(
        service.container.register_user(),
        username="root",
        email="root@example.com",
        password=Secret(PASSWORD),
        superuser=True,
    )
    service.in_the_app(registering)
    return (await service.log_in("root")).access


@pytest.fixture
async def john(service, root):
    """His account is the second."""
    await service.register()
    return ACCOUNT | {"locale": service.user().locale}


async def got(service, path, access):
    answer = await service.get(path, access=access)
    return answer.status_code, answer.json()


async def done(service, act, access, user_id=2):
    answer = await service.client.post(f"{USERS}{user_id}/{act}/", headers=bearer(access))
    return answer.status_code, answer.json()


def give_up(service):
    """Lets the mail that waits be refused."""

    class Refusing:
        async def send(self, message):
            raise MailRefused("no such mailbox")

    async def deliver():
        deliver_mail = replace(service.container.deliver_mail(), mailer=Refusing())
        while await deliver_mail():
            pass

    service.in_the_app(deliver)


# Who may


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_nobody_gets_in_without_a_young_session_of_a_superuser(service, root, john, method, path):
    access = (await service.log_in()).access

    async def sent(access, method=method):
        answer = await service.client.request(method, path, headers=bearer(access))
        return answer.status_code, answer.json()

    assert await sent(None) == (401, NOT_PROVIDED)
    assert await sent(access) == (403, NOT_PERMITTED)
    for other in ("PUT", "PATCH", "DELETE"):
        assert await sent(None, other) == (401, NOT_PROVIDED)
        assert await sent(access, other) == (403, NOT_PERMITTED)
        assert await sent(root, other) == (405, {"detail": f'Method "{other}" not allowed.'})
    pair = await service.log_in("root")
    service.clock.advance(timedelta(hours=12))
    young = (await service.refresh(pair.refresh)).json()["access"]
    assert await sent(young) == (403, LOG_IN_AGAIN)


async def test_who_is_no_superuser_is_not_said_to_lack_an_origin(service, root, john, caplog):
    access = (await service.log_in()).access
    answer = await service.post(f"{USERS}1/demote/", {}, access=access)
    assert answer.status_code == 403
    assert "was refused" not in caplog.text


async def test_how_young_a_login_has_to_be_is_a_setting(start):
    service = await start(superuser_login_lifetime=timedelta(minutes=1))
    registering = partial(
        service.container.register_user(),
        username="root",
        email="root@example.com",
        password=Secret(PASSWORD),
        superuser=True,
    )
    service.in_the_app(registering)
    access = (await service.log_in("root")).access
    service.clock.advance(timedelta(seconds=59))
    assert (await got(service, USERS, access))[0] == 200
    service.clock.advance(timedelta(seconds=1))
    assert await got(service, USERS, access) == (403, LOG_IN_AGAIN)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_options_tell_the_methods(service, method, path):
    answer = await service.client.options(path)
    assert answer.status_code == 204
    assert method in answer.headers["allow"].split(", ")


# Accounts


async def test_accounts_are_listed_and_searched(service, root, john):
    status, page = await got(service, USERS, root)
    assert status == 200
    assert [user["username"] for user in page["users"]] == ["john_doe", "root"]
    assert page["next"] is None
    assert await got(service, f"{USERS}?search=JOHN%40", root) == (200, {"users": [john], "next": None})
    assert await got(service, f"{USERS}?search=nobody", root) == (200, {"users": [], "next": None})


async def test_a_page_leads_to_the_next(service, root, john):
    _, first = await got(service, f"{USERS}?limit=1", root)
    assert [user["username"] for user in first["users"]] == ["john_doe"]
    _, second = await got(service, f"{USERS}?limit=1&after={first['next']}", root)
    assert [user["username"] for user in second["users"]] == ["root"]
    assert second["next"] is None


async def test_an_account_is_shown_with_its_sessions_and_events(service, root, john):
    await service.log_in()
    status, shown = await got(service, f"{USERS}2/", root)
    assert status == 200
    assert shown["account"] == john | {"last_login_at": "2026-01-01T12:00:00Z"}
    (session,) = shown["sessions"]
    assert session == {
        "id": session["id"],
        "created_at": "2026-01-01T12:00:00Z",
        "last_used_at": "2026-01-01T12:00:00Z",
        "expires_at": "2026-01-31T12:00:00Z",
        "ended_at": None,
        "is_over": False,
        "user_agent": session["user_agent"],
        "address": session["address"],
    }
    newest, oldest = shown["events"]
    assert (newest["kind"], oldest["kind"]) == ("LoggedIn", "UserRegistered")
    assert newest == {
        "id": newest["id"],
        "at": "2026-01-01T12:00:00Z",
        "kind": "LoggedIn",
        "result": "done",
        "user_id": 2,
        "actor": "owner",
        "actor_id": None,
        "subject": "",
        "session_id": session["id"],
        "address": session["address"],
        "user_agent": session["user_agent"],
        "request_id": newest["request_id"],
    }


@pytest.mark.parametrize("act", ["", *(f"{act}/" for act in ACTS)])
async def test_an_account_that_is_not_there_is_not_found(service, root, john, act):
    for user_id in ("3", "0", "-1", "1.0", "x", "9" * 40, "²", "%00", "1%00", "a" * 300, "🦊"):
        path = f"{USERS}{quote(user_id, safe='%')}/{act}"
        answer = await service.client.request("POST" if act else "GET", path, headers=bearer(root))
        assert (answer.status_code, answer.json()) == (404, NO_ACCOUNT), user_id


# Acts


async def test_an_account_is_disabled_and_enabled(service, root, john):
    tokens = await service.log_in()
    disabled = john | {"last_login_at": "2026-01-01T12:00:00Z", "disabled_at": "2026-01-01T12:00:00Z"}
    for _ in range(2):
        assert await done(service, "disable", root) == (200, disabled)
    assert not await service.can_log_in()
    assert (await service.profile(tokens.access)).status_code == 401
    for _ in range(2):
        assert await done(service, "enable", root) == (200, disabled | {"disabled_at": None})
    assert await service.can_log_in()


async def test_a_reset_is_forced_by_mail(service, root, john):
    assert await done(service, "force-reset", root) == (200, john | {"has_password": False})
    assert not await service.can_log_in()
    (mail,) = await service.deliver()
    assert mail.to.value == "john@example.com"
    assert (await service.reset(service.link("reset-password"))).status_code == 200
    assert await service.can_log_in(password="newpassword123")


async def test_sessions_are_ended(service, root, john):
    tokens = await service.log_in()
    assert (await done(service, "end-sessions", root))[0] == 200
    assert (await service.profile(tokens.access)).status_code == 401
    assert await service.can_log_in()


async def test_an_address_is_vouched_for(service, root, john):
    verified = john | {"email_verified_at": "2026-01-01T12:00:00Z"}
    assert await done(service, "verify-email", root) == (200, verified)


async def test_a_superuser_is_made_and_unmade(service, root, john):
    access = (await service.log_in()).access
    assert (await done(service, "promote", root))[1]["superuser_since"] == "2026-01-01T12:00:00Z"
    assert (await service.profile(access)).json()["is_superuser"] is True
    assert (await got(service, USERS, access))[0] == 200
    assert (await done(service, "demote", access, user_id=1))[1]["superuser_since"] is None
    assert (await service.profile(root)).json()["is_superuser"] is False
    assert await got(service, USERS, root) == (403, NOT_PERMITTED)


@pytest.mark.parametrize(("act", "fate"), [("disable", "disabled"), ("demote", "demoted")])
async def test_the_last_superuser_stays(service, root, john, act, fate):
    refusal = {"error": f"The last superuser cannot be {fate}."}
    assert await done(service, act, root, user_id=1) == (400, refusal)
    assert (await got(service, USERS, root))[0] == 200


async def test_what_an_administrator_did_is_not_told_with_where_they_are(service, root, john):
    """The owner may know what was done to the account, but not the address of who did it."""
    headers = bearer(root) | {"User-Agent": "the administrator's own"}
    assert (await service.client.post(f"{USERS}2/promote/", headers=headers)).status_code == 200
    exported = await service.get("/api/user/export/", access=(await service.log_in()).access)
    (event,) = [each for each in exported.json()["events"] if each["kind"] == "SuperuserGranted"]
    assert (event["address"], event["user_agent"]) == ("", "")
    _, audited = await got(service, f"{AUDIT}?kind=SuperuserGranted", root)
    assert audited["events"][0]["user_agent"] == "the administrator's own"


# The audit log


async def test_the_audit_log_tells_who_did_what_to_whom(service, root, john):
    await done(service, "disable", root)
    status, page = await got(service, f"{AUDIT}?kind=AccountDisabled&user=2", root)
    assert status == 200
    (event,) = page["events"]
    assert page == {"events": [event], "next": None}
    assert (event["kind"], event["user_id"]) == ("AccountDisabled", 2)
    assert (event["actor"], event["actor_id"]) == ("administrator", 1)
    assert len(event["request_id"]) == 16


async def test_the_audit_log_is_read_page_by_page_and_by_time(service, root, john):
    service.clock.advance(timedelta(minutes=1))
    await service.log_in()
    kinds, before = [], ""
    for _ in range(6):
        _, page = await got(service, f"{AUDIT}?limit=1{before}", root)
        kinds += [event["kind"] for event in page["events"]]
        before = f"&before={page['next']}"
    assert kinds == ["LoggedIn", "UserRegistered", "LoggedIn", "SuperuserCreated", "KeyAdded"]
    assert page["next"] is None
    for query, count in [
        ("since=2026-01-01T12:00:01Z", 1),
        ("until=2026-01-01T12:00:01Z", 4),
        ("since=2026-01-01T13:00:01%2B01:00", 1),
        ("since=2026-01-01T12:00:00Z&until=2026-01-01T12:00:00Z", 0),
        ("user=99", 0),
        ("user=2&kind=LoggedIn", 1),
    ]:
        _, page = await got(service, f"{AUDIT}?{query}", root)
        assert len(page["events"]) == count, query


# The outbox


async def test_a_dead_letter_is_seen_and_tried_again(service, root, john):
    await service.forgot()
    _, waiting = await got(service, OUTBOX, root)
    assert [letter["email"] for letter in waiting["letters"]] == ["john@example.com"]
    give_up(service)
    assert await got(service, OUTBOX, root) == (200, {"letters": [], "next": None})
    status, dead = await got(service, f"{OUTBOX}?state=dead", root)
    (letter,) = dead["letters"]
    assert (status, dead["next"]) == (200, None)
    assert letter == {
        "id": letter["id"],
        "queue": "mail",
        "kind": "password_reset",
        "user_id": None,
        "email": "john@example.com",
        "created_at": "2026-01-01T12:00:00Z",
        "due_at": "2026-01-01T12:00:00Z",
        "attempts": 1,
        "error": "no such mailbox",
        "dead_at": "2026-01-01T12:00:00Z",
    }
    path = f"{OUTBOX}{letter['id']}/retry/"
    answer = await service.client.post(path, headers=bearer(root))
    assert (answer.status_code, answer.json()) == (200, letter | {"attempts": 0, "dead_at": None})
    answer = await service.client.post(path, headers=bearer(root))
    assert (answer.status_code, answer.json()) == (404, NO_LETTER)
    assert len(await service.deliver()) == 1


async def test_a_webhook_in_the_outbox_names_its_queue_and_whom_it_concerns_and_shows_no_body(
    service, root, john
):
    at = service.clock.now()
    intent = WebhookIntent(
        id="w" * 32, queue="webhook:0123", kind="LoggedIn", created_at=at, user_id=2, body='{"x":"canary"}'
    )

    async def die():
        async with service.container.storage().begin() as uow:
            await uow.outbox.put(intent)
            claimed = await uow.outbox.claim(
                lease_id="l", at=at, lease=timedelta(minutes=1), queue="webhook:0123"
            )
            await uow.outbox.bury(claimed, at=at, error="answered 410")

    service.in_the_app(die)
    _, dead = await got(service, f"{OUTBOX}?state=dead", root)
    (letter,) = dead["letters"]
    assert (letter["queue"], letter["kind"], letter["user_id"], letter["email"], letter["error"]) == (
        "webhook:0123",
        "LoggedIn",
        2,
        None,
        "answered 410",
    )
    assert "canary" not in str(dead)
    answer = await service.client.post(f"{OUTBOX}{'w' * 32}/retry/", headers=bearer(root))
    assert (answer.status_code, answer.json()) == (200, letter | {"attempts": 0, "dead_at": None})


@pytest.mark.parametrize("letter", ["0" * 32, "x", "%00", "%F0%9F%A6%8A", "a" * 300])
async def test_a_letter_that_is_not_there_is_not_found(service, root, letter):
    answer = await service.client.post(f"{OUTBOX}{letter}/retry/", headers=bearer(root))
    assert (answer.status_code, answer.json()) == (404, NO_LETTER)


# Parameters

NUMBER = "Enter a whole number from 1 to {}."
ID = NUMBER.format(2**63 - 1)
A_TIME = "Enter a time with its zone, such as 2024-12-19T10:00:00Z."


@pytest.mark.parametrize(
    ("path", "problems"),
    [
        (f"{USERS}?limit=0", {"limit": [NUMBER.format(100)]}),
        (f"{USERS}?limit=101", {"limit": [NUMBER.format(100)]}),
        (f"{USERS}?limit=ten", {"limit": [NUMBER.format(100)]}),
        (f"{USERS}?limit=%C2%B2", {"limit": [NUMBER.format(100)]}),
        (f"{USERS}?limit={'9' * 5000}", {"limit": [NUMBER.format(100)]}),
        (f"{USERS}?search=a%00", {"search": ["Null characters are not allowed."]}),
        (f"{USERS}?search=a&search=b", {"search": ["This parameter may be given once only."]}),
        (f"{USERS}?after=x", {"after": ["Invalid cursor."]}),
        (f"{USERS}?after=%00", {"after": ["Null characters are not allowed."]}),
        (f"{AUDIT}?user=x&before=-1", {"user": [ID], "before": [ID]}),
        (f"{AUDIT}?user={2**63}", {"user": [ID]}),
        (f"{AUDIT}?kind=Nothing", {"kind": ["There is no such kind of event."]}),
        *(
            (f"{AUDIT}?since={time}", {"since": [A_TIME]})
            for time in (
                "yesterday",
                "2026-01-01",
                "2026-01-01T12:00:00",
                "2026-13-01T12:00:00Z",
                "0001-01-01T00:00:00%2B14:00",
                "1969-12-31T23:59:59Z",
                "9999-12-31T23:59:59-14:00",
            )
        ),
        (f"{OUTBOX}?state=alive", {"state": ["Choose one of waiting, dead."]}),
        (f"{OUTBOX}?after=x", {"after": ["Invalid cursor."]}),
    ],
)
async def test_wrong_parameters_are_refused_with_the_reason(service, root, path, problems):
    assert await got(service, path, root) == (400, problems)


@pytest.mark.parametrize("path", [USERS, AUDIT, OUTBOX])
async def test_parameters_that_cannot_be_read_are_refused(service, root, path):
    status, body = await got(service, f"{path}?limit=%FF", root)
    assert status == 400
    assert body["detail"].startswith("Query parse error - ")
    answer = await service.client.get(f"{path}?" + "&".join("x" * 101), headers=bearer(root))
    assert answer.status_code == 400


@pytest.mark.parametrize("path", [USERS, AUDIT, OUTBOX])
async def test_parameters_that_are_blank_or_unknown_count_for_nothing(service, root, path):
    query = "search=&after=&limit=&kind=&since=&until=&before=&user=&state=&unknown=1"
    assert await got(service, f"{path}?{query}", root) == await got(service, path, root)


# Secrets


async def test_nothing_secret_is_in_any_answer(service, root, john):
    tokens = await service.log_in()
    await service.forgot()
    await service.deliver()
    link = service.link("reset-password")
    await service.forgot()
    give_up(service)
    user = service.user()
    secrets = {user.password_hash, link.token, tokens.access, tokens.refresh, "password_hash", "details"}
    paths = [USERS, f"{USERS}1/", f"{USERS}2/", AUDIT, OUTBOX, f"{OUTBOX}?state=dead"]
    answers = [await service.get(path, access=root) for path in paths]
    answers += [await service.client.post(f"{USERS}2/{act}/", headers=bearer(root)) for act in ACTS]
    for answer in answers:
        assert answer.status_code == 200
        assert not [secret for secret in secrets if secret in answer.text]
        assert answer.headers["cache-control"] == "no-store"
        json.loads(answer.text)
