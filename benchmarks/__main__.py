"""`make bench` and `make bench-quick`: measures, prints tables, and tells what is missed."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.databases import Databases

from benchmarks import load, progress, suites
from benchmarks.machine import machine, slug
from benchmarks.report import report
from benchmarks.stage import SUBJECTS, Stage
from benchmarks.subjects import PEERS, ROOT
from benchmarks.suites import Step
from benchmarks.targets import judge, quick_targets, targets, unclean

RESULTS = ROOT / "benchmarks" / "results"
SUITES = ("side-by-side", "crowd", "start", "clients", "workers", "users")
ON_SQLITE = ("side-by-side",)
QUICK_SUBJECTS = ("identity", "django", "d1", "hashing")
QUICK_SECONDS = {"profile": 2.0, "refresh": 2.0, "login": 4.0}
QUICK_ROUNDS = 3
OPEN_FILES = 8192


def main() -> None:
    chosen = _arguments()
    signal.signal(signal.SIGTERM, _stop)
    load.wrk()
    if not PEERS.is_dir():
        sys.exit(f"{PEERS.parent} is missing: `make bench` and `make bench-quick` make it.")
    _allow_open_files()
    databases = _databases(chosen.database, only_one=chosen.quick)
    about = machine()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        made = Databases(folder)
        stack.callback(made.close)
        stages: list[Stage] = []
        steps = list(_steps(chosen, databases, folder, made, stages))
        for stage in stages:
            stack.callback(stage.close)
        samples = progress.run(steps)
        choices = {name: value for stage in stages for name, value in stage.choices.items()}
    if chosen.quick:
        sys.exit(_check(samples, databases[0], as_json=chosen.json))
    text = report(samples, about, choices)
    raw = {"about": about, "choices": choices, "samples": samples}
    print(json.dumps(raw) if chosen.json else text)
    if chosen.output is None and chosen.is_partial:
        print("Only a part was measured, so nothing is written without --output.", file=sys.stderr)
    else:
        _write((chosen.output or RESULTS).resolve(), f"{about['date']}-{slug(about)}", raw, text)


def _steps(
    chosen: argparse.Namespace, databases: Sequence[str], folder: Path, made: Databases, stages: list[Stage]
) -> Iterator[Step]:
    for kind in databases:
        asked = [suite for suite in chosen.suites if kind != "sqlite" or suite in ON_SQLITE]
        beside = [suite for suite in asked if suite != "users"]
        if beside:
            stage = Stage(kind, folder / kind, made)
            stages.append(stage)
            yield from _beside(chosen, stage, beside)
        if "users" in asked:
            growing = Stage(kind, folder / f"{kind}-users", made)
            stages.append(growing)
            of_it = [each for each in chosen.only if each != "refresh"]
            yield from suites.users(growing, rounds=min(chosen.rounds, 3), workloads=of_it)
            yield from suites.closing(growing)


def _beside(chosen: argparse.Namespace, stage: Stage, asked: Sequence[str]) -> Iterator[Step]:
    workloads, few = chosen.only, min(chosen.rounds, 3)
    if chosen.quick:
        yield from suites.opening(stage, workloads, QUICK_SUBJECTS)
        yield from suites.side_by_side(
            stage,
            rounds=chosen.rounds,
            workloads=workloads,
            subjects=QUICK_SUBJECTS,
            seconds=QUICK_SECONDS,
            warm_up_once=True,
        )
    else:
        needed = {subject for suite in asked for subject in suites.NEEDED[suite]}
        yield from suites.opening(stage, workloads, sorted(needed))
        if stage.kind == "postgresql" and "side-by-side" in asked:
            yield from suites.choosing(stage)
        for suite in asked:
            if suite == "side-by-side":
                rounds = few if stage.kind == "sqlite" else chosen.rounds
                yield from suites.side_by_side(stage, rounds=rounds, workloads=workloads)
            elif suite == "crowd":
                yield from suites.crowd(stage, rounds=few)
            elif suite == "start":
                yield from suites.starts(stage)
            elif suite == "clients":
                yield from suites.clients(stage, rounds=few, workloads=workloads)
            elif suite == "workers":
                yield from suites.workers(stage, rounds=few, workloads=workloads)
    yield from suites.closing(stage)


def _check(samples: Sequence[dict[str, Any]], database: str, *, as_json: bool) -> int:
    """Prints each verdict, and answers the exit status."""
    verdicts = judge(quick_targets(database), samples)
    failed = [
        f"{each['workload']}, {each['subject']}: requests were refused or broken" for each in unclean(samples)
    ]
    if as_json:
        met = [{"what": each.target.what, "value": each.value, "met": each.is_met} for each in verdicts]
        print(json.dumps({"verdicts": met, "failed": failed, "samples": samples}))
    else:
        print("\n".join([*map(str, verdicts), *failed]))
    return 0 if all(each.is_met for each in verdicts) and not failed else 1


def _write(folder: Path, name: str, raw: dict[str, Any], text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{name}.json"
    data.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    subprocess.run([PEERS / "python", "-m", "benchmarks.plot", data, folder / name], cwd=ROOT, check=True)
    print(f"Written to {folder / name}.json, .md and .svg.", file=sys.stderr)
    measured = [each for each in judge(list(targets()), raw["samples"]) if each.found is not None]
    missed = [str(each) for each in measured if not each.is_met]
    print("\n".join(missed) or "Every target that was measured is met.", file=sys.stderr)


def _databases(asked: Sequence[str] | None, *, only_one: bool) -> list[str]:
    """Finds or starts a PostgreSQL, as CI does, where one is installed."""
    kinds = list(asked or ("postgresql", "sqlite"))
    if "postgresql" in kinds and not os.environ.get("TEST_POSTGRESQL_URL"):
        if shutil.which("psql"):
            # It would find a MariaDB too; named already, none is looked for.
            environment = {**os.environ, "TEST_MARIADB_URL": "none"}
            printed = subprocess.check_output([ROOT / ".ci" / "databases"], env=environment, text=True)
            words = (word.partition("=") for word in shlex.split(printed))
            os.environ.update({name: text for name, _, text in words if name == "TEST_POSTGRESQL_URL"})
        else:
            print(
                "No PostgreSQL: TEST_POSTGRESQL_URL names none, and psql is not installed.", file=sys.stderr
            )
            kinds.remove("postgresql")
    if not kinds:
        sys.exit("There is no database to measure on.")
    return kinds[:1] if only_one else kinds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, help="of slices of a few seconds, each subject in turn; 5")
    parser.add_argument("--only", help=f"workloads, with commas between: {','.join(SUBJECTS)}")
    parser.add_argument("--suites", help=f"parts, with commas between: {','.join(SUITES)}")
    parser.add_argument("--database", nargs="+", choices=["postgresql", "sqlite"])
    parser.add_argument("--output", type=Path, help="a folder; by default benchmarks/results for a whole run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--quick", action="store_true", help="check some ratios with a wide margin, in two minutes"
    )
    chosen = parser.parse_args()
    chosen.is_partial = bool(chosen.only or chosen.suites or chosen.database)
    chosen.only = _listed(parser, chosen.only, tuple(SUBJECTS))
    chosen.suites = ["side-by-side"] if chosen.quick else _listed(parser, chosen.suites, SUITES)
    chosen.rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else 5)
    return chosen


def _listed(parser: argparse.ArgumentParser, text: str | None, known: Sequence[str]) -> list[str]:
    """In the order in which they are known."""
    names = re.split(r"[\s,]+", text.strip()) if text else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    return [name for name in known if name in names]


def _allow_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt  # so that every process that was started is ended


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; nothing is left running")
