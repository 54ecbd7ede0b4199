"""`python -m benchmarks.plot RESULTS.json NAME`: two plots, NAME.svg and NAME-growth.svg.

Run by the interpreter of `.venv-bench`, which has matplotlib.
"""

import json
import statistics
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "identity",  # so that the same figures make the same file
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#999999",
        "xtick.color": "#555555",
        "ytick.color": "#333333",
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
    }
)
OURS, PEER, FLOOR = "#2b6cb0", "#a0aec0", "#d8dee6"
ORDER = {
    "identity": ("Identity", OURS),
    "django": ("Django + DRF + SimpleJWT", PEER),
    "fastapi-users": ("fastapi-users", PEER),
    "hashing": ("floor: raw Argon2id", FLOOR),
    "d1": ("floor d1: token verified", FLOOR),
    "d2": ("floor d2: token cached", FLOOR),
}
WORKLOADS = ("profile", "refresh", "login")
DATABASES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


def values(samples, figure, **about):
    return [
        sample[figure]
        for sample in samples
        if sample.get("clean", True)
        and sample.get(figure) is not None
        and all(sample.get(name) == value for name, value in about.items())
    ]


def side_by_side(samples, about, name):
    """Bars of requests in a second, with lines from the least to the most."""
    databases = [
        each for each in DATABASES if values(samples, "per_second", suite="side by side", database=each)
    ]
    if not databases:
        return
    figure, grid = plt.subplots(
        len(WORKLOADS),
        len(databases),
        figsize=(5.2 * len(databases), 6.4),
        squeeze=False,
        layout="constrained",
    )
    for row, workload in enumerate(WORKLOADS):
        for column, database in enumerate(databases):
            axes, bars = grid[row][column], []
            for subject, (label, colour) in ORDER.items():
                found = values(
                    samples,
                    "per_second",
                    suite="side by side",
                    database=database,
                    workload=workload,
                    subject=subject,
                )
                if found:
                    bars.append((label, statistics.median(found), min(found), max(found), colour))
            axes.set_title(f"{workload} on {DATABASES[database]}, requests/s")
            if not bars:
                axes.set_axis_off()
                continue
            bars.reverse()
            labels, medians, least, most, colours = zip(*bars, strict=True)
            axes.barh(labels, medians, color=colours, height=0.62)
            for position, (low, high, median) in enumerate(zip(least, most, medians, strict=True)):
                axes.plot([low, high], [position, position], color="#333333", linewidth=1)
                axes.annotate(
                    f"{median:,.0f}",
                    (max(high, median), position),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    color="#333333",
                )
            axes.margins(x=0.14)
            axes.tick_params(length=0)
    title = (
        f"{about['date']}, {about['processor']}, {about['cores']} cores; one worker, medians, least to most"
    )
    figure.suptitle(title, fontsize=8, color="#555555")
    figure.savefig(f"{name}.svg", metadata={"Date": None})


def growth(samples, about, name):
    """How the processor time of a request and its median time grow with clients and with users."""
    panels = [("clients", "connections", "clients", "cpu", "processor time of a request, ms")]
    panels += [("clients", "connections", "clients", "p50", "median time, ms")]
    panels += [("users", "users", "users", "p50", "median time, ms")]
    panels = [panel for panel in panels if values(samples, "cpu", suite=panel[0])]
    if not panels:
        return
    figure, grid = plt.subplots(
        1, len(panels), figsize=(3.8 * len(panels), 3.4), squeeze=False, layout="constrained"
    )
    for axes, (suite, by, what, measured, label) in zip(grid[0], panels, strict=True):
        for workload, colour in zip(WORKLOADS, ("#2b6cb0", "#2f855a", "#b7791f"), strict=True):
            counts = sorted(set(values(samples, by, suite=suite, workload=workload)))
            points = [
                (
                    count,
                    1000
                    * statistics.median(
                        values(samples, measured, suite=suite, workload=workload, **{by: count})
                    ),
                )
                for count in counts
            ]
            if points:
                axes.loglog(*zip(*points, strict=True), marker="o", markersize=4, color=colour)
                axes.annotate(
                    workload, points[-1], xytext=(5, 0), textcoords="offset points", color=colour, va="center"
                )
        axes.set_title(label)
        axes.set_xlabel(what)
        axes.margins(x=0.2, y=0.2)
        axes.grid(visible=True, which="major", color="#eeeeee")
    figure.suptitle(
        f"{about['date']}, {about['processor']}, {about['cores']} cores", fontsize=8, color="#555555"
    )
    figure.savefig(f"{name}-growth.svg", metadata={"Date": None})


def main():
    source, name = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        results = json.load(file)
    side_by_side(results["samples"], results["about"], name)
    growth(results["samples"], results["about"], name)


if __name__ == "__main__":
    main()
