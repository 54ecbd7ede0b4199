"""What is counted while it happens. No label has anything in it that a client could choose freely."""

from __future__ import annotations

from http import HTTPMethod
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from identity.application.courier import Outcome
from identity.application.mail import MAIL

LOGINS = {"/api/auth/login": "password", "/api/auth/login-code/confirm": "code"}
REFRESH = "/api/auth/token/refresh"
UNKNOWN_METHOD = "-"

_METHODS = frozenset(HTTPMethod)
_OUTCOMES = {
    200: "succeeded",
    401: "refused",
    429: "throttled",
    503: "unavailable",
    0: "abandoned",  # by the client, before it was answered
}
_ALL_OUTCOMES = (*_OUTCOMES.values(), "invalid", "failed")
# Seconds: a profile takes 1 ms, a password 20 to 150, and who waits for longer than two seconds is refused.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_Series: TypeAlias = tuple[Counter, Histogram, Counter | None]


class Recording:
    def __init__(self, registry: CollectorRegistry) -> None:
        # Or there is a series more for each, with a time that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._requests = Counter(
            "identity_http_requests_total",
            "Requests that were answered. The status is 0 where the client went away before.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "identity_http_request_seconds",
            "How long it took to answer them.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._logins = Counter(
            "identity_logins_total", "Attempts to log in.", ["kind", "outcome"], registry=registry
        )
        self._refreshes = Counter(
            "identity_refreshes_total", "Refreshes of a session.", ["outcome"], registry=registry
        )
        self._deliveries = Counter(
            "identity_deliveries_total",
            "Attempts of this process to send something from the outbox.",
            ["queue", "outcome"],
            registry=registry,
        )
        self._series: dict[tuple[str, str, int], _Series] = {}
        # A counter that begins at nothing shows its first event, one that begins with it does not.
        for outcome in _ALL_OUTCOMES:
            self._refreshes.labels(outcome)
            for kind in LOGINS.values():
                self._logins.labels(kind, outcome)
        for outcome in Outcome:
            self._deliveries.labels(MAIL, outcome)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = UNKNOWN_METHOD
        series = self._series.get((method, route, status))
        if series is None:
            series = self._series[method, route, status] = self._new_series(method, route, status)
        requests, duration, outcomes = series
        requests.inc()
        duration.observe(seconds)
        if outcomes is not None:
            outcomes.inc()

    def delivery(self, queue: str, outcome: str) -> None:
        self._deliveries.labels(queue, outcome).inc()

    def _new_series(self, method: str, route: str, status: int) -> _Series:
        outcomes = None
        if method == HTTPMethod.POST and route in LOGINS:
            outcomes = self._logins.labels(LOGINS[route], _outcome(status))
        if method == HTTPMethod.POST and route == REFRESH:
            outcomes = self._refreshes.labels(_outcome(status))
        return (
            self._requests.labels(method, route, status),
            self._seconds.labels(method, route),
            outcomes,
        )


def _outcome(status: int) -> str:
    return _OUTCOMES.get(status) or ("invalid" if status < 500 else "failed")
