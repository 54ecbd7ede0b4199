"""Whose address counts where proxies stand in between, and which headers say nothing."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.testing import AsyncTestClient

from identity.domain.session import Client
from identity.entrypoints.http.authentication import provide_client
from identity.entrypoints.http.forwarded import TrustedProxies

PROXY, OTHER_PROXY = "10.0.0.1", "2001:db8:ffff::1"
CLIENT, SPOOFED = "192.0.2.7", "198.51.100.66"
PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8:ffff::/48"])


def client_of(*values: str, peer: str = PROXY) -> str:
    return PROXIES.client_of(peer, values)


NO_ADDRESSES = ["", "unknown", "_hidden", "localhost", "192.0.2", "192.0.2.256", "192.0.2.07", "3221225991"]
NO_ADDRESSES += [
    "[",
    "[]",
    "]",
    "[::1",
    "::1]",
    "[::1]x",
    ":::",
    f"{CLIENT}:",
    f"{CLIENT}:x",
    "for=192.0.2.7",
]
NO_ADDRESSES += ["１92.0.2.7", "\0"]


class TestWhoIsBelieved:
    def test_nobody_unless_they_are_trusted(self) -> None:
        assert client_of(SPOOFED, peer=CLIENT) == CLIENT
        assert TrustedProxies().client_of("127.0.0.1", [SPOOFED]) == "127.0.0.1"

    def test_a_proxy_says_who_asked_it(self) -> None:
        assert client_of(CLIENT) == CLIENT
        assert client_of(CLIENT, peer=OTHER_PROXY) == CLIENT

    def test_a_proxy_that_says_nothing_is_the_client(self) -> None:
        assert client_of() == PROXY

    @pytest.mark.parametrize("peer", ["", "testclient", "/run/identity.sock", "10.0.0.999"])
    def test_a_peer_without_an_address_is_never_trusted(self, peer: str) -> None:
        assert client_of(SPOOFED, peer=peer) == peer

    def test_a_proxy_by_ipv4_on_a_socket_for_both_is_trusted(self) -> None:
        assert client_of(CLIENT, peer=f"::ffff:{PROXY}") == CLIENT

    def test_a_proxy_on_the_same_link_is_trusted_whatever_its_zone(self) -> None:
        assert TrustedProxies(["fe80::/10"]).client_of("fe80::1%eth0", [CLIENT]) == CLIENT


class TestHops:
    def test_the_last_that_is_no_proxy_counts(self) -> None:
        assert client_of(f"{SPOOFED}, {CLIENT}") == CLIENT
        assert client_of(f"{SPOOFED}, {CLIENT}, {OTHER_PROXY}, 10.1.2.3") == CLIENT

    def test_a_client_cannot_put_itself_behind_a_proxy_that_is_trusted(self) -> None:
        assert client_of(f"{SPOOFED}, {PROXY}, {CLIENT}, {PROXY}") == CLIENT

    def test_where_all_are_proxies_the_first_counts(self) -> None:
        assert client_of(f"10.9.9.9, {OTHER_PROXY}, {PROXY}") == "10.9.9.9"

    def test_several_lines_are_one_list_in_their_order(self) -> None:
        assert client_of(SPOOFED, f"{CLIENT}, 10.1.2.3", PROXY) == CLIENT
        assert client_of(CLIENT, SPOOFED) == SPOOFED

    @pytest.mark.parametrize(
        ("hop", "address"),
        [
            (f"  {CLIENT}\t", CLIENT),
            (f"{CLIENT}:50123", CLIENT),
            (f"[{CLIENT}]", CLIENT),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:50123", "2001:db8::7"),
            ("2001:0DB8:0:0::0007", "2001:db8::7"),
            (f"::ffff:{CLIENT}", CLIENT),
            (f"[::ffff:{CLIENT}]:50123", CLIENT),
            ("fe80::7%<b>anything at all", "fe80::7"),
        ],
    )
    def test_an_address_may_have_a_port_brackets_or_another_spelling(self, hop: str, address: str) -> None:
        assert client_of(f"{SPOOFED}, {hop}") == address

    @pytest.mark.parametrize(
        "hop",
        NO_ADDRESSES,
    )
    def test_what_is_no_address_was_not_written_by_a_proxy_and_ends_the_list(self, hop: str) -> None:
        assert client_of(f"{SPOOFED}, {hop}") == PROXY
        assert client_of(f"{SPOOFED}, {hop}, 10.1.2.3") == "10.1.2.3"

    def test_of_ten_thousand_the_last_few_are_looked_at(self) -> None:
        began = time.process_time()
        assert client_of(", ".join([SPOOFED] * 10_000 + [CLIENT])) == CLIENT
        assert client_of(", ".join([SPOOFED] + [PROXY] * 10_000)) == PROXY
        assert client_of("," * 10_000) == PROXY
        assert time.process_time() - began < 1

    @given(
        claimed=st.lists(st.text(alphabet="0123456789abcdef.:,[]% x", max_size=20)),
        client=st.ip_addresses(),
        proxies=st.lists(st.ip_addresses(network="10.0.0.0/8"), max_size=5),
        lines=st.integers(1, 3),
    )
    def test_whatever_a_client_claims_it_is_who_the_first_proxy_saw(
        self, claimed: list[str], client: object, proxies: list[object], lines: int
    ) -> None:
        asked_by = str(client)
        if PROXIES.client_of(asked_by, ["192.0.2.1"]) == "192.0.2.1":
            return  # one of the proxies
        hops = [*claimed, asked_by, *map(str, proxies)]
        size = len(hops) // lines + 1
        values = [", ".join(hops[start : start + size]) for start in range(0, len(hops), size)]
        address = ipaddress.ip_address(asked_by)
        expected = getattr(address, "ipv4_mapped", None) or address
        assert client_of(*values) == str(expected)


class TestNetworks:
    """By which requests are counted: who has one address of them has them all."""

    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", ""),
            ("testclient", "testclient"),
        ],
    )
    def test_an_address_of_ipv6_stands_for_its_64(self, address: str, network: str) -> None:
        assert Client(address=address).network == network


@get("/")
async def who(client: NamedDependency[Client]) -> dict[str, str]:
    return {"address": client.address}


async def answered(
    headers: Sequence[tuple[str, str]] | Mapping[str, str],
    *,
    peer: str,
    trusted: Sequence[str] = ("10.0.0.0/8",),
) -> str:
    """The client's address, as a handler gets it."""

    def proxies() -> Iterator[TrustedProxies]:
        yield TrustedProxies(trusted)

    app = Litestar(
        [who],
        dependencies={
            "trusted_proxies": Provide(proxies),
            "client": Provide(provide_client, sync_to_thread=False),
        },
    )

    async def from_peer(scope, receive, send) -> None:
        await app({**scope, "client": (peer, 50123)} if scope["type"] == "http" else scope, receive, send)

    async with AsyncTestClient(from_peer) as client:
        return (await client.get("/", headers=headers)).json()["address"]


class TestRequests:
    OTHERS = ("X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Forwarded")

    async def test_without_trusted_proxies_the_header_says_nothing(self) -> None:
        headers = {"X-Forwarded-For": SPOOFED}
        assert await answered(headers, peer=CLIENT) == CLIENT
        assert await answered(headers, peer="127.0.0.1", trusted=()) == "127.0.0.1"

    @pytest.mark.parametrize("peer", [PROXY, CLIENT])
    async def test_no_other_header_ever_says_anything(self, peer: str) -> None:
        value = {name: f"for={SPOOFED}" if name == "Forwarded" else SPOOFED for name in self.OTHERS}
        assert await answered(value, peer=peer) == peer

    async def test_lines_of_a_trusted_proxy_are_read_in_their_order(self) -> None:
        lines = [("X-Forwarded-For", SPOOFED), ("x-forwarded-for", CLIENT), ("X-Forwarded-For", "10.1.2.3")]
        assert await answered(lines, peer=PROXY) == CLIENT
