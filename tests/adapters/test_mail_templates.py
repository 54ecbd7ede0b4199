"""The wording of every mail: what it says, that nobody can write into it, and that it can be replaced."""

from __future__ import annotations

import html
import re
import traceback
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, meta

from identity.adapters.mail.jinja import SHIPPED, JinjaRenderer
from identity.adapters.mail.mime import to_mime
from identity.adapters.mail.wording import Wording
from identity.application import mail as mails
from identity.application.composing import RECIPES
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
    kinds_of_mail,
)
from identity.application.sessions import DEVICES_REMEMBERED
from identity.domain.errors import MailDeferred
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client

SERVICE = "Acme Cloud"
SENDER = "Acme Cloud <no-reply@acme.example>"
NOW = datetime(2026, 11, 22, 13, 2, 59, tzinfo=UTC)
TOKEN = "k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGpXoTiBcEM"
LINK = f"https://app.acme.example/a-rather-long-path/{'x' * 80}/reset-password/MQ/{TOKEN}?a=1&b=2"
FIREFOX = Client(
    address="203.0.113.7",
    user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
)
KINDS = kinds_of_mail()
LOCALES = ["de", "en"]
NOTICES = [
    AccountExistsMail,
    PasswordChangedMail,
    SessionReusedMail,
    NewDeviceMail,
    EmailConfirmedMail,
    EmailChangeUndoneMail,
    DeletionUndoneMail,
]
LINKS = [PasswordResetMail, VerifyEmailMail, EmailChangeMail, EmailChangedMail, DeletionRequestedMail]


def a_mail(
    kind: type[Mail] = PasswordResetMail,
    *,
    username: str = "ann.lee",
    client: Client = FIREFOX,
    locale: str = "",
) -> Mail:
    values: dict[str, Any] = {
        "to": EmailAddress("Ann.Lee@example.org"),
        "username": Username(username),
        "locale": locale,
        "link": Secret(LINK),
        "expires_in": timedelta(minutes=90),
        "expires_at": NOW + timedelta(days=14),
        "code": Secret("48151623"),
        "at": NOW,
        "client": client,
        "signed_out": client,
    }
    return kind(**{field.name: values[field.name] for field in fields(kind)})


def rendered(mail: Mail, *, service: str = SERVICE, **options: Any) -> Message:
    return JinjaRenderer(service=service, **options).render(mail, id="0123abcd", date=NOW)


def words(body: str) -> str:
    """As a reader sees them, in one line."""
    return " ".join(html.unescape(re.sub("<style>.*?</style>|<[^>]*>", " ", body, flags=re.DOTALL)).split())


def write(folder: Path, **files: str) -> Path:
    """Templates, by "locale__name" for the text and "locale__name__html" for the page."""
    for name, content in files.items():
        locale, _, rest = name.partition("__")
        stem, _, ending = rest.partition("__")
        path = folder / locale.replace("_", "-") / f"{stem}.{ending or 'txt'}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


def test_the_kinds_of_mail_are_found() -> None:
    assert set(KINDS) >= {*LINKS, *NOTICES, TestMail}
    assert PasswordResetMail.name() == "password_reset"
    assert set(LINKS) == {recipe.mail for recipe in RECIPES.values() if recipe.purpose is not None}
    assert {*NOTICES, LoginCodeMail} == {recipe.mail for recipe in RECIPES.values() if recipe.purpose is None}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mail_has_both_templates_and_renders(kind: type[Mail]) -> None:
    message = rendered(a_mail(kind))
    assert (message.id, message.date, message.to.value) == ("0123abcd", NOW, "Ann.Lee@example.org")
    assert message.subject
    assert "Subject:" not in message.text
    assert message.text[0] not in "\r\n "
    assert message.html.startswith("<!doctype html>")
    assert message.html.rstrip().endswith("</html>")
    for body in (message.text, message.html):
        assert "Acme Cloud sent this mail to Ann.Lee@example.org" in body
        assert "{{" not in body
        assert "{%" not in body


@pytest.mark.parametrize("kind", KINDS)
def test_every_mail_of_ascii_values_travels_as_it_is(kind: type[Mail]) -> None:
    mime = to_mime(rendered(a_mail(kind)), sender=SENDER)
    assert [part["Content-Transfer-Encoding"] for part in mime.iter_parts()] == ["7bit", "7bit"]


@pytest.mark.parametrize("kind", [*LINKS, *NOTICES])
def test_a_mail_about_an_account_names_it_and_says_what_to_do_if_it_was_not_you(kind: type[Mail]) -> None:
    message = rendered(a_mail(kind))
    for body in (message.text, message.html):
        assert "ann.lee" in body
        assert "If this was not you" in body


@pytest.mark.parametrize(
    ("locale", "moment"), [("en", "6 December 2026, 13:02 UTC"), ("de", "6. Dezember 2026")]
)
def test_the_mail_about_a_deletion_says_when_and_how_to_undo_it(locale: str, moment: str) -> None:
    message = rendered(a_mail(DeletionRequestedMail, locale=locale))
    for body in (message.text, message.html):
        assert moment in words(body)
        assert LINK in html.unescape(body)


@pytest.mark.parametrize("kind", [PasswordChangedMail, NewDeviceMail])
def test_a_notice_of_what_only_one_who_knows_the_password_can_do_says_how_to_end_it(kind: type[Mail]) -> None:
    message = rendered(a_mail(kind))
    for body in (message.text, message.html):
        told = " ".join(html.unescape(body).replace("“", '"').replace("”", '"').split())
        assert "go to the sign-in page" in told
        assert 'choose "Forgot password". The link you are sent replaces the password' in told
        assert "signs everybody out" in told


def test_the_notice_of_a_new_device_says_how_long_devices_are_remembered() -> None:
    message = rendered(a_mail(NewDeviceMail))
    assert message.subject == "New sign-in to your Acme Cloud account"
    for body in (message.text, message.html):
        assert f"not seen in the last {DEVICES_REMEMBERED.days} days" in " ".join(body.split())


def test_the_link_stands_alone_and_unbroken_on_a_line_of_the_text() -> None:
    assert LINK in rendered(a_mail()).text.splitlines()


def test_the_html_offers_the_link_as_a_button_and_to_copy() -> None:
    page = rendered(a_mail()).html
    assert [html.unescape(link) for link in re.findall('href="([^"]*)"', page)] == [LINK, LINK]
    assert f">{html.escape(LINK)}</a>" in page


def test_the_reset_mail_says_how_long_the_link_works() -> None:
    message = rendered(a_mail())
    assert "expires in 90 minutes" in message.text
    assert "expires in 90 minutes" in message.html


@pytest.mark.parametrize("kind", NOTICES)
def test_a_notice_says_when_and_from_where(kind: type[Mail]) -> None:
    message = rendered(a_mail(kind))
    for body in (message.text, message.html):
        for detail in ("22 November 2026, 13:02 UTC", "Firefox on Windows", "203.0.113.7"):
            assert detail in body


@pytest.mark.parametrize("kind", NOTICES)
def test_a_notice_about_an_unknown_client_leaves_its_lines_out(kind: type[Mail]) -> None:
    message = rendered(a_mail(kind, client=UNKNOWN_CLIENT))
    for body in (message.text, message.html):
        assert "22 November 2026, 13:02 UTC" in body
        assert "Device" not in body
        assert "IP address" not in body


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_username_is_escaped_in_html(kind: type[Mail]) -> None:
    hostile = """<b>x"'&"""
    client = Client(address=hostile, user_agent=hostile)
    message = rendered(a_mail(kind, username=hostile, client=client), service="<b>x")
    assert "<b>x" not in message.html
    assert "&lt;b&gt;x" in message.html


def test_the_notice_of_a_copied_key_tells_what_was_signed_out_from_what_used_the_key() -> None:
    thief = Client(address="198.51.100.9", user_agent="curl/8.0")
    mail = replace(a_mail(SessionReusedMail, client=thief), signed_out=FIREFOX)
    message = rendered(mail)
    for body in (message.text, message.html):
        places = [
            words(body).index(part)
            for part in (
                "What we signed out",
                "Firefox on Windows",
                "203.0.113.7",
                "What used the old key",
                "curl",
                "198.51.100.9",
                "If both are yours",
            )
        ]
        assert places == sorted(places)
    unknown = rendered(replace(mail, signed_out=UNKNOWN_CLIENT))
    assert "What we signed out" not in unknown.text + unknown.html


def test_a_client_cannot_write_its_own_words_into_a_notice() -> None:
    client = Client(user_agent="Mozilla/5.0 call +1 555 0100 or visit https://evil.example Firefox/1")
    message = rendered(a_mail(SessionReusedMail, client=client))
    assert "evil" not in message.text + message.html
    assert "555" not in message.text + message.html


GREETING = "Subject: Hello {{ username }}, welcome\n\nHello.\n"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028"])
def test_a_value_of_several_lines_in_a_subject_spoils_the_mail(tmp_path: Path, line_break: str) -> None:
    write(tmp_path, en__test=GREETING)
    with pytest.raises(MailDeferred):
        rendered(a_mail(TestMail, username=f"ann{line_break}Bcc: eve@evil.example"), overrides=tmp_path)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028"])
def test_a_value_that_imitates_the_end_of_the_headers_only_gets_into_the_body(
    tmp_path: Path, line_break: str
) -> None:
    write(tmp_path, en__test=GREETING)
    hostile = f"ann{line_break}{line_break}Bcc: eve@evil.example"
    message = rendered(a_mail(TestMail, username=hostile), overrides=tmp_path)
    assert message.subject == "Hello ann"
    headers = to_mime(message, sender=SENDER).as_bytes().partition(b"\r\n\r\n")[0]
    assert b"Bcc" not in headers


def test_an_override_replaces_one_file_and_the_others_stay(tmp_path: Path) -> None:
    write(tmp_path, en__password_reset="Subject: Neues Passwort für {{ username }}\n\n{{ link }}\n")
    shipped, message = rendered(a_mail()), rendered(a_mail(), overrides=tmp_path)
    assert (message.subject, message.text) == ("Neues Passwort für ann.lee", f"{LINK}\n")
    assert message.html == shipped.html.replace(shipped.subject, message.subject)
    assert rendered(a_mail(TestMail), overrides=tmp_path) == rendered(a_mail(TestMail))


def test_an_overridden_frame_is_used_by_every_page(tmp_path: Path) -> None:
    (tmp_path / "base.html").write_text("<main>{% block content %}{% endblock %}</main>")
    assert rendered(a_mail(), overrides=tmp_path).html.startswith("<main>")


@pytest.mark.parametrize(
    "template",
    [
        "",
        "Hello.\n",
        "Subject: Hello\n",
        "Subject:\n\nHello.\n",
        "Subject: Hello\nHello.\n",
        "Subject: Hello\n\n{{ no_such_value }}\n",
        "Subject: Hello\n\n{{ link",
        "Subject: Hello\n\n{% include 'no_such_template.txt' %}\n",
        "Subject: Hello\n\n{{ username / 2 }}\n",
        "Subject: Hello\n\n{{ 1 / 0 }}\n",
    ],
)
def test_a_template_that_is_wrong_defers_the_mail_and_is_named(tmp_path: Path, template: str) -> None:
    write(tmp_path, en__password_reset=template)
    with pytest.raises(MailDeferred, match=r"mail template en/password_reset\.txt: ") as deferral:
        rendered(a_mail(), overrides=tmp_path)
    assert TOKEN not in "".join(traceback.format_exception(deferral.value))


def test_a_template_that_is_not_utf_8_defers_the_mail_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/password_reset.html").write_bytes("für".encode("latin-1"))
    with pytest.raises(MailDeferred, match=r"mail template en/password_reset\.html: .*can't decode"):
        rendered(a_mail(), overrides=tmp_path)


# Colours


def colours() -> dict[str, dict[str, str]]:
    """Of each class of the pages, in light and in dark: "ink" is a text's, "card" that of what it is on."""
    pages = "".join(path.read_text() for path in sorted(SHIPPED.rglob("*.html")))
    light = {
        name: colour
        for classes, style in re.findall(r'class="([^"]+)"[^>]* style="([^"]*)"', pages)
        for name in classes.split()
        for colour in re.findall(r"(?:^|[; ])(?:background-)?color:(#[0-9a-f]{6})", style)
    }
    (sheet,) = re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}", pages, re.DOTALL)
    dark = dict(re.findall(r"\.(\w+) \{ (?:background-)?color: (#[0-9a-f]{6}) !important;", sheet))
    return {"light": light, "dark": dark}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_it_stands_on(scheme: str) -> None:
    found = colours()[scheme]
    for text in ("ink", "quiet", "link"):
        for ground in ("ground", "card", "box"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)  # WCAG 2.2, 1.4.3
    assert contrast("#ffffff", "#2257d6") >= 4.5  # the button, in either scheme


def test_a_page_has_its_colours_without_a_style_sheet_and_says_that_it_knows_the_dark() -> None:
    found = colours()
    assert found["light"].keys() >= found["dark"].keys() >= {"ink", "quiet", "link", "ground", "card", "box"}
    for kind in KINDS:
        page = rendered(a_mail(kind)).html
        assert '<meta name="color-scheme" content="light dark">' in page
        assert "<img" not in page


# Locales


def parts(template: str) -> set[str]:
    """The values and filters that a template uses, and the blocks that it fills."""
    found = set(re.findall(r"\| *(\w+)|{% block (\w+)", template))
    return meta.find_undeclared_variables(Environment(autoescape=True).parse(_bare(template))) | {
        name for pair in found for name in pair if name
    }


def _bare(template: str) -> str:
    return re.sub(r"\| *(?:moment|device|duration)\b", "", template)  # which this parser does not know


@pytest.mark.parametrize("kind", KINDS)
def test_every_mail_says_the_same_in_every_locale_we_ship(kind: type[Mail]) -> None:
    for ending in ("txt", "html"):
        of_locale = [parts((SHIPPED / locale / f"{kind.name()}.{ending}").read_text()) for locale in LOCALES]
        assert all(found == of_locale[0] for found in of_locale)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_one_language_is_left_in_the_other(kind: type[Mail]) -> None:
    told = {}
    for locale in LOCALES:
        message = rendered(a_mail(kind, locale=locale))
        assert f'<html lang="{locale}">' in message.html
        text = f"{message.subject}. {' '.join(message.text.split())} {words(message.html)}".replace(LINK, "")
        told[locale] = set(re.split(r"(?<=[.:?!]) ", text))
    assert told["de"] & told["en"] == set()
    assert not re.search(r"\b(?:the|you|your|this|and|of|to)\b", " ".join(told["de"]), re.IGNORECASE)
    assert not re.search(r"\b(?:der|die|das|Sie|Ihr|und|von|zu)\b", " ".join(told["en"]))


@pytest.mark.parametrize("locale", LOCALES)
def test_a_code_is_in_text_and_html_where_it_is_copied_whole_and_not_in_the_subject(locale: str) -> None:
    """Subjects are what a locked screen shows."""
    message = rendered(a_mail(LoginCodeMail, locale=locale))
    assert "\n    4815 1623\n" in message.text
    assert re.search(r">4815</span><span [^>]*>1623<", message.html)
    assert not re.search(r"\d", message.subject)
    assert "4815" not in message.html.partition('class="ground" align')[0]  # nor does the preview


@pytest.mark.parametrize(
    ("locale", "subject"),
    [
        ("", "Test mail from"),
        ("en-GB", "Test mail from"),
        ("de", "Test-E-Mail von"),
        ("DE", "Test-E-Mail von"),
        ("de-AT", "Test-E-Mail von"),
        ("de-x-acme", "Test-E-Mail von"),
        ("deu", "Test mail from"),
        ("fr", "Test mail from"),
        ("de_AT", "Test mail from"),
        ("../de", "Test mail from"),
        ("-", "Test mail from"),
        ("de\0", "Test mail from"),
        ("de-" * 10_000, "Test-E-Mail von"),
    ],
)
def test_a_mail_is_in_the_nearest_locale_there_is(locale: str, subject: str) -> None:
    assert rendered(a_mail(TestMail, locale=locale)).subject.startswith(subject)


def test_a_mail_for_no_locale_there_is_is_in_the_deployment_s_own() -> None:
    for locale in ("", "fr"):
        german = rendered(a_mail(TestMail, locale=locale), default_locale="de-CH")
        assert german == rendered(a_mail(TestMail, locale="de"))
    assert rendered(a_mail(TestMail, locale="en"), default_locale="de") == rendered(a_mail(TestMail))


WORDING = """{% macro moment(at) %}{{ at.day }}/{{ at.month }}{% endmacro %}
{% macro duration(count, unit) %}{{ count }} {{ unit }}s de France{% endmacro %}
{% macro device(browser, system) %}{{ browser }} sous {{ system }}{% endmacro %}
{% set time, used_device, address, automatic = "Heure", "Appareil", "Adresse", "Message automatique." %}
"""
FRENCH = "Subject: Mot de passe\n\n{{ link }} ({{ expires_in | duration }})\n"
FRENCH_PAGE = '{% extends "base.html" %}{% block content %}{{ expires_in | duration }}{% endblock %}'


def test_a_deployment_may_add_a_language_of_its_own(tmp_path: Path) -> None:
    write(
        tmp_path, fr__wording__jinja=WORDING, fr__password_reset=FRENCH, fr__password_reset__html=FRENCH_PAGE
    )
    renderer = JinjaRenderer(service=SERVICE, overrides=tmp_path)
    renderer.check()
    assert renderer.locales == ("de", "en", "fr")
    message = rendered(a_mail(locale="fr-CA"), overrides=tmp_path)
    assert (message.subject, message.text) == ("Mot de passe", f"{LINK} (90 minutes de France)\n")
    assert '<html lang="fr">' in message.html
    assert "Message automatique." in message.html
    untranslated = rendered(a_mail(TestMail, locale="fr"), overrides=tmp_path, default_locale="de")
    assert untranslated == rendered(a_mail(TestMail, locale="de"))


def test_a_default_locale_that_lacks_a_mail_leaves_it_to_english(tmp_path: Path) -> None:
    write(
        tmp_path, fr__wording__jinja=WORDING, fr__password_reset=FRENCH, fr__password_reset__html=FRENCH_PAGE
    )
    assert rendered(a_mail(), overrides=tmp_path, default_locale="fr").subject == "Mot de passe"
    assert rendered(a_mail(TestMail), overrides=tmp_path, default_locale="fr") == rendered(a_mail(TestMail))


def test_a_region_changes_what_it_says_differently(tmp_path: Path) -> None:
    write(tmp_path, de_AT__password_reset="Subject: Servus {{ username }}\n\n{{ link }}\n")
    austrian = rendered(a_mail(locale="de-at"), overrides=tmp_path)
    german = rendered(a_mail(locale="de"), overrides=tmp_path)
    assert (austrian.subject, german.subject) == ("Servus ann.lee", rendered(a_mail(locale="de")).subject)
    assert '<html lang="de-AT">' in austrian.html
    assert "Neues Passwort wählen" in austrian.html
    of_another = rendered(a_mail(TestMail, locale="de-AT"), overrides=tmp_path)
    assert of_another.text == rendered(a_mail(TestMail, locale="de")).text


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"fr__test": "Subject: x\n\ny\n"}, r"fr/test\.html"),
        ({"fr__test__html": "<p>x</p>"}, r"fr/test\.txt"),
        ({"fr__test": "Subject: x\n\ny\n", "fr__test__html": '{% extends "base.html" %}'}, r"wording\.jinja"),
        ({"de__wording__jinja": "nothing"}, r"de/.*wording\.jinja has no macro duration"),
        ({"de_AT__test": "Subject: {{ nope }}\n\ny\n"}, r"de-AT/test\.txt: .*'nope' is undefined"),
    ],
)
def test_what_is_missing_or_wrong_in_any_locale_is_found_at_the_start(
    tmp_path: Path, files: dict[str, str], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        JinjaRenderer(service=SERVICE, overrides=write(tmp_path, **files)).check()


def test_what_would_be_passed_over_in_silence_is_found_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "base.html").write_text((SHIPPED / "base.html").read_text())
    JinjaRenderer(service=SERVICE, overrides=tmp_path).check()
    (tmp_path / "de_AT").mkdir()
    with pytest.raises(ValueError, match=r"^de_AT: a locale's folder is named by its language tag, de-AT$"):
        JinjaRenderer(service=SERVICE, overrides=tmp_path).check()
    (tmp_path / "de_AT").rmdir()
    (tmp_path / "password_reset.html").touch()
    with pytest.raises(ValueError, match=r"^password_reset\.html: belongs into the folder of its locale"):
        JinjaRenderer(service=SERVICE, overrides=tmp_path).check()


def templates_there_have_to_be() -> set[str]:
    of_mails = {f"{kind.name()}.{ending}" for kind in kinds_of_mail() for ending in ("txt", "html")}
    shared = {"base.html", "code.html", "details.txt", "details.html"}
    return shared | {f"{locale}/{name}" for locale in LOCALES for name in {"wording.jinja", *of_mails}}


def templates_there_are() -> set[str]:
    return {str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*.*")}


def test_every_mail_has_both_its_templates_in_every_locale_and_no_template_is_left_over() -> None:
    assert templates_there_are() == templates_there_have_to_be()


def test_a_mail_that_was_forgotten_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class PlantedMail(Mail):
        """Nobody has found words for it."""

    monkeypatch.setattr(mails, "PlantedMail", PlantedMail, raising=False)
    assert templates_there_have_to_be() - templates_there_are() == {
        f"{locale}/planted.{ending}" for locale in LOCALES for ending in ("txt", "html")
    }
    with pytest.raises(ValueError, match=r"en/planted\.txt: TemplateNotFound"):
        JinjaRenderer(service=SERVICE).check()


def wording(locale: str = "en") -> Wording:
    return Wording(Environment(loader=FileSystemLoader(SHIPPED / locale), autoescape=True, trim_blocks=True))


@pytest.mark.parametrize(
    ("seconds", "english", "german"),
    [
        (1, "1 second", "1 Sekunde"),
        (45, "45 seconds", "45 Sekunden"),
        (60, "1 minute", "1 Minute"),
        (119, "1 minute", "1 Minute"),
        (2700, "45 minutes", "45 Minuten"),
        (3600, "1 hour", "1 Stunde"),
        (5400, "90 minutes", "90 Minuten"),
        (7201, "2 hours", "2 Stunden"),
        (86_400, "1 day", "1 Tag"),
        (90_000, "25 hours", "25 Stunden"),
        (172_800, "2 days", "2 Tage"),
    ],
)
def test_durations_are_put_into_words(seconds: int, english: str, german: str) -> None:
    assert wording("en").duration(timedelta(seconds=seconds)) == english
    assert wording("de").duration(timedelta(seconds=seconds)) == german


def test_times_are_given_in_utc() -> None:
    at = datetime(2027, 1, 1, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert wording("en").moment(at) == "31 December 2026, 22:05 UTC"
    assert wording("de").moment(at) == "31. Dezember 2026, 22:05 Uhr (UTC)"


def test_every_month_has_its_name() -> None:
    for locale, name in (("en", "March"), ("de", "März")):
        told = [wording(locale).moment(datetime(2026, month, 1, tzinfo=UTC)) for month in range(1, 13)]
        assert len(set(told)) == 12
        assert name in told[2]


@pytest.mark.parametrize(
    ("user_agent", "told"),
    [
        ("", ""),
        ("curl/8.5.0", "curl"),
        ("evil.example/1", ""),
        ("Mozilla/5.0 (compatible)", ""),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Unheard/1", "Browser on macOS"),
    ],
)
def test_a_user_agent_is_put_into_words(user_agent: str, told: str) -> None:
    assert wording().device(user_agent) == told


def test_german_says_under_a_system_and_on_a_telephone() -> None:
    assert wording("de").device(FIREFOX.user_agent) == "Firefox unter Windows"
    assert wording("de").device("Mozilla/5.0 (iPhone) Safari/604.1") == "Safari auf dem iPhone"
    assert wording("de").device("curl/8.5.0") == "curl"
    assert wording("de").device("Mozilla/5.0 (compatible)") == ""
