"""What is wrong between settings that are right by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from identity.settings import values

if TYPE_CHECKING:
    from identity.settings import Settings

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - every address is among them


def conflicts(settings: Settings, given: Set[str]) -> Iterator[tuple[set[str], str]]:
    """The fields concerned, and one line, for each."""
    scheme = values.scheme(settings.database_url)
    if {"secret", "secret_file"} <= given:
        yield set(), "IDENTITY_SECRET and IDENTITY_SECRET_FILE are both set; keep one of them"
    if settings.has_server_database and not given & {"secret", "secret_file"}:
        yield {"secret"}, "IDENTITY_SECRET or IDENTITY_SECRET_FILE is required with a server database"
    if (settings.token_algorithm == "HS256") != (settings.shared_key is not None):
        yield (
            {"token_algorithm", "shared_key"},
            "IDENTITY_TOKEN_ALGORITHM=HS256 and IDENTITY_SHARED_KEY go together",
        )
    if settings.shared_key is not None and settings.shared_key == settings.secret:
        yield {"shared_key", "secret"}, "IDENTITY_SHARED_KEY must differ from IDENTITY_SECRET"
    if settings.shared_key is not None and settings.shared_key == settings.secret_previous:
        yield (
            {"shared_key", "secret_previous"},
            "IDENTITY_SHARED_KEY must differ from IDENTITY_SECRET_PREVIOUS",
        )
    clients = urlsplit(settings.public_url)  # a proxy on this machine may serve the world from loopback
    is_development = (
        settings.refresh_cookie
        and values.is_loopback(settings.host)
        and (clients.scheme, values.is_loopback(clients.hostname or "")) == ("http", True)
    )
    if settings.refresh_cookie_insecure and not is_development:
        yield (
            {"refresh_cookie_insecure", "refresh_cookie", "host", "public_url"},
            "IDENTITY_REFRESH_COOKIE_INSECURE goes with IDENTITY_REFRESH_COOKIE only, and with loopback in "
            "IDENTITY_HOST and an http:// IDENTITY_PUBLIC_URL",
        )
    can_be_sent = settings.refresh_cookie_insecure or settings.public_url.startswith("https://")
    if settings.refresh_cookie and not can_be_sent:
        yield (
            {"refresh_cookie", "refresh_cookie_insecure", "public_url"},
            "IDENTITY_REFRESH_COOKIE needs an IDENTITY_PUBLIC_URL with https://, or for development on "
            "localhost IDENTITY_REFRESH_COOKIE_INSECURE=true",
        )
    if scheme == "memory" and settings.workers > 1:
        yield {"workers"}, "IDENTITY_WORKERS must be 1 with memory:, which processes cannot share"
    if settings.audience == settings.issuer:
        yield {"audience", "issuer"}, "IDENTITY_AUDIENCE must differ from IDENTITY_ISSUER"
    if settings.mail_url == "console:" and "mail_url" not in given and not values.is_loopback(settings.host):
        yield (
            {"mail_url"},
            (
                "IDENTITY_MAIL_URL must be set when IDENTITY_HOST is not a loopback address: "
                "the default, console:, prints live links"
            ),
        )
    if settings.login_free_failures > settings.login_failures:
        yield (
            {"login_free_failures", "login_failures"},
            "IDENTITY_LOGIN_FREE_FAILURES must not be more than IDENTITY_LOGIN_FAILURES",
        )
    if not settings.webhook_private and any(map(_is_inside, settings.webhook_url)):
        yield (
            {"webhook_url", "webhook_private"},
            "IDENTITY_WEBHOOK_URL has an http:// URL or a private address, which takes "
            "IDENTITY_WEBHOOK_PRIVATE=true",
        )
    yield from _of_the_metrics(settings)


def _of_the_metrics(settings: Settings) -> Iterator[tuple[set[str], str]]:
    if settings.metrics_ports and settings.metrics_ports[-1] > 65535:
        yield {"metrics_port", "workers"}, "IDENTITY_METRICS_PORT leaves no port for each of IDENTITY_WORKERS"
    is_one_address = settings.host == settings.metrics_host or _WILDCARDS & {
        settings.host,
        settings.metrics_host,
    }
    if settings.port and settings.port in settings.metrics_ports and is_one_address:
        yield (
            {"metrics_port", "metrics_host", "port", "host", "workers"},
            "IDENTITY_METRICS_PORT, and the ports after it for further IDENTITY_WORKERS, must differ from "
            "IDENTITY_PORT",
        )


def _is_inside(webhook: str) -> bool:
    url = urlsplit(webhook.split(maxsplit=1)[0])
    return url.scheme != "https" or values.is_private(url.hostname or "")
