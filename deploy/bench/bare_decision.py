"""Decisions by themselves, without bus and trace: beside a primary-key SELECT on the same engine, in the same state.

Lays two records and 500 documents into the platform's databases, then measures pairs of things in turns: a line on
stdin names two and how often, a line on stdout tells p50 and p99 of each, in milliseconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa
from uuid_utils import uuid7

from deploy.bench.ground import context
from deploy.bench.rounds import percentile
from services.db import Sessions, now
from services.documents import models as shelves
from services.documents import store as documents_store
from services.documents.contract import PDF
from services.dossier import models, rules, rules_decisions, store
from services.dossier.contract import AccessScope, DocumentFacts
from services.dossier.service import Dossier
from services.dossier.tables import tables_at
from services.settings import load
from services.tokens import Caller

DOCUMENTS = 500
GRANTS = {"few": 2, "many": 200}
SHOWN = DocumentFacts("care_reports", "medical_report", "medical_data", "standard")


def new_id() -> str:
    return str(uuid7())


def caller(capacity: str, **ids: str) -> Caller:
    """Somebody with a session of their own; no token is looked at here."""
    known: dict[str, str | None] = {"patient_id": None, "professional_id": None, "profession": None, **ids}
    return Caller(
        new_id(), new_id(), capacity, known["patient_id"], known["professional_id"], known["profession"],
        None, None, int(time.time()) + 3600, context(""),
    )  # fmt: skip


class Bare:
    """What is measured: each a call that ends with its transaction."""

    def __init__(self, dossier_url: str, documents_url: str) -> None:
        self._dossier, self._documents = Sessions(dossier_url), Sessions(documents_url)
        self._service = Dossier()
        vars(self._service)["db"] = self._dossier  # nameko gives each worker what this attribute names
        self._doctor = caller("professional", professional_id=new_id(), profession="physician")
        self._holder = caller("patient", patient_id=new_id())
        self._records = {name: new_id() for name in GRANTS}
        self._lay()
        self._scope = self._decided("few")
        self.calls: dict[str, Callable[[], object]] = {
            "decision": lambda: self._decided("few"),
            "many_grants": lambda: self._decided("many"),
            "key": self._by_key,
            "explain": self._explained,
            "filtered": self._filtered,
            "unfiltered": self._unfiltered,
        }

    def measured(self, ours: str, baseline: str, times: int) -> list[list[float]]:
        """p50 and p99 of both, one beside the other, so that a slow second touches both."""
        seen: tuple[list[float], list[float]] = ([], [])
        for _ in range(times):
            for name, into in zip((ours, baseline), seen, strict=True):
                began = time.perf_counter()
                self.calls[name]()
                into.append((time.perf_counter() - began) * 1000)
        return [[percentile(each, 50), percentile(each, 99)] for each in seen]

    def _decided(self, record: str) -> AccessScope:
        at = now()
        with self._dossier.transaction(self._doctor) as session:
            facts = store.situation(session, self._doctor, self._records[record], at)
            rules_decisions.decide(tables_at(at), facts, SHOWN, "read", at)
        return rules.scope(tables_at(at), facts, at)

    def _by_key(self) -> object:
        with self._dossier.transaction(self._doctor) as session:
            mine = models.Record.record_id == self._records["few"]
            return session.execute(sa.select(models.Record.patient_id, models.Record.state).where(mine)).first()

    def _explained(self) -> object:
        who = {"professional_id": self._doctor.professional_id}
        return self._service.explain_document(
            self._holder, record_id=self._records["few"], who=who, document=SHOWN.to_wire(), action="read"
        )

    def _filtered(self) -> object:
        with self._documents.transaction(self._doctor) as session:
            return documents_store.page(session, self._scope, self._records["few"], None, DOCUMENTS)

    def _unfiltered(self) -> object:
        """The same columns of the same rows in the same order, and nobody asks who may see them."""
        table = shelves.documents
        query = documents_store.items().where(table.c.record_id == self._records["few"])
        query = query.order_by(table.c.deposited_at.desc(), table.c.document_id.desc()).limit(DOCUMENTS + 1)
        with self._documents.transaction(self._doctor) as session:
            return session.execute(query).all()

    def _lay(self) -> None:
        begun, others = now() - timedelta(hours=1), [new_id() for _ in range(max(GRANTS.values()))]
        with self._dossier.transaction() as session:
            session.execute(sa.insert(models.Professional), [
                {"professional_id": one, "profession": "physician", "licence": "valid", "establishment_ids": [],
                 "version": 1}
                for one in (self._doctor.professional_id, *others)
            ])  # fmt: skip
            for name, count in GRANTS.items():
                record_id, mine = self._records[name], self._doctor.professional_id
                whose = self._holder.patient_id if name == "few" else new_id()
                session.execute(sa.insert(models.Record), [
                    {"record_id": record_id, "patient_id": whose, "state": "active", "since": begun}
                ])  # fmt: skip
                session.execute(sa.insert(models.CircleMember), [
                    {"member_id": new_id(), "record_id": record_id, "professional_id": one, "since": begun}
                    for one in (mine, *others[: count - 1])
                ])  # fmt: skip
        self._shelve(self._records["few"])
        for sessions in (self._dossier, self._documents):
            with sessions.transaction() as session:
                session.execute(sa.text("analyze"))

    def _shelve(self, record_id: str) -> None:
        rows = [
            {"document_id": new_id(), "record_id": record_id, "home_record_id": record_id, "type": SHOWN.type,
             "category": SHOWN.category, "folder": SHOWN.folder, "title": "x", "author_kind": "professional",
             "author_id": new_id(), "level": SHOWN.level, "current_version_id": new_id(), "deposited_at": now(),
             "upload_id": new_id()}
            for _ in range(DOCUMENTS)
        ]  # fmt: skip
        with self._documents.transaction() as session:
            key = {"record_id": record_id, "wrapped_key": b"k", "created_at": now()}
            session.execute(sa.insert(shelves.record_keys), [key])
            session.execute(sa.insert(shelves.documents), rows)
            session.execute(sa.insert(shelves.versions), [
                {"version_id": row["current_version_id"], "content_id": row["current_version_id"],
                 "document_id": row["document_id"], "number": 1,
                 "wrapped_key": b"k", "key_record_id": record_id, "media_type": PDF, "size": 1, "sha256": bytes(32),
                 "account_id": new_id(), "created_at": row["deposited_at"]}
                for row in rows
            ])  # fmt: skip


def main() -> None:
    """One line with the address of documents' database; then a line for each measurement."""
    bare = Bare(load().database_url, json.loads(sys.stdin.readline())["documents"])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(bare.measured(**json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
