"""What the operating system knows of this process, under the names that all clients of Prometheus use.

The client library's own collector needs /proc/stat besides, which our systemd unit hides.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SIZES, _FILES = "/proc/self/statm", "/proc/self/fd"


class ProcessCollector(Collector):
    """Where there is no /proc, memory and open files are left out."""

    def __init__(self) -> None:
        self._started_at = time.time()

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "process_cpu_seconds_total", "Processor time that the process has had.", value=time.process_time()
        )
        yield GaugeMetricFamily(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970.",
            value=self._started_at,
        )
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = float("inf") if most == resource.RLIM_INFINITY else most
        yield GaugeMetricFamily("process_max_fds", "Files that it may have open.", value=limit)
        if not os.path.exists(_SIZES):
            return
        with open(_SIZES, encoding="ascii") as file:
            _, resident, *_ = file.read().split()
        size = int(resident) * resource.getpagesize()
        yield GaugeMetricFamily("process_resident_memory_bytes", "Memory that it has.", value=size)
        yield GaugeMetricFamily(
            "process_open_fds", "Files and connections that it has open.", value=len(os.listdir(_FILES))
        )
