"""What is measured where: the service as it is, which must tell nothing, and the same with a planted leak."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.timing.deployment import deployment, mail_server, no_mail_server
from tests.timing.measuring import (
    CONTROL,
    FOR_ADDRESSES,
    FOR_LOGINS,
    FOR_MAIL,
    FOR_THROTTLED,
    WARM_UP,
    Pair,
    measure,
)
from tests.timing.statistics import Difference

ATTEMPTS = {True: 5, False: 3, None: 1}
"""So often a surprise must repeat itself, each time with twice as many pairs: one may be the machine's.

By whether a leak was planted: a busy machine hides one more easily than it shows one that is none.
"""
FOLLOWERS = 20
"""Requests in the time in which a mail that was asked for is delivered, when delivery is prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    name: str
    pairs: tuple[Pair, ...]
    planted: str = "nothing"
    hasher: str = "CheapHasher"
    mail: Callable[[], AbstractContextManager[str | None]] = nullcontext
    """A mail server's URL; without one no mail is delivered."""
    settings: Mapping[str, object] = field(default_factory=dict)
    leaks: bool | None = False
    """What must be found. `None`: it is shown, and is no failure either way."""
    followers: int = 0


SITES = (
    Site(name="as it is", pairs=(CONTROL, *FOR_LOGINS, *FOR_MAIL)),
    Site(name="throttled", pairs=FOR_THROTTLED, settings={"login_free_failures": 1, "login_failures": 1}),
    Site(
        name="addresses verified",
        pairs=FOR_ADDRESSES,
        settings={"email_verification": "required", "login_code": "true", "access_lifetime": "1d"},
    ),
    Site(name="mail server up", pairs=FOR_MAIL, mail=mail_server),
    Site(name="mail server down", pairs=FOR_MAIL, mail=no_mail_server),
    Site(name="planted: no dummy hash", pairs=FOR_LOGINS[:1], hasher="NoDummyHash", leaks=True),
    Site(name="planted: one more SELECT", pairs=FOR_LOGINS[:1], planted="one_more_select", leaks=True),
)

# Who asks for a reset and then keeps asking for something else feels the mail leave, where the process that
# answers also delivers. SECURITY.md says so; here is how much.
AFTERMATH = tuple(
    Site(
        name=f"mail server {state}, the {FOLLOWERS} requests after",
        pairs=FOR_MAIL,
        mail=mail,
        planted="prompt_delivery",
        leaks=None,
        followers=FOLLOWERS,
    )
    for state, mail in (("up", mail_server), ("down", no_mail_server))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    site: Site
    pair: Pair
    found: Difference

    @property
    def is_as_expected(self) -> bool:
        return self.site.leaks is None or self.found.is_leak is self.site.leaks

    @property
    def verdict(self) -> str:
        if self.site.leaks is None:
            return "leak, documented" if self.found.is_leak else "alike"
        if self.site.leaks:
            return "found" if self.found.is_leak else "MISSED"
        return "LEAK" if self.found.is_leak else "alike"


def measured(site: Site, folder: Path, *, pairs: int, seed: str) -> Iterator[Row]:
    """Starts a server in the folder, and measures each pair of kinds, `pairs` times or more."""
    chance = random.Random(seed)
    with site.mail() as url:
        settings = {**site.settings, **({} if url is None else {"mail_url": url})}
        # No account is asked for as often as an account may be in a day.
        count = 2 * (WARM_UP + pairs)
        with deployment(folder, count=count, planted=site.planted, hasher=site.hasher, **settings) as asked:
            for pair in site.pairs:
                start = 0
                for attempt in range(ATTEMPTS[site.leaks]):
                    taken = pairs * 2**attempt
                    found = measure(
                        asked, pair, pairs=taken, chance=chance, start=start, followers=site.followers
                    )
                    row = Row(site=site, pair=pair, found=found)
                    if row.is_as_expected:
                        break
                    start += WARM_UP + taken
                yield row
