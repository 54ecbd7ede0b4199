"""Login, refresh and logout where IDENTITY_REFRESH_COOKIE keeps the refresh token in a cookie."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from functools import partial

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from identity.domain.events import OPERATOR

# What is tried here does not get to the storage, or is the same on every one.
pytestmark = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")

PASSWORD = "yourpassword123"
CREDENTIALS = {"username": "john_doe", "password": PASSWORD}
PAGE = "https://app.example.com"
OWN = "https://id.example.com"
LISTED = (PAGE, "https://admin.example.com:8443")
COOKIE = "__Host-refresh"

LOGIN, REFRESH = "/api/auth/login/", "/api/auth/token/refresh/"
BY_CODE = "/api/auth/login-code/confirm/"
LOGOUTS = ["/api/auth/logout/", "/api/auth/logout", "/api/auth/token/blacklist/", "/api/auth/token/blacklist"]
GUARDED = [LOGIN, LOGIN.rstrip("/"), REFRESH, REFRESH.rstrip("/"), *LOGOUTS]

INVALID = {"detail": "Token is invalid", "code": "token_not_valid"}
WRONG_TYPE = {"detail": "Token has wrong type", "code": "token_not_valid"}
EXPIRED = {"detail": "Token is expired", "code": "token_not_valid"}
BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}
FOREIGN = {"detail": "Origin not allowed.", "code": "origin_not_allowed"}

HELD = "HttpOnly; Max-Age=2592000; Path=/; SameSite=strict; Secure"
DELETED = f'{COOKIE}=""; HttpOnly; Max-Age=0; Path=/; SameSite=strict; Secure'


HOW = {"refresh_cookie": True, "public_url": OWN, "cors_origins": LISTED}


@pytest.fixture
async def service(reused):
    service = await reused(**HOW)
    await service.register()
    return service


@pytest.fixture
async def started(start):
    """One that has refused nobody yet, and so has logged no reason."""
    service = await start(**HOW)
    await service.register()
    return service


async def send(service, path, body=None, *, cookie=None, **headers):
    """As a page's script does, unless the headers say otherwise; a header that is None is not sent."""
    headers = {"Origin": PAGE, "Content-Type": "application/json", **headers}
    if cookie is not None:
        headers["Cookie"] = cookie
    service.client.cookies.clear()  # what is sent is in the header and nowhere else
    content = body if isinstance(body, str | bytes) else json.dumps(body or {})
    return await service.client.post(
        path, content=content, headers={name: value for name, value in headers.items() if value is not None}
    )


def held(answer):
    """The refresh token that the answer has the browser keep."""
    (line,) = answer.headers.get_list("set-cookie")
    pair, _, attributes = line.partition("; ")
    name, _, token = pair.partition("=")
    assert (name, attributes) == (COOKIE, HELD)
    assert token.count(".") == 2
    return token


async def logged_in(service):
    """The access token and the refresh token of a new session."""
    answer = await send(service, LOGIN, CREDENTIALS)
    assert answer.status_code == 200, answer.text
    return answer.json()["access"], held(answer)


async def refreshed(service, token):
    answer = await send(service, REFRESH, cookie=f"{COOKIE}={token}")
    assert answer.status_code == 200, answer.text
    return held(answer)


async def refusal(service, token, path=REFRESH):
    answer = await send(service, path, cookie=f"{COOKIE}={token}")
    is_over = answer.json() in (BLACKLISTED, EXPIRED)
    assert answer.headers.get_list("set-cookie") == ([DELETED] if is_over else [])
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    return answer.status_code, answer.json()


# The cookie


@pytest.mark.parametrize("path", [LOGIN, LOGIN.rstrip("/")])
async def test_a_login_answers_with_the_access_token_only_and_puts_the_other_into_the_cookie(service, path):
    answer = await send(service, path, CREDENTIALS)
    assert answer.status_code == 200
    assert list(answer.json()) == ["access"]
    assert answer.text == json.dumps({"access": answer.json()["access"]}, separators=(",", ":"))
    (line,) = answer.headers.get_list("set-cookie")
    assert line == f"{COOKIE}={held(answer)}; {HELD}"
    assert (await service.profile(answer.json()["access"])).status_code == 200


async def test_the_cookie_lasts_as_long_as_a_session_may(start):
    service = await start(
        refresh_cookie=True, public_url=OWN, cors_origins=LISTED, refresh_lifetime=timedelta(hours=12)
    )
    await service.register()
    (line,) = (await send(service, LOGIN, CREDENTIALS)).headers.get_list("set-cookie")
    assert "; Max-Age=43200;" in line


@pytest.mark.parametrize("path", [REFRESH, REFRESH.rstrip("/")])
async def test_a_refresh_replaces_the_token_in_the_cookie(service, path):
    _, token = await logged_in(service)
    answer = await send(service, path, cookie=f"{COOKIE}={token}")
    assert answer.status_code == 200
    assert list(answer.json()) == ["access"]
    assert held(answer) != token
    assert (await service.profile(answer.json()["access"])).status_code == 200
    await refreshed(service, held(answer))


async def test_two_tabs_that_refresh_at_once_both_go_on(service):
    _, token = await logged_in(service)
    first, second = await refreshed(service, token), await refreshed(service, token)
    await refreshed(service, first)
    await refreshed(service, second)


async def test_a_replay_of_a_replaced_cookie_ends_the_session(service):
    access, token = await logged_in(service)
    newest = await refreshed(service, await refreshed(service, token))
    service.clock.advance(timedelta(minutes=1))
    assert await refusal(service, token) == (401, BLACKLISTED)
    assert await refusal(service, newest) == (401, BLACKLISTED)
    assert (await service.profile(access)).status_code == 401


@pytest.mark.parametrize("path", LOGOUTS)
async def test_a_logout_ends_the_session_and_deletes_the_cookie(service, path):
    access, token = await logged_in(service)
    answer = await send(service, path, cookie=f"{COOKIE}={token}")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers.get_list("set-cookie") == [DELETED]
    assert await refusal(service, token) == (401, BLACKLISTED)
    assert (await service.profile(access)).status_code == 401


@pytest.mark.parametrize("path", [REFRESH, *LOGOUTS])
async def test_a_refusal_because_the_session_is_over_deletes_the_cookie(service, path):
    _, token = await logged_in(service)
    _, other = await logged_in(service)
    await send(service, LOGOUTS[0], cookie=f"{COOKIE}={token}")
    assert await refusal(service, token, path) == (401, BLACKLISTED)
    service.clock.advance(timedelta(days=30))
    assert await refusal(service, other, path) == (401, EXPIRED)


async def test_a_browser_keeps_and_deletes_the_cookie_by_the_same_attributes(service):
    """A `__Host-` cookie without Secure and Path=/, or with a Domain, is ignored: a deletion too."""
    for line in (f"{COOKIE}=token; {HELD}", DELETED):
        attributes = {part.partition("=")[0] for part in line.split("; ")[1:]}
        assert attributes == {"HttpOnly", "Max-Age", "Path", "SameSite", "Secure"}
        assert "Path=/;" in line


async def test_other_cookies_beside_it_do_not_matter(service):
    _, token = await logged_in(service)
    for cookie in (
        f"theme=dark; {COOKIE}={token}; lang=de",
        f"refresh=x;{COOKIE}={token}",
        f'broken; =; "; {COOKIE}={token}',
        f"__host-refresh=x; {COOKIE}={token}",
        f"{COOKIE}2=x; x{COOKIE}=y; {COOKIE}={token}",
    ):
        assert (await send(service, REFRESH, cookie=cookie)).status_code == 200, cookie


@pytest.mark.parametrize("path", [REFRESH, *LOGOUTS])
@pytest.mark.parametrize(
    "cookie",
    [
        None,
        "",
        COOKIE,
        f"{COOKIE}=",
        f'{COOKIE}=""',
        f"{COOKIE}=x",
        f"{COOKIE}=a.b.c",
        f"{COOKIE}=e30.e30.e30",
        f"{COOKIE}=\xff\xfe",
        f"{COOKIE}={'a' * 8000}",
    ],
)
async def test_without_a_token_in_the_cookie_a_request_is_refused(service, path, cookie):
    answer = await send(service, path, cookie=None if cookie is None else cookie.encode("latin-1"))
    assert (answer.status_code, answer.json()) == (401, INVALID)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", [REFRESH, LOGOUTS[0]])
async def test_two_cookies_of_the_name_are_refused_whichever_comes_first(service, path):
    access, token = await logged_in(service)
    _, another = await logged_in(service)
    for pair in ((token, another), (another, token), (token, token), (token, ""), ("", token), (token, "x")):
        answer = await send(service, path, cookie="; ".join(f"{COOKIE}={each}" for each in pair))
        assert (answer.status_code, answer.json()) == (401, INVALID)
    answer = await service.client.post(
        path,
        json={},
        headers=[("Origin", PAGE), ("Cookie", f"{COOKIE}={token}"), ("Cookie", f"{COOKIE}={another}")],
    )
    assert (answer.status_code, answer.json()) == (401, INVALID)
    assert (await service.profile(access)).status_code == 200


@pytest.mark.parametrize("blank", [b"\xa0", b"\x85", b"\x1c", b"\x0c", "\u2000".encode()])
async def test_a_name_in_odd_white_space_is_not_the_name(service, blank):
    """Any neighbouring host can set such a cookie, for the browser does not see the prefix in its name."""
    _, token = await logged_in(service)
    _, forged = await logged_in(service)
    name = COOKIE.encode()
    for forgery in (blank + name, name + blank):
        cookie = forgery + b"=" + forged.encode()
        answer = await send(service, REFRESH, cookie=cookie)
        assert (answer.status_code, answer.json()) == (401, INVALID)
        both = name + b"=" + token.encode() + b"; " + cookie
        assert (await send(service, REFRESH, cookie=both)).status_code == 200
        assert (await send(service, LOGOUTS[0], cookie=cookie)).status_code == 401
    assert (await send(service, LOGOUTS[0], cookie=both)).status_code == 200
    assert await refusal(service, token) == (401, BLACKLISTED)
    await refreshed(service, forged)


@pytest.mark.parametrize("path", [REFRESH, *LOGOUTS])
async def test_an_access_token_in_the_cookie_has_the_wrong_type(service, path):
    access, _ = await logged_in(service)
    assert await refusal(service, access, path) == (401, WRONG_TYPE)
    assert (await service.profile(access)).status_code == 200


# Bodies


@pytest.mark.parametrize("path", [REFRESH, *LOGOUTS])
async def test_a_refresh_token_in_the_body_is_ignored(service, path):
    access, token = await logged_in(service)
    answer = await send(service, path, {"refresh": token})
    assert (answer.status_code, answer.json()) == (401, INVALID)
    assert (await service.profile(access)).status_code == 200
    _, another = await logged_in(service)
    answer = await send(service, path, {"refresh": token}, cookie=f"{COOKIE}={another}")
    assert answer.status_code == 200
    await refreshed(service, token)


@pytest.mark.parametrize("path", [REFRESH, LOGOUTS[0]])
async def test_no_body_at_all_is_as_good_as_an_empty_object(service, path):
    _, token = await logged_in(service)
    assert (await send(service, path, "", cookie=f"{COOKIE}={token}")).status_code == 200


@pytest.mark.parametrize("path", [REFRESH, LOGOUTS[0]])
@pytest.mark.parametrize("body", ["{", "[]", "null", '"x"', '{"a": 1, "a": 2}'])
async def test_a_body_that_is_no_object_is_refused_and_changes_nothing(service, path, body):
    _, token = await logged_in(service)
    answer = await send(service, path, body, cookie=f"{COOKIE}={token}")
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    await refreshed(service, token)


async def test_no_body_of_any_route_ever_has_a_refresh_token(reused):
    service = await reused(**HOW, login_code=True)
    await service.register()
    tokens, bodies, walked, session = [], [], set(), {}

    async def walk(method, path, body=None, *, name=None):
        """With all that a browser has; keeps what it is given."""
        service.client.cookies.clear()
        headers = {"Origin": PAGE, **session}
        answer = await service.client.request(method, path, json=body, headers=headers)
        assert answer.status_code < 300, (path, answer.text)
        bodies.append(answer.text)
        walked.add((name or path, method.lower()))
        if path in {LOGIN, BY_CODE, REFRESH}:
            tokens.append(held(answer))
            session["Cookie"] = f"{COOKIE}={tokens[-1]}"
            session["Authorization"] = f"Bearer {answer.json()['access']}"
        return answer

    async def log_in(password="newpassword123"):
        await walk("POST", LOGIN, {"username": "john_doe", "password": password})

    await log_in(PASSWORD)
    jane = {"username": "jane", "email": "jane@example.com", "password": PASSWORD}
    await walk("POST", "/api/auth/register/", jane)
    await walk("POST", REFRESH, {})
    await walk("POST", "/api/auth/token/verify/", {"token": tokens[-1]})
    passwords = {"old_password": PASSWORD, "new_password": "yournewpassword123"}
    await walk("POST", "/api/user/change-password/", passwords)
    await walk("POST", "/api/user/sessions/revoke-others/")
    await walk("POST", "/api/auth/resend-verification/", {"email": "john@example.com"})
    await service.deliver()
    await walk("POST", "/api/auth/verify-email/", service.link()._asdict())
    await walk("POST", "/api/auth/forgot-password/", {"email": "john@example.com"})
    await service.deliver()
    reset = {**service.link()._asdict(), "password": "newpassword123"}
    await walk("POST", "/api/auth/reset-password/", reset)
    await log_in()
    request = (await walk("POST", "/api/auth/login-code/", {"email": "john@example.com"})).json()["request"]
    mails = "".join(mail.text for mail in await service.deliver())
    (digits,) = re.findall(r"^ +(\d{4} \d{4})$", mails, re.MULTILINE)
    await walk("POST", BY_CODE, {"request": request, "code": digits})
    await walk("PATCH", "/api/user/profile/", {"display_name": "John Doe"})
    change = {"new_email": "john@example.net", "password": "newpassword123"}
    await walk("POST", "/api/user/change-email/", change)
    await service.deliver()
    await walk("POST", "/api/auth/confirm-email-change/", service.link("confirm-email")._asdict())
    await service.deliver()
    await walk("POST", "/api/auth/undo-email-change/", service.link("undo-email-change")._asdict())
    await service.deliver()
    await log_in()
    (own,) = (await walk("GET", "/api/user/sessions/")).json()
    await walk("DELETE", f"/api/user/sessions/{own['id']}/", name="/api/user/sessions/{session_id}/")
    for path in ("/api/auth/logout/", "/api/auth/token/blacklist/", "/api/auth/logout-all/"):
        await log_in()
        await walk("POST", path, {})
    await log_in()
    await walk("POST", "/api/user/delete/", {"password": "newpassword123"})
    await service.deliver()
    await walk("POST", "/api/auth/undo-deletion/", service.link("undo-deletion")._asdict())
    await log_in()
    document = (await walk("GET", "/api/schema/openapi.json")).json()
    jane_id, letter_id = service.user("jane").id, service.in_the_app(partial(administered, service))
    for path, item in document["paths"].items():
        if path.startswith("/api/admin/") and "{" in path:
            for method in item:
                await walk(method.upper(), path.format(user_id=jane_id, letter_id=letter_id), name=path)
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path:
            await walk("GET", path)
    assert walked >= {(path, method) for path, item in document["paths"].items() for method in item}
    assert not [body for body in bodies for token in tokens if token in body]
    assert not [body for body in bodies if '"refresh":' in body]


async def administered(service):
    """Makes John a superuser, and gives him a dead letter to retry: its id."""
    container, now = service.container, service.clock.now()
    john = await container.find_user()(name="john_doe")
    await container.promote_user()(by=OPERATOR, user_id=john.id)
    await container.request_reset()(email="jane@example.com")
    async with container.begin()() as uow:
        claimed = await uow.outbox.claim(lease_id="l", at=now, lease=timedelta(minutes=1))
        await uow.outbox.bury(claimed, at=now, error="")
    return claimed.intent.id


# Whose page it is


FOREIGN_ORIGINS = [
    None,
    "",
    "null",
    "*",
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:444",
    "https://app.example.com:443",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "https://app.example.com.",
    "https://app.example.com/",
    "https://app.example.co",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://x.app.example.com",
    "https://example.com",
    "https://app.example.com@evil.example",
    "https://app.example.com https://evil.example",
    "https://app.example.com, https://evil.example",
    "https://admin.example.com",
    "http://id.example.com",
    "https://id.example.com:8000",
    "http://localhost:3000",
    b"https://app.example.com\xa0",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_page_of_another_origin_is_refused_before_anything_is_done(service, origin):
    access, token = await logged_in(service)
    before = service.hasher.count
    for path in GUARDED:
        answer = await send(service, path, CREDENTIALS, cookie=f"{COOKIE}={token}", Origin=origin)
        assert (answer.status_code, answer.json()) == (403, FOREIGN)
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    assert service.hasher.count == before
    sessions = (await service.get("/api/user/sessions/", access=access)).json()
    assert len(sessions) == 1
    await refreshed(service, token)


@pytest.mark.parametrize(
    "pair", [(PAGE, "https://evil.example"), ("https://evil.example", PAGE), (PAGE, PAGE)]
)
async def test_two_origins_are_none(service, pair):
    _, token = await logged_in(service)
    before = service.hasher.count
    for path in GUARDED:
        headers = [("Cookie", f"{COOKIE}={token}"), *(("Origin", each) for each in pair)]
        answer = await service.client.post(path, json=CREDENTIALS, headers=headers)
        assert (answer.status_code, answer.json()) == (403, FOREIGN)
    assert service.hasher.count == before
    await refreshed(service, token)


async def test_the_developer_of_a_refused_page_finds_the_reason_in_the_log_once(started, caplog):
    for origin in ("https://evil.example", "https://evil.example", None, None, "x\x1b[2J\u2028y" * 50):
        answer = await send(started, REFRESH, Origin=origin and origin.encode())
        assert answer.status_code == 403
    told = [each.getMessage() for each in caplog.records if "was refused" in each.getMessage()]
    assert len(told) == 3
    assert "'https://evil.example'" in told[0]
    assert "IDENTITY_CORS_ORIGINS" in told[0]
    assert "without an Origin" in told[1]
    assert told[2].isprintable()
    assert len(told[2]) < 200


async def test_that_no_cookie_came_at_all_stands_in_the_log_once(started, caplog):
    caplog.set_level("INFO")
    _, token = await logged_in(started)
    for cookie in (f"{COOKIE}={token}x", None, None):
        assert (await send(started, REFRESH, cookie=cookie)).status_code == 401
    assert len([each for each in caplog.records if "no refresh cookie" in each.getMessage()]) == 1


async def test_a_referrer_is_no_origin(service):
    answer = await send(service, LOGIN, CREDENTIALS, Origin=None, Referer=f"{PAGE}/login")
    assert (answer.status_code, answer.json()) == (403, FOREIGN)


@pytest.mark.parametrize("origin", [*LISTED, OWN])
async def test_pages_of_the_listed_origins_and_of_the_services_own_are_served(service, origin):
    answer = await send(service, LOGIN, CREDENTIALS, Origin=origin)
    answer = await send(service, REFRESH, cookie=f"{COOKIE}={held(answer)}", Origin=origin)
    answer = await send(service, LOGOUTS[0], cookie=f"{COOKIE}={held(answer)}", Origin=origin)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("public_url", "own"),
    [
        ("https://ID.Example.com", OWN),
        ("https://id.example.com:443", OWN),
        ("https://id.example.com/base", OWN),
        ("https://id.example.com:8443/base", f"{OWN}:8443"),
    ],
)
async def test_the_services_own_origin_is_what_browsers_make_of_its_url(start, public_url, own):
    service = await start(refresh_cookie=True, public_url=public_url, cors_origins=())
    await service.register()
    assert (await send(service, LOGIN, CREDENTIALS, Origin=own)).status_code == 200
    assert (await send(service, LOGIN, CREDENTIALS, Origin=PAGE)).status_code == 403


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "text/plain;application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/merge-patch+json",
    ],
)
async def test_what_a_form_can_send_is_refused_before_anything_is_done(service, media_type):
    _, token = await logged_in(service)
    before = service.hasher.count
    for path in GUARDED:
        answer = await send(
            service, path, CREDENTIALS, cookie=f"{COOKIE}={token}", **{"Content-Type": media_type}
        )
        assert answer.status_code == 415
        assert answer.json() == {"detail": f'Unsupported media type "{media_type or ""}" in request.'}
        assert "set-cookie" not in answer.headers
    assert service.hasher.count == before
    await refreshed(service, token)


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x"]
)
async def test_json_is_json_with_a_parameter_too(service, media_type):
    answer = await send(service, LOGIN, CREDENTIALS, **{"Content-Type": media_type})
    assert answer.status_code == 200


async def test_the_other_routes_need_no_origin(service):
    access, token = await logged_in(service)
    assert (await service.profile(access)).status_code == 200
    assert (await service.post("/api/auth/token/verify/", {"token": token})).status_code == 200
    for path in ("/api/schema/", "/api/schema/openapi.json", "/health/live", "/health/ready"):
        assert (await service.get(path)).status_code == 200


async def test_the_cookie_alone_opens_nothing_else(service):
    _, token = await logged_in(service)
    for path in ("/api/user/profile/", "/api/user/sessions/"):
        answer = await service.client.get(path, headers={"Cookie": f"{COOKIE}={token}", "Origin": PAGE})
        assert answer.status_code == 401
    assert (await send(service, "/api/auth/logout-all/", cookie=f"{COOKIE}={token}")).status_code == 401


# What pages of other origins may read


@pytest.mark.parametrize("origin", LISTED)
async def test_listed_origins_may_send_the_cookie_along(service, origin):
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for answer in (
        await service.client.options(LOGIN, headers=preflight),
        await send(service, LOGIN, CREDENTIALS, Origin=origin),
        await send(service, REFRESH, Origin=origin),
        await send(service, LOGIN, "x", Origin=origin, **{"Content-Type": "text/plain"}),
        await service.client.get("/api/nowhere/", headers={"Origin": origin}),
    ):
        assert answer.headers.get_list("Access-Control-Allow-Origin") == [origin]
        assert answer.headers.get_list("Access-Control-Allow-Credentials") == ["true"]
        assert answer.headers["Vary"] == "Origin"
        assert "*" not in [v for n, v in answer.headers.items() if n.startswith("access-control")]


@pytest.mark.parametrize("origin", [OWN, *(each for each in FOREIGN_ORIGINS if each)])
async def test_no_other_origin_is_told_that_it_may(service, origin):
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for answer in (
        await service.client.options(LOGIN, headers=preflight),
        await send(service, LOGIN, CREDENTIALS, Origin=origin),
        await service.client.get("/api/user/profile/", headers={"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers


# Ending sessions by other ways


@pytest.mark.parametrize("way", ["logout-all", "one's own session"])
async def test_a_session_that_is_ended_otherwise_leaves_a_cookie_that_is_good_for_nothing(service, way):
    """It is not deleted: the browser's cookie may be of another session than the access token that asked."""
    access, token = await logged_in(service)
    if way == "logout-all":
        answer = await send(service, "/api/auth/logout-all/", Authorization=f"Bearer {access}")
    else:
        (session,) = (await service.get("/api/user/sessions/", access=access)).json()
        answer = await service.client.delete(
            f"/api/user/sessions/{session['id']}/", headers={"Authorization": f"Bearer {access}"}
        )
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert await refusal(service, token) == (401, BLACKLISTED)
    answer = await send(service, LOGIN, CREDENTIALS, cookie=f"{COOKIE}={token}")
    await refreshed(service, held(answer))


# Without the setting


async def test_without_the_setting_no_cookie_is_set_or_read(start):
    service = await start(public_url=OWN, cors_origins=LISTED)
    await service.register()
    answer = await send(service, LOGIN, CREDENTIALS)
    assert set(answer.json()) == {"access", "refresh"}
    cookie = f"{COOKIE}={answer.json()['refresh']}; refresh={answer.json()['refresh']}"
    answers = [
        answer,
        await send(service, REFRESH, {"refresh": answer.json()["refresh"]}, cookie=f"{COOKIE}=x"),
        await send(service, REFRESH, cookie=cookie),
        await send(service, LOGOUTS[0], cookie=cookie),
    ]
    assert [each.status_code for each in answers] == [200, 200, 400, 400]
    for each in answers:
        assert "set-cookie" not in each.headers
        assert "access-control-allow-credentials" not in each.headers
    assert (await send(service, LOGIN, CREDENTIALS, Origin=None)).status_code == 200


# For development


async def test_the_development_cookie_goes_without_tls_and_without_the_prefix(start):
    page = "http://localhost:3000"
    service = await start(refresh_cookie=True, refresh_cookie_insecure=True, cors_origins=(page,))
    await service.register()
    answer = await send(service, LOGIN, CREDENTIALS, Origin=page)
    (line,) = answer.headers.get_list("set-cookie")
    pair, _, attributes = line.partition("; ")
    assert pair.startswith("refresh=")
    assert attributes == "HttpOnly; Max-Age=2592000; Path=/; SameSite=strict"
    answer = await send(service, REFRESH, cookie=pair.replace("refresh", COOKIE, 1), Origin=page)
    assert answer.status_code == 401
    answer = await send(service, LOGOUTS[0], cookie=pair, Origin=page)
    assert answer.status_code == 200
    assert answer.headers.get_list("set-cookie") == [
        'refresh=""; HttpOnly; Max-Age=0; Path=/; SameSite=strict'
    ]
    for origin in ("http://127.0.0.1:3000", "http://localhost:5173", None):
        assert (await send(service, LOGIN, CREDENTIALS, Origin=origin)).status_code == 403


# What the document says


async def test_the_document_tells_of_the_cookie(service):
    document = (await service.get("/api/schema/openapi.json")).json()
    jsonschema_rs.validator_for(OPENAPI_31).validate(document)
    schemas = document["components"]["schemas"]
    assert "Tokens" not in schemas
    assert "RefreshToken" not in schemas
    assert not [name for name, each in schemas.items() if "refresh" in each.get("properties", {})]
    for path in (LOGIN, REFRESH, "/api/auth/logout/", "/api/auth/token/blacklist/"):
        operation = document["paths"][path]["post"]
        assert list(operation["requestBody"]["content"]) == ["application/json"]
        refusals = {status for status in operation["responses"] if status >= "400"}
        throttled = {"429"} if path in {LOGIN, REFRESH} else set()
        assert refusals == {"400", "401", "403", "408", "413", "415", "500", "503"} | throttled
        (example,) = operation["responses"]["403"]["content"]["application/json"]["examples"].values()
        assert example["value"] == FOREIGN
    for path in (LOGIN, REFRESH):
        answer = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]
        assert list(answer["example"]) == ["access"]
        name = answer["schema"]["$ref"].rpartition("/")[2]
        assert list(schemas[name]["properties"]) == ["access"]


async def test_the_documents_examples_are_what_is_answered(service):
    document = (await service.get("/api/schema/openapi.json")).json()
    responses = document["paths"][LOGIN]["post"]["responses"]
    (form,) = responses["415"]["content"]["application/json"]["examples"].values()
    answer = await send(service, LOGIN, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.json() == form["value"]
    for name, example in responses["400"]["content"]["application/json"]["examples"].items():
        answer = await send(service, LOGIN, {"missing": "{}", "not JSON": "x"}[name])
        assert (answer.status_code, answer.json()) == (400, example["value"])


async def test_the_page_tells_how_to_refresh_by_the_cookie(service):
    page = (await service.get("/api/schema/")).text
    assert "the cookie that holds the refresh token" in page
    assert "both tokens" not in page


async def test_a_burst_of_refreshes_with_one_cookie_ends_with_one_session_alive(service):
    access, token = await logged_in(service)
    answers = await asyncio.gather(*(send(service, REFRESH, cookie=f"{COOKIE}={token}") for _ in range(5)))
    assert {each.status_code for each in answers} == {200}
    for answer in answers:
        await refreshed(service, held(answer))
    assert len((await service.get("/api/user/sessions/", access=access)).json()) == 1
