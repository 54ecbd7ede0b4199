"""What is sealed under the service's secret opens with that secret, in its own row, and unaltered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.adapters.jwt.vault import Vault
from identity.domain.secrets import Secret
from identity.domain.signing_key import UnreadableKey

SECRET = Secret("a secret of at least thirty-two bytes")
VAULT = Vault(SECRET, purpose="signing-keys")


@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_what_is_sealed_opens_again(plaintext: bytes, row: str) -> None:
    assert VAULT.open(VAULT.seal(plaintext, row=row), row=row) == plaintext


def test_no_two_seals_are_alike_and_none_shows_what_it_holds() -> None:
    seals = {VAULT.seal(b"a private key", row="1") for _ in range(100)}
    assert len(seals) == 100
    assert not any(b"private" in seal for seal in seals)


@pytest.mark.parametrize(
    ("vault", "row"),
    [
        (Vault(Secret(SECRET.reveal() + "!"), purpose="signing-keys"), "1"),
        (Vault(SECRET, purpose="something else"), "1"),
        (VAULT, "2"),
    ],
    ids=["another secret", "another purpose", "another row"],
)
def test_nothing_else_opens_a_seal(vault: Vault, row: str) -> None:
    with pytest.raises(UnreadableKey):
        vault.open(VAULT.seal(b"a private key", row="1"), row=row)


@given(st.integers(0, 40))
def test_an_altered_seal_does_not_open(position: int) -> None:
    sealed = bytearray(VAULT.seal(b"a private key", row="1"))
    sealed[position] ^= 1
    with pytest.raises(UnreadableKey):
        VAULT.open(bytes(sealed), row="1")


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(12), bytes(28)])
def test_what_is_no_seal_does_not_open(sealed: bytes) -> None:
    with pytest.raises(UnreadableKey):
        VAULT.open(sealed, row="1")


# Another secret


NEXT = Vault(Secret("next year's secret, of thirty-two bytes"), purpose="signing-keys", previous=SECRET)


def test_the_previous_secret_opens_what_it_sealed() -> None:
    assert NEXT.open(VAULT.seal(b"a private key", row="1"), row="1") == b"a private key"


def test_what_is_sealed_from_now_on_opens_without_the_previous_secret_only() -> None:
    sealed = NEXT.seal(b"a private key", row="1")
    assert NEXT.open(sealed, row="1") == b"a private key"
    with pytest.raises(UnreadableKey):
        VAULT.open(sealed, row="1")


def test_the_previous_secret_opens_neither_another_row_nor_an_altered_seal() -> None:
    sealed = VAULT.seal(b"a private key", row="1")
    for altered, row in ((sealed, "2"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), "1"), (b"", "1")):
        with pytest.raises(UnreadableKey):
            NEXT.open(altered, row=row)


def test_the_previous_secret_of_another_purpose_opens_nothing() -> None:
    other = Vault(Secret("next year's secret, of thirty-two bytes"), purpose="else", previous=SECRET)
    with pytest.raises(UnreadableKey):
        other.open(VAULT.seal(b"a private key", row="1"), row="1")
