"""POST /api/auth/verify-email/ and /api/auth/resend-verification/; with the others where it is required"""

from __future__ import annotations

import pytest

VERIFY, RESEND = "/api/auth/verify-email/", "/api/auth/resend-verification/"
REFUSED = (400, {"error": "Invalid or expired token."})
VERIFIED = (200, {"message": "Email verified successfully"})
SENT = (200, {"message": "Verification instructions sent to your email"})
NO_ACCOUNT = {"detail": "No active account found with the given credentials"}


async def post(service, path, body):
    answer = await service.post(path, body)
    return answer.status_code, answer.json()


async def mailed_link(service):
    await service.deliver()
    return service.link()


async def is_verified(service):
    access = (await service.log_in()).access
    return (await service.profile(access)).json()["email_verified"]


@pytest.mark.parametrize("slash", ["/", ""])
async def test_the_link_of_the_mail_at_registration_verifies_the_address(start, slash):
    service = await start(email_verification="optional")
    await service.register()
    assert not await is_verified(service)
    link = await mailed_link(service)
    assert await post(service, VERIFY.rstrip("/") + slash, link._asdict()) == VERIFIED
    assert await is_verified(service)


async def test_opening_a_link_uses_nothing_up(start):
    """Programs that look for viruses open every link of a mail."""
    service = await start(email_verification="optional")
    await service.register()
    link = await mailed_link(service)
    for method in ("GET", "HEAD"):
        answer = await service.client.request(method, VERIFY, params=link._asdict())
        assert answer.status_code == 405
    assert not await is_verified(service)
    assert await post(service, VERIFY, link._asdict()) == VERIFIED


async def test_a_link_works_once_and_only_with_its_own_parts(service):
    await service.register()
    await service.register("jane", "jane@example.com")
    assert await post(service, RESEND, {"email": "john@example.com"}) == SENT
    link = (await mailed_link(service))._asdict()
    for wrong in ({"token": "wrong"}, {"uidb64": "Mg"}, {"uidb64": "?"}, {"uidb64": "MDE"}):
        assert await post(service, VERIFY, link | wrong) == REFUSED
    assert await post(service, VERIFY, link) == VERIFIED
    assert await post(service, VERIFY, link) == REFUSED
    assert await post(service, RESEND, {"email": "john@example.com"}) == SENT
    assert await service.deliver() == []


async def test_a_link_mailed_for_one_purpose_is_refused_for_another(service):
    await service.register()
    reset = await service.reset_link()
    assert await post(service, VERIFY, reset._asdict()) == REFUSED
    await post(service, RESEND, {"email": "john@example.com"})
    link = await mailed_link(service)
    assert (await service.reset(link)).status_code == 400


async def test_a_reset_by_mail_verifies_the_address(service):
    await service.register()
    assert (await service.reset(await service.reset_link())).status_code == 200
    access = (await service.log_in(password="newpassword123")).access
    assert (await service.profile(access)).json()["email_verified"] is True


@pytest.mark.parametrize(
    "email",
    [["john@example.com"], {"a": 1}, "a@x,b@y", "john@example.com\r\nBcc: eve@example.com", "john", 7],
)
async def test_what_is_no_address_is_refused_and_mails_nobody(service, email):
    await service.register()
    status, body = await post(service, RESEND, {"email": email})
    assert (status, list(body)) == (400, ["email"])
    assert not service.has_mail_waiting()


async def test_an_unverified_account_is_refused_like_any_other_and_gets_a_fresh_link(start):
    service = await start(email_verification="required")
    await service.register()
    await service.deliver()
    answer = await service.post("/api/auth/login/", {"username": "john_doe", "password": "yourpassword123"})
    assert (answer.status_code, answer.json()) == (401, NO_ACCOUNT)
    assert len(await service.deliver()) == 1
    assert await post(service, VERIFY, service.link()._asdict()) == VERIFIED
    assert await service.can_log_in()


async def test_a_field_that_is_missing_does_not_make_it_tell_that_an_address_is_taken(start):
    service = await start(email_verification="required")
    await service.register()
    body = {"username": "jane", "email": "john@example.com"}
    assert await post(service, "/api/auth/register/", body) == (
        400,
        {"password": ["This field is required."]},
    )
