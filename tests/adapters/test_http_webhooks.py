"""Webhooks on real connections: where they may go, whom they are shown to, and receivers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.certificates import self_signed, tls_of
from tests.adapters.webhook_receiver import HOST, Respond, receiving

from identity.adapters import http_webhooks
from identity.adapters.http_webhooks import HttpWebhookSender, is_public
from identity.domain.errors import DeliveryDeferred, DeliveryRefused
from identity.domain.webhook import SigningSecret, Webhook
from identity.testing.webhooks import ANSWER, Received

AT = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SECRET = SigningSecret(key=b"a secret of an endpoint, 32 bytes")
NAME = "receiver.example"


def webhook(url: str) -> Webhook:
    return Webhook.signed(url=url, id="0" * 32, at=AT, body=b'{"canary":1}', by=[SECRET])


@pytest.fixture
def sender() -> HttpWebhookSender:
    return HttpWebhookSender(to_private=True)


@pytest.fixture
def careful() -> HttpWebhookSender:
    return HttpWebhookSender()


class Names:
    """A resolver that a test makes up: a name has answers, one after the other, of which the last stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def mean(self, name: str, *answers: list[str]) -> None:
        self.answers[name] = list(answers)

    def look_up(self, host: str, port: int) -> list[Any]:
        self.asked.append(host)
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return names.look_up(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


@pytest.fixture
def only_ours_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of the tests' receivers passes for one of the public internet, and no other does."""
    monkeypatch.setattr(http_webhooks, "is_public", lambda address: address == HOST)


# --- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254"),  # noqa: S104
        *(
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "192.0.0.192",
            "168.63.129.16",
            "192.0.2.1",
        ),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fc00::1", "fd12:3456:789a::1", "fe80::1", "fe80::1%eth0"),
        *("fec0::1", "ff02::1", "ff0e::1", "100::1", "2001:db8::1"),
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:224.0.0.1"),
        *("::10.0.0.1", "::127.0.0.1", "::8.8.8.8"),  # IPv4-compatible: RFC 4291, 2.5.5.1
        *("64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),  # NAT64: RFC 6052
        *("64:ff9b:1::a00:1", "64:ff9b:1::808:808"),  # a NAT64 of one's own: RFC 8215
        *("2002:a00:1::", "2002:7f00:1::1", "2002:c0a8:101::1"),  # 6to4: RFC 3056
        *("2001:0:808:808::f5ff:fffe", "2001::1"),  # Teredo: RFC 4380
        *("::ffff:0:10.0.0.1", "4000::1", "8000::1"),
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1"),
        *("2606:4700::1111", "2a00:1450:4001::8", "2001:4860:4860::8888"),
        *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        # As the C library reads them: decimal, hexadecimal, octal, with parts left out.
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0"),
    ],
)
async def test_no_spelling_of_an_address_inside_gets_a_webhook(careful: HttpWebhookSender, host: str) -> None:
    async with receiving() as receiver:
        with pytest.raises(DeliveryRefused, match=r"no address of the public internet.*WEBHOOK_PRIVATE"):
            await careful.send(webhook(f"http://{host}:{receiver.port}/"))
    assert receiver.connections == 0


async def test_a_spelling_of_loopback_is_reached_where_private_addresses_are_allowed(
    sender: HttpWebhookSender,
) -> None:
    async with receiving() as receiver:
        await sender.send(webhook(f"http://2130706433:{receiver.port}/"))
    assert len(receiver.received) == 1


async def test_a_name_that_means_an_address_inside_is_refused(
    careful: HttpWebhookSender, names: Names
) -> None:
    names.mean(NAME, ["10.0.0.1", "::1"])
    with pytest.raises(DeliveryRefused, match=rf"^{NAME} is 10\.0\.0\.1, no address of the public"):
        await careful.send(webhook(f"https://{NAME}/"))


@pytest.mark.usefixtures("only_ours_is_public")
async def test_of_a_name_s_addresses_only_the_public_ones_are_gone_to(
    careful: HttpWebhookSender, names: Names
) -> None:
    async with receiving() as ours, receiving(host="127.0.0.2") as inside:
        names.mean(NAME, ["127.0.0.2", "127.0.0.3", HOST])
        await careful.send(webhook(f"http://{NAME}:{ours.port}/"))
        with pytest.raises(DeliveryDeferred):
            await careful.send(webhook(f"http://{NAME}:{inside.port}/"))
    assert (ours.connections, inside.connections) == (1, 0)


@pytest.mark.usefixtures("only_ours_is_public")
async def test_a_name_that_means_something_else_a_moment_later_gets_in_nowhere(
    careful: HttpWebhookSender, names: Names
) -> None:
    async with receiving() as ours, receiving(host="127.0.0.2") as inside:
        names.mean(NAME, [HOST], ["127.0.0.2"])
        await careful.send(webhook(f"http://{NAME}:{ours.port}/"))
        assert names.asked == [NAME]  # the address that was judged is the one that is gone to
        with pytest.raises(DeliveryRefused):  # it is judged anew each time
            await careful.send(webhook(f"http://{NAME}:{inside.port}/"))
    assert ours.received[0].headers["host"] == f"{NAME}:{ours.port}"
    assert inside.connections == 0


async def test_of_several_addresses_the_next_is_tried_where_nobody_listens(
    sender: HttpWebhookSender, names: Names
) -> None:
    names.mean(NAME, ["127.0.0.2", HOST])
    async with receiving() as receiver:
        await sender.send(webhook(f"http://{NAME}:{receiver.port}/"))
    assert len(receiver.received) == 1


async def test_a_name_that_nobody_has_defers_the_webhook(
    careful: HttpWebhookSender, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(names, "look_up", unknown)
    with pytest.raises(DeliveryDeferred, match=r"cannot connect: .*Name or service not known"):
        await careful.send(webhook(f"https://{NAME}/"))


@pytest.mark.parametrize("host", [f"{'a' * 64}.example", "a..example", ".example"])
async def test_what_can_be_no_name_is_refused(careful: HttpWebhookSender, host: str) -> None:
    with pytest.raises(DeliveryRefused, match="cannot be the name of a host"):
        await careful.send(webhook(f"https://{host}/canary"))


async def test_names_that_are_looked_up_for_long_hold_up_nothing_but_webhooks(
    sender: HttpWebhookSender, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, looked_up = threading.Event(), 0

    def wait(_host: str, _port: int) -> list[Any]:
        nonlocal looked_up
        looked_up += 1
        found.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(names, "look_up", wait)
    looking = [asyncio.create_task(sender.send(webhook(f"http://{NAME}/"))) for _ in range(40)]
    try:
        while looked_up < len(looking):
            before = looked_up
            await asyncio.sleep(0.1)
            if looked_up == before > 0:  # no more at once
                break
        async with asyncio.timeout(5):
            await asyncio.to_thread(time.monotonic)
    finally:
        found.set()
        outcomes = await asyncio.gather(*looking, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DeliveryDeferred}


async def test_no_proxy_of_the_environment_is_asked(
    sender: HttpWebhookSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for variable in (name, name.lower()):
                monkeypatch.setenv(variable, f"http://{HOST}:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        await HttpWebhookSender(to_private=True).send(webhook(receiver.endpoint))
    assert (receiver.connections, proxy.connections) == (1, 0)


# --- the request ----------------------------------------------------------------------------------------


async def test_a_request_has_these_headers_and_no_others(sender: HttpWebhookSender) -> None:
    async with receiving() as receiver:
        await sender.send(webhook(f"http://{HOST}:{receiver.port}/hooks/a%20b?token=t&x=%2F"))
    (request,) = receiver.received
    assert request.url == f"http://{HOST}:{receiver.port}/hooks/a%20b?token=t&x=%2F"
    assert {name: text for name, text in request.headers.items() if name} == {
        "host": f"{HOST}:{receiver.port}",
        "user-agent": "identity-webhooks",
        "content-type": "application/json",
        "content-length": "12",
        "webhook-id": "0" * 32,
        "webhook-timestamp": "1795428900",
        "webhook-signature": SECRET.signature(id="0" * 32, at=AT, body=b'{"canary":1}'),
    }


async def test_every_webhook_has_a_connection_of_its_own(sender: HttpWebhookSender) -> None:
    async with receiving() as receiver:
        for _ in range(3):
            await sender.send(webhook(receiver.endpoint))
    assert receiver.connections == 3


# --- TLS ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a certificate of its own authority for a name or an address, with its key."""
    folder = tmp_path_factory.mktemp("certificates")

    def certified(host: str) -> Path:
        path = folder / f"{host}.pem"
        if not path.exists():
            path.write_bytes(self_signed(host))
        return path

    return certified


def trusting(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> HttpWebhookSender:
    """As an operator does who has an authority of their own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return HttpWebhookSender(to_private=True)


async def test_tls_is_verified_for_the_name_though_an_address_is_gone_to(
    authority: Callable[[str], Path], names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = authority(NAME)
    names.mean(NAME, [HOST])
    tls, asked = tls_of(certificate), []
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with receiving(tls=tls) as receiver:
        await trusting(certificate, monkeypatch).send(webhook(f"https://{NAME}:{receiver.port}/"))
    assert len(receiver.received) == 1
    assert asked == [NAME]


@pytest.mark.parametrize("certified", ["another.example", HOST])
async def test_a_certificate_for_something_else_defers_the_webhook(
    certified: str, authority: Callable[[str], Path], names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = authority(certified)
    names.mean(NAME, [HOST])
    async with receiving(tls=tls_of(certificate)) as receiver:
        with pytest.raises(DeliveryDeferred, match=f"cannot connect: .*not valid for '{NAME}'"):
            await trusting(certificate, monkeypatch).send(webhook(f"https://{NAME}:{receiver.port}/"))
    assert receiver.received == []


async def test_a_certificate_of_an_unknown_authority_defers_the_webhook(
    authority: Callable[[str], Path], names: Names, sender: HttpWebhookSender
) -> None:
    names.mean(NAME, [HOST])
    async with receiving(tls=tls_of(authority(NAME))) as receiver:
        with pytest.raises(DeliveryDeferred, match=r"cannot connect: .*self-signed certificate"):
            await sender.send(webhook(f"https://{NAME}:{receiver.port}/"))
    assert receiver.received == []


async def test_an_endpoint_that_speaks_no_tls_defers_the_webhook(sender: HttpWebhookSender) -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 " + ANSWER.encode() + b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, HOST, 0)
    async with server:
        with pytest.raises(DeliveryDeferred) as deferral:
            await sender.send(webhook(f"https://{HOST}:{server.sockets[0].getsockname()[1]}/"))
    assert ANSWER not in str(deferral.value)


# --- receivers that misbehave ---------------------------------------------------------------------------


def writes(*parts: bytes, then: float = 0.0) -> Respond:
    async def respond(_: Received, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        await asyncio.sleep(then)

    return respond


def for_ever(first: bytes, part: bytes) -> Respond:
    async def respond(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    return respond


STALLING = 30.0  # seconds, of which nobody waits for more than a few tenths
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_webhooks, "TIME_LIMIT", timedelta(seconds=0.3))
    monkeypatch.setattr(http_webhooks, "POLITENESS", timedelta(seconds=0.1))


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize(
    ("respond", "says"),
    [
        pytest.param(writes(then=STALLING), "timed out", id="stalls before the head"),
        pytest.param(writes(HEAD, then=STALLING), "timed out", id="stalls in the head"),
        pytest.param(
            for_ever(b"", b"HTTP/1.1 103 Early\r\n\r\n"), "timed out", id="has only preliminary answers"
        ),
        pytest.param(writes(), "the answer is no HTTP", id="closes at once"),
        pytest.param(writes(HEAD), "the answer is no HTTP", id="closes in the head"),
        pytest.param(writes(b"\x00\xff canary\r\n\r\n"), "the answer is no HTTP", id="answers garbage"),
        pytest.param(
            writes(b"SSH-2.0-" + ANSWER.encode() + b"\r\n"), "the answer is no HTTP", id="is no web server"
        ),
        pytest.param(
            writes(HEAD + b"Content-Length: canary\r\n\r\n"), "the answer is no HTTP", id="has a false length"
        ),
        pytest.param(
            for_ever(HEAD, b"X: canary\r\n" * 100), "the answer is no HTTP", id="has an endless head"
        ),
        pytest.param(for_ever(b"", b"x" * 4096), "the answer is no HTTP", id="has an endless first line"),
        pytest.param(
            writes(b"HTTP/1.1 101 Canary\r\nUpgrade: canary\r\n\r\n", then=STALLING),
            "the answer is no HTTP",
            id="wants to speak something else",
        ),
    ],
)
async def test_a_receiver_that_does_not_answer_well_defers_the_webhook_in_time(
    sender: HttpWebhookSender, respond: Respond, says: str
) -> None:
    async with receiving(respond) as receiver:
        began = time.monotonic()
        with pytest.raises(DeliveryDeferred) as deferral:
            await sender.send(webhook(receiver.endpoint))
        assert time.monotonic() - began < 5
    assert str(deferral.value) == says


async def test_a_connection_that_is_cut_defers_the_webhook(sender: HttpWebhookSender) -> None:
    async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        writer.transport.abort()

    async with receiving(reset) as receiver:
        with pytest.raises(DeliveryDeferred, match=r"^the connection broke$"):
            await sender.send(webhook(receiver.endpoint))


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(writes(HEAD + b"Content-Length: 9\r\n\r\n", then=STALLING), id="stalls in the body"),
        pytest.param(writes(HEAD + b"Content-Length: 9\r\n\r\nx"), id="closes in the body"),
        pytest.param(writes(HEAD + b"Transfer-Encoding: chunked\r\n\r\ncanary\r\n"), id="has a broken body"),
        pytest.param(for_ever(HEAD + b"\r\n", b"x" * 65536), id="answers without end"),
        pytest.param(
            writes(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx"),
            id="is not what it says",
        ),
    ],
)
async def test_a_status_of_success_counts_whatever_comes_after_it(
    sender: HttpWebhookSender, respond: Respond
) -> None:
    async with receiving(respond) as receiver:
        began = time.monotonic()
        await sender.send(webhook(receiver.endpoint))
        assert time.monotonic() - began < 5


async def test_of_a_large_answer_little_is_read(sender: HttpWebhookSender) -> None:
    written = 0

    async def megabytes(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(HEAD + b"\r\n")
        for _number in range(1024):
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async with receiving(megabytes) as receiver:
        await sender.send(webhook(receiver.endpoint))
        await asyncio.sleep(0.1)
    assert written < 32 * 1024 * 1024  # what waits in the sockets' buffers included


async def test_a_body_that_a_receiver_does_not_read_holds_up_nobody(
    sender: HttpWebhookSender, in_haste: None
) -> None:
    held: list[asyncio.StreamWriter] = []

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(deaf, HOST, 0, limit=1024)
    async with server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
        huge = Webhook.signed(url=url, id="0" * 32, at=AT, body=b"x" * 20_000_000, by=[SECRET])
        with pytest.raises(DeliveryDeferred, match="timed out"):
            await sender.send(huge)
    for writer in held:
        writer.transport.abort()


def test_a_webhook_that_is_logged_shows_neither_its_body_nor_its_url() -> None:
    assert "canary" not in repr(webhook("https://receiver.example/hooks?token=canary"))
