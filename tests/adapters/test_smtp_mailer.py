"""How mail arrives over a real SMTP connection: what it holds, to whom, and how it is protected."""

from __future__ import annotations

import asyncio
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd import smtp as aiosmtpd
from aiosmtpd.smtp import AuthResult, Envelope
from tests.adapters.certificates import self_signed, tls_of
from tests.adapters.sample_mail import HOST, LINK, MESSAGE, PASSWORD, SENDER, bodies, parsed

from identity.adapters.mail.smtp import Security, SmtpMailer
from identity.domain.errors import IdentityError, MailDeferred, MailRefused
from identity.domain.names import EmailAddress

# --- servers ---------------------------------------------------------------------------------------------


@dataclass
class Inbox:
    """What an SMTP server took."""

    envelopes: list[Envelope] = field(default_factory=list)

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 taken"

    def mail(self) -> EmailMessage:
        (envelope,) = self.envelopes
        return parsed(envelope.content)


@asynccontextmanager
async def smtp_server(
    inbox: Inbox, *, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    factory = lambda: aiosmtpd.SMTP(inbox, loop=loop, hostname="mail.example", **options)  # noqa: E731
    server = await loop.create_server(factory, HOST, 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address, with its key."""
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    path.write_bytes(self_signed(HOST))
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    return tls_of(certificate)


@pytest.fixture
def client_tls(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def mailer(port: int, security: Security = Security.PLAIN, **options: Any) -> SmtpMailer:
    return SmtpMailer(host=HOST, port=port, security=security, sender=SENDER, **options)


def shown(error: IdentityError) -> str:
    """Everything that a log could show of an error. It is one line of its own."""
    assert str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 300
    return "".join(traceback.format_exception(error))


# --- what arrives ---------------------------------------------------------------------------------------


async def test_a_mail_arrives_with_text_and_html_and_all_its_headers() -> None:
    async with smtp_server(inbox := Inbox()) as port:
        await mailer(port).send(MESSAGE)
    mail = inbox.mail()
    assert mail.get_content_type() == "multipart/alternative"
    text, page = mail.iter_parts()
    assert (text.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    assert (text.get_content_charset(), page.get_content_charset()) == ("utf-8", "utf-8")
    assert bodies(mail) == [MESSAGE.text, MESSAGE.html]
    assert {name: mail[name] for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted")} == {
        "From": SENDER,
        "To": "Ann.O'Neil+Tag@Example.ORG",
        "Subject": "Reset your password",
        "Message-ID": "<00112233445566778899aabbccddeeff@acme.example>",
        "Auto-Submitted": "auto-generated",
    }
    assert mail["Date"].datetime == MESSAGE.date.replace(microsecond=0)
    assert not mail.defects


async def test_the_envelope_has_the_stored_spelling_of_the_address() -> None:
    async with smtp_server(inbox := Inbox()) as port:
        await mailer(port).send(MESSAGE)
    assert inbox.envelopes[0].mail_from == "no-reply@acme.example"
    assert inbox.envelopes[0].rcpt_tos == ["Ann.O'Neil+Tag@Example.ORG"]


async def test_a_mail_that_is_sent_twice_has_one_message_id() -> None:
    async with smtp_server(inbox := Inbox()) as port:
        await mailer(port).send(MESSAGE)
        await mailer(port).send(MESSAGE)
    first, second = (parsed(envelope.content) for envelope in inbox.envelopes)
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


async def test_text_beyond_ascii_and_long_lines_survive_a_server_of_seven_bits() -> None:
    message = replace(
        MESSAGE, subject="Grüße, 世界", text=f"Grüße 世界\n{LINK}\n", html=f"<p>é{'x' * 2000}</p>\n"
    )
    async with smtp_server(inbox := Inbox()) as port:
        await mailer(port).send(message)
    content = inbox.envelopes[0].content
    assert isinstance(content, bytes)
    assert content.isascii()
    assert max(map(len, content.splitlines())) <= 998
    assert inbox.mail()["Subject"] == message.subject
    assert bodies(inbox.mail()) == [message.text, message.html]


@pytest.mark.parametrize(
    ("domain", "a_labels"),
    [
        ("Bücher.Example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
async def test_a_domain_beyond_ascii_goes_out_in_a_labels(domain: str, a_labels: str) -> None:
    async with smtp_server(inbox := Inbox()) as port:
        await mailer(port).send(replace(MESSAGE, to=EmailAddress(f"Ann@{domain}")))
    assert inbox.envelopes[0].rcpt_tos == [f"Ann@{a_labels}"]
    assert inbox.mail()["To"] == f"Ann@{a_labels}"


async def test_a_domain_that_idna_does_not_know_is_refused_without_asking_the_server() -> None:
    with pytest.raises(MailRefused):
        await mailer(1).send(replace(MESSAGE, to=EmailAddress("ann@☃.example")))


async def test_a_local_part_beyond_ascii_is_sent_to_a_server_that_offers_smtputf8() -> None:
    async with smtp_server(inbox := Inbox(), enable_SMTPUTF8=True) as port:
        await mailer(port).send(replace(MESSAGE, to=EmailAddress("jörg@bücher.example")))
    assert inbox.envelopes[0].smtp_utf8
    assert inbox.envelopes[0].rcpt_tos == ["jörg@xn--bcher-kva.example"]
    assert inbox.mail()["To"] == "jörg@xn--bcher-kva.example"
    assert bodies(inbox.mail()) == [MESSAGE.text, MESSAGE.html]


async def test_a_local_part_beyond_ascii_is_refused_where_the_server_does_not_offer_smtputf8() -> None:
    async with smtp_server(inbox := Inbox()) as port:
        with pytest.raises(MailRefused, match="beyond ASCII"):
            await mailer(port).send(replace(MESSAGE, to=EmailAddress("jörg@example.org")))
    assert not inbox.envelopes


# --- encryption and login -------------------------------------------------------------------------------


async def test_starttls_is_used_before_anything_is_said(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with smtp_server(inbox := Inbox(), tls_context=server_tls, require_starttls=True) as port:
        await mailer(port, Security.STARTTLS, tls_context=client_tls).send(MESSAGE)
    assert inbox.mail()["Subject"] == MESSAGE.subject


async def test_tls_from_the_start_is_used(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with smtp_server(inbox := Inbox(), tls=server_tls) as port:
        await mailer(port, Security.TLS, tls_context=client_tls).send(MESSAGE)
    assert inbox.mail()["Subject"] == MESSAGE.subject


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_a_certificate_that_is_not_trusted_defers_the_mail(
    security: Security, server_tls: ssl.SSLContext
) -> None:
    implicit = security is Security.TLS
    async with smtp_server(
        inbox := Inbox(), tls=server_tls if implicit else None, tls_context=None if implicit else server_tls
    ) as port:
        with pytest.raises(MailDeferred, match=r"(?i)certificate") as deferral:
            await mailer(port, security, username="acme", password=PASSWORD).send(MESSAGE)
    assert not inbox.envelopes
    shown(deferral.value)


def authenticator(*expected: bytes) -> Any:
    def check(server: object, session: object, envelope: object, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == expected, handled=False)

    return check


async def test_the_mailer_logs_in(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    check = authenticator(b"acme", PASSWORD.reveal().encode())
    async with smtp_server(
        inbox := Inbox(), tls_context=server_tls, auth_required=True, authenticator=check
    ) as port:
        sender = mailer(port, Security.STARTTLS, tls_context=client_tls, username="acme", password=PASSWORD)
        await sender.send(MESSAGE)
    assert inbox.mail()["Subject"] == MESSAGE.subject
    assert PASSWORD.reveal() not in repr(sender)


async def test_a_refused_login_defers_the_mail_and_does_not_show_the_password(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    check = authenticator(b"acme", b"another")
    async with smtp_server(
        inbox := Inbox(), tls_context=server_tls, auth_required=True, authenticator=check
    ) as port:
        with pytest.raises(MailDeferred, match="login with 535") as deferral:
            await mailer(
                port, Security.STARTTLS, tls_context=client_tls, username="acme", password=PASSWORD
            ).send(MESSAGE)
    assert PASSWORD.reveal() not in shown(deferral.value)
    assert not inbox.envelopes


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
async def test_a_server_that_wants_a_login_we_do_not_have_defers_the_mail() -> None:
    async with smtp_server(inbox := Inbox(), auth_required=True, auth_require_tls=False) as port:
        with pytest.raises(MailDeferred, match="530"):
            await mailer(port).send(MESSAGE)
    assert not inbox.envelopes


def test_a_password_is_never_sent_in_clear_text() -> None:
    with pytest.raises(ValueError, match="clear text"):
        mailer(25, username="acme", password=PASSWORD)


def test_a_sender_that_is_not_one_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="sender"):
        SmtpMailer(host=HOST, security=Security.PLAIN, sender="nobody")
