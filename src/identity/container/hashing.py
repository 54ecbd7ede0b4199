"""How many passwords are hashed at once, and how much memory each may take."""

from __future__ import annotations

from collections.abc import Callable

from identity.adapters.argon2 import Argon2Hasher
from identity.adapters.machine import usable_cores, usable_memory
from identity.settings import Settings, SettingsError, values

MEBIBYTE = 1024 * 1024
AHEAD = 2
"""Attempts that are counted in the database while others are hashed, so that no slot lies idle meanwhile."""


def hasher_kind(settings: Settings) -> str:
    return "argon2" if settings.hasher == "argon2" else "class"


def hashing_memory(settings: Settings) -> int:
    """For all workers together, in MiB."""
    return settings.hashing_memory or usable_memory() // MEBIBYTE // 2


def hashing_slots(settings: Settings) -> int:
    """How many passwords each worker hashes at once: what cores and memory there are, shared by the workers.

    Raises:
        SettingsError: there is not the memory for one.
    """
    cores = usable_cores() // settings.workers
    if settings.hasher != "argon2":
        return max(cores, 1)
    budget = hashing_memory(settings)
    needed = settings.argon2_memory_cost / 1024
    fitting = int(budget / settings.workers / needed)
    if fitting < 1:
        given = "IDENTITY_HASHING_MEMORY" if settings.hashing_memory else "half of the memory that is there"
        raise SettingsError(
            [
                f"hashing a password takes {needed:.0f} MiB (IDENTITY_ARGON2_MEMORY_COST), and a worker has "
                f"{budget / settings.workers:.0f} MiB of the {budget} MiB that are {given} "
                f"(IDENTITY_WORKERS is {settings.workers})"
            ]
        )
    return max(1, min(cores // settings.argon2_parallelism, fitting))


def hashing_turns(settings: Settings, slots: int) -> int:
    """How many attempts each worker has under way at once, counting them in the database or hashing.

    Our own hasher keeps to its slots by itself, so that the next ones can be counted while it is busy; of
    another's we know nothing.
    """
    return slots + AHEAD if settings.hasher == "argon2" else slots


def argon2_of(settings: Settings) -> Callable[[int], Argon2Hasher]:
    """Hashers that differ from the settings in their memory cost alone."""

    def of(memory_cost: int) -> Argon2Hasher:
        return Argon2Hasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=memory_cost,
            parallelism=settings.argon2_parallelism,
            threads=1,
        )

    return of


def most_memory_cost(settings: Settings) -> int:
    """What a worker could spend on one password at a time, in KiB."""
    return min(hashing_memory(settings) * 1024 // settings.workers, values.MOST_MEMORY_COST)
