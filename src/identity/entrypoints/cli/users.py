"""`identity users` and `identity reset-link`: what an operator does to accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from identity.entrypoints.cli.running import EX_DATAERR, fail, lasting_settings_of, print_json, ready, run
from identity.entrypoints.cli.tables import print_table, shown, time_of

if TYPE_CHECKING:
    from identity.application.administration import UserDetails
    from identity.container import Container
    from identity.domain.secrets import Secret
    from identity.domain.user import User
    from identity.domain.user_search import Cursor
    from identity.settings import Settings

T = TypeVar("T")
Act = Callable[["Container", "User"], Awaitable[T]]

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script.")
_user = click.argument("user")
_WHO = (
    "USER is an id, a username or an e-mail address; digits are always an id. The exit status is 65 when "
    "there is no such account{}."
)
_who = _WHO.format("")
_who_or_last = _WHO.format(", or when it is the last superuser's")


@click.group(short_help="Accounts: see, close and help them.")
def users() -> None:
    """Accounts: see them, close and open them, help their owners.

    USER is an id, a username or an e-mail address; digits are always an id. The exit status is 65 when there
    is no such account, or when it is the last superuser's and would not be one's any more. Times are UTC.
    """


@users.command("list", short_help="List accounts, or search them.")
@click.argument("prefix", default="")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Accounts at most.")
@click.option("--after", default="", help="Go on from there: what another call said after --after.")
@_json
@click.pass_obj
def list_users(config: Path | None, prefix: str, limit: int, after: str, as_json: bool) -> None:
    """List the accounts whose username or e-mail address begins with PREFIX, or all of them.

    By their names, whatever their case. Where there are more, standard error says `There are more: --after
    ...`: the same command with that goes on. STATE has what is out of the ordinary; who is `leaving` is about
    to be erased.

    \b
    Example, for a script:
      identity users list john --json --limit 1000
    """
    from identity.domain.errors import InvalidInput

    async def work(container: Container) -> tuple[list[User], Cursor | None]:
        await ready(container)
        search_users = container.search_users()
        page = await search_users(search=prefix, after=after or None, limit=limit)
        found = list(page.users)
        while page.next and len(found) < limit:
            page = await search_users(search=prefix, after=str(page.next), limit=limit - len(found))
            found += page.users
        return found, page.next

    try:
        found, more = run(_settings(config), work)
    except InvalidInput as refusal:
        fail(EX_DATAERR, "; ".join(f"{name}: {' '.join(lines)}" for name, lines in refusal.fields.items()))
    if as_json:
        print_json([_account(user) for user in found])
    else:
        rows = [
            (str(user.id), user.username.value, user.email.value, _state(user), time_of(user.last_login_at))
            for user in found
        ]
        print_table(("ID", "USERNAME", "E-MAIL", "STATE", "LAST LOGIN"), rows)
    if more:
        click.echo(f"There are more: --after {more}", err=True)


@users.command(short_help="Show an account and what happened to it.", epilog=_who)
@_user
@_json
@click.pass_obj
def show(config: Path | None, user: str, as_json: bool) -> None:
    """Show an account, its latest sessions, and what happened to it last.

    BY says who did it, an administrator with their id.
    """

    async def look(container: Container, found: User) -> UserDetails:
        details: UserDetails = await container.show_user()(user_id=found.id)
        return details

    details = _with_user(config, user, look)
    if as_json:
        print_json(_details(details))
        return
    for name, value in _account(details.user).items():
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value or "-")
        click.echo(f"{name.replace('_', ' ') + ':':<20} {shown(text)}")
    click.echo("\nSessions")
    print_table(
        ("BEGUN", "LAST USED", "STATE", "ADDRESS", "PROGRAM"),
        [
            (
                time_of(each.created_at),
                time_of(each.last_used_at),
                "live" if each.id in details.live else "over",
                each.client.address,
                each.client.user_agent,
            )
            for each in details.sessions
        ],
    )
    click.echo("\nEvents")
    print_table(
        ("AT", "KIND", "BY", "ADDRESS"),
        [
            (
                time_of(event.at),
                event.kind,
                event.actor.role.value + (f" {event.actor.user_id}" if event.actor.user_id else ""),
                event.client.address,
            )
            for event in (entry.event for entry in details.events)
        ],
    )


@users.command(epilog=_who_or_last)
@_user
@_json
@click.pass_obj
def disable(config: Path | None, user: str, as_json: bool) -> None:
    """Close an account: nobody can log in.

    All its sessions end, and links that were mailed are void. No mail is sent.
    """
    _administer(config, user, "disable_user", as_json, said=lambda user: f"{_named(user)} is disabled.")


@users.command(epilog=_who)
@_user
@_json
@click.pass_obj
def enable(config: Path | None, user: str, as_json: bool) -> None:
    """Open an account again that was disabled.

    Its password is the same as before; its sessions stay over. No mail is sent.
    """
    _administer(config, user, "enable_user", as_json, said=lambda user: f"{_named(user)} is enabled.")


@users.command("force-reset", epilog=_who)
@_user
@_json
@click.pass_obj
def force_reset(config: Path | None, user: str, as_json: bool) -> None:
    """Take the password away, and mail a link to set another.

    All sessions of the account end, and links that were mailed before are void. The mail goes out by the
    server, or by `identity deliver-mail`; where none does, `identity reset-link` prints a link. To an account
    that is disabled or about to be erased none is sent, nor more than five in a day.
    """
    _administer(config, user, "force_reset", as_json, said=_said_of_force_reset)


@users.command(epilog=_who)
@_user
@_json
@click.pass_obj
def promote(config: Path | None, user: str, as_json: bool) -> None:
    """Make an account a superuser's.

    Its e-mail address counts as verified. Sessions go on, and no mail is sent.
    """
    _administer(config, user, "promote_user", as_json, said=lambda user: f"{_named(user)} is a superuser.")


@users.command(short_help="Make a superuser an ordinary user.", epilog=_who_or_last)
@_user
@_json
@click.pass_obj
def demote(config: Path | None, user: str, as_json: bool) -> None:
    """Take the permissions of a superuser away, but not of the last one.

    Sessions go on, without these permissions, and no mail is sent.
    """
    _administer(config, user, "demote_user", as_json, said=lambda user: f"{_named(user)} is no superuser.")


@users.command(epilog=_who_or_last)
@_user
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(config: Path | None, user: str, yes: bool) -> None:
    """Erase an account for good, at once.

    All that is its own goes: sessions, links, and mail that waits. Its username and address are free. Nobody
    is told by mail. What happened to it stays in the audit log, under its id.
    """

    async def look(_: Container, found: User) -> User:
        return found

    async def work(container: Container, found: User) -> None:
        from identity.domain.events import OPERATOR

        await container.erase_user()(by=OPERATOR, user_id=found.id)

    found = _with_user(config, user, look)
    if not yes:
        click.confirm(f"Erase {_named(found)}? It cannot be undone.", abort=True)
    _with_user(config, str(found.id), work)
    click.echo(f"{_named(found)} is erased.")


@click.command(
    "reset-link",
    short_help="Print a link to set another password.",
    epilog=_WHO.format(", or when it is closed"),
)
@_user
@_json
@click.pass_obj
def reset_link(config: Path | None, user: str, as_json: bool) -> None:
    """Print a link to set another password for USER, good once and for an hour: for when mail is down.

    Hand it to nobody but the owner, by a way on which nobody else reads it: whoever follows it is taken for
    them, and their address counts as verified. Sessions go on until then, and no mail is sent.
    """

    async def mint(container: Container, found: User) -> Secret:
        from identity.domain.events import OPERATOR

        link: Secret = await container.mint_reset_link()(by=OPERATOR, user_id=found.id)
        return link

    link = _with_user(config, user, mint).reveal()
    if as_json:
        print_json({"link": link})
    else:
        click.echo(link)


def _said_of_force_reset(user: User) -> str:
    if user.is_disabled or user.erasure_due_at is not None:
        return f"{_named(user)} has no password any more. No link is mailed, for the account is closed."
    return f"{_named(user)} has no password any more, and is mailed a link, five in a day at most."


def _administer(
    config: Path | None, user: str, use_case: str, as_json: bool, *, said: Callable[[User], str]
) -> None:
    async def act(container: Container, found: User) -> User:
        from identity.domain.events import OPERATOR

        changed: User = await getattr(container, use_case)()(by=OPERATOR, user_id=found.id)
        return changed

    changed = _with_user(config, user, act)
    if as_json:
        print_json(_account(changed))
    else:
        click.echo(said(changed))


def _with_user(config: Path | None, name: str, act: Act[T]) -> T:
    """Does something with the account that has this name. Ends the process when there is none, or it may not
    be done."""
    settings = _settings(config)
    from identity.application.user_administration import AccountClosed
    from identity.domain.errors import AccountNotFound, LastSuperuser

    async def work(container: Container) -> T:
        await ready(container)
        return await act(container, await container.find_user()(name=name))

    try:
        return run(settings, work)
    except AccountNotFound:
        fail(EX_DATAERR, f"there is no account {shown(name)}")
    except LastSuperuser as refusal:
        fail(EX_DATAERR, f"the last superuser cannot be {refusal.fate}")
    except AccountClosed:
        fail(EX_DATAERR, "the account is disabled, or about to be erased: a link would not work")


def _settings(config: Path | None) -> Settings:
    return lasting_settings_of(config, otherwise="the server's accounts are known to nobody else")


def _state(user: User) -> str:
    states = {
        "disabled": user.is_disabled,
        "leaving": user.erasure_due_at is not None,
        "superuser": user.is_superuser,
        "unverified": not user.is_verified,
        "no password": not user.has_password,
    }
    return ", ".join(state for state, holds in states.items() if holds) or "-"


def _account(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username.value,
        "email": user.email.value,
        "email_verified_at": _iso(user.email_verified_at),
        "has_password": user.has_password,
        "display_name": user.display_name,
        "locale": user.locale,
        "time_zone": user.time_zone,
        "date_joined": _iso(user.joined_at),
        "last_updated": _iso(user.password_changed_at),
        "last_login_at": _iso(user.last_login_at),
        "superuser_since": _iso(user.superuser_since),
        "disabled_at": _iso(user.disabled_at),
        "erasure_due_at": _iso(user.erasure_due_at),
    }


def _details(details: UserDetails) -> dict[str, Any]:
    return {
        "account": _account(details.user),
        "sessions": [
            {
                "id": each.id,
                "created_at": _iso(each.created_at),
                "last_used_at": _iso(each.last_used_at),
                "expires_at": _iso(each.expires_at),
                "ended_at": _iso(each.revoked_at),
                "is_over": each.id not in details.live,
                "user_agent": each.client.user_agent,
                "address": each.client.address,
            }
            for each in details.sessions
        ],
        "events": [
            {
                "id": entry.id,
                "at": _iso(entry.event.at),
                "kind": entry.event.kind,
                "result": entry.event.result,
                "user_id": entry.event.user_id,
                "actor": entry.event.actor.role.value,
                "actor_id": entry.event.actor.user_id,
                "subject": entry.event.subject,
                "session_id": entry.event.session_id,
                "address": entry.event.client.address,
                "user_agent": entry.event.client.user_agent,
                "request_id": entry.event.client.request_id,
            }
            for entry in details.events
        ],
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _named(user: User) -> str:
    return f"{shown(user.username.value)} ({user.id})"
