"""The HTTP application: the routes, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import cast

from litestar import HttpMethod, Litestar, Router
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from identity.container import Container
from identity.entrypoints import logs
from identity.entrypoints.http import (
    administration,
    audit_reading,
    cookie_sessions,
    deletion,
    email_change,
    export,
    health,
    login,
    login_code,
    outbox_administration,
    own_sessions,
    passwords,
    profile,
    registration,
    sessions,
    signing_keys,
    user_administration,
    verification,
)
from identity.entrypoints.http.access_log import log_request
from identity.entrypoints.http.answer import JsonAnswer
from identity.entrypoints.http.authentication import provide_administrator, provide_client, provide_principal
from identity.entrypoints.http.cors import RefusedPages, cors_config, refuse_in_json, withhold_credentials
from identity.entrypoints.http.crowd import limiting_crowd
from identity.entrypoints.http.departure import providing_while_connected
from identity.entrypoints.http.dependencies import constant, provide_in_turn
from identity.entrypoints.http.errors import EXCEPTION_HANDLERS
from identity.entrypoints.http.forwarded import TrustedProxies
from identity.entrypoints.http.headers import add_headers, request_id
from identity.entrypoints.http.language import Languages, provide_language
from identity.entrypoints.http.observing import Observer, observed
from identity.entrypoints.http.openapi import complete, openapi_config
from identity.entrypoints.http.refresh_cookie import RefreshCookie
from identity.entrypoints.http.single_page_app import SinglePageApp, send_file

ROUTES = [
    registration.register,
    verification.verify,
    verification.resend,
    sessions.verify,
    own_sessions.show,
    own_sessions.end,
    own_sessions.end_others,
    own_sessions.end_all,
    *own_sessions.BY_OTHER_METHODS,
    profile.options,
    profile.show,
    profile.update,
    profile.by_other_methods,
    email_change.request_change,
    email_change.request_by_other_methods,
    email_change.confirm,
    email_change.undo,
    passwords.change,
    passwords.change_by_other_methods,
    passwords.forgot,
    passwords.reset,
    export.show,
    export.show_by_other_methods,
    deletion.request,
    deletion.request_by_other_methods,
    deletion.undo,
    administration.search,
    administration.show,
    *administration.BY_OTHER_METHODS,
    *user_administration.ACTS,
    *user_administration.BY_OTHER_METHODS,
    audit_reading.show,
    audit_reading.by_other_methods,
    outbox_administration.show,
    outbox_administration.retry,
    *outbox_administration.BY_OTHER_METHODS,
    signing_keys.show,
    health.live,
    health.ready,
]

WITH_BODIES = [sessions.refresh, sessions.log_out]
WITH_COOKIE = [cookie_sessions.refresh, cookie_sessions.log_out]
BY_CODE_WITH_BODIES = [login_code.request_code, login_code.confirm]
BY_CODE_WITH_COOKIE = [login_code.request_code, login_code.confirm_with_cookie]

_METHODS = frozenset(method.value for method in HttpMethod)

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class Application(Litestar):
    """Answers a method that Litestar does not know, such as PROPFIND, as it answers those that no path has.

    By itself it would refuse it before it asks whose request it is.
    """

    observers: tuple[Observer, ...] = ()
    single_page_app: SinglePageApp | None = None

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        http = cast("HTTPScope", scope)
        _make_known(http)
        logs.request.set(partial(request_id, http))
        if self.observers:
            await observed(
                self._answer,
                http,
                cast("Receive", receive),
                cast("Send", send),
                observers=self.observers,
            )
        else:
            await self._answer(http, cast("Receive", receive), cast("Send", send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = cast("HTTPScope", scope)
        file = self.single_page_app.file(http) if self.single_page_app else None
        if file is None:
            await super().__call__(scope, receive, send)
        else:
            await send_file(file, http, send)


def _make_known(scope: HTTPScope) -> None:
    if scope["method"] not in _METHODS:
        scope.setdefault("state", {})["method"] = scope["method"]
        scope["method"] = HttpMethod.TRACE.value


def create_app(
    container: Container,
    *,
    lifespan: Lifespan | None = None,
    observers: Sequence[Observer] = (),
    on_crowd: Callable[[], None] | None = None,
) -> Litestar:
    """The application over the container's use cases. What runs beside it is the `lifespan`'s matter.

    Args:
        observers: are told of each request that was answered.
        on_crowd: is told of each that was refused for the crowd (`crowd.py`).
    """
    use_cases = {
        "open_account": container.open_account(),
        "request_verification": container.request_verification(),
        "verify_email": container.verify_email(),
        "log_in": container.log_in(),
        "request_login_code": container.request_login_code(),
        "confirm_login_code": container.confirm_login_code(),
        "refresh_session": container.refresh_session(),
        "list_sessions": container.list_sessions(),
        "end_session": container.end_session(),
        "end_other_sessions": container.end_other_sessions(),
        "end_all_sessions": container.end_all_sessions(),
        "log_out": container.log_out(),
        "verify_token": container.verify_token(),
        "authenticate": container.authenticate(),
        "show_profile": container.show_profile(),
        "update_profile": container.update_profile(),
        "request_email_change": container.request_email_change(),
        "confirm_email_change": container.confirm_email_change(),
        "undo_email_change": container.undo_email_change(),
        "change_password": container.change_password(),
        "request_reset": container.request_reset(),
        "reset_password": container.reset_password(),
        "export_data": container.export_data(),
        "request_deletion": container.request_deletion(),
        "undo_deletion": container.undo_deletion(),
        "require_superuser": container.require_superuser(),
        "search_users": container.search_users(),
        "show_user": container.show_user(),
        "disable_user": container.disable_user(),
        "enable_user": container.enable_user(),
        "force_reset": container.force_reset(),
        "end_user_sessions": container.end_user_sessions(),
        "verify_user_email": container.verify_user_email(),
        "promote_user": container.promote_user(),
        "demote_user": container.demote_user(),
        "read_audit_log": container.read_audit_log(),
        "list_outbox": container.list_outbox(),
        "retry_letter": container.retry_letter(),
        "judge_password": container.judge_password(),
        "publish_keys": container.publish_keys(),
        "check_health": container.check_health(),
    }
    settings = container.settings()
    cors = cors_config(settings.cors_origins, credentials=settings.refresh_cookie)
    log_in = cookie_sessions.log_in if settings.refresh_cookie else login.log_in
    limit = limiting_crowd(container.lane(), on_refusal=on_crowd)
    crowded = Router("/", route_handlers=[log_in], middleware=[limit])
    by_code = BY_CODE_WITH_COOKIE if settings.refresh_cookie else BY_CODE_WITH_BODIES
    app = Application(
        [
            *ROUTES,
            crowded,
            *(WITH_COOKIE if settings.refresh_cookie else WITH_BODIES),
            *(by_code if settings.login_code else []),
        ],
        dependencies={
            **{name: constant(use_case) for name, use_case in use_cases.items()},
            "principal": Provide(provide_principal),
            "administrator": Provide(provide_administrator),
            "refresh_cookie": constant(
                RefreshCookie(
                    origins=settings.cors_origins,
                    public_url=settings.public_url,
                    lifetime=settings.refresh_lifetime,
                    insecure=settings.refresh_cookie_insecure,
                )
            ),
            "while_connected": Provide(providing_while_connected(container.lane()), sync_to_thread=False),
            "trusted_proxies": constant(TrustedProxies(settings.trusted_proxies)),
            "client": Provide(provide_client, sync_to_thread=False),
            "languages": constant(Languages(container.locales())),
            "language": Provide(provide_language, sync_to_thread=False),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[
            add_headers,
            *([withhold_credentials] if settings.refresh_cookie else []),
            refuse_in_json,
            RefusedPages(cors),
        ],
        cors_config=cors,
        openapi_config=openapi_config(settings.public_url, cookie=settings.refresh_cookie),
        response_class=JsonAnswer,
        lifespan=[lifespan] if lifespan else [],
        logging_config=None,
        debug=False,
    )
    app.observers = (*([log_request] if settings.access_log else []), *observers)
    app.single_page_app = SinglePageApp(settings.app_dir) if settings.app_dir else None
    complete(app, policy=container.judge_password().policy)
    provide_in_turn(app)
    return app
