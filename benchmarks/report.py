"""The tables of a run, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.cost import costs, needs
from benchmarks.stage import OF_ADMINISTRATORS, SUBJECTS
from benchmarks.statistics import Sample, having, ratios, shown, spread
from benchmarks.subjects.identity import SETTINGS
from benchmarks.suites import CLIENTS, CROWD, PEERS, USERS
from benchmarks.tables import table
from benchmarks.targets import judge, targets, unclean

LABELS = {
    "identity": "Identity",
    "django": "Django + DRF + SimpleJWT",
    "fastapi-users": "fastapi-users",
    "d1": "floor d1: token verified, one SELECT",
    "d2": "floor d2: token cached, one SELECT",
    "hashing": "floor: raw Argon2id, a thread a core",
}


def report(samples: Sequence[Sample], about: Mapping[str, str], choices: Mapping[str, str]) -> str:
    sections = [
        _head(about, choices),
        _targets(samples),
        *(_side_by_side(samples, database, workload) for database, workload in _measured(samples)),
        _crowd(samples),
        _starts(samples),
        _growing(samples, "clients", "connections", "clients", CLIENTS),
        _growing(samples, "workers", "workers", "workers", (1, 2)),
        _growing(samples, "users", "users", "users", USERS),
        _seeding(samples),
        _needs(samples),
        _unclean(samples),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def quoted(samples: Sequence[Sample]) -> str:
    """What the README says of a run: rates on PostgreSQL, and how many times those of others they are."""
    rows = []
    for workload, subjects in SUBJECTS.items():
        of_it = having(samples, suite="side by side", database="postgresql", workload=workload)
        ours = having(of_it, subject="identity")
        rates, floors = spread(sample["per_second"] for sample in ours), set(subjects) & {"hashing", "d1"}
        times = {
            subject: spread(ratios(ours, having(of_it, subject=subject), "per_second"))
            for subject in subjects
        }
        compared = [times.get(subject) for subject in ("django", "fastapi-users", *(floors or ["none"]))]
        rows.append([workload, *("-" if each is None else shown(each.median) for each in (rates, *compared))])
    head = ["", "requests/s", "times Django + DRF + SimpleJWT", "times fastapi-users", "times its floor"]
    return table(head, rows)


def _head(about: Mapping[str, str], choices: Mapping[str, str]) -> str:
    settings = ", ".join(f"`{name}={value}`" for name, value in SETTINGS.items())
    lines = [f"- {name}: {value}" for name, value in {**about, **choices}.items()]
    return "\n".join(
        [
            f"# Benchmarks of {about['date']}",
            "",
            "Medians, with the least and the most of all rounds. Ratios are taken within each round. CPU is",
            "the processor time of all processes of a subject for one request. Load, database and subject",
            "share the cores.",
            "",
            *lines,
            f"- settings of ours other than by default: {settings}",
        ]
    )


def _targets(samples: Sequence[Sample]) -> str:
    rows = []
    for verdict in judge(list(targets()), samples):
        unit = verdict.target.unit
        value = "-" if verdict.value is None else f"{shown(verdict.value)}{unit}"
        spread_ = (
            "" if verdict.found is None else f"{shown(verdict.found.least)} - {shown(verdict.found.most)}"
        )
        met = "not measured" if verdict.value is None else "met" if verdict.is_met else "**missed**"
        rows.append([verdict.target.what, value, spread_, verdict.target.wanted, met])
    return "## Targets\n\n" + table(["what", "median", "spread", "target", ""], rows)


def _measured(samples: Sequence[Sample]) -> Iterator[tuple[str, str]]:
    for database in ("postgresql", "sqlite"):
        for workload in SUBJECTS:
            if having(samples, suite="side by side", database=database, workload=workload):
                yield database, workload


def _side_by_side(samples: Sequence[Sample], database: str, workload: str) -> str:
    about = {"suite": "side by side", "database": database, "workload": workload}
    ours = having(samples, subject="identity", **about)
    rows = []
    for subject in SUBJECTS[workload]:
        theirs = having(samples, subject=subject, **about)
        if theirs:
            rows.append(
                [
                    LABELS[subject],
                    _spread(theirs, "per_second"),
                    _text(spread(ratios(ours, theirs, "per_second"))) if subject != "identity" else "1",
                    _spread(theirs, "p50", 1000),
                    _spread(theirs, "p99", 1000),
                    _spread(theirs, "cpu", 1000),
                    _spread(theirs, "database_cpu", 1000),
                    _spread(theirs, "rss"),
                ]
            )
    head = [
        "subject",
        "requests/s",
        "Identity is x times",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "database CPU ms",
        "RSS MB",
    ]
    connections = ours[0]["connections"] if ours else "?"
    return f"## {workload.capitalize()} on {_name(database)}, {connections} connections\n\n" + table(
        head, rows
    )


def _crowd(samples: Sequence[Sample]) -> str:
    of_it = having(samples, suite="crowd")
    rows = []
    for subject in PEERS:
        quiet, loud = having(of_it, subject=subject, logins=0), having(of_it, subject=subject, logins=CROWD)
        if quiet and loud:
            times = [[_spread(each, figure, 1000) for figure in ("p50", "p99")] for each in (quiet, loud)]
            rows.append([LABELS[subject], *times[0], *times[1], _text(spread(ratios(loud, quiet, "p99")))])
    head = ["subject", "quiet p50 ms", "quiet p99 ms", "p50 ms", "p99 ms", "p99 / quiet p99"]
    title = f"## The profile, 20 times a second, while {CROWD} clients do nothing but log in\n\n"
    return title + table(head, rows) if rows else ""


def _starts(samples: Sequence[Sample]) -> str:
    rows = []
    for subject in PEERS:
        of_it = having(samples, suite="start", subject=subject)
        if of_it:
            figures = [_spread(of_it, name) for name in ("start", "rss", "pss")]
            rows.append([LABELS[subject], *figures])
    head = ["subject", "start to first answer, s", "RSS of an idle worker, MB", "PSS, MB"]
    return "## Start and memory\n\n" + table(head, rows) if rows else ""


def _growing(samples: Sequence[Sample], suite: str, by: str, what: str, values: Iterable[int]) -> str:
    of_it = [sample for sample in samples if sample["suite"] == suite]
    rows = []
    for workload in (*SUBJECTS, OF_ADMINISTRATORS):
        for value in values:
            each = [sample for sample in of_it if sample["workload"] == workload and sample[by] == value]
            if each:
                counted = having(each) or each
                figures = [_spread(counted, "per_second")]
                figures += [_spread(counted, name, 1000) for name in ("p50", "p99", "cpu", "database_cpu")]
                refused = sum(sample["refused"] + sample["broken"] for sample in each)
                rows.append([workload, f"{value:,}", *figures, str(refused)])
    head = [
        "workload",
        what,
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "database CPU ms",
        "not answered well",
    ]
    if not rows:
        return ""
    about = "Where requests were not answered well, the rate is of those that were, and all else is of all."
    return f"## Identity, by the number of {what}\n\n{about}\n\n{table(head, rows)}"


def _seeding(samples: Sequence[Sample]) -> str:
    rows = [
        [
            f"{sample['users']:,}",
            f"{sample['seconds']:.1f}",
            f"{(sample['octets'] or 0) / sample['users']:,.0f}",
        ]
        for sample in samples
        if sample["suite"] == "seeding"
    ]
    title = "## Seeding: a user and a session each\n\n"
    return title + table(["users", "seconds", "octets a user, indexes included"], rows) if rows else ""


def _needs(samples: Sequence[Sample]) -> str:
    measured = costs(samples)
    if measured is None:
        return ""
    return f"## What a deployment needs\n\n{needs(measured)}"


def _unclean(samples: Sequence[Sample]) -> str:
    named = ("suite", "database", "workload", "subject", "connections", "refused", "broken")
    rows = [[sample[name] for name in named] for sample in unclean(samples)]
    title = "## Slices that do not count, for requests in them were refused or broken\n\n"
    return title + table(named, rows) if rows else ""


def _spread(samples: Sequence[Sample], figure: str, factor: float = 1.0) -> str:
    values = [sample[figure] * factor for sample in samples if sample.get(figure) is not None]
    return _text(spread(values))


def _text(found: object) -> str:
    return "-" if found is None else str(found)


def _name(database: str) -> str:
    return {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[database]
