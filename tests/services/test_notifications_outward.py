"""Requests to addresses that strangers named: to the public internet, to the address that was checked, and briefly."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.notifications.ports import outward as port
from services.notifications.ports.outward import BYTES, Outward, OutwardRefused
from services.settings import Settings
from tests.services.https_receiver import ALLOWED, Receiver, Reply


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.close()


@pytest.fixture
def outward(receiver: Receiver) -> Outward:
    return Outward(Settings(outward_allowed=ALLOWED, outward_ca_file=str(receiver.certificate)))


def test_a_request_arrives_as_it_was_given_and_its_answer_comes_back(receiver: Receiver, outward: Outward) -> None:
    receiver.reply = Reply(202, {"X-One": "1"}, b"thanks")
    answer = outward.post(receiver.url, b"{}", {"Content-Type": "application/json"})
    assert (answer.status, answer.headers["x-one"], answer.body) == (202, "1", b"thanks")
    [came] = receiver.came
    assert (came.method, came.path, came.body) == ("POST", "/events?of=us", b"{}")
    assert came.headers["host"] == f"localhost:{receiver.port}" and came.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "url",
    [
        "", "http://example.lu/", "ftp://example.lu/", "https://", "https:///path", "https://user:pw@example.lu/",
        "https://example.lu/#part", "https://example.lu/ a", "https://example.lu/\r\nHost: other", "https://é.lu/",
        "https://example.lu:0/", "https://example.lu:99999/", "https://example.lu/" + "a" * 2000, "https://[::1/",
        "javascript:alert(1)", "https://example.lu/\t", "https://a..lu/", "https://.lu/",
        f"https://{'a' * 64}.lu/",
    ],
)  # fmt: skip
def test_what_is_no_https_address_is_refused(outward: Outward, url: str) -> None:
    with pytest.raises(OutwardRefused) as refused:
        outward.post(url, b"", {})
    assert refused.value.code == "url"
    with pytest.raises(OutwardRefused):
        outward.check(url)


INNER = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "0.0.0.0", "10.0.0.1", "172.16.5.4", "192.168.1.1",  # noqa: S104 - refused
    "169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::1]",
    "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[2001:db8::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER)
def test_an_address_that_is_not_of_the_public_internet_is_refused(host: str) -> None:
    plain = Outward(Settings())
    with pytest.raises(OutwardRefused) as refused:
        plain.post(f"https://{host}:8443/", b"", {})
    assert refused.value.code == "address"
    with pytest.raises(OutwardRefused):
        plain.check(f"https://{host}:8443/")


@pytest.mark.parametrize("address", ["1.1.1.1", "9.9.9.9", "2606:4700:4700::1111"])
def test_an_address_of_the_public_internet_may_be_spoken_to(address: str) -> None:
    Outward(Settings()).check(f"https://{f'[{address}]' if ':' in address else address}/")


def test_what_is_allowed_by_the_setting_is_that_alone() -> None:
    allowing = Outward(Settings(outward_allowed="10.1.0.0/16, fd00::/8"))
    allowing.check("https://10.1.2.3/")
    allowing.check("https://[fd00::1]/")
    with pytest.raises(OutwardRefused):
        allowing.check("https://10.2.0.1/")
    with pytest.raises(ValueError):
        Outward(Settings(outward_allowed="everything"))


def _resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names lead to these addresses, at each question the next; gives the names that were asked for."""
    real, left, asked = socket.getaddrinfo, list(answers), []

    def resolve(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "twofold.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return [entry for address in left.pop(0) for entry in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_a_name_that_leads_to_a_public_and_an_inner_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, ["1.1.1.1", "127.0.0.1"])
    with pytest.raises(OutwardRefused) as refused:
        Outward(Settings()).post("https://twofold.example/", b"", {})
    assert refused.value.code == "address"


def test_the_connection_goes_to_the_address_that_was_checked_and_the_certificate_is_for_the_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    named = Receiver(tmp_path, "twofold.example")
    try:
        # Asked a second time, the name would lead elsewhere: it is not asked again.
        asked = _resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
        outward = Outward(Settings(outward_allowed="127.0.0.1", outward_ca_file=str(named.certificate)))
        assert outward.post(named.url, b"x", {}).status == 204
        assert asked == ["twofold.example"] and named.came[0].body == b"x"
    finally:
        named.close()


def test_a_certificate_nobody_vouches_for_or_for_another_name_is_not_spoken_to(
    receiver: Receiver, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLError):
        Outward(Settings(outward_allowed=ALLOWED)).post(receiver.url, b"secret", {})
    other = Receiver(tmp_path, "other.example")
    try:
        outward = Outward(Settings(outward_allowed=ALLOWED, outward_ca_file=str(other.certificate)))
        with pytest.raises(ssl.SSLError):
            outward.post(f"https://localhost:{other.port}/", b"secret", {})
        assert receiver.came == [] and other.came == []
    finally:
        other.close()


def test_a_redirect_is_an_answer_and_nothing_more(receiver: Receiver, outward: Outward) -> None:
    receiver.reply = Reply(307, {"Location": receiver.url + "/elsewhere"})
    assert outward.post(receiver.url, b"", {}).status == 307
    assert len(receiver.came) == 1


def _endless(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(64):
        handler.wfile.write(b"x" * 4096)


def _endless_headers(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(90):
        handler.wfile.write(b"X-%d: " % number + b"x" * 4096 + b"\r\n")


def _senseless(handler: Any) -> None:
    handler.wfile.write(b"\x00\x01 what?\r\n\r\n")


def _cut(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def _silent(handler: Any) -> None:
    handler.rfile.read(1)


def _trickling(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X")
        handler.wfile.flush()
        handler.server.trickle.wait(0.05)


@pytest.mark.parametrize("raw", [_endless, _endless_headers, _senseless, _cut])
def test_an_answer_without_end_or_sense_is_none(receiver: Receiver, outward: Outward, raw: Any) -> None:
    receiver.reply = Reply(raw=raw)
    with pytest.raises(OSError):
        outward.post(receiver.url, b"", {})


@pytest.mark.parametrize("raw", [_silent, _trickling])
def test_silence_and_a_trickle_end_with_the_time(
    receiver: Receiver, outward: Outward, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "SECONDS", 0.5)
    receiver._server.trickle = threading.Event()  # type: ignore[attr-defined]
    receiver.reply = Reply(raw=raw)
    with pytest.raises(OSError):
        outward.post(receiver.url, b"", {})


def test_an_answer_of_the_size_that_is_read_is_read(receiver: Receiver, outward: Outward) -> None:
    receiver.reply = Reply(200, body=b"x" * (BYTES - 1000))
    assert len(outward.post(receiver.url, b"", {}).body) == BYTES - 1000


def test_a_header_that_would_begin_another_is_not_sent(receiver: Receiver, outward: Outward) -> None:
    with pytest.raises(OutwardRefused):
        outward.post(receiver.url, b"", {"X": "1\r\nX-Other: 2"})
    assert receiver.came == []


def test_where_nobody_listens_is_tried_another_time(outward: Outward) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            outward.post(f"https://localhost:{taken.getsockname()[1]}/", b"", {})
