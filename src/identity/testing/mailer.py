"""What every `Mailer` owes its port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from identity.application.mail import Message
from identity.application.ports import Mailer
from identity.domain.errors import MailDeferred, MailRefused
from identity.domain.names import EmailAddress
from identity.testing.conformance import Conformance

TOKEN = "k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGpXoTiBcEM"
LINK = f"https://app.acme.example/{'x' * 80}/reset-password/MQ/{TOKEN}"

_TO = EmailAddress("Ann.O'Neil+Tag@Example.ORG")
_INTERRUPTED = "Interrupted"
_TURNS = (1, 2, 3, 5, 8, 13, 21, 34)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A mail as it reached the other side; `None` for what cannot be seen there."""

    message_id: str | None
    to: str
    subject: str
    text: str
    html: str | None


Deliveries = Callable[[], Awaitable[Sequence[Delivered]]]


class MailerConformance(Conformance):
    """Tests of a `Mailer`.

    Takes the fixtures `mailer`; `delivered`, an async function that returns what has arrived so far; and,
    where there is such a thing, `mailer_that_is_refused`, whose server refuses every mail for good, and
    `mailer_that_cannot_connect`, whose server is not there.

        class TestPigeonMailer(MailerConformance):
            @pytest.fixture
            def mailer(self, loft):
                return PigeonMailer(loft)

            @pytest.fixture
            def delivered(self, loft):
                return loft.letters
    """

    has_headers: ClassVar[bool] = True
    """False only for a stand-in that keeps messages as they are, where nothing can be injected."""

    @pytest.fixture
    def mailer_that_is_refused(self) -> Mailer:
        pytest.skip("the binding has no fixture `mailer_that_is_refused`")

    @pytest.fixture
    def mailer_that_cannot_connect(self) -> Mailer:
        pytest.skip("the binding has no fixture `mailer_that_cannot_connect`")

    # --- what arrives -----------------------------------------------------------------------------------

    async def test_a_mail_that_is_handed_over_arrives(self, mailer: Mailer, delivered: Deliveries) -> None:
        await _arrives(_message(), mailer, delivered)

    async def test_a_subject_arrives_in_any_script(self, mailer: Mailer, delivered: Deliveries) -> None:
        for number, subject in enumerate(("Grüße, 世界 🎉", "Re: <a@b.example>, (x); y=?")):
            await _arrives(_message(number, subject=subject), mailer, delivered)

    async def test_a_long_subject_arrives_whole(self, mailer: Mailer, delivered: Deliveries) -> None:
        for number, subject in enumerate(("Word " * 60 + "end", "Grüße 世界 " * 20 + "🎉")):
            await _arrives(_message(number, subject=subject), mailer, delivered)

    async def test_both_bodies_arrive_in_any_script(self, mailer: Mailer, delivered: Deliveries) -> None:
        text, html = "Grüße 世界 🎉,\n\nπ ≠ 3\n", "<p>Grüße 世界 🎉,</p>\n<p>π ≠ 3</p>\n"
        await _arrives(_message(text=text, html=html), mailer, delivered)

    async def test_a_line_of_5_000_characters_arrives_whole(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        for number, line in enumerate(("x" * 5000, "é" * 5000)):
            text, html = f"{line}\nend\n", f"<p>{line}</p>\n"
            await _arrives(_message(number, text=text, html=html), mailer, delivered)

    async def test_lines_that_mean_something_to_a_mail_server_arrive_as_they_are(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        meaning = "\n".join(
            (
                ".",
                "..",
                ".x",
                "QUIT",
                "From here on",
                ">From there",
                "Subject: x",
                "--",
                "-- ",
                "a=3D=",
                "",
                "x",
            )
        )
        await _arrives(_message(text=f"{meaning}\n", html=f"<p>\n{meaning}\n</p>\n"), mailer, delivered)

    async def test_lines_stay_lines_however_they_end(self, mailer: Mailer, delivered: Deliveries) -> None:
        text, html = "one\r\ntwo\n\r\nthree\r\n", "<p>one\r\n\ntwo</p>\r\n"
        await _arrives(_message(text=text, html=html), mailer, delivered)

    async def test_of_mails_that_are_sent_at_once_each_arrives_once(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        messages = [_message(number, subject=f"Number {number}") for number in range(8)]
        await asyncio.gather(*(mailer.send(message) for message in messages))
        arrived = sorted(await delivered(), key=lambda mail: mail.subject)
        assert [mail.subject for mail in arrived] == [message.subject for message in messages]

    async def test_a_mail_that_is_sent_twice_has_one_message_id_and_no_other_has_it(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        for number in (1, 1, 2):
            await mailer.send(_message(number, subject=f"Number {number}"))
        seen = [(mail.subject, mail.message_id) for mail in await delivered()]
        if any(message_id is None for _, message_id in seen):
            pytest.skip("the binding says that no Message-ID can be seen")
        assert sorted(subject for subject, _ in set(seen)) == ["Number 1", "Number 2"]
        assert len({message_id for _, message_id in seen}) == 2

    # --- what does not ----------------------------------------------------------------------------------

    async def test_a_line_break_in_a_header_is_refused_and_nothing_leaves(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        if not self.has_headers:
            pytest.skip("the binding says that the mailer makes no headers")
        accepted = []
        for line_break in ("\n", "\r", "\r\n", "\r\n\r\n"):
            for form in ("a{}Bcc: eve@evil.example", "a{}", "{}a", "a{} folded"):
                text = form.format(line_break)
                for message in (
                    _message(id=text),
                    _message(subject=text),
                    _message(to=EmailAddress(f"{text}@example.org")),
                    _message(to=EmailAddress(f"ann@{text}.example")),
                ):
                    try:
                        await mailer.send(message)
                    except MailRefused:
                        continue
                    accepted.append(message)
        assert accepted == []
        assert not await delivered()

    async def test_nothing_in_a_header_is_decoded_on_its_way_out(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        # RFC 2047's way to write any character, a line break as well. Every address here is a valid one.
        words = (
            "=?utf-8?q?ann?=",
            "=?utf-8?q?ann=40evil.example?=",
            "=?utf-8?q?a=0D=0ABcc=3A_eve=40evil.example?=",
            "=?utf-8?b?YQ0KDQpib2R5?=",
        )
        for number, word in enumerate(words):
            for message in (
                _message(2 * number, subject=f"{word} {number}"),
                _message(2 * number + 1, subject=f"To {number}", to=EmailAddress(f"{word}@example.org")),
            ):
                try:
                    await _arrives(message, mailer, delivered)
                except MailRefused:
                    continue

    async def test_a_mail_that_is_refused_for_good_is_refused_without_its_link(
        self, mailer_that_is_refused: Mailer
    ) -> None:
        with pytest.raises(MailRefused) as refusal:
            await mailer_that_is_refused.send(_message())
        # Whoever delivers mail stores the words of a refusal, and nothing secret is stored.
        assert TOKEN not in str(refusal.value)

    async def test_a_mail_to_a_server_that_is_not_there_is_deferred_without_its_link(
        self, mailer_that_cannot_connect: Mailer
    ) -> None:
        for _ in range(2):
            with pytest.raises(MailDeferred) as deferral:
                await mailer_that_cannot_connect.send(_message())
            assert TOKEN not in str(deferral.value)

    async def test_a_mailer_that_is_interrupted_stops_and_can_be_used_again(
        self, mailer: Mailer, delivered: Deliveries
    ) -> None:
        for number, turns in enumerate(_TURNS):
            sending = asyncio.create_task(mailer.send(_message(number, subject=_INTERRUPTED)))
            for _ in range(turns):  # to be interrupted at several places
                await asyncio.sleep(0)
            interrupted = sending.cancel()
            (outcome,) = await asyncio.gather(sending, return_exceptions=True)
            # Before Python 3.12, `asyncio.wait_for` loses an interruption that comes together with an answer.
            assert isinstance(outcome, asyncio.CancelledError) if interrupted else outcome is None
        await _arrives(_message(len(_TURNS), subject="The last"), mailer, delivered)


def _message(
    number: int = 1,
    *,
    id: str | None = None,
    to: EmailAddress = _TO,
    subject: str = "Reset your password",
    text: str = f"Hello,\n\n{LINK}\n\nEnd.\n",
    html: str = f'<p><a href="{LINK}">Choose a new password</a></p>\n',
) -> Message:
    return Message(
        id=f"{number:032x}" if id is None else id,
        to=to,
        date=datetime(2026, 11, 22, 13, 2, 59, 123456, tzinfo=UTC),
        subject=subject,
        text=text,
        html=html,
    )


async def _arrives(message: Message, mailer: Mailer, delivered: Deliveries) -> None:
    """Sends the message and asserts that it arrives, once, with nothing lost of what can be seen."""
    before = list(await delivered())  # a binding may hand out the very list that will grow
    await mailer.send(message)
    arrived = [mail for mail in await delivered() if mail not in before]
    # One that was interrupted may come late; it has another subject.
    assert [mail.subject for mail in arrived if mail.subject != _INTERRUPTED] == [message.subject]
    (mail,) = (mail for mail in arrived if mail.subject == message.subject)
    assert mail.to == message.to.value
    assert _lines(mail.text) == _lines(message.text)
    if mail.html is not None:
        assert _lines(mail.html) == _lines(message.html)


def _lines(body: str) -> list[str]:
    """Without regard to how lines end and to how many empty ones there are at the end."""
    return body.replace("\r\n", "\n").rstrip("\n").split("\n")
