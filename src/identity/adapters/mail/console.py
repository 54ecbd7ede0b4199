"""Mail on the console, for development: whoever sees the output can follow the links in it."""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from dataclasses import dataclass

from identity.adapters.mail.mime import to_mime
from identity.application.mail import Message
from identity.domain.errors import MailDeferred

_HEADERS = ("From", "To", "Subject", "Date", "Message-ID")
_RULE = "-" * 78


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleMailer:
    """Prints headers and plain text to standard output, each mail in one piece."""

    sender: str

    async def send(self, message: Message) -> None:
        mime = to_mime(message, sender=self.sender)
        headers = (f"{name}: {mime[name]}" for name in _HEADERS)
        mail = "\n".join([_RULE, *headers, "", message.text.rstrip("\n"), _RULE, ""])
        try:
            await asyncio.to_thread(_write, _harmless(mail))
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            raise MailDeferred(f"standard output: {error}") from None


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _harmless(text: str) -> str:
    """Without anything that a terminal or a log collector would take for more than text."""
    return "".join(
        character
        if character.isprintable() or character == "\n" or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
