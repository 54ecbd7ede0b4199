"""A mailbox for development: the mails of `IDENTITY_MAIL_URL=directory:PATH` as pages of a web site.

    python examples/mail_pages.py PATH [PORT]

Whoever can open a page here can open every account that was mailed a link: it listens on 127.0.0.1 alone, and
answers nobody who calls it by another name.
"""

from __future__ import annotations

import html
import re
import sys
from contextlib import suppress
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8025
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
li { margin: .6rem 0; } small, dt { opacity: .7; } dl { display: grid; grid-template-columns: 5rem 1fr; }
dd { margin: 0; } iframe { width: 100%; height: 34rem; border: 1px solid #8886; border-radius: .5rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'self'"
_LINK = re.compile(r"https?://[^\s<>]+")


class Mailbox(ThreadingHTTPServer):
    """Answers from the moment it is made; `serve_forever` has to run."""

    def __init__(self, directory: Path, port: int = PORT) -> None:
        self.directory = directory
        super().__init__(("127.0.0.1", port), _Pages)

    def mails(self) -> list[tuple[str, EmailMessage]]:
        """By their names, the newest first."""
        files = sorted(self.directory.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True)
        parser = BytesParser(EmailMessage, policy=policy.default)
        return [(file.stem, parser.parsebytes(file.read_bytes())) for file in files]


class _Pages(BaseHTTPRequestHandler):
    server: Mailbox

    def do_GET(self) -> None:
        # A page elsewhere whose name means 127.0.0.1 by now is of that name to the browser.
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in {"127.0.0.1", "localhost"}:
            self._send("This mailbox is for its own machine.", status=403)
            return
        name, _, form = self.path.strip("/").partition("/")
        if not name:
            self._send(_inbox(self.server.mails()))
            return
        mail = dict(self.server.mails()).get(name)
        if mail is None:
            self._send(_page("No such mail", '<p><a href="/">All mails</a></p>'), status=404)
        else:
            self._send(_body(mail, "html") if form == "html" else _mail(name, mail))

    def _send(self, page: str, *, status: int = 200) -> None:
        content = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """A mailbox has nothing to tell."""


def _inbox(mails: list[tuple[str, EmailMessage]]) -> str:
    items = "".join(
        f'<li><a href="/{html.escape(name)}">{html.escape(mail["Subject"])}</a><br>'
        f"<small>to {html.escape(mail['To'])}, {html.escape(mail['Date'])}</small></li>"
        for name, mail in mails
    )
    listed = f"<ol reversed>{items}</ol>" if items else "<p>No mail yet. It shows up here by itself.</p>"
    return _page("Mailbox", listed, head='<meta http-equiv="refresh" content="3">')


def _mail(name: str, mail: EmailMessage) -> str:
    fields = "".join(
        f"<dt>{field}</dt><dd>{html.escape(mail[field])}</dd>" for field in ("From", "To", "Date")
    )
    text = _LINK.sub(lambda link: f'<a href="{link[0]}">{link[0]}</a>', html.escape(_body(mail, "plain")))
    return _page(
        mail["Subject"],
        f'<p><a href="/">All mails</a></p><dl>{fields}</dl><pre>{text}</pre><h2>With its design</h2>'
        f'<iframe src="/{html.escape(name)}/html" title="The mail with its design" '
        'sandbox="allow-top-navigation-by-user-activation"></iframe>',
    )


def _body(mail: EmailMessage, form: str) -> str:
    """With links that lead out of the frame."""
    part = mail.get_body((form,))
    content = part.get_content() if isinstance(part, EmailMessage) else ""
    return content if form == "plain" else f'<base target="_top">{content}'


def _page(title: str, content: str, *, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>{head}'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{html.escape(title)}</h1>{content}</html>"
    )


if __name__ == "__main__":
    mailbox = Mailbox(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else PORT)
    print(f"the mails in {mailbox.directory} are on http://127.0.0.1:{mailbox.server_port}")
    with suppress(KeyboardInterrupt):
        mailbox.serve_forever()
