"""The form in which mail leaves the house, and how it leaves into a directory and onto the console."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.adapters.sample_mail import LINK, MESSAGE, SENDER, bodies, parsed

from identity.adapters.mail.console import ConsoleMailer
from identity.adapters.mail.directory import DirectoryMailer
from identity.adapters.mail.mime import to_mime
from identity.application.mail import Message
from identity.domain.errors import MailDeferred, MailRefused
from identity.domain.names import EmailAddress

# --- headers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\x00", "\u2028", "\x85"])
@pytest.mark.parametrize("form", ["a{}Bcc: eve@evil.example", "trailing{}", "{}leading", "a{} folded"])
@pytest.mark.parametrize("place", ["id", "subject", "to"])
def test_no_header_can_be_injected(place: str, form: str, line_break: str) -> None:
    text = form.format(line_break)
    hostile: Mapping[str, Message] = {
        "id": replace(MESSAGE, id=text),
        "subject": replace(MESSAGE, subject=text),
        "to": replace(MESSAGE, to=EmailAddress(f"{text}@example.org")),
    }
    with pytest.raises(MailRefused):
        to_mime(hostile[place], sender=SENDER)


@pytest.mark.parametrize(
    "address", ["ann@example.org> SIZE=1", "a b@example.org", "<ann@example.org", '"a"@b.c']
)
def test_an_address_that_is_not_one_never_reaches_a_server(address: str) -> None:
    with pytest.raises(MailRefused):
        to_mime(replace(MESSAGE, to=EmailAddress(address)), sender=SENDER)


@pytest.mark.parametrize("id", ["", "../../etc/x", "a/b", ".hidden", "a@b", "a>b", "x" * 129])
def test_an_id_that_cannot_be_part_of_a_message_id_or_a_file_name_is_refused(id: str) -> None:
    with pytest.raises(MailRefused):
        to_mime(replace(MESSAGE, id=id), sender=SENDER)


# --- directory -------------------------------------------------------------------------------------------


async def test_the_directory_gets_a_complete_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "mail"
    await DirectoryMailer(path=directory, sender=SENDER).send(MESSAGE)
    (file,) = directory.iterdir()
    assert file.name == f"{MESSAGE.id}.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    mail = parsed(file.read_bytes())
    assert mail["To"] == MESSAGE.to.value
    assert bodies(mail) == [MESSAGE.text, MESSAGE.html]
    assert LINK.encode() in file.read_bytes()


async def test_a_mail_that_is_sent_twice_is_one_file(tmp_path: Path) -> None:
    for _ in range(2):
        await DirectoryMailer(path=tmp_path, sender=SENDER).send(MESSAGE)
    assert os.listdir(tmp_path) == [f"{MESSAGE.id}.eml"]


async def test_a_write_that_fails_half_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MailDeferred, match="No space left on device"):
        await DirectoryMailer(path=tmp_path, sender=SENDER).send(MESSAGE)
    assert not os.listdir(tmp_path)


# --- console ---------------------------------------------------------------------------------------------


class Writes(io.StringIO):
    encoding = "ascii"  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


async def test_the_console_shows_headers_and_text_with_the_link_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await ConsoleMailer(sender=SENDER).send(replace(MESSAGE, text=f"Grüße,\n\n{LINK}\n"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:-1] == [
        f"From: {SENDER}",
        "To: Ann.O'Neil+Tag@Example.ORG",
        "Subject: Reset your password",
        "Date: Sun, 22 Nov 2026 13:02:59 +0000",
        "Message-ID: <00112233445566778899aabbccddeeff@acme.example>",
        "",
        "Grüße,",
        "",
        LINK,
    ]


async def test_the_console_gets_each_mail_in_one_write_in_characters_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", console := Writes())
    await ConsoleMailer(sender=SENDER).send(replace(MESSAGE, text="Grüße 世界\n"))
    (text,) = console.writes
    assert r"Gr\xfc\xdfe \u4e16\u754c" in text
    assert text.endswith("-\n")


async def test_the_console_shows_control_characters_instead_of_obeying_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await ConsoleMailer(sender=SENDER).send(replace(MESSAGE, text="a\x1b[2Jb\rc\u2028d\u202ee\u00a0f\n"))
    assert r"a\x1b[2Jb\rc\u2028d\u202ee" + "\u00a0f\n" in capsys.readouterr().out
