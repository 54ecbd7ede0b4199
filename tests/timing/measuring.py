"""Which requests are compared, and how: in pairs, one of each kind, in an order that is drawn each time."""

from __future__ import annotations

import contextlib
import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.timing.deployment import PASSWORD, WRONG_PASSWORD, Connection, Deployment
from tests.timing.statistics import Difference

WARM_UP = 10  # pairs: what is done for the first time takes longer


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests whose time must not tell of which kind they are."""

    path: str
    status: int
    body: Callable[[Deployment, int], dict[str, str]]
    """Of the request of this number. It is as long as that of every kind it is compared with."""
    is_signed_in: bool = False


def _login(name: Callable[[Deployment, int], str], password: str = WRONG_PASSWORD, status: int = 401) -> Kind:
    return Kind(
        "/api/auth/login/",
        status,
        lambda asked, number: {"username": name(asked, number), "password": password},
    )


def _address(name: Callable[[Deployment, int], str]) -> Callable[[Deployment, int], str]:
    return lambda asked, number: f"{name(asked, number)}@example.com"


def _first(name: Callable[[Deployment, int], str]) -> Callable[[Deployment, int], str]:
    """The same each time, so that it is throttled."""
    return lambda asked, number: name(asked, 0)


def _mail(name: Callable[[Deployment, int], str], path: str = "/api/auth/forgot-password/") -> Kind:
    # Another address each time: a second mail to one address is none while the first waits, and no account
    # gets more than five a day.
    return Kind(
        path,
        200,
        lambda asked, number: {"email": _address(name)(asked, number)},
    )


def _reset(reference: Callable[[Deployment], str]) -> Kind:
    return Kind(
        "/api/auth/reset-password/",
        400,
        lambda asked, number: {"uidb64": reference(asked), "token": "A" * 43, "password": PASSWORD},
    )


def _register(email: Callable[[Deployment, int], str]) -> Kind:
    # A free address leaves an account behind, a taken one does not. As the order of the two is drawn, both
    # meet a table that is as full, and neither its own account: the username is new each time.
    return Kind(
        "/api/auth/register/",
        201,
        lambda asked, number: {
            "username": asked.new(),
            "email": _address(email)(asked, number),
            "password": PASSWORD,
        },
    )


def _confirm(name: Callable[[Deployment, int], str]) -> Kind:
    # Another request each time: one has five tries.
    return Kind(
        "/api/auth/login-code/confirm/",
        401,
        lambda asked, number: {"request": asked.request(name(asked, number)), "code": "00000000"},
    )


def _change(name: Callable[[Deployment, int], str]) -> Kind:
    return Kind(
        "/api/user/change-email/",
        200,
        lambda asked, number: {"new_email": _address(name)(asked, number), "password": PASSWORD},
        is_signed_in=True,
    )


RESEND, CODE = "/api/auth/resend-verification/", "/api/auth/login-code/"

# The answers to the warm-up are not looked at: it may bring about the state that a kind is about.
KINDS = {
    "unknown name": _login(Deployment.nobody),
    "unknown address": _login(_address(Deployment.nobody)),
    "wrong password": _login(Deployment.known),
    "wrong password by address": _login(_address(Deployment.known)),
    "disabled": _login(Deployment.disabled, PASSWORD),
    "disabled by address": _login(_address(Deployment.disabled), PASSWORD),
    "disabled and wrong": _login(Deployment.disabled),
    "throttled, unknown": _login(_first(Deployment.nobody), status=429),
    "throttled, wrong password": _login(_first(Deployment.known), status=429),
    "throttled, disabled": _login(_first(Deployment.disabled), PASSWORD, status=429),
    "forgotten by nobody": _mail(Deployment.nobody),
    "forgotten": _mail(Deployment.known),
    "reset of nobody": _reset(lambda asked: asked.nobodys_reference),
    "reset with a wrong token": _reset(lambda asked: asked.reference),
    "right password, unverified": _login(Deployment.known, PASSWORD),
    "link for nobody": _mail(Deployment.nobody, RESEND),
    "link for an unverified account": _mail(Deployment.known, RESEND),
    "link for a verified account": _mail(Deployment.verified, RESEND),
    "registers a free address": _register(lambda asked, number: asked.new()),
    "registers a taken address": _register(Deployment.known),
    "code for nobody": _mail(Deployment.nobody, CODE),
    "code for an account": _mail(Deployment.known, CODE),
    "wrong code of nobody": _confirm(Deployment.nobody),
    "wrong code of an account": _confirm(Deployment.known),
    "changes to a free address": _change(Deployment.nobody),
    "changes to a taken address": _change(Deployment.known),
}

FOLLOWER = KINDS["unknown name"]

Pair = tuple[str, str]

CONTROL: Pair = ("wrong password", "wrong password")
"""One kind against itself: what differs here is an error of the measurement."""
FOR_LOGINS: tuple[Pair, ...] = (
    ("unknown name", "wrong password"),
    ("unknown address", "wrong password by address"),
    ("wrong password", "disabled"),
    ("wrong password by address", "disabled by address"),
    ("unknown name", "disabled"),
    ("unknown name", "disabled and wrong"),
    ("reset of nobody", "reset with a wrong token"),
)
FOR_THROTTLED: tuple[Pair, ...] = (
    ("throttled, unknown", "throttled, wrong password"),
    ("throttled, unknown", "throttled, disabled"),
)
FOR_MAIL: tuple[Pair, ...] = (("forgotten by nobody", "forgotten"),)
FOR_ADDRESSES: tuple[Pair, ...] = (
    ("unknown name", "right password, unverified"),
    ("link for nobody", "link for an unverified account"),
    ("link for nobody", "link for a verified account"),
    ("registers a free address", "registers a taken address"),
    ("code for nobody", "code for an account"),
    ("wrong code of nobody", "wrong code of an account"),
    ("changes to a free address", "changes to a taken address"),
)


def measure(
    asked: Deployment, pair: Pair, *, pairs: int, chance: random.Random, start: int = 0, followers: int = 0
) -> Difference:
    """How much longer requests of the second kind take. `start` is the number of the first ones.

    With `followers`, so many requests after each are measured in its place, all of one kind.
    """
    samples: tuple[list[float], list[float]] = ([], [])
    kinds = [KINDS[name] for name in pair]
    with contextlib.closing(Connection(asked.server.port)) as connection, _no_pauses():
        for number in range(WARM_UP + pairs):
            for side in chance.sample((0, 1), 2):
                kind = kinds[side]
                status, milliseconds = connection.post(
                    kind.path,
                    kind.body(asked, start + number),
                    access=asked.access if kind.is_signed_in else None,
                )
                if number < WARM_UP:
                    continue
                assert status == kind.status, (pair[side], status)
                if followers:
                    milliseconds = sum(
                        connection.post(FOLLOWER.path, FOLLOWER.body(asked, 0))[1] for _ in range(followers)
                    )
                samples[side].append(milliseconds)
    return Difference.between(*samples)


@contextmanager
def _no_pauses() -> Iterator[None]:
    """Those that the garbage collector makes in this process."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
