"""Refreshing under fire: every kind of client and a thief, at two replicas, in any order, as time goes by.

What must hold whatever happens is written down from the outside: who was given what, and who used what when.
Nothing of it asks the rules. That it finds mistakes in the rules is shown by planting them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from statistics import median
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from tests.application.refresh_clients import (
    CLOCKS_APART,
    REPLICAS,
    Answers,
    App,
    Deployment,
    Given,
    LoggedOut,
    Rules,
    Tab,
)
from tests.application.world import IDLE, REUSE_WINDOW, SESSION_LIFETIME

from identity.adapters.memory import FixedClock
from identity.adapters.memory.repositories import MemorySessions
from identity.application.ports import UnitOfWork
from identity.application.sessions import USE_NOTED_EVERY, RefreshSession
from identity.domain import session as rules
from identity.domain.errors import TokenFault, TokenRefused
from identity.domain.session import Session

T = TypeVar("T")

HONEST = "an honest client is not logged out before its session has expired"
GOOD = "a token that was not superseded is honoured"
SUPERSEDED = "the use of a superseded token ends the session"
OVER = "what is over stays over, for every token"
TOLD = "a reuse is audited once and mailed once"
TURNS = "a thief who takes turns with the owner is found by the second turn of both"
POLLING = "a thief who asks day and night is found by the owner's second refresh"


class Violation(AssertionError):
    """One of the above does not hold."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


# --- what is seen from the outside ------------------------------------------------------------------------


@dataclass
class Lineage:
    """Who descends from whom among the refresh tokens of a session, and when each was first used."""

    parents: dict[str, str] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    """In the order in which they were first given."""
    used: dict[str, list[datetime]] = field(default_factory=dict)
    """When it was first used. Several times where several requests, of which one was first, came at once."""

    def note(self, exchanges: Sequence[tuple[str, datetime, str]]) -> None:
        """Which tokens were presented at the same time, when by their replicas' clocks, and what for."""
        exchanges = [(sent, at, child) for sent, at, child in exchanges if child != sent]  # nothing happened
        first: dict[str, list[datetime]] = {}
        for sent, at, _ in exchanges:
            first.setdefault(sent, []).append(at)
        self.used = first | self.used
        for sent, _, child in sorted(exchanges, key=lambda exchange: -self.generation(exchange[0])):
            if child not in self.parents:
                self.parents[child] = sent
                self.children.setdefault(sent, []).append(child)

    def generation(self, token: str) -> int:
        return 1 + self.generation(self.parents[token]) if token in self.parents else 0

    def is_superseded(self, token: str, at: datetime, perhaps: bool = False) -> bool:
        """Its parent has a later child, or a grandchild of it was used, or a child longer than a window ago.

        Longer by the clocks that judge. `perhaps`: or it may be, depending on who of several was first.
        """
        siblings = self.children[self.parents[token]] if token in self.parents else [token]
        if token != siblings[-1]:
            return True
        child = self.children.get(token, [""])[-1]
        if self.children.get(child, [""])[-1] in self.used:
            return True
        late = [abs(at - used) >= REUSE_WINDOW for used in self.used.get(child, [])]
        return bool(late) and (any(late) if perhaps else all(late))


@dataclass
class Watched:
    """A session that is refreshed, with an eye on every answer."""

    deployment: Deployment
    user_id: int
    id: str
    tokens: dict[str, Given]
    """All that were ever given, by their ids."""
    began_at: datetime
    last_used_at: datetime
    latest: Given
    is_stolen_from: bool = False
    lineage: Lineage = field(default_factory=Lineage)
    is_revoked: bool = False
    is_reused: bool = False

    def token(self, back: int) -> Given:
        """The newest one, or one that was first given so many tokens before it."""
        return list(self.tokens.values())[-1 - back % len(self.tokens)]

    @property
    def clock(self) -> FixedClock:
        return self.deployment.clock

    @property
    def is_live(self) -> bool:
        return not self.is_revoked and all(self.is_in_time(self.at(replica)) for replica in REPLICAS)

    def at(self, replica: int) -> datetime:
        return self.clock.at + replica * CLOCKS_APART

    def is_in_time(self, at: datetime) -> bool:
        return at < self.last_used_at + IDLE and at < self.began_at + SESSION_LIFETIME

    async def at_once(self, requests: Sequence[tuple[Given, int]]) -> list[Given | None]:
        """Presents the tokens, each at its replica, and judges the answers."""
        times = [self.at(replica) for _, replica in requests]
        in_time = [self.is_in_time(at) for at in times]
        tokens = [token.jti for token, _ in requests]
        superseded = list(map(self.lineage.is_superseded, tokens, times))
        perhaps = [
            self.lineage.is_superseded(*each, perhaps=True) for each in zip(tokens, times, strict=True)
        ]
        answers = await self.deployment.at_once(requests)
        is_refused = [answer is None for answer in answers]

        if self.is_revoked or not any(in_time):
            require(all(is_refused), OVER)
            return answers
        if not all(in_time):  # whether it was over depends on who was first
            await self._note(requests, times, answers)
            return answers
        if not self.is_stolen_from:
            require(not any(is_refused), HONEST)
        if not any(perhaps) and len(requests) == 1:
            require(not any(is_refused), GOOD)
        require(
            all(refused for refused, late in zip(is_refused, superseded, strict=True) if late), SUPERSEDED
        )
        await self._note(requests, times, answers)
        if any(is_refused):
            self.is_revoked = self.is_reused = True
            await self.check_that_it_is_over()
        return answers

    async def _note(
        self, requests: Sequence[tuple[Given, int]], times: list[datetime], answers: list[Given | None]
    ) -> None:
        exchanges = []
        for (token, _), at, answer in zip(requests, times, answers, strict=True):
            if answer is not None:
                self.tokens[answer.jti] = self.latest = answer
                self.last_used_at = max(self.last_used_at, at)
                exchanges.append((token.jti, at, answer.jti))
        self.lineage.note(exchanges)

    async def use_access(self) -> None:
        """A request with the access token that was given last, just now."""
        replica = self.deployment.replicas[0]
        require(await replica.accepts(self.latest) is self.is_live, HONEST if self.is_live else OVER)
        if self.is_live and self.last_used_at <= self.clock.at - USE_NOTED_EVERY:
            self.last_used_at = self.clock.at

    async def check_that_it_is_over(self) -> None:
        """For every token it ever had; and if it was for a reuse, that the owner was told, once."""
        for token in self.tokens.values():
            require(await self.deployment.at_once([(token, 0)]) == [None], OVER)
            require(not await self.deployment.replicas[1].accepts(token), OVER)
        while await self.deployment.replicas[-1].deliver_mail():
            pass
        events = [each for each in self.deployment.storage.events if each.session_id == self.id]
        user = self.deployment.storage.committed().users[self.user_id]
        mails = [mail for mail in self.deployment.mailer.sent if mail.to == user.email]
        told = [event.kind for event in events].count("RefreshTokenReused"), len(mails)
        require(told == ((1, 1) if self.is_reused else (0, 0)), TOLD)


# --- the machine ------------------------------------------------------------------------------------------


def a_tab(*, reads_at: int, travels: int, returns: int, replica: int, answer: Answers, is_rash: bool) -> Tab:
    sends_at = reads_at + travels
    return Tab(reads_at, sends_at, sends_at + returns, replica, answer, is_rash)


MOMENTS = st.lists(
    st.builds(
        a_tab,
        reads_at=st.sampled_from([0, 0, 0, 1, 2, 10]),
        travels=st.sampled_from([0, 0, 1, 3, 15]),
        returns=st.sampled_from([1, 1, 2, 20]),
        replica=st.sampled_from(REPLICAS),
        answer=st.sampled_from([Answers.ARRIVES, Answers.ARRIVES, Answers.YIELDS, Answers.IS_LOST]),
        is_rash=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
PAUSES = st.sampled_from([*map(seconds, (0, 5, 30, 59, 60, 61, 300, 300, 3600)), timedelta(days=1)])
STEPS = st.sampled_from([seconds(step) for step in (0, 1, 30, 60, 76, 300, 3600, -76, -3600)])
TABS, ONE_TAB, STORES_NOTHING, ROBBED, ROBBED_AND_STORES_NOTHING = range(5)
ALL = st.sampled_from([TABS, TABS, ONE_TAB, STORES_NOTHING, ROBBED, ROBBED_AND_STORES_NOTHING])
VICTIMS = st.sampled_from([ROBBED, ROBBED, ROBBED_AND_STORES_NOTHING])
BACK = st.sampled_from([0, 1, 2, 3, 4])
OWNER_OR_BACK = st.sampled_from([None, None, None, None, 1, 2, 3, 3])


class UnderFire(RuleBasedStateMachine):
    """Honest apps: tabs that share what they are given, a single tab, and one that never stores it.

    And two more that a thief is after, who knows every token that they ever had.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.deployment = Deployment()
        self.sessions: list[Watched] = []
        self.past: list[Watched] = []
        self.apps: list[App] = []

    def teardown(self) -> None:
        self.loop.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    # --- apps ---------------------------------------------------------------------------------------------

    @initialize()
    def log_in_everywhere(self) -> None:
        for which in range(5):
            session, first = self.new_session()
            self.sessions.append(session)
            stores = which not in {STORES_NOTHING, ROBBED_AND_STORES_NOTHING}
            self.apps.append(App(session, first, stores=stores))

    def new_session(self) -> tuple[Watched, Given]:
        now = self.deployment.clock.at
        user_id, session_id, first = self.run(self.deployment.logged_in())
        return Watched(self.deployment, user_id, session_id, {first.jti: first}, now, now, first), first

    def live(self, which: int) -> tuple[App, Watched]:
        """The app, logged in again if it had to be."""
        app, session = self.apps[which], self.sessions[which]
        if not session.is_live:
            if session.is_revoked:
                self.run(session.check_that_it_is_over())
                self.past.append(session)
            self.sessions[which], first = self.new_session()
            app = self.apps[which] = App(self.sessions[which], first, stores=app.stores)
        return app, self.sessions[which]

    @rule(which=ALL, moments=st.lists(st.tuples(PAUSES, MOMENTS), min_size=1, max_size=4))
    def refresh(self, which: int, moments: list[tuple[timedelta, list[Tab]]]) -> None:
        for pause, tabs in moments:
            self.deployment.clock.advance(pause)
            app, session = self.live(which)
            self.refresh_once(app, tabs[:1] if which == ONE_TAB else tabs)
            if not session.is_revoked:
                self.run(session.use_access())

    def refresh_once(self, app: App, tabs: Sequence[Tab] = (Tab(0, 0, 1, 0, Answers.ARRIVES),)) -> bool:
        """Whether it is still logged in."""
        try:
            self.run(app.refresh(tabs))
        except LoggedOut:
            return False
        return True

    @rule(which=ALL, back=BACK, replica=st.sampled_from(REPLICAS))
    def log_out(self, which: int, back: int, replica: int) -> None:
        """With any token that the session ever had."""
        _, session = self.live(which)
        self.run(self.deployment.replicas[replica].log_out(refresh=session.token(back).refresh))
        session.is_revoked = True
        self.run(session.check_that_it_is_over())

    # --- a thief ------------------------------------------------------------------------------------------

    @rule(
        which=VICTIMS,
        uses=st.lists(st.tuples(STEPS, OWNER_OR_BACK, st.sampled_from(REPLICAS)), min_size=3, max_size=8),
    )
    def use_stolen(self, which: int, uses: list[tuple[timedelta, int | None, int]]) -> None:
        """Tokens that the owner has, or had, or that the thief was given for one, between the owner's own."""
        app, session = self.live(which)
        session.is_stolen_from = True
        for step, back, replica in uses:
            self.deployment.clock.advance(step)
            if back is None:
                self.refresh_once(app)
            else:
                self.run(session.at_once([(session.token(back), replica)]))

    @rule(which=VICTIMS, uses=st.lists(st.tuples(BACK, st.sampled_from(REPLICAS)), min_size=1, max_size=3))
    def use_stolen_beside_the_owner(self, which: int, uses: list[tuple[int, int]]) -> None:
        """All at the same moment."""
        session = self.sessions[which]
        session.is_stolen_from = True
        thefts = [(session.token(back), replica) for back, replica in uses]
        self.run(session.at_once([*thefts[1:], (self.apps[which].stored, 0), *thefts[:1]]))

    @rule(
        which=VICTIMS,
        is_owner_first=st.booleans(),
        pauses=st.lists(
            st.sampled_from([seconds(76), seconds(300), timedelta(days=1)]), min_size=4, max_size=4
        ),
    )
    def take_turns(self, which: int, is_owner_first: bool, pauses: list[timedelta]) -> None:
        """Each presents what they were given last, at their own pace, the owner's app what it stored."""
        app, session = self.live(which)
        if session.is_stolen_from:
            return
        held, session.is_stolen_from = app.stored, True
        for turn, pause in enumerate(pauses):
            self.deployment.clock.advance(pause)
            if (turn % 2 == 0) is is_owner_first:
                self.refresh_once(app)
            else:
                (answer,) = self.run(session.at_once([(held, turn % 2)]))
                held = answer or held
        require(not session.is_live, TURNS)
        self.run(session.check_that_it_is_over())

    @rule(every=st.sampled_from([30, 44]), silence=st.sampled_from([390, 900]))
    def ask_day_and_night(self, every: int, silence: int) -> None:
        """The thief asks with one token all the time, so that the owner is given no child but the thief's."""
        app, session = self.live(ROBBED)
        if session.is_stolen_from:
            return
        held, session.is_stolen_from = app.stored, True
        for _ in range(2):
            for _ in range(silence // every):
                self.run(session.at_once([(held, 0)]))
                self.deployment.clock.advance(seconds(every))
            self.refresh_once(app)
        require(not session.is_live, POLLING)
        self.run(session.check_that_it_is_over())

    # --- whatever else happens ----------------------------------------------------------------------------

    @rule(
        step=st.sampled_from([timedelta(hours=1), timedelta(days=1), timedelta(days=8)]), back=st.booleans()
    )
    def set_the_clocks(self, step: timedelta, back: bool) -> None:
        self.deployment.clock.advance(-step if back else step)
        self.nothing_comes_back()

    @rule()
    def restart(self) -> None:
        self.deployment.restart()
        self.nothing_comes_back()

    def nothing_comes_back(self) -> None:
        for session in [*self.past, *self.sessions]:
            if session.is_revoked:
                self.run(session.check_that_it_is_over())


# --- planted mistakes --------------------------------------------------------------------------------------

Refreshed = Callable[..., Session | None]


def no_reuse_window(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, *, child: str, at: datetime, window: timedelta) -> Session | None:
        return honest(self, jti, child=child, at=at, window=timedelta())

    return refreshed


def a_new_child_every_time(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, **how: Any) -> Session | None:
        forgetful = replace(self, handed_out_at=None, pending_since=None)
        return honest(forgetful if jti == self.current else self, jti, **how)

    return refreshed


def one_child_for_ever(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, *, child: str, **how: Any) -> Session | None:
        again = jti == self.current and self.pending is not None
        return honest(self, jti, child=self.pending if again else child, **how)

    return refreshed


def a_window_for_grandparents(honest: Refreshed) -> Refreshed:
    """What is stored as the previous token are the last two, the younger first."""

    def refreshed(self: Session, jti: str, **how: Any) -> Session | None:
        previous = (self.previous or "").split()
        after = honest(replace(self, previous=jti) if jti in previous else self, jti, **how)
        if after is None:
            return None
        was_promoted = after.current != self.current
        kept = " ".join([self.current, *previous[:1]]) if was_promoted else self.previous
        return replace(after, previous=kept)

    return refreshed


def the_previous_token_is_good_for_ever(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, *, at: datetime, **how: Any) -> Session | None:
        return honest(replace(self, promoted_at=at) if jti == self.previous else self, jti, at=at, **how)

    return refreshed


def a_clock_that_is_set_back_opens_the_window_again(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, *, at: datetime, **how: Any) -> Session | None:
        is_early = self.promoted_at is not None and at < self.promoted_at
        return honest(replace(self, promoted_at=at) if is_early else self, jti, at=at, **how)

    return refreshed


def promotion_at_any_time(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, **how: Any) -> Session | None:
        forgetful = replace(self, promoted_at=None) if jti == self.pending else self
        return honest(forgetful, jti, **how)

    return refreshed


def promotion_leaves_the_old_token_current(honest: Refreshed) -> Refreshed:
    def refreshed(self: Session, jti: str, **how: Any) -> Session | None:
        after = honest(self, jti, **how)
        return replace(after, current=self.current) if after is not None and jti == self.pending else after

    return refreshed


def a_reuse_is_raised_inside_the_transaction(honest: Callable[..., Awaitable[None]]) -> Any:
    async def end_reused(self: RefreshSession, uow: UnitOfWork, session: Session, **how: Any) -> None:
        await honest(self, uow, session, **how)
        raise TokenRefused(TokenFault.BLACKLISTED)

    return end_reused


def a_reuse_is_noticed_and_the_session_goes_on(honest: Callable[..., Awaitable[None]]) -> Any:
    async def end_reused(self: RefreshSession, *args: Any, **how: Any) -> None:
        """Does nothing: the request is refused all the same."""

    return end_reused


def no_compare_and_swap(honest: Callable[..., Awaitable[bool]]) -> Any:
    async def rotate(self: MemorySessions, before: Session, after: Session) -> bool:
        found = await self.get_with_user(before.id)
        return found is not None and await honest(self, found[0], after)

    return rotate


def a_child_is_handed_out_as_long_as_it_is_asked_for(honest: int) -> int:
    return 1_000_000


RULE = (Session, "refreshed")
REUSE = (RefreshSession, "_end_reused")
MISTAKES: list[tuple[tuple[Any, str], Callable[[Any], Any], str]] = [
    (RULE, no_reuse_window, f"{HONEST}|{GOOD}"),
    (RULE, a_new_child_every_time, HONEST),
    (RULE, one_child_for_ever, f"{TURNS}|{POLLING}"),
    (RULE, a_window_for_grandparents, SUPERSEDED),
    (RULE, the_previous_token_is_good_for_ever, SUPERSEDED),
    (RULE, a_clock_that_is_set_back_opens_the_window_again, SUPERSEDED),
    (RULE, promotion_leaves_the_old_token_current, f"{HONEST}|{GOOD}"),
    (REUSE, a_reuse_is_raised_inside_the_transaction, OVER),
    (REUSE, a_reuse_is_noticed_and_the_session_goes_on, OVER),
    ((MemorySessions, "rotate"), no_compare_and_swap, f"{HONEST}|{SUPERSEDED}"),
    ((rules, "SLIDES"), a_child_is_handed_out_as_long_as_it_is_asked_for, POLLING),
]

HISTORIES = settings(
    max_examples=50,
    stateful_step_count=15,
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
UNTIL_FOUND = settings(HISTORIES, max_examples=500, phases=[Phase.generate])


class TestTheRules:
    def test_hold_under_fire(self) -> None:
        run_state_machine_as_test(UnderFire, settings=HISTORIES)

    @pytest.mark.parametrize(
        ("place", "mistake", "found"), MISTAKES, ids=[mistake.__name__ for _, mistake, _ in MISTAKES]
    )
    def test_do_not_hold_with_a_mistake_in_them(
        self,
        place: tuple[Any, str],
        mistake: Callable[[Any], Any],
        found: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(*place, mistake(getattr(*place)))
        with pytest.raises(Violation, match=found):
            run_state_machine_as_test(UnderFire, settings=UNTIL_FOUND)


# --- many days ----------------------------------------------------------------------------------------------


def random_tabs(random: Random) -> list[Tab]:
    """One tab to four. Of their requests some are slow; of the answers a quarter is lost."""
    tabs = []
    for _ in range(random.randint(1, 4)):
        reads_at = random.choice([0, 0, random.randint(0, 10)])
        sends_at = reads_at + random.choice([0, 0, random.randint(0, 15)])
        hears_at = sends_at + random.choice([1, 1, random.randint(1, 20)])
        answer = random.choice([Answers.ARRIVES, Answers.ARRIVES, Answers.YIELDS, Answers.IS_LOST])
        replica, is_rash = random.choice(REPLICAS), random.random() < 0.3
        tabs.append(Tab(reads_at, sends_at, hears_at, replica, answer, is_rash))
    return tabs


async def stays_logged_in(seed: int) -> bool:
    """For twenty refreshes, at moments as close as when pages are loaded anew or answers do not arrive."""
    random, service = Random(seed), Rules()
    app = App(service, service.first, is_spared=False)
    for _ in range(20):
        service.clock.advance(seconds(random.choice([0, 5, 20, 45, 60, 120, 300, 300, 3600])))
        try:
            await app.refresh(random_tabs(random))
        except LoggedOut:
            return False
    return True


def minutes_until_found(seed: int) -> float | None:
    """Of a thief who asks all the time, beside an owner who refreshes when the access token has expired.

    He knows the rules: when the child is another one before it could have been replaced, the owner has used
    it, and he goes on with that. `None`: not within twelve hours.
    """
    random, service = Random(seed), Rules()
    start = service.clock.at
    owner = held = child = service.first
    child_since, owner_at, thief_at = 0.0, random.uniform(0, 300), 0.0
    while (now := min(owner_at, thief_at)) < 12 * 3600:
        service.clock.at = start + seconds(now)
        answer = service.given(owner if now == owner_at else held, random.choice(REPLICAS))
        if answer is None:
            return now / 60
        if now == owner_at:
            owner, owner_at = answer, now + 300 + random.expovariate(1 / 60)
            continue
        if answer.jti != child.jti:
            was_used = seconds(now - child_since) < rules.SLIDES * REUSE_WINDOW - CLOCKS_APART
            held = child if was_used else held
            child, child_since = answer, now
        thief_at = now + random.uniform(20, 44)
    return None


async def somebody_is_logged_out(seeds: range) -> bool:
    for seed in seeds:
        if not await stays_logged_in(seed):
            return True
    return False


class TestManyDays:
    async def test_of_two_thousand_apps_with_several_tabs_none_is_logged_out(self) -> None:
        assert [seed for seed in range(2000) if not await stays_logged_in(seed)] == []

    async def test_some_are_when_a_child_is_handed_out_for_one_window_only(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "SLIDES", 1)
        assert await somebody_is_logged_out(range(300))

    async def test_some_are_when_tabs_may_rotate_a_token_away_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mistake = promotion_at_any_time(Session.refreshed)
        monkeypatch.setattr(Session, "refreshed", mistake)
        assert await somebody_is_logged_out(range(100))

    def test_a_thief_who_asks_day_and_night_is_found_within_a_quarter_of_an_hour(self) -> None:
        found = [minutes_until_found(seed) for seed in range(200)]
        assert max(each or float("inf") for each in found) < 15
        assert median(each or float("inf") for each in found) < 10

    def test_he_never_is_when_a_child_is_handed_out_as_long_as_it_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "SLIDES", 1_000_000)
        assert [minutes_until_found(seed) for seed in range(5)] == [None] * 5
