"""Raw Argon2id in as many threads as there are cores: prints hashes in a second, and a core's time of one."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

import argon2

from benchmarks.rows import password_hash
from benchmarks.subjects import PASSWORD


def main(seconds: float) -> None:
    hasher, hashed = argon2.PasswordHasher(), password_hash()
    hasher.verify(hashed, PASSWORD)
    began, worked = time.perf_counter(), time.process_time()
    counts: list[int] = []

    def verify() -> None:
        count = 0
        while time.perf_counter() < began + seconds:
            hasher.verify(hashed, PASSWORD)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=verify) for _ in range(os.cpu_count() or 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, done = time.perf_counter() - began, sum(counts)
    cpu = (time.process_time() - worked) / done
    print(json.dumps({"requests": done, "per_second": done / elapsed, "cpu": cpu}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
