"""The whole service on memory adapters, and short ways of going through its public API."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.mail.jinja import JinjaRenderer
from identity.adapters.memory import (
    FixedClock,
    MemoryMailer,
    MemoryRateLimiter,
    MemorySchema,
    MemoryStorage,
    MemoryTokens,
    MemoryWebhookSender,
    PlainHasher,
    SeededRandomness,
    WordList,
)
from identity.application.administration import (
    Authorise,
    FindUser,
    RequireSuperuser,
    SearchUsers,
    ShowUser,
)
from identity.application.audit import ExportAuditLog, PurgeAuditLog, SealAuditLog, VerifyAuditLog
from identity.application.audit_reading import ReadAuditLog
from identity.application.composing import ComposeMail
from identity.application.courier import Courier
from identity.application.deletion import EraseAccounts, RequestDeletion, UndoDeletion
from identity.application.email_change import (
    CONFIRMED_WITHIN,
    UNDONE_WITHIN,
    ConfirmEmailChange,
    RequestEmailChange,
    UndoEmailChange,
)
from identity.application.export import ExportData
from identity.application.health import CheckHealth
from identity.application.housekeeping import PurgeExpired
from identity.application.links import FollowLink, Link
from identity.application.login import LogIn
from identity.application.login_code import ConfirmLoginCode, MintLoginCode, RequestLoginCode
from identity.application.mail import Message
from identity.application.outbox import MAIL_SCHEDULE, DeliverMail
from identity.application.outbox_administration import ListOutbox, RetryLetter
from identity.application.own_sessions import EndAllSessions, EndOtherSessions, EndSession, ListSessions
from identity.application.passwords import ChangePassword, JudgePassword, RequestReset, ResetPassword
from identity.application.ports import UnitOfWork
from identity.application.profile import ShowProfile, UpdateProfile
from identity.application.registration import JudgeRegistration, RegisterBlindly, RegisterUser
from identity.application.sessions import (
    Authenticate,
    BeginSession,
    LogOut,
    Principal,
    RefreshSession,
    SignTokens,
    VerifyToken,
)
from identity.application.throttling import (
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
    DeliverWebhook,
    RetryWebhooks,
    ShowEndpoints,
    TryEndpoint,
)
from identity.domain.audit_seal import SealingKey
from identity.domain.login_code import CodeDigests
from identity.domain.names import Username
from identity.domain.one_time_token import Purpose
from identity.domain.password_policy import PasswordPolicy
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.session import Client
from identity.domain.throttling import Backoff, Window
from identity.domain.tokens import Claims, TokenPair
from identity.domain.user import User
from identity.domain.webhook import Endpoint, Webhook

PASSWORD = Secret("yourpassword123")
NEW_PASSWORD = Secret("yournewpassword123")
WRONG_PASSWORD = Secret("not the password")
COMMON_PASSWORD = Secret("password123")

ACCESS_LIFETIME = timedelta(minutes=5)
SESSION_LIFETIME = timedelta(days=30)
IDLE = timedelta(days=7)
REUSE_WINDOW = timedelta(seconds=60)
RESET_LIFETIME = timedelta(minutes=60)
VERIFY_LIFETIME = timedelta(days=2)
GRACE = timedelta(days=14)
SUPERUSER_LOGIN_LIFETIME = timedelta(hours=12)
SESSIONS_PER_ACCOUNT = 50
TIME_ZONES = frozenset({"Europe/Vienna", "UTC"})
LINKS = {
    Purpose.RESET_PASSWORD: Link(
        url="https://app.example.org/reset-password/{uidb64}/{token}", lifetime=RESET_LIFETIME
    ),
    Purpose.VERIFY_EMAIL: Link(
        url="https://app.example.org/verify-email/{uidb64}/{token}", lifetime=VERIFY_LIFETIME
    ),
    Purpose.CHANGE_EMAIL: Link(
        url="https://app.example.org/confirm-email/{uidb64}/{token}", lifetime=CONFIRMED_WITHIN
    ),
    Purpose.UNDO_EMAIL_CHANGE: Link(
        url="https://app.example.org/undo-email-change/{uidb64}/{token}", lifetime=UNDONE_WITHIN
    ),
    Purpose.UNDO_DELETION: Link(url="https://app.example.org/undo-deletion/{uidb64}/{token}", lifetime=GRACE),
}

# As by default, but for the limits by address: what a test does within five minutes is its own matter.
BUCKETS = Buckets(
    key=b"a key of 32 bytes for the limits",
    per_account=Backoff(free=5, stop=100),
    failures_per_address=Window(limit=1000, length=timedelta(minutes=5)),
    requests_per_address=Window(limit=1000, length=timedelta(minutes=5)),
)
CODE_DIGESTS = CodeDigests(key=b"a key of 32 bytes for the codes.")
UNLIMITED = replace(BUCKETS, per_account=Backoff(free=1_000_000, stop=1_000_000))
THREE_REQUESTS = replace(BUCKETS, requests_per_address=Window(limit=3, length=timedelta(minutes=5)))
SEALING_KEY = SealingKey(b"a key of 32 bytes for the seals.")
RETENTION = timedelta(days=400)
SLOTS = 2

BROWSER = Client(address="192.0.2.7", user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetLink:
    """What a mailed link carries."""

    uidb64: str
    token: str

    def parts(self) -> dict[str, Any]:
        """As the use cases that need no more take it."""
        return {"uidb64": self.uidb64, "token": Secret(self.token)}

    def with_password(self, password: Secret) -> dict[str, Any]:
        """As `ResetPassword` takes it."""
        return {**self.parts(), "password": password}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCode:
    """A code that was mailed, and the secret that it is good with. As `ConfirmLoginCode` takes them."""

    request: Secret
    code: Secret

    @property
    def wrong(self) -> LoginCode:
        digits = self.code.reveal()
        return replace(self, code=Secret(digits[:-1] + str((int(digits[-1]) + 1) % 10)))

    def fields(self) -> dict[str, Any]:
        return {"request": self.request, "code": self.code}


class Tap:
    """Stands before every port: writes down each call, and lets the one that is chosen fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Any] = {}
        self._failures: dict[int | str, Exception] = {}
        self._broken: dict[str, Exception] = {}

    def forget(self) -> None:
        self.calls.clear()

    def fail_once(self, call: int | str, error: Exception) -> None:
        """Lets the next call of this name, or the one of this number from now, raise."""
        self.forget()
        self._failures = {call: error}

    def fail_always(self, name: str, error: Exception) -> None:
        """Lets every call of this name raise from now on."""
        self.forget()
        self._broken = {name: error}

    def answer_once(self, name: str, answer: Any) -> None:
        """Lets the next call of this name do nothing but answer, as when somebody else was first."""
        self.forget()
        self.answers = {name: answer}

    def __call__(self, name: str) -> None:
        self.calls.append(name)
        if name in self._broken:
            raise self._broken[name]
        for call in (name, len(self.calls)):
            if call in self._failures:
                raise self._failures.pop(call)

    def on(self, name: str, port: Any) -> Any:
        return _Tapped(name, port, self)

    def on_storage(self, name: str, opened: Callable[[], AbstractAsyncContextManager[UnitOfWork]]) -> Any:
        @asynccontextmanager
        async def tapped() -> AsyncIterator[UnitOfWork]:
            self(name)
            async with opened() as uow:
                yield UnitOfWork(
                    **{part.name: self.on(part.name, getattr(uow, part.name)) for part in fields(uow)}
                )
                if name == "begin":
                    self("commit")

        return tapped


class _Tapped:
    def __init__(self, name: str, port: Any, tap: Tap) -> None:
        self._name = name
        self._port = port
        self._tap = tap

    def __getattr__(self, attribute: str) -> Any:
        method = getattr(self._port, attribute)

        @functools.wraps(method)
        def called(*args: Any, **kwargs: Any) -> Any:
            name = f"{self._name}.{attribute}"
            self._tap(name)
            if name in self._tap.answers:
                return _answering(self._tap.answers.pop(name))
            return method(*args, **kwargs)

        return called

    def __contains__(self, item: Any) -> bool:
        self._tap(f"{self._name}.contains")
        return item in self._port


async def _answering(answer: Any) -> Any:
    return answer


class Hasher:
    """A test may change today's parameters, or have something happen once while a password is worked on."""

    def __init__(self) -> None:
        self.today = PlainHasher(cost=1)
        self.while_hashing: Callable[[], Awaitable[Any]] | None = None
        self.while_verifying: Callable[[], Awaitable[Any]] | None = None

    async def hash(self, password: Secret) -> PasswordHash:
        meanwhile, self.while_hashing = self.while_hashing, None
        if meanwhile is not None:
            await meanwhile()
        return await self.today.hash(password)

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        meanwhile, self.while_verifying = self.while_verifying, None
        if meanwhile is not None:
            await meanwhile()
        return await self.today.verify(password, password_hash)

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return self.today.needs_rehash(password_hash)


class Mailer(MemoryMailer):
    """The one in memory; a test may have something happen before a message is taken, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[Message], Awaitable[Any]] = _nothing
        self.after: Callable[[Message], Awaitable[Any]] = _nothing

    async def send(self, message: Message) -> None:
        await self.before(message)
        await super().send(message)
        await self.after(message)


async def _nothing(message: Message) -> None:
    """Nothing happens."""


@functools.cache
def renderer() -> JinjaRenderer:
    """One for all worlds: it holds no state, and compiles its templates only once."""
    return JinjaRenderer(service="Identity")


class World:
    """Every use case, named as in the container, over ports that a test can look into."""

    def __init__(
        self,
        *,
        sessions_per_account: int = SESSIONS_PER_ACCOUNT,
        buckets: Buckets = BUCKETS,
        verification: str = "off",  # what a test finds in the outbox is its own matter
        storage: Any = None,
        endpoints: tuple[Endpoint, ...] = (),
    ) -> None:
        """`storage`: another than the one in memory, which is the one that `state`, `happened` and `waiting`
        look into."""
        self.tap = Tap()
        self.clock = FixedClock()
        self.storage = storage or MemoryStorage()
        self.hasher = Hasher()
        self.mailer = Mailer()
        self.webhooks = MemoryWebhookSender()
        self.lane = AsyncHashingLane(slots=SLOTS)

        clock = self.tap.on("clock", self.clock)
        announced = AnnounceEvents(
            begin=self.storage.begin, endpoints=endpoints, randomness=SeededRandomness(seed=1)
        )
        begin = self.tap.on_storage("begin", announced if endpoints else self.storage.begin)
        read = self.tap.on_storage("read", self.storage.read)
        hasher = self.tap.on("hasher", self.hasher)
        randomness = self.tap.on("randomness", SeededRandomness())
        tokens = self.tap.on("tokens", MemoryTokens(self.clock))
        judge_password = JudgePassword(
            common_passwords=self.tap.on(
                "common_passwords", WordList([COMMON_PASSWORD.reveal(), "12345678"])
            ),
            policy=PasswordPolicy(),
        )
        sign_tokens = SignTokens(tokens=tokens, randomness=randomness, access_lifetime=ACCESS_LIFETIME)

        limiter = self.tap.on("limiter", MemoryRateLimiter())
        lane = self.tap.on("lane", self.lane)
        count_request = CountRequest(limiter=limiter, buckets=buckets, clock=clock)
        hash_password = HashPassword(lane=lane, hasher=hasher)
        verify_password = VerifyPassword(
            lane=lane, limiter=limiter, buckets=buckets, hasher=hasher, clock=clock
        )

        confirm_password = ConfirmPassword(begin=begin, verify_password=verify_password, clock=clock)

        self._tokens = tokens
        judge_registration = JudgeRegistration(
            read=read, count_request=count_request, judge_password=judge_password
        )
        self.register_user = RegisterUser(
            begin=begin,
            hash_password=hash_password,
            judge_registration=judge_registration,
            clock=clock,
            randomness=randomness,
            verification_mail=verification != "off",
        )
        self.register_blindly = RegisterBlindly(
            begin=begin,
            hash_password=hash_password,
            judge_registration=replace(judge_registration, tells_of_addresses=False),
            clock=clock,
            randomness=randomness,
        )
        begin_session = BeginSession(
            randomness=randomness,
            lifetime=SESSION_LIFETIME,
            sessions_per_account=sessions_per_account,
            new_device_mail=True,
        )
        self.log_in = LogIn(
            read=read,
            begin=begin,
            hasher=hasher,
            hash_password=hash_password,
            verify_password=verify_password,
            begin_session=begin_session,
            sign_tokens=sign_tokens,
            clock=clock,
            randomness=randomness,
            requires_verification=verification == "required",
        )
        self.request_login_code = RequestLoginCode(
            begin=begin, count_request=count_request, clock=clock, randomness=randomness
        )
        self.confirm_login_code = ConfirmLoginCode(
            read=read,
            begin=begin,
            limiter=limiter,
            buckets=buckets,
            code_digests=CODE_DIGESTS,
            begin_session=begin_session,
            sign_tokens=sign_tokens,
            clock=clock,
        )
        self.refresh_session = RefreshSession(
            begin=begin,
            count_request=count_request,
            tokens=tokens,
            sign_tokens=sign_tokens,
            clock=clock,
            randomness=randomness,
            idle=IDLE,
            reuse_window=REUSE_WINDOW,
        )
        self.log_out = LogOut(begin=begin, tokens=tokens, clock=clock)
        self.verify_token = VerifyToken(
            read=read, tokens=tokens, clock=clock, idle=IDLE, reuse_window=REUSE_WINDOW
        )
        self.authenticate = Authenticate(read=read, begin=begin, tokens=tokens, clock=clock, idle=IDLE)
        self.list_sessions = ListSessions(read=read, clock=clock, idle=IDLE)
        self.end_session = EndSession(begin=begin, clock=clock)
        self.end_other_sessions = EndOtherSessions(begin=begin, clock=clock)
        self.end_all_sessions = EndAllSessions(begin=begin, clock=clock)
        self.show_profile = ShowProfile()
        self.update_profile = UpdateProfile(
            read=read,
            begin=begin,
            count_request=count_request,
            clock=clock,
            idle=IDLE,
            time_zones=TIME_ZONES,
        )
        self.change_password = ChangePassword(
            read=read,
            begin=begin,
            hash_password=hash_password,
            confirm_password=confirm_password,
            judge_password=judge_password,
            clock=clock,
            randomness=randomness,
            idle=IDLE,
        )
        self.request_reset = RequestReset(
            begin=begin, count_request=count_request, clock=clock, randomness=randomness
        )
        forgive_failures = ForgiveFailures(limiter=limiter, buckets=buckets, clock=clock)
        follow_link = FollowLink(read=read, count_request=count_request, clock=clock)
        self.reset_password = ResetPassword(
            begin=begin,
            follow_link=follow_link,
            hash_password=hash_password,
            forgive_failures=forgive_failures,
            judge_password=judge_password,
            clock=clock,
            randomness=randomness,
        )
        self.request_verification = RequestVerification(
            begin=begin, count_request=count_request, clock=clock, randomness=randomness
        )
        self.verify_email = VerifyEmail(begin=begin, follow_link=follow_link, clock=clock)
        self.request_email_change = RequestEmailChange(
            read=read,
            begin=begin,
            confirm_password=confirm_password,
            clock=clock,
            randomness=randomness,
            idle=IDLE,
        )
        self.confirm_email_change = ConfirmEmailChange(
            begin=begin, follow_link=follow_link, clock=clock, randomness=randomness
        )
        self.undo_email_change = UndoEmailChange(
            begin=begin, follow_link=follow_link, clock=clock, randomness=randomness
        )
        self.export_data = ExportData(read=read, begin=begin, clock=clock, idle=IDLE)
        self.request_deletion = RequestDeletion(
            read=read,
            begin=begin,
            confirm_password=confirm_password,
            clock=clock,
            randomness=randomness,
            idle=IDLE,
            grace=GRACE,
        )
        self.undo_deletion = UndoDeletion(
            begin=begin, follow_link=follow_link, clock=clock, randomness=randomness
        )
        self.erase_accounts = EraseAccounts(read=read, begin=begin, clock=clock)
        self.require_superuser = RequireSuperuser(clock=clock, login_lifetime=SUPERUSER_LOGIN_LIFETIME)
        self.search_users = SearchUsers(read=read)
        self.find_user = FindUser(read=read)
        self.show_user = ShowUser(read=read, clock=clock, idle=IDLE)
        authorise = Authorise(idle=IDLE, login_lifetime=SUPERUSER_LOGIN_LIFETIME)
        acting: dict[str, Any] = {"begin": begin, "authorise": authorise, "clock": clock}
        self.disable_user = DisableUser(**acting, randomness=randomness)
        self.enable_user = EnableUser(**acting, randomness=randomness)
        self.force_reset = ForceReset(**acting, randomness=randomness)
        self.end_user_sessions = EndUserSessions(**acting, randomness=randomness)
        self.verify_user_email = VerifyUserEmail(**acting, randomness=randomness)
        self.promote_user = PromoteUser(**acting, randomness=randomness)
        self.demote_user = DemoteUser(**acting, randomness=randomness)
        self.erase_user = EraseUser(**acting)
        self.mint_reset_link = MintResetLink(
            **acting, randomness=randomness, link=LINKS[Purpose.RESET_PASSWORD]
        )
        self.read_audit_log = ReadAuditLog(read=read)
        self.list_outbox = ListOutbox(read=read)
        self.retry_letter = RetryLetter(**acting)
        courier = Courier(read=read, begin=begin, clock=clock, randomness=randomness, schedule=MAIL_SCHEDULE)
        self.deliver_mail = DeliverMail(
            courier=courier,
            compose_mail=ComposeMail(
                begin=begin,
                clock=clock,
                randomness=randomness,
                links=LINKS,
                mint_login_code=MintLoginCode(randomness=randomness, code_digests=CODE_DIGESTS),
            ),
            limiter=limiter,
            buckets=buckets,
            renderer=self.tap.on("renderer", renderer()),
            mailer=self.tap.on("mailer", self.mailer),
            clock=clock,
        )
        webhooks = self.tap.on("webhooks", self.webhooks)
        self.deliver_webhooks = tuple(
            DeliverWebhook(
                courier=replace(courier, schedule=WEBHOOK_SCHEDULE),
                sender=webhooks,
                clock=clock,
                endpoint=endpoint,
            )
            for endpoint in endpoints
        )
        self.try_endpoint = TryEndpoint(sender=webhooks, clock=clock, randomness=randomness)
        self.show_endpoints = ShowEndpoints(read=read, endpoints=endpoints)
        self.retry_webhooks = RetryWebhooks(read=read, retry_letter=self.retry_letter)
        self.seal_audit_log = SealAuditLog(begin=begin, clock=clock, key=SEALING_KEY, previous_key=None)
        self.verify_audit_log = VerifyAuditLog(
            read=read, clock=clock, key=SEALING_KEY, previous_key=None, retention=RETENTION
        )
        self.export_audit_log = ExportAuditLog(read=read)
        self.purge_audit_log = PurgeAuditLog(read=read, begin=begin, clock=clock, retention=RETENTION)
        self.purge_expired = PurgeExpired(
            begin=begin,
            limiter=limiter,
            clock=clock,
            erase_accounts=self.erase_accounts,
            purge_audit_log=self.purge_audit_log,
        )
        self.check_health = CheckHealth(read=read, schema=self.tap.on("schema", MemorySchema()), clock=clock)

    # --- short ways ---------------------------------------------------------------------------------------

    async def registered(self, username: str = "alice", email: str | None = None) -> User:
        return await self.register_user(
            username=username, email=email or f"{username}@example.com", password=PASSWORD
        )

    async def superuser(self, username: str = "root") -> Principal:
        """A superuser who has just logged in."""
        await self.register_user(
            username=username, email=f"{username}@example.com", password=PASSWORD, superuser=True
        )
        return await self.principal(await self.logged_in(username))

    async def logged_in(self, username: str = "alice", password: Secret = PASSWORD) -> TokenPair:
        return await self.log_in(username=username, password=password, client=BROWSER)

    async def principal(self, pair: TokenPair) -> Principal:
        return await self.authenticate(access=pair.access)

    async def refreshed(self, pair: TokenPair) -> TokenPair:
        return await self.refresh_session(refresh=pair.refresh)

    async def changed(self, pair: TokenPair, old: Secret = PASSWORD, new: Secret = NEW_PASSWORD) -> None:
        await self.change_password(
            principal=await self.principal(pair), old_password=old, new_password=new, client=BROWSER
        )

    async def delivered(self) -> list[Message]:
        """Sends all mail that is due; what arrived."""
        before = len(self.mailer.sent)
        while await self.deliver_mail():
            pass
        return self.mailer.sent[before:]

    async def announced(self) -> list[Webhook]:
        """Sends all webhooks that are due; what arrived."""
        before = len(self.webhooks.sent)
        for deliver in self.deliver_webhooks:
            while await deliver():
                pass
        return self.webhooks.sent[before:]

    async def reset_link(self, email: str = "alice@example.com") -> ResetLink:
        """Asks for a reset, and reads the mail."""
        await self.request_reset(email=email)
        (message,) = [mail for mail in await self.delivered() if "/reset-password/" in mail.text]
        return link_in(message)

    async def verification_link(self) -> ResetLink:
        """Of the one mail that waits."""
        (message,) = [mail for mail in await self.delivered() if "/verify-email/" in mail.text]
        return link_in(message)

    async def verified(self, link: ResetLink) -> None:
        await self.verify_email(uidb64=link.uidb64, token=Secret(link.token), client=BROWSER)

    async def confirmation_link(
        self, pair: TokenPair, new_email: str = "alice@example.net", password: Secret = PASSWORD
    ) -> ResetLink:
        """Asks for another address, and reads the mail there."""
        await self.request_email_change(
            principal=await self.principal(pair), new_email=new_email, password=password, client=BROWSER
        )
        return self.link_to(new_email, await self.delivered())

    async def changed_email(
        self, pair: TokenPair, new_email: str = "alice@example.net", password: Secret = PASSWORD
    ) -> ResetLink:
        """Changes the address; the link that undoes it, as it was mailed to the old one."""
        before = (await self.principal(pair)).user.email.value
        link = await self.confirmation_link(pair, new_email, password)
        await self.confirm_email_change(**link.parts(), client=BROWSER)
        return self.link_to(before, await self.delivered())

    @staticmethod
    def link_to(email: str, messages: list[Message]) -> ResetLink:
        """What is in the only mail with a link to this address."""
        (message,) = [each for each in messages if each.to.value == email and "https://app" in each.text]
        return link_in(message)

    async def login_code(self, email: str = "alice@example.com") -> LoginCode:
        """Asks for a code to log in with, and reads the mail."""
        request = await self.request_login_code(email=email, client=BROWSER)
        codes = [code_in(mail) for mail in await self.delivered() if "code" in mail.subject]
        assert len(codes) == 1
        return LoginCode(request=request, code=codes[0])

    async def undo_link(self) -> ResetLink:
        """That of the deletion that was asked for; reads the mail."""
        (message,) = [mail for mail in await self.delivered() if "/undo-deletion/" in mail.text]
        return link_in(message)

    async def disable(self, user: User) -> None:
        """As an operator will."""
        async with self.storage.begin() as uow:
            stored = await uow.users.get(user.id)
            assert stored is not None
            await uow.users.save(stored.disabled(at=self.clock.now()))

    # --- looking into it ----------------------------------------------------------------------------------

    def state(self) -> Any:
        """All that is stored. It can be kept, and compared with what is stored later."""
        return self.storage.committed()

    def besides_the_log(self) -> Any:
        """The same without the audit log, which notes refusals too."""
        return replace(self.state(), events=[], audit_notes={})

    @property
    def happened(self) -> list[str]:
        return [event.kind for event in self.storage.events]

    @property
    def waiting(self) -> list[str]:
        """The kinds of mail in the outbox."""
        return [intent.kind.value for intent in self.storage.intents]

    async def claims(self, token: str) -> Claims:
        return await self._tokens.read(token, expected=None)

    async def stored_user(self, username: str = "alice") -> User:
        async with self.storage.read() as uow:
            user = await uow.users.with_username(Username(username))
        assert user is not None
        return user

    async def is_live(self, pair: TokenPair) -> bool:
        """Whether the session of these tokens is live, asked of the storage."""
        claims = await self.claims(pair.refresh)
        async with self.storage.read() as uow:
            found = await uow.sessions.get_with_user(claims.session_id)
        assert found is not None
        return found[0].is_live(at=self.clock.now(), idle=IDLE)


def link_in(message: Message) -> ResetLink:
    (link,) = set(re.findall(r"https://app\.example\.org/\S+", message.text))
    _, _, uidb64, token = PurePosixPath(urlsplit(link).path).parts
    return ResetLink(uidb64=uidb64, token=token)


def code_in(message: Message) -> Secret:
    ((first, second),) = re.findall(r"^ +(\d{4}) (\d{4})$", message.text, re.MULTILINE)
    return Secret(first + second)
