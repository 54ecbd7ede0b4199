"""The composition root: which adapter stands behind which port, and what each use case is given."""

from __future__ import annotations

import importlib
import inspect
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, Object, Selector, Singleton

from identity.adapters.argon2 import Argon2Hasher
from identity.adapters.common_passwords import BundledCommonPasswords
from identity.adapters.common_passwords_file import CommonPasswordsFile
from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.jwt.keyring import Keyring
from identity.adapters.jwt.keys import OpenKey, SealedKeys, shared_key
from identity.adapters.jwt.tokens import JwtTokens
from identity.adapters.jwt.vault import Vault, derived_key
from identity.adapters.known_blocks import KnownBlocks
from identity.adapters.machine import usable_cores, usable_memory
from identity.adapters.mail.console import ConsoleMailer
from identity.adapters.mail.directory import DirectoryMailer
from identity.adapters.mail.jinja import JinjaRenderer, mail_locales
from identity.adapters.mail.mime import parse_sender
from identity.adapters.mail.smtp import Security, SmtpMailer
from identity.adapters.memory import MemoryMailer, MemoryRateLimiter, MemorySchema, MemoryStorage
from identity.adapters.secret_file import create_secret_file
from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.rate_limiter import SqlRateLimiter
from identity.adapters.sql.storage import SqlStorage
from identity.adapters.system import SystemClock, SystemRandomness
from identity.application.calibration import Calibrate
from identity.application.health import CheckHealth
from identity.application.housekeeping import PurgeExpired
from identity.application.login import LogIn
from identity.application.outbox import DeliverMail
from identity.application.own_sessions import EndAllSessions, EndOtherSessions, EndSession, ListSessions
from identity.application.passwords import ChangePassword, JudgePassword, RequestReset, ResetPassword
from identity.application.ports import Mailer, PasswordHasher
from identity.application.profile import ShowProfile
from identity.application.registration import RegisterUser
from identity.application.sessions import Authenticate, LogOut, RefreshSession, SignTokens, VerifyToken
from identity.application.signing_keys import (
    ListKeys,
    PublishKeys,
    ReencryptKeys,
    RetireKey,
    RotateKeys,
    RotateKeysWhenDue,
)
from identity.application.throttling import (
    FIVE_MINUTES,
    Buckets,
    CountRequest,
    ForgiveFailures,
    HashPassword,
    VerifyPassword,
)
from identity.domain.language import look_up
from identity.domain.password_policy import PasswordPolicy
from identity.domain.secrets import Secret
from identity.domain.throttling import Backoff, Window
from identity.settings import Settings, SettingsError, values

MEBIBYTE = 1024 * 1024
AHEAD = 2
"""Attempts that are counted in the database while others are hashed, so that no slot lies idle meanwhile."""


def service_secret(settings: Settings) -> Secret:
    """The secret that was set, or the one beside the embedded database, or for `memory:` one of the moment.

    Raises:
        OSError: the file beside the database cannot be read or made, or is not private.
        SettingsError: what is in it is no secret.
    """
    if settings.secret is not None:
        return settings.secret
    if settings.secret_path is not None:
        create_secret_file(settings.secret_path)
        try:
            return values.secret_in(settings.secret_path)
        except ValueError as error:
            raise SettingsError([f"the secret in {settings.secret_path} {error}"]) from None
    return Secret(secrets.token_urlsafe(32))


def sealed_algorithm(settings: Settings) -> str:
    """Of the keys in the database, which are there even where a shared key signs."""
    return "ES256" if settings.token_algorithm == "HS256" else settings.token_algorithm


def key_shared_with_others(settings: Settings) -> OpenKey | None:
    return None if settings.shared_key is None else shared_key(settings.shared_key)


def storage_kind(settings: Settings) -> str:
    return "memory" if settings.database_url == "memory:" else "sql"


def sql_storage(settings: Settings) -> SqlStorage:
    try:
        return SqlStorage(settings.database_url, connections=settings.database_connections)
    except ValueError as error:
        raise SettingsError([f"IDENTITY_DATABASE_URL: {error}"]) from None


def mailer_kind(settings: Settings) -> str:
    """The scheme of the mail URL, or `class` for a third party's `package.module:Class`."""
    scheme = settings.mail_url.partition(":")[0]
    return "class" if "." in scheme else scheme


def smtp_mailer(settings: Settings, security: Security) -> SmtpMailer:
    url = urlsplit(settings.mail_url)
    return SmtpMailer(
        host=url.hostname or "",
        port=url.port,
        security=security,
        sender=settings.mail_from,
        username=unquote(url.username or ""),
        password=Secret(unquote(url.password)) if url.password else None,
    )


def service_name(settings: Settings) -> str:
    """What this service is called, to whoever has not been told otherwise: as the sender of its mail.

    Raises:
        SettingsError: the sender is not one address.
    """
    try:
        sender = parse_sender(settings.mail_from)
    except ValueError as error:
        raise SettingsError([f"IDENTITY_MAIL_FROM {settings.mail_from}: {error}"]) from None
    return settings.service_name or sender.display_name or sender.domain


def password_policy(settings: Settings, name: str) -> PasswordPolicy:
    """The service's `name` may not be in a password, neither as it is written nor in one word."""
    in_one_word = "".join(filter(str.isalnum, name))
    return PasswordPolicy(
        shortest=settings.password_min_length,
        longest=settings.password_max_length,
        service_names=(name, in_one_word, *settings.password_context_words),
    )


def common_passwords_kind(settings: Settings) -> str:
    return "file" if settings.common_passwords_file else "bundled"


def mail_renderer(settings: Settings, service: str) -> JinjaRenderer:
    """Raises `SettingsError` when one of the deployment's own templates is wrong, or there are none in its
    locale."""
    renderer = JinjaRenderer(
        service=service, overrides=settings.templates, default_locale=settings.default_locale
    )
    if look_up(settings.default_locale, renderer.locales) is None:
        raise SettingsError(
            [
                f"IDENTITY_DEFAULT_LOCALE {settings.default_locale}: there are mail templates in "
                f"{', '.join(renderer.locales)} only"
            ]
        )
    if settings.templates:  # our own were tried by our tests, and trying them would slow each start down
        try:
            renderer.check()
        except ValueError as error:
            raise SettingsError([f"IDENTITY_TEMPLATES {settings.templates}: {error}"]) from None
    return renderer


def directory_mailer(settings: Settings) -> DirectoryMailer:
    path = Path(settings.mail_url.removeprefix("directory:"))
    return DirectoryMailer(path=path, sender=settings.mail_from)


def hasher_kind(settings: Settings) -> str:
    return "argon2" if settings.hasher == "argon2" else "class"


def hashing_memory(settings: Settings) -> int:
    """For all workers together, in MiB."""
    return settings.hashing_memory or usable_memory() // MEBIBYTE // 2


def hashing_slots(settings: Settings) -> int:
    """How many passwords each worker hashes at once: what cores and memory there are, shared by the workers.

    Raises:
        SettingsError: there is not the memory for one.
    """
    cores = usable_cores() // settings.workers
    if settings.hasher != "argon2":
        return max(cores, 1)
    budget = hashing_memory(settings)
    needed = settings.argon2_memory_cost / 1024
    fitting = int(budget / settings.workers / needed)
    if fitting < 1:
        given = "IDENTITY_HASHING_MEMORY" if settings.hashing_memory else "half of the memory that is there"
        raise SettingsError(
            [
                f"hashing a password takes {needed:.0f} MiB (IDENTITY_ARGON2_MEMORY_COST), and a worker has "
                f"{budget / settings.workers:.0f} MiB of the {budget} MiB that are {given} "
                f"(IDENTITY_WORKERS is {settings.workers})"
            ]
        )
    return max(1, min(cores // settings.argon2_parallelism, fitting))


def hashing_turns(settings: Settings, slots: int) -> int:
    """How many attempts each worker has under way at once, counting them in the database or hashing.

    Our own hasher keeps to its slots by itself, so that the next ones can be counted while it is busy; of
    another's we know nothing.
    """
    return slots + AHEAD if settings.hasher == "argon2" else slots


def argon2_of(settings: Settings) -> Callable[[int], Argon2Hasher]:
    """Hashers that differ from the settings in their memory cost alone."""

    def of(memory_cost: int) -> Argon2Hasher:
        return Argon2Hasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=memory_cost,
            parallelism=settings.argon2_parallelism,
            threads=1,
        )

    return of


def most_memory_cost(settings: Settings) -> int:
    """What a worker could spend on one password at a time, in KiB."""
    return min(hashing_memory(settings) * 1024 // settings.workers, values.MOST_MEMORY_COST)


def buckets(settings: Settings, secret: Secret) -> Buckets:
    return Buckets(
        key=derived_key(secret, "rate-limits"),
        per_account=Backoff(free=settings.login_free_failures, stop=settings.login_failures),
        failures_per_address=Window(limit=settings.address_failures, length=FIVE_MINUTES),
        requests_per_address=Window(limit=settings.address_requests, length=FIVE_MINUTES),
    )


def third_party(path: str, *, setting: str, port: type) -> Any:
    """An instance of the class `package.module:Class`, made without arguments: its configuration is its own.

    Raises:
        SettingsError: there is no such class, it cannot be made, or it lacks a method of its port.
    """
    module, _, class_name = path.partition(":")
    try:
        adapter = getattr(importlib.import_module(module), class_name)()
    except Exception as error:
        raise SettingsError([f"{setting} {path}: {_reason(error)}"]) from error
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if not name.startswith("_") and not _is_alike(getattr(adapter, name, None), method):
            definition = "async def" if inspect.iscoroutinefunction(method) else "def"
            parameters = ", ".join(inspect.signature(method).parameters)
            raise SettingsError([f"{setting} {path} has no `{definition} {name}({parameters})`"])
    return adapter


def _is_alike(attribute: object, method: object) -> bool:
    # Both ways: a coroutine that stands where an answer is expected would always be true.
    is_async = inspect.iscoroutinefunction(attribute)
    return callable(attribute) and is_async == inspect.iscoroutinefunction(method)


def _reason(error: Exception) -> str:
    kind = type(error)
    if kind is ModuleNotFoundError:
        return f"{error}; is it installed, or its folder in PYTHONPATH?"
    if kind.__module__ != "builtins":
        return kind.__qualname__  # without its words: some libraries repeat what they got, passwords as well
    return str(error) if kind is ValueError else f"{kind.__name__}: {error}"


def reset_link(settings: Settings) -> str:
    return settings.reset_url.replace("{frontend}", settings.frontend_url)


class Container(DeclarativeContainer):
    settings = Dependency(instance_of=Settings)
    given = settings.provided

    clock = Singleton(SystemClock)
    randomness = Singleton(SystemRandomness)

    storage = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemoryStorage),
        sql=Singleton(sql_storage, settings),
    )
    begin = storage.provided.begin
    read = storage.provided.read
    schema = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemorySchema),
        sql=Singleton(SqlSchema, storage),
    )

    hashing_slots = Singleton(hashing_slots, settings)
    lane = Singleton(AsyncHashingLane, slots=Singleton(hashing_turns, settings, hashing_slots))
    hasher = Selector(
        Singleton(hasher_kind, settings),
        argon2=Singleton(
            Argon2Hasher,
            threads=hashing_slots,
            time_cost=given.argon2_time_cost,
            memory_cost=given.argon2_memory_cost,
            parallelism=given.argon2_parallelism,
        ),
        **{
            "class": Singleton(
                third_party, given.hasher, setting="IDENTITY_HASHER", port=Object(PasswordHasher)
            )
        },
    )
    calibrate = Singleton(
        Calibrate,
        hasher_of=Singleton(argon2_of, settings),
        stopwatch=Object(time.perf_counter),
        least=values.LEAST_MEMORY_COST,
        most=Singleton(most_memory_cost, settings),
    )
    secret = Singleton(service_secret, settings)
    limiter = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemoryRateLimiter),
        sql=Singleton(KnownBlocks, Singleton(SqlRateLimiter, storage)),
    )
    buckets = Singleton(buckets, settings, secret)
    count_request = Singleton(CountRequest, limiter=limiter, buckets=buckets, clock=clock)
    forgive_failures = Singleton(ForgiveFailures, limiter=limiter, buckets=buckets, clock=clock)
    hash_password = Singleton(HashPassword, lane=lane, hasher=hasher)
    verify_password = Singleton(
        VerifyPassword, lane=lane, limiter=limiter, buckets=buckets, hasher=hasher, clock=clock
    )
    service_name = Singleton(service_name, settings)
    bundled_common_passwords = Singleton(BundledCommonPasswords)
    judge_password = Singleton(
        JudgePassword,
        common_passwords=Selector(
            Singleton(common_passwords_kind, settings),
            bundled=bundled_common_passwords,
            file=Singleton(
                CommonPasswordsFile, given.common_passwords_file, besides=bundled_common_passwords
            ),
        ),
        policy=Singleton(password_policy, settings, service_name),
    )

    vault = Singleton(
        Vault,
        secret,
        purpose="signing-keys",
        previous=given.secret_previous,
    )
    sealed_keys = Singleton(
        SealedKeys, vault=vault, randomness=randomness, algorithm=Singleton(sealed_algorithm, settings)
    )
    keyring = Singleton(
        Keyring,
        read=read,
        begin=begin,
        sealed=sealed_keys,
        clock=clock,
        longest_lifetime=given.refresh_lifetime,
        shared=Singleton(key_shared_with_others, settings),
    )
    publish_keys = Singleton(PublishKeys, public_keys=keyring)
    list_keys = Singleton(ListKeys, read=read, clock=clock, longest_lifetime=given.refresh_lifetime)
    rotate_keys = Singleton(RotateKeys, read=read, begin=begin, generator=sealed_keys, clock=clock)
    rotate_keys_when_due = Singleton(
        RotateKeysWhenDue,
        read=read,
        rotate_keys=rotate_keys,
        clock=clock,
        period=given.key_rotation,
        algorithm=Singleton(sealed_algorithm, settings),
    )
    retire_key = Singleton(
        RetireKey,
        read=read,
        begin=begin,
        generator=sealed_keys,
        clock=clock,
        longest_lifetime=given.refresh_lifetime,
    )
    reencrypt_keys = Singleton(ReencryptKeys, begin=begin, generator=sealed_keys)
    tokens = Singleton(JwtTokens, keyring=keyring, issuer=given.issuer, audience=given.audience, clock=clock)
    sign_tokens = Singleton(
        SignTokens, tokens=tokens, randomness=randomness, access_lifetime=given.access_lifetime
    )

    locales = Singleton(mail_locales, given.templates)
    renderer = Singleton(mail_renderer, settings, service_name)
    mailer = Selector(
        Singleton(mailer_kind, settings),
        console=Singleton(ConsoleMailer, sender=given.mail_from),
        memory=Singleton(MemoryMailer),
        directory=Singleton(directory_mailer, settings),
        **{
            "smtp": Singleton(smtp_mailer, settings, Security.PLAIN),
            "smtp+starttls": Singleton(smtp_mailer, settings, Security.STARTTLS),
            "smtps": Singleton(smtp_mailer, settings, Security.TLS),
            "class": Singleton(third_party, given.mail_url, setting="IDENTITY_MAIL_URL", port=Object(Mailer)),
        },
    )

    register_user = Singleton(
        RegisterUser,
        read=read,
        begin=begin,
        hash_password=hash_password,
        count_request=count_request,
        judge_password=judge_password,
        clock=clock,
    )
    log_in = Singleton(
        LogIn,
        read=read,
        begin=begin,
        hasher=hasher,
        hash_password=hash_password,
        verify_password=verify_password,
        sign_tokens=sign_tokens,
        clock=clock,
        randomness=randomness,
        session_lifetime=given.refresh_lifetime,
        sessions_per_account=given.sessions_per_account,
        new_device_mail=given.new_device_mail,
    )
    refresh_session = Singleton(
        RefreshSession,
        begin=begin,
        count_request=count_request,
        tokens=tokens,
        sign_tokens=sign_tokens,
        clock=clock,
        randomness=randomness,
        idle=given.refresh_idle,
        reuse_window=given.reuse_window,
    )
    log_out = Singleton(LogOut, begin=begin, tokens=tokens, clock=clock)
    verify_token = Singleton(
        VerifyToken,
        read=read,
        tokens=tokens,
        clock=clock,
        idle=given.refresh_idle,
        reuse_window=given.reuse_window,
    )
    authenticate = Singleton(
        Authenticate, read=read, begin=begin, tokens=tokens, clock=clock, idle=given.refresh_idle
    )
    list_sessions = Singleton(ListSessions, read=read, clock=clock, idle=given.refresh_idle)
    end_session = Singleton(EndSession, begin=begin, clock=clock)
    end_other_sessions = Singleton(EndOtherSessions, begin=begin, clock=clock)
    end_all_sessions = Singleton(EndAllSessions, begin=begin, clock=clock)
    show_profile = Singleton(ShowProfile)
    change_password = Singleton(
        ChangePassword,
        read=read,
        begin=begin,
        hash_password=hash_password,
        verify_password=verify_password,
        judge_password=judge_password,
        clock=clock,
        randomness=randomness,
        idle=given.refresh_idle,
    )
    request_reset = Singleton(
        RequestReset, begin=begin, count_request=count_request, clock=clock, randomness=randomness
    )
    reset_password = Singleton(
        ResetPassword,
        read=read,
        begin=begin,
        hash_password=hash_password,
        count_request=count_request,
        forgive_failures=forgive_failures,
        judge_password=judge_password,
        clock=clock,
        randomness=randomness,
    )
    deliver_mail = Singleton(
        DeliverMail,
        read=read,
        begin=begin,
        limiter=limiter,
        renderer=renderer,
        mailer=mailer,
        clock=clock,
        randomness=randomness,
        reset_url=Singleton(reset_link, settings),
        reset_lifetime=given.reset_lifetime,
    )
    purge_expired = Singleton(PurgeExpired, begin=begin, limiter=limiter, clock=clock)
    check_health = Singleton(CheckHealth, read=read, schema=schema, clock=clock)


def build_container(settings: Settings) -> Container:
    return Container(settings=settings)
