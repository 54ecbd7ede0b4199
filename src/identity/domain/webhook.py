"""Telling other systems what happened, as Standard Webhooks 1.0.0 has it: standardwebhooks.com."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from identity.domain.events import Event

_SECRET_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """That this service and one endpoint share."""

    key: bytes = field(repr=False)

    def reveal(self) -> str:
        """As a receiver's library wants it."""
        return _SECRET_PREFIX + base64.b64encode(self.key).decode()

    def signature(self, *, id: str, at: datetime, body: bytes) -> str:
        signed = f"{id}.{_seconds(at)}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where another system wants to be told of events."""

    url: str = field(repr=False)
    """May hold a token of the receiver's."""
    kinds: frozenset[str] = frozenset()
    """Of the events that it wants; none means all."""
    secrets: tuple[SigningSecret, ...] = ()
    """The present one, and that of before while the service's secret is being changed."""

    @property
    def queue(self) -> str:
        """Where its webhooks wait, of its own, so that it holds up nobody but itself."""
        return "webhook:" + hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def wants(self, event: Event) -> bool:
        return not self.kinds or event.kind in self.kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A finished request. Whoever gets the same `id` twice has been told of one event twice."""

    url: str = field(repr=False)
    id: str
    at: datetime
    """Of this attempt."""
    signatures: str
    body: bytes = field(repr=False)

    @classmethod
    def signed(cls, *, url: str, id: str, at: datetime, body: bytes, by: Sequence[SigningSecret]) -> Webhook:
        signatures = " ".join(secret.signature(id=id, at=at, body=body) for secret in by)
        return cls(url=url, id=id, at=at, signatures=signatures, body=body)

    @property
    def headers(self) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": str(_seconds(self.at)),
            "webhook-signature": self.signatures,
        }


def body_of(event: Event) -> str:
    """What a webhook tells of an event: whom it concerns by ids alone, and nothing personal. From where it
    came stands in the audit log, where it can be erased."""
    data = {
        "user_id": event.user_id,
        "result": event.result,
        "actor": event.actor.role.value,
        "actor_id": event.actor.user_id,
        "subject": event.subject,
        "session_id": event.session_id,
        "request_id": event.client.request_id,
    }
    return _body(event.kind, event.at, data)


def trial_body(at: datetime) -> str:
    """What a webhook tells that is sent to see whether it arrives."""
    return _body("Test", at, {})


def _body(kind: str, at: datetime, data: Mapping[str, object]) -> str:
    timestamp = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": timestamp, "data": data}, separators=(",", ":"))


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
