"""A real SMTP server, which answers as it is told."""

from __future__ import annotations

import asyncio
import email
import email.policy
import html
import socket
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope
from tests.server.service import LINK, SOON, Link, eventually


class MailServer:
    """A real SMTP server that writes down what it takes, and answers each recipient as it is told.

    `answers` maps a recipient to a reply such as "450 later", or to STALL: no reply to RCPT; or to HOLD: the
    mail is taken, but there is no reply; or to CUT: the same, but the connection ends, once.
    """

    STALL, HOLD, CUT = "stall", "hold", "cut"

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.stalled: list[str] = []
        """The recipients whose sender was kept waiting."""
        self._going_on: set[str] = set()
        self._controller: _Controller | None = None
        self._bound = _bound(0)  # keeps the port ours while nobody listens there
        self.port: int = self._bound.getsockname()[1]

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._controller = _Controller(self, self._bound)
        self._controller.start()

    def stop(self) -> None:
        """From now on connections are refused, and those that were open are cut."""
        if self._controller is not None:
            self._controller.end()
            self._controller = None
            self._bound = _bound(self.port)

    def close(self) -> None:
        self.stop()
        self._bound.close()

    def to(self, name: str, subject: str = "") -> list[EmailMessage]:
        return [
            mail for mail in self.mails if mail["To"] == f"{name}@example.com" and subject in mail["Subject"]
        ]

    def arrives(self, name: str, subject: str = "") -> EmailMessage:
        """The first mail to this account, when it is there."""
        return eventually(lambda: self.to(name, subject))[0]

    def wait_until_stalled(self, name: str) -> None:
        """Returns when the sender of a mail to this account is kept waiting."""
        eventually(lambda: f"{name}@example.com" in self.stalled)

    def go_on(self, name: str) -> None:
        """Lets those go on who were kept waiting."""
        self._going_on.add(f"{name}@example.com")

    def link(self, name: str) -> Link:
        """What stands in the link of the first mail to this account that has one."""
        return link_in(self.arrives(name, "Reset"))

    # What aiosmtpd calls

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: object, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 ok")
        if answer == self.STALL:
            await self._keep_waiting(address)
            answer = "250 ok"
        if answer[0] in "45":
            return answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        (address,) = envelope.rcpt_tos
        if self.answers.get(address) == self.CUT:
            del self.answers[address]
            server.transport.abort()
        if self.answers.get(address) == self.HOLD:
            await self._keep_waiting(address)
        return "250 taken"

    async def _keep_waiting(self, address: str) -> None:
        self.stalled.append(address)
        while address not in self._going_on:  # noqa: ASYNC110 - it is added by another thread
            await asyncio.sleep(0.02)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class _Controller(Controller):
    """Listens on a socket that is there already, and leaves no connection behind."""

    def __init__(self, handler: MailServer, listener: socket.socket) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=handler.port)
        self._listener = listener
        self._transports: set[asyncio.Transport] = set()

    def factory(self) -> SMTP:
        transports = self._transports

        class Connection(SMTP):
            def connection_made(self, transport: Any) -> None:
                transports.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                transports.discard(self.transport)
                super().connection_lost(error)

        return Connection(self.handler, enable_SMTPUTF8=True, loop=self.loop)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result(SOON)
        self.stop()

    async def _cut(self) -> None:
        assert self.server is not None
        # What was just accepted needs a server that is open to become a transport, which can be closed.
        self.loop.remove_reader(self._listener)
        await asyncio.sleep(0.02)
        self.server.close()
        for transport in list(self._transports):
            transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def link_in(mail: EmailMessage) -> Link:
    """The link in both parts of the mail, which must be the same."""
    text, page = (part.get_content() for part in mail.iter_parts())
    in_text, in_page = LINK.search(text), LINK.search(html.unescape(page))
    assert in_text
    assert in_page
    assert in_text[0] == in_page[0]
    return Link(*in_text.groups())
