"""The address of the metrics answers one question, and whoever can reach it cannot hold anybody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from identity.entrypoints.metrics import listener
from identity.entrypoints.metrics.listener import answering, listen

SOON = 10.0  # seconds
GET = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Figures:
    """Says what it was asked for, and counts how many ask at once."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.asked = 0

    async def __call__(self, accept: str) -> tuple[bytes, str]:
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return f"accept {accept.strip()}\n".encode(), "text/plain; version=0.0.4; charset=utf-8"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Figures:
    monkeypatch.setattr(listener, "PAUSE", 0.0)
    return Figures()


@pytest.fixture
async def port(figures: Figures) -> AsyncIterator[int]:
    taken = listen("127.0.0.1", [0])
    async with answering(figures, taken):
        yield taken.getsockname()[1]


async def asked(port: int, request: bytes) -> bytes:
    """All that is answered until the connection is closed, or cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(SOON):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_it_answers_with_the_figures_in_the_form_that_was_asked_for(port: int) -> None:
    answer = await asked(port, GET.replace(b"\r\n\r\n", b"\r\nACCEPT:  application/openmetrics-text\r\n\r\n"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in head
    assert b"\r\nConnection: close" in head
    assert body == b"accept application/openmetrics-text\n"
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /metrics?x=1 HTTP/1.0", b"200 OK"),
        (b"GET / HTTP/1.1", b"404 Not Found"),
        (b"GET /metrics/ HTTP/1.1", b"404 Not Found"),
        (b"GET /api/user/profile/ HTTP/1.1", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed"),
        (b"HEAD /metrics HTTP/1.1", b"405 Method Not Allowed"),
        (b"PROPFIND /metrics HTTP/1.1", b"405 Method Not Allowed"),
        (b"GET /metrics", b"400 Bad Request"),
        (b"GET /metrics HTTP/2.0", b"400 Bad Request"),
        (b"GET  /metrics HTTP/1.1", b"400 Bad Request"),
        (b"\xff\x00\x16\x03", b"400 Bad Request"),
        (b"", b"400 Bad Request"),
    ],
)
async def test_it_answers_nothing_else(
    port: int, figures: Figures, request_line: bytes, status: bytes
) -> None:
    answer = await asked(port, request_line + b"\r\nHost: 127.0.0.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert figures.asked == (status == b"200 OK")


async def test_a_head_that_does_not_end_is_cut_off(port: int) -> None:
    assert await asked(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000) == b""
    assert (await asked(port, GET)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HT"])
async def test_a_head_that_does_not_come_is_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(listener, "TIME_LIMIT", 0.05)
    assert await asked(port, sent) == b""


async def test_of_many_who_stay_only_a_few_are_kept_and_the_next_is_answered_when_they_are_gone(
    port: int,
) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(listener.MOST_CONNECTIONS)]
    await asyncio.sleep(0.05)
    assert await asked(port, GET) == b""
    for _, writer in idle:
        writer.close()
    async with asyncio.timeout(SOON):
        while not await asked(port, GET):
            """There is no place yet."""


async def test_the_figures_are_made_for_one_after_the_other(port: int, figures: Figures) -> None:
    answers = await asyncio.gather(*(asked(port, GET) for _ in range(listener.MOST_CONNECTIONS)))
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * listener.MOST_CONNECTIONS
    assert figures.most == 1


async def test_a_client_that_does_not_read_is_cut_off(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(accept: str) -> tuple[bytes, str]:
        return b"x" * 50_000_000, "text/plain"

    monkeypatch.setattr(listener, "TIME_LIMIT", 0.2)
    taken = listen("127.0.0.1", [0])
    async with answering(endless, taken):
        reader, writer = await asyncio.open_connection("127.0.0.1", taken.getsockname()[1], limit=1024)
        writer.write(GET)
        await asyncio.sleep(0.5)
        monkeypatch.setattr(listener, "TIME_LIMIT", SOON)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(50_000_000)
        writer.close()


async def test_figures_that_cannot_be_had_are_no_answer_and_not_the_end(
    figures: Figures, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(accept: str) -> tuple[bytes, str]:
        raise ZeroDivisionError

    taken = listen("127.0.0.1", [0])
    async with answering(broken, taken):
        for _ in range(2):
            assert await asked(taken.getsockname()[1], GET) == b""
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "a request for the metrics failed"
    ] * 2


async def test_nobody_is_waited_for_when_it_stops() -> None:
    taken = listen("127.0.0.1", [0])
    async with asyncio.timeout(SOON), answering(Figures(), taken):
        reader, writer = await asyncio.open_connection("127.0.0.1", taken.getsockname()[1])
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(1)
    writer.close()


def test_a_process_takes_the_first_port_that_is_free() -> None:
    with listen("127.0.0.1", [0]) as one, listen("127.0.0.1", [0]) as other:
        taken, free = one.getsockname()[1], other.getsockname()[1]
        other.close()
        with listen("127.0.0.1", [taken, free]) as third:
            assert third.getsockname()[1] == free
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", [taken, taken])
