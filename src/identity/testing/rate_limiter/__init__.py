"""What every `RateLimiter` owes its port."""

from __future__ import annotations

from identity.testing.rate_limiter.behaviour import Behaviour
from identity.testing.rate_limiter.concurrency import Concurrency
from identity.testing.rate_limiter.favoured_keys import FavouredKeys
from identity.testing.rate_limiter.whole_or_nothing import WholeOrNothing


class RateLimiterConformance(Behaviour, FavouredKeys, WholeOrNothing, Concurrency):
    """All tests of a `RateLimiter`: what it counts, several buckets at once, and several callers at once.

    Takes the fixture `limiter`, with nothing counted and none that another test has used.

        class TestMemoryRateLimiter(RateLimiterConformance):
            @pytest.fixture
            def limiter(self):
                return MemoryRateLimiter()
    """


__all__ = ["Behaviour", "Concurrency", "FavouredKeys", "RateLimiterConformance", "WholeOrNothing"]
