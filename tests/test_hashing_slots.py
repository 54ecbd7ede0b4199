"""How many passwords each worker hashes at once, by the cores and the memory that all of them share."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from identity.container import buckets, build_container, hashing
from identity.container.hashing import MEBIBYTE, hashing_slots
from identity.domain.secrets import Secret
from identity.domain.throttling import Backoff, Window
from identity.entrypoints import cli
from identity.settings import Settings, SettingsError

GIBIBYTE = 1024 * MEBIBYTE


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def has(*, cores: int = 8, memory: int = 64 * GIBIBYTE) -> None:
        monkeypatch.setattr(hashing, "usable_cores", lambda: cores)
        monkeypatch.setattr(hashing, "usable_memory", lambda: memory)

    return has


@pytest.mark.parametrize(
    ("cores", "settings", "slots"),
    [
        (1, {}, 1),
        (8, {}, 8),
        (8, {"workers": 2}, 4),
        (8, {"workers": 3}, 2),
        (8, {"workers": 100}, 1),
        (8, {"argon2_parallelism": 4}, 2),
        (8, {"argon2_parallelism": 4, "workers": 2}, 1),
        (8, {"argon2_parallelism": 64}, 1),
    ],
)
def test_workers_and_the_lanes_of_a_hash_share_the_cores(
    machine, cores: int, settings: dict[str, Any], slots: int
) -> None:
    machine(cores=cores)
    assert hashing_slots(Settings(**settings)) == slots


@pytest.mark.parametrize(
    ("memory", "settings", "slots"),
    [
        (38, {}, 1),  # half of it for one of 19 MiB
        (75, {}, 1),
        (76, {}, 2),
        (1024, {}, 26),
        (1024, {"workers": 2}, 13),
        (1024, {"argon2_memory_cost": 65536}, 8),
        (1024, {"argon2_memory_cost": 65536, "workers": 2}, 4),
        (38, {"hashing_memory": 190}, 10),
        (38, {"hashing_memory": 190, "workers": 4}, 2),
    ],
)
def test_workers_share_half_of_the_memory_or_what_was_set(
    machine, memory: int, settings: dict[str, Any], slots: int
) -> None:
    machine(cores=1000, memory=memory * MEBIBYTE)
    assert hashing_slots(Settings(**settings)) == slots


@pytest.mark.parametrize(
    ("memory", "settings", "told"),
    [
        (37, {}, "half of the memory that is there"),
        (1024, {"workers": 27}, "half of the memory that is there"),
        (1024, {"argon2_memory_cost": 1024 * 1024}, "half of the memory that is there"),
        (1024, {"hashing_memory": 19, "workers": 2}, "IDENTITY_HASHING_MEMORY"),
    ],
)
def test_without_the_memory_for_one_there_is_no_start(
    machine, memory: int, settings: dict[str, Any], told: str
) -> None:
    machine(memory=memory * MEBIBYTE)
    with pytest.raises(SettingsError) as refusal:
        hashing_slots(Settings(**settings))
    (line,) = refusal.value.problems
    for name in ("IDENTITY_ARGON2_MEMORY_COST", "IDENTITY_WORKERS", told):
        assert name in line


def test_of_the_memory_of_another_hasher_nothing_is_known(machine) -> None:
    machine(cores=8, memory=MEBIBYTE)
    assert hashing_slots(Settings(hasher="acme.passwords:Hasher", workers=2)) == 4
    assert hashing_slots(Settings(hasher="acme.passwords:Hasher", workers=100)) == 1


def test_the_hasher_has_as_many_threads_and_the_lane_lets_two_more_be_counted_ahead(machine) -> None:
    machine(cores=3)
    container = build_container(Settings(database_url="memory:"))
    assert container.lane()._free == 5
    assert container.hasher()._lane._max_workers == 3


@pytest.mark.parametrize("command", ["serve", "createsuperuser --noinput --username a --email a@example.com"])
def test_a_start_without_the_memory_for_one_ends_with_one_message(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("IDENTITY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    env = {
        "IDENTITY_HASHING_MEMORY": "19",
        "IDENTITY_WORKERS": "2",
        "IDENTITY_PORT": "0",
        cli.PASSWORD_VARIABLE: "yourpassword123",
    }
    result = CliRunner().invoke(cli.main, command.split(), env=env, catch_exceptions=False)
    assert result.exit_code == 78, result.output
    assert "IDENTITY_HASHING_MEMORY" in result.output
    assert "Traceback" not in result.output


def test_the_limits_are_those_of_the_settings() -> None:
    settings = Settings(login_free_failures=3, login_failures=7, address_failures=11, address_requests=13)
    ours = buckets(settings, Secret("s" * 32))
    minutes = timedelta(minutes=5)
    assert ours.per_account == Backoff(free=3, stop=7)
    assert ours.failures_per_address == Window(limit=11, length=minutes)
    assert ours.requests_per_address == Window(limit=13, length=minutes)
    assert ours.key not in {b"s" * 32, buckets(settings, Secret("t" * 32)).key}


def test_by_default_they_are_five_a_hundred_thirty_and_a_hundred() -> None:
    ours = buckets(Settings(), Secret("s" * 32))
    assert (ours.per_account.free, ours.per_account.stop) == (5, 100)
    assert (ours.failures_per_address.limit, ours.requests_per_address.limit) == (30, 100)
