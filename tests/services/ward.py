"""A ward: one record with its holder and the professionals around it, in a house of dossier and documents.

What the gateway does with bytes stands here with the gateway's own means: it seals, puts, gets and opens them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import urllib3

from services import sealing
from services.bus import Received
from services.db import new_id
from services.directory.contract import ProfessionalUpdated
from services.documents import contract
from services.documents.examiner import Examiner
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.documents.ports.sandbox import Sandbox
from services.dossier.contract import DECLARATION_WORDINGS, RISK_WORDINGS
from services.identity.contract import AccountActivated
from services.refusals import Refusal
from services.settings import Settings
from services.tokens import Caller
from services.virus_scan import VirusScan
from tests.builders import House, caller, context, pdf, said

HTTP = urllib3.PoolManager()
SANDBOX = Sandbox()
EXAMINING = threading.Lock()
RISK = next(iter(RISK_WORDINGS))


class Ward:
    """A record with its holder, the professionals around it, and the gateway's part of moving bytes."""

    def __init__(self, house: House, settings: Settings) -> None:
        self.house: Any = house
        self.settings = settings
        self.house.documents.blobs = Blobs.of(settings)
        self.house.documents.keys = Keys.of(settings)
        self.gateway = sealing.KeyPair()
        self.holder = caller("patient")
        self.record_id = self.new_record(self.holder)
        self.letter()

    # people

    def new_record(self, holder: Caller) -> str:
        opened = self.house.ask("dossier", "open_record", caller("agent"), patient_id=holder.patient_id)
        self.tell("on_account_activated", "identity", AccountActivated(new_id(), "patient", holder.patient_id, None))
        return str(opened["record_id"])

    def letter(self) -> None:
        issued = {"letter_id": new_id(), "record_id": self.record_id}
        answer = self.house.ask("dossier", "issue_presence_code", context(), process="notifications", **issued)
        self.presence_code = answer["code"]

    def tell(self, handler: str, source: str, data: Any) -> None:
        event = Received(new_id(), source, data.type, "2026-11-21T00:00:00.000000Z", None, None, data, context(source))
        with self.house.sessions["dossier"].transaction() as session:
            getattr(self.house.dossier, handler)(session, event)

    def professional(self, profession: str = "physician") -> Caller:
        who = caller("professional", profession=profession)
        told = ProfessionalUpdated(who.professional_id or "", profession, "valid", [who.establishment_id or ""], 1)
        self.tell("on_professional_updated", "directory", told)
        return who

    def present(self, profession: str = "physician") -> Caller:
        """A professional with a presence mandate."""
        who = self.professional(profession)
        self.house.ask(
            "dossier", "open_mandate", who, record_id=self.record_id, presence_code=self.presence_code,
            declaration_accepted=True, wording_version=next(iter(DECLARATION_WORDINGS)),
        )  # fmt: skip
        return who

    def end_mandates(self) -> None:
        for mandate in self.house.ask("dossier", "list_mandates", self.holder, record_id=self.record_id)["mandates"]:
            self.house.ask(
                "dossier", "end_mandate", self.holder, record_id=self.record_id, mandate_id=mandate["mandate_id"]
            )

    def trust(self, who: Caller) -> None:
        self.house.ask(
            "dossier", "add_to_circle", self.holder, record_id=self.record_id, professional_id=who.professional_id
        )

    def representative(self) -> Caller:
        """A parent of the holder, logged in."""
        who = caller("patient")
        self.dossier_sql(
            "insert into representatives (representative_id, record_id, patient_id, kind, proof, since, until_cause,"
            " recorded_by) values (:id, :record, :patient, 'parent', 'birth_certificate', now() - interval '1 day',"
            " 'majority', :agent)", id=new_id(), record=self.record_id, patient=who.patient_id, agent=new_id(),
        )  # fmt: skip
        return who

    def assistant(self) -> Caller:
        """Somebody whom the holder invited, logged in."""
        who = caller("patient")
        self.dossier_sql(
            "insert into assistants (assistant_id, record_id, patient_id, name, invited_by, invited_at, code_until,"
            " accepted_at) values (:id, :record, :patient, 'x', :holder, now() - interval '1 day', now(),"
            " now() - interval '1 day')",
            id=new_id(), record=self.record_id, patient=who.patient_id, holder=self.holder.account_id,
        )  # fmt: skip
        return who

    def set_in_record(self, **columns: Any) -> None:
        """Sets what the record repeats of the holder's settings, or its state."""
        for column, value in columns.items():
            told = json.dumps(value) if isinstance(value, dict) else value
            cast = "jsonb" if isinstance(value, dict) else "text"
            self.dossier_sql(f"update records set {column} = cast(:told as {cast}) where record_id = :record",
                             told=told, record=self.record_id)  # fmt: skip

    # the gateway's part

    def ask(self, method: str, who: Caller, /, **kwargs: Any) -> Any:
        return self.house.ask("documents", method, who, **kwargs)

    def prepare(self, who: Caller, **changes: Any) -> Any:
        said = {"record_id": self.record_id, "type": "medical_report", "title": "Compte rendu", **changes}
        return self.ask("prepare_deposit", who, gateway_key=self.gateway.public, **said)

    def put(self, started: dict[str, Any], data: bytes) -> None:
        key = self.gateway.receive(started["sealed_key"], started["version_id"].encode())
        sealed = b"".join(bytes(block) for block in sealing.seal([data], key, started["version_id"]))
        assert HTTP.request("PUT", started["put_url"], body=sealed).status == 200

    def commit(self, who: Caller, started: dict[str, Any], data: bytes, **changes: Any) -> Any:
        said = {
            "upload_id": started["upload_id"], "version_id": started["version_id"],
            "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "media_type": contract.PDF,
        }  # fmt: skip
        return self.ask("commit_deposit", who, **{**said, **changes})

    def deposit(self, who: Caller, data: bytes | None = None, media_type: str = contract.PDF, **changes: Any) -> str:
        data = pdf() if data is None else data
        started = self.prepare(who, **changes)
        self.put(started, data)
        committed = self.commit(who, started, data, media_type=media_type)
        self.examine()
        assert not self.sql("select 1 from examinations where version_id = :id", id=committed["version_id"])
        return str(committed["document_id"])

    def examine(self) -> None:
        """The close look at everything that waits for it: claimed, fetched, examined in the sandbox, settled."""
        with EXAMINING:  # who waits for it finds theirs done too
            while self.examiner().work():
                pass

    def examiner(self, virus_scan: VirusScan | None = None) -> Examiner:
        """A worker over the house's documents, as the process of the platform runs it."""
        documents = self.house.documents
        return Examiner(self.house.sessions["documents"], documents.blobs, documents.keys, SANDBOX, virus_scan)

    def read(self, who: Caller, document_id: str, **changes: Any) -> bytes:
        opened = self.open(who, document_id, **changes)
        key = self.gateway.receive(opened["sealed_key"], opened["content_id"].encode())
        answer = HTTP.request("GET", opened["get_url"])
        assert answer.status == 200
        total = sealing.segments_of(opened["size"])
        return b"".join(sealing.open_sealed([answer.data], key, opened["content_id"], total_segments=total))

    def open(self, who: Caller, document_id: str, **changes: Any) -> Any:
        return self.ask("open_content", who, document_id=document_id, gateway_key=self.gateway.public, **changes)

    def listed(self, who: Caller, **changes: Any) -> list[str]:
        found = self.ask("list_documents", who, record_id=self.record_id, **changes)["documents"]
        return [item["document_id"] for item in found]

    def set_level(self, who: Caller, document_id: str, level: str, risk_accepted: bool = True) -> Any:
        return self.ask(
            "change_confidentiality", who, document_id=document_id, level=level, risk_accepted=risk_accepted
        )

    # what hides a document

    def restrict(self, who: Caller, document_id: str, whom: Caller, **changes: Any) -> Any:
        said = {"professional_id": whom.professional_id, "risk_accepted": True, "risk_version": RISK, **changes}
        return self.ask("restrict_document", who, document_id=document_id, **said)

    def unrestrict(self, who: Caller, document_id: str, whom: Caller) -> Any:
        return self.ask("unrestrict_document", who, document_id=document_id, professional_id=whom.professional_id)

    def block(self, who: Caller, document_id: str, reason: str = "Annonce en consultation") -> Any:
        return self.ask("block_document", who, document_id=document_id, reason=reason)

    def release(self, who: Caller, document_id: str) -> Any:
        return self.ask("release_document", who, document_id=document_id)

    # what is left behind

    def traces(self, action: str | None = None) -> list[dict[str, Any]]:
        told = [event["data"] for event in self.house.events("documents") if event["type"] == "access_traced.v1"]
        return [trace for trace in told if action in (None, trace["action"])]

    def events(self, kind: type) -> list[dict[str, Any]]:
        return [e["data"] for e in self.house.events("documents") if e["type"] == kind.type]  # type: ignore[attr-defined]

    @contextmanager
    def counted(self, service: str = "documents") -> Iterator[list[str]]:
        """The statements that a service's database gets meanwhile."""
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, asked: Any, _many: bool) -> None:
            statements.append(said(statement, asked))

        engine = self.house.sessions[service].engine
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)

    def sql(self, statement: str, **values: Any) -> Any:
        return self._sql("documents", statement, values)

    def dossier_sql(self, statement: str, **values: Any) -> Any:
        return self._sql("dossier", statement, values)

    def _sql(self, service: str, statement: str, values: dict[str, Any]) -> Any:
        with self.house.sessions[service].transaction() as session:
            done: Any = session.execute(sa.text(statement), values)
            return done.all() if done.returns_rows else None


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Runs `work` in that many threads at the same moment; gives the answers, refusals among them."""
    answers: list[Any] = [None] * count
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        ready.wait()
        try:
            answers[number] = work(number)
        except Refusal as refusal:
            answers[number] = refusal

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
