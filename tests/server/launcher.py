"""The `identity` command with other limits than its own, so that no test has to wait for those.

`LIMITS` names them: {"identity.entrypoints.worker:PAUSE": 0.1} in JSON, in seconds.
"""

import importlib
import json
import os
from datetime import timedelta

from identity.entrypoints.cli import main

# Not below: worker processes import this module under another name than __main__, and need the same limits.
for name, seconds in json.loads(os.environ["LIMITS"]).items():
    module, _, constant = name.partition(":")
    module = importlib.import_module(module)
    before = getattr(module, constant)
    setattr(module, constant, timedelta(seconds=seconds) if isinstance(before, timedelta) else seconds)

if __name__ == "__main__":
    main()
