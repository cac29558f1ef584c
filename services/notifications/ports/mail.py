"""Mail to people over SMTP [RFC 5321, 5322]: at least once under a stable Message-ID.

A connection that has carried a mail waits a little for the next one. Before it carries that, the server is asked
whether it is still there: a connection that was given up meanwhile never had a word of the mail, so that another can
carry it without anybody getting it twice.
"""

from __future__ import annotations

import smtplib
import ssl
import threading
import time
from datetime import datetime
from email.charset import QP, Charset
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTPUTF8, compat32
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

from services.notifications.ports.texts import MailText
from services.settings import Settings

TIMEOUT = 10.0
KEPT_FOR = 20.0  # seconds a connection waits for the next mail: less than any server would
KEPT = 4
_PERMANENT = range(500, 600)
_CLOSING = (421,)  # the server's own trouble, not the recipient's [RFC 5321 3.8]
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PLAIN = compat32.clone(linesep="\r\n")
_BOUNDARY = "=_between_the_parts"  # no quoted-printable text can hold it [RFC 2045 6.7]: none has to be looked for
_WRITTEN = Charset("utf-8")
_WRITTEN.body_encoding = QP


class MailRefused(Exception):
    """The server will never take this mail (unknown or malformed address): sending again would not help."""


class MailPutOff(OSError):
    """The server takes this mail later, and others now (greylisting, a full mailbox)."""


class Mailer:
    """Sends mail through the server of the settings; what is temporary raises OSError and may be tried again.

    The server's certificate is checked against its name before a credential, an address or a code is said. Raises
    ValueError for settings that would say them in clear to another machine.
    """

    def __init__(self, settings: Settings) -> None:
        _refuse_clear(settings)
        self._host, self._port, self._sender = settings.smtp_host, settings.smtp_port, settings.mail_from
        self._bounces_to = settings.mail_bounces_to or settings.mail_from
        self._tls, self._user, self._password = settings.smtp_tls, settings.smtp_user, settings.smtp_password
        self._trusted = ssl.create_default_context(cafile=settings.smtp_ca_file or None) if self._tls else None
        self._lock = threading.Lock()
        self._kept: list[tuple[float, smtplib.SMTP]] = []  # since when, the latest last
        self._sweeps = False

    def send(self, text: MailText, *, to: str, message_id: str, language: str, at: datetime) -> None:
        """Hands one mail to the server and returns when the server has taken it.

        message_id: the same at each repeat, so that a mail sent twice is seen as one.
        Raises MailRefused for good, OSError (every smtplib error is one) for now.
        """
        message = compose(text, sender=self._sender, to=to, message_id=message_id, language=language, at=at)
        server = self._line()
        try:
            self._hand_over(server, message, to)
        except BaseException:
            _hang_up(server)
            raise
        self._keep(server)

    def _hand_over(self, server: smtplib.SMTP, message: bytes, to: str) -> None:
        # An address beyond ASCII travels as it is, where the server knows how [RFC 6531].
        options = () if to.isascii() else ("SMTPUTF8", "BODY=8BITMIME")
        try:
            server.sendmail(self._bounces_to, [to], message, options)
        except smtplib.SMTPRecipientsRefused as refused:
            if all(code in _PERMANENT for code, _ in refused.recipients.values()):
                raise MailRefused() from None  # the answer repeats the address: it goes no further
            if any(code in _CLOSING for code, _ in refused.recipients.values()):
                raise OSError("the mail server closes") from None
            raise MailPutOff("recipient refused for now") from None
        except smtplib.SMTPNotSupportedError:
            raise MailRefused() from None  # an address this server cannot write, today or tomorrow
        except smtplib.SMTPDataError as refused:
            if refused.smtp_code in _PERMANENT:
                raise MailRefused() from None
            raise

    # --- the connections ----------------------------------------------------------------------------------------------

    def _line(self) -> smtplib.SMTP:
        """A connection with the server at its other end."""
        while (server := self._take()) is not None:
            if _is_there(server):
                return server
            server.close()
        server = self._connected()
        try:
            if self._user:
                server.login(self._user, self._password)
        except BaseException:
            _hang_up(server)
            raise
        return server

    def _connected(self) -> smtplib.SMTP:
        """A new connection, encrypted where the settings say so: a server that cannot is told nothing."""
        # The name we greet with is fixed: asking the resolver for our own could take longer than the mail.
        name = "opendsp.localhost"
        if self._tls == "implicit":
            return smtplib.SMTP_SSL(self._host, self._port, name, timeout=TIMEOUT, context=self._trusted)
        server = smtplib.SMTP(self._host, self._port, name, timeout=TIMEOUT)
        if self._tls == "starttls":
            try:
                server.starttls(context=self._trusted)
            except BaseException:
                server.close()
                raise
        return server

    def _take(self) -> smtplib.SMTP | None:
        with self._lock:
            return self._kept.pop()[1] if self._kept else None

    def _keep(self, server: smtplib.SMTP) -> None:
        with self._lock:
            if room := len(self._kept) < KEPT:
                self._kept.append((time.monotonic(), server))
                begins, self._sweeps = not self._sweeps, True
        if not room:
            _hang_up(server)
        elif begins:
            self._sweep_later()

    def _sweep_later(self) -> None:
        sweep = threading.Timer(KEPT_FOR, self._sweep)
        sweep.daemon = True
        sweep.start()

    def _sweep(self) -> None:
        """Hangs up what has waited long enough, and comes again as long as anything waits."""
        with self._lock:
            since = time.monotonic() - KEPT_FOR
            old = [server for kept_at, server in self._kept if kept_at <= since]
            self._kept = [one for one in self._kept if one[0] > since]
            self._sweeps = bool(self._kept)
            again = self._sweeps
        for server in old:
            _hang_up(server)
        if again:
            self._sweep_later()


def _is_there(server: smtplib.SMTP) -> bool:
    try:
        return server.noop()[0] == 250
    except OSError:
        return False


def _hang_up(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except OSError:
        server.close()


def _refuse_clear(settings: Settings) -> None:
    if settings.profile != "production" or settings.smtp_tls:
        return
    if settings.smtp_host not in _LOOPBACK:
        raise ValueError("smtp_tls must be starttls or implicit: codes and addresses travel to another machine")


# --- the message ------------------------------------------------------------------------------------------------------


def compose(text: MailText, *, sender: str, to: str, message_id: str, language: str, at: datetime) -> bytes:
    """The message itself: plain text first, the same as HTML beside it, marked as automatic [RFC 3834]."""
    if not to.isprintable():
        raise MailRefused()  # the end of a line in it would begin another header
    # The parts as they were always made: a message that parses each header it is given takes four times as long. That
    # one is for addresses beyond ASCII, which it alone can write as they are.
    policy: Any = _PLAIN if to.isascii() else SMTPUTF8
    bodies = ((text.plain, "plain"), (text.html, "html"))
    parts = [MIMEText(body, kind, _WRITTEN, policy=policy) for body, kind in bodies]
    message = MIMEMultipart("alternative", _BOUNDARY, _subparts=parts, policy=policy)
    message["From"], message["To"], message["Subject"] = formataddr(parseaddr(sender)), to, text.subject
    message["Date"], message["Message-ID"] = format_datetime(at), message_id
    message["Auto-Submitted"], message["Content-Language"] = "auto-generated", language
    return message.as_bytes(policy=policy)
