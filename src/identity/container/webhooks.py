"""Who is told of events, and how that is signed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from identity.adapters.http_webhooks import HttpWebhookSender
from identity.adapters.jwt.vault import derived_key
from identity.application.courier import Courier
from identity.application.ports import Clock, WebhookSender
from identity.application.webhooks import DeliverWebhook
from identity.domain.events import vocabulary
from identity.domain.secrets import Secret
from identity.domain.webhook import Endpoint, SigningSecret
from identity.settings import Settings, SettingsError


def are_wanted(settings: Settings) -> str:
    return "yes" if settings.webhook_url else "no"


def endpoints(settings: Settings, secret: Secret) -> tuple[Endpoint, ...]:
    """Raises `SettingsError` when one wants a kind of event that there is not."""
    secrets = [secret, *filter(None, [settings.secret_previous])]
    problems: list[str] = []
    found: list[Endpoint] = []
    for text in settings.webhook_url:
        url, *kinds = text.split()
        problems += _unknown(kinds)
        signing = tuple(SigningSecret(key=derived_key(each, f"webhook {url}")) for each in secrets)
        found.append(Endpoint(url=url, kinds=frozenset(kinds), secrets=signing))
    if problems:
        raise SettingsError(problems)
    return tuple(found)


def webhook_sender(settings: Settings) -> HttpWebhookSender:
    return HttpWebhookSender(to_private=settings.webhook_private)


def deliveries(
    endpoints: tuple[Endpoint, ...], *, courier: Courier, sender: WebhookSender, clock: Clock
) -> tuple[DeliverWebhook, ...]:
    return tuple(
        DeliverWebhook(courier=courier, sender=sender, clock=clock, endpoint=endpoint)
        for endpoint in endpoints
    )


def _unknown(kinds: list[str]) -> Iterator[str]:
    for kind in kinds:
        if kind not in vocabulary():
            nearest = difflib.get_close_matches(kind, vocabulary(), n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            yield f"IDENTITY_WEBHOOK_URL: {kind} is no kind of event{hint}"
