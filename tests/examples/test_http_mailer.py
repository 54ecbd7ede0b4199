"""The example of a mailer: held to the conformance kit, and to what it says of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from email.utils import parseaddr

import pytest
from examples.http_mailer import HttpMailer
from tests.examples.mail_api import API_TOKEN, SENDER, MailApi, mail_api

from identity.application.mail import Message
from identity.container import build_container
from identity.domain.errors import MailDeferred, MailRefused
from identity.domain.names import EmailAddress
from identity.domain.secrets import Secret
from identity.settings import Settings, SettingsError
from identity.testing.mailer import TOKEN, Delivered, Deliveries, MailerConformance
from identity.testing.samples import NOW

MAILER = "examples.http_mailer:HttpMailer"
MESSAGE = Message(
    id="00112233445566778899aabbccddeeff",
    to=EmailAddress("ann@example.org"),
    date=NOW,
    subject="Reset your password",
    text=f"https://app.acme.example/{TOKEN}\n",
    html=f"<p>https://app.acme.example/{TOKEN}</p>\n",
)


@pytest.fixture
def api() -> Iterator[MailApi]:
    with mail_api() as api:
        yield api


@pytest.fixture
def configured(api: MailApi, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of a deployment."""
    monkeypatch.setenv("MAIL_API_URL", api.url)
    monkeypatch.setenv("MAIL_API_TOKEN", API_TOKEN)
    monkeypatch.setenv("MAIL_API_SENDER", SENDER)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return monkeypatch


@pytest.fixture
def mailer(configured: pytest.MonkeyPatch) -> HttpMailer:
    return HttpMailer()


@pytest.fixture
def unreachable(configured: pytest.MonkeyPatch) -> HttpMailer:
    with mail_api() as gone:
        configured.setenv("MAIL_API_URL", gone.url)
    return HttpMailer()


class TestHttpMailer(MailerConformance):
    @pytest.fixture
    def delivered(self, api: MailApi) -> Deliveries:
        async def deliveries() -> list[Delivered]:
            return [
                Delivered(
                    message_id=mail["headers"]["Message-ID"],
                    to=mail["to"],
                    subject=mail["subject"],
                    text=mail["text"],
                    html=mail["html"],
                )
                for mail in list(api.mails.values())
            ]

        return deliveries

    @pytest.fixture
    def mailer_that_is_refused(self, api: MailApi, mailer: HttpMailer) -> HttpMailer:
        api.status, api.body = 422, f'{{"error": "the mail says {TOKEN}"}}'.encode()
        return mailer

    @pytest.fixture
    def mailer_that_cannot_connect(self, unreachable: HttpMailer) -> HttpMailer:
        return unreachable


async def test_a_message_that_is_sent_twice_is_one_mail(mailer: HttpMailer, api: MailApi) -> None:
    for _ in range(2):
        await mailer.send(MESSAGE)
    await mailer.send(dataclasses.replace(MESSAGE, id="another"))
    assert len(api.paths) == 3
    assert list(api.mails) == [MESSAGE.id, "another"]


async def test_a_mail_has_its_sender_and_its_id_in_the_sender_s_domain(
    mailer: HttpMailer, api: MailApi
) -> None:
    await mailer.send(MESSAGE)
    mail = api.mails[MESSAGE.id]
    assert mail["from"] == SENDER
    domain = parseaddr(SENDER)[1].partition("@")[2]
    assert mail["headers"]["Message-ID"] == f"<{MESSAGE.id}@{domain}>"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_mail_that_the_api_takes_is_sent(mailer: HttpMailer, api: MailApi, status: int) -> None:
    api.status, api.body = status, b""
    await mailer.send(MESSAGE)
    assert list(api.mails) == [MESSAGE.id]


async def refusal(mailer: HttpMailer) -> MailDeferred | MailRefused:
    """How the mailer refuses the message; in no case with a token or the words of the API."""
    with pytest.raises((MailDeferred, MailRefused)) as raised:
        await mailer.send(MESSAGE)
    for secret in (API_TOKEN, TOKEN):
        assert secret not in str(raised.value)
        assert secret not in repr(raised.value.__cause__)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 409, 425, 429, 500, 502, 503, 504, 599])
async def test_what_may_pass_or_an_operator_can_mend_is_deferred(
    mailer: HttpMailer, api: MailApi, status: int
) -> None:
    api.status, api.body = status, f"{API_TOKEN} {TOKEN}".encode()
    refused = await refusal(mailer)
    assert isinstance(refused, MailDeferred)
    assert str(status) in str(refused)


@pytest.mark.parametrize("status", [400, 410, 413, 422, 451, 499])
async def test_what_is_wrong_with_the_mail_is_refused_for_good(
    mailer: HttpMailer, api: MailApi, status: int
) -> None:
    api.status, api.body = status, f"{API_TOKEN} {TOKEN}".encode()
    refused = await refusal(mailer)
    assert isinstance(refused, MailRefused)
    assert str(status) in str(refused)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(mailer: HttpMailer, api: MailApi, status: int) -> None:
    """It would take the token and the mail to an address that nobody has set."""
    api.status, api.headers = status, {"Location": "/elsewhere"}
    assert isinstance(await refusal(mailer), MailDeferred)
    assert api.paths == ["/messages"]


async def test_a_wrong_token_is_deferred(configured: pytest.MonkeyPatch, api: MailApi) -> None:
    configured.setenv("MAIL_API_TOKEN", f"{API_TOKEN}-of-yesterday")
    assert isinstance(await refusal(HttpMailer()), MailDeferred)
    assert api.mails == {}


async def test_a_token_that_is_no_header_shows_in_no_error(configured: pytest.MonkeyPatch) -> None:
    configured.setenv("MAIL_API_TOKEN", f"{API_TOKEN}\nX: y")
    with pytest.raises(ValueError, match="MAIL_API_TOKEN") as wrong:
        HttpMailer()
    assert API_TOKEN not in str(wrong.value)


async def test_an_api_that_is_not_there_is_deferred(unreachable: HttpMailer) -> None:
    assert isinstance(await refusal(unreachable), MailDeferred)


async def test_an_api_that_does_not_answer_is_given_up_and_the_event_loop_goes_on_meanwhile(
    configured: pytest.MonkeyPatch, api: MailApi
) -> None:
    api.held_back = threading.Event()
    turns = 0
    sending = asyncio.create_task(refusal(HttpMailer(time_limit=0.3)))
    async with asyncio.timeout(10):
        while not sending.done():
            await asyncio.sleep(0.01)
            turns += 1
    api.held_back.set()
    assert isinstance(await sending, MailDeferred)
    assert turns > 3


async def test_the_end_of_an_answer_is_not_waited_for(configured: pytest.MonkeyPatch, api: MailApi) -> None:
    api.end_held_back = threading.Event()
    await HttpMailer(time_limit=5).send(MESSAGE)
    api.end_held_back.set()
    assert list(api.mails) == [MESSAGE.id]


# Chosen by the setting


@pytest.mark.parametrize("variable", ["MAIL_API_URL", "MAIL_API_TOKEN", "MAIL_API_SENDER"])
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_variable_ends_the_start_in_one_line(
    configured: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    if value is None:
        configured.delenv(variable)
    else:
        configured.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        build_container(Settings(database_url="memory:", mail_url=MAILER)).mailer()
    (line,) = refused.value.problems
    assert (
        line == f"IDENTITY_MAIL_URL {MAILER}: the environment variable {variable} is missing or not one line"
    )


@pytest.mark.parametrize("url", ["http://api.mail.example/messages", "api.mail.example", "ftp://127.0.0.2/"])
def test_the_token_does_not_travel_in_clear_text(configured: pytest.MonkeyPatch, url: str) -> None:
    configured.setenv("MAIL_API_URL", url)
    with pytest.raises(ValueError, match="MAIL_API_URL must be https://"):
        HttpMailer()


async def test_the_service_sends_its_mail_by_it(configured: pytest.MonkeyPatch, api: MailApi) -> None:
    settings = Settings(database_url="memory:", mail_url=MAILER, email_verification="off")
    container = build_container(settings)
    await container.register_user()(
        username="john_doe", email="john@example.com", password=Secret("yourpassword123")
    )
    await container.request_reset()(email="john@example.com")
    assert await container.deliver_mail()() == "sent"
    (mail,) = api.mails.values()
    assert mail["to"] == "john@example.com"
    assert "http://localhost:3000/reset-password/" in mail["text"]
    assert "http://localhost:3000/reset-password/" in mail["html"]
