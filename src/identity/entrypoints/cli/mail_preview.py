"""`identity mail-preview`: what every mail looks like."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import click

from identity.entrypoints.cli.running import EX_DATAERR, fail, run, settings_of

if TYPE_CHECKING:
    from identity.application.mail import Message
    from identity.container import Container

INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mails</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }}
td, th {{ padding: 0.25rem 1.5rem 0.25rem 0; text-align: left; vertical-align: top; }}
</style>
</head>
<body>
<h1>Mails</h1>
<table>
<tr><th>locale</th><th>mail</th><th>subject</th><th></th></tr>
{rows}</table>
</body>
</html>
"""
ROW = (
    '<tr><td>{locale}</td><td>{name}</td><td>{subject}</td><td><a href="{path}.html">page</a> '
    '<a href="{path}.txt">text</a></td></tr>\n'
)


@click.command("mail-preview", short_help="Show what every mail looks like.")
@click.argument(
    "directory", default="mail-preview", type=click.Path(file_okay=False, writable=True, path_type=Path)
)
@click.option("--locale", "locales", multiple=True, help="This one only; may be given more than once.")
@click.pass_obj
def mail_preview(config: Path | None, directory: Path, locales: tuple[str, ...]) -> None:
    """Write every mail in every locale into DIRECTORY, with made-up values and your own templates."""
    settings = settings_of(config)
    from identity.application.mail_preview import SAMPLE_TIME, sample_mails
    from identity.domain.language import look_up

    async def work(container: Container) -> int:
        renderer = container.renderer()
        wanted = {locale: look_up(locale, renderer.locales) for locale in locales or renderer.locales}
        for locale, found in wanted.items():
            if found is None:
                fail(EX_DATAERR, f"there are no templates in {locale}, only in {', '.join(renderer.locales)}")
        messages = {
            f"{locale}/{mail.name()}": renderer.render(mail, id="preview", date=SAMPLE_TIME)
            for locale in filter(None, wanted.values())
            for mail in sample_mails(locale=locale, links=container.links())
        }
        for path, message in messages.items():
            _write(directory / f"{path}.html", message.html)
            _write(directory / f"{path}.txt", f"Subject: {message.subject}\n\n{message.text}")
        _write(directory / "index.html", INDEX.format(rows="".join(map(_row, messages, messages.values()))))
        return len(messages)

    count = run(settings, work)
    click.echo(f"{count} mails: {(directory / 'index.html').resolve().as_uri()}")


def _row(path: str, message: Message) -> str:
    locale, _, name = path.partition("/")
    return ROW.format(
        locale=locale, name=name.replace("_", " "), subject=html.escape(message.subject), path=path
    )


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
