"""What every `WebhookSender` owes its port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from identity.application.ports import WebhookSender
from identity.domain.errors import DeliveryDeferred, DeliveryRefused, IdentityError
from identity.domain.webhook import SigningSecret, Webhook
from identity.testing.conformance import Conformance

ANSWER = "canary-of-the-answer"
"""What an endpoint of the binding should say in every answer, in its body and its headers."""

_AT = datetime(2026, 11, 23, 10, 15, 0, 123456, tzinfo=UTC)
_SECRETS = (SigningSecret(key=b"a secret of an endpoint, 32 bytes"), SigningSecret(key=b"the one before" * 2))
_BODY = b'{"type":"LoggedIn","timestamp":"2026-11-23T10:15:00.123456Z","data":{"canary":"of the body"}}'
_RECEIVED = (200, 201, 202, 204, 299)
_REDIRECTS = (300, 301, 302, 303, 307, 308)
_NOT_NOW = (*_REDIRECTS, 304, 400, 401, 403, 404, 405, 408, 413, 418, 421, 429, 500, 501, 502, 503, 504, 599)
_TURNS = (1, 2, 3, 5, 8, 13, 21, 34)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it reached the other side."""

    url: str
    method: str
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


Requests = Callable[[], Awaitable[Sequence[Received]]]
Answering = Callable[[int], str]


class WebhookSenderConformance(Conformance):
    """Tests of a `WebhookSender`.

    Takes the fixtures `sender`; `endpoint`, a URL whose requests are answered 204; `answering`, a function
    that returns a URL whose requests are answered with a status, of those from 300 to 399 with `endpoint` as
    the `Location`; `nobody`, a URL where nobody listens; and `received`, an async function that returns the
    requests that have arrived so far at any of them. Answers should hold `ANSWER`, and URLs a `canary`.

        class TestPigeonSender(WebhookSenderConformance):
            @pytest.fixture
            def sender(self, loft):
                return PigeonSender(loft)

            @pytest.fixture
            def received(self, loft):
                return loft.requests
    """

    # --- what arrives -----------------------------------------------------------------------------------

    async def test_a_webhook_arrives_once_as_a_post_with_its_headers(
        self, sender: WebhookSender, endpoint: str, received: Requests
    ) -> None:
        webhook = _webhook(endpoint)
        await sender.send(webhook)
        (request,) = await received()
        assert (request.url, request.method) == (endpoint, "POST")
        assert {name: request.headers.get(name) for name in webhook.headers} == webhook.headers

    async def test_a_body_arrives_octet_for_octet(
        self, sender: WebhookSender, endpoint: str, received: Requests
    ) -> None:
        bodies = (
            _BODY,
            b'{"a": 1.0, "a" : "\\u00fc"}\n',
            'ü世界🎉"'.encode(),
            b"\x00\xff\xfe\r\n.\r\n0\r\n\r\n",
            b"x" * 200_000,
        )
        for number, body in enumerate(bodies):
            await sender.send(_webhook(endpoint, number, body=body))
        arrived = [request.body for request in await received()]
        # Not the bodies themselves: to say how two long ones differ takes minutes.
        assert [body in arrived for body in bodies] == [True] * len(bodies)
        assert len(arrived) == len(bodies)

    async def test_of_webhooks_that_are_sent_at_once_each_arrives_once(
        self, sender: WebhookSender, endpoint: str, received: Requests
    ) -> None:
        webhooks = [_webhook(endpoint, number, body=b"%d" % number) for number in range(8)]
        await asyncio.gather(*(sender.send(webhook) for webhook in webhooks))
        arrived = sorted((each.headers["webhook-id"], each.body) for each in await received())
        assert arrived == [(webhook.id, webhook.body) for webhook in webhooks]

    # --- what is answered -------------------------------------------------------------------------------

    async def test_every_status_of_success_says_that_it_was_received(
        self, sender: WebhookSender, answering: Answering, received: Requests
    ) -> None:
        for number, status in enumerate(_RECEIVED):
            await sender.send(_webhook(answering(status), number))
        assert len(await received()) == len(_RECEIVED)

    async def test_every_other_status_but_410_defers_the_webhook(
        self, sender: WebhookSender, answering: Answering
    ) -> None:
        for number, status in enumerate(_NOT_NOW):
            error = await _error(sender, _webhook(answering(status), number))
            assert isinstance(error, DeliveryDeferred), status
            assert str(status) in str(error)

    async def test_410_refuses_the_webhook(self, sender: WebhookSender, answering: Answering) -> None:
        assert isinstance(await _error(sender, _webhook(answering(410))), DeliveryRefused)

    async def test_a_redirect_is_not_followed(
        self, sender: WebhookSender, answering: Answering, received: Requests
    ) -> None:
        asked = [answering(status) for status in _REDIRECTS]
        for number, url in enumerate(asked):
            await _error(sender, _webhook(url, number))
        assert [request.url for request in await received()] == asked

    async def test_an_endpoint_that_is_not_there_defers_the_webhook(
        self, sender: WebhookSender, nobody: str
    ) -> None:
        for _ in range(2):
            assert isinstance(await _error(sender, _webhook(nobody)), DeliveryDeferred)

    async def test_no_error_tells_what_was_sent_or_answered(
        self, sender: WebhookSender, answering: Answering, nobody: str
    ) -> None:
        # Whoever delivers webhooks stores the words of an error, and shows them to administrators.
        for url in (answering(410), answering(307), answering(500), nobody):
            webhook = _webhook(url)
            said = str(await _error(sender, webhook))
            assert said.isprintable()
            assert 0 < len(said) < 300
            path = url.partition("://")[2].partition("/")[2]
            for part in (
                ANSWER,
                "canary",
                *webhook.signatures.split(),
                webhook.id,
                *([path] if path else []),
            ):
                assert part not in said

    # --- being interrupted ------------------------------------------------------------------------------

    async def test_a_sender_that_is_interrupted_stops_and_can_be_used_again(
        self, sender: WebhookSender, endpoint: str, received: Requests
    ) -> None:
        for number, turns in enumerate(_TURNS):
            sending = asyncio.create_task(sender.send(_webhook(endpoint, number)))
            for _ in range(turns):  # to be interrupted at several places
                await asyncio.sleep(0)
            interrupted = sending.cancel()
            (outcome,) = await asyncio.gather(sending, return_exceptions=True)
            assert isinstance(outcome, asyncio.CancelledError) if interrupted else outcome is None
        last = _webhook(endpoint, len(_TURNS))
        await sender.send(last)
        assert [each.headers["webhook-id"] for each in await received()].count(last.id) == 1


def _webhook(url: str, number: int = 0, *, body: bytes = _BODY) -> Webhook:
    return Webhook.signed(url=url, id=f"{number:032x}", at=_AT, body=body, by=_SECRETS)


async def _error(sender: WebhookSender, webhook: Webhook) -> Any:
    """`None` if there is none."""
    try:
        await sender.send(webhook)
    except IdentityError as error:
        return error
    return None
