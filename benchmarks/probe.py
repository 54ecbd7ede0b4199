"""`python -m benchmarks.probe PORT PATH TOKEN SECONDS`: the times of a profile asked for 20 times a second.

Each is counted from when it was due, so that a request that waited for the one before is not a quick one.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.server.load import keep_probing


def main(port: int, path: str, token: str, seconds: float) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    # Not on uvloop, whose clock counts milliseconds.
    times = asyncio.run(keep_probing(port, request, seconds=seconds))
    print(json.dumps([round(time, 6) for time in times]))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
