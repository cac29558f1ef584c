"""A request that drips in is given up, however often a byte of it comes; a steady one may take its time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from gateway import pace
from gateway.pace import Paced


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Paced, socket.socket]]:
    monkeypatch.setattr(pace, "PATIENCE", 0.4)
    monkeypatch.setattr(pace, "SLOWEST", 1000)
    ours, theirs = socket.socketpair()
    paced = Paced(fileno=ours.detach())
    yield paced, theirs
    paced.close()
    theirs.close()


def sends(peer: socket.socket, data: bytes, times: int, every: float) -> threading.Thread:
    def send() -> None:
        try:
            for _ in range(times):
                time.sleep(every)
                peer.sendall(data)
        except OSError:
            pass  # given up

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_a_sender_that_drips_is_given_up(ends: tuple[Paced, socket.socket]) -> None:
    ours, theirs = ends
    sender, begun = sends(theirs, b"x", 40, 0.05), time.monotonic()
    with pytest.raises(ConnectionResetError):
        while True:
            ours.recv(8192)
    assert 0.3 < time.monotonic() - begun < 1.5
    sender.join()


def test_a_steady_sender_may_take_longer_than_the_first_patience(ends: tuple[Paced, socket.socket]) -> None:
    ours, theirs = ends
    sender, begun, got = sends(theirs, b"x" * 200, 20, 0.05), time.monotonic(), 0
    while got < 4000:
        got += len(ours.recv(8192))
    assert time.monotonic() - begun > 0.8
    sender.join()


def test_no_more_than_a_block_is_taken_at_once_however_much_is_asked_for_and_there(
    ends: tuple[Paced, socket.socket],
) -> None:
    ours, theirs = ends
    sender, got = sends(theirs, bytes(3 * pace.MOST), 1, 0), []
    while sum(map(len, got)) < 3 * pace.MOST:
        got.append(ours.recv(16 * pace.MOST))
    assert max(map(len, got)) <= pace.MOST and len(ours.recv(0)) == 0
    sender.join()


def test_another_request_on_the_connection_gets_the_whole_patience_again(ends: tuple[Paced, socket.socket]) -> None:
    ours, theirs = ends
    for _ in range(3):
        ours.begin()
        sends(theirs, b"x", 1, 0.25).join()
        assert ours.recv(8192) == b"x"


def test_the_shorter_patience_of_a_reader_stays_and_no_timeout_is_left_behind(
    ends: tuple[Paced, socket.socket],
) -> None:
    ours, _ = ends
    ours.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ours.recv(1)
    assert ours.gettimeout() == 0.05
    ours.settimeout(None)
    with pytest.raises(ConnectionResetError):
        ours.recv(1)
    assert ours.gettimeout() is None
