"""The conformance kit, asked of every sender of webhooks; over HTTP on real connections."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.adapters.webhook_receiver import HOST, Receiver, receiving

from identity.adapters.http_webhooks import HttpWebhookSender
from identity.adapters.memory import MemoryWebhookSender
from identity.testing.webhooks import Answering, Received, Requests, WebhookSenderConformance


class TestHttpWebhookSender(WebhookSenderConformance):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[Receiver]:
        async with receiving() as receiver:
            yield receiver

    @pytest.fixture
    def sender(self) -> HttpWebhookSender:
        return HttpWebhookSender(to_private=True)

    @pytest.fixture
    def endpoint(self, receiver: Receiver) -> str:
        return receiver.endpoint

    @pytest.fixture
    def answering(self, receiver: Receiver) -> Answering:
        return receiver.answering

    @pytest.fixture
    def received(self, receiver: Receiver) -> Requests:
        return receiver.requests

    @pytest.fixture
    def nobody(self) -> Iterator[str]:
        with socket.socket() as bound:  # the port is ours, and nobody listens there
            bound.bind((HOST, 0))
            yield f"http://{HOST}:{bound.getsockname()[1]}/canary"


def received_by(sender: MemoryWebhookSender) -> Requests:
    async def received() -> list[Received]:
        return [
            Received(url=each.url, method="POST", headers=each.headers, body=each.body)
            for each in sender.sent
        ]

    return received


class TestMemoryWebhookSender(WebhookSenderConformance):
    @pytest.fixture
    def sender(self, nobody: str) -> MemoryWebhookSender:
        return MemoryWebhookSender({nobody: None})

    @pytest.fixture
    def endpoint(self) -> str:
        return "https://receiver.example/hooks?token=canary"

    @pytest.fixture
    def answering(self, sender: MemoryWebhookSender) -> Answering:
        def answering(status: int) -> str:
            url = f"https://receiver.example/canary/{status}"
            sender.answers[url] = status
            return url

        return answering

    @pytest.fixture
    def received(self, sender: MemoryWebhookSender) -> Requests:
        return received_by(sender)

    @pytest.fixture
    def nobody(self) -> str:
        return "https://nobody.example/canary"
