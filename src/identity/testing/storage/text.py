"""What databases disagree about in texts and bytes: they fold, pad, cut, and read some of them as syntax."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Digest, PasswordHash
from identity.domain.session import Client, Session
from identity.domain.user import User
from identity.testing.samples import HOUR, NOW, RESET, new_intent, new_key, new_session, new_token, new_user
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_sessions,
    add_tokens,
    add_user,
    claim,
    is_refused,
    put_intents,
    stored_session,
    stored_user,
)

# Each but the first is the same as another one to some database, in some collation or type of column.
DISTINCT = [
    *[
        "ann",
        "Ann",
        "ANN",
        "ánn",
        "a\u0301nn",
        "ａｎｎ",
        "ann ",
        " ann",
        "ann\t",
        "ann.",
        "an",
        "a-nn",
        "a\u200bnn",
    ],
    *["mike", "mıke", "MIKE", "MİKE", "mi\u0307ke", "strasse", "straße", "STRASSE", "ſtrasse", "σας", "σασ"],
    *["1", "01", "1.0", "1e0", "１", "¹", "fi", "ﬁ", "œ", "oe", "🦊", "🐺", "🦊🦊", "x" * 150],
]
AWKWARD = [
    "O'Neil",
    'say "ann"',
    "back\\slash",
    "\\",
    "100%",
    "a_c",
    "%s",
    "%(name)s",
    ":name",
    "?",
    "$1",
    "--",
]
NUL = "ann\x00bob"
HALF_A_PAIR = "ann\ud83e"
TOO_LONG = "x" * 300


class ExactUsername(Username):
    """A name whose key is its very text: keys that the domain does not make, and storage must tell apart."""

    @property
    def key(self) -> str:
        return self.value


class ExactEmail(EmailAddress):
    @property
    def key(self) -> str:
        return self.value


class TextBehaviour(StorageTests):
    async def test_keys_are_compared_exactly(self, storage: Storage) -> None:
        ids = {}
        async with storage.begin() as uow:
            for name in DISTINCT:
                email = ExactEmail(f"{name}@example.org")
                user = replace(new_user(), username=ExactUsername(name), email=email)
                ids[name] = (await uow.users.add(user)).id
        async with storage.read() as uow:
            for name in DISTINCT:
                found = await uow.users.with_username(ExactUsername(name))
                assert found is not None, name
                assert (found.id, found.username.value) == (ids[name], name)
                assert await uow.users.with_email(ExactEmail(f"{name}@example.org")) == found

    async def test_a_key_that_only_resembles_one_finds_nothing(self, storage: Storage) -> None:
        await add_user(storage, "straße")
        async with storage.read() as uow:
            for name in ["Strasse ", " strasse", "strasse.", "stra%", "_trasse", "%", "strass", "strassee"]:
                assert await uow.users.with_username(Username(name)) is None, name
            for address in [
                "strasse@example.org",
                "straße@example.org ",
                "%@example.org",
                "strase@example.org",
            ]:
                assert await uow.users.with_email(EmailAddress(address)) is None, address

    async def test_names_are_kept_as_they_were_typed(self, storage: Storage) -> None:
        names = ["Ann Ö. 🦊 ", "MİKE", "Straße", "ﬁ", *AWKWARD]
        for name in names:
            user = await add_user(storage, name, email=f"{name}@Example.org")
            assert await stored_user(storage, user.id) == user
            async with storage.read() as uow:
                assert await uow.users.with_username(Username(name)) == user
                assert await uow.users.with_email(EmailAddress(f"{name}@Example.org")) == user

    async def test_a_nul_in_a_name_is_refused_or_kept_but_never_cuts_it(self, storage: Storage) -> None:
        user = await _added_or_refused(storage, NUL)
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("ann")) is None
            assert await uow.users.with_email(EmailAddress("ann")) is None
        await _assert_whole_or_absent(storage, NUL, user)

    async def test_half_a_surrogate_pair_in_a_name_is_refused_or_kept(self, storage: Storage) -> None:
        user = await _added_or_refused(storage, HALF_A_PAIR)
        async with storage.read() as uow:
            for cut in ["ann", "ann?", "ann\ufffd"]:
                assert await uow.users.with_username(Username(cut)) is None
        await _assert_whole_or_absent(storage, HALF_A_PAIR, user)

    async def test_a_name_of_300_characters_is_refused_or_kept_but_never_cut(self, storage: Storage) -> None:
        user = await _added_or_refused(storage, TOO_LONG)
        async with storage.read() as uow:
            for length in [150, 254, 255, 256]:
                assert await uow.users.with_username(Username("x" * length)) is None
        await _assert_whole_or_absent(storage, TOO_LONG, user)

    async def test_a_user_agent_is_kept_as_it_was_sent(self, storage: Storage) -> None:
        ann = await add_user(storage)
        agents = ["", " ", "Mozilla/5.0 🦊 ", "\t\r\n", "é e\u0301", "x" * 10_000, *AWKWARD]
        sent = [_session_of(ann, f"s{number}", agent) for number, agent in enumerate(agents)]
        await add_sessions(storage, *sent)
        assert [await stored_session(storage, session.id) for session in sent] == sent

    async def test_a_user_agent_that_cannot_be_stored_is_refused_whole(self, storage: Storage) -> None:
        ann = await add_user(storage)
        for number, agent in enumerate([NUL, HALF_A_PAIR, "🦊" * 20_000]):
            session = _session_of(ann, f"s{number}", agent)
            was_refused = await is_refused(add_sessions(storage, session))
            async with storage.read() as uow:
                found = await uow.sessions.get_with_user(session.id)
            assert found == (None if was_refused else (session, ann))

    async def test_the_values_of_a_mail_are_kept_whatever_they_hold(self, storage: Storage) -> None:
        texts = ["", "\x00", "Mozilla 🦊\x00 é", "x" * 1000, "Ä ", *AWKWARD]
        values = {f"value {number}": text for number, text in enumerate(texts)} | {"'\"\\:%s🦊": "key"}
        intent = replace(new_intent(), values=values)
        await put_intents(storage, intent)
        assert (await claim(storage)).intent == intent

    async def test_ids_are_compared_exactly(self, storage: Storage) -> None:
        stored = new_session(await add_user(storage), "id", current="jti")
        await add_sessions(storage, stored)
        async with storage.begin() as uow:
            for other in ["ID", "Id", "íd", "id ", "ıd"]:
                before = replace(stored, id=other)
                assert await uow.sessions.get_with_user(other) is None
                assert await uow.sessions.revoke(other, at=NOW) is False
                assert await uow.sessions.revoke(other, at=NOW, user_id=stored.user_id) is False
                assert await uow.sessions.touch(other, at=NOW + HOUR, unless_since=NOW) is False
                assert await uow.sessions.rotate(before, replace(before, pending="n")) is False
            for jti in ["JTI", "Jti", "jtí", "jti ", "jtı"]:
                before = replace(stored, current=jti)
                assert await uow.sessions.rotate(before, replace(stored, pending="n")) is False
            await uow.sessions.revoke_all(stored.user_id, at=NOW, besides="ID")
        assert await stored_session(storage, "id") == replace(stored, revoked_at=NOW)

    async def test_leases_are_compared_exactly(self, storage: Storage) -> None:
        await put_intents(storage, new_intent("id"))
        claimed = await claim(storage, "lease")
        async with storage.begin() as uow:
            for lease_id in ["LEASE", "lease ", "leasé"]:
                assert await uow.outbox.settle(replace(claimed, lease_id=lease_id)) is False
            assert await uow.outbox.settle(replace(claimed, intent=new_intent("ID"))) is False
            assert await uow.outbox.settle(claimed) is True

    async def test_intents_are_told_apart_exactly(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await add_tokens(
            storage, new_token(ann, b"1" * 32, intent_id="id"), new_token(ann, b"2" * 32, intent_id="ID")
        )
        keys = ["ann@example.org", "ánn@example.org", "Ann@example.org", "ann@example.org "]
        await put_intents(storage, *(new_intent(str(n), email_key=key) for n, key in enumerate(keys)))
        async with storage.begin() as uow:
            counted = await uow.one_time_tokens.count_intents(
                ann.id, purpose=RESET, sent_since=NOW, minted_since=NOW - HOUR, besides="Id"
            )
            assert counted == 2
        assert {(await claim(storage)).intent.email_key for _ in keys} == set(keys)

    async def test_a_password_hash_is_compared_exactly(self, storage: Storage) -> None:
        user = await add_user(storage, password_hash=PasswordHash("$argon2id$v=19$aGFzaA"))
        async with storage.begin() as uow:
            for other in ["$argon2id$v=19$AGFZAA", "$ARGON2ID$v=19$aGFzaA", "$argon2id$v=19$aGFzaA "]:
                noted = await uow.users.record_login(
                    user.id, verified=PasswordHash(other), rehashed=None, at=NOW
                )
                assert noted is False
        assert await stored_user(storage, user.id) == user

    async def test_digests_of_any_bytes_are_told_apart(self, storage: Storage) -> None:
        user = await add_user(storage)
        digests = [bytes(range(start, start + 32)) for start in range(0, 256, 32)]
        digests += [b"\x00" * 32, b" " * 32, b"a" * 32, b"A" * 32, b"a" * 31 + b"\x00", b"a" * 31 + b" "]
        tokens = [new_token(user, digest) for digest in digests]
        await add_tokens(storage, *tokens)
        async with storage.begin() as uow:
            for token in tokens:
                find, spend = uow.one_time_tokens.find, uow.one_time_tokens.spend
                assert await find(token.digest, purpose=RESET, user_id=user.id, at=NOW) == token
                assert await spend(token.digest, purpose=RESET, user_id=user.id, at=NOW) is True
            short = Digest(b"\x00" * 31)
            assert await find(short, purpose=RESET, user_id=user.id, at=NOW) is None
            for known in (False, True):
                for token in tokens:
                    seen = await uow.devices.see(user.id, token.digest, at=NOW, since=NOW - HOUR)
                    assert seen is known

    async def test_a_sealed_key_may_hold_any_bytes(self, storage: Storage) -> None:
        key = new_key(sealed=bytes(range(256)) + b"\x00\x00 \n'\"\\")
        async with storage.begin() as uow:
            assert await uow.signing_keys.add_first(key) is True
        async with storage.read() as uow:
            assert await uow.signing_keys.all() == (key,)


def _session_of(user: User, id: str, user_agent: str) -> Session:
    return new_session(user, id, client=Client(user_agent=user_agent))


async def _added_or_refused(storage: Storage, name: str) -> User | None:
    with suppress(Exception):
        return await add_user(storage, name, email=name)
    return None


async def _assert_whole_or_absent(storage: Storage, name: str, added: User | None) -> None:
    if added is not None:
        assert added.username == Username(name)
        assert await stored_user(storage, added.id) == added
    async with storage.read() as uow:
        found = None
        with suppress(Exception):  # a text that cannot be stored may well be refused when it is looked for
            found = await uow.users.with_username(Username(name))
    assert found == added
