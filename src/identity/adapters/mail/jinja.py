"""The wording of every mail, in Jinja2 templates that a deployment can replace one by one, or add in a
language of its own.

Each locale has a folder, named by its language tag, and each mail two templates in it, named after its
class: `PasswordResetMail` is worded in German by `de/password_reset.txt` and `de/password_reset.html`. The
text begins with a line `Subject: ...` and an empty line. `de/wording.jinja` says how times, durations and
devices are put, and the few words in what all locales share: the frame of the HTML, `base.html`, and the
details of a request.

Templates see the fields of the mail (`username`, `to`, `link`, `expires_in`, `at`, `client`, `signed_out`),
`service` (the name of the service), `locale` (whose templates they are), in HTML also `subject`, and the
filters `duration`, `moment` and `device`.

What a regional locale (`de-AT`) has not, its language has (RFC 4647, 3.4). A mail that a language has not is
written in the default locale, failing that in English; but never is half a mail in another language.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape

from identity.adapters.mail.wording import Wording
from identity.application.mail import Mail, Message, kinds_of_mail
from identity.application.mail_preview import SAMPLE_TIME, sample_mails
from identity.domain.errors import MailDeferred
from identity.domain.language import fallbacks, is_language_tag
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret

SHIPPED = Path(__file__).parent / "templates"
COMPLETE = "en"
"""The locale that has every mail, whatever a deployment does."""


class JinjaRenderer:
    """Renders mail from the `service` of this name, with the templates in `overrides` and, for those that
    are not there, with our own."""

    def __init__(
        self, *, service: str, overrides: Path | None = None, default_locale: str = COMPLETE
    ) -> None:
        self._service = service
        self._default_locale = default_locale
        self._overrides = overrides
        self.locales = mail_locales(overrides)
        self._of_locale = {
            locale.lower(): _Templates(locale, roots=_roots(overrides)) for locale in self.locales
        }

    def check(self) -> None:
        """Renders a mail of each kind in each locale, so that a template that is wrong is found before it is
        needed.

        Raises:
            ValueError: with the template's name and what is wrong with it.
        """
        for stray in _strays(self._overrides):
            raise ValueError(stray)
        for locale in self.locales:
            for mail in sample_mails(locale=locale):
                try:
                    self.render(mail, id="sample", date=SAMPLE_TIME)
                except MailDeferred as fault:
                    raise ValueError(str(fault)) from None

    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        """The mail in words.

        Raises:
            MailDeferred: a template is missing or wrong; whoever runs the service can mend it.
        """
        name = mail.name()
        templates = self._templates(name, mail.locale)
        values = {field.name: _plain(getattr(mail, field.name)) for field in dataclasses.fields(mail)}
        values |= {"service": self._service, "locale": templates.locale}
        subject, text = _split(templates.fill(f"{name}.txt", values), f"{templates.locale}/{name}")
        html = templates.fill(f"{name}.html", values | {"subject": subject})
        return Message(id=id, to=mail.to, date=date, subject=subject, text=text, html=html)

    def _templates(self, name: str, locale: str) -> _Templates:
        """Those of the nearest locale that has the mail."""
        wanted = (*fallbacks(locale), *fallbacks(self._default_locale), COMPLETE)
        found = (self._of_locale[tag] for tag in wanted if tag in self._of_locale)
        return next((templates for templates in found if templates.have(name)), self._of_locale[COMPLETE])


class _Templates:
    """The templates of one locale, with those of its language, and those that all locales share."""

    def __init__(self, locale: str, *, roots: list[Path]) -> None:
        self.locale = locale
        self._folders = [
            folder for tag in fallbacks(locale) for root in roots for folder in _folders(root, named=tag)
        ]
        self._environment = Environment(
            loader=FileSystemLoader([*self._folders, *roots]),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        wording = Wording(self._environment)
        self._environment.filters.update(
            duration=wording.duration, moment=wording.moment, device=wording.device
        )

    def have(self, name: str) -> bool:
        """Whether any part of the mail is there: then the other part is missing, not another language's."""
        files = [f"{name}.txt", f"{name}.html"]
        return any((folder / file).is_file() for folder in self._folders for file in files)

    def fill(self, template: str, values: dict[str, object]) -> str:
        """Raises `MailDeferred`."""
        try:
            return self._environment.get_template(template).render(values)
        except TemplateError as error:
            fault = f"{type(error).__name__}: {error.message}"  # str() would add lines of the source
        except (OSError, UnicodeError) as error:
            fault = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            fault = type(error).__name__  # its words could be a value
        raise MailDeferred(f"mail template {self.locale}/{template}: {fault}")


def mail_locales(overrides: Path | None) -> tuple[str, ...]:
    """The tags of the locales that there are templates in, ours and the deployment's."""
    folders = [folder.name for root in _roots(overrides) for folder in _folders(root)]
    return tuple(sorted({name.lower(): name for name in reversed(folders)}.values()))


def _roots(overrides: Path | None) -> list[Path]:
    return [overrides, SHIPPED] if overrides else [SHIPPED]


def _folders(root: Path, *, named: str | None = None) -> Iterator[Path]:
    """Those of locales, in any spelling of the one that is named."""
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and is_language_tag(folder.name) and named in {None, folder.name.lower()}:
            yield folder


def _strays(overrides: Path | None) -> Iterator[str]:
    """What is wrong with files and folders that would be passed over in silence."""
    mails = {kind.name() for kind in kinds_of_mail()}
    for path in sorted(overrides.iterdir()) if overrides else []:
        if path.is_file() and path.stem in mails:
            yield f"{path.name}: belongs into the folder of its locale, such as {COMPLETE}/{path.name}"
        tag = path.name.replace("_", "-")
        if path.is_dir() and tag != path.name and is_language_tag(tag):
            yield f"{path.name}: a locale's folder is named by its language tag, {tag}"


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
