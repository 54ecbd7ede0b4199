"""Everything at once, to click through: the service with the reference app, and a mailbox for its mails.

`make demo` runs it. What it makes is kept in the folder `demo`, which can be deleted at any time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from mail_pages import Mailbox

HERE = Path.cwd() / "demo"
URL = "http://127.0.0.1:8000"
SUPERUSER, PASSWORD = "admin", "look at everything"
SETTINGS = {
    "IDENTITY_DATABASE_URL": f"sqlite:///{HERE / 'identity.db'}",
    "IDENTITY_MAIL_URL": f"directory:{HERE / 'mail'}",
    "IDENTITY_MAIL_FROM": "Demo <demo@example.com>",
    "IDENTITY_PUBLIC_URL": URL,
    "IDENTITY_APP_DIR": "bundled",
    "IDENTITY_REFRESH_COOKIE": "true",
    "IDENTITY_REFRESH_COOKIE_INSECURE": "true",
}
IDENTITY = Path(sys.executable).with_name("identity")


def main() -> int:
    HERE.mkdir(exist_ok=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    variables |= SETTINGS | {"SUPERUSER_PASSWORD": PASSWORD}
    if not (HERE / "identity.db").exists():
        arguments = ["createsuperuser", "--noinput", "--username", SUPERUSER, "--email", "admin@example.com"]
        subprocess.run([IDENTITY, *arguments], env=variables, check=True)
    mailbox = Mailbox(HERE / "mail")
    threading.Thread(target=mailbox.serve_forever, daemon=True).start()
    print(f"the app       {URL}")
    print(f"its mails     http://127.0.0.1:{mailbox.server_port}")
    print(f"a superuser   {SUPERUSER}, with the password: {PASSWORD}")
    print("Ctrl-C ends it.\n", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    service = subprocess.Popen([IDENTITY, "serve"], env=variables)
    try:
        return service.wait()
    except KeyboardInterrupt:  # which has reached the service too
        return service.wait()
    finally:
        service.terminate()
        service.wait()


if __name__ == "__main__":
    sys.exit(main())
