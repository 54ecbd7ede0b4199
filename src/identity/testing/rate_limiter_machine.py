"""Random histories, told to two rate limiters at once: what the one answers, the other must answer too.

The one is the model, the other the subject. A binding opens each of the two, with nothing counted::

    @asynccontextmanager
    async def my_limiter():
        yield MyRateLimiter(...)

    def test_my_limiter_answers_as_the_one_in_memory_does():
        assert_alike(memory_limiter, my_limiter)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias, cast

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from identity.application.ports import RateLimiter
from identity.domain.errors import IdentityError, Throttled
from identity.domain.throttling import FAVOURED_FOR, RESERVED_FOR, Backoff, Bucket, Reservation, Window
from identity.testing.rate_limiter.subject import MINUTE, bucket
from identity.testing.samples import MICROSECOND, NOW, SECOND

OpenLimiter: TypeAlias = Callable[[], AbstractAsyncContextManager[RateLimiter]]
PHASES = [Phase.generate, Phase.shrink]  # not explain, which takes long and finds little in a history
SETTINGS = settings(max_examples=20, stateful_step_count=5, derandomize=True, deadline=None, phases=PHASES)


def assert_alike(model: OpenLimiter, subject: OpenLimiter, *, settings: settings = SETTINGS) -> None:
    """Raises `AssertionError` with the shortest history that was found after which the two differ."""
    run_state_machine_as_test(cast(Any, lambda: LimiterMachine(model, subject)), settings=settings)


# Few of everything, so that much comes together. Homes are shared by accounts in one of two cases.
LOGIN = Backoff(free=2, stop=4, longest=3 * SECOND)
WINDOW = Window(limit=3, length=5 * MINUTE)
ACCOUNTS = [bucket(account, LOGIN, favoured=home) for account in "ab" for home in (f"{account} at home", "c")]
ADDRESSES = [bucket(name, WINDOW) for name in "xy"]
# The clock stands still, goes on to where something ends, and is set back.
MOMENTS = [timedelta(0), SECOND, 2 * SECOND, RESERVED_FOR, WINDOW.length, FAVOURED_FOR, LOGIN.length]
OFFSETS = [timedelta(0), MICROSECOND, -MICROSECOND]
PAUSES = st.just(timedelta(0)) | st.builds(
    lambda moment, offset, sign: sign * moment + offset,
    st.sampled_from(MOMENTS),
    st.sampled_from(OFFSETS),
    st.sampled_from([1, 1, 1, -1]),
)

ATTEMPTS = st.one_of(
    st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(ADDRESSES)),
    st.tuples(st.sampled_from(ACCOUNTS)),
    st.tuples(st.sampled_from(ADDRESSES)),
)


@dataclass(frozen=True, slots=True)
class Step:
    """What is done after a pause; `which` of the attempts under way is settled."""

    method: str
    buckets: tuple[Bucket, ...]
    which: int
    pause: timedelta


# To settle one is drawn as often as to reserve, or nothing would ever fail.
STEPS = st.builds(
    Step,
    st.sampled_from(["reserve"] * 4 + ["fail"] * 3 + ["succeed", "count", "empty", "purge"]),
    ATTEMPTS,
    st.integers(0, 2),
    PAUSES,
)


class LimiterMachine(RuleBasedStateMachine):
    def __init__(self, model: OpenLimiter, subject: OpenLimiter) -> None:
        super().__init__()
        self.at = NOW
        self.under_way: list[tuple[Reservation, ...]] = []
        with ExitStack() as opened:
            self.runner = opened.enter_context(asyncio.Runner())
            limiters = AsyncExitStack()
            opened.callback(lambda: self.runner.run(limiters.aclose()))
            enter = limiters.enter_async_context
            self.limiters = [self.runner.run(enter(each())) for each in (model, subject)]
            self._close = opened.pop_all().close

    def teardown(self) -> None:
        self._close()

    @rule(steps=st.lists(STEPS, min_size=1, max_size=20))
    def go_on(self, steps: list[Step]) -> None:
        for step in steps:
            self.at += step.pause
            ours, theirs = (
                self.runner.run(_answer(each, step, self.under_way, self.at)) for each in self.limiters
            )
            assert theirs == ours, f"{step}\nthe model:   {ours}\nthe subject: {theirs}"
            if step.method == "reserve" and isinstance(ours, tuple):
                self.under_way.append(ours)
            elif step.method in {"fail", "succeed"} and self.under_way:
                self.under_way.pop(step.which % len(self.under_way))


async def _answer(
    limiter: RateLimiter, step: Step, under_way: Sequence[tuple[Reservation, ...]], at: datetime
) -> object:
    try:
        return await _done(limiter, step, under_way, at)
    except Throttled as throttled:
        return throttled.retry_after
    except IdentityError as error:
        return type(error)


def _done(
    limiter: RateLimiter, step: Step, under_way: Sequence[tuple[Reservation, ...]], at: datetime
) -> Awaitable[object]:
    match step.method:
        case "reserve":
            return limiter.reserve(*step.buckets, at=at)
        case "count":
            return limiter.count(step.buckets[-1], at=at)
        case "empty":
            return limiter.empty(step.buckets[0], at=at)
        case "purge":
            return limiter.purge(ended_before=at, limit=1000)  # with a lower one it is left open which go
        case _:
            settle = limiter.fail if step.method == "fail" else limiter.succeed
            return settle(*(under_way[step.which % len(under_way)] if under_way else ()), at=at)
