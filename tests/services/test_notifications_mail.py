"""Mail as it leaves: what stands in it, and the connections that carry it to a real SMTP server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.contract import LANGUAGES
from services.notifications.ports import mail
from services.notifications.ports.mail import Mailer, MailRefused, compose
from services.notifications.ports.texts import MailText, mail_text
from services.settings import Settings

AT = datetime(2026, 11, 21, 9, 15, tzinfo=UTC)
TEXT = MailText("Votre code", "Voilà :\n\n6wqxU4\n", "<p>Voilà : <b>6wqxU4</b></p>")
# What a line of a text may hold; the ends of lines are the network's own in a mail.
WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
LINES = st.lists(WORDS).map("\n".join)
SUBJECTS = WORDS.map(lambda words: " ".join(words.split()))  # as the catalogues write them


class Server(Controller):
    """An SMTP server that counts its connections, keeps every mail and can hang up on everybody."""

    def __init__(self, port: int | None = None, ssl_context: ssl.SSLContext | None = None, **options: Any) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.lines: list[Any] = []
        self.answer = "250 OK"
        self._options = options
        self.senders: list[str] = []
        super().__init__(self, hostname="127.0.0.1", port=port or _free_port(), ssl_context=ssl_context)

    def start(self) -> None:
        super().start()
        self.lines.clear()  # it has called itself to see whether it answers

    def factory(self) -> SMTP:
        server = self

        class Counted(SMTP):
            def connection_made(self, transport: Any) -> None:
                server.lines.append(transport)
                super().connection_made(transport)

        return Counted(self.handler, **self._options)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos, envelope.content))
        self.senders.append(envelope.mail_from)
        return "250 OK"

    def open(self) -> list[Any]:
        return [line for line in self.lines if not line.is_closing()]

    def hang_up(self) -> None:
        """On everybody, as a server does that is started anew."""

        async def now() -> None:
            for line in self.lines:
                line.abort()

        asyncio.run_coroutine_threadsafe(now(), self.loop).result()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(enable_SMTPUTF8=True)
    made.start()
    yield made
    made.stop()


def mailer_to(server: Server) -> Mailer:
    return Mailer(replace(Settings(process="notifications"), smtp_host="127.0.0.1", smtp_port=server.port))


def send(mailer: Mailer, to: str = "zoe@example.lu", message_id: str = "<one@opendsp>") -> None:
    mailer.send(TEXT, to=to, message_id=message_id, language="fr", at=AT)


def read(content: bytes) -> Any:
    return message_from_bytes(content, policy=policy.SMTPUTF8)


def until(true: Any) -> None:
    for _ in range(400):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- the message ------------------------------------------------------------------------------------------------------


def composed(text: MailText, to: str = "zoe@example.lu") -> bytes:
    return compose(text, sender="from@example.lu", to=to, message_id="<one@opendsp>", language="lb", at=AT)


@given(SUBJECTS, LINES, LINES)
def test_whatever_is_written_is_what_is_read(subject: str, plain: str, html: str) -> None:
    raw = composed(MailText(subject, plain, html))
    assert raw.isascii() and b"\r" not in raw.replace(b"\r\n", b"") and b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = read(raw)
    assert message.defects == [] and message["Subject"] == subject
    bodies = [message.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html")]
    assert [body.removesuffix("\n") for body in bodies] == [text.removesuffix("\n") for text in (plain, html)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mail_says_that_it_is_automatic_in_which_language_and_under_which_id(language: str) -> None:
    text = mail_text("one_time_code.log_in", language, {"code": "6wqxU4", "minutes": "5", "portal": "https://x.lu"})
    message = read(compose(text, sender="a@b.lu", to="zoe@example.lu", message_id="<one@opendsp>", language=language,
                           at=AT))  # fmt: skip
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    told = {name: message[name] for name in ("From", "To", "Message-ID", "Auto-Submitted", "Content-Language")}
    assert told == {"From": "a@b.lu", "To": "zoe@example.lu", "Message-ID": "<one@opendsp>",
                    "Auto-Submitted": "auto-generated", "Content-Language": language}  # fmt: skip
    assert message["Date"].datetime == AT and message["Subject"] == text.subject


@pytest.mark.parametrize("to", ["zoe@example.lu\r\nBcc: all@example.lu", "zoe@example.lu\n", "zo\0e@example.lu"])
def test_an_address_cannot_bring_a_header_of_its_own(to: str) -> None:
    with pytest.raises(MailRefused):
        composed(TEXT, to)


def test_an_address_beyond_ascii_goes_as_it_is_where_the_server_can_write_it(server: Server) -> None:
    send(mailer_to(server), "zoé@example.lu")
    [(recipients, content)] = server.mails
    assert recipients == ["zoé@example.lu"] and read(content)["To"] == "zoé@example.lu"


def test_an_address_beyond_ascii_is_refused_for_good_where_the_server_cannot() -> None:
    server = Server(enable_SMTPUTF8=False)
    server.start()
    try:
        with pytest.raises(MailRefused):
            send(mailer_to(server), "zoé@example.lu")
    finally:
        server.stop()


# --- the connections --------------------------------------------------------------------------------------------------


def test_one_connection_carries_mail_after_mail(server: Server) -> None:
    mailer = mailer_to(server)
    for number in range(5):
        send(mailer, f"zoe.{number}@example.lu")
    assert [recipients for recipients, _ in server.mails] == [[f"zoe.{number}@example.lu"] for number in range(5)]
    assert len(server.lines) == 1


def test_a_connection_that_the_server_gave_up_is_replaced_and_the_mail_goes_once(server: Server) -> None:
    mailer = mailer_to(server)
    send(mailer, message_id="<one@opendsp>")
    server.hang_up()
    send(mailer, message_id="<two@opendsp>")
    assert [read(content)["Message-ID"] for _, content in server.mails] == ["<one@opendsp>", "<two@opendsp>"]
    assert len(server.lines) == 2


def test_a_server_that_is_away_with_the_connection_is_an_error_for_now() -> None:
    first = Server()
    first.start()
    mailer = mailer_to(first)
    send(mailer)
    first.stop()
    with pytest.raises(OSError):
        send(mailer)
    again = Server(port=first.port)
    again.start()
    try:
        send(mailer)
    finally:
        again.stop()
    assert (len(first.mails), len(again.mails)) == (1, 1)


def test_after_a_refused_address_the_next_mail_goes_out(server: Server) -> None:
    mailer = mailer_to(server)
    send(mailer)
    server.answer = "550 no such user"
    with pytest.raises(MailRefused):
        send(mailer)
    server.answer = "450 try later"
    with pytest.raises(OSError, match="for now"):
        send(mailer)
    server.answer = "250 OK"
    send(mailer)
    assert len(server.mails) == 2
    until(lambda: len(server.open()) == 1)


def test_a_connection_that_nobody_uses_is_hung_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "KEPT_FOR", 0.2)
    mailer = mailer_to(server)
    for _ in range(2):
        send(mailer)
        assert server.lines
        until(lambda: server.open() == [])
    assert len(server.mails) == 2 and len(server.lines) == 2


def test_no_more_connections_wait_than_are_of_use(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "KEPT", 1)
    mailer = mailer_to(server)
    lines = [mailer._line() for _ in range(3)]
    for line in lines:
        mailer._keep(line)
    until(lambda: len(server.open()) == 1)
    send(mailer)
    assert len(server.lines) == 3


# --- encryption and authentication ------------------------------------------------------------------------------------


@dataclass
class Certificate:
    """A certificate of a mail server on loopback, which signs itself."""

    file: str
    context: ssl.SSLContext


def certificate(folder: Path, address: str = "127.0.0.1") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file, secret = folder / f"{address}.pem", folder / f"{address}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return Certificate(str(file), context)


class Door:
    """Who may come in, and what they said on the way."""

    def __init__(self) -> None:
        self.said: list[tuple[bytes, bytes]] = []

    def __call__(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, told: Any) -> AuthResult:
        self.said.append((told.login, told.password))
        return AuthResult(success=(told.login, told.password) == (b"dsp", b"s3cret"))


@pytest.fixture(params=["starttls", "implicit"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Server, Door, Settings]]:
    """A server that speaks encrypted alone and wants a credential, and the settings that fit it."""
    shown, door = certificate(tmp_path), Door()
    if request.param == "starttls":
        made = Server(tls_context=shown.context, require_starttls=True, authenticator=door, auth_required=True)
    else:
        made = Server(ssl_context=shown.context, authenticator=door, auth_required=True, auth_require_tls=False)
    made.start()
    yield made, door, replace(
        Settings(process="notifications"), smtp_host="127.0.0.1", smtp_port=made.port, smtp_tls=request.param,
        smtp_user="dsp", smtp_password="s3cret", smtp_ca_file=shown.file, mail_bounces_to="returned@example.lu",
    )  # fmt: skip
    made.stop()


def test_mail_goes_encrypted_and_with_the_credential_and_comes_back_to_where_it_should(guarded: Any) -> None:
    server, door, settings = guarded
    mailer = Mailer(settings)
    for turn in range(3):
        send(mailer, message_id=f"<{turn}@opendsp>")
    assert len(server.mails) == 3 and door.said == [(b"dsp", b"s3cret")], "on one connection"
    assert server.senders == ["returned@example.lu"] * 3 and read(server.mails[0][1])["From"] == settings.mail_from


def test_a_server_whose_certificate_is_not_trusted_is_told_nothing(guarded: Any, tmp_path: Path) -> None:
    server, door, settings = guarded
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = certificate(elsewhere)  # another authority, the same name
    for wrong in (replace(settings, smtp_ca_file=""), replace(settings, smtp_ca_file=other.file)):
        with pytest.raises(OSError):
            send(Mailer(wrong))
    assert server.mails == [] and door.said == []


def test_a_certificate_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    shown, door = certificate(tmp_path, "127.0.0.2"), Door()
    server = Server(tls_context=shown.context, authenticator=door)
    server.start()
    try:
        settings = replace(
            Settings(process="notifications"), smtp_host="127.0.0.1", smtp_port=server.port, smtp_tls="starttls",
            smtp_user="dsp", smtp_password="s3cret", smtp_ca_file=shown.file,
        )  # fmt: skip
        with pytest.raises(OSError):
            send(Mailer(settings))
        assert server.mails == [] and door.said == []
    finally:
        server.stop()


def test_a_server_that_cannot_encrypt_hears_neither_credential_nor_mail(server: Server) -> None:
    settings = replace(Settings(process="notifications"), smtp_host="127.0.0.1", smtp_port=server.port)
    for tls in ("starttls", "implicit"):
        with pytest.raises(OSError):
            send(Mailer(replace(settings, smtp_tls=tls, smtp_user="dsp", smtp_password="s3cret")))
    assert server.mails == []
    send(Mailer(settings))
    assert len(server.mails) == 1


def test_a_wrong_credential_delays_the_mail_and_loses_it_not(guarded: Any) -> None:
    server, _, settings = guarded
    with pytest.raises(OSError) as wrong:
        send(Mailer(replace(settings, smtp_password="stale")))
    assert "stale" not in str(wrong.value) and server.mails == []
    send(Mailer(settings))
    assert len(server.mails) == 1


def test_production_says_nothing_in_clear_to_another_machine() -> None:
    remote = Settings(profile="production", smtp_host="mail.example.lu")
    with pytest.raises(ValueError, match="smtp_tls"):
        Mailer(remote)
    Mailer(replace(remote, smtp_tls="starttls"))
    Mailer(replace(remote, smtp_tls="implicit"))
    Mailer(replace(remote, smtp_host="127.0.0.1"))
    Mailer(replace(remote, profile="local"))


def test_it_goes_encrypted_from_a_green_process_too(guarded: Any) -> None:
    server, door, settings = guarded
    script = (
        "import eventlet; eventlet.monkey_patch()\n"
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from services.notifications.ports.mail import Mailer\n"
        "from services.notifications.ports.texts import MailText\n"
        "from services.settings import Settings\n"
        "host, port, tls, ca = sys.argv[1:]\n"
        "mailer = Mailer(Settings(smtp_host=host, smtp_port=int(port), smtp_tls=tls, smtp_user='dsp',"
        " smtp_password='s3cret', smtp_ca_file=ca))\n"
        "for one in range(2):\n"
        "    mailer.send(MailText('s', 'p', 'h'), to='zoe@example.lu', message_id='<x@opendsp>', language='fr',"
        " at=datetime.now(UTC))\n"
    )
    told = (settings.smtp_host, str(settings.smtp_port), settings.smtp_tls, settings.smtp_ca_file)
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, *told], check=True, timeout=60)
    assert len(server.mails) == 2 and len(door.said) == 1
