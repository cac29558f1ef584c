"""The rules of access once more, written differently: brute force over the tables as they stand in their files.

Nothing of the service's rules is used here. For every document every row of grounds.csv is tried against every grant
that the world holds; what the domain says in words stands here in words.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from services.tokens import Caller
from tests.services.record_world import Row, World

FOLDER = Path(__file__).parents[2] / "services" / "dossier" / "versions"


def table(name: str, version: str) -> list[dict[str, str]]:
    return list(csv.DictReader((FOLDER / version / f"{name}.csv").read_text("utf-8").splitlines()))


@dataclass(frozen=True)
class Held:
    """A row of grounds.csv that somebody has now, and the column of the matrix it is asked in."""

    row: dict[str, str]
    column: str
    reads: bool
    deposits: bool


class Reference:
    """Who may do what in a world."""

    def __init__(self, world: World) -> None:
        versions = list(csv.DictReader((FOLDER / "versions.csv").read_text("utf-8").splitlines()))
        in_force = [row for row in versions if datetime.fromisoformat(row["valid_from"]) <= world.now]
        version = max(in_force, key=lambda row: row["valid_from"])["version"]
        self.world = world
        self.now = world.now
        self.grounds = table("grounds", version)
        self.states = {row["state"]: row for row in table("states", version)}
        self.matrix = {row["category"]: row for row in table("access_matrix", version)}
        self.narrowings = {(row["type"], row["profession"]): row["cell"] for row in table("narrowings", version)}
        self.kinds = {row["kind"]: row for row in table("representative_kinds", version)}
        self.against = {(row["document_id"], row["professional_id"])
                        for row in world.restrictions if row["until"] is None}  # fmt: skip

    def held(self, who: Caller, record: Row) -> list[Held]:
        """All rows of grounds.csv that this caller has in this record now."""
        if who.capacity == "patient":
            return self._held_by_person(who, record)
        return self._held_by_professional(who, record)

    def reads(self, who: Caller, held: list[Held], record: Row, document: Row) -> bool:
        """Whether a caller who holds these may read this document."""
        if who.capacity == "patient":
            return any(self._person_reads(each, held, document) for each in held)
        if self._is_let_in(who, record) and document["author_id"] == who.professional_id:
            return True
        if (document["document_id"], who.professional_id) in self.against:
            return False
        return any(each.reads and self._row_reads(each, document) for each in held)

    # the holder side

    def _held_by_person(self, who: Caller, record: Row) -> list[Held]:
        names = ["holder"] if record["patient_id"] == who.patient_id else []
        for row in self.world.rows["representatives"]:
            alone = self.kinds[row["kind"]]["acts"] == "alone"
            together = row["together_until"] is not None and row["together_until"] > self.now
            if self._theirs(row, record, "patient_id", who.patient_id) and (alone or together):
                names += ["legal_representative"] * self._runs(row["since"], row["until"], row["ended_at"])
        for row in self.world.rows["assistants"]:
            if self._theirs(row, record, "patient_id", who.patient_id):
                names += ["assistant"] * self._runs(row["accepted_at"], row["until"], row["ended_at"])
        state = self.states[record["state"]]
        shows = {"holder": "holder_side", "legal_representative": "holder_side", "assistant": "assistants"}
        names = [name for name in names if state[shows[name]] == "everything"]
        return [Held(row, "", True, True) for row in self.grounds if row["ground"] in names]

    @staticmethod
    def _person_reads(each: Held, held: list[Held], document: Row) -> bool:
        # What is withheld from representatives is so whatever else they were made, unless it is their own record.
        names = [other.row["ground"] for other in held]
        represents = "legal_representative" in names and "holder" not in names
        if document["patient_blocked_at"] is not None or (document["withheld_at"] is not None and represents):
            return False
        return each.row["reads"] == "all" and each.row[document["level"]] == "yes"

    # professionals

    def _is_let_in(self, who: Caller, record: Row) -> bool:
        """Record open to professionals, and the licence of one who is what they claim to be valid."""
        known = [row for row in self.world.rows["professionals"] if row["professional_id"] == who.professional_id]
        if not known or self.states[record["state"]]["professionals"] != "everything":
            return False
        return bool(known[0]["licence"] == "valid" and known[0]["profession"] == who.profession)

    def _held_by_professional(self, who: Caller, record: Row) -> list[Held]:
        if not self._is_let_in(who, record):
            return []
        for row in self.world.rows["blocklist"]:
            blocked = self._theirs(row, record, "professional_id", who.professional_id)
            if blocked and self._runs(row["since"], row["until"]):
                return []
        held: list[Held] = []
        for row in self.world.rows["circle_members"]:
            if self._theirs(row, record, "professional_id", who.professional_id):
                held += self._having(record, who, "circle", self._runs(row["since"], row["until"], row["ends_at"]))
        for row in self.world.rows["referring_physicians"]:
            if self._theirs(row, record, "professional_id", who.professional_id) and row["effective_at"] is not None:
                runs = self._runs(row["effective_at"], row["ended_at"], row["ends_at"])
                held += self._having(record, who, "referring_physician", runs)
        for row in self.world.rows["mandates"]:
            if row["record_id"] == record["record_id"] and self._serves(row, who):
                reads = self._runs(row["starts_at"], row["read_until"], row["ended_at"])
                deposits = self._runs(row["starts_at"], row["deposit_until"], row["ended_at"])
                held += self._having(record, who, row["kind"], reads, deposits)
        return held

    def _serves(self, mandate: Row, who: Caller) -> bool:
        if mandate["professional_id"] is not None:
            return bool(mandate["professional_id"] == who.professional_id)
        works_at = [row["establishment_ids"] for row in self.world.rows["professionals"]
                    if row["professional_id"] == who.professional_id]  # fmt: skip
        there = mandate["establishment_id"] == who.establishment_id
        return bool(there and works_at and mandate["establishment_id"] in works_at[0])

    def _having(
        self, record: Row, who: Caller, ground: str, reads: bool, deposits: bool | None = None
    ) -> list[Held]:  # fmt: skip
        """The rows of a ground whose condition the record's setting meets."""
        column = str(who.profession)
        if ground == "referring_physician":
            column = "referring_physician" if who.profession == "physician" else ""
        found = []
        for row in self.grounds:
            set_so = not row["setting"] or record[row["setting"]] in row["values"].split("|")
            if row["ground"] == ground and set_so and column:
                goes_on = bool(deposits) and row["rule_afterwards"] != ""
                found.append(Held(row, column, reads, reads or goes_on))
        return found

    def _row_reads(self, each: Held, document: Row) -> bool:
        row = each.row
        if row["reads"] != "matrix" or row[document["level"]] != "yes":
            return False
        if row["folders"] and document["folder"] not in row["folders"].split("|"):
            return False
        if self.narrowings.get((document["type"], each.column)) == "":
            return False
        return "r" in self.matrix[document["category"]].get(each.column, "")

    # time

    @staticmethod
    def _theirs(row: Row, record: Row, name: str, who: Any) -> bool:
        return bool(row["record_id"] == record["record_id"] and row[name] == who)

    def _runs(self, since: datetime, *ends: datetime | None) -> bool:
        return since <= self.now and all(end is None or end > self.now for end in ends)
