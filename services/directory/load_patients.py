"""A step of a load of patients: who of its lines is new, who changed, who must be looked at by an agent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit, emit_all
from services.db import new_id, rfc3339
from services.directory import store_load_patients as store
from services.directory.contract import PatientCameOfAge, PatientsLoaded, RecordOpeningsDue
from services.directory.rules_load import Good, Refused
from services.directory.rules_load_sheets import patient_sheet, patient_text
from services.directory.rules_majority import came_of_age
from services.directory.rules_sheets import PatientSheet, changes_between, is_patient
from services.directory.store_load import Counts, Progress
from services.directory.store_load_patients import Changed, Known, Pair

OPENINGS_AT_ONCE = 500


@dataclass
class Step:
    """What a step of any kind comes to."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: list[Refused] = field(default_factory=list)

    @property
    def counts(self) -> Counts:
        """As the load counts."""
        return Counts(self.added, self.changed, self.unchanged, len(self.refused))

    def refuse(self, line: Good, code: str, at: str) -> None:
        """Leaves a line out."""
        self.refused.append(Refused(line.number, ((at, code),)))


def load_patients(session: Session, lines: Sequence[Good], software: str, at: datetime, load: Progress) -> Step:
    """Writes what these lines say that is not so yet, tells of it, and returns what became of each.

    Whoever is there stays who they are: a line about a merged sheet, or with another name for a matricule, is refused
    as registering refuses it. Numbers of other systems are added, never taken away; what the file does not say of a
    sheet stays. Refuses: Overtaken.
    """
    work = _Work(session, lines)
    for line in lines:
        work.sort_in(line)
    store.add(session, [(patient_id, line.text) for patient_id, line in work.new], software, at)
    store.change(session, work.changed, software, at)
    of_age = [patient_id for patient_id, before, after in work.born_otherwise if came_of_age(before, after, at)]
    emit_all(session, [PatientCameOfAge(patient_id) for patient_id in of_age])
    store.claim_matricules(session, work.matricules, at)
    store.claim_numbers(session, work.numbers, at)
    if work.new:
        emit(session, PatientsLoaded(load_id=load.load_id, patient_ids=[patient_id for patient_id, _ in work.new]))
    if load.opens_records:
        everybody = [*(patient_id for patient_id, _ in work.new), *work.stay]
        _ask_for_records(session, everybody, load.started_at)
    work.step.added, work.step.changed = len(work.new), len(work.changed)
    work.step.unchanged = len(work.stay) - len(work.changed)
    return work.step


def _ask_for_records(session: Session, patient_ids: Sequence[str], told_at: datetime) -> None:
    for start in range(0, len(patient_ids), OPENINGS_AT_ONCE):
        some = list(patient_ids[start : start + OPENINGS_AT_ONCE])
        emit(session, RecordOpeningsDue(cause="affiliation", patient_ids=some, requested_at=rfc3339(told_at)))


class _Work:
    """The lines of a step, sorted into what is to be done. stay: patients there before, changed or not."""

    def __init__(self, session: Session, lines: Sequence[Good]) -> None:
        self.step = Step()
        self.new: list[tuple[str, Good]] = []
        self.changed: list[Changed] = []
        self.born_otherwise: list[tuple[str, date, date]] = []
        self.stay: list[str] = []
        self.matricules: list[tuple[str, str]] = []
        self.numbers: list[tuple[str, Pair]] = []
        self._claimed: set[Pair] = set()
        self._touched: set[str] = set()
        self._known = store.by_matricule(session, [line.identifier for line in lines if _has_matricule(line)])
        pairs = [pair for line in lines for pair in line.identifiers]
        self._holders = store.holders(session, pairs)
        found = {known.patient_id: known for known in self._known.values()}
        missing = set(self._holders.values()) - set(found)
        self._by_id = found | (store.by_id(session, sorted(missing)) if missing else {})
        numbered = set(self._holders.values()) | {
            self._known[line.identifier].patient_id
            for line in lines
            if line.identifiers and line.identifier in self._known
        }
        self._numbers = store.numbers_of(session, sorted(numbered))

    def sort_in(self, line: Good) -> None:
        """Decides what becomes of a line."""
        if not line.identifiers and line.identifier not in self._known:
            self._add(line, line.identifier)  # nearly every line of a first load
            return
        holders = {self._holders[pair] for pair in line.identifiers if pair in self._holders}
        matricule = line.identifier if _has_matricule(line) else None
        known = self._known.get(line.identifier) if matricule else None
        if known is None and len(holders) == 1:
            known = self._by_id[next(iter(holders))]
        if holders - {known.patient_id if known else None} or not self._claimed.isdisjoint(line.identifiers):
            self.step.refuse(line, "identifier_taken", "identifiers")
        elif known is None:
            self._add(line, matricule)
        elif known.former:
            self.step.refuse(line, "former_matricule", "matricule")
        elif known.merged or (matricule and known.matricule not in (None, matricule)):
            self.step.refuse(line, "patient_exists", "matricule" if matricule else "identifiers")
        elif known.patient_id in self._touched:
            self.step.refuse(line, "duplicate_line", "")
        else:
            self._compare(line, known, matricule)

    def _add(self, line: Good, matricule: str | None) -> None:
        patient_id = new_id()
        self.new.append((patient_id, line))
        self._claim(patient_id, line.identifiers)
        if matricule:
            self.matricules.append((patient_id, matricule))

    def _compare(self, line: Good, known: Known, matricule: str | None) -> None:
        said = line.text.rpartition("\t")[0]
        if said == known.text and known.matricule == matricule and not line.identifiers:
            self._stays(known)
            return
        have = self._numbers.get(known.patient_id, [])
        more = [pair for pair in line.identifiers if pair not in have]
        old = patient_sheet(known.text, known.matricule, have)
        new = _with_what_stays(patient_sheet(said, matricule or known.matricule, [*have, *more]), old, line.unsaid)
        if not is_patient(new, old.birth_name, old.first_names):
            self.step.refuse(line, "patient_exists", "matricule" if matricule else "identifiers")
            return
        self._stays(known)
        changes = changes_between(old, new)
        if old.birth_date != new.birth_date:
            self.born_otherwise.append((known.patient_id, old.birth_date, new.birth_date))
        if changes:
            self.changed.append(Changed(known.patient_id, known.version, patient_text(new), changes))
            self._claim(known.patient_id, more)
            if matricule and known.matricule is None:
                self.matricules.append((known.patient_id, matricule))

    def _stays(self, known: Known) -> None:
        self._touched.add(known.patient_id)
        self.stay.append(known.patient_id)

    def _claim(self, patient_id: str, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            self._claimed.add(pair)
            self.numbers.append((patient_id, pair))


def _has_matricule(line: Good) -> bool:
    return " " not in line.identifier


def _with_what_stays(new: PatientSheet, old: PatientSheet, unsaid: str) -> PatientSheet:
    """The sheet as the file says it, with what it says nothing of; an identity once checked stays so."""
    kept: dict[str, Any] = {name: getattr(old, name) for name in unsaid.split() if name != "identifiers"}
    if new.birth_date == old.birth_date and new.matricule == old.matricule:
        kept["identity_check_due"] = old.identity_check_due
    if new.birth_date != old.birth_date:
        kept.pop("birth_date_evidence", None)  # whatever proved the former one does not prove this one
    return replace(new, **kept) if kept else new
