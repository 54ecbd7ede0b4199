"""The wording of every mail: what it says, that nobody can write into it, and that it can be replaced."""

from __future__ import annotations

import html
import re
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from identity.adapters.mail import jinja
from identity.adapters.mail.jinja import JinjaRenderer, template_name
from identity.adapters.mail.mime import to_mime
from identity.adapters.mail.wording import device, duration, moment
from identity.application import mail as mails
from identity.application.composing import RECIPES
from identity.application.login import DEVICES_REMEMBERED
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
from identity.domain.session import UNKNOWN_CLIENT, Client

SENDER = "Acme Cloud <no-reply@acme.example>"
NOW = datetime(2026, 11, 22, 13, 2, 59, tzinfo=UTC)
TOKEN = "k3Jx0vE8m1VnQ2cUq9Zb7tYhR5sLdWf4aGpXoTiBcEM"
LINK = f"https://app.acme.example/a-rather-long-path/{'x' * 80}/reset-password/MQ/{TOKEN}?a=1&b=2"
TEMPLATES = Path(jinja.__file__).parent / "templates"
FIREFOX = Client(
    address="203.0.113.7",
    user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
)
KINDS = [  # a slotted dataclass leaves the class that it was made from behind among the subclasses
    kind for kind in Mail.__subclasses__() if vars(mails).get(kind.__name__) is kind
]


LINKS = [PasswordResetMail, VerifyEmailMail]
NOTICES = [AccountExistsMail, PasswordChangedMail, SessionReusedMail, NewDeviceMail]


def a_mail(
    kind: type[Mail] = PasswordResetMail, *, username: str = "ann.lee", client: Client = FIREFOX
) -> Mail:
    name = {"to": EmailAddress("Ann.Lee@example.org"), "username": Username(username)}
    if kind in LINKS:
        return kind(**name, link=Secret(LINK), expires_in=timedelta(minutes=90))
    if kind is SessionReusedMail:
        return SessionReusedMail(**name, at=NOW, client=client, signed_out=client)
    if kind in NOTICES:
        return kind(**name, at=NOW, client=client)
    return kind(**name)


def rendered(mail: Mail, *, overrides: Path | None = None, sender: str = SENDER) -> Message:
    return JinjaRenderer(sender=sender, overrides=overrides).render(mail, id="0123abcd", date=NOW)


def test_the_kinds_of_mail_are_found() -> None:
    assert set(KINDS) >= {*LINKS, *NOTICES, TestMail}
    assert template_name(PasswordResetMail) == "password_reset"
    assert set(LINKS) == {recipe.mail for recipe in RECIPES.values() if recipe.purpose is not None}
    assert set(NOTICES) == {recipe.mail for recipe in RECIPES.values() if recipe.purpose is None}


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
        assert "Address" not in body


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_username_is_escaped_in_html(kind: type[Mail]) -> None:
    hostile = """<b>x"'&"""
    client = Client(address=hostile, user_agent=hostile)
    message = rendered(a_mail(kind, username=hostile, client=client), sender='"<b>x" <a@acme.example>')
    assert "<b>x" not in message.html
    assert "&lt;b&gt;x" in message.html


def test_the_notice_of_a_copied_key_tells_what_was_signed_out_from_what_used_the_key() -> None:
    thief = Client(address="198.51.100.9", user_agent="curl/8.0")
    mail = replace(a_mail(SessionReusedMail, client=thief), signed_out=FIREFOX)
    message = rendered(mail)
    for body in (message.text, message.html):
        words = " ".join(re.sub("<[^>]*>", " ", body).split())
        places = [
            words.index(part)
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
    (tmp_path / "test.txt").write_text(GREETING)
    with pytest.raises(MailDeferred):
        rendered(a_mail(TestMail, username=f"ann{line_break}Bcc: eve@evil.example"), overrides=tmp_path)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028"])
def test_a_value_that_imitates_the_end_of_the_headers_only_gets_into_the_body(
    tmp_path: Path, line_break: str
) -> None:
    (tmp_path / "test.txt").write_text(GREETING)
    hostile = f"ann{line_break}{line_break}Bcc: eve@evil.example"
    message = rendered(a_mail(TestMail, username=hostile), overrides=tmp_path)
    assert message.subject == "Hello ann"
    headers = to_mime(message, sender=SENDER).as_bytes().partition(b"\r\n\r\n")[0]
    assert b"Bcc" not in headers


def test_an_override_replaces_one_file_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "password_reset.txt").write_text("Subject: Neues Passwort für {{ username }}\n\n{{ link }}\n")
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
    ],
)
def test_a_template_that_is_wrong_defers_the_mail_and_is_named(tmp_path: Path, template: str) -> None:
    (tmp_path / "password_reset.txt").write_text(template)
    with pytest.raises(MailDeferred, match=r"mail template password_reset\.txt: ") as deferral:
        rendered(a_mail(), overrides=tmp_path)
    assert TOKEN not in "".join(traceback.format_exception(deferral.value))


def test_a_template_that_is_not_utf_8_defers_the_mail_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "password_reset.html").write_bytes("für".encode("latin-1"))
    with pytest.raises(MailDeferred, match=r"mail template password_reset\.html: .*can't decode"):
        rendered(a_mail(), overrides=tmp_path)


def test_a_sender_without_a_name_goes_by_its_domain() -> None:
    assert "no-reply@acme.example" not in rendered(a_mail(), sender="no-reply@acme.example").text
    assert rendered(a_mail(), sender="no-reply@acme.example").subject == "Reset your acme.example password"


@pytest.mark.parametrize(
    "sender", ["", "nobody", "a@b.example, c@d.example", "a@b.example\nBcc: c@d.example", "a@-ü.example"]
)
def test_a_sender_that_is_not_one_address_is_refused_at_once(sender: str) -> None:
    with pytest.raises(ValueError, match=r"sender|hyphen"):
        JinjaRenderer(sender=sender)


def test_no_template_is_left_over() -> None:
    shared = {"base.html", "details.txt", "details.html"}
    of_mails = {f"{template_name(kind)}.{ending}" for kind in KINDS for ending in ("txt", "html")}
    assert {path.name for path in TEMPLATES.iterdir()} == shared | of_mails


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "1 minute"),
        (119, "1 minute"),
        (2700, "45 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (7201, "2 hours"),
        (86_400, "1 day"),
        (90_000, "25 hours"),
    ],
)
def test_durations_are_put_into_words(seconds: int, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


def test_times_are_given_in_utc() -> None:
    assert (
        moment(datetime(2027, 1, 1, 0, 5, tzinfo=timezone(timedelta(hours=2))))
        == "31 December 2026, 22:05 UTC"
    )


@pytest.mark.parametrize(
    ("user_agent", "words"),
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
def test_a_user_agent_is_put_into_words(user_agent: str, words: str) -> None:
    assert device(user_agent) == words
