"""The example of a mailbox for development, and the demo around it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from examples.mail_pages import Mailbox

LINK = "https://app.acme.example/verify-email/MQ/a-token"


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    directory = tmp_path / "mails"
    directory.mkdir()
    (tmp_path / "secret.eml").write_text("Subject: not of this mailbox\n\nA secret")
    return directory


@pytest.fixture
def client(mails: Path) -> Iterator[httpx.Client]:
    with Mailbox(mails, port=0) as mailbox:
        threading.Thread(target=mailbox.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{mailbox.server_port}"
        with httpx.Client(base_url=address, trust_env=False, timeout=10) as client:
            yield client
        mailbox.shutdown()


def put(directory: Path, name: str, subject: str, text: str = LINK, html: str = f'<a href="{LINK}">') -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "Acme <no-reply@acme.example>", "ann@example.org"
    mail["Subject"], mail["Date"] = subject, "Mon, 23 Nov 2026 05:57:55 +0000"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    (directory / f"{name}.eml").write_bytes(bytes(mail))


def test_an_empty_mailbox_says_so_before_its_folder_is_there_too(mails: Path, client: httpx.Client) -> None:
    assert "No mail yet." in client.get("/").text
    mails.rmdir()
    assert "No mail yet." in client.get("/").text


def test_mails_are_listed_and_shown_with_links_that_can_be_followed(
    mails: Path, client: httpx.Client
) -> None:
    put(mails, "one", "The first")
    put(mails, "two", "The second")
    inbox = client.get("/").text
    assert 'href="/one">The first' in inbox
    assert 'href="/two">The second' in inbox
    assert f'<a href="{LINK}">{LINK}</a>' in client.get("/one").text
    assert client.get("/one/html").text.startswith(f'<base target="_top"><a href="{LINK}">')


def test_what_a_mail_says_is_no_part_of_the_page(mails: Path, client: httpx.Client) -> None:
    script = "<script>alert(1)</script>"
    put(mails, "hostile", f"Hello {script}", text=f"{script} http://x.example/'\"><b>")
    put(mails, "'><b>", "A name of which nobody thought")
    for path in ("/", "/hostile"):
        answer = client.get(path)
        assert "<script" not in answer.text
        assert "<b>" not in answer.text
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/../secret", "/..%2fsecret", "/%2e%2e/secret", "/..%2fsecret/html", "//etc/passwd"]
)
def test_nothing_beside_the_mails_can_be_reached(path: str, mails: Path, client: httpx.Client) -> None:
    put(mails, "one", "The first")
    answer = client.request("GET", httpx.URL(str(client.base_url)).copy_with(raw_path=path.encode()))
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace(path, "")


@pytest.mark.parametrize("host", ["mailbox.example", "mailbox.example:8025", "127.0.0.1.example:80", ""])
def test_who_calls_the_mailbox_by_another_name_is_shown_nothing(
    host: str, mails: Path, client: httpx.Client
) -> None:
    put(mails, "one", "The first")
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "The first" not in answer.text


def test_the_settings_of_the_demo_are_good_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    from examples.demo import SETTINGS

    from identity.settings import Settings

    (tmp_path / "index.html").touch()
    settings = Settings.load(SETTINGS | {"IDENTITY_APP_DIR": str(tmp_path)})
    assert settings.refresh_cookie
    assert str(settings.frontend_url) == "http://127.0.0.1:8000"
