"""Every port without a technology behind it: for tests, for scripts, and for a service that may forget.

The storage is an honest one. It rolls back, serialises writers, decides uniqueness, and lets other tasks run
where a database would.
"""

from identity.adapters.memory.rate_limiter import MemoryRateLimiter
from identity.adapters.memory.stand_ins import (
    FixedClock,
    MemoryMailer,
    MemoryTokens,
    MemoryWebhookSender,
    PlainHasher,
    SeededRandomness,
    WordList,
)
from identity.adapters.memory.storage import MemorySchema, MemoryStorage

__all__ = [
    "FixedClock",
    "MemoryMailer",
    "MemoryRateLimiter",
    "MemorySchema",
    "MemoryStorage",
    "MemoryTokens",
    "MemoryWebhookSender",
    "PlainHasher",
    "SeededRandomness",
    "WordList",
]
