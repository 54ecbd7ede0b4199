"""Random histories of the whole service beside a model of it that fits on a page.

Two accounts; clients that store each new refresh token, that never do, and that lose answers; thieves who
copy a token and use it as their own; devices, sessions that are seen and ended, changes, resets and mail in
any order, and a clock that moves on. Whatever happens, the service must say what the model says.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from tests.application.world import (
    ACCESS_LIFETIME,
    IDLE,
    RESET_LIFETIME,
    REUSE_WINDOW,
    SESSION_LIFETIME,
    UNLIMITED,
    ResetLink,
    World,
    link_in,
)

from identity.application.sessions import Principal
from identity.domain.errors import (
    AccessTokenRefused,
    IdentityError,
    InvalidInput,
    LoginRefused,
    OneTimeTokenRefused,
    SessionNotFound,
    TokenRefused,
    WrongPassword,
)
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.session import Client
from identity.domain.tokens import TokenPair

T = TypeVar("T")

EXAMPLES = 300 if "FUZZ_SECONDS" in os.environ else 80  # `make fuzz` sets it

NAMES = ["alice", "bob"]
PASSWORDS = ["yourpassword123", "yournewpassword123", "newpassword123"]
TOO_SHORT = "short"
DEVICES = [Client(address="192.0.2.7"), Client(address="203.0.113.9"), Client(address="192.0.2.8")]
NETWORKS = {client.address: client.address.rpartition(".")[0] for client in DEVICES}
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PAUSES = [timedelta(seconds=seconds) for seconds in (0, 1, 20, 59, 60, 61, 240)]
WAITS = [*PAUSES, *map(timedelta, (0, 0, 0, 1, 3), (300, 1800, 3600, 0, 0))]
WHICH = st.integers(0, 9)
MOSTLY = st.sampled_from([True, True, True, False])


@dataclass
class Account:
    password: str
    good_links: dict[str, datetime] = field(default_factory=dict)
    """The tokens that were mailed and neither spent nor voided, and until when they are good."""
    reset_mails: list[datetime] = field(default_factory=list)
    seen_at: dict[str, datetime] = field(default_factory=dict)
    """When a login last came from each network."""
    notices: set[str] = field(default_factory=set)
    """The notices that wait to be sent."""
    noticed_at: dict[str, list[datetime]] = field(default_factory=dict)
    """When one of each kind was sent within a day from the first of them."""

    def send_notices(self, at: datetime) -> int:
        """How many leave: of each kind five in a day."""
        sent = 0
        for kind in self.notices:
            today = self.noticed_at.setdefault(kind, [])
            if today and at >= today[0] + DAY:
                today.clear()
            if len(today) < 5:
                today.append(at)
                sent += 1
        self.notices.clear()
        return sent


@dataclass
class Session:
    """The four rules of refreshing, and how long it lives."""

    id: str
    owner: str
    current: str
    began_at: datetime
    used_at: datetime
    first_handed_out_at: datetime
    handed_out_at: datetime
    promoted_at: datetime
    pending: str | None = None
    previous: str | None = None
    has_ended: bool = False
    is_known_to_a_thief: bool = False

    def is_live(self, at: datetime) -> bool:
        return not self.has_ended and at < self.used_at + IDLE and at < self.began_at + SESSION_LIFETIME

    def accepts(self, jti: str, at: datetime) -> bool:
        is_slow_tab = jti == self.previous and self.was_just_promoted(at)
        return jti in {self.current, self.pending} or is_slow_tab

    def was_just_promoted(self, at: datetime) -> bool:
        return self.previous is not None and at < self.promoted_at + REUSE_WINDOW

    def child_for(self, jti: str, at: datetime) -> str | None:
        """The child that is handed out again, or `None` for a new one. Promotes a pending token."""
        if jti == self.pending and not self.was_just_promoted(at):
            self.current, self.previous, self.promoted_at = jti, self.current, at
            return None
        is_fresh = at < self.handed_out_at + REUSE_WINDOW and at < self.first_handed_out_at + 5 * REUSE_WINDOW
        return self.pending if is_fresh or jti != self.current else None


@dataclass
class Holder:
    """Whoever holds tokens of a session: its owner's client, or a thief."""

    session: Session
    stores_refresh_tokens: bool
    refresh: str
    jti: str
    access: str
    access_until: datetime


class Service(RuleBasedStateMachine):
    links = Bundle("links")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World(sessions_per_account=1000, buckets=UNLIMITED)
        self.accounts: dict[str, Account] = {}
        self.sessions: list[Session] = []
        self.holders: list[Holder] = []
        self.asked_at: dict[str, datetime] = {}
        """Whose reset mail waits, and since when; also of those who have no account (yet)."""

    def teardown(self) -> None:
        self.loop.close()

    def result(self, call: Coroutine[Any, Any, T]) -> T | IdentityError:
        """What the service answers, or how it refuses."""
        try:
            return self.loop.run_until_complete(call)
        except IdentityError as refusal:
            return refusal

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    def holder(self, which: int) -> Holder:
        """One of those whose session is live, or the last one whose session is over."""
        live = [holder for holder in self.holders if holder.session.is_live(self.now)]
        over = [holder for holder in self.holders if not holder.session.is_live(self.now)]
        candidates = [*live, *over[-1:]]
        return candidates[which % len(candidates)]

    @rule(time=st.sampled_from(WAITS))
    def wait(self, time: timedelta) -> None:
        self.world.clock.advance(time)

    # --- accounts -----------------------------------------------------------------------------------------

    @initialize(password=st.sampled_from(PASSWORDS), stores=MOSTLY, names=st.sampled_from([NAMES, NAMES[:1]]))
    def begin_with_somebody(self, password: str, stores: bool, names: list[str]) -> None:
        for number, name in enumerate(names):
            self.register(name, password)
            self.log_in(number, stores, by_address=True)

    @rule(name=st.sampled_from(NAMES), password=st.sampled_from([*PASSWORDS, TOO_SHORT]))
    def register(self, name: str, password: str) -> None:
        result = self.result(
            self.world.register_user(
                username=name.upper(), email=f"{name}@example.com", password=Secret(password)
            )
        )
        is_acceptable = name not in self.accounts and password != TOO_SHORT
        assert isinstance(result, InvalidInput) is not is_acceptable
        if is_acceptable:
            self.accounts[name] = Account(password)

    @rule(name=st.sampled_from(NAMES), password=st.sampled_from(PASSWORDS), by_address=st.booleans())
    def fail_to_log_in(self, name: str, password: str, by_address: bool) -> None:
        if name not in self.accounts or self.accounts[name].password != password:
            assert isinstance(self.log_in_attempt(name, password, by_address), LoginRefused)

    def log_in_attempt(
        self, name: str, password: str, by_address: bool, client: Client = DEVICES[0]
    ) -> TokenPair | IdentityError:
        username = f"{name}@Example.COM" if by_address else name
        return self.result(self.world.log_in(username=username, password=Secret(password), client=client))

    @rule(which=WHICH, stores=MOSTLY, by_address=st.booleans(), client=st.sampled_from(DEVICES))
    def log_in(self, which: int, stores: bool, by_address: bool, client: Client = DEVICES[0]) -> None:
        name = list(self.accounts)[which % len(self.accounts)]
        account = self.accounts[name]
        pair = self.log_in_attempt(name, account.password, by_address, client)
        assert isinstance(pair, TokenPair)
        seen_at = account.seen_at.get(NETWORKS[client.address])
        is_new = seen_at is None or self.now >= seen_at + 90 * DAY
        if is_new and account.seen_at:
            account.notices.add("new device")
        account.seen_at[NETWORKS[client.address]] = self.now
        claims = self.loop.run_until_complete(self.world.claims(pair.refresh))
        session = Session(
            id=claims.session_id,
            owner=name,
            current=claims.jti,
            began_at=self.now,
            used_at=self.now,
            first_handed_out_at=self.now,
            handed_out_at=self.now,
            promoted_at=self.now,
        )
        self.sessions.append(session)
        self.holders.append(
            Holder(
                session=session,
                stores_refresh_tokens=stores,
                refresh=pair.refresh,
                jti=claims.jti,
                access=pair.access,
                access_until=self.now + ACCESS_LIFETIME,
            )
        )

    # --- sessions -----------------------------------------------------------------------------------------

    @rule(which=WHICH, times=st.lists(st.tuples(st.sampled_from(PAUSES), MOSTLY), max_size=5))
    def refresh_several_times(self, which: int, times: list[tuple[timedelta, bool]]) -> None:
        holder = self.holder(which)
        for pause, answer_arrives in times:
            if holder.session.has_ended:
                return
            self.refresh(holder, answer_arrives=answer_arrives)
            self.wait(pause)

    def refresh(self, holder: Holder, *, answer_arrives: bool = True) -> None:
        session = holder.session
        pair = self.result(self.world.refresh_session(refresh=holder.refresh))
        if not session.is_live(self.now):
            assert isinstance(pair, TokenRefused)
            return
        if not session.accepts(holder.jti, self.now):
            assert isinstance(pair, TokenRefused)
            assert session.is_known_to_a_thief, "an honest client was logged out"
            session.has_ended = True
            self.accounts[session.owner].notices.add("session reused")
            return
        jti = self.loop.run_until_complete(self.world.claims(pair.refresh)).jti
        child = session.child_for(holder.jti, self.now)
        if child is None:
            assert jti not in {session.current, session.pending, session.previous}
            session.first_handed_out_at = self.now
        else:
            assert jti == child
        session.pending, session.handed_out_at, session.used_at = jti, self.now, self.now
        if answer_arrives:
            holder.access = pair.access
            holder.access_until = min(self.now + ACCESS_LIFETIME, session.began_at + SESSION_LIFETIME)
            if holder.stores_refresh_tokens:
                holder.refresh, holder.jti = pair.refresh, jti

    @rule(
        which=WHICH,
        stores=MOSTLY,
        turns=st.lists(st.tuples(st.booleans(), st.sampled_from(PAUSES)), min_size=3, max_size=8),
    )
    def steal(self, which: int, stores: bool, turns: list[tuple[bool, timedelta]]) -> None:
        owner = self.holder(which)
        owner.session.is_known_to_a_thief = True
        thief = replace(owner, stores_refresh_tokens=stores)
        self.holders.append(thief)
        for is_the_thiefs, pause in turns:
            if owner.session.has_ended:
                return
            self.refresh(thief if is_the_thiefs else owner)
            self.wait(pause)

    @rule(which=WHICH)
    def verify(self, which: int) -> None:
        holder = self.holder(which)
        session, before = holder.session, self.world.state()
        for token, is_good in (
            (holder.refresh, session.accepts(holder.jti, self.now)),
            (holder.access, self.now < holder.access_until),
        ):
            result = self.result(self.world.verify_token(token=token))
            assert isinstance(result, TokenRefused) is not (is_good and session.is_live(self.now))
        assert self.world.state() == before

    @rule(which=WHICH)
    def log_out(self, which: int) -> None:
        holder = self.holder(which)
        session = holder.session
        is_over = session.has_ended or self.now >= session.began_at + SESSION_LIFETIME
        assert isinstance(self.result(self.world.log_out(refresh=holder.refresh)), TokenRefused) is is_over
        session.has_ended = True

    # --- with an access token -----------------------------------------------------------------------------

    def uses(self, holder: Holder, use: Callable[[Principal], Coroutine[Any, Any, T]]) -> T | IdentityError:
        """What comes of it, which is a refusal if the token is not good any more."""

        async def authenticates_and_uses() -> T:
            return await use(await self.world.authenticate(access=holder.access))

        result = self.result(authenticates_and_uses())
        session = holder.session
        is_good = session.is_live(self.now) and self.now < holder.access_until
        assert isinstance(result, AccessTokenRefused) is not is_good
        if is_good and self.now >= session.used_at + MINUTE:
            session.used_at = self.now
        return result

    @rule(which=WHICH)
    def see_sessions(self, which: int) -> None:
        holder = self.holder(which)
        seen = self.uses(holder, lambda principal: self.world.list_sessions(principal=principal))
        if isinstance(seen, IdentityError):
            return
        owned = [each for each in self.sessions if each.owner == holder.session.owner]
        live = sorted((each for each in owned if each.is_live(self.now)), key=lambda each: each.id)
        live.sort(key=lambda each: each.used_at, reverse=True)
        assert [(each.id, each.last_used_at) for each in seen] == [(each.id, each.used_at) for each in live]

    @rule(which=WHICH, whose=st.integers(0, 99), refreshes_first=MOSTLY)
    def end_a_session(self, which: int, whose: int, refreshes_first: bool) -> None:
        holder, session = self.holder(which), self.sessions[whose % len(self.sessions)]
        if refreshes_first:
            self.refresh(holder)
        is_over = session.has_ended or self.now >= session.began_at + SESSION_LIFETIME
        result = self.uses(
            holder, lambda principal: self.world.end_session(principal=principal, session_id=session.id)
        )
        if isinstance(result, AccessTokenRefused):
            return
        assert isinstance(result, SessionNotFound) is (is_over or session.owner != holder.session.owner)
        if result is None:
            session.has_ended = True

    @rule(which=WHICH, spares_itself=MOSTLY)
    def end_sessions(self, which: int, spares_itself: bool) -> None:
        holder = self.holder(which)
        end = self.world.end_other_sessions if spares_itself else self.world.end_all_sessions
        if self.uses(holder, lambda principal: end(principal=principal)) is None:
            for session in self.sessions:
                if session.owner == holder.session.owner and (
                    session is not holder.session or not spares_itself
                ):
                    session.has_ended = True

    # --- passwords ----------------------------------------------------------------------------------------

    @rule(
        which=WHICH,
        knows_the_old=MOSTLY,
        new=st.sampled_from([*PASSWORDS, TOO_SHORT]),
        refreshes_first=MOSTLY,
    )
    def change_password(self, which: int, knows_the_old: bool, new: str, refreshes_first: bool) -> None:
        holder = self.holder(which)
        account = self.accounts[holder.session.owner]
        old = account.password if knows_the_old else "not the password"
        if refreshes_first:
            self.refresh(holder)

        result = self.uses(
            holder,
            lambda principal: self.world.change_password(
                principal=principal, old_password=Secret(old), new_password=Secret(new)
            ),
        )
        if isinstance(result, AccessTokenRefused):
            return
        if new == TOO_SHORT:
            assert isinstance(result, InvalidInput)
        elif not knows_the_old:
            assert isinstance(result, WrongPassword)
        else:
            assert result is None
            self.set_password(holder.session.owner, new, besides=holder.session)

    @rule(name=st.sampled_from(NAMES))
    def forget_password(self, name: str) -> None:
        assert self.result(self.world.request_reset(email=f"{name}@example.com")) is None
        self.asked_at.setdefault(name, self.now)

    @rule(target=links, names=st.lists(st.sampled_from(NAMES), max_size=6))
    def read_mail(self, names: list[str]) -> Any:
        """Reads what waits, and then asks for one more at a time."""
        links = self.deliver_mail()
        for name in names:
            self.forget_password(name)
            links += self.deliver_mail()
        return multiple(*links)

    def deliver_mail(self) -> list[tuple[str, ResetLink]]:
        expected: Counter[tuple[str, bool]] = Counter()
        for name, account in self.accounts.items():
            today = [at for at in account.reset_mails if at > self.now - DAY]
            asked_at = self.asked_at.get(name)
            if asked_at is not None and self.now < asked_at + RESET_LIFETIME and len(today) < 5:
                account.reset_mails.append(self.now)
                expected[f"{name}@example.com", True] += 1
            expected[f"{name}@example.com", False] += account.send_notices(self.now)
        self.asked_at.clear()

        sent = self.loop.run_until_complete(self.world.delivered())
        resets = [message for message in sent if "/reset-password/" in message.text]
        assert Counter((message.to.value, message in resets) for message in sent) == expected
        links = [(message.to.local_part, link_in(message)) for message in resets]
        for name, link in links:
            self.accounts[name].good_links[link.token] = self.now + RESET_LIFETIME
        return links

    @rule(addressed_link=links, password=st.sampled_from([*PASSWORDS, TOO_SHORT]))
    def use_a_link(self, addressed_link: tuple[str, ResetLink], password: str) -> None:
        self.reset_password(*addressed_link, password)

    @rule(name=st.sampled_from(NAMES), password=st.sampled_from(PASSWORDS))
    def recover(self, name: str, password: str) -> None:
        """Asks, reads, and follows the link at once."""
        self.forget_password(name)
        for reader, link in self.deliver_mail():
            self.reset_password(reader, link, password)

    def reset_password(self, name: str, link: ResetLink, password: str) -> None:
        result = self.result(self.world.reset_password(**link.with_password(Secret(password))))
        good_until = self.accounts[name].good_links.get(link.token)
        if good_until is None or self.now >= good_until:
            assert isinstance(result, OneTimeTokenRefused)
        elif password == TOO_SHORT:
            assert isinstance(result, InvalidInput)
        else:
            assert result is None
            self.set_password(name, password)

    def set_password(self, name: str, password: str, besides: Session | None = None) -> None:
        account = self.accounts[name]
        account.password = password
        account.good_links.clear()
        account.notices.add("password changed")
        for session in self.sessions:
            if session.owner == name and session is not besides:
                session.has_ended = True

    # --- at any time --------------------------------------------------------------------------------------

    @invariant()
    def the_live_sessions_are_those_of_the_model(self) -> None:
        stored = self.world.state().sessions.values()
        live = {session.id for session in stored if session.is_live(at=self.now, idle=IDLE)}
        assert live == {session.id for session in self.sessions if session.is_live(self.now)}

    @invariant()
    def the_good_links_are_those_of_the_model(self) -> None:
        issued = self.world.state().one_time_tokens
        mailed = {token: at for account in self.accounts.values() for token, at in account.good_links.items()}
        assert {digest for digest, each in issued.items() if each.is_good(at=self.now)} == {
            Secret(token).digest() for token, good_until in mailed.items() if self.now < good_until
        }

    @invariant()
    def exactly_the_password_of_the_model_works(self) -> None:
        async def working(password_hash: PasswordHash) -> list[str]:
            verify = self.world.hasher.verify
            return [each for each in PASSWORDS if await verify(Secret(each), password_hash)]

        for user in self.world.state().users.values():
            account = self.accounts[user.email.local_part]
            assert self.loop.run_until_complete(working(user.password_hash)) == [account.password]


class TestTheWholeService:
    def test_says_what_the_model_says(self) -> None:
        run_state_machine_as_test(
            Service,
            settings=settings(max_examples=EXAMPLES, stateful_step_count=50, derandomize=True, deadline=None),
        )
