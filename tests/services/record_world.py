"""A small random country of records: who holds what in them, in rows that a test can read and two databases hold.

Everything is drawn by one source of chance. Moments lie whole hours away from the present, so that nothing ends while
a test runs. The rows stay here as plain dicts, for whoever wants to decide without the services.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.documents import models as shelves
from services.documents.contract import PDF
from services.dossier import models, models_desk, models_entourage
from services.tokens import Caller
from tests.builders import caller

Row = dict[str, Any]
SERVICES = Path(__file__).parents[2] / "services"
TYPES = list(csv.DictReader((SERVICES / "documents" / "document_types.csv").read_text("utf-8").splitlines()))
PROFESSIONS = (
    "physician", "pharmacist", "nurse", "allied_health", "midwife", "laboratory_technician",
    "radiology_technologist", "care_assistant", "social_worker", "medical_biologist", "homeopath",
)  # fmt: skip
MANDATES = ("presence", "admission", "hospital_emergency", "order", "responsibility", "emergency")
STATES = (*["active"] * 8, "open_by_lapse", "open_by_lapse", "open", "requested", "closed", "deleted")
LEVELS = ("standard", "standard", "confidential", "private")
TABLES: Mapping[str, Any] = {
    "records": models.Record,
    "state_changes": models.StateChange,
    "professionals": models.Professional,
    "professional_periods": models.ProfessionalPeriod,
    "blocklist": models.Block,
    "circle_members": models.CircleMember,
    "mandates": models.Mandate,
    "referring_physicians": models_entourage.ReferringPhysician,
    "representatives": models_entourage.Representative,
    "assistants": models_entourage.Assistant,
    "record_settings": models_desk.Setting,
}


class World:
    """Records, and around each everybody there is: as many callers as professionals and persons together."""

    def __init__(
        self, draw: random.Random, *, records: int, professionals: int, persons: int, documents: int = 0
    ) -> None:
        self.draw = draw
        self.now = datetime.now(UTC)
        self.rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self.documents: list[Row] = []
        self.restrictions: list[Row] = []
        self.establishments = [new_id() for _ in range(4)]
        self.professionals = [self._professional() for _ in range(professionals)]
        self.persons = [caller("patient") for _ in range(persons)]
        for holder in self.draw.sample(self.persons, records):
            self._record(str(holder.patient_id))
        for record in self.rows["records"]:
            self._grants(record["record_id"])
            self._entourage(record["record_id"])
            for _ in range(documents):
                self._document(record["record_id"])

    @property
    def record_ids(self) -> list[str]:
        return [row["record_id"] for row in self.rows["records"]]

    def callers(self) -> Iterator[Caller]:
        """Everybody, professionals at one of their workplaces or elsewhere, a few of them with an old token."""
        for one in self.professionals:
            claimed = one.profession if self._one_in(12) is False else "nurse"
            yield replace(one, profession=claimed, establishment_id=self.draw.choice(self.establishments))
        yield from self.persons

    def fill_dossier(self, session: Session) -> None:
        for table, model in TABLES.items():
            if self.rows[table]:
                session.execute(sa.insert(model), self.rows[table])

    def fill_documents(self, session: Session) -> None:
        keys = [{"record_id": each, "wrapped_key": b"k", "created_at": self.now} for each in self.record_ids]
        session.execute(sa.insert(shelves.record_keys), keys)
        session.execute(sa.insert(shelves.documents), self.documents)
        session.execute(sa.insert(shelves.versions), [
            {"version_id": row["current_version_id"], "content_id": row["current_version_id"],
             "document_id": row["document_id"], "number": 1,
             "wrapped_key": b"k", "key_record_id": row["record_id"], "media_type": PDF, "size": 1,
             "sha256": bytes(32), "account_id": new_id(), "created_at": row["deposited_at"]}
            for row in self.documents
        ])  # fmt: skip
        if self.restrictions:
            session.execute(sa.insert(shelves.restrictions), self.restrictions)

    # people

    def _professional(self) -> Caller:
        places = self.draw.sample(self.establishments, self.draw.choice((1, 1, 2)))
        who = caller("professional", profession=self.draw.choice(PROFESSIONS), establishment_id=places[0])
        licence = self.draw.choice(("valid",) * 8 + ("suspended", "withdrawn"))
        row = {"professional_id": who.professional_id, "profession": who.profession, "licence": licence,
               "establishment_ids": places, "version": 1}  # fmt: skip
        if not self._one_in(30):  # the directory announced nearly everybody
            self.rows["professionals"].append(row)
            self.rows["professional_periods"].append(row | {"since": self.now - timedelta(days=900)})
        return who

    # records

    def _record(self, patient_id: str) -> None:
        emergency = self.draw.choice(("normal", "normal", "refused", "with_confidential"))
        responsibility = self.draw.choice(("allowed", "allowed", "refused"))
        row = {"record_id": new_id(), "patient_id": patient_id, "state": self.draw.choice(STATES),
               "since": self.now - timedelta(days=800), "emergency": emergency,
               "responsibility": responsibility}  # fmt: skip
        self.rows["records"].append(row)
        self.rows["state_changes"].append(
            {"change_id": new_id(), "record_id": row["record_id"], "at": row["since"], "previous": None,
             "state": row["state"], "cause": "affiliation", "account_id": None}
        )  # fmt: skip
        for name in ("emergency", "responsibility"):
            self.rows["record_settings"].append(
                {"setting_id": new_id(), "record_id": row["record_id"], "name": name, "value": row[name],
                 "account_id": new_id(), "since": row["since"], "until": None}
            )  # fmt: skip

    def _grants(self, record_id: str) -> None:
        known = [row["professional_id"] for row in self.rows["professionals"]]
        for professional_id in known:
            for _ in range(self.draw.choice((0, 1, 1, 2, 3))):
                self._grant(record_id, professional_id)
            if self._one_in(8):
                since = self._moment()
                self.rows["blocklist"].append(
                    {"block_id": new_id(), "record_id": record_id, "professional_id": professional_id,
                     "since": since, "until": self._ended(since)}
                )  # fmt: skip
        for establishment_id in self.establishments:
            if self._one_in(3):
                self._mandate(record_id, None, establishment_id, self.draw.choice(("admission", "order")))

    def _grant(self, record_id: str, professional_id: str) -> None:
        kind = self.draw.choice(("circle", "circle", "referring", *MANDATES))
        since = self._moment()
        if kind == "circle":
            self._circle(record_id, professional_id, since)
        elif kind == "referring":
            self.rows["referring_physicians"].append(
                {"designation_id": new_id(), "record_id": record_id, "professional_id": professional_id,
                 "proposed_by": "health_fund", "proposed_at": since, "ended_at": self._ended(since),
                 "effective_at": self.draw.choice((None, since, since, since)), "ends_at": self._end(since)}
            )  # fmt: skip
        else:
            self._mandate(record_id, professional_id, None, kind)

    def _circle(self, record_id: str, professional_id: str, since: datetime) -> None:
        until, ends_at = self._ended(since), self._end(since)
        current = [
            row
            for row in self.rows["circle_members"]
            if (row["record_id"], row["professional_id"], row["until"]) == (record_id, professional_id, None)
        ]
        if until is not None or not current:
            self.rows["circle_members"].append(
                {"member_id": new_id(), "record_id": record_id, "professional_id": professional_id,
                 "since": since, "until": until, "ends_at": ends_at}
            )  # fmt: skip

    def _mandate(
        self, record_id: str, professional_id: str | None, establishment_id: str | None, kind: str
    ) -> None:  # fmt: skip
        since = self._moment()
        read_until = since + timedelta(hours=self.draw.randint(1, 1500))
        self.rows["mandates"].append(
            {"mandate_id": new_id(), "record_id": record_id, "professional_id": professional_id,
             "establishment_id": establishment_id, "kind": kind, "wording_version": "x", "starts_at": since,
             "read_until": read_until, "deposit_until": read_until + timedelta(hours=self.draw.randint(0, 500)),
             "ended_at": self._ended(since)}
        )  # fmt: skip

    def _entourage(self, record_id: str) -> None:
        for person in self.persons:
            if self._one_in(4):
                kind = self.draw.choice(("parent", "guardian", "mandatary", "curator", "curator"))
                since = self._moment()
                self.rows["representatives"].append(
                    {"representative_id": new_id(), "record_id": record_id, "patient_id": person.patient_id,
                     "kind": kind, "proof": "x", "since": since, "until": self._end(since), "until_cause": "term",
                     "together_until": self._end(None) if kind == "curator" else None,
                     "ended_at": self._ended(since), "recorded_by": new_id()}
                )  # fmt: skip
            if self._one_in(4):
                since = self._moment()
                self.rows["assistants"].append(
                    {"assistant_id": new_id(), "record_id": record_id, "patient_id": person.patient_id, "name": "x",
                     "invited_by": new_id(), "invited_at": since, "code_until": since, "accepted_at": since,
                     "until": self._end(since), "ended_at": self._ended(since)}
                )  # fmt: skip

    # documents

    def _document(self, record_id: str) -> None:
        kind = self.draw.choice(TYPES)
        author = self.draw.choice([None, *self.professionals])
        document_id, deposited_at = new_id(), self.now - timedelta(minutes=self.draw.randint(1, 10**6))
        self.documents.append(
            {"document_id": document_id, "record_id": record_id, "home_record_id": record_id, "type": kind["slug"],
             "category": kind["category"], "folder": kind["folder"], "title": "x",
             "author_kind": "holder" if author is None else "professional",
             "author_id": author and author.professional_id, "level": self.draw.choice(LEVELS),
             "patient_blocked_at": deposited_at if self._one_in(6) else None,
             "withheld_at": deposited_at if self._one_in(6) else None,
             "current_version_id": new_id(), "deposited_at": deposited_at, "upload_id": new_id()}
        )  # fmt: skip
        for against in self.draw.sample(self.professionals, self.draw.choice((0, 0, 0, len(self.professionals) // 3))):
            self.restrictions.append(
                {"restriction_id": new_id(), "document_id": document_id, "professional_id": against.professional_id,
                 "since": deposited_at, "until": self.now if self._one_in(4) else None, "account_id": new_id(),
                 "risk_version": "x"}
            )  # fmt: skip

    # chance

    def _one_in(self, many: int) -> bool:
        return self.draw.randrange(many) == 0

    def _moment(self) -> datetime:
        """Some hours ago, rarely some hours ahead."""
        return self.now - timedelta(hours=self.draw.randint(1, 1000)) * self.draw.choice((1, 1, 1, 1, 1, 1, 1, -1))

    def _ended(self, since: datetime) -> datetime | None:
        """When somebody ended it, mostly nobody did."""
        past = self.now - timedelta(hours=self.draw.randint(1, 1000))
        return past if past > since and self._one_in(3) else None

    def _end(self, since: datetime | None) -> datetime | None:
        """No end, one to come, or one that has come."""
        ahead = self.now + timedelta(hours=self.draw.randint(1, 1000))
        past = self.now - timedelta(hours=self.draw.randint(1, 1000))
        return self.draw.choice((None, None, ahead, past if since is None or past > since else ahead))
