"""What every `MailRenderer` owes its port."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import combinations
from typing import Any

from identity.application.mail import (
    AccountExistsMail,
    DeletionRequestedMail,
    DeletionUndoneMail,
    EmailChangedMail,
    EmailChangeMail,
    EmailChangeUndoneMail,
    EmailConfirmedMail,
    LoginCodeMail,
    Mail,
    Message,
    NewDeviceMail,
    PasswordChangedMail,
    PasswordResetMail,
    SessionReusedMail,
    TestMail,
    VerifyEmailMail,
)
from identity.application.ports import MailRenderer
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.testing.conformance import Conformance

ID = "00112233445566778899aabbccddeeff"
DATE = datetime(2026, 11, 22, 13, 2, 59, 123456, tzinfo=UTC)
TO = EmailAddress("Ann.O'Neil+Tag@Example.ORG")
TOKEN = "k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGpXoTiBcEM"
LINK = f"https://app.acme.example/{'x' * 80}/reset-password/MQ/{TOKEN}?a=1&copy=2"
"""In HTML that is not escaped, `&copy` is a copyright sign."""

_CLIENT = Client(address="203.0.113.7", user_agent="Mozilla/5.0 (Windows NT 10.0; rv:140.0) Firefox/140.0")
_HOSTILE = """<hostile onhostile='x'>"'&amp;"""
_ODD_LOCALES = ("tlh", "*", "-", "..", "../templates", "\0", "\ud83d", "tlh-" * 1000)
_LOADING = {"src", "srcset", "background", "poster", "data", "action", "formaction", "href", "xlink:href"}
_REMOTE_STYLE = re.compile(r"""@import|url\(\s*["']?\s*(?:https?:)?//""", re.IGNORECASE)


def every_mail(*, username: str = "ann.lee", client: Client = _CLIENT, locale: str = "") -> tuple[Mail, ...]:
    """A mail of each kind there is."""
    reader: Any = {"to": TO, "username": Username(username), "locale": locale}
    return (
        PasswordResetMail(**reader, link=Secret(LINK), expires_in=timedelta(minutes=90)),
        VerifyEmailMail(**reader, link=Secret(LINK), expires_in=timedelta(days=2)),
        AccountExistsMail(**reader, at=DATE, client=client),
        PasswordChangedMail(**reader, at=DATE, client=client),
        SessionReusedMail(**reader, at=DATE, client=client, signed_out=client),
        NewDeviceMail(**reader, at=DATE, client=client),
        EmailChangeMail(**reader, link=Secret(LINK), expires_in=timedelta(hours=24)),
        EmailChangedMail(**reader, link=Secret(LINK), expires_in=timedelta(hours=72), at=DATE, client=client),
        EmailConfirmedMail(**reader, at=DATE, client=client),
        EmailChangeUndoneMail(**reader, at=DATE, client=client),
        LoginCodeMail(
            **reader, code=Secret("48151623"), expires_in=timedelta(minutes=10), at=DATE, client=client
        ),
        DeletionRequestedMail(
            **reader, at=DATE, client=client, link=Secret(LINK), expires_at=DATE + timedelta(days=14)
        ),
        DeletionUndoneMail(**reader, at=DATE, client=client),
        TestMail(**reader),
    )


class RendererConformance(Conformance):
    """Tests of a `MailRenderer`. Takes the fixture `renderer`.

    class TestMakoRenderer(RendererConformance):
        @pytest.fixture
        def renderer(self):
            return MakoRenderer()
    """

    def test_every_mail_gets_a_subject_a_text_and_a_page(self, renderer: MailRenderer) -> None:
        for locale in ("", *renderer.locales):
            for mail in (*every_mail(locale=locale), *every_mail(client=UNKNOWN_CLIENT, locale=locale)):
                message = _rendered(renderer, mail)
                assert message.subject.strip()
                assert message.text.strip()
                assert _Page(message.html).text.strip()

    def test_every_language_has_words_of_its_own(self, renderer: MailRenderer) -> None:
        languages = [locale for locale in renderer.locales if "-" not in locale]
        for one, other in combinations(languages, 2):
            messages = (
                [_rendered(renderer, mail) for mail in every_mail(locale=locale)] for locale in (one, other)
            )
            for this, that in zip(*messages, strict=True):
                assert this.subject != that.subject
                assert this.text != that.text
                assert this.html != that.html

    def test_a_locale_that_is_not_there_is_made_up_for_by_its_language(self, renderer: MailRenderer) -> None:
        for locale in renderer.locales:
            for spelling in (locale.upper(), f"{locale}-x-acme", f"{locale}-1996-x-acme"):
                for mail, there in zip(every_mail(locale=spelling), every_mail(locale=locale), strict=True):
                    assert _rendered(renderer, mail) == _rendered(renderer, there)

    def test_a_language_that_is_not_there_is_made_up_for_by_the_deployment_s(
        self, renderer: MailRenderer
    ) -> None:
        for locale in _ODD_LOCALES:
            for mail, usual in zip(every_mail(locale=locale), every_mail(), strict=True):
                assert _rendered(renderer, mail) == _rendered(renderer, usual)

    def test_the_subject_is_one_line(self, renderer: MailRenderer) -> None:
        for mail in every_mail():
            subject = _rendered(renderer, mail).subject
            assert subject.splitlines() == [subject]
            assert subject.isprintable()

    def test_a_mail_keeps_its_recipient_and_the_id_and_date_it_is_given(self, renderer: MailRenderer) -> None:
        for mail in every_mail():
            message = _rendered(renderer, mail)
            assert (message.to, message.id, message.date) == (TO, ID, DATE)

    def test_the_text_has_the_link_once_and_free_of_everything_else(self, renderer: MailRenderer) -> None:
        text = _rendered(renderer, _reset()).text
        assert text.split().count(LINK) == 1
        assert text.count(TOKEN) == 1

    def test_every_link_of_the_page_leads_where_the_mail_says(self, renderer: MailRenderer) -> None:
        page = _Page(_rendered(renderer, _reset()).html)
        targets = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
        assert LINK in targets
        assert {target for target in targets if TOKEN in target} == {LINK}

    def test_the_link_is_in_the_bodies_only(self, renderer: MailRenderer) -> None:
        message = _rendered(renderer, _reset())
        assert TOKEN not in message.subject
        assert TOKEN not in repr(message)

    def test_nobody_can_write_markup_into_a_page(self, renderer: MailRenderer) -> None:
        client = Client(address=_HOSTILE, user_agent=f"Mozilla/5.0 {_HOSTILE} Firefox/140.0 {_HOSTILE}")
        for mail in every_mail(username=_HOSTILE, client=client):
            page = _Page(_rendered(renderer, mail).html)
            assert "hostile" not in page.tags
            assert "onhostile" not in {name for _, name, _ in page.attributes}

    def test_the_text_is_not_escaped(self, renderer: MailRenderer) -> None:
        for mail in every_mail(username="O'Neil<&>\"Co"):
            assert not re.search(r"&(?:#\w+|amp|lt|gt|quot|apos);", _rendered(renderer, mail).text)

    def test_a_page_loads_nothing_and_runs_nothing(self, renderer: MailRenderer) -> None:
        for mail in every_mail():
            message = _rendered(renderer, mail)
            page = _Page(message.html)
            loads = [
                (tag, name, value)
                for tag, name, value in page.attributes
                if name in _LOADING and "//" in value and tag not in {"a", "area"}
            ]
            assert loads == []
            assert not page.tags & {"script", "iframe", "frame", "object", "embed", "base"}
            assert not _REMOTE_STYLE.search(message.html)


def _reset() -> PasswordResetMail:
    (mail,) = (mail for mail in every_mail() if isinstance(mail, PasswordResetMail))
    return mail


def _rendered(renderer: MailRenderer, mail: Mail) -> Message:
    return renderer.render(mail, id=ID, date=DATE)


class _Page(HTMLParser):
    """What a mail program makes of a page: its elements, their attributes without escapes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data
