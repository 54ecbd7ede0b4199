"""POST /api/user/change-email/, /api/auth/confirm-email-change/ and /api/auth/undo-email-change/"""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.http.conftest import PASSWORD, Link

ASKED = (200, {"message": "Confirmation instructions sent to your new email"})
CHANGED = (200, {"message": "Email changed successfully"})
UNDONE = (200, {"message": "Email change undone"})
REFUSED = (400, {"error": "Invalid or expired token."})
OLD, NEW = "john@example.com", "john@example.net"


def seen(answer):
    return answer.status_code, answer.json()


@pytest.fixture
async def access(service):
    await service.register()
    return (await service.log_in()).access


async def confirmation_link(service, access, new_email=NEW):
    await service.deliver()
    assert seen(await service.change_email(access, new_email)) == ASKED
    [mail] = await service.deliver()
    assert mail.to.value == new_email
    return service.link("confirm-email")


async def changed(service, access, new_email=NEW):
    """The link that undoes it."""
    link = await confirmation_link(service, access, new_email)
    assert seen(await service.confirm_email_change(link)) == CHANGED
    assert len(await service.deliver()) == 2
    return service.link("undo-email-change")


async def email(service, access):
    return (await service.profile(access)).json()["email"]


async def test_a_change_and_its_undoing(service, access):
    link = await confirmation_link(service, access)
    assert await email(service, access) == OLD
    assert seen(await service.confirm_email_change(link)) == CHANGED
    assert await email(service, access) == NEW
    assert await service.can_log_in(NEW)
    assert not await service.can_log_in(OLD)
    mails = {mail.to.value: mail for mail in await service.deliver()}
    assert set(mails) == {OLD, NEW}
    undo = service.link("undo-email-change")
    assert undo.token in mails[OLD].text
    assert undo.token not in mails[NEW].text

    assert seen(await service.undo_email_change(undo)) == UNDONE
    assert (await service.profile(access)).status_code == 401
    [mail] = await service.deliver()
    assert mail.to.value == OLD
    assert await service.can_log_in(OLD)
    assert (await service.reset(await service.reset_link(OLD))).status_code == 200


async def test_a_username_that_is_the_address_follows_there_and_back(service):
    await service.register(OLD, OLD)
    access, _ = await service.log_in(OLD)
    undo = await changed(service, access)
    assert (await service.profile(access)).json()["username"] == NEW
    assert seen(await service.undo_email_change(undo)) == UNDONE
    assert service.user(OLD).email.value == OLD


async def test_a_change_spares_sessions_and_voids_what_was_mailed_before(service, access):
    other = await service.log_in()
    reset = await service.reset_link()
    await changed(service, access)
    assert (await service.profile(other.access)).status_code == 200
    assert seen(await service.reset(reset)) == REFUSED


async def test_an_address_of_somebody_else_is_answered_the_same_and_nothing_is_mailed(service, access):
    await service.register("mary", NEW)
    answers = [await service.change_email(access, each) for each in (NEW, "free@example.net")]
    assert [seen(each) for each in answers] == [ASKED, ASKED]
    assert [mail.to.value for mail in await service.deliver()] == ["free@example.net"]


async def test_an_address_that_is_taken_meanwhile_is_refused_as_a_bad_link_is(service, access):
    link = await confirmation_link(service, access)
    await service.register("mary", NEW)
    assert seen(await service.confirm_email_change(link)) == REFUSED
    assert await email(service, access) == OLD


async def test_the_old_address_is_kept_while_the_change_can_be_undone(service, access):
    undo = await changed(service, access)
    body = {"username": "mary", "email": OLD.upper(), "password": PASSWORD}
    answer = await service.post("/api/auth/register/", body)
    assert seen(answer) == (400, {"email": ["A user with that email already exists."]})
    assert seen(await service.undo_email_change(undo)) == UNDONE
    await service.register("mary", NEW)


async def test_whoever_changes_address_and_password_again_cannot_keep_the_account(service, access):
    undo = await changed(service, access)
    service.clock.advance(timedelta(minutes=1))
    await service.change_password(access)
    body = {"new_email": "third@example.net", "password": "yournewpassword123"}
    assert seen(await service.post("/api/user/change-email/", body, access=access)) == ASKED
    await service.deliver()
    assert seen(await service.confirm_email_change(service.link("confirm-email"))) == CHANGED
    await service.deliver()
    theirs = service.link("undo-email-change")
    assert seen(await service.undo_email_change(undo)) == UNDONE
    assert seen(await service.undo_email_change(theirs)) == REFUSED
    assert service.user().email.value == OLD


async def test_links_are_refused_a_second_time_of_another_account_and_to_a_hostile_reference(service, access):
    confirm = await confirmation_link(service, access)
    await service.register("mary", "mary@example.com")
    assert seen(await service.confirm_email_change(confirm._replace(uidb64="Mg"))) == REFUSED
    for uidb64 in ("MQ==", "../MQ", "x" * 1000, "1"):
        assert seen(await service.confirm_email_change(confirm._replace(uidb64=uidb64))) == REFUSED
        assert seen(await service.undo_email_change(confirm._replace(uidb64=uidb64))) == REFUSED
    assert seen(await service.undo_email_change(confirm)) == REFUSED
    assert seen(await service.confirm_email_change(confirm)) == CHANGED
    assert seen(await service.confirm_email_change(confirm)) == REFUSED


async def test_opening_a_link_uses_nothing_up(service, access):
    link = await confirmation_link(service, access)
    for path in ("confirm-email-change", "undo-email-change"):
        for method in ("GET", "HEAD"):
            answer = await service.client.request(method, f"/api/auth/{path}/", params=link._asdict())
            assert answer.status_code == 405
    assert seen(await service.confirm_email_change(link)) == CHANGED


@pytest.mark.parametrize(
    "value",
    [
        ["a@example.net"],
        {"a": "b"},
        7,
        "a@example.net,b@example.net",
        "a@example.net\r\nBcc: b@example.net",
        "a b@example.net",
    ],
)
async def test_what_is_not_one_address_is_refused_and_nothing_is_mailed(service, access, value):
    """RC-1."""
    answer = await service.change_email(access, value)
    assert answer.status_code == 400
    assert list(answer.json()) == ["new_email"]
    assert not service.has_mail_waiting()


async def test_every_field_s_problem_is_in_one_answer(service, access):
    answer = await service.post("/api/user/change-email/", {"new_email": OLD}, access=access)
    assert seen(answer) == (
        400,
        {
            "new_email": ["This is already your email address."],
            "password": ["This field is required."],
        },
    )


async def test_the_password_is_asked_for_and_its_failures_are_throttled_as_at_a_login(start):
    service = await start(is_throttled=True)
    await service.register()
    access, _ = await service.log_in()
    for _ in range(5):
        answer = await service.change_email(access, password="another password")
        assert seen(answer) == (400, {"error": "Incorrect password"})
    answer = await service.change_email(access)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    service.clock.advance(timedelta(seconds=1))
    assert seen(await service.change_email(access)) == ASKED


async def test_bad_links_are_throttled_by_address_and_good_ones_pass(start):
    service = await start(is_throttled=True, address_requests=2)
    await service.register()
    access, _ = await service.log_in()
    link = await confirmation_link(service, access)
    for bad in (service.confirm_email_change, service.undo_email_change):
        assert seen(await bad(Link("MQ", "wrong"))) == REFUSED
    for bad in (service.confirm_email_change, service.undo_email_change):
        assert (await bad(Link("MQ", "wrong"))).status_code == 429
    assert seen(await service.confirm_email_change(link)) == CHANGED


async def test_links_lead_where_the_settings_say_whatever_host_was_asked(start):
    """RC-7."""
    service = await start(
        change_email_url="https://app.example.com/c?u={uidb64}&t={token}",
        undo_email_change_url="{frontend}/back#{uidb64}/{token}",
        frontend_url="https://front.example.com",
    )
    await service.register()
    access, _ = await service.log_in()
    service.client.headers["X-Forwarded-Host"] = "evil.example"
    assert seen(await service.change_email(access)) == ASKED
    [mail] = await service.deliver()
    assert "https://app.example.com/c?u=MQ&t=" in mail.text
    assert "evil.example" not in mail.text
    token = mail.text.partition("&t=")[2].split()[0]
    assert seen(await service.confirm_email_change(Link("MQ", token))) == CHANGED
    assert any("https://front.example.com/back#MQ/" in mail.text for mail in await service.deliver())
