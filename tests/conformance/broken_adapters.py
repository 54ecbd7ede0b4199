"""Adapters with one fault each, of the kind that gets written, and the honest ones that they spoil.

Which test of the kit must notice each is said in `test_planted_adapter_faults.py`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import itertools
import json
import os
import random
import re
import textwrap
import unicodedata
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header

from identity.adapters.memory import FixedClock, MemoryMailer, MemoryTokens, SeededRandomness
from identity.application.mail import Mail, Message, PasswordResetMail
from identity.application.ports import Clock, CommonPasswords, Mailer, MailRenderer, PasswordHasher
from identity.domain.errors import IdentityError, MailDeferred, MailRefused, TokenFault, TokenRefused
from identity.domain.names import EmailAddress
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.tokens import Claims, TokenKind

# --- honest ones -----------------------------------------------------------------------------------------


class ScryptHasher:
    """scrypt (RFC 7914) from the standard library, as cheap as it can be."""

    def __init__(self, n: int = 2) -> None:
        self.n = n

    async def hash(self, password: Secret) -> PasswordHash:
        salt = os.urandom(16)
        digest = await asyncio.to_thread(_scrypt, password, salt, self.n)
        return PasswordHash(f"scrypt${self.n}${salt.hex()}${digest.hex()}")

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        form = re.fullmatch(r"scrypt\$(2|4)\$([0-9a-f]{32})\$([0-9a-f]{128})", password_hash or "")
        n, salt, digest = form.groups() if form else (self.n, "", "")
        made = await asyncio.to_thread(_scrypt, password, bytes.fromhex(salt), int(n))
        return hmac.compare_digest(made.hex(), digest)

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return not password_hash.startswith(f"scrypt${self.n}$")


def _scrypt(password: Secret, salt: bytes, n: int) -> bytes:
    return hashlib.scrypt(password.reveal().encode(errors="surrogatepass"), salt=salt, n=n, r=1, p=1)


class CarefulMailer(MemoryMailer):
    """Takes its time and refuses what could not be a header."""

    async def send(self, message: Message) -> None:
        for text in (message.id, message.to.value, message.subject):
            if text.splitlines() != [text]:
                raise MailRefused("not one line")
        for _ in range(20):
            await asyncio.sleep(0)
        await super().send(message)


class RefusedMailer:
    async def send(self, message: Message) -> None:
        raise MailRefused("nobody of that name")


class UnreachableMailer:
    async def send(self, message: Message) -> None:
        raise MailDeferred("no answer")


# --- hashers ---------------------------------------------------------------------------------------------


class Hasher:
    """Changes every password before an honest hasher sees it."""

    def __init__(self, honest: PasswordHasher) -> None:
        self.honest = honest

    def changed(self, password: str) -> str:
        return password

    async def hash(self, password: Secret) -> PasswordHash:
        return await self.honest.hash(Secret(self.changed(password.reveal())))

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        return await self.honest.verify(Secret(self.changed(password.reveal())), password_hash)

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return self.honest.needs_rehash(password_hash)


class HasherThatIgnoresCase(Hasher):
    def changed(self, password: str) -> str:
        return password.casefold()


class HasherThatStrips(Hasher):
    def changed(self, password: str) -> str:
        return password.strip()


class HasherThatNormalises(Hasher):
    def changed(self, password: str) -> str:
        return unicodedata.normalize("NFKC", password)


class HasherThatReadsOnly72Bytes(Hasher):
    def changed(self, password: str) -> str:
        return password.encode(errors="surrogatepass")[:72].decode("latin-1")


class HasherThatStopsAtANul(Hasher):
    def changed(self, password: str) -> str:
        return password.partition("\x00")[0]


class HasherThatReplacesSurrogates(Hasher):
    def changed(self, password: str) -> str:
        return password.encode(errors="replace").decode()


class HasherThatChokesOnSurrogates(Hasher):
    def changed(self, password: str) -> str:
        return password.encode().decode()


class HasherThatTakesEveryPassword(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        return bool(password_hash)


class HasherThatTakesNoPassword(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        return False


class HasherThatTakesNobody(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        return password_hash is None or await self.honest.verify(password, password_hash)


class HasherThatReturnsNothing(Hasher):
    async def hash(self, password: Secret) -> PasswordHash:
        await self.honest.hash(password)


class HasherThatMakesLongHashes(Hasher):
    async def hash(self, password: Secret) -> PasswordHash:
        return PasswordHash(f"{await self.honest.hash(password)}{'=' * 200}")


class HasherThatEncodes(Hasher):
    async def hash(self, password: Secret) -> PasswordHash:
        octets = password.reveal().encode(errors="surrogatepass")
        return PasswordHash(f"{await self.honest.hash(password)}${base64.b64encode(octets).decode()}")


class HasherWithoutSalt:
    """And without a thread: it hashes where it stands."""

    async def hash(self, password: Secret) -> PasswordHash:
        return PasswordHash(_scrypt(password, b"", 2).hex())

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        return _scrypt(password, b"", 2).hex() == password_hash

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return False


class HasherThatBlocks(HasherWithoutSalt):
    """The same one, under the name of its other fault."""


class HasherThatChokesOnForeignHashes(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        if password_hash is not None:
            _, _, _, _ = password_hash.split("$")
        return await self.honest.verify(password, password_hash)


class HasherThatChokesBeyondAscii(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        (password_hash or "").encode("ascii")
        return await self.honest.verify(password, password_hash)


class HasherThatTakesCutHashes(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        form = re.fullmatch(r"scrypt\$2\$([0-9a-f]{32})\$([0-9a-f]*)", password_hash or "")
        if form is None:
            return False
        made = await asyncio.to_thread(_scrypt, password, bytes.fromhex(form[1]), 2)
        return made.hex().startswith(form[2])


class HasherThatMixesThemUp(Hasher):
    async def hash(self, password: Secret) -> PasswordHash:
        self.password = password
        await asyncio.sleep(0)
        return await self.honest.hash(self.password)


class HasherThatIsNeverContent(Hasher):
    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return True


class HasherThatIsAlwaysContent(Hasher):
    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return False


class HasherThatForgetsOldParameters(Hasher):
    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        current = password_hash is None or not self.needs_rehash(password_hash)
        return await self.honest.verify(password, password_hash if current else None)


# --- tokens ----------------------------------------------------------------------------------------------


class TokensWithoutASession(MemoryTokens):
    async def sign(self, claims: Claims) -> str:
        return await super().sign(replace(claims, session_id=""))


class TokensThatMixThemUp(MemoryTokens):
    async def sign(self, claims: Claims) -> str:
        self.claims = claims
        await asyncio.sleep(0)
        return await super().sign(self.claims)


class TokensThatCanBeReadOnce(MemoryTokens):
    def __init__(self, clock: Clock, **key: bytes) -> None:
        super().__init__(clock, **key)
        self.seen: set[str] = set()

    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        if token in self.seen:
            raise TokenRefused(TokenFault.INVALID)
        self.seen.add(token)
        return await super().read(token, expected=expected)


class TokensThatRoundUp(MemoryTokens):
    async def sign(self, claims: Claims) -> str:
        end = claims.expires_at + timedelta(microseconds=999_999)
        return await super().sign(replace(claims, expires_at=end.replace(microsecond=0)))


class TokensOfSeveralLines(MemoryTokens):
    async def sign(self, claims: Claims) -> str:
        return "\n".join(textwrap.wrap(await super().sign(claims), 76))

    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        return await super().read(token.replace("\n", ""), expected=expected)


class TokensOfAnyKind(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        return await super().read(token, expected=None)


class TokensThatExpectAccess(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        return await super().read(token, expected=expected or TokenKind.ACCESS)


class _Shifted:
    """A clock that is off."""

    def __init__(self, clock: Clock, by: timedelta) -> None:
        self.clock, self.by = clock, by

    def now(self) -> datetime:
        return self.clock.now() + self.by


class TokensThatEndEarly(MemoryTokens):
    def __init__(self, clock: Clock, **key: bytes) -> None:
        super().__init__(_Shifted(clock, timedelta(seconds=30)), **key)


class TokensThatEndLate(MemoryTokens):
    def __init__(self, clock: Clock, **key: bytes) -> None:
        super().__init__(_Shifted(clock, -timedelta(seconds=30)), **key)


class TokensThatNeverEnd(MemoryTokens):
    def __init__(self, clock: Clock, **key: bytes) -> None:
        super().__init__(FixedClock(clock.now()), **key)


class TokensOfEverybodysKey(MemoryTokens):
    def __init__(self, clock: Clock, **key: bytes) -> None:
        super().__init__(clock)


class TokensWithoutASignature(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        try:
            body = base64.urlsafe_b64decode(token.partition(".")[0]).decode()
            return await super().read(f"{token.partition('.')[0]}.{self._mac(body)}", expected=expected)
        except (ValueError, KeyError, TypeError):
            raise TokenRefused(TokenFault.INVALID) from None


class TokensThatMayBeCut(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        encoded, dot, mac = token.partition(".")
        with suppress(ValueError):
            whole = self._mac(base64.urlsafe_b64decode(encoded).decode())
            if dot and whole.startswith(mac):
                token = f"{encoded}.{whole}"
        return await super().read(token, expected=expected)


class TokensSignedByTheirLength(MemoryTokens):
    def _mac(self, body: str) -> str:
        return super()._mac(str(len(body)))


class TokensInAnyWrapping(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        return await super().read(token.strip().rstrip("="), expected=expected)


class TokensThatChokeOnNonsense(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        _, _ = token.split(".")
        return await super().read(token, expected=expected)


class TokensThatJudgeTheKindFirst(MemoryTokens):
    async def read(self, token: str, *, expected: TokenKind | None) -> Claims:
        kind = json.loads(base64.urlsafe_b64decode(token.partition(".")[0]))["kind"]
        if expected not in {None, kind}:
            raise TokenRefused(TokenFault.WRONG_TYPE)
        return await super().read(token, expected=expected)


# --- renderers -------------------------------------------------------------------------------------------


class Renderer:
    """Changes what an honest renderer made."""

    def __init__(self, honest: MailRenderer) -> None:
        self.honest = honest
        self.locales = honest.locales

    def changed(self, message: Message, mail: Mail) -> Message:
        return message

    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        return self.changed(self.honest.render(mail, id=id, date=date), mail)


class RendererWithoutText(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, text="\n")


class RendererOfOneLanguage(Renderer):
    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        return super().render(replace(mail, locale=""), id=id, date=date)


class RendererThatTakesALocaleToTheLetter(Renderer):
    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        locale = mail.locale if mail.locale in self.locales else ""
        return super().render(replace(mail, locale=locale), id=id, date=date)


class RendererThatStumblesOverALanguage(Renderer):
    def render(self, mail: Mail, *, id: str, date: datetime) -> Message:
        if mail.locale and mail.locale[:2].lower() not in self.locales:
            raise MailDeferred(f"there are no words in {mail.locale}")
        return super().render(mail, id=id, date=date)


class RendererOfLongSubjects(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, subject=f"{message.subject}\n")


class RendererThatLowersAddresses(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, to=EmailAddress(message.to.key))


class RendererOfItsOwnIds(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, id=uuid.uuid4().hex)


class RendererThatLosesTheLink(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, text=re.sub(r"https://\S+", "", message.text))


class RendererThatBreaksLines(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, text=textwrap.fill(message.text, 76))


class RendererThatEndsASentenceWithTheLink(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, text=re.sub(r"(https://\S+)", r"\1.", message.text))


class RendererThatCountsClicks(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, html=message.html.replace("https://", "https://clicks.example/?to=https://"))


class RendererThatLosesTheButton(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, html=re.sub(r'href="[^"]*"', "", message.html))


class RendererThatShowsTheLinkOutside(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        link = mail.link.reveal() if isinstance(mail, PasswordResetMail) else ""
        return replace(message, subject=f"{message.subject} {link}".strip())


class RendererThatDoesNotEscape(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, html=html.unescape(message.html))


class RendererThatEscapesTheText(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        return replace(message, text=html.escape(message.text))


class RendererThatCountsReaders(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        picture = '<img src="https://readers.example/1.gif" alt="">'
        return replace(message, html=message.html.replace("</body>", f"{picture}</body>"))


class RendererWithAFont(Renderer):
    def changed(self, message: Message, mail: Mail) -> Message:
        font = "@font-face { font-family: x; src: url('//fonts.example/x.woff2'); }"
        return replace(message, html=message.html.replace("</style>", f"{font}</style>"))


# --- mailers ---------------------------------------------------------------------------------------------


class Changing:
    """Changes every message before an honest mailer sends it."""

    def __init__(self, honest: Mailer) -> None:
        self.honest = honest
        self.count = itertools.count(1)

    def changed(self, message: Message) -> Message:
        return message

    async def send(self, message: Message) -> None:
        await self.honest.send(self.changed(message))


class MailerThatLosesThePage(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, html="")


class MailerThatLowersAddresses(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, to=EmailAddress(message.to.key))


class MailerOfAsciiSubjects(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, subject=message.subject.encode("ascii", "replace").decode())


class MailerOfShortSubjects(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, subject=message.subject[:78])


class MailerOfLatin1(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, html=message.html.encode("latin-1", "replace").decode("latin-1"))


class MailerThatBreaksLines(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, text=re.sub(r"([^\n]{998})", "\\1\n", message.text))


class MailerThatEndsAtADot(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, text=message.text.partition("\n.\n")[0].removeprefix(".\n"))


class MailerThatQuotesFrom(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, text=message.text.replace("\nFrom ", "\n>From "))


class MailerThatDoublesLineBreaks(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, text=message.text.replace("\r", "\n"))


class MailerThatDropsEverySecond(Changing):
    async def send(self, message: Message) -> None:
        if next(self.count) % 2:
            await self.honest.send(message)


class MailerThatSendsTwice(Changing):
    async def send(self, message: Message) -> None:
        await self.honest.send(message)
        await self.honest.send(message)


class MailerOfANewIdEachTime(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, id=f"{message.id}-{next(self.count)}")


class MailerOfOneId(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, id="mail")


class MailerThatMendsHeaders(Changing):
    def changed(self, message: Message) -> Message:
        one_line = EmailAddress("".join(message.to.value.split()))
        return replace(message, to=one_line, subject=" ".join(message.subject.split()))


class MailerThatDecodesSubjects(Changing):
    def changed(self, message: Message) -> Message:
        return replace(message, subject=str(make_header(decode_header(message.subject))))


class MailerThatSwallowsFailures(Changing):
    async def send(self, message: Message) -> None:
        with suppress(IdentityError):
            await self.honest.send(message)


class MailerThatTriesForEver(Changing):
    async def send(self, message: Message) -> None:
        try:
            await self.honest.send(message)
        except MailRefused as refusal:
            raise MailDeferred(str(refusal)) from None


class MailerThatGivesUp(Changing):
    async def send(self, message: Message) -> None:
        try:
            await self.honest.send(message)
        except MailDeferred as deferral:
            raise MailRefused(str(deferral)) from None


class MailerThatQuotesTheMail(Changing):
    async def send(self, message: Message) -> None:
        try:
            await self.honest.send(message)
        except MailDeferred:
            raise MailDeferred(f"could not send {message.text}") from None


class MailerThatCannotBeInterrupted(Changing):
    async def send(self, message: Message) -> None:
        with suppress(asyncio.CancelledError):
            await self.honest.send(message)


class MailerThatTakesAnInterruptionForAFailure(Changing):
    async def send(self, message: Message) -> None:
        try:
            await self.honest.send(message)
        except asyncio.CancelledError:
            raise MailDeferred("interrupted") from None


# --- clocks, randomness, common passwords ----------------------------------------------------------------


class NaiveClock:
    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)


class ClockOfAnotherZone:
    def now(self) -> datetime:
        return datetime.now(timezone(timedelta(hours=2)))


class ClockOfTheLocalZone:
    def now(self) -> datetime:
        return datetime.now(UTC).astimezone()


class ClockThatTakesLocalTimeForUtc:
    def now(self) -> datetime:
        return datetime.now().replace(tzinfo=UTC)  # noqa: DTZ005 - the fault


class ClockOfWholeSeconds:
    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)


class RandomnessInUpperCase(SeededRandomness):
    def identifier(self) -> str:
        return super().identifier().upper()


class RandomnessTooShort(SeededRandomness):
    def identifier(self) -> str:
        return super().identifier()[:16]


class RandomnessWithPadding(SeededRandomness):
    def token(self) -> Secret:
        return Secret(super().token().reveal() + "=")


class RandomnessThatShowsTokens(SeededRandomness):
    def token(self) -> Secret:
        return super().token().reveal()


class RandomnessThatRepeats(SeededRandomness):
    def __init__(self) -> None:
        super().__init__()
        self.identifiers = itertools.cycle(
            [super(RandomnessThatRepeats, self).identifier() for _ in range(5000)]
        )

    def identifier(self) -> str:
        return next(self.identifiers)


class RandomnessThatRepeatsTokens(SeededRandomness):
    def token(self) -> Secret:
        return SeededRandomness(random.getrandbits(16)).token()


class RandomnessOfUuids(SeededRandomness):
    def identifier(self) -> str:
        return uuid.uuid4().hex


class RandomnessOf128BitTokens(SeededRandomness):
    def token(self) -> Secret:
        return Secret(base64.urlsafe_b64encode(bytes(16) + os.urandom(16)).decode().rstrip("="))


class RandomnessWithoutLeadingZeros(SeededRandomness):
    def digits(self, count: int) -> Secret:
        return Secret(str(random.randrange(10 ** (count - 1), 10**count)))


class RandomnessThatShowsDigits(SeededRandomness):
    def digits(self, count: int) -> Secret:
        return super().digits(count).reveal()


class RandomnessOfPercentages(SeededRandomness):
    def fraction(self) -> float:
        return random.randint(0, 100) / 100


class RandomnessOfCoins(SeededRandomness):
    def fraction(self) -> float:
        return float(random.randint(0, 1)) / 2


class CommonPasswordsInOneSpelling:
    def __init__(self, honest: CommonPasswords) -> None:
        self.honest = honest

    def __contains__(self, password: str) -> bool:
        return password.islower() and password in self.honest


class EveryPasswordIsCommon(CommonPasswordsInOneSpelling):
    def __contains__(self, password: str) -> bool:
        return True


class CommonPasswordsByPrefix(CommonPasswordsInOneSpelling):
    def __contains__(self, password: str) -> bool:
        return any(password[:length] in self.honest for length in (7, 8))


class CommonPasswordsInOneText(CommonPasswordsInOneSpelling):
    def __contains__(self, password: str) -> bool:
        return password.lower() in "password\nletmein\n"


class CommonPasswordsInUtf8(CommonPasswordsInOneSpelling):
    def __contains__(self, password: str) -> bool:
        return password.encode().decode() in self.honest
