"""Two patients who turn out to be one person, in one dossier, and what the tests of merging ask of it."""

from __future__ import annotations

from typing import Any

from services.db import new_id
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.dossier import models
from services.tokens import Caller
from tests.services.dossier_house import DossierHouse

AT = "2026-11-21T09:30:00.000000Z"


class Pair:
    """Two patients with an active record each, the survivor's the older."""

    def __init__(self, house: DossierHouse) -> None:
        self.house = house
        (self.holder, self.record), (self.twin, self.other) = house.holder(), house.holder()
        self.merge_id = new_id()

    def news(self, kind: Any = PatientsMerged) -> Any:
        return kind(self.merge_id, self.holder.patient_id, self.twin.patient_id, AT)

    def merge(self) -> None:
        self.house.hear("directory", self.news())

    def unmerge(self) -> None:
        self.house.hear("directory", self.news(PatientsUnmerged))


def merged(house: DossierHouse, survivor: Caller, other: Caller, merge_id: str | None = None) -> Any:
    news = PatientsMerged(merge_id or new_id(), survivor.patient_id or "", other.patient_id or "", AT)
    house.hear("directory", news)
    return PatientsUnmerged(news.merge_id, news.survivor_id, news.merged_id, AT)


def grounds(house: DossierHouse, who: Caller, record_id: str) -> list[str]:
    return [clause.ground for clause in house.scope(who, record_id).clauses]


def states(house: DossierHouse, *record_ids: str) -> list[tuple[str, str | None, str]]:
    rows = {row.record_id: row for row in house.rows(models.Record)}
    return [(rows[each].state, rows[each].merged_into, rows[each].patient_id) for each in record_ids]


def trust(house: DossierHouse, holder: Caller, record_id: str, who: Caller, comment: str | None = None) -> None:
    added = house.dossier.add_to_circle(
        holder, record_id=record_id, professional_id=who.professional_id, comment=comment
    )
    assert isinstance(added, dict)


def circle(house: DossierHouse, holder: Caller, record_id: str) -> set[str]:
    members = house.dossier.circle(holder, record_id=record_id)["members"]
    return {member["professional_id"] for member in members}
