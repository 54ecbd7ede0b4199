"""Webhooks over HTTP, to nobody inside our own walls unless an operator says so."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpcore

from identity.domain.errors import DeliveryDeferred, DeliveryRefused
from identity.domain.webhook import Webhook

TIME_LIMIT = timedelta(seconds=15)
"""For all of one webhook, from the look-up of the name to the head of the answer."""
POLITENESS = timedelta(seconds=1)
"""How long the rest of an answer is listened to: its status has said all, but a receiver that is cut off may
take it for an error."""
LOOK_UPS = 8
"""So many names are looked up at once, in threads that nobody else needs: the system may wait for a name
server long after the webhook was given up."""
MOST_OF_AN_ANSWER = 64 * 1024  # bytes that are read, of which none is looked at
_GONE = 410
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052, 2.1
# What the standard library, or an older release of it, takes for public: at 192.0.0.192 (RFC 6890) and at
# 168.63.129.16 the machines of Oracle's and Azure's clouds are told their secrets.
_INSIDE = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))
_UNICAST = ipaddress.ip_network("2000::/3")  # all that is assigned for global use: RFC 4291, 2.4

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class HttpWebhookSender:
    """One connection for each webhook, so that each time the address is judged that it goes to.

    Args:
        to_private: whether webhooks may go to addresses that are not of the public internet.
    """

    def __init__(self, *, to_private: bool = False) -> None:
        self._network = _Network(to_private=to_private)
        self._tls = ssl.create_default_context()

    async def send(self, webhook: Webhook) -> None:
        try:
            async with asyncio.timeout(TIME_LIMIT.total_seconds()):
                status = await self._post(webhook)
        except TimeoutError:
            raise DeliveryDeferred("timed out") from None
        except httpcore.ProtocolError:  # whose text may quote the answer
            raise DeliveryDeferred("the answer is no HTTP") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            # Of a connection that breaks later nothing more is known.
            raise DeliveryDeferred(
                f"cannot connect: {error}" if str(error) else "the connection broke"
            ) from None
        if status == _GONE:
            raise DeliveryRefused("answered 410: the endpoint is gone for good")
        if not 200 <= status < 300:
            raise DeliveryDeferred(f"answered {status}")

    async def _post(self, webhook: Webhook) -> int:
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._network) as pool,
            pool.stream(
                "POST",
                webhook.url,
                headers=[("User-Agent", "identity-webhooks"), *webhook.headers.items()],
                content=webhook.body,
            ) as response,
        ):
            with contextlib.suppress(TimeoutError, httpcore.ProtocolError, httpcore.NetworkError):
                async with asyncio.timeout(POLITENESS.total_seconds()):
                    await _heard_out(response)
            return response.status


async def _heard_out(response: httpcore.Response) -> None:
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read > MOST_OF_AN_ANSWER:
            return


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to the very address that it has judged: a name may mean another one a moment later."""

    def __init__(self, *, to_private: bool) -> None:
        self._to_private = to_private
        self._backend = httpcore.AnyIOBackend()
        self._look_ups = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="webhook-look-up")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's name for it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            look_up = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(self._look_ups, look_up)
        except UnicodeError:  # where a part of it is empty or too long
            raise DeliveryRefused(f"{host} cannot be the name of a host") from None
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        permitted = [address for address in addresses if self._to_private or is_public(address)]
        if not permitted:
            raise DeliveryRefused(
                f"{host} is {addresses[0]}, no address of the public internet; "
                "IDENTITY_WEBHOOK_PRIVATE=true would let webhooks go there"
            )
        for address in permitted[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return await self._backend.connect_tcp(permitted[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def is_public(address: str) -> bool:
    """Whether it is of the public internet, also where it stands for another address."""
    judged: _Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(judged, ipaddress.IPv6Address):
        if judged in _NAT64:
            judged = ipaddress.IPv4Address(int(judged) & 0xFFFFFFFF)
        else:
            judged = judged.ipv4_mapped or judged.sixtofour or judged
    if isinstance(judged, ipaddress.IPv6Address) and judged not in _UNICAST:
        return False
    return judged.is_global and not judged.is_multicast and not any(judged in each for each in _INSIDE)
