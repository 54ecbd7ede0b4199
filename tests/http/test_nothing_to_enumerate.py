"""Status, headers in order, and each octet of the body are one for what is there and what is not (AU-5).

Logins are in test_login.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.http.conftest import Link

from identity.domain.user import user_reference

NOBODYS_SESSION = "f" * 32
OF_ONE_REQUEST = {"x-request-id"}
"""Headers whose value is another in every answer; it must be as long."""


@pytest.fixture
async def populated(service):
    """john_doe has an account, and gone had one."""
    await service.register()
    await service.register("gone", "gone@example.com")
    return service


def seen(answer):
    """All that a client gets to see of it."""
    headers = [
        (name, len(value) if name.lower() in OF_ONE_REQUEST else value)
        for name, value in answer.headers.multi_items()
    ]
    return answer.status_code, tuple(headers), answer.content


async def test_asking_for_a_reset_says_the_same_to_everybody(populated):
    service = populated
    service.disable("gone")
    addresses = ["john@example.com", "nobody@example.com", "gone@example.com", "JOHN@EXAMPLE.COM", "a@b.cd"]
    first = {seen(await service.forgot(address)) for address in addresses}
    again = {seen(await service.forgot(address)) for address in addresses}  # while the first mails wait
    await service.deliver()
    later = {seen(await service.forgot(address)) for address in addresses}
    assert first == again == later
    assert {status for status, _, _ in first} == {200}
    assert len(first) == 1


async def test_asking_for_a_link_to_verify_says_the_same_to_everybody(populated):
    service = populated
    await service.register("done", "done@example.com")
    await service.post("/api/auth/resend-verification/", {"email": "done@example.com"})
    await service.deliver()
    await service.post("/api/auth/verify-email/", service.link()._asdict())
    service.disable("gone")
    addresses = [f"{name}@example.com" for name in ("john", "nobody", "gone", "done", "JOHN")]
    answers = set()
    for _ in range(2):  # the second time while the first mails wait
        for address in addresses:
            answers.add(seen(await service.post("/api/auth/resend-verification/", {"email": address})))
    assert [mail.to.value for mail in await service.deliver()] == ["john@example.com"]
    assert [(status, body) for status, _, body in answers] == [
        (200, b'{"message":"Verification instructions sent to your email"}')
    ]


async def test_registering_says_the_same_of_every_address_where_it_has_to_be_verified(start):
    service = await start(email_verification="required")
    await service.register()
    addresses = ["john@example.com", "JOHN@example.com", "new@example.com", "newer@example.com"]
    answers = {
        seen(await registering(service, f"user{number}", address)) for number, address in enumerate(addresses)
    }
    assert [(status, body) for status, _, body in answers] == [
        (201, b'{"message":"User created successfully"}')
    ]
    again = {
        (await registering(service, f"user{number}", "newest@example.com")).text
        for number in range(len(addresses))
    }
    assert again == {'{"username":["A user with that username already exists."]}'}


async def test_a_login_says_the_same_whatever_is_wrong_where_addresses_have_to_be_verified(start):
    service = await start(email_verification="required")
    await service.register()
    attempts = [
        {"username": "john_doe", "password": "yourpassword123"},
        {"username": "john_doe", "password": "not the password"},
        {"username": "nobody", "password": "yourpassword123"},
    ]
    answers = {seen(await service.post("/api/auth/login/", attempt)) for attempt in attempts}
    assert len(answers) == 1
    assert {status for status, _, _ in answers} == {401}


async def registering(service, username, email):
    body = {"username": username, "email": email, "password": "yourpassword123"}
    return await service.post("/api/auth/register/", body)


async def test_and_goes_on_when_an_account_has_had_all_its_mails_of_the_day(populated):
    service = populated
    for _ in range(5):
        await service.reset_link()
    answers = {seen(await service.forgot(f"{name}@example.com")) for name in ("john", "nobody")}
    assert await service.deliver() == []
    answers |= {seen(await service.forgot(f"{name}@example.com")) for name in ("john", "nobody")}
    assert len(answers) == 1


async def test_a_bad_link_is_refused_in_one_way_whatever_is_bad_about_it(populated):
    service = populated
    expired = await service.reset_link()
    service.clock.advance(timedelta(minutes=60))
    spent, disabled = await service.reset_link(), await service.reset_link("gone@example.com")
    assert (await service.reset(spent)).status_code == 200
    service.disable("gone")
    unknown = user_reference(999)
    links = {
        "wrong token": spent._replace(token="A" * 43),
        "expired": expired,
        "spent": spent,
        "disabled account": disabled,
        "disabled account, wrong token": disabled._replace(token="A" * 43),
        "another's": disabled._replace(uidb64=spent.uidb64),
        "unknown account": Link(unknown, "A" * 43),
        "unknown account, real token": disabled._replace(uidb64=unknown),
        "no account": Link("../1", "x"),
    }
    answers = {name: seen(await service.reset(link)) for name, link in links.items()}
    assert len(set(answers.values())) == 1, answers
    assert answers["spent"][0] == 400
    judged = {name: seen(await service.reset(link, "1")) for name, link in links.items()}
    assert judged == answers, "a password is not judged before the link is"


async def test_a_session_that_is_another_s_is_not_found_like_one_that_is_not_there(populated):
    service = populated
    john, gone, over = [await service.log_in(name) for name in ("john_doe", "gone", "gone")]
    await service.post("/api/auth/logout/", {"refresh": over.refresh})
    ids = [NOBODYS_SESSION, "x", *[(await claims(service, pair.access)).session_id for pair in (gone, over)]]
    headers = {"Authorization": f"Bearer {john.access}"}
    answers = {
        seen(await service.client.delete(f"/api/user/sessions/{each}/", headers=headers)) for each in ids
    }
    assert {status for status, _, _ in answers} == {404}
    assert len(answers) == 1
    assert (await service.profile(gone.access)).status_code == 200


async def test_a_token_of_a_session_that_is_over_is_refused_like_one_of_a_session_that_never_was(populated):
    service = populated
    over, disabled = await service.log_in(), await service.log_in("gone")
    await service.post("/api/auth/logout/", {"refresh": over.refresh})
    service.disable("gone")
    pairs = [over, disabled, type(over)(*[await of_nobodys_session(service, token) for token in over])]
    for path, field, part in (
        ("/api/auth/token/refresh/", "refresh", "refresh"),
        ("/api/auth/token/verify/", "token", "refresh"),
        ("/api/auth/token/verify/", "token", "access"),
    ):
        answers = {seen(await service.post(path, {field: getattr(pair, part)})) for pair in pairs}
        assert len(answers) == 1, (path, answers)
    assert len({seen(await service.profile(pair.access)) for pair in pairs}) == 1
    ended = [pair for pair in pairs if pair is not disabled]  # one may log out of a disabled account
    assert (
        len({seen(await service.post("/api/auth/logout/", {"refresh": pair.refresh})) for pair in ended}) == 1
    )


async def claims(service, token):
    async def read():
        return await service.container.tokens().read(token, expected=None)

    return service.in_the_app(read)


async def of_nobodys_session(service, token):
    """As genuine as this one."""
    about = replace(await claims(service, token), session_id=NOBODYS_SESSION)

    async def sign():
        return await service.container.tokens().sign(about)

    return service.in_the_app(sign)
