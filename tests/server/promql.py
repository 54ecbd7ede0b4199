"""Which metrics and labels an expression of PromQL names."""

from __future__ import annotations

import re
from typing import NamedTuple

_WORDS = {
    "sum",
    "max",
    "min",
    "count",
    "rate",
    "increase",
    "delta",
    "histogram_quantile",
    "time",
    "vector",
    "or",
}
_OF_PROMETHEUS = frozenset({"job", "instance", "le"})
"""Labels that it adds itself, and that of a histogram's buckets."""


class Named(NamedTuple):
    metrics: dict[str, set[str]]
    """With the labels that are selected by."""
    grouped_by: set[str]


def named(expression: str) -> Named:
    """Raises `ValueError` for what is none of the words that it knows, and no metric's name either."""
    text = re.sub(r"\[[^\]]*\]", "", expression)
    grouped_by: set[str] = set()
    for _, labels in re.findall(r"\b(by|without|ignoring|on)\s*\(([^)]*)\)", text):
        grouped_by |= {label.strip() for label in labels.split(",")}
    text = re.sub(r"\b(by|without|ignoring|on)\s*\([^)]*\)", "", text)
    metrics: dict[str, set[str]] = {}
    for name, selector in re.findall(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?", _without_texts(text)):
        if name in _WORDS:
            continue
        if "_" not in name and name != "up":
            raise ValueError(f"{name} is neither a known function nor the name of a metric")
        metrics.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
    return Named(metrics, grouped_by)


def _without_texts(text: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def mistakes(expression: str, labels_of: dict[str, set[str]]) -> list[str]:
    """What it names that is not there. `labels_of` has each series' name and its labels."""
    found = []
    metrics, grouped_by = named(expression)
    there: set[str] = set(_OF_PROMETHEUS)
    for metric, labels in metrics.items():
        if metric == "up":
            continue
        if metric not in labels_of:
            found.append(f"no metric {metric}")
            continue
        there |= labels_of[metric]
        found += [f"no label {each} of {metric}" for each in labels - labels_of[metric] - _OF_PROMETHEUS]
    return found + [f"no label {each} to group by" for each in grouped_by - there]
