"""POST /api/auth/login-code/ and /api/auth/login-code/confirm/"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import timedelta

import pytest
from tests.http.test_nothing_to_enumerate import seen

from identity.domain.login_code import LIFETIME, MOST_TRIES
from identity.domain.secrets import Secret

ASKED, CONFIRMED = "/api/auth/login-code/", "/api/auth/login-code/confirm/"
PAGE = "http://localhost:3000"
REFUSED = (401, {"detail": "No active account found with the given credentials"})


@pytest.fixture
async def service(reused):
    service = await reused(login_code=True)
    await service.register()
    return service


async def ask(service, email="john@example.com", **headers):
    return await service.client.post(ASKED, json={"email": email}, headers=headers)


async def mailed(service, email="john@example.com"):
    """What confirms the code of a mail."""
    answer = await ask(service, email)
    assert answer.status_code == 200
    (mail,) = await service.deliver()
    ((first, second),) = re.findall(r"^ +(\d{4}) (\d{4})$", mail.text, re.MULTILINE)
    return {"request": answer.json()["request"], "code": first + second}


def wrong(code):
    return {**code, "code": code["code"][:-1] + str((int(code["code"][-1]) + 1) % 10)}


async def confirm(service, code):
    answer = await service.post(CONFIRMED, code)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("slash", ["/", ""])
async def test_a_mailed_code_logs_in_as_a_password_does(service, slash):
    answer = await service.client.post(ASKED.rstrip("/") + slash, json={"email": "john@example.com"})
    assert answer.status_code == 200
    assert answer.json().keys() == {"message", "request"}
    assert answer.json()["message"] == "Login code sent to your email"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer.json()["request"])
    answer = await service.client.post(
        CONFIRMED.rstrip("/") + slash, json=await mailed_after(service, answer)
    )
    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens.keys() == {"access", "refresh"}
    assert (await service.profile(tokens["access"])).json()["username"] == "john_doe"
    assert (await service.refresh(tokens["refresh"])).status_code == 200


async def mailed_after(service, answer):
    (mail,) = await service.deliver()
    ((first, second),) = re.findall(r"(\d{4}) (\d{4})\n", mail.text)
    return {"request": answer.json()["request"], "code": f" {first}-{second} "}


async def test_a_code_for_nobody_is_answered_the_same_and_mailed_to_nobody(service):
    await service.register("gone", "gone@example.com")
    service.disable("gone")
    answers = [await ask(service, f"{name}@example.com") for name in ("john", "nobody", "gone", "john")]
    assert len({seen_but_for_the_secret(answer) for answer in answers}) == 1
    assert len({answer.json()["request"] for answer in answers}) == 4
    assert {mail.to.value for mail in await service.deliver()} == {"john@example.com"}


def seen_but_for_the_secret(answer):
    status, headers, body = seen(answer)
    secret = answer.json()["request"].encode()
    return status, headers, body.replace(secret, b"x" * len(secret))


async def test_asking_too_often_is_answered_the_same_and_mails_nothing(reused):
    service = await reused(login_code=True, is_throttled=True, address_requests=3)
    await service.register()
    answers = [await ask(service, f"{name}@example.com") for name in ("john", "a", "b", "john", "c")]
    assert len({seen_but_for_the_secret(answer) for answer in answers}) == 1
    assert len(await service.deliver()) == 1
    await ask(service)
    assert await service.deliver() == []


async def test_every_refusal_is_that_of_a_wrong_password(service):
    await service.register("gone", "gone@example.com")
    codes = {"wrong": wrong(await mailed(service)), "expired": await mailed(service)}
    service.clock.advance(LIFETIME)
    codes |= {"spent": await mailed(service), "disabled": await mailed(service, "gone@example.com")}
    codes |= {"of another request": {**codes["spent"], "code": codes["disabled"]["code"]}}
    codes |= {"unknown": {**codes["spent"], "request": "x" * 43}, "no code": {**codes["spent"], "code": "!"}}
    asked = {name: await ask(service, f"{name}@example.com") for name in ("nobody", "gone")}
    codes |= {name: {"request": each.json()["request"], "code": "12345678"} for name, each in asked.items()}
    assert (await service.post(CONFIRMED, codes["spent"])).status_code == 200
    service.disable("gone")
    credentials = {"username": "john_doe", "password": "wrong password"}
    expected = seen(await service.post("/api/auth/login/", credentials))
    answers = {name: seen(await service.post(CONFIRMED, code)) for name, code in codes.items()}
    assert set(answers.values()) == {expected}, answers
    assert expected[0] == 401


async def test_after_five_tries_the_right_code_is_refused_too(service):
    code = await mailed(service)
    for _ in range(MOST_TRIES):
        assert await confirm(service, wrong(code)) == REFUSED
    assert await confirm(service, code) == REFUSED


async def test_of_twenty_guesses_beside_the_right_code_five_are_judged_at_most(service):
    code = await mailed(service)
    guesses = [*[wrong(code)] * 10, code, *[wrong(code)] * 10]
    answers = await asyncio.gather(*(service.post(CONFIRMED, guess) for guess in guesses))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 401}
    assert statuses[200] <= 1
    assert (await stored(service, code)).tries <= MOST_TRIES
    assert await confirm(service, code) == REFUSED


async def test_one_of_eight_who_bring_the_right_code_at_once_is_logged_in(service):
    code = await mailed(service)
    answers = await asyncio.gather(*(service.post(CONFIRMED, code) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 7}


async def stored(service, code):
    async def find():
        async with service.container.read()() as uow:
            return await uow.login_codes.find(Secret(code["request"]).digest())

    return service.in_the_app(find)


async def test_failures_are_counted_with_those_of_passwords(reused):
    service = await reused(login_code=True, is_throttled=True)
    await service.register()
    code = await mailed(service)
    for _ in range(3):
        assert not await service.can_log_in(password="wrong password")
    for _ in range(2):
        assert await confirm(service, wrong(code)) == REFUSED
    answer = await service.post(CONFIRMED, code)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    service.clock.advance(timedelta(seconds=1))
    assert (await service.post(CONFIRMED, code)).status_code == 200


async def test_the_mail_is_in_the_language_of_whoever_asks(service):
    await ask(service, **{"Accept-Language": "de-AT, en;q=0.5"})
    (mail,) = await service.deliver()
    assert mail.subject.startswith("Ihr Code zum Anmelden")


async def test_what_is_missing_is_named(service):
    required = ["This field is required."]
    answer = await service.post(CONFIRMED, {})
    assert (answer.status_code, answer.json()) == (400, {"request": required, "code": required})
    answer = await service.post(ASKED, {"email": "nobody"})
    assert (answer.status_code, answer.json()) == (400, {"email": ["Enter a valid email address."]})


async def test_with_the_refresh_token_in_a_cookie_it_is_in_no_body(reused):
    service = await reused(login_code=True, refresh_cookie=True, public_url="https://id.example.com")
    await service.register()
    code = await mailed(service)
    answer = await service.post(CONFIRMED, code)
    assert answer.status_code == 403, "no page of ours has sent it"
    answer = await service.client.post(CONFIRMED, json=code, headers={"Origin": PAGE})
    assert answer.status_code == 200
    assert answer.json().keys() == {"access"}
    assert answer.headers["set-cookie"].startswith("__Host-refresh=")


async def test_unless_it_is_set_there_is_no_such_route(reused):
    service = await reused()
    unknown = seen(await service.post("/api/auth/no-such-path/", {}))
    for path in (ASKED, CONFIRMED):
        assert seen(await service.post(path, {"email": "john@example.com"})) == unknown
        assert seen(await service.client.options(path))[0] == unknown[0]
    document = (await service.get("/api/schema/openapi.json")).json()
    assert not [path for path in document["paths"] if "login-code" in path]
