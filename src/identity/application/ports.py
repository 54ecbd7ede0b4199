"""Every port of the service, on one page.

Adapters do not inherit from these. Each docstring is an obligation: what is returned for what is not there,
what happens at once or not at all. All times are aware and in UTC, all text is exact (binary) comparison.
Storage that cannot do its work now raises `Unavailable`; one that lost a race raises `Conflict`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from identity.application.letters import Backlog, ClaimedIntent, Intent, Letter, LetterPlace
from identity.application.mail import MAIL, Mail, Message
from identity.domain.audit_seal import AuditEntry, Seal, SealedDay
from identity.domain.events import Event, NumberedEvent
from identity.domain.login_code import LoginCode
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import OneTimeToken, Purpose
from identity.domain.secrets import Digest, PasswordHash, Secret
from identity.domain.session import Session
from identity.domain.signing_key import SigningKey
from identity.domain.throttling import Bucket, Reservation
from identity.domain.tokens import Claims, TokenKind
from identity.domain.user import NewUser, User
from identity.domain.user_search import Cursor, UserPage
from identity.domain.webhook import Webhook

# --- storage ---------------------------------------------------------------------------------------------


class Users(Protocol):
    async def add(self, user: NewUser) -> User:
        """Stores a new account and gives it an id that no account has ever had.

        Raises:
            UsernameTaken, EmailTaken: another has the key, or it is reserved. The unit of work is over then.
        """

    async def add_or_find(self, user: NewUser) -> tuple[User, bool]:
        """The same, and True; or the account that has the address, or for which it is reserved, and False.

        Raises:
            UsernameTaken: as above, but not by the account that is found, where the name is the address.
        """

    async def get(self, user_id: int) -> User | None: ...

    async def with_username(self, username: Username) -> User | None:
        """The account whose username has the same key."""

    async def with_email(self, email: EmailAddress) -> User | None:
        """The account whose address has the same key."""

    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        """The accounts whose username or address has a key that begins with that of the prefix, in the order
        of these keys by code points; an account that has two at the lesser of them only. All accounts by
        their usernames, if the prefix is empty.

        A page reads `limit` keys beyond `after`, so it may hold fewer accounts; `next` says whether there are
        more keys. It costs the same however many accounts there are.
        """

    async def save(self, user: User) -> User:
        """Stores the account, but for `last_login_at`, and returns it with its next version.

        Raises:
            Conflict: the stored version is not `user.version` any more, or the account is gone.
            UsernameTaken, EmailTaken: another account has the key. Who changes a name asks afterwards, by
                `Reservations.is_held`, whether it is reserved.
        """

    async def erase(self, user: User) -> bool:
        """Deletes the account and all that is its own, mail in the outbox and codes for its address too;
        not the audit log.

        False: the account was changed since it was read, or logged in to, or is gone; nothing was changed.
        """

    async def due_for_erasure(self, *, at: datetime, limit: int) -> tuple[User, ...]:
        """Accounts that are to be erased by then, the longest due first, but at most `limit` of them."""

    async def open_superusers(self) -> tuple[User, ...]:
        """Every superuser whose account is not closed, by id.

        Only within a unit of work that writes: none of them is changed by others until it ends, so that of
        the last two, who want to go at once, the second finds the first gone.
        """

    async def record_login(
        self, user_id: int, *, verified: PasswordHash, rehashed: PasswordHash | None, at: datetime
    ) -> bool:
        """Notes a login, if the stored password hash is still `verified` and the account is not closed.

        One conditional statement; it makes logins of one account wait for each other until the unit of work
        ends. `rehashed` replaces the hash. Leaves the version alone. False: nothing was changed.
        """


class Reservations(Protocol):
    """Names that are kept, for an account or for nobody, so that no other account gets them.

    One that has ended holds until it is purged. Everybody adds or renames an account before they look for a
    name here or hold one: so the second waits for the first, finds what it holds, and there is no deadlock.
    """

    async def hold(self, name: Username | EmailAddress, *, user_id: int | None, until: datetime) -> None:
        """Keeps the name; an account that holds it already keeps it until then.

        Raises:
            UsernameTaken, EmailTaken: it is held for another, or for nobody. The unit of work is over then.
        """

    async def is_held(self, name: Username | EmailAddress, *, besides: int | None = None) -> bool:
        """Whether the name is held, `besides` for that account."""

    async def of_user(self, user_id: int) -> tuple[tuple[Username | EmailAddress, datetime], ...]:
        """The names that are held for the account, by their keys, and until when; the first to end first."""

    async def release(self, name: Username | EmailAddress, *, user_id: int) -> bool:
        """Gives the name up. False: it is not held for the account; nothing was changed."""

    async def release_from(self, name: Username | EmailAddress, *, user_id: int) -> bool:
        """Gives up the name, and those of its kind that the account holds as long as it or longer.

        False: it is not held for the account; nothing was changed.
        """

    async def purge(self, *, ended_before: datetime, limit: int) -> tuple[int | None, ...]:
        """Deletes what has ended earlier, but at most `limit` of them; for which account each was."""


class Sessions(Protocol):
    async def add(self, session: Session) -> None: ...

    async def get_with_user(self, session_id: str) -> tuple[Session, User] | None:
        """The session, dead or alive, and its account, in one round trip."""

    async def of_user(self, user_id: int) -> tuple[Session, ...]:
        """Every session of the account that was not revoked, the one used last first."""

    async def history(self, user_id: int, *, limit: int) -> tuple[Session, ...]:
        """The sessions of the account, those that are over too, the one begun last first, but at most `limit`
        of them."""

    async def touch(self, session_id: str, *, at: datetime, unless_since: datetime) -> bool:
        """Notes a use, unless one was noted later than `unless_since`. False: nothing was changed."""

    async def rotate(self, before: Session, after: Session) -> bool:
        """Stores `after`, if the session still has the three token ids of `before` and is not revoked.

        One compare-and-swap. False: another request was first, nothing was changed.
        """

    async def revoke(self, session_id: str, *, at: datetime, user_id: int | None = None) -> bool:
        """Ends one session, only of this account if one is given.

        False: it was over already, is another's or is not there; nothing was changed.
        """

    async def revoke_all(self, user_id: int, *, at: datetime, besides: str | None = None) -> int:
        """Ends all sessions of the account, `besides` one. How many that were not revoked before."""

    async def revoke_surplus(self, user_id: int, *, keep: int, at: datetime) -> None:
        """Ends the oldest sessions that are neither revoked nor expired, so that at most `keep` are left."""

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        """Deletes sessions whose absolute end is earlier, but at most `limit` of them; how many."""


class Devices(Protocol):
    """Where the logins of an account came from (`Client.device`)."""

    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        """Notes a login from the device; whether there was one later than `since` before.

        In the unit of work of `Users.record_login`, which makes logins of one account wait for each other.
        """

    async def of_user(self, user_id: int) -> tuple[datetime, ...]:
        """When each device of the account was seen last, the latest first."""

    async def forget_surplus(self, user_id: int, *, keep: int) -> None:
        """Forgets those of the account that were seen longest ago, so that at most `keep` are left."""

    async def purge(self, *, seen_before: datetime, limit: int) -> int:
        """Deletes devices last seen earlier, but at most `limit` of them; how many."""


class OneTimeTokens(Protocol):
    async def add(self, token: OneTimeToken) -> None: ...

    async def find(
        self, digest: Digest, *, purpose: Purpose, user_id: int, at: datetime
    ) -> OneTimeToken | None:
        """The token, if it is of this purpose and account, not spent, not void and not expired."""

    async def spend(self, digest: Digest, *, purpose: Purpose, user_id: int, at: datetime) -> bool:
        """Uses the token up, by one conditional statement: of any number of callers one gets True."""

    async def void(self, user_id: int, *, at: datetime) -> None:
        """Spoils every unspent token of the account but those for `UNDOING`."""

    async def mark_sent(self, intent_id: str, *, at: datetime) -> None:
        """Notes that the mail with the tokens of this intent has left."""

    async def count_intents(
        self, user_id: int, *, purpose: Purpose, sent_since: datetime, minted_since: datetime, besides: str
    ) -> int:
        """For how many mail intents, `besides` one, there are tokens, spent or not, that have either left
        later than `sent_since`, or were minted later than `minted_since` and may be leaving now.

        Within a unit of work that writes: counts for one account wait for each other until it ends, so that
        those who add a token afterwards do not all find the same.
        """

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        """Deletes tokens that expired earlier, but at most `limit` of them; how many."""


class LoginCodes(Protocol):
    """Codes to log in with, each named by the digest of the request that it was made for."""

    async def add(self, code: LoginCode) -> None: ...

    async def find(self, request: Digest) -> LoginCode | None:
        """The code, dead or alive."""

    async def set_digest(self, request: Digest, digest: Digest, *, at: datetime) -> bool:
        """Sets the digest of the code, in place of any before; its tries stay as they are.

        False: it is spent, has expired or is not there; nothing was changed.
        """

    async def count_try(self, request: Digest, *, most: int, at: datetime) -> bool:
        """Counts one more try, by one conditional statement: of any number of callers `most` get True.

        False: there were as many before, or as above.
        """

    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        """Uses the code up, by one conditional statement: of any number of callers with its digest one gets
        True. False: it has another digest or none, or as above."""

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        """Deletes codes that expired earlier, but at most `limit` of them; how many."""


class Outbox(Protocol):
    """Queues of what is to leave the house: one of mail, and one for each endpoint of webhooks. Of what is in
    the others a queue is never aware."""

    async def put(self, intent: Intent) -> None:
        """Adds the intent to its queue, due at once, unless an unclaimed one has its coalescing key. One
        statement."""

    async def has_due(self, *, at: datetime, queue: str = MAIL) -> bool:
        """Whether `claim` would find something."""

    async def claim(
        self, *, lease_id: str, at: datetime, lease: timedelta, queue: str = MAIL
    ) -> ClaimedIntent | None:
        """Hands the queue's longest due intent to this caller alone until `at + lease`, and counts the
        attempt: a `MailIntent` of the mail, a `WebhookIntent` of any other queue.

        An intent is due when its time has come, it is not dead, and it is not under a lease that still runs.
        Claiming clears the coalescing key. `None`: nothing is due.
        """

    async def settle(self, claimed: ClaimedIntent) -> bool:
        """Deletes the intent. Like the next three, only while the lease is the caller's; else False."""

    async def postpone(self, claimed: ClaimedIntent, *, until: datetime, error: str) -> bool:
        """Gives the lease back; the intent is due again at `until`."""

    async def bury(self, claimed: ClaimedIntent, *, at: datetime, error: str) -> bool:
        """Makes it a dead letter: kept for people to look at, never due again."""

    async def release(self, claimed: ClaimedIntent) -> bool:
        """Gives the lease back as if it had not been claimed: due at once, the attempt not counted."""

    async def oldest(self, *, queue: str = MAIL) -> datetime | None:
        """When the queue's oldest intent that is not a dead letter was put there."""

    async def backlog(self) -> tuple[Backlog, ...]:
        """How much there is in each queue that is not empty, by its name."""

    async def letters(self, *, dead: bool, after: LetterPlace | None, limit: int) -> tuple[Letter, ...]:
        """Those of every queue that wait to be sent, the oldest first, or the dead ones, the longest dead
        first; beyond that place, and at most `limit` of them."""

    async def find(self, id: str) -> Letter | None: ...

    async def retry(self, id: str, *, at: datetime) -> bool:
        """Makes a dead letter due at `at`, no attempt of which is counted. Its error stays to be seen.

        False: it is none, or not there; nothing was changed.
        """

    async def purge(self, *, before: datetime, limit: int) -> int:
        """Deletes letters that died earlier, and webhooks that nobody takes any more: due since earlier, and
        under no lease since. Of both at most `limit`; how many."""


class AuditLog(Protocol):
    async def append(self, event: Event) -> None: ...

    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        """What happened to the account, of any kind, the latest first, but at most `limit` of it.

        Of what happened at the same time, what was noted last.
        """

    async def find(
        self,
        *,
        user_id: int | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int,
    ) -> tuple[NumberedEvent, ...]:
        """What happened to the account, is of the kind, at `since` or later, earlier than `until`, and was
        noted earlier than the entry `before`: all that is given has to apply. What was noted last comes
        first, but at most `limit` of it."""

    async def forget_clients(self, user_id: int) -> None:
        """Clears from every event of the account where its request came from."""


class AuditSeals(Protocol):
    """The same log as `AuditLog`, with the seals of its entries and the days on which they were made.

    Entries are numbered as they are noted: the next has a greater id than all, also when these were purged.
    """

    async def entries(self, *, after: int, limit: int) -> tuple[AuditEntry, ...]:
        """Those with a greater id, in the order of the ids, but at most `limit`: as they are stored, also
        where that makes no sense."""

    async def days(self) -> tuple[SealedDay, ...]:
        """Every day on which entries were sealed, purged or not, by the last entry that was."""

    async def last_day(self) -> SealedDay | None:
        """The one of these that comes last."""

    async def seal(
        self, seals: Sequence[tuple[int, Seal]], *, day: SealedDay, before: SealedDay | None
    ) -> None:
        """Stores the seal of each of these entries, by its id, and the day. `before` is that day as it was
        before, `None` if it is new.

        Raises:
            Conflict: one of the entries has a seal already or is not there, or the day is not as it was
                before. The unit of work is over then: of several at once the first wins.
        """

    async def mark_purged(self, day: str, *, at: datetime) -> bool:
        """Notes when the entries of the day were deleted. False: it is noted already, or there is no such
        day; nothing was changed."""

    async def purge(self, *, until: int, limit: int) -> int:
        """Deletes the entries with the smallest ids, `until` that one, but at most `limit`; how many."""


class SigningKeys(Protocol):
    async def all(self) -> tuple[SigningKey, ...]:
        """Every key, oldest first."""

    async def add_first(self, key: SigningKey) -> bool:
        """Stores the key if there is none yet. Of any number of callers at once one gets True."""

    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        """Stores the key unless another was stored after that one. Of any number of callers one gets True."""

    async def retire(self, kid: str, *, at: datetime) -> bool:
        """False: it is retired already, or not there; nothing was changed."""

    async def reseal(self, key: SigningKey) -> bool:
        """Replaces what is sealed in the key of this `kid`. False: it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOfWork:
    """The repositories of one transaction."""

    users: Users
    reservations: Reservations
    sessions: Sessions
    devices: Devices
    one_time_tokens: OneTimeTokens
    login_codes: LoginCodes
    outbox: Outbox
    audit_log: AuditLog
    audit_seals: AuditSeals
    signing_keys: SigningKeys


class BeginUnitOfWork(Protocol):
    def __call__(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """One transaction: commits on exit, rolls back on any exception, durable once the exit returns.

        Never nested: a second one inside the first, even one that only reads, raises `RuntimeError`.
        """


class ReadUnitOfWork(Protocol):
    def __call__(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Single reads without a transaction, each seeing what was committed before it. Writing fails."""


class SchemaTooNew(Exception):
    """The storage has a shape that this version does not know."""


class Schema(Protocol):
    """The shape of the storage, and bringing it up to date."""

    async def is_current(self) -> bool:
        """Whether this version works with it: it is its own, or a newer one that still has all it needs.

        Raises:
            SchemaTooNew: a newer version of this service has changed what this one needs.
        """

    async def upgrade(self) -> None:
        """Brings it up to date; does nothing when it is. Safe when several processes start at once, and when
        one is killed meanwhile.

        Raises:
            SchemaTooNew: as above.
        """


# --- throttling ------------------------------------------------------------------------------------------


class RateLimiter(Protocol):
    """Counts what may not happen too often; `domain/throttling.py` says what that means.

    Every method takes effect as a whole and at once, for all processes that share the limiter's storage.

    Raises:
        Unavailable: nothing can be counted now, so nothing that is guarded may go on.
    """

    def recall(self, *buckets: Bucket, at: datetime) -> None:
        """Tells without asking the storage what is known: never more than `reserve` would, and maybe nothing.

        Raises:
            Throttled: failures stand in the way.
        """

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        """Reserves a place for an attempt in each bucket, or in none of them.

        In a bucket's favoured key, if that was favoured in the last `FAVOURED_FOR`, else in its own. `None`:
        other reservations stand in the way, so it is to be asked again soon.

        Raises:
            Throttled: failures stand in the way.
        """

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        """The attempt has failed, and counts."""

    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        """The attempt has succeeded: its places are given back. A bucket that has a favoured key is emptied,
        under both keys, and that key is favoured from now on."""

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        """Counts one failure that nothing was reserved for.

        Raises:
            Throttled: there were too many before; then it is not counted.
        """

    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        """Forgets the failures under the bucket's own key and under its favoured one, which stays so."""

    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        """Deletes what was forgotten earlier, but at most `limit` keys; how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLoad:
    """How busy a `HashingLane` is."""

    slots: int
    in_use: int
    waiting: int
    refused: int
    """Turns since the lane was made that would not have come in time."""


class HashingLane(Protocol):
    """Lets so many passwords be hashed at once as there are cores and memory for; the others wait."""

    def turn(self, *, until: float | None = None) -> AbstractAsyncContextManager[None]:
        """A place to hash in, in the order of asking. Whoever is cancelled while waiting gives up theirs.

        `until`, a `deadline()`, is for one who asks again.

        Raises:
            Unavailable: the turn would not come in time; at once where that can be told.
        """

    def deadline(self) -> float:
        """Until when one who asks now would wait."""

    def capacity(self) -> int:
        """How many can have had a turn in time, if all of them ask now."""

    def is_waiting(self, task: asyncio.Task[Any]) -> bool:
        """Whether the task waits for its turn."""

    def load(self) -> LaneLoad:
        """How busy it is at this moment. Who has gone away neither waits nor was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLoad:
    """How busy a pool of connections to a database is."""

    name: str
    """`write` or `read`."""
    size: int
    """Connections that it may have at most."""
    in_use: int
    idle: int


# --- secrets ---------------------------------------------------------------------------------------------


class PasswordHasher(Protocol):
    """Never blocks the event loop. Called in a turn of the `HashingLane`."""

    async def hash(self, password: Secret) -> PasswordHash: ...

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        """Whether the hash is the password's. `None` costs the same as a hash of today, and is False.

        A hash that is broken, or of a kind that this hasher does not know, is False too, at that cost.
        """

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        """Whether it was made with other parameters than those of today."""


class Tokens(Protocol):
    async def sign(self, claims: Claims) -> str: ...

    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        """The claims of a genuine, unexpired token of the expected kind, or of either kind for `None`.

        Raises:
            TokenRefused: with the reason INVALID, EXPIRED or WRONG_TYPE, the first that applies. An access
                token may be accepted a little after its end, for clocks that are apart.
        """


class KeyGenerator(Protocol):
    async def generate(self, *, at: datetime, signs_from: datetime) -> SigningKey:
        """A new key, sealed. Does not block the event loop."""

    def resealed(self, key: SigningKey) -> SigningKey:
        """The same key, sealed under today's secret.

        Raises:
            UnreadableKey: neither today's secret nor the previous one opens it.
        """


class PublicKeys(Protocol):
    async def published(self) -> tuple[Mapping[str, str], ...]:
        """The public halves of the keys that sign, will sign, or whose tokens are still accepted, each a JSON
        Web Key (RFC 7517). None for a key that is shared."""


class CommonPasswords(Protocol):
    def __contains__(self, password: str) -> bool:
        """Whether many people use this password, in any case."""


class Randomness(Protocol):
    """From the operating system's secure source."""

    def identifier(self) -> str:
        """128 bits as 32 lower-case hexadecimal digits."""

    def token(self) -> Secret:
        """256 bits as 43 characters of base64url."""

    def digits(self, count: int) -> Secret:
        """So many decimal digits, every sequence of which is as likely as any other."""

    def fraction(self) -> float:
        """At least 0 and less than 1."""


# --- mail ------------------------------------------------------------------------------------------------


class MailRenderer(Protocol):
    @property
    def locales(self) -> Collection[str]:
        """The language tags of the locales that it has words in."""

    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        """Puts the mail into words: those of its locale, or of what is nearest to that (RFC 4647, 3.4), or,
        whatever the locale is, those of the deployment's own.

        Raises:
            MailDeferred: its words cannot be found now; an operator can mend that.
        """


class Mailer(Protocol):
    async def send(self, message: Message) -> None:
        """Hands the message to the next server, or raises.

        The outbox keeps the text of these errors: they hold nothing of the message's body.

        Raises:
            MailDeferred: it may work later.
            MailRefused: it will never work.
            CancelledError: the sender was cancelled. The message may have left or not.
        """


# --- webhooks ----------------------------------------------------------------------------------------------


class WebhookSender(Protocol):
    async def send(self, webhook: Webhook) -> None:
        """Posts the webhook once, with its headers and body as they are, and follows no redirect. A status
        of 2xx says that it was received, whatever comes after it.

        The outbox keeps the text of these errors: they hold nothing of what was sent or answered but the host
        and the status.

        Raises:
            DeliveryDeferred: it may work later; of every status but 2xx and 410 too.
            DeliveryRefused: it will never work: the endpoint is gone (410), or at an address that webhooks
                may not go to.
            CancelledError: the sender was cancelled. The webhook may have arrived or not.
        """


# --- the world -------------------------------------------------------------------------------------------


class Clock(Protocol):
    def now(self) -> datetime:
        """The time in UTC, aware, to the microsecond."""
