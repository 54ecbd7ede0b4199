"""What mail says, how it leaves, and where its links lead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from identity.adapters.mail.directory import DirectoryMailer
from identity.adapters.mail.jinja import JinjaRenderer
from identity.adapters.mail.mime import parse_sender
from identity.adapters.mail.smtp import Security, SmtpMailer
from identity.application.email_change import CONFIRMED_WITHIN, UNDONE_WITHIN
from identity.application.links import Link
from identity.domain.language import look_up
from identity.domain.one_time_token import Purpose
from identity.domain.secrets import Secret
from identity.settings import Settings, SettingsError


def mailer_kind(settings: Settings) -> str:
    """The scheme of the mail URL, or `class` for a third party's `package.module:Class`."""
    scheme = settings.mail_url.partition(":")[0]
    return "class" if "." in scheme else scheme


def smtp_mailer(settings: Settings, security: Security) -> SmtpMailer:
    url = urlsplit(settings.mail_url)
    return SmtpMailer(
        host=url.hostname or "",
        port=url.port,
        security=security,
        sender=settings.mail_from,
        username=unquote(url.username or ""),
        password=Secret(unquote(url.password)) if url.password else None,
    )


def service_name(settings: Settings) -> str:
    """What this service is called, to whoever has not been told otherwise: as the sender of its mail.

    Raises:
        SettingsError: the sender is not one address.
    """
    try:
        sender = parse_sender(settings.mail_from)
    except ValueError as error:
        raise SettingsError([f"IDENTITY_MAIL_FROM {settings.mail_from}: {error}"]) from None
    return settings.service_name or sender.display_name or sender.domain


def mail_renderer(settings: Settings, service: str) -> JinjaRenderer:
    """Raises `SettingsError` when one of the deployment's own templates is wrong, or there are none in its
    locale."""
    renderer = JinjaRenderer(
        service=service, overrides=settings.templates, default_locale=settings.default_locale
    )
    if look_up(settings.default_locale, renderer.locales) is None:
        raise SettingsError(
            [
                f"IDENTITY_DEFAULT_LOCALE {settings.default_locale}: there are mail templates in "
                f"{', '.join(renderer.locales)} only"
            ]
        )
    if settings.templates:  # our own were tried by our tests, and trying them would slow each start down
        try:
            renderer.check()
        except ValueError as error:
            raise SettingsError([f"IDENTITY_TEMPLATES {settings.templates}: {error}"]) from None
    return renderer


def directory_mailer(settings: Settings) -> DirectoryMailer:
    path = Path(settings.mail_url.removeprefix("directory:"))
    return DirectoryMailer(path=path, sender=settings.mail_from)


def links(settings: Settings) -> Mapping[Purpose, Link]:
    given = {
        Purpose.RESET_PASSWORD: (settings.reset_url, settings.reset_lifetime),
        Purpose.VERIFY_EMAIL: (settings.verify_email_url, settings.verify_email_lifetime),
        Purpose.CHANGE_EMAIL: (settings.change_email_url, CONFIRMED_WITHIN),
        Purpose.UNDO_EMAIL_CHANGE: (settings.undo_email_change_url, UNDONE_WITHIN),
        Purpose.UNDO_DELETION: (settings.undo_deletion_url, settings.erasure_grace),
    }
    return {
        purpose: Link(url=url.replace("{frontend}", settings.frontend_url), lifetime=lifetime)
        for purpose, (url, lifetime) in given.items()
    }
