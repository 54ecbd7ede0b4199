"""What the use cases are asked to do while their ports fail: every one of the container, in all its ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.application.world import (
    BROWSER,
    NEW_PASSWORD,
    PASSWORD,
    REUSE_WINDOW,
    SESSION_LIFETIME,
    WRONG_PASSWORD,
)

from identity.adapters.memory import PlainHasher
from identity.application.audit import SETTLED_AFTER
from identity.application.letters import WebhookIntent
from identity.application.registration import VERIFIED_WITHIN
from identity.application.sessions import DEVICES_REMEMBERED, USE_NOTED_EVERY
from identity.domain.events import OPERATOR
from identity.domain.secrets import Secret
from identity.domain.user import User
from identity.domain.webhook import Endpoint, SigningSecret

World = Any  # one whose use cases are those of the container, by name
Act = Callable[[], Awaitable[Any]]
Scenario = Callable[[World], Awaitable[Act]]


def later(world: World, name: str) -> Act:
    """Looks the use case up when it acts: what is used to make ready is another matter."""

    async def act() -> object:
        return await getattr(world, name)()

    return act


# Each makes ready, and returns what is to be done.


async def registers(world: World) -> Act:
    return lambda: world.registered("bob")


async def registers_a_superuser(world: World) -> Act:
    return lambda: world.register_user(
        username="root", email="root@example.com", password=PASSWORD, superuser=True
    )


async def registers_and_is_mailed(world: World) -> Act:
    register_user = replace(world.register_user, verification_mail=True)
    return lambda: register_user(username="bob", email="bob@example.com", password=PASSWORD)


async def registers_blindly(world: World) -> Act:
    return lambda: world.register_blindly(username="bob", email="bob@example.com", password=PASSWORD)


async def registers_with_an_address_that_is_taken(world: World) -> Act:
    return lambda: world.register_blindly(username="bob", email="alice@example.com", password=PASSWORD)


async def asks_for_another_link(world: World) -> Act:
    return lambda: world.request_verification(email="alice@example.com")


async def verifies_the_address(world: World) -> Act:
    await world.request_verification(email="alice@example.com")
    link = await world.verification_link()
    return lambda: world.verified(link)


async def logs_in_before_it_is_verified(world: World) -> Act:
    log_in = replace(world.log_in, requires_verification=True)
    return lambda: log_in(username="alice", password=PASSWORD, client=BROWSER)


async def purges_what_nobody_verified(world: World) -> Act:
    await world.register_blindly(username="bob", email="bob@example.com", password=PASSWORD)
    await world.delivered()
    world.clock.advance(VERIFIED_WITHIN + timedelta(seconds=1))
    return later(world, "purge_expired")


async def logs_in(world: World) -> Act:
    return lambda: world.logged_in("alice")


async def logs_in_by_address(world: World) -> Act:
    return lambda: world.logged_in("alice@example.com")


async def logs_in_from_a_new_device(world: World) -> Act:
    await world.logged_in("alice")
    elsewhere = replace(BROWSER, address="203.0.113.9")
    return lambda: world.log_in(username="alice", password=PASSWORD, client=elsewhere)


async def logs_in_and_is_rehashed(world: World) -> Act:
    world.hasher.today = PlainHasher(cost=2)
    return lambda: world.logged_in("alice")


async def logs_in_once_too_often(world: World) -> Act:
    for _ in range(3):
        world.clock.advance(timedelta(seconds=1))
        await world.logged_in("alice")
    log_in = replace(world.log_in, begin_session=replace(world.log_in.begin_session, sessions_per_account=3))
    return lambda: log_in(username="alice", password=PASSWORD)


async def fails_to_log_in(world: World) -> Act:
    return lambda: world.logged_in("alice", WRONG_PASSWORD)


async def refreshes(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.refreshed(pair)


async def refreshes_with_the_pending_token(world: World) -> Act:
    pair = await world.refreshed(await world.logged_in("alice"))
    return lambda: world.refreshed(pair)


async def replays_a_superseded_token(world: World) -> Act:
    pair = await world.logged_in("alice")
    await world.refreshed(await world.refreshed(pair))
    world.clock.advance(REUSE_WINDOW)
    return lambda: world.refresh_session(refresh=pair.refresh, client=BROWSER)


async def logs_out(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.log_out(refresh=pair.refresh)


async def verifies_a_token(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.verify_token(token=pair.refresh)


async def shows_the_profile(world: World) -> Act:
    pair = await world.logged_in("alice")

    async def authenticates_and_shows() -> object:
        return await world.show_profile(principal=await world.principal(pair))

    return authenticates_and_shows


async def sees_the_sessions(world: World) -> Act:
    pair = await world.logged_in("alice")

    async def authenticates_and_lists() -> object:
        return await world.list_sessions(principal=await world.principal(pair))

    return authenticates_and_lists


async def ends_a_session(world: World) -> Act:
    other = await world.principal(await world.logged_in("alice"))
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_session(principal=principal, session_id=other.session.id)


async def ends_a_session_that_is_over(world: World) -> Act:
    act = await ends_a_session(world)
    await act()
    return act


async def ends_the_other_sessions(world: World) -> Act:
    await world.logged_in("alice")
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_other_sessions(principal=principal)


async def ends_all_sessions(world: World) -> Act:
    await world.logged_in("alice")
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_all_sessions(principal=principal)


async def changes_the_password(world: World) -> Act:
    await world.logged_in("alice")
    await world.reset_link()
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.change_password(
        principal=principal, old_password=PASSWORD, new_password=NEW_PASSWORD, client=BROWSER
    )


async def forgets_the_password(world: World) -> Act:
    return lambda: world.request_reset(email="alice@example.com")


async def resets_the_password(world: World) -> Act:
    await world.logged_in("alice")
    await world.reset_link()
    link = await world.reset_link()
    return lambda: world.reset_password(**link.with_password(NEW_PASSWORD), client=BROWSER)


async def updates_the_profile(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.update_profile(
        principal=principal, username="alice_lee", display_name="Alice", locale="de", time_zone="UTC"
    )


async def asks_for_another_address(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.request_email_change(
        principal=principal, new_email="alice@example.net", password=PASSWORD, client=BROWSER
    )


async def confirms_another_address(world: World) -> Act:
    link = await world.confirmation_link(await world.logged_in("alice"))
    return lambda: world.confirm_email_change(**link.parts(), client=BROWSER)


async def undoes_a_change_of_address(world: World) -> Act:
    pair = await world.logged_in("alice")
    link = await world.changed_email(pair)
    return lambda: world.undo_email_change(**link.parts(), client=BROWSER)


async def undoes_a_change_that_is_undone(world: World) -> Act:
    act = await undoes_a_change_of_address(world)
    await act()
    return act


async def exports_the_data(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.export_data(principal=principal, client=BROWSER)


async def deletes_the_account(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.request_deletion(principal=principal, password=PASSWORD, client=BROWSER)


async def deletes_the_account_of_a_superuser(world: World) -> Act:
    for name in ("root", "other"):
        await world.register_user(
            username=name, email=f"{name}@example.com", password=PASSWORD, superuser=True
        )
    principal = await world.principal(await world.logged_in("root"))
    return lambda: world.request_deletion(principal=principal, password=PASSWORD)


async def fails_to_delete_the_account(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.request_deletion(principal=principal, password=WRONG_PASSWORD)


async def undoes_the_deletion(world: World) -> Act:
    await (await deletes_the_account(world))()
    link = await world.undo_link()
    return lambda: world.undo_deletion(uidb64=link.uidb64, token=Secret(link.token), client=BROWSER)


async def undoes_the_deletion_with_a_spent_link(world: World) -> Act:
    act = await undoes_the_deletion(world)
    await act()
    return act


async def asks_for_a_login_code(world: World) -> Act:
    return lambda: world.request_login_code(email="alice@example.com", client=BROWSER)


async def logs_in_with_a_code(world: World) -> Act:
    code = await world.login_code()
    return lambda: world.confirm_login_code(**code.fields(), client=BROWSER)


async def logs_in_with_a_spent_code(world: World) -> Act:
    act = await logs_in_with_a_code(world)
    await act()
    return act


async def purges_login_codes(world: World) -> Act:
    await world.login_code()
    world.clock.advance(SESSION_LIFETIME * 2)
    return later(world, "purge_expired")


async def erases_accounts(world: World) -> Act:
    await (await deletes_the_account(world))()
    await world.request_reset(email="alice@example.com")
    world.clock.advance(timedelta(days=14))
    return later(world, "erase_accounts")


async def purges_sessions(world: World) -> Act:
    await world.logged_in("alice")
    world.clock.advance(SESSION_LIFETIME * 2)
    return later(world, "purge_expired")


async def purges_devices(world: World) -> Act:
    await world.logged_in("alice")
    world.clock.advance(SESSION_LIFETIME * 2)
    await world.purge_expired()  # the session, in a transaction of its own
    world.clock.advance(DEVICES_REMEMBERED)
    return later(world, "purge_expired")


async def purges_reset_tokens(world: World) -> Act:
    await world.reset_link()
    world.clock.advance(SESSION_LIFETIME * 2)
    return later(world, "purge_expired")


async def checks_health(world: World) -> Act:
    await world.request_reset(email="alice@example.com")
    return later(world, "check_health")


async def authenticates(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.principal(pair)


async def authenticates_and_is_noted(world: World) -> Act:
    act = await authenticates(world)
    world.clock.advance(USE_NOTED_EVERY)
    return act


async def changes_the_password_too_weakly(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.change_password(
        principal=principal, old_password=PASSWORD, new_password=Secret("alice"), client=BROWSER
    )


async def resets_with_a_spent_link(world: World) -> Act:
    act = await resets_the_password(world)
    await act()
    return act


async def finds_nothing_to_deliver(world: World) -> Act:
    return later(world, "deliver_mail")


async def first_key(world: World) -> None:
    now = world.clock.now()
    key = await world.as_wired("sealed_keys").generate(at=now, signs_from=now)
    async with world.storage.begin() as uow:
        await uow.signing_keys.add_first(key)


async def publishes_keys(world: World) -> Act:
    await first_key(world)
    return later(world, "publish_keys")


async def lists_keys(world: World) -> Act:
    await first_key(world)
    return later(world, "list_keys")


async def rotates_keys(world: World) -> Act:
    await first_key(world)
    return later(world, "rotate_keys")


async def rotates_keys_soon(world: World) -> Act:
    await first_key(world)
    return lambda: world.rotate_keys(soon=True)


async def rotates_keys_when_due(world: World) -> Act:
    await first_key(world)
    world.clock.advance(timedelta(days=365))
    return later(world, "rotate_keys_when_due")


async def retires_the_key(world: World) -> Act:
    await first_key(world)
    (listed,) = await world.list_keys()
    return lambda: world.retire_key(kid=listed.key.kid)


async def reencrypts_keys(world: World) -> Act:
    await first_key(world)
    return later(world, "reencrypt_keys")


async def bob_as(world: World, **changes: Any) -> User:
    """Another account, logged in to, in the state that is called for."""
    await world.registered("bob")
    await world.logged_in("bob")
    bob = replace(await world.stored_user("bob"), **changes)
    async with world.storage.begin() as uow:
        return await uow.users.save(bob)


def on_bob(act: str, **changes: Any) -> Scenario:
    async def acts(world: World) -> Act:
        bob, root = await bob_as(world, **changes), await world.superuser()
        return lambda: getattr(world, act)(by=root, user_id=bob.id, client=BROWSER)

    acts.__name__ = f"administers_by_{act}"
    return acts


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
disables_an_account = on_bob("disable_user")
enables_an_account = on_bob("enable_user", disabled_at=NOON)
forces_a_reset = on_bob("force_reset")
ends_the_sessions_of_another = on_bob("end_user_sessions")
vouches_for_an_address = on_bob("verify_user_email")
promotes_an_account = on_bob("promote_user")
demotes_a_superuser = on_bob("demote_user", superuser_since=NOON)
erases_an_account = on_bob("erase_user")


async def demotes_the_last_superuser(world: World) -> Act:
    root = await world.superuser()
    return lambda: world.demote_user(by=root, user_id=root.user.id, client=BROWSER)


async def mints_a_reset_link(world: World) -> Act:
    bob = await bob_as(world)
    return lambda: world.mint_reset_link(by=OPERATOR, user_id=bob.id)


async def finds_and_shows_an_account(world: World) -> Act:
    async def looks() -> None:
        await world.require_superuser(principal=root)
        user = await world.find_user(name="alice")
        await world.show_user(user_id=user.id)
        await world.search_users(search="al")

    root = await world.superuser()
    return looks


async def reads_the_audit_log(world: World) -> Act:
    return later(world, "read_audit_log")


async def a_dead_letter(world: World) -> str:
    await world.request_reset(email="alice@example.com")
    async with world.storage.begin() as uow:
        claimed = await uow.outbox.claim(lease_id="l", at=world.clock.now(), lease=timedelta(seconds=1))
        await uow.outbox.bury(claimed, at=world.clock.now(), error="no such mailbox")
    return str(claimed.intent.id)


GONE = Endpoint(url="https://gone.example/hooks", secrets=(SigningSecret(key=b"k" * 32),))


async def a_dead_webhook(world: World) -> None:
    now = world.clock.now()
    intent = WebhookIntent(id="w" * 32, queue=GONE.queue, kind="LoggedIn", created_at=now, body="{}")
    async with world.storage.begin() as uow:
        await uow.outbox.put(intent)
        claimed = await uow.outbox.claim(lease_id="l", at=now, lease=timedelta(seconds=1), queue=GONE.queue)
        await uow.outbox.bury(claimed, at=now, error="answered 410")


async def tries_an_endpoint(world: World) -> Act:
    return lambda: world.try_endpoint(GONE)


async def shows_the_endpoints(world: World) -> Act:
    await a_dead_webhook(world)
    return later(world, "show_endpoints")


async def retries_webhooks(world: World) -> Act:
    await a_dead_webhook(world)
    return lambda: world.retry_webhooks(by=OPERATOR, endpoints=[GONE])


async def retries_webhooks_of_which_none_is_dead(world: World) -> Act:
    return lambda: world.retry_webhooks(by=OPERATOR, endpoints=[GONE])


async def lists_the_outbox(world: World) -> Act:
    await a_dead_letter(world)
    return lambda: world.list_outbox(dead=True)


async def retries_a_letter(world: World) -> Act:
    letter, root = await a_dead_letter(world), await world.superuser()
    return lambda: world.retry_letter(by=root, letter_id=letter, client=BROWSER)


async def an_audit_log(world: World) -> None:
    """Of which some is sealed, and some can be."""
    for _ in range(2):
        await world.logged_in("alice")
        world.clock.advance(SETTLED_AFTER)
        await world.as_wired("seal_audit_log")()
        world.clock.advance(timedelta(days=1))
    await world.logged_in("alice")
    world.clock.advance(SETTLED_AFTER)


async def seals_the_audit_log(world: World) -> Act:
    await an_audit_log(world)
    return later(world, "seal_audit_log")


async def verifies_the_audit_log(world: World) -> Act:
    await an_audit_log(world)
    return later(world, "verify_audit_log")


async def exports_the_audit_log(world: World) -> Act:
    await an_audit_log(world)

    async def export() -> None:
        async for _ in world.export_audit_log():
            pass

    return export


async def purges_the_audit_log(world: World) -> Act:
    await world.logged_in("alice")
    world.clock.advance(SETTLED_AFTER)
    await world.as_wired("seal_audit_log")()
    world.clock.advance(timedelta(days=401))
    return later(world, "purge_audit_log")


SCENARIOS: list[Scenario] = [
    registers,
    registers_a_superuser,
    registers_and_is_mailed,
    registers_blindly,
    registers_with_an_address_that_is_taken,
    asks_for_another_link,
    verifies_the_address,
    logs_in_before_it_is_verified,
    purges_what_nobody_verified,
    logs_in,
    logs_in_by_address,
    logs_in_from_a_new_device,
    logs_in_and_is_rehashed,
    logs_in_once_too_often,
    fails_to_log_in,
    refreshes,
    refreshes_with_the_pending_token,
    replays_a_superseded_token,
    logs_out,
    verifies_a_token,
    shows_the_profile,
    sees_the_sessions,
    ends_a_session,
    ends_a_session_that_is_over,
    ends_the_other_sessions,
    ends_all_sessions,
    changes_the_password,
    forgets_the_password,
    resets_the_password,
    updates_the_profile,
    asks_for_another_address,
    confirms_another_address,
    undoes_a_change_of_address,
    undoes_a_change_that_is_undone,
    asks_for_a_login_code,
    logs_in_with_a_code,
    logs_in_with_a_spent_code,
    purges_login_codes,
    exports_the_data,
    deletes_the_account,
    deletes_the_account_of_a_superuser,
    fails_to_delete_the_account,
    undoes_the_deletion,
    undoes_the_deletion_with_a_spent_link,
    erases_accounts,
    purges_sessions,
    purges_devices,
    purges_reset_tokens,
    checks_health,
    authenticates,
    authenticates_and_is_noted,
    changes_the_password_too_weakly,
    resets_with_a_spent_link,
    finds_nothing_to_deliver,
    publishes_keys,
    lists_keys,
    rotates_keys,
    rotates_keys_soon,
    rotates_keys_when_due,
    retires_the_key,
    reencrypts_keys,
    disables_an_account,
    enables_an_account,
    forces_a_reset,
    ends_the_sessions_of_another,
    vouches_for_an_address,
    promotes_an_account,
    demotes_a_superuser,
    demotes_the_last_superuser,
    erases_an_account,
    mints_a_reset_link,
    finds_and_shows_an_account,
    reads_the_audit_log,
    lists_the_outbox,
    retries_a_letter,
    tries_an_endpoint,
    shows_the_endpoints,
    retries_webhooks,
    retries_webhooks_of_which_none_is_dead,
    seals_the_audit_log,
    verifies_the_audit_log,
    exports_the_audit_log,
    purges_the_audit_log,
]
# What each leaves behind in the transaction that does it.
TRACES: dict[Scenario, list[str]] = {
    registers: ["audit_log.append"],
    registers_a_superuser: ["audit_log.append"],
    registers_and_is_mailed: ["audit_log.append", "outbox.put"],
    registers_blindly: ["audit_log.append", "outbox.put", "reservations.hold"],
    registers_with_an_address_that_is_taken: ["audit_log.append", "outbox.put", "reservations.hold"],
    asks_for_another_link: ["audit_log.append", "outbox.put"],
    verifies_the_address: ["audit_log.append", "reservations.release"],
    logs_in: ["audit_log.append", "devices.see"],
    fails_to_log_in: ["audit_log.append"],
    logs_in_before_it_is_verified: ["audit_log.append", "outbox.put"],
    logs_in_with_a_spent_code: ["audit_log.append"],
    fails_to_delete_the_account: ["audit_log.append"],
    rotates_keys: ["audit_log.append", "signing_keys.add_next"],
    retires_the_key: ["audit_log.append", "signing_keys.retire"],
    reencrypts_keys: ["audit_log.append", "signing_keys.reseal"],
    purges_the_audit_log: ["audit_log.append", "audit_seals.mark_purged"],
    logs_in_from_a_new_device: ["audit_log.append", "devices.see", "outbox.put"],
    replays_a_superseded_token: ["audit_log.append", "outbox.put"],
    logs_out: ["audit_log.append"],
    ends_a_session: ["audit_log.append"],
    ends_the_other_sessions: ["audit_log.append"],
    ends_all_sessions: ["audit_log.append"],
    changes_the_password: ["audit_log.append", "outbox.put"],
    forgets_the_password: ["audit_log.append", "outbox.put"],
    resets_the_password: ["audit_log.append", "outbox.put"],
    updates_the_profile: ["audit_log.append"],
    asks_for_another_address: ["audit_log.append", "outbox.put"],
    confirms_another_address: ["audit_log.append", "outbox.put", "reservations.hold"],
    undoes_a_change_of_address: ["audit_log.append", "outbox.put", "reservations.release_from"],
    asks_for_a_login_code: ["audit_log.append", "login_codes.add", "outbox.put"],
    logs_in_with_a_code: ["audit_log.append", "devices.see"],
    exports_the_data: ["audit_log.append"],
    deletes_the_account: ["audit_log.append", "outbox.put"],
    undoes_the_deletion: ["audit_log.append", "outbox.put"],
    erases_accounts: ["audit_log.append", "audit_log.forget_clients"],
    disables_an_account: ["audit_log.append"],
    enables_an_account: ["audit_log.append"],
    forces_a_reset: ["audit_log.append", "outbox.put"],
    ends_the_sessions_of_another: ["audit_log.append"],
    vouches_for_an_address: ["audit_log.append"],
    promotes_an_account: ["audit_log.append"],
    demotes_a_superuser: ["audit_log.append"],
    erases_an_account: ["audit_log.append", "audit_log.forget_clients"],
    mints_a_reset_link: ["audit_log.append"],
    retries_a_letter: ["audit_log.append"],
    retries_webhooks: ["audit_log.append", "outbox.retry"],
}
TRACED_WITH_EACH_REFUSAL = {
    fails_to_log_in,
    logs_in_before_it_is_verified,
    logs_in_with_a_code,
    logs_in_with_a_spent_code,
    changes_the_password,
    fails_to_delete_the_account,
}
"""Of these another try, or the first, is refused for a wrong password or code."""
REFUSED = {
    fails_to_log_in,
    logs_in_before_it_is_verified,
    logs_in_with_a_spent_code,
    replays_a_superseded_token,
    ends_a_session_that_is_over,
    changes_the_password_too_weakly,
    resets_with_a_spent_link,
    undoes_a_change_that_is_undone,
    fails_to_delete_the_account,
    undoes_the_deletion_with_a_spent_link,
    demotes_the_last_superuser,
}
GOES_ON_ALL_THE_SAME = {authenticates_and_is_noted}
"""Where what cannot be noted is no reason to refuse what was asked for."""
DELIVERIES = [
    registers_and_is_mailed,
    registers_with_an_address_that_is_taken,
    forgets_the_password,
    asks_for_a_login_code,
    changes_the_password,
    resets_the_password,
    asks_for_another_address,
    undoes_a_change_of_address,
    logs_in_from_a_new_device,
    replays_a_superseded_token,
    deletes_the_account,
    undoes_the_deletion,
    forces_a_reset,
    retries_a_letter,
]
"""After which there is mail to deliver."""
