"""How much of the machine this process may use, told from files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from identity.adapters import machine
from identity.adapters.machine import usable_cores, usable_memory

GIBIBYTE = 1024**3
NO_LIMIT_IN_V1 = 9223372036854771712  # the greatest number of whole pages


class Machine:
    """One of 8 GiB, with the control groups that a test writes down."""

    def __init__(self, folder: Path) -> None:
        self.groups = folder / "cgroup"
        self.own = folder / "own"
        self.groups.mkdir()

    def limit(self, path: str, limit: object) -> None:
        file = self.groups / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")

    def is_in(self, *lines: str) -> None:
        self.own.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    computer = Machine(tmp_path)
    monkeypatch.setattr(machine, "_CGROUPS", computer.groups)
    monkeypatch.setattr(machine, "_OWN_GROUP", computer.own)
    monkeypatch.setattr(machine, "_physical_memory", lambda: 8 * GIBIBYTE)
    return computer


def test_without_control_groups_it_is_what_the_machine_has(computer: Machine) -> None:
    assert usable_memory() == 8 * GIBIBYTE


def test_this_machine_has_some_of_both() -> None:
    assert usable_memory() > 1024**2
    assert usable_cores() >= 1


class TestVersion2:
    def test_a_container_sees_its_own_limit_at_the_root(self, computer: Machine) -> None:
        computer.is_in("0::/")
        computer.limit("memory.max", GIBIBYTE)
        assert usable_memory() == GIBIBYTE

    def test_no_limit_is_called_max(self, computer: Machine) -> None:
        computer.is_in("0::/")
        computer.limit("memory.max", "max")
        assert usable_memory() == 8 * GIBIBYTE

    @pytest.mark.parametrize("narrow", ["system.slice/identity.service", "system.slice", "."])
    def test_of_nested_groups_each_limit_holds(self, computer: Machine, narrow: str) -> None:
        computer.is_in("0::/system.slice/identity.service")
        for group in ("system.slice/identity.service", "system.slice", "."):
            computer.limit(f"{group}/memory.max", GIBIBYTE if group == narrow else 2 * GIBIBYTE)
        assert usable_memory() == GIBIBYTE

    def test_the_groups_of_others_do_not_count(self, computer: Machine) -> None:
        computer.is_in("0::/system.slice/identity.service")
        computer.limit("system.slice/other.service/memory.max", 1)
        computer.limit("user.slice/memory.max", 1)
        assert usable_memory() == 8 * GIBIBYTE

    def test_a_group_outside_of_what_a_container_sees_is_no_harm(self, computer: Machine) -> None:
        computer.is_in("0::/../../elsewhere")
        computer.limit("memory.max", GIBIBYTE)
        assert usable_memory() == GIBIBYTE


class TestVersion1:
    def test_a_container_sees_its_own_limit_at_the_root(self, computer: Machine) -> None:
        computer.is_in("5:memory:/docker/0123", "4:cpu,cpuacct:/docker/0123", "1:name=systemd:/docker/0123")
        computer.limit("memory/memory.limit_in_bytes", GIBIBYTE)
        assert usable_memory() == GIBIBYTE

    @pytest.mark.parametrize("controllers", ["memory", "cpu,memory"])
    def test_of_nested_groups_each_limit_holds(self, computer: Machine, controllers: str) -> None:
        computer.is_in(f"5:{controllers}:/system.slice/identity.service", "0::/")
        computer.limit("memory/memory.limit_in_bytes", NO_LIMIT_IN_V1)
        computer.limit("memory/system.slice/memory.limit_in_bytes", GIBIBYTE)
        computer.limit("memory/system.slice/identity.service/memory.limit_in_bytes", NO_LIMIT_IN_V1)
        assert usable_memory() == GIBIBYTE

    def test_no_limit_is_a_great_number(self, computer: Machine) -> None:
        computer.limit("memory/memory.limit_in_bytes", NO_LIMIT_IN_V1)
        assert usable_memory() == 8 * GIBIBYTE


class TestOddFiles:
    @pytest.mark.parametrize("content", ["", "max", "-", "1 GiB", "\xe9"])
    def test_a_limit_that_cannot_be_read_is_none(self, computer: Machine, content: str) -> None:
        computer.limit("memory.max", content)
        assert usable_memory() == 8 * GIBIBYTE

    def test_a_group_with_a_colon_or_beyond_ascii_in_its_name_is_no_harm(self, computer: Machine) -> None:
        computer.is_in("0::/a:b/é")
        computer.limit("a:b/memory.max", GIBIBYTE)
        assert usable_memory() == GIBIBYTE


class TestCores:
    def test_they_are_those_that_the_process_may_run_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
        assert usable_cores() == 3

    @pytest.mark.parametrize(("counted", "cores"), [(6, 6), (None, 1)])
    def test_where_a_system_does_not_say_they_are_all_there_are_or_one(
        self, monkeypatch: pytest.MonkeyPatch, counted: int | None, cores: int
    ) -> None:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: counted)
        assert usable_cores() == cores
