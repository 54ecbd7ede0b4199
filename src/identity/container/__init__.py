"""The composition root: what each use case is given."""

from __future__ import annotations

import time

from dependency_injector.providers import Object, Selector, Singleton

from identity.adapters.jwt.vault import derived_key
from identity.adapters.system import time_zones
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
from identity.application.webhooks import WEBHOOK_SCHEDULE, RetryWebhooks, ShowEndpoints, TryEndpoint
from identity.container.adapters import Adapters
from identity.container.hashing import argon2_of, most_memory_cost
from identity.container.passwords import password_policy
from identity.container.webhooks import deliveries
from identity.domain.one_time_token import Purpose
from identity.domain.secrets import Secret
from identity.domain.throttling import Backoff, Window
from identity.settings import Settings, values


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


class Container(Adapters):
    settings = Adapters.settings
    given = Adapters.given
    clock = Adapters.clock
    randomness = Adapters.randomness
    read = Adapters.read
    secret = Adapters.secret
    endpoints = Adapters.endpoints
    begin = Adapters.begin
    schema = Adapters.schema
    lane = Adapters.lane
    hasher = Adapters.hasher
    limiter = Adapters.limiter
    service_name = Adapters.service_name
    common_passwords = Adapters.common_passwords
    sealed_keys = Adapters.sealed_keys
    sealed_algorithm = Adapters.sealed_algorithm
    keyring = Adapters.keyring
    tokens = Adapters.tokens
    renderer = Adapters.renderer
    mailer = Adapters.mailer
    code_digests = Adapters.code_digests
    links = Adapters.links
    webhook_sender = Adapters.webhook_sender
    sealing_key = Adapters.sealing_key
    previous_sealing_key = Adapters.previous_sealing_key

    calibrate = Singleton(
        Calibrate,
        hasher_of=Singleton(argon2_of, settings),
        stopwatch=Object(time.perf_counter),
        least=values.LEAST_MEMORY_COST,
        most=Singleton(most_memory_cost, settings),
    )
    buckets = Singleton(buckets, settings, secret)
    count_request = Singleton(CountRequest, limiter=limiter, buckets=buckets, clock=clock)
    forgive_failures = Singleton(ForgiveFailures, limiter=limiter, buckets=buckets, clock=clock)
    hash_password = Singleton(HashPassword, lane=lane, hasher=hasher)
    verify_password = Singleton(
        VerifyPassword, lane=lane, limiter=limiter, buckets=buckets, hasher=hasher, clock=clock
    )
    confirm_password = Singleton(ConfirmPassword, begin=begin, verify_password=verify_password, clock=clock)
    judge_password = Singleton(
        JudgePassword,
        common_passwords=common_passwords,
        policy=Singleton(password_policy, settings, service_name),
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
        algorithm=sealed_algorithm,
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
    sign_tokens = Singleton(
        SignTokens, tokens=tokens, randomness=randomness, access_lifetime=given.access_lifetime
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
