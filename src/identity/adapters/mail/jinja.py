"""The wording of every mail, in Jinja2 templates that a deployment can replace one by one.

A mail has two templates, named after its class: `PasswordResetMail` is worded by `password_reset.txt` and
`password_reset.html`. The text begins with a line `Subject: ...` and an empty line. Templates see the fields
of the mail (`username`, `to`, `link`, `expires_in`, `at`, `client`, `signed_out`), `service` (the name shown
of the sender), in HTML also `subject`, and the filters `duration`, `moment` and `device`.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape

from identity.adapters.mail import wording
from identity.adapters.mail.mime import parse_sender
from identity.application.mail import (
    AccountExistsMail,
    Mail,
    Message,
    NewDeviceMail,
    PasswordChangedMail,
    PasswordResetMail,
    SessionReusedMail,
    TestMail,
    VerifyEmailMail,
)
from identity.domain.errors import MailDeferred
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import Client

_TEMPLATES = Path(__file__).parent / "templates"

_SAMPLE_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_READER: Any = {"to": EmailAddress("john@example.com"), "username": Username("john_doe")}
_DEED: Any = {**_READER, "at": _SAMPLE_TIME, "client": Client(address="192.0.2.1", user_agent="curl/8.0")}
_SAMPLES = (
    PasswordResetMail(**_READER, link=Secret("http://localhost/"), expires_in=timedelta(hours=1)),
    VerifyEmailMail(**_READER, link=Secret("http://localhost/"), expires_in=timedelta(days=2)),
    AccountExistsMail(**_DEED),
    PasswordChangedMail(**_DEED),
    SessionReusedMail(**_DEED, signed_out=Client(address="192.0.2.2", user_agent="curl/8.0")),
    NewDeviceMail(**_DEED),
    TestMail(**_READER),
)


class JinjaRenderer:
    """Renders mail with the templates in `overrides` and, for those that are not there, with our own.

    Raises:
        ValueError: `sender` is not one address.
    """

    def __init__(self, *, sender: str, overrides: Path | None = None) -> None:
        address = parse_sender(sender)
        self._service = address.display_name or address.domain
        self._templates = Environment(
            loader=FileSystemLoader([overrides, _TEMPLATES] if overrides else [_TEMPLATES]),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._templates.filters.update(
            duration=wording.duration, moment=wording.moment, device=wording.device
        )

    def check(self) -> None:
        """Renders a mail of each kind, so that a template that is wrong is found before it is needed.

        Raises:
            ValueError: with the template's name and what is wrong with it.
        """
        for mail in _SAMPLES:
            try:
                self.render(mail, id="sample", date=_SAMPLE_TIME)
            except MailDeferred as fault:
                raise ValueError(str(fault)) from None

    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        """The mail in words.

        Raises:
            MailDeferred: a template is missing or wrong; whoever runs the service can mend it.
        """
        name = template_name(type(mail))
        values = {field.name: _plain(getattr(mail, field.name)) for field in dataclasses.fields(mail)}
        values["service"] = self._service
        subject, text = _split(self._fill(f"{name}.txt", values), name)
        html = self._fill(f"{name}.html", values | {"subject": subject})
        return Message(id=id, to=mail.to, date=date, subject=subject, text=text, html=html)

    def _fill(self, template: str, values: dict[str, object]) -> str:
        try:
            return self._templates.get_template(template).render(values)
        except TemplateError as error:
            fault = f"{type(error).__name__}: {error.message}"  # str() would add lines of the source
        except (OSError, UnicodeError) as error:
            fault = str(error)
        raise MailDeferred(f"mail template {template}: {fault}")


def template_name(kind: type[Mail]) -> str:
    """Without the ending: "password_reset" for `PasswordResetMail`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Mail")).lower()


def _plain(value: object) -> object:
    match value:
        case Secret():
            return value.reveal()
        case EmailAddress() | Username():
            return value.value
        case _:
            return value


def _split(rendered: str, name: str) -> tuple[str, str]:
    """Subject and body. Whatever a value holds, the subject is one line, and what follows it is body."""
    first, *rest = rendered.splitlines(keepends=True) or [""]
    label, _, subject = first.partition(":")
    if label != "Subject" or not subject.strip() or not rest or rest[0].strip():
        raise MailDeferred(f"mail template {name}.txt: must begin with a Subject line and an empty line")
    return " ".join(subject.split()), "".join(rest[1:])
