"""Senders of webhooks with one fault each, and the honest one that they spoil.

Which test of the kit must notice each is said in `test_planted_adapter_faults.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from identity.adapters.memory import MemoryWebhookSender
from identity.domain.errors import DeliveryDeferred, DeliveryRefused
from identity.domain.webhook import Webhook
from identity.testing.webhooks import ANSWER

ENDPOINT = "https://receiver.example/hooks"


class CarefulSender(MemoryWebhookSender):
    """Takes its time."""

    async def send(self, webhook: Webhook) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await super().send(webhook)


class Changing:
    """Changes every webhook before an honest sender sends it."""

    def __init__(self, honest: MemoryWebhookSender) -> None:
        self.honest = honest
        self.count = itertools.count(1)

    def changed(self, webhook: Webhook) -> Webhook:
        return webhook

    async def send(self, webhook: Webhook) -> None:
        await self.honest.send(self.changed(webhook))


class SenderOfItsOwnTime(Changing):
    def changed(self, webhook: Webhook) -> Webhook:
        return replace(webhook, at=webhook.at + timedelta(seconds=1))


class SenderOfOneSignature(Changing):
    def changed(self, webhook: Webhook) -> Webhook:
        return replace(webhook, signatures=webhook.signatures.partition(" ")[0])


class SenderThatEndsTheLine(Changing):
    def changed(self, webhook: Webhook) -> Webhook:
        return replace(webhook, body=webhook.body.rstrip() + b"\n")


class SenderThatWritesTheBodyAnew(Changing):
    def changed(self, webhook: Webhook) -> Webhook:
        with suppress(ValueError):
            return replace(webhook, body=json.dumps(json.loads(webhook.body)).encode())
        return webhook


class SenderThatSendsTwice(Changing):
    async def send(self, webhook: Webhook) -> None:
        await self.honest.send(webhook)
        await self.honest.send(webhook)


class SenderThatDropsEverySecond(Changing):
    async def send(self, webhook: Webhook) -> None:
        if next(self.count) % 2:
            await self.honest.send(webhook)


class SenderThatMixesThemUp(Changing):
    async def send(self, webhook: Webhook) -> None:
        self.latest = webhook
        await asyncio.sleep(0)
        await self.honest.send(self.latest)


class SenderThatKnows200And204(Changing):
    async def send(self, webhook: Webhook) -> None:
        await self.honest.send(webhook)
        if self.honest.answers.get(webhook.url, 204) not in {200, 204}:
            raise DeliveryDeferred("answered something else")


class SenderThatTakesEveryAnswer(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred:
            if self.honest.answers[webhook.url] is None:
                raise


class SenderThatTakesARedirectForAnAnswer(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred:
            if not 300 <= (self.honest.answers[webhook.url] or 0) < 400:
                raise


class SenderThatGivesUpOnAClientError(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred as deferral:
            if 400 <= (self.honest.answers[webhook.url] or 0) < 500:
                raise DeliveryRefused(str(deferral)) from None
            raise


class SenderThatNeverGivesUp(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryRefused as refusal:
            raise DeliveryDeferred(str(refusal)) from None


class SenderThatFollowsRedirects(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred:
            if not 300 <= (self.honest.answers[webhook.url] or 0) < 400:
                raise
            await self.honest.send(replace(webhook, url=ENDPOINT))


class SenderThatSwallowsFailures(Changing):
    async def send(self, webhook: Webhook) -> None:
        with suppress(DeliveryDeferred):
            await self.honest.send(webhook)


class SenderThatGivesUpOnWhoIsAway(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred as deferral:
            if self.honest.answers[webhook.url] is None:
                raise DeliveryRefused(str(deferral)) from None
            raise


class SenderThatTellsTheAddress(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred as deferral:
            raise DeliveryDeferred(f"{webhook.url}: {deferral}") from None


class SenderThatQuotesTheAnswer(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryRefused as refusal:
            raise DeliveryRefused(f"{refusal} {ANSWER}") from None


class SenderThatShowsTheWebhook(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except DeliveryDeferred as deferral:
            raise DeliveryDeferred(f"{deferral} to {webhook.signatures}") from None


class SenderThatCannotBeInterrupted(Changing):
    async def send(self, webhook: Webhook) -> None:
        with suppress(asyncio.CancelledError):
            await self.honest.send(webhook)


class SenderThatTakesAnInterruptionForAFailure(Changing):
    async def send(self, webhook: Webhook) -> None:
        try:
            await self.honest.send(webhook)
        except asyncio.CancelledError:
            raise DeliveryDeferred("interrupted") from None
