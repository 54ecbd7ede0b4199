"""What mail says, how it leaves, and where its links lead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from identity.adapters.mail.directory import DirectoryMailer
from identity.adapters.mail.jinja import JinjaRenderer
from identity.adapters.mail.smtp import Security, SmtpMailer
from identity.application.links import Link
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


def mail_renderer(settings: Settings) -> JinjaRenderer:
    """Raises `SettingsError` when the sender, or one of the deployment's own templates, is wrong."""
    try:
        renderer = JinjaRenderer(sender=settings.mail_from, overrides=settings.templates)
    except ValueError as error:
        raise SettingsError([f"IDENTITY_MAIL_FROM {settings.mail_from}: {error}"]) from None
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
    }
    return {
        purpose: Link(url=url.replace("{frontend}", settings.frontend_url), lifetime=lifetime)
        for purpose, (url, lifetime) in given.items()
    }
