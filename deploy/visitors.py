"""People at the gateway, with nothing but what people have: letters, a mailbox, passwords and codes.

Used to load the demo people, to play the demo and by the system tests, so all three walk through the same front door.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import requests
from pypdf import PdfReader

from deploy.luxtrust_visit import luxtrust

CONDITIONS_LANGUAGE = "fr"
ACTIVATION_CODE = re.compile(r"Code d['’]activation\s*:\s*([A-Za-z0-9][A-Za-z0-9 -]*[A-Za-z0-9])")
PRESENCE_CODE = re.compile(r"Code de présence\s*:\s*([A-Za-z0-9][A-Za-z0-9 -]*[A-Za-z0-9])")
ONE_TIME_CODE = re.compile(r"^\s*([A-Za-z0-9]{6})\s*$", re.MULTILINE)
PATIENCE = 120.0  # seconds that a person waits for a mail or a letter, on a machine that has much else to do

T = TypeVar("T")


class UnexpectedAnswer(Exception):
    """The gateway answered otherwise than the step expects; carries method, path and the problem, no secrets."""


def wait_for(look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """What `look` finds, as soon as it finds something. Refuses: TimeoutError."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {patience:.0f} s")
        time.sleep(0.1)


@dataclass
class Town:
    """The outside world of one platform: its gateway's address, the mailbox and the folder of printed letters."""

    url: str
    mail_folder: Path
    letters_folder: Path
    _read: dict[tuple[Path, int], Any] = field(default_factory=dict)

    def mails(self, address: str) -> list[EmailMessage]:
        """The mails that reached an address, oldest first."""
        files = (self.mail_folder / "new").glob("*")
        mails = (mail for _, mail in sorted(self._reading(files, _mail), key=lambda read: read[0]))
        return [mail for mail in mails if address in str(mail["X-Envelope-To"])]

    def mail(self, address: str, matching: Callable[[EmailMessage], T | None], seen: int, what: str) -> T:
        """What `matching` makes of the first fitting mail after the `seen` first ones."""

        def look() -> T | None:
            return next((made for mail in self.mails(address)[seen:] if (made := matching(mail)) is not None), None)

        return wait_for(look, what)

    def letter(self, addressee: str) -> Letter:
        """The newest letter printed for a name, wherever its window breaks a long line."""
        sought = _unbroken(addressee)

        def look() -> Letter | None:
            read = sorted(self._reading(self.letters_folder.glob("*.pdf"), _letter), key=lambda read: -read[0])
            return next((letter for _, letter in read if sought in _unbroken(letter.text)), None)

        return wait_for(look, "a letter")

    def _reading(self, files: Iterable[Path], read: Callable[[Path], T]) -> Iterator[tuple[int, T]]:
        """When each file was written, and what it says: read once, however often somebody looks."""
        for file in files:
            written = file.stat().st_mtime_ns
            if (file, written) not in self._read:
                self._read[file, written] = read(file)
            yield written, self._read[file, written]


def _mail(file: Path) -> EmailMessage:
    return message_from_bytes(file.read_bytes(), policy=policy.default)


def _unbroken(text: str) -> str:
    return "".join(text.split()).casefold()


def _letter(file: Path) -> Letter:
    return Letter(file, "\n".join(page.extract_text() for page in PdfReader(file).pages))


@dataclass
class Letter:
    """A letter as it lies in the outbox folder."""

    file: Path
    text: str

    @property
    def activation_code(self) -> str:
        return _code(ACTIVATION_CODE, self.text)

    @property
    def presence_code(self) -> str:
        return _code(PRESENCE_CODE, self.text)


def _code(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        raise UnexpectedAnswer("the letter carries no such code")
    return found.group(1).replace(" ", "").replace("-", "")


@dataclass
class Stream:
    """A body of known length that is made as it is sent."""

    size: int
    blocks: Iterator[bytes]

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks


def mail_text(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(preferencelist=("plain",))
    return str(body.get_content()) if body is not None else ""


@dataclass
class Visitor:
    """One person: what they know by heart, their open session, and every secret that passed through their hands."""

    town: Town
    name: str
    matricule: str
    email: str
    password: str = field(default_factory=lambda: f"{secrets.token_hex(3)} lune {secrets.token_hex(4)}")
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["User-Agent"] = "opendsp-visitor/1"
        self.http.headers["Accept-Language"] = "fr"

    def ask(self, method: str, path: str, expect: int | tuple[int, ...] | None = None, **kwargs: Any) -> Any:
        """One request under /api/v1 with the session's token; the parsed answer when the status is the expected one.

        expect: a status, several, or None for any 2xx. Refuses: UnexpectedAnswer.
        """
        answer = self.raw(method, path, **kwargs)
        wanted = (expect,) if isinstance(expect, int) else expect
        fine = answer.ok if wanted is None else answer.status_code in wanted
        if not fine:
            raise UnexpectedAnswer(f"{method} {path}: {answer.status_code} {_problem(answer)}")
        if answer.content and "json" in answer.headers.get("Content-Type", ""):
            return answer.json()
        return answer.content

    def raw(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """One request under /api/v1 with the session's token."""
        headers = dict(kwargs.pop("headers", {}))
        if self.tokens:
            headers.setdefault("Authorization", f"Bearer {self.tokens['access_token']}")
        kwargs.setdefault("timeout", 120)
        return self.http.request(method, f"{self.town.url}/api/v1{path}", headers=headers, **kwargs)

    def activate(self, activation_code: str, kind: str = "patient") -> None:
        """Activates the account of a patient, professional or agent with the letter, one step after the other."""
        self.secrets.add(activation_code)
        letter = {"matricule": self.matricule, "activation_code": activation_code}
        conditions = {
            "version": self.ask("GET", f"/conditions/current?language={CONDITIONS_LANGUAGE}")["version"],
            "language": CONDITIONS_LANGUAGE,
        }
        if kind == "professional":
            state = self.ask("POST", "/activations/professional", json=conditions)
        else:
            state = self.ask("POST", "/activations", json=letter)
        self.secrets.add(state["activation_token"])
        run = _Activation(self, state["activation_id"], state["activation_token"])
        steps: dict[str, Callable[[], Any]] = {
            "conditions": lambda: run.ask("POST", "/conditions", json=conditions),
            "luxtrust": lambda: luxtrust(self, run.ask("POST", "/luxtrust")["authorization_url"]),
            "code": lambda: run.ask("POST", "/code", json=letter),
            "personal_data": run.confirm_person,
            "contact": run.prove_email,
            "password": lambda: run.ask("POST", "/password", json={"password": self.password}),
        }
        while not (state := run.ask("GET", ""))["complete"]:
            steps[state["next"]]()

    def one_time_code(self, seen: int) -> str:
        """The one-time code of the first mail after the `seen` first ones."""

        def code_in(mail: EmailMessage) -> str | None:
            found = ONE_TIME_CODE.search(mail_text(mail))
            return found.group(1) if found else None

        code = self.town.mail(self.email, code_in, seen, "the mail with the one-time code")
        self.secrets.add(code)
        return code

    def log_in(self, capacity: str | None = None) -> Visitor:
        """Logs in with password and one-time code."""
        self.tokens = {}
        seen = len(self.town.mails(self.email))
        challenge = self.ask("POST", "/sessions", json={"matricule": self.matricule, "password": self.password})
        proof: dict[str, Any] = {"code": self.one_time_code(seen)}
        if capacity is not None:
            proof["capacity"] = capacity
        self._keep(self.ask("POST", f"/sessions/{challenge['challenge_id']}/code", json=proof))
        return self

    def keep_logged_in(self, left: float = 300) -> None:
        """Refreshes the tokens when they have less than `left` seconds to live."""
        if time.monotonic() - self.tokens.get("since", 0.0) > self.tokens["expires_in"] - left:
            self._keep(self.ask("POST", "/sessions/refresh", json={"refresh_token": self.tokens["refresh_token"]}))

    def _keep(self, tokens: dict[str, Any]) -> None:
        self.tokens = tokens | {"since": time.monotonic()}
        self.secrets |= {tokens["access_token"], tokens["refresh_token"]}

    def deposit(self, record_id: str, body: Stream | bytes, **metadata: Any) -> Any:
        """Deposits one file into a record and waits until it was checked: metadata first, then the bytes as they are.

        Refuses: UnexpectedAnswer also where it is still being checked, or was rejected.
        """
        upload = self.ask("POST", f"/records/{record_id}/uploads", json=metadata)
        headers = {"Content-Type": "application/octet-stream", "Prefer": "wait=30"}
        made = self.ask("PUT", f"/uploads/{upload['upload_id']}", data=body, headers=headers)
        if made["state"] != "available":
            raise UnexpectedAnswer(f"the deposit is {made['state']} ({made['reason']})")
        return made

    def documents(self, record_id: str) -> list[dict[str, Any]]:
        """What this person finds in a record, newest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/records/{record_id}/documents")["documents"]
        return found


@dataclass
class _Activation:
    """A visitor's activation under way."""

    visitor: Visitor
    activation_id: str
    token: str

    def ask(self, method: str, step: str, **kwargs: Any) -> Any:
        """One step of it, with its token."""
        path = f"/activations/{self.activation_id}{step}"
        return self.visitor.ask(method, path, headers={"Activation-Token": self.token}, **kwargs)

    def confirm_person(self) -> None:
        """Reads whom the letter is addressed to and says that it is them."""
        shown = self.ask("GET", "/person")
        if self.visitor.name not in (shown["birth_name"], shown["family_name"]):
            raise UnexpectedAnswer("the letter is somebody else's")
        self.ask("POST", "/personal-data", json={"correct": True})

    def prove_email(self) -> None:
        """Gives the e-mail address and proves it with the code that arrives there."""
        seen = len(self.visitor.town.mails(self.visitor.email))
        self.ask("POST", "/contact", json={"kind": "email", "value": self.visitor.email})
        self.ask("POST", "/contact/proof", json={"code": self.visitor.one_time_code(seen)})


def _problem(answer: requests.Response) -> str:
    try:
        return str(answer.json().get("type", ""))
    except ValueError:
        return ""
