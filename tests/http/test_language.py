"""Which language a mail is in, by what its asker's browser says."""

from __future__ import annotations

import time

import pytest
from tests.http.conftest import Service

from identity.entrypoints.http.language import Languages

ENGLISH = "Reset your Identity password"
GERMAN = "Passwort für Identity zurücksetzen"


def preferred(*headers: str, locales: tuple[str, ...] = ("de", "en", "pt-BR")) -> str:
    return Languages(locales).preferred(headers)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("DE-at", "de"),
        ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
        ("en;q=0.5, de", "de"),
        ("fr, de;q=0.2, en;q=0.1", "de"),
        ("en;q=0.5, de;q=0.5", "en"),
        ("de;q=0, en;q=0.001", "en"),
        ("de ; q=0.1\t,\ten\t;\tQ=0.2", "en"),
        (", ,de,", "de"),
        ("pt-br", "pt-BR"),
        ("de;q=1.000", "de"),
        ("de;q=0.", ""),
        ("fr", ""),
        ("*", ""),
        ("*, de;q=0.5", "de"),
        ("", ""),
        ("pt", ""),
    ],
)
def test_the_language_with_the_greatest_weight_that_there_is(header: str, language: str) -> None:
    assert preferred(header) == language


def test_several_headers_are_one() -> None:
    assert preferred("fr;q=0.9", "en;q=0.1, de;q=0.2") == "de"


@pytest.mark.parametrize(
    "range_",
    [
        *("de;q=2", "de;q=1.001", "de;q=0.1234", "de;q=-1", "de;q=nan", "de;q=", "de;q", "de;", "de;q=1;q=1"),
        *(
            "de;level=1",
            "de_DE",
            "../de",
            "de\0",
            "dé",
            "de de",
            '"de"',
            "germ",
            "de-" + "a" * 40,
            "de;q=٠.٩",
        ),
    ],
)
def test_what_is_not_well_formed_is_passed_over(range_: str) -> None:
    assert preferred(range_) == ""
    assert preferred(f"{range_}, en;q=0.1") == "en"


@pytest.mark.parametrize(
    "header",
    [
        "fr," * 10_000,
        "fr;q=0.5," * 3_000,
        "a" * 32_000,
        "a-" * 16_000,
        "de;" + " " * 32_000 + "q",
        "de;q=0." + "0" * 32_000,
        "," * 32_000,
    ],
    ids=lambda header: header[:8],
)
def test_a_header_that_fills_the_head_takes_no_time(header: str) -> None:
    before = time.perf_counter()
    assert preferred(header + "de") == ""
    assert time.perf_counter() - before < 0.05


def test_what_comes_after_32_languages_is_not_read() -> None:
    assert preferred("fr," * 31 + "de") == "de"
    assert preferred("fr," * 32 + "de") == ""


async def mailed(service: Service, header: str | None, email: str = "john@example.com") -> list[str]:
    """The subjects of what is mailed to whoever asks for a reset with this header."""
    headers = {} if header is None else {b"Accept-Language": header.encode("latin-1")}
    answer = await service.client.post("/api/auth/forgot-password/", json={"email": email}, headers=headers)
    assert answer.status_code == 200
    return [message.subject for message in await service.deliver()]


async def test_a_reset_is_mailed_in_the_language_of_whoever_asks(service: Service) -> None:
    await service.register()
    assert await mailed(service, "fr, de-AT;q=0.9, en;q=0.1") == [GERMAN]
    assert "Der Link lässt sich nur einmal verwenden" in service.last_mail().text
    assert await mailed(service, "en") == [ENGLISH]
    assert await mailed(service, "tlh") == [ENGLISH]
    assert await mailed(service, None) == [ENGLISH]


async def test_nonsense_in_the_header_changes_nothing(service: Service) -> None:
    await service.register()
    assert await mailed(service, "de;q=2, \u00fc, ;;;=" + "," * 500) == [ENGLISH]


async def test_whoever_asks_for_nobody_is_answered_the_same_in_any_language(service: Service) -> None:
    await service.register()
    answers = []
    for email in ("john@example.com", "nobody@example.com"):
        answer = await service.client.post(
            "/api/auth/forgot-password/", json={"email": email}, headers={"Accept-Language": "de"}
        )
        told = {name for name in answer.headers if name != "x-request-id"}
        answers.append((answer.status_code, answer.content, told))
    assert answers[0] == answers[1]


async def test_a_notice_does_not_speak_the_language_of_whoever_caused_it(service: Service) -> None:
    """A thief would choose one that the owner cannot read."""
    await service.register()
    await service.log_in()
    answer = await service.client.post(
        "/api/auth/login/",
        json={"username": "john_doe", "password": "yourpassword123"},
        headers={"Accept-Language": "de", "User-Agent": "another"},
    )
    assert answer.status_code == 200
    assert [message.subject for message in await service.deliver()] == [
        "New sign-in to your Identity account"
    ]
