"""The real process of streams over a real database, tokens that it believes, and readers who follow their news."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from joserfc import jwt
from joserfc.jwk import OKPKey

from deploy.local.ports import free_ports
from deploy.local.supervise import wait_until
from services.bus import keep_ended_session, keep_signing_key
from services.db import Sessions, now, rfc3339
from services.notifications.contract import STREAM_PATH
from services.tokens import AUDIENCE, ISSUER, Caller

ROOT = Path(__file__).parents[2]
PORTAL = "http://portal.localhost:3000"
KEY = OKPKey.generate_key("Ed25519")
PATIENCE = 30


def token_of(who: Caller, **changes: Any) -> str:
    """An access token as identity signs it."""
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": who.account_id, "sid": who.session_id, "cap": who.capacity,
        "pat": who.patient_id, "pro": who.professional_id, "prof": who.profession, "est": who.establishment_id,
        "role": who.role, "exp": int(time.time()) + 600, **changes,
    }  # fmt: skip
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "Ed25519", "kid": "k", "typ": "JWT"}, given, KEY, algorithms=["Ed25519"])


def announce_key(sessions: Sessions) -> None:
    with sessions.transaction() as session:
        keep_signing_key(session, {"kid": "k", "jwk": KEY.as_dict(private=False), "not_before": rfc3339(now()),
                                   "not_after": rfc3339(now() + timedelta(days=1))})  # fmt: skip


def end_session(sessions: Sessions, who: Caller) -> None:
    with sessions.transaction() as session:
        keep_ended_session(session, who.session_id)


class StreamProcess:
    """The process, with settings of its own."""

    def __init__(self, database_url: str, folder: Path, **more: Any) -> None:
        [self.port] = free_ports(1, taken=[])
        told = {"process": "stream", "profile": "local", "database_url": database_url, "portal_url": PORTAL,
                "stream_bind": f"127.0.0.1:{self.port}", **more}  # fmt: skip
        settings = folder / "stream.toml"
        settings.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
        self._environment = {"OPENDSP_SETTINGS": str(settings), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        self.log = folder / "stream.log"
        self.url = f"http://127.0.0.1:{self.port}{STREAM_PATH}"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as out:
            command = [sys.executable, "-W", "ignore", "-m", "services.notifications.stream"]
            self.process = subprocess.Popen(command, env=self._environment, cwd=ROOT, stdout=out, stderr=out)
        assert wait_until(self.is_there, PATIENCE), self.log.read_text()

    def is_there(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health/live", timeout=5).json() == {"live": True}
        except requests.RequestException:
            return False

    def end(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(PATIENCE)

    def ask(self, method: str = "GET", **headers: str) -> requests.Response:
        """One request, of whose answer nothing but the head is waited for."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, self.url, headers=given, timeout=PATIENCE, stream=True)

    def follow(self, who: Caller | None = None, *, last: str | None = None, **headers: str) -> Follower:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            given["Authorization"] = f"Bearer {token_of(who)}"
        if last is not None:
            given["Last-Event-ID"] = last
        made = Follower(self.url, given)
        # What came before a reader's first word is in their inbox, and not told again.
        wait_until(lambda: made.over or bool(made.events), PATIENCE)
        return made

    def memory(self) -> int:
        """Bytes of memory the process holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Follower:
    """A reader, as a browser's EventSource reads: keeps the id of the last event, and all events by kind."""

    def __init__(self, url: str, headers: dict[str, str], browser: requests.Session | None = None) -> None:
        """browser: with its cookies; what it may keep from one request to the next."""
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.last: str | None = None
        self.over = False
        self._answer = (browser or requests.Session()).get(url, headers=headers, stream=True, timeout=PATIENCE)
        self.status, self.headers = self._answer.status_code, self._answer.headers
        if self.status == 200:
            threading.Thread(target=self._read, daemon=True).start()
        else:
            self.over = True

    def _read(self) -> None:
        kind, data = "", ""
        try:
            for line in self._answer.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif name == "id":
                    self.last = value
                elif not line and kind:
                    self.events.append((kind, json.loads(data)))
                    kind = data = ""
        except requests.RequestException:
            pass
        self.over = True

    @property
    def told(self) -> list[str]:
        return [told["notification_id"] for kind, told in list(self.events) if kind == "notification"]

    @property
    def unread(self) -> int | None:
        counts = [told["unread"] for kind, told in list(self.events) if kind == "unread"]
        return counts[-1] if counts else None

    def waits_for(self, *, told: list[str] | None = None, unread: int | None = None) -> bool:
        return wait_until(
            lambda: (told is None or self.told == told) and (unread is None or self.unread == unread), PATIENCE
        )

    def leave(self) -> None:
        raw = self._answer.raw._fp.fp.raw._sock if self._answer.raw else None
        if isinstance(raw, socket.socket):
            raw.shutdown(socket.SHUT_RDWR)
        self._answer.close()
