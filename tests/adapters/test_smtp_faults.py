"""What becomes of a mail when the mail server refuses it, stalls, breaks off or is not what it should be."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests.adapters.sample_mail import HOST, LINK, MESSAGE, PASSWORD, SENDER, TOKEN

from identity.adapters.mail.smtp import Security, SmtpMailer
from identity.domain.errors import IdentityError, MailDeferred, MailRefused

ANSWERS = {
    "greeting": "220 mail.example",
    "EHLO": "250-mail.example\r\n250 AUTH PLAIN",
    "HELO": "250 mail.example",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    "content": "250 taken",
    "QUIT": "221 bye",
}
STALL, CUT = "stall", "cut"


@asynccontextmanager
async def scripted_server(heard: list[str], *, delay: float = 0, **answers: str) -> AsyncIterator[int]:
    """Says what it is told to say at each stage, and writes down every line it hears. Knows no TLS."""
    script = ANSWERS | answers

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stage = "greeting"
        try:
            while script.get(stage) != CUT:
                if script.get(stage) == STALL:
                    await reader.read()
                    break
                await asyncio.sleep(delay)
                writer.write(script.get(stage, "500 what?").encode() + b"\r\n")
                if stage == "STARTTLS" and script["STARTTLS"].startswith("220"):
                    await reader.read()
                    break
                if stage == "DATA" and script["DATA"].startswith("354"):
                    await reader.readuntil(b"\r\n.\r\n")
                    stage = "content"
                    continue
                line = (await reader.readline()).decode("latin-1").strip()
                if not line:
                    break
                heard.append(line)
                stage = line.split()[0].upper()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def mailer(port: int, security: Security = Security.PLAIN, **options: Any) -> SmtpMailer:
    return SmtpMailer(host=HOST, port=port, security=security, sender=SENDER, **options)


def shown(error: IdentityError) -> str:
    """Everything that a log could show of an error. It is one line of its own."""
    assert str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 300
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"RCPT": "450 4.2.1 greylisted, come again"}, MailDeferred),
        ({"RCPT": "550 5.1.1 nobody of that name"}, MailRefused),
        ({"RCPT": "530 5.7.0 authentication required"}, MailDeferred),
        ({"DATA": "451 4.3.0 later"}, MailDeferred),
        ({"DATA": "554 5.5.1 no"}, MailRefused),
        ({"DATA": "250 eh?"}, MailDeferred),
        ({"content": "452 4.3.1 disk full"}, MailDeferred),
        ({"content": "554 5.7.1 looks like spam"}, MailRefused),
        ({"content": CUT}, MailDeferred),
        ({"MAIL": "451 4.7.1 later"}, MailDeferred),
        ({"MAIL": "553 5.7.1 not your address"}, MailDeferred),
        ({"MAIL": CUT}, MailDeferred),
        ({"EHLO": "421 4.3.2 closing"}, MailDeferred),
        ({"EHLO": "550 go away", "HELO": "550 go away"}, MailDeferred),
        ({"greeting": "554 5.3.2 no service here"}, MailDeferred),
        ({"greeting": "421 4.3.2 busy"}, MailDeferred),
        ({"greeting": CUT}, MailDeferred),
        ({"greeting": "HTTP/1.1 400 Bad Request"}, MailDeferred),
    ],
)
async def test_an_answer_refuses_the_mail_for_good_only_if_it_is_about_the_mail(
    answers: dict[str, str], outcome: type[IdentityError]
) -> None:
    async with scripted_server([], **answers) as port:
        with pytest.raises(outcome) as refusal:
            await mailer(port).send(MESSAGE)
    shown(refusal.value)


async def test_the_server_s_words_are_kept_on_one_line_without_what_it_quotes_of_the_mail() -> None:
    answer = f"554-5.7.1 Blocked:\r\n554-5.7.1 \x1b[31m <{LINK}>\r\n554 5.7.1 token {TOKEN}"
    async with scripted_server([], content=answer) as port:
        with pytest.raises(MailRefused) as refusal:
            await mailer(port).send(MESSAGE)
    assert str(refusal.value) == "the mail server answered 554 5.7.1 Blocked: 5.7.1 [31m ... 5.7.1 token ..."
    assert TOKEN not in shown(refusal.value)


async def test_an_endless_answer_is_cut_short() -> None:
    async with scripted_server([], RCPT="450 " + "later " * 1000) as port:
        with pytest.raises(MailDeferred) as deferral:
            await mailer(port).send(MESSAGE)
    shown(deferral.value)


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"])
async def test_a_server_that_stalls_defers_the_mail_in_time(stage: str) -> None:
    async with scripted_server([], **{stage: STALL}) as port:
        began = time.monotonic()
        with pytest.raises(MailDeferred, match="in time") as deferral:
            await mailer(port, timeout=timedelta(seconds=0.1)).send(MESSAGE)
        assert time.monotonic() - began < 1
    shown(deferral.value)


async def test_a_server_that_is_slow_at_every_step_does_not_stretch_the_limit() -> None:
    async with scripted_server([], delay=0.08) as port:
        began = time.monotonic()
        with pytest.raises(MailDeferred, match="in time"):
            await mailer(port, timeout=timedelta(seconds=0.2)).send(MESSAGE)
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("farewell", [CUT, STALL, "421 4.3.2 closing", "nonsense"])
async def test_a_mail_that_was_taken_is_sent_however_the_farewell_goes(farewell: str) -> None:
    async with scripted_server(heard := [], QUIT=farewell) as port:
        await mailer(port).send(MESSAGE)
    assert heard[-1] == "QUIT"


async def test_a_server_that_is_down_defers_the_mail() -> None:
    async with scripted_server([]) as port:
        pass
    with pytest.raises(MailDeferred) as deferral:
        await mailer(port).send(MESSAGE)
    shown(deferral.value)


async def test_a_mailer_that_is_interrupted_stops_at_once() -> None:
    async with scripted_server(heard := [], DATA=STALL) as port:
        sending = asyncio.create_task(mailer(port).send(MESSAGE))
        while "DATA" not in heard:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        sending.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "answers", [{}, {"EHLO": "250-mail.example\r\n250 STARTTLS", "STARTTLS": "454 not now"}]
)
async def test_without_starttls_the_mail_is_deferred_and_nothing_is_sent_in_clear_text(
    answers: dict[str, str],
) -> None:
    async with scripted_server(heard := [], **answers) as port:
        with pytest.raises(MailDeferred) as deferral:
            await mailer(port, Security.STARTTLS, username="acme", password=PASSWORD).send(MESSAGE)
    assert {line.split()[0] for line in heard} <= {"EHLO", "STARTTLS"}
    assert PASSWORD.reveal() not in shown(deferral.value)


async def test_a_server_that_speaks_no_tls_defers_the_mail() -> None:
    async with scripted_server(heard := []) as port:
        with pytest.raises(MailDeferred) as deferral:
            await mailer(port, Security.TLS).send(MESSAGE)
    assert not any("EHLO" in line for line in heard)
    shown(deferral.value)


async def test_a_server_that_stalls_in_the_handshake_defers_the_mail_in_time() -> None:
    answers = {"EHLO": "250-mail.example\r\n250 STARTTLS", "STARTTLS": "220 go on"}
    async with scripted_server([], **answers) as port:
        with pytest.raises(MailDeferred, match="in time"):
            await mailer(port, Security.STARTTLS, timeout=timedelta(seconds=0.1)).send(MESSAGE)
