"""POST /api/admin/users/{user_id}/disable/, enable/, force-reset/, end-sessions/, verify-email/, promote/ and
demote/
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import HttpMethod, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from identity.application.sessions import Principal
from identity.application.user_administration import (
    DemoteUser,
    DisableUser,
    EnableUser,
    EndUserSessions,
    ForceReset,
    PromoteUser,
    VerifyUserEmail,
)
from identity.domain.session import Client
from identity.entrypoints.http.administration import (
    ACCOUNT_EXAMPLE,
    ADMINISTRATORS_ONLY,
    Account,
    account_id,
)
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.openapi import ADMINISTRATION, BEARER, named, operation
from identity.entrypoints.http.openapi_refusals import ACCOUNT_NOT_FOUND, last_superuser

_AS_IT_IS = "The account as it is now."
_AGAIN = "What is so already stays as it is. Takes no body."
_TIME = ACCOUNT_EXAMPLE.date_joined


def _account(*, fate: str = "", **changes: Any) -> Any:
    """Answers the example with these changes, and spares the last superuser that `fate`."""
    refuses = {**ADMINISTRATORS_ONLY, 404: ACCOUNT_NOT_FOUND}
    if fate:
        refuses |= {400: last_superuser(fate)}
    return operation(msgspec.structs.replace(ACCOUNT_EXAMPLE, **changes), refuses=refuses)


@post(
    "/api/admin/users/{user_id:str}/disable/",
    status_code=200,
    operation_id=named("disableUser"),
    tags=[ADMINISTRATION],
    summary="Disable an account",
    description=f"All its sessions end, nobody can log in, and no mailed link works. {_AGAIN}",
    response_description=_AS_IT_IS,
    operation_class=_account(fate="disabled", disabled_at=_TIME),
    security=BEARER,
)
async def disable(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    disable_user: NamedDependency[DisableUser],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await disable_user(by=administrator, user_id=account_id(user_id), client=client))


@post(
    "/api/admin/users/{user_id:str}/enable/",
    status_code=200,
    operation_id=named("enableUser"),
    tags=[ADMINISTRATION],
    summary="Enable an account again",
    description=f"Its password is the same as before, and its sessions stay over. {_AGAIN}",
    response_description=_AS_IT_IS,
    operation_class=_account(),
    security=BEARER,
)
async def enable(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    enable_user: NamedDependency[EnableUser],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await enable_user(by=administrator, user_id=account_id(user_id), client=client))


@post(
    "/api/admin/users/{user_id:str}/force-reset/",
    status_code=200,
    operation_id=named("forcePasswordReset"),
    tags=[ADMINISTRATION],
    summary="Take the password away and mail a link to set another",
    description="All its sessions end, and links that were mailed before are void. Asked for again, another "
    "link is mailed, up to the number that an account is mailed in a day; to one that is disabled none is. "
    "Takes no body.",
    response_description=_AS_IT_IS,
    operation_class=_account(has_password=False),
    security=BEARER,
)
async def force_password_reset(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    force_reset: NamedDependency[ForceReset],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await force_reset(by=administrator, user_id=account_id(user_id), client=client))


@post(
    "/api/admin/users/{user_id:str}/end-sessions/",
    status_code=200,
    operation_id=named("endUserSessions"),
    tags=[ADMINISTRATION],
    summary="Log an account out everywhere",
    description=f"Ends all its sessions. Whoever knows the password can log in again. {_AGAIN}",
    response_description=_AS_IT_IS,
    operation_class=_account(),
    security=BEARER,
)
async def end_sessions(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    end_user_sessions: NamedDependency[EndUserSessions],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await end_user_sessions(by=administrator, user_id=account_id(user_id), client=client))


@post(
    "/api/admin/users/{user_id:str}/verify-email/",
    status_code=200,
    operation_id=named("verifyUserEmail"),
    tags=[ADMINISTRATION],
    summary="Vouch for the address of an account",
    description=f"It counts as verified, and links that were mailed before are void. {_AGAIN}",
    response_description=_AS_IT_IS,
    operation_class=_account(),
    security=BEARER,
)
async def verify_email(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    verify_user_email: NamedDependency[VerifyUserEmail],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await verify_user_email(by=administrator, user_id=account_id(user_id), client=client))


@post(
    "/api/admin/users/{user_id:str}/promote/",
    status_code=200,
    operation_id=named("promoteUser"),
    tags=[ADMINISTRATION],
    summary="Make an account a superuser's",
    description=f"Its address counts as verified from then on. {_AGAIN}",
    response_description=_AS_IT_IS,
    operation_class=_account(superuser_since=_TIME),
    security=BEARER,
)
async def promote(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    promote_user: NamedDependency[PromoteUser],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await promote_user(by=administrator, user_id=account_id(user_id), client=client))


@post(
    "/api/admin/users/{user_id:str}/demote/",
    status_code=200,
    operation_id=named("demoteUser"),
    tags=[ADMINISTRATION],
    summary="Take the permissions of a superuser away",
    description=f"From the next request on. The account's sessions go on. {_AGAIN}",
    response_description=_AS_IT_IS,
    operation_class=_account(fate="demoted"),
    security=BEARER,
)
async def demote(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    demote_user: NamedDependency[DemoteUser],
    client: NamedDependency[Client],
) -> Account:
    return Account.of(await demote_user(by=administrator, user_id=account_id(user_id), client=client))


ACTS = [disable, enable, force_password_reset, end_sessions, verify_email, promote, demote]
BY_OTHER_METHODS = [
    other_methods(path, HttpMethod.POST, for_administrators=True)
    for act in ACTS
    for path in sorted(act.paths)
]
