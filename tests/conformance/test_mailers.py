"""The conformance kit, asked of every mailer; of SMTP on real connections."""

from __future__ import annotations

import io
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, redirect_stdout
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import Envelope
from tests.adapters import test_smtp_mailer as smtp
from tests.adapters.sample_mail import SENDER, bodies, parsed

from identity.adapters.mail.console import ConsoleMailer
from identity.adapters.mail.directory import DirectoryMailer
from identity.adapters.mail.smtp import Security, SmtpMailer
from identity.adapters.memory import MemoryMailer
from identity.application.mail import Message
from identity.application.ports import Mailer
from identity.testing.mailer import TOKEN, Delivered, Deliveries, MailerConformance

certificate, server_tls, client_tls = smtp.certificate, smtp.server_tls, smtp.client_tls


class TestMemoryMailer(MailerConformance):
    has_headers = False

    @pytest.fixture
    def mailer(self) -> MemoryMailer:
        return MemoryMailer()

    @pytest.fixture
    def delivered(self, mailer: MemoryMailer) -> Deliveries:
        async def deliveries() -> list[Delivered]:
            return [
                Delivered(
                    message_id=mail.id, to=mail.to.value, subject=mail.subject, text=mail.text, html=mail.html
                )
                for mail in mailer.sent
            ]

        return deliveries


def as_delivered(mail: EmailMessage) -> Delivered:
    text, html = bodies(mail)
    return Delivered(
        message_id=mail["Message-ID"], to=mail["To"], subject=mail["Subject"], text=text, html=html
    )


def in_directory(path: Path) -> Deliveries:
    def read() -> list[Delivered]:
        return [as_delivered(parsed(file.read_bytes())) for file in path.glob("*.eml")]

    async def deliveries() -> list[Delivered]:
        return read()

    return deliveries


class TransportedConformance(MailerConformance):
    @pytest.mark.xfail(reason="the standard library loses spaces where it folds (CPython issue 92081)")
    async def test_a_long_subject_arrives_whole(self, mailer: Mailer, delivered: Deliveries) -> None:
        await super().test_a_long_subject_arrives_whole(mailer, delivered)


class TestDirectoryMailer(TransportedConformance):
    @pytest.fixture
    def mailer(self, tmp_path: Path) -> DirectoryMailer:
        return DirectoryMailer(path=tmp_path / "mail", sender=SENDER)

    @pytest.fixture
    def delivered(self, tmp_path: Path) -> Deliveries:
        return in_directory(tmp_path / "mail")

    @pytest.fixture
    def mailer_that_cannot_connect(self, tmp_path: Path) -> DirectoryMailer:
        (tmp_path / "file").write_text("")
        return DirectoryMailer(path=tmp_path / "file", sender=SENDER)


class TestConsoleMailer(MailerConformance):
    @pytest.fixture
    def mailer(self) -> ConsoleMailer:
        return ConsoleMailer(sender=SENDER)

    @pytest.fixture
    def delivered(self, mailer: ConsoleMailer, capsys: pytest.CaptureFixture[str]) -> Deliveries:
        shown = ""

        async def deliveries() -> list[Delivered]:
            nonlocal shown
            shown += capsys.readouterr().out
            return [self.read(mail) for mail in re.findall(r"-{78}\n(.*?\n)-{78}\n", shown, re.DOTALL)]

        return deliveries

    def read(self, shown: str) -> Delivered:
        head, _, text = shown.partition("\n\n")
        headers = dict(line.split(": ", 1) for line in head.split("\n"))
        return Delivered(
            message_id=headers["Message-ID"],
            to=headers["To"],
            subject=headers["Subject"],
            text=text.replace("\\r\n", "\n"),  # a carriage return is shown instead of obeyed
            html=None,
        )

    @pytest.fixture
    def mailer_that_cannot_connect(self, mailer: ConsoleMailer) -> Mailer:
        class WithoutConsole:
            async def send(self, message: Message) -> None:
                closed = io.StringIO()
                closed.close()
                with redirect_stdout(closed):
                    await mailer.send(message)

        return WithoutConsole()


Connect = Callable[[smtp.Inbox], AbstractAsyncContextManager[SmtpMailer]]


class RefusingInbox(smtp.Inbox):
    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802
        return f"554 5.7.1 no mail with {TOKEN}"


class SmtpConformance(TransportedConformance):
    """What the three kinds of connection have in common; `connect` starts a server and makes its mailer."""

    @pytest.fixture
    def inbox(self) -> smtp.Inbox:
        return smtp.Inbox()

    @pytest.fixture
    async def mailer(self, connect: Connect, inbox: smtp.Inbox) -> AsyncIterator[SmtpMailer]:
        async with connect(inbox) as mailer:
            yield mailer

    @pytest.fixture
    def delivered(self, inbox: smtp.Inbox) -> Deliveries:
        async def deliveries() -> list[Delivered]:
            return [as_delivered(parsed(envelope.content)) for envelope in inbox.envelopes]

        return deliveries

    @pytest.fixture
    async def mailer_that_is_refused(self, connect: Connect) -> AsyncIterator[SmtpMailer]:
        async with connect(RefusingInbox()) as mailer:
            yield mailer

    @pytest.fixture
    async def mailer_that_cannot_connect(self, connect: Connect, inbox: smtp.Inbox) -> SmtpMailer:
        async with connect(inbox) as mailer:
            pass
        return mailer


class TestSmtpMailerInClearText(SmtpConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        @asynccontextmanager
        async def connect(inbox: smtp.Inbox) -> AsyncIterator[SmtpMailer]:
            async with smtp.smtp_server(inbox) as port:
                yield smtp.mailer(port)

        return connect


class TestSmtpMailerWithStarttls(SmtpConformance):
    @pytest.fixture
    def connect(self, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Connect:
        @asynccontextmanager
        async def connect(inbox: smtp.Inbox) -> AsyncIterator[SmtpMailer]:
            async with smtp.smtp_server(inbox, tls_context=server_tls, require_starttls=True) as port:
                yield smtp.mailer(port, Security.STARTTLS, tls_context=client_tls)

        return connect


class TestSmtpMailerInTls(SmtpConformance):
    @pytest.fixture
    def connect(self, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Connect:
        @asynccontextmanager
        async def connect(inbox: smtp.Inbox) -> AsyncIterator[SmtpMailer]:
            async with smtp.smtp_server(inbox, tls=server_tls) as port:
                yield smtp.mailer(port, Security.TLS, tls_context=client_tls)

        return connect
