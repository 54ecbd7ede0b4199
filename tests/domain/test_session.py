"""The four rules of refreshing, the edges of their window, and who is and who is not logged out by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.session import SLIDES, UNKNOWN_CLIENT, Client, Session

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
IDLE = timedelta(days=7)
TICK = timedelta(microseconds=1)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def new_session() -> Session:
    return Session(
        id="session",
        user_id=1,
        current="r0",
        created_at=START,
        last_used_at=START,
        expires_at=START + timedelta(days=30),
    )


def refreshed(session: Session, jti: str, *, child: str = "unused", at: datetime) -> Session:
    result = session.refreshed(jti, child=child, at=at, window=WINDOW)
    assert result is not None
    return result


def is_reuse(session: Session, jti: str, *, at: datetime) -> bool:
    refusal = session.refreshed(jti, child="unused", at=at, window=WINDOW) is None
    assert refusal is not session.recognises(jti, at=at, window=WINDOW)
    return refusal


@pytest.fixture
def handed_out() -> Session:
    """At 100 s the client presented r0 and was given r1."""
    return refreshed(new_session(), "r0", child="r1", at=after(100))


@pytest.fixture
def promoted(handed_out: Session) -> Session:
    """At 200 s the client presented r1 and was given r2."""
    return refreshed(handed_out, "r1", child="r2", at=after(200))


class TestPresentingTheCurrentToken:
    def test_the_first_time_it_is_answered_with_a_new_child(self) -> None:
        session = refreshed(new_session(), "r0", child="r1", at=after(100))
        assert (session.current, session.pending, session.previous) == ("r0", "r1", None)
        assert (session.handed_out_at, session.promoted_at) == (after(100), None)

    def test_again_within_the_window_it_is_answered_with_the_same_child(self, handed_out: Session) -> None:
        again = refreshed(handed_out, "r0", child="r9", at=after(160) - TICK)
        assert again.pending == "r1"

    def test_from_the_end_of_the_window_on_another_child_replaces_it(self, handed_out: Session) -> None:
        later = refreshed(handed_out, "r0", child="r9", at=after(160))
        assert (later.current, later.pending, later.previous) == ("r0", "r9", None)
        assert is_reuse(later, "r1", at=after(160))

    def test_each_time_the_child_is_handed_out_its_window_starts_anew(self, handed_out: Session) -> None:
        session = handed_out
        for moment in (150, 200, 250, 300):
            session = refreshed(session, "r0", child="r9", at=after(moment))
            assert (session.pending, session.handed_out_at) == ("r1", after(moment))

    def test_a_client_that_never_stores_the_child_keeps_working_with_what_it_has(self) -> None:
        session = new_session()
        for number in range(1000):
            session = refreshed(session, "r0", child=f"c{number}", at=after(300 * number))
        assert session.current == "r0"


class TestPresentingThePendingToken:
    def test_its_first_use_promotes_it(self, promoted: Session) -> None:
        assert (promoted.current, promoted.pending, promoted.previous) == ("r1", "r2", "r0")
        assert promoted.promoted_at == promoted.handed_out_at == after(200)

    def test_however_long_after_it_was_handed_out(self, handed_out: Session) -> None:
        assert refreshed(handed_out, "r1", child="r2", at=after(5_000_000)).current == "r1"

    def test_even_at_once(self, handed_out: Session) -> None:
        assert refreshed(handed_out, "r1", child="r2", at=after(100)).pending == "r2"

    def test_within_the_window_of_the_last_promotion_it_is_given_itself_and_nothing_is_superseded(
        self, promoted: Session
    ) -> None:
        session = refreshed(promoted, "r2", child="r9", at=after(260) - TICK)
        assert (session.current, session.pending, session.previous) == ("r1", "r2", "r0")
        assert session.promoted_at == after(200)
        assert not is_reuse(session, "r0", at=after(260) - TICK)
        assert refreshed(session, "r2", child="r3", at=after(260)).current == "r2"

    def test_the_token_before_the_previous_one_is_forgotten(self, promoted: Session) -> None:
        session = refreshed(promoted, "r2", child="r3", at=after(260))
        assert (session.current, session.pending, session.previous) == ("r2", "r3", "r1")
        assert is_reuse(session, "r0", at=after(260))

    def test_the_lost_answer_to_it_is_given_again(self, promoted: Session) -> None:
        assert refreshed(promoted, "r1", child="r9", at=after(230)).pending == "r2"


class TestPresentingThePreviousToken:
    def test_within_the_window_of_the_promotion_the_slow_tab_gets_the_pending_child(
        self, promoted: Session
    ) -> None:
        slow = refreshed(promoted, "r0", child="r9", at=after(260) - TICK)
        assert (slow.current, slow.pending, slow.previous) == ("r1", "r2", "r0")

    def test_from_the_end_of_the_window_on_it_is_a_reuse(self, promoted: Session) -> None:
        assert not is_reuse(promoted, "r0", at=after(260) - TICK)
        assert is_reuse(promoted, "r0", at=after(260))

    def test_the_window_is_that_of_the_last_promotion(self, promoted: Session) -> None:
        session = refreshed(promoted, "r2", child="r3", at=after(1000))
        assert not is_reuse(session, "r1", at=after(1060) - TICK)
        assert is_reuse(session, "r1", at=after(1060))

    def test_it_does_not_prolong_its_own_window(self, promoted: Session) -> None:
        slow = refreshed(promoted, "r0", at=after(259))
        assert slow.promoted_at == after(200)
        assert is_reuse(slow, "r0", at=after(261))

    def test_nor_does_the_current_token(self, promoted: Session) -> None:
        session = refreshed(promoted, "r1", at=after(259))
        assert is_reuse(session, "r0", at=after(261))

    def test_the_child_it_is_given_has_a_window_that_starts_anew(self, promoted: Session) -> None:
        slow = refreshed(promoted, "r0", at=after(250))
        assert refreshed(slow, "r1", child="r9", at=after(300)).pending == "r2"


class TestPresentingAnyOtherToken:
    @pytest.mark.parametrize("jti", ["r9", "", "R0", "r0 ", "None", "session"])
    def test_it_is_a_reuse(self, jti: str, promoted: Session) -> None:
        assert is_reuse(new_session(), jti, at=after(1))
        assert is_reuse(promoted, jti, at=after(201))

    def test_a_child_that_was_replaced_is_a_reuse_at_once(self, handed_out: Session) -> None:
        replaced = refreshed(handed_out, "r0", child="r9", at=after(160))
        assert is_reuse(replaced, "r1", at=after(160))
        assert not is_reuse(replaced, "r9", at=after(160))


class TestOneChild:
    """It is handed out again and again, but for five windows at most since it was first."""

    def test_it_is_given_to_whoever_asks_in_time_for_five_windows(self, handed_out: Session) -> None:
        assert SLIDES == 5
        session = handed_out
        for moment in (150, 200, 250, 300, 350):
            session = refreshed(session, "r0", child="r9", at=after(moment))
            assert (session.pending, session.pending_since) == ("r1", after(100))
        assert refreshed(session, "r0", child="r9", at=after(400) - TICK).pending == "r1"
        assert refreshed(session, "r0", child="r9", at=after(400)).pending == "r9"

    def test_the_one_that_replaces_it_has_five_windows_of_its_own(self, handed_out: Session) -> None:
        session = handed_out
        for moment in (150, 200, 250, 300, 350, 400):
            session = refreshed(session, "r0", child="r9", at=after(moment))
        assert (session.pending, session.pending_since) == ("r9", after(400))
        for moment in (450, 500, 550, 600, 650, 699):
            session = refreshed(session, "r0", child="r10", at=after(moment))
            assert session.pending == "r9"

    def test_so_has_the_one_that_a_promotion_brings(self, handed_out: Session) -> None:
        session = handed_out
        for moment in (150, 200, 250, 300, 350):
            session = refreshed(session, "r0", child="r9", at=after(moment))
        promoted = refreshed(session, "r1", child="r2", at=after(390))
        assert (promoted.pending, promoted.pending_since) == ("r2", after(390))
        assert refreshed(promoted, "r1", child="r9", at=after(440)).pending == "r2"

    def test_a_slow_tab_does_not_prolong_them(self, promoted: Session) -> None:
        session = refreshed(promoted, "r0", at=after(250))
        for moment in (300, 350, 400, 450, 499):
            session = refreshed(session, "r1", child="r9", at=after(moment))
            assert session.pending == "r2"
        assert refreshed(session, "r1", child="r9", at=after(500)).pending == "r9"

    def test_of_a_release_that_did_not_note_when_it_was_first_given_counts_from_when_it_was_last(
        self, handed_out: Session
    ) -> None:
        session = replace(handed_out, pending_since=None)
        for moment in (150, 200, 250, 300, 350, 399):
            session = refreshed(session, "r0", child="r9", at=after(moment))
            assert session.pending == "r1"
        assert refreshed(session, "r0", child="r9", at=after(400)).pending == "r9"

    def test_of_such_a_release_beside_this_one_is_given_again_although_the_note_is_of_another_child(
        self, handed_out: Session
    ) -> None:
        """Or the second of two tabs would be given another child, and one of them be logged out for it."""
        session = replace(handed_out, pending_since=after(-3600))
        for moment in (150, 200, 250, 300, 350, 399):
            session = refreshed(session, "r0", child="r9", at=after(moment))
            assert session.pending == "r1"
        assert refreshed(session, "r0", child="r9", at=after(400)).pending == "r9"


class TestClocks:
    @pytest.mark.parametrize("skew", [-59, -15, 15, 59])
    def test_a_replica_whose_clock_is_off_by_less_than_the_window_sees_no_reuse(
        self, skew: int, handed_out: Session, promoted: Session
    ) -> None:
        assert refreshed(handed_out, "r0", child="r9", at=after(100 + skew)).pending == "r1"
        assert refreshed(promoted, "r0", child="r9", at=after(200 + skew)).pending == "r2"

    def test_a_clock_set_back_by_hours_does_not_bring_a_superseded_token_back(
        self, promoted: Session
    ) -> None:
        assert is_reuse(promoted, "r0", at=after(140))
        assert is_reuse(promoted, "r0", at=after(-7200))

    def test_a_clock_that_is_behind_does_not_make_the_session_older(self, promoted: Session) -> None:
        assert refreshed(promoted, "r1", at=after(150)).last_used_at == after(200)

    def test_with_a_window_of_nothing_every_child_is_new_and_no_tab_may_be_slow(self) -> None:
        nothing = timedelta()
        first = new_session().refreshed("r0", child="r1", at=START, window=nothing)
        assert first is not None
        second = first.refreshed("r0", child="r2", at=START, window=nothing)
        assert second is not None
        assert second.pending == "r2"
        third = second.refreshed("r2", child="r3", at=START, window=nothing)
        assert third is not None
        assert third.refreshed("r0", child="r4", at=START, window=nothing) is None


class TestWhatRefreshingLeavesAlone:
    def test_whose_it_is_when_it_ends_and_whether_it_ended(self, promoted: Session) -> None:
        fresh = new_session()
        assert (promoted.id, promoted.user_id, promoted.created_at) == (
            fresh.id,
            fresh.user_id,
            fresh.created_at,
        )
        assert (promoted.expires_at, promoted.revoked_at, promoted.client) == (
            fresh.expires_at,
            None,
            fresh.client,
        )

    def test_the_session_it_was_asked_of(self) -> None:
        session = new_session()
        refreshed(session, "r0", child="r1", at=after(100))
        assert session == new_session()


class TestLiveness:
    def test_until_its_absolute_end_and_not_at_it(self) -> None:
        session = new_session()
        forever = timedelta(days=1000)
        assert session.is_live(at=session.expires_at - TICK, idle=forever)
        assert not session.is_live(at=session.expires_at, idle=forever)

    def test_until_it_was_idle_for_too_long_and_not_then(self) -> None:
        session = new_session()
        assert session.is_live(at=START + IDLE - TICK, idle=IDLE)
        assert not session.is_live(at=START + IDLE, idle=IDLE)

    def test_every_refresh_keeps_it_from_being_idle(self, handed_out: Session) -> None:
        assert handed_out.is_live(at=after(100) + IDLE - TICK, idle=IDLE)
        assert not handed_out.is_live(at=after(100) + IDLE, idle=IDLE)

    def test_never_once_it_was_revoked(self) -> None:
        revoked = Session(
            id="session",
            user_id=1,
            current="r0",
            created_at=START,
            last_used_at=START,
            expires_at=START + timedelta(days=30),
            revoked_at=after(10),
        )
        for moment in (-5, 5, 10, 15):  # however the clock is set
            assert not revoked.is_live(at=after(moment), idle=IDLE)


# One moment at which a client refreshes: how long after the last, and what each of its tabs, which all read
# the same shared token, meets: a replica's clock that is off, a delay on the way, an answer lost or not.
TABS = st.lists(st.tuples(st.integers(-7, 8), st.integers(0, 20), st.booleans()), min_size=1, max_size=4)
REFRESHES = st.lists(st.tuples(st.integers(25, 500_000), TABS), max_size=12)


class TestAnHonestClient:
    @given(REFRESHES)
    def test_tabs_that_share_storage_are_never_logged_out(
        self, refreshes: list[tuple[int, list[tuple[int, int, bool]]]]
    ) -> None:
        session, stored, now, children = new_session(), "r0", 0, count(1)
        for pause, tabs in refreshes:
            now += pause
            read = stored
            for skew, delay, lost in sorted(tabs, key=lambda tab: tab[1]):
                at = after(now + delay + skew)
                session = refreshed(session, read, child=f"c{next(children)}", at=at)
                if not lost:
                    assert session.pending is not None
                    stored = session.pending

    @given(st.lists(st.integers(0, 500_000), max_size=20))
    def test_one_that_never_stores_what_it_gets_is_never_logged_out(self, pauses: list[int]) -> None:
        session, now = new_session(), 0
        for number, pause in enumerate(pauses):
            now += pause
            session = refreshed(session, "r0", child=f"c{number}", at=after(now))


class TestAThief:
    @given(
        first=st.sampled_from(["owner", "thief"]),
        pauses=st.lists(st.integers(60, 500_000), min_size=8, max_size=8),
    )
    def test_one_who_takes_turns_with_the_owner_is_found_at_the_third_refresh(
        self, first: str, pauses: list[int]
    ) -> None:
        second = "thief" if first == "owner" else "owner"
        held = {"owner": "r0", "thief": "r0"}
        session, now = new_session(), 0
        for number, pause in enumerate(pauses):
            now += pause
            who = (first, second)[number % 2]
            result = session.refreshed(held[who], child=f"c{number}", at=after(now), window=WINDOW)
            if result is None:
                # Both presented the stolen token. The first child was replaced by the second.
                assert number == 2
                return
            assert result.pending is not None
            session, held[who] = result, result.pending
        pytest.fail("never found")

    @given(st.integers(1, 10), st.integers(60, 500_000))
    def test_one_who_waits_is_found_at_once(self, generations: int, pause: int) -> None:
        session, held, now = new_session(), "r0", 0
        for number in range(generations + 1):
            now += 100
            session = refreshed(session, held, child=f"c{number}", at=after(now))
            assert session.pending is not None
            held = session.pending
        assert is_reuse(session, "r0", at=after(now + pause))

    @given(poll=st.integers(1, 59), start=st.integers(0, 1000), pause=st.integers(360, 500_000))
    def test_one_who_asks_every_minute_is_found_once_the_owner_pauses_for_six_windows(
        self, poll: int, start: int, pause: int
    ) -> None:
        """The child that the owner holds is replaced meanwhile by one that only the thief was given."""
        session, children = new_session(), count(1)
        for moment in range(0, start + 1, poll):
            session = refreshed(session, "r0", child=f"c{next(children)}", at=after(moment))
        session = refreshed(session, "r0", child="the owner's", at=after(start))
        held = session.pending
        assert held is not None
        for moment in range(start, start + min(pause, 1000), poll):
            session = refreshed(session, "r0", child=f"c{next(children)}", at=after(moment))
        assert is_reuse(session, held, at=after(start + pause))


def device_of(user_agent: str = "", address: str = "") -> bytes:
    return Client(user_agent=user_agent, address=address).device


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.85"


class TestTheDeviceOfAClient:
    @pytest.mark.parametrize(
        ("before", "after_an_update"),
        [
            (FIREFOX, FIREFOX.replace("140.0", "141.0")),
            (FIREFOX, FIREFOX.replace("140.0", "141.0.1")),
            (CHROME, CHROME.replace("131.0.6778.85", "132.0.0.0")),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0_1 like Mac OS X)",
            ),
            ("curl/8.5.0", "curl/8.10"),
        ],
    )
    def test_is_the_same_after_the_browser_or_the_system_was_updated(
        self, before: str, after_an_update: str
    ) -> None:
        assert before != after_an_update
        assert device_of(before, "192.0.2.7") == device_of(after_an_update, "192.0.2.7")

    def test_is_another_for_another_program_or_system(self) -> None:
        agents = [
            FIREFOX,
            CHROME,
            FIREFOX.replace("X11; Linux x86_64", "Windows NT 10.0; Win64; x64"),
            "curl/8.5.0",
            "",
        ]
        assert len({device_of(agent, "192.0.2.7") for agent in agents}) == len(agents)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("192.0.2.7", "192.0.2.8"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.0.2.7", "::ffff:192.0.2.200"),
            ("2001:db8:1::1", "2001:db8:1:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8:1::1", "2001:DB8:1:0:0:0:0:2"),
            ("fe80::1%eth0", "fe80::2%eth0"),
            ("", ""),
            ("a socket", "a socket"),
        ],
    )
    def test_is_the_same_on_another_address_of_the_network(self, one: str, other: str) -> None:
        assert device_of(FIREFOX, one) == device_of(FIREFOX, other)

    def test_is_another_on_another_network(self) -> None:
        addresses = [
            *("192.0.2.7", "192.0.3.7", "192.1.2.7", "::ffff:198.51.100.7", "::ffff:203.0.113.7"),
            *("2001:db8:1::1", "2001:db8:2::1", "2001:db9:1::1", "::1", "127.0.0.1"),
            *("", "a socket", "192.0.2.007", "192.0.2.7.1", "999.0.2.7"),
        ]
        assert len({device_of(FIREFOX, address) for address in addresses}) == len(addresses)

    @pytest.mark.parametrize(
        "user_agent",
        [
            "\0",
            "\ud800",
            "\udfff\ud800",
            "🦊" * 1000,
            "9" * 10_000,
            "1." * 10_000,
            "1_" * 10_000 + "x",
            "\r\n",
            "é",
        ],
    )
    @pytest.mark.parametrize(
        "address", ["", "192.0.2.7", "\0", "\ud800", "٣.٣.٣.٣", "1" * 10_000, "::" * 100, "%"]
    )
    def test_is_32_bytes_whatever_it_claims_to_be(self, user_agent: str, address: str) -> None:
        assert len(device_of(user_agent, address)) == 32

    def test_of_one_of_whom_nothing_is_known_is_always_the_same(self) -> None:
        assert UNKNOWN_CLIENT.device == Client().device != device_of("x")
