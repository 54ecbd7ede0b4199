"""Mail as files in a directory, for development and for another program to take further."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from identity.adapters.mail.mime import to_mime
from identity.application.mail import Message
from identity.domain.errors import MailDeferred


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryMailer:
    """Writes each message to `<id>.eml`. The file appears complete, and only its owner can read it.

    A message that is sent twice is one file.
    """

    path: Path
    """Created when it is needed."""
    sender: str

    async def send(self, message: Message) -> None:
        content = to_mime(message, sender=self.sender).as_bytes()
        try:
            await asyncio.to_thread(_write, self.path / f"{message.id}.eml", content)
        except OSError as error:
            raise MailDeferred(f"the mail directory: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")  # with mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
