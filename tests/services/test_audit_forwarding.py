"""The log sent to an external repository over real TLS: in its order, each entry at least once, to nobody else."""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.audit import forwarding
from services.audit.forwarding import Forwarder
from services.audit.ports.syslog import Repository, RepositoryAway
from services.settings import Settings
from tests.services.audit_log import Log

NUMBER = re.compile(rb'sequenceId="(\d+)"')
HOST = "localhost"


class Authority:
    """Somebody who signs certificates, in files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        authority = x509.BasicConstraints(ca=True, path_length=None)
        made = self._signed(self._name, self._key.public_key(), authority)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def certificate(self, name: str) -> tuple[str, str]:
        """A certificate for a host, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        files = self.folder / f"{name}-{id(key)}.crt", self.folder / f"{name}-{id(key)}.key"
        files[0].write_bytes(self._signed(subject, key.public_key(), names).public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip
        return str(files[0]), str(files[1])

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
    ) -> x509.Certificate:  # fmt: skip
        at = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(at - dt.timedelta(days=1))
        made = made.not_valid_after(at + dt.timedelta(days=1)).add_extension(extension, critical=True)
        return made.sign(self._key, hashes.SHA256())


class Receiver:
    """An audit repository: asks for a certificate, reads frames, and may go away."""

    def __init__(self, authority: Authority) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.certificate(HOST))
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.numbers: list[int] = []
        self.leaves_after: int | None = None
        self._open: list[ssl.SSLSocket] = []
        self._came = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                plain, _ = self._server.accept()
            except OSError:
                return
            try:
                stream = self._context.wrap_socket(plain, server_side=True)
            except (ssl.SSLError, OSError):
                continue
            self._open.append(stream)
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: ssl.SSLSocket) -> None:
        with stream, stream.makefile("rb") as file:
            try:
                while length := self._length(file):
                    text = file.read(length)
                    assert len(text) == length
                    found = NUMBER.search(text)
                    assert found is not None
                    with self._came:
                        self.numbers.append(int(found[1]))
                        self._came.notify_all()
                        if self.leaves_after is not None and len(self.numbers) >= self.leaves_after:
                            self.leaves_after = None
                            stream.shutdown(socket.SHUT_RDWR)
                            return
            except (OSError, ValueError):
                return

    @staticmethod
    def _length(file: object) -> int:
        digits = b""
        while (letter := file.read(1)) not in (b" ", b""):  # type: ignore[attr-defined]
            digits += letter
        return int(digits) if digits else 0

    def wait_for(self, number: int) -> None:
        """Until so high a number came."""
        with self._came:
            assert self._came.wait_for(lambda: number in self.numbers, timeout=60), self.numbers[-3:]

    def close(self) -> None:
        self._server.close()
        for stream in self._open:
            stream.close()


class Sending:
    """A log, a repository and the one who sends."""

    def __init__(self, log: Log, folder: Path) -> None:
        self.log = log
        self.authority = Authority(folder, "hospitals")
        self.receiver = Receiver(self.authority)

    def forwarder(self, authority: Authority | None = None, host: str = HOST, **changes: str) -> Forwarder:
        certificate, key = (authority or self.authority).certificate("dsp.example")
        given = {"syslog_certificate_file": certificate, "syslog_key_file": key} | changes
        given = {"syslog_ca_file": str(self.authority.file)} | given
        settings = Settings(syslog_host=host, syslog_port=self.receiver.port, **given)
        return Forwarder(self.log.sessions, Repository.of(settings), "hospital", "https://dsp.example")

    def send_all(self, forwarder: Forwarder) -> None:
        while forwarder.work():
            pass


@pytest.fixture
def sending(database: Callable[[str], str], tmp_path: Path) -> Iterator[Sending]:
    log = Log(database("audit"), tmp_path / "witness")
    made = Sending(log, tmp_path)
    yield made
    made.receiver.close()
    log.close()


def test_every_signed_entry_is_sent_in_the_order_of_the_log(sending: Sending) -> None:
    forwarder = sending.forwarder()
    sending.log.keep_some(700)
    sending.log.seal()
    sending.log.keep_some(5)  # these wait for a head
    sending.send_all(forwarder)
    sending.receiver.wait_for(700)
    assert sending.receiver.numbers == list(range(1, 701))
    sending.log.seal()
    sending.send_all(forwarder)
    sending.receiver.wait_for(705)
    assert sending.receiver.numbers == list(range(1, 706))
    forwarder.close()


def test_whoever_goes_on_begins_a_little_before_the_end_and_leaves_nothing_out(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "AGAIN", 10)
    sending.log.keep_some(30)
    sending.log.seal()
    first = sending.forwarder()
    sending.send_all(first)
    first.close()
    sending.receiver.wait_for(30)
    sending.log.keep_some(3)
    sending.log.seal()
    second = sending.forwarder()
    sending.send_all(second)
    sending.receiver.wait_for(33)
    assert sending.receiver.numbers == [*range(1, 31), *range(21, 34)]
    second.close()


def test_a_repository_that_goes_away_in_the_middle_lacks_nothing_in_the_end(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "BATCH", 20)
    sending.log.keep_some(200)
    sending.log.seal()
    sending.receiver.leaves_after = 73
    forwarder, away = sending.forwarder(), 0
    for _ in range(100):
        try:
            if not forwarder.work():
                break
        except RepositoryAway:
            away += 1
    sending.receiver.wait_for(200)
    assert away >= 1
    assert set(sending.receiver.numbers) == set(range(1, 201))
    forwarder.close()


def test_one_alone_sends_and_another_takes_over(sending: Sending) -> None:
    sending.log.keep_some(4)
    sending.log.seal()
    one, other = sending.forwarder(), sending.forwarder()
    sending.send_all(one)
    sending.receiver.wait_for(4)
    assert other.work() is False
    assert sending.receiver.numbers == [1, 2, 3, 4]
    one.close()
    sending.log.keep_some(1)
    sending.log.seal()
    sending.send_all(other)
    sending.receiver.wait_for(5)
    other.close()


def test_what_was_destroyed_is_not_sent_any_more(sending: Sending) -> None:
    sending.log.keep_some(3)
    sending.log.seal()
    sending.log.bend("delete from entries where trace_id = (select trace_id from leaves where position = 1)")
    forwarder = sending.forwarder()
    sending.send_all(forwarder)
    sending.receiver.wait_for(3)
    assert sending.receiver.numbers == [1, 3]
    forwarder.close()


@pytest.mark.parametrize("wrong", ["a repository of others", "another host", "no certificate of ours"])
def test_nobody_is_sent_anything_whom_we_do_not_know_or_who_does_not_know_us(
    sending: Sending, tmp_path: Path, wrong: str
) -> None:
    others = Authority(tmp_path, "others")
    sending.log.keep_some(3)
    sending.log.seal()
    forwarder = {
        "a repository of others": lambda: sending.forwarder(syslog_ca_file=str(others.file)),
        "another host": lambda: sending.forwarder(host="127.0.0.1"),
        "no certificate of ours": lambda: sending.forwarder(authority=others),
    }[wrong]()
    with pytest.raises(RepositoryAway):
        for _ in range(3):  # in TLS 1.3 a client hears of its refusal with what it does next
            forwarder.work()
    assert sending.receiver.numbers == []
    forwarder.close()


def process(sending: Sending, **changes: str) -> subprocess.Popen[bytes]:
    certificate, key = sending.authority.certificate("dsp.example")
    given = {
        "OPENDSP_DATABASE_URL": sending.log.url, "OPENDSP_SYSLOG_HOST": HOST,
        "OPENDSP_SYSLOG_PORT": str(sending.receiver.port), "OPENDSP_SYSLOG_CA_FILE": str(sending.authority.file),
        "OPENDSP_SYSLOG_CERTIFICATE_FILE": certificate, "OPENDSP_SYSLOG_KEY_FILE": key,
    }  # fmt: skip
    command = [sys.executable, "-m", "services.audit.forward"]
    return subprocess.Popen(command, env={**os.environ, **given, **changes}, stderr=subprocess.DEVNULL)


def test_the_process_goes_on_after_it_was_killed_and_ends_when_it_is_told_to(sending: Sending) -> None:
    sending.log.keep_some(3000)
    sending.log.seal()
    first = process(sending)
    sending.receiver.wait_for(400)
    first.kill()
    first.wait(30)
    second = process(sending)
    sending.receiver.wait_for(3000)
    second.terminate()
    assert second.wait(60) == 0
    assert set(sending.receiver.numbers) == set(range(1, 3001))


def test_without_a_repository_the_process_has_nothing_to_do(sending: Sending) -> None:
    assert process(sending, OPENDSP_SYSLOG_HOST="").wait(60) == 0
    assert sending.receiver.numbers == []
