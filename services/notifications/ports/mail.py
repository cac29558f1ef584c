"""Mail to people over SMTP [RFC 5321, 5322]: one message, one connection, at least once under a stable Message-ID."""

from __future__ import annotations

import smtplib
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from services.notifications.ports.texts import MailText
from services.settings import Settings

TIMEOUT = 10.0
_PERMANENT = range(500, 600)


class MailRefused(Exception):
    """The server will never take this mail (unknown or malformed address): sending again would not help."""


class Mailer:
    """Sends mail through the server of the settings; what is temporary raises OSError and may be tried again."""

    def __init__(self, settings: Settings) -> None:
        self._host, self._port, self._sender = settings.smtp_host, settings.smtp_port, settings.mail_from

    def send(self, text: MailText, *, to: str, message_id: str, language: str, at: datetime) -> None:
        """Hands one mail to the server and returns when the server has taken it.

        message_id: the same at each repeat, so that a mail sent twice is seen as one.
        Raises MailRefused for good, OSError (every smtplib error is one) for now.
        """
        message = compose(text, sender=self._sender, to=to, message_id=message_id, language=language, at=at)
        # The name we greet with is fixed: asking the resolver for our own could take longer than the mail.
        with smtplib.SMTP(self._host, self._port, local_hostname="opendsp.localhost", timeout=TIMEOUT) as server:
            try:
                server.send_message(message, from_addr=self._sender, to_addrs=[to])
            except smtplib.SMTPRecipientsRefused as refused:
                if all(code in _PERMANENT for code, _ in refused.recipients.values()):
                    raise MailRefused() from None  # the answer repeats the address: it goes no further
                raise OSError("recipient refused for now") from None
            except smtplib.SMTPNotSupportedError:
                raise MailRefused() from None  # an address this server cannot write, today or tomorrow
            except smtplib.SMTPDataError as refused:
                if refused.smtp_code in _PERMANENT:
                    raise MailRefused() from None
                raise


def compose(text: MailText, *, sender: str, to: str, message_id: str, language: str, at: datetime) -> EmailMessage:
    """The message itself: plain text first, the same as HTML beside it, marked as automatic [RFC 3834]."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    try:
        message["To"] = to
    except ValueError:
        raise MailRefused() from None
    message["Subject"] = text.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = language
    message.set_content(text.plain, cte="quoted-printable")
    message.add_alternative(text.html, subtype="html", cte="quoted-printable")
    return message
