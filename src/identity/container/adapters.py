"""Which adapter stands behind which port."""

from __future__ import annotations

import secrets

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, Object, Selector, Singleton

from identity.adapters.argon2 import Argon2Hasher
from identity.adapters.common_passwords import BundledCommonPasswords
from identity.adapters.common_passwords_file import CommonPasswordsFile
from identity.adapters.counted_decisions import CountedDecisions
from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.jwt.keyring import Keyring
from identity.adapters.jwt.keys import OpenKey, SealedKeys, shared_key
from identity.adapters.jwt.tokens import JwtTokens
from identity.adapters.jwt.vault import Vault, derived_key
from identity.adapters.known_blocks import KnownBlocks
from identity.adapters.mail.console import ConsoleMailer
from identity.adapters.mail.jinja import mail_locales
from identity.adapters.mail.smtp import Security
from identity.adapters.memory import MemoryMailer, MemoryRateLimiter, MemorySchema, MemoryStorage
from identity.adapters.secret_file import create_secret_file
from identity.adapters.sql.copying import SqlCopier
from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.rate_limiter import SqlRateLimiter
from identity.adapters.sql.storage import SqlStorage
from identity.adapters.system import SystemClock, SystemRandomness
from identity.application.ports import Mailer, PasswordHasher
from identity.application.webhooks import (
    AnnounceEvents,
)
from identity.container.hashing import (
    hasher_kind,
    hashing_slots,
    hashing_turns,
)
from identity.container.mailing import (
    directory_mailer,
    links,
    mail_renderer,
    mailer_kind,
    service_name,
    smtp_mailer,
)
from identity.container.passwords import common_passwords_kind
from identity.container.third_party import third_party
from identity.container.webhooks import are_wanted, endpoints, webhook_sender
from identity.domain.audit_seal import SealingKey
from identity.domain.login_code import CodeDigests
from identity.domain.secrets import Secret
from identity.settings import Settings, SettingsError, values


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


def watched(settings: Settings) -> str:
    return "no" if settings.metrics_port is None else "yes"


def sql_storage(settings: Settings) -> SqlStorage:
    try:
        return SqlStorage(settings.database_url, connections=settings.database_connections)
    except ValueError as error:
        raise SettingsError([f"IDENTITY_DATABASE_URL: {error}"]) from None


def code_digests(secret: Secret) -> CodeDigests:
    return CodeDigests(key=derived_key(secret, "login-codes"))


def sealing_key(secret: Secret) -> SealingKey:
    return SealingKey(derived_key(secret, "audit-log"))


def previous_sealing_key(settings: Settings) -> SealingKey | None:
    return None if settings.secret_previous is None else sealing_key(settings.secret_previous)


class Adapters(DeclarativeContainer):
    settings = Dependency(instance_of=Settings)
    given = settings.provided
    clock = Singleton(SystemClock)
    randomness = Singleton(SystemRandomness)

    storage = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemoryStorage),
        sql=Singleton(sql_storage, settings),
    )
    read = storage.provided.read
    secret = Singleton(service_secret, settings)
    endpoints = Singleton(endpoints, settings, secret)
    begin = Selector(
        Singleton(are_wanted, settings),
        no=storage.provided.begin,
        yes=Singleton(
            AnnounceEvents, begin=storage.provided.begin, endpoints=endpoints, randomness=randomness
        ),
    )
    schema = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemorySchema),
        sql=Singleton(SqlSchema, storage),
    )
    # Of a database; what memory: has is known to the server alone.
    copier = Singleton(SqlCopier, storage, given.database_url)

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

    stored_limits = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemoryRateLimiter),
        sql=Singleton(KnownBlocks, Singleton(SqlRateLimiter, storage)),
    )
    limiter = Selector(
        Singleton(watched, settings), no=stored_limits, yes=Singleton(CountedDecisions, stored_limits)
    )

    service_name = Singleton(service_name, settings)
    bundled_common_passwords = Singleton(BundledCommonPasswords)
    common_passwords = Selector(
        Singleton(common_passwords_kind, settings),
        bundled=bundled_common_passwords,
        file=Singleton(CommonPasswordsFile, given.common_passwords_file, besides=bundled_common_passwords),
    )

    vault = Singleton(
        Vault,
        secret,
        purpose="signing-keys",
        previous=given.secret_previous,
    )
    sealed_algorithm = Singleton(sealed_algorithm, settings)
    sealed_keys = Singleton(SealedKeys, vault=vault, randomness=randomness, algorithm=sealed_algorithm)
    keyring = Singleton(
        Keyring,
        read=read,
        begin=begin,
        sealed=sealed_keys,
        clock=clock,
        longest_lifetime=given.refresh_lifetime,
        shared=Singleton(key_shared_with_others, settings),
    )
    tokens = Singleton(JwtTokens, keyring=keyring, issuer=given.issuer, audience=given.audience, clock=clock)

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

    code_digests = Singleton(code_digests, secret)
    links = Singleton(links, settings)
    webhook_sender = Singleton(webhook_sender, settings)
    sealing_key = Singleton(sealing_key, secret)
    previous_sealing_key = Singleton(previous_sealing_key, settings)
