"""The composition root: which adapter stands behind which port, and what each use case is given."""

from __future__ import annotations

import secrets
import time

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
from identity.adapters.system import SystemClock, SystemRandomness, time_zones
from identity.application.administration import (
    Authorise,
    FindUser,
    RequireSuperuser,
    SearchUsers,
    ShowUser,
)
from identity.application.audit import ExportAuditLog, PurgeAuditLog, SealAuditLog, VerifyAuditLog
from identity.application.audit_reading import ReadAuditLog
from identity.application.calibration import Calibrate
from identity.application.composing import ComposeMail
from identity.application.courier import Courier
from identity.application.deletion import EraseAccounts, RequestDeletion, UndoDeletion
from identity.application.email_change import ConfirmEmailChange, RequestEmailChange, UndoEmailChange
from identity.application.export import ExportData
from identity.application.health import CheckHealth
from identity.application.housekeeping import PurgeExpired
from identity.application.links import FollowLink
from identity.application.login import LogIn
from identity.application.login_code import ConfirmLoginCode, MintLoginCode, RequestLoginCode
from identity.application.outbox import MAIL_SCHEDULE, DeliverMail
from identity.application.outbox_administration import ListOutbox, RetryLetter
from identity.application.own_sessions import EndAllSessions, EndOtherSessions, EndSession, ListSessions
from identity.application.passwords import ChangePassword, JudgePassword, RequestReset, ResetPassword
from identity.application.ports import Mailer, PasswordHasher
from identity.application.profile import ShowProfile, UpdateProfile
from identity.application.registration import JudgeRegistration, RegisterBlindly, RegisterUser
from identity.application.sessions import (
    Authenticate,
    BeginSession,
    LogOut,
    RefreshSession,
    SignTokens,
    VerifyToken,
)
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
    ConfirmPassword,
    CountRequest,
    ForgiveFailures,
    HashPassword,
    VerifyPassword,
)
from identity.application.user_administration import (
    DemoteUser,
    DisableUser,
    EnableUser,
    EndUserSessions,
    EraseUser,
    ForceReset,
    MintResetLink,
    PromoteUser,
    VerifyUserEmail,
)
from identity.application.verification import RequestVerification, VerifyEmail
from identity.application.webhooks import (
    WEBHOOK_SCHEDULE,
    AnnounceEvents,
    RetryWebhooks,
    ShowEndpoints,
    TryEndpoint,
)
from identity.container.hashing import (
    argon2_of,
    hasher_kind,
    hashing_slots,
    hashing_turns,
    most_memory_cost,
)
from identity.container.mailing import (
    directory_mailer,
    links,
    mail_renderer,
    mailer_kind,
    service_name,
    smtp_mailer,
)
from identity.container.passwords import common_passwords_kind, password_policy
from identity.container.third_party import third_party
from identity.container.webhooks import are_wanted, deliveries, endpoints, webhook_sender
from identity.domain.audit_seal import SealingKey
from identity.domain.login_code import CodeDigests
from identity.domain.one_time_token import Purpose
from identity.domain.secrets import Secret
from identity.domain.throttling import Backoff, Window
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


def buckets(settings: Settings, secret: Secret) -> Buckets:
    return Buckets(
        key=derived_key(secret, "rate-limits"),
        per_account=Backoff(free=settings.login_free_failures, stop=settings.login_failures),
        failures_per_address=Window(limit=settings.address_failures, length=FIVE_MINUTES),
        requests_per_address=Window(limit=settings.address_requests, length=FIVE_MINUTES),
    )


def mails_links_at_registration(settings: Settings) -> bool:
    return settings.email_verification != "off"


def requires_verification(settings: Settings) -> bool:
    return settings.email_verification == "required"


def code_digests(secret: Secret) -> CodeDigests:
    return CodeDigests(key=derived_key(secret, "login-codes"))


def sealing_key(secret: Secret) -> SealingKey:
    return SealingKey(derived_key(secret, "audit-log"))


def previous_sealing_key(settings: Settings) -> SealingKey | None:
    return None if settings.secret_previous is None else sealing_key(settings.secret_previous)


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
    calibrate = Singleton(
        Calibrate,
        hasher_of=Singleton(argon2_of, settings),
        stopwatch=Object(time.perf_counter),
        least=values.LEAST_MEMORY_COST,
        most=Singleton(most_memory_cost, settings),
    )
    stored_limits = Selector(
        Singleton(storage_kind, settings),
        memory=Singleton(MemoryRateLimiter),
        sql=Singleton(KnownBlocks, Singleton(SqlRateLimiter, storage)),
    )
    limiter = Selector(
        Singleton(watched, settings), no=stored_limits, yes=Singleton(CountedDecisions, stored_limits)
    )
    buckets = Singleton(buckets, settings, secret)
    count_request = Singleton(CountRequest, limiter=limiter, buckets=buckets, clock=clock)
    forgive_failures = Singleton(ForgiveFailures, limiter=limiter, buckets=buckets, clock=clock)
    hash_password = Singleton(HashPassword, lane=lane, hasher=hasher)
    verify_password = Singleton(
        VerifyPassword, lane=lane, limiter=limiter, buckets=buckets, hasher=hasher, clock=clock
    )
    confirm_password = Singleton(ConfirmPassword, begin=begin, verify_password=verify_password, clock=clock)
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
    reencrypt_keys = Singleton(ReencryptKeys, begin=begin, generator=sealed_keys, clock=clock)
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

    judge_registration = Singleton(
        JudgeRegistration, read=read, count_request=count_request, judge_password=judge_password
    )
    judge_registration_blindly = Singleton(
        JudgeRegistration,
        read=read,
        count_request=count_request,
        judge_password=judge_password,
        tells_of_addresses=False,
    )
    register_user = Singleton(
        RegisterUser,
        begin=begin,
        hash_password=hash_password,
        judge_registration=judge_registration,
        clock=clock,
        randomness=randomness,
        verification_mail=Singleton(mails_links_at_registration, settings),
    )
    register_blindly = Singleton(
        RegisterBlindly,
        begin=begin,
        hash_password=hash_password,
        judge_registration=judge_registration_blindly,
        clock=clock,
        randomness=randomness,
    )
    # For strangers. An operator registers people by `register_user`, and is told all there is to know.
    open_account = Selector(
        given.email_verification,
        off=register_user,
        optional=register_user,
        required=register_blindly,
    )
    begin_session = Singleton(
        BeginSession,
        randomness=randomness,
        lifetime=given.refresh_lifetime,
        sessions_per_account=given.sessions_per_account,
        new_device_mail=given.new_device_mail,
    )
    log_in = Singleton(
        LogIn,
        read=read,
        begin=begin,
        hasher=hasher,
        hash_password=hash_password,
        verify_password=verify_password,
        begin_session=begin_session,
        sign_tokens=sign_tokens,
        clock=clock,
        randomness=randomness,
        requires_verification=Singleton(requires_verification, settings),
    )
    code_digests = Singleton(code_digests, secret)
    request_login_code = Singleton(
        RequestLoginCode, begin=begin, count_request=count_request, clock=clock, randomness=randomness
    )
    mint_login_code = Singleton(MintLoginCode, randomness=randomness, code_digests=code_digests)
    confirm_login_code = Singleton(
        ConfirmLoginCode,
        read=read,
        begin=begin,
        limiter=limiter,
        buckets=buckets,
        code_digests=code_digests,
        begin_session=begin_session,
        sign_tokens=sign_tokens,
        clock=clock,
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
    update_profile = Singleton(
        UpdateProfile,
        read=read,
        begin=begin,
        count_request=count_request,
        clock=clock,
        idle=given.refresh_idle,
        time_zones=Singleton(time_zones),
    )
    change_password = Singleton(
        ChangePassword,
        read=read,
        begin=begin,
        hash_password=hash_password,
        confirm_password=confirm_password,
        judge_password=judge_password,
        clock=clock,
        randomness=randomness,
        idle=given.refresh_idle,
    )
    follow_link = Singleton(FollowLink, read=read, count_request=count_request, clock=clock)
    request_reset = Singleton(
        RequestReset, begin=begin, count_request=count_request, clock=clock, randomness=randomness
    )
    reset_password = Singleton(
        ResetPassword,
        begin=begin,
        follow_link=follow_link,
        hash_password=hash_password,
        forgive_failures=forgive_failures,
        judge_password=judge_password,
        clock=clock,
        randomness=randomness,
    )
    request_verification = Singleton(
        RequestVerification, begin=begin, count_request=count_request, clock=clock, randomness=randomness
    )
    verify_email = Singleton(
        VerifyEmail,
        begin=begin,
        follow_link=follow_link,
        clock=clock,
    )
    request_email_change = Singleton(
        RequestEmailChange,
        read=read,
        begin=begin,
        confirm_password=confirm_password,
        clock=clock,
        randomness=randomness,
        idle=given.refresh_idle,
    )
    confirm_email_change = Singleton(
        ConfirmEmailChange, begin=begin, follow_link=follow_link, clock=clock, randomness=randomness
    )
    undo_email_change = Singleton(
        UndoEmailChange, begin=begin, follow_link=follow_link, clock=clock, randomness=randomness
    )
    export_data = Singleton(ExportData, read=read, begin=begin, clock=clock, idle=given.refresh_idle)
    request_deletion = Singleton(
        RequestDeletion,
        read=read,
        begin=begin,
        confirm_password=confirm_password,
        clock=clock,
        randomness=randomness,
        idle=given.refresh_idle,
        grace=given.erasure_grace,
    )
    undo_deletion = Singleton(
        UndoDeletion, begin=begin, follow_link=follow_link, clock=clock, randomness=randomness
    )
    erase_accounts = Singleton(EraseAccounts, read=read, begin=begin, clock=clock)
    require_superuser = Singleton(
        RequireSuperuser, clock=clock, login_lifetime=given.superuser_login_lifetime
    )
    search_users = Singleton(SearchUsers, read=read)
    find_user = Singleton(FindUser, read=read)
    show_user = Singleton(ShowUser, read=read, clock=clock, idle=given.refresh_idle)
    authorise = Singleton(Authorise, idle=given.refresh_idle, login_lifetime=given.superuser_login_lifetime)
    disable_user = Singleton(
        DisableUser, begin=begin, authorise=authorise, clock=clock, randomness=randomness
    )
    enable_user = Singleton(EnableUser, begin=begin, authorise=authorise, clock=clock, randomness=randomness)
    force_reset = Singleton(ForceReset, begin=begin, authorise=authorise, clock=clock, randomness=randomness)
    end_user_sessions = Singleton(
        EndUserSessions, begin=begin, authorise=authorise, clock=clock, randomness=randomness
    )
    verify_user_email = Singleton(
        VerifyUserEmail, begin=begin, authorise=authorise, clock=clock, randomness=randomness
    )
    promote_user = Singleton(
        PromoteUser, begin=begin, authorise=authorise, clock=clock, randomness=randomness
    )
    demote_user = Singleton(DemoteUser, begin=begin, authorise=authorise, clock=clock, randomness=randomness)
    erase_user = Singleton(EraseUser, begin=begin, authorise=authorise, clock=clock)
    links = Singleton(links, settings)
    mint_reset_link = Singleton(
        MintResetLink,
        begin=begin,
        authorise=authorise,
        clock=clock,
        randomness=randomness,
        link=links.provided[Purpose.RESET_PASSWORD],
    )
    read_audit_log = Singleton(ReadAuditLog, read=read)
    list_outbox = Singleton(ListOutbox, read=read)
    retry_letter = Singleton(RetryLetter, begin=begin, authorise=authorise, clock=clock)
    deliver_mail = Singleton(
        DeliverMail,
        courier=Singleton(
            Courier,
            read=read,
            begin=begin,
            clock=clock,
            randomness=randomness,
            schedule=Object(MAIL_SCHEDULE),
        ),
        compose_mail=Singleton(
            ComposeMail,
            begin=begin,
            clock=clock,
            randomness=randomness,
            links=links,
            mint_login_code=mint_login_code,
        ),
        limiter=limiter,
        buckets=buckets,
        renderer=renderer,
        mailer=mailer,
        clock=clock,
    )
    webhook_sender = Singleton(webhook_sender, settings)
    webhook_courier = Singleton(
        Courier,
        read=read,
        begin=begin,
        clock=clock,
        randomness=randomness,
        schedule=Object(WEBHOOK_SCHEDULE),
    )
    deliver_webhooks = Singleton(
        deliveries, endpoints, courier=webhook_courier, sender=webhook_sender, clock=clock
    )
    try_endpoint = Singleton(TryEndpoint, sender=webhook_sender, clock=clock, randomness=randomness)
    show_endpoints = Singleton(ShowEndpoints, read=read, endpoints=endpoints)
    retry_webhooks = Singleton(RetryWebhooks, read=read, retry_letter=retry_letter)
    sealing_key = Singleton(sealing_key, secret)
    previous_sealing_key = Singleton(previous_sealing_key, settings)
    seal_audit_log = Singleton(
        SealAuditLog, begin=begin, clock=clock, key=sealing_key, previous_key=previous_sealing_key
    )
    verify_audit_log = Singleton(
        VerifyAuditLog,
        read=read,
        clock=clock,
        key=sealing_key,
        previous_key=previous_sealing_key,
        retention=given.audit_retention,
    )
    export_audit_log = Singleton(ExportAuditLog, read=read)
    purge_audit_log = Singleton(
        PurgeAuditLog, read=read, begin=begin, clock=clock, retention=given.audit_retention
    )
    purge_expired = Singleton(
        PurgeExpired,
        begin=begin,
        limiter=limiter,
        clock=clock,
        erase_accounts=erase_accounts,
        purge_audit_log=purge_audit_log,
    )
    check_health = Singleton(CheckHealth, read=read, schema=schema, clock=clock)


def build_container(settings: Settings) -> Container:
    return Container(settings=settings)
