"""A finished message in the form in which it travels: MIME with text and HTML (RFC 5322, RFC 2046)."""

from __future__ import annotations

import re
import unicodedata
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

import idna

from identity.application.mail import Message
from identity.domain.errors import MailRefused
from identity.domain.names import EmailAddress
from identity.domain.text import has_control_characters

_MESSAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SPECIALS = re.compile(r'[\s"(),:;<>@\[\\\]]')  # RFC 5322, 3.2.3: not part of an address without quotes
_ENCODED = "=?"  # begins an encoded word (RFC 2047), which many decode, and of one line make two
_LONGEST_LINE = 998  # octets without CRLF; RFC 5322, 2.1.1


def to_mime(message: Message, *, sender: str) -> EmailMessage:
    """The message with all its headers, from `sender` ("Name <name@example.org>") to one mailbox.

    `as_bytes()` gives what is to be transmitted. The Message-ID depends on `message.id` and the sender's
    domain alone. Domains become A-labels (RFC 5890); a local part beyond ASCII stays as it is (RFC 6532).

    Raises:
        MailRefused: a header would not be one line as it stands, the id is not a plain word of at most 128
            characters, the recipient is not one address, or its domain no name of IDNA 2008 (RFC 5891).
        ValueError: the sender is not one address.
    """
    for name, value in {"subject": message.subject, "recipient": message.to.value}.items():
        if not _is_one_line(value):
            raise MailRefused(f"the {name} of the mail is not one line of text")
    origin, recipient = parse_sender(sender), _recipient(message.to)
    if not _MESSAGE_ID.fullmatch(message.id):
        raise MailRefused("the id of the mail cannot be part of a Message-ID")

    is_ascii = origin.username.isascii() and recipient.username.isascii()
    mime = EmailMessage(policy=SMTP if is_ascii else SMTPUTF8)
    mime["From"] = origin
    mime["To"] = recipient
    mime["Subject"] = message.subject
    if mime["Subject"] != message.subject:
        raise MailRefused("the subject of the mail holds an encoded word")
    mime["Date"] = message.date
    mime["Message-ID"] = f"<{message.id}@{origin.domain}>"
    mime["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice in reply
    mime.set_content(message.text, cte=_transfer_encoding(message.text))
    mime.add_alternative(message.html, subtype="html", cte=_transfer_encoding(message.html))
    return mime


def parse_sender(sender: str) -> Address:
    """The one address of a From header, its domain in A-labels. Raises ValueError if there is not one."""
    if not _is_one_line(sender):
        raise ValueError("the sender is not one line of text")
    try:
        addresses: tuple[Address, ...] = getattr(HeaderRegistry()("From", sender), "addresses", ())
    except (MessageError, ValueError, IndexError, AttributeError):
        addresses = ()  # the standard parser trips over some input
    if len(addresses) != 1 or not addresses[0].username or not addresses[0].domain:
        raise ValueError("the sender is not one mail address")
    (address,) = addresses
    return Address(address.display_name, address.username, _a_labels(address.domain))


def _recipient(address: EmailAddress) -> Address:
    local_part, _, domain = address.value.rpartition("@")
    if not local_part or not domain or _SPECIALS.search(local_part + domain) or _ENCODED in local_part:
        raise MailRefused("the recipient is not one mail address")
    try:
        return Address(username=local_part, domain=_a_labels(domain))
    except idna.IDNAError:
        raise MailRefused("the recipient's domain is not a valid internationalised name") from None


def _a_labels(domain: str) -> str:
    if domain.isascii():
        return domain
    # Mapped just as two addresses are compared, so that mail reaches the name that was compared.
    return idna.encode(unicodedata.normalize("NFC", domain.lower())).decode("ascii")


def _is_one_line(text: str) -> bool:
    # The standard library lets a line break at the very end through, which would end the headers there.
    return text.splitlines() == [text] and not has_control_characters(text)


def _transfer_encoding(body: str) -> str:
    # As it is wherever every server must take it, so that a link can be read in the raw message.
    plain = body.isascii() and all(len(line) <= _LONGEST_LINE for line in body.split("\n"))
    return "7bit" if plain else "quoted-printable"
