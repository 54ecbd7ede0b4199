"""Mail over SMTP (RFC 5321): in clear text, with STARTTLS (RFC 3207) or in TLS from the start (RFC 8314)."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from enum import StrEnum

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException

from identity.adapters.mail.mime import parse_sender, to_mime
from identity.application.mail import Message
from identity.domain.errors import MailDeferred, MailRefused
from identity.domain.secrets import Secret

_QUIT_SECONDS = 1.0
_LONGEST_REASON = 200  # characters
_AUTHENTICATION_REQUIRED = 530  # RFC 4954, 6: may answer any command
_FULL_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
# Spam filters quote the link that they dislike; a token must not get into an error that is stored.
_QUOTATION = re.compile(r"\S*://\S*|[\w-]{32,}")


class Security(StrEnum):
    PLAIN = "plain"
    STARTTLS = "starttls"
    """The connection is encrypted before anything is said, or the mail is not sent."""
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpMailer:
    """Hands each message to one mail server, over a connection of its own.

    What is wrong with the message or its recipient is refused for good. What is wrong with the server, the
    connection or our own settings (certificate, password, sender) is deferred, for somebody can mend it.

    Raises:
        ValueError: a user name is given for a connection in clear text, or the sender is not one address.
    """

    host: str
    port: int | None = None
    """By default 25, with STARTTLS 587, with TLS 465."""
    security: Security
    sender: str
    username: str = ""
    password: Secret | None = None
    timeout: timedelta = timedelta(seconds=30)
    """For everything from the name look-up to the answer to the last line."""
    tls_context: ssl.SSLContext | None = None
    """By default the system's authorities are trusted and the host's name is checked."""

    def __post_init__(self) -> None:
        if self.username and self.security is Security.PLAIN:
            raise ValueError("a password is not sent in clear text")
        parse_sender(self.sender)

    async def send(self, message: Message) -> None:
        mime = to_mime(message, sender=self.sender)
        smtp = self._connection()
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task else 0
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                await smtp.connect()
                await _hand_over(smtp, mime)
                if task and task.cancelling() > cancelled_before:
                    raise asyncio.CancelledError  # before Python 3.12, `wait_for` may have swallowed it
            # The server has the mail; how the farewell goes must not make us send it again.
            with suppress(SMTPException, OSError):
                await smtp.quit(timeout=_QUIT_SECONDS)
        except SMTPAuthenticationError as error:
            # Without the server's words: some repeat what they were sent.
            raise MailDeferred(f"the mail server refused the login with {error.code}") from None
        except SMTPResponseException as error:
            raise MailDeferred(_reason(error)) from None
        except TimeoutError:
            raise MailDeferred("the mail server did not answer in time") from None
        except (SMTPException, OSError) as error:
            raise MailDeferred(_one_line(str(error)) or type(error).__name__) from None
        finally:
            smtp.close()

    def _connection(self) -> SMTP:
        return SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username or None,
            password=self.password.reveal() if self.username and self.password else None,
            local_hostname=_own_name(),
            timeout=self.timeout.total_seconds(),
            use_tls=self.security is Security.TLS,
            start_tls=self.security is Security.STARTTLS,
            tls_context=self.tls_context,
        )


async def _hand_over(smtp: SMTP, mime: EmailMessage) -> None:
    """Raises MailRefused for what is wrong with the message, else whatever the client library raises."""
    sender, recipient = (mime[name].addresses[0].addr_spec for name in ("From", "To"))
    options, encoding = [], "ascii"
    if not (sender + recipient).isascii():
        if smtp.is_ehlo_or_helo_needed:
            await smtp.ehlo()
        if not smtp.supports_extension("SMTPUTF8"):
            raise MailRefused("the mail server takes no addresses beyond ASCII")
        options, encoding = ["SMTPUTF8"], "utf-8"
    await smtp.mail(sender, options=options, encoding=encoding)
    try:
        await smtp.rcpt(recipient, encoding=encoding)
        await smtp.data(mime.as_bytes())
    except SMTPResponseException as error:
        if 500 <= error.code <= 599 and error.code != _AUTHENTICATION_REQUIRED:
            raise MailRefused(_reason(error)) from None
        raise


def _own_name() -> str:
    """Who we say we are: the host's full name, else an address literal (RFC 5321, 4.1.4). Asks no DNS."""
    name = socket.gethostname()
    return name if _FULL_NAME.fullmatch(name) else "[127.0.0.1]"


def _reason(error: SMTPResponseException) -> str:
    return f"the mail server answered {error.code} {_one_line(error.message)}".rstrip()


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(_QUOTATION.sub("...", printable).split())[:_LONGEST_REASON]
