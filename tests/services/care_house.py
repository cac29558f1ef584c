"""Professionals and establishments of a directory over a real database, and what it tells of them."""

from __future__ import annotations

from typing import Any

from services.tokens import Caller
from tests.builders import House, any_matricule, caller

AGENT = caller("agent")
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
ESCH = {"line": "1, Place Norbert", "postal_code": "4011", "locality": "Esch-sur-Alzette", "country": "LU"}


class Care:
    """What a test does in the directory of professionals."""

    def __init__(self, house: House) -> None:
        self.house = house

    def ask(self, method: str, who: Caller = AGENT, **given: Any) -> Any:
        return self.house.ask("directory", method, who, **given)

    def professional(self, **changes: Any) -> str:
        given = {
            "matricule": any_matricule(), "family_name": "Schmit", "first_name": "Léa", "profession": "physician",
            "specialities": [], "establishment_ids": [], "language": "fr", **changes,
        }  # fmt: skip
        return str(self.ask("register_professional", **given)["professional_id"])

    def establishment(self, name: str = "Cabinet du Parc", kind: str = "practice", **changes: Any) -> str:
        return str(self.ask("register_establishment", name=name, kind=kind, **changes)["establishment_id"])

    def found(self, query: str, who: Caller = AGENT, **narrowed: Any) -> list[str]:
        """The ids found, in order."""
        page = self.ask("search_professionals", who, query=query, **narrowed)
        return [each["professional_id"] for each in page["professionals"]]

    def told(self, professional_id: str, kind: str = "professional_updated.v1") -> list[dict[str, Any]]:
        """What was told of a professional by events of this kind, in order."""
        events = [event["data"] for event in self.house.events("directory") if event["type"] == kind]
        return [event for event in events if event["professional_id"] == professional_id]

    def traces(self, action: str, object_id: str | None) -> list[tuple[str, str | None, str | None]]:
        """(outcome, reason, purpose) of each trace of this action on this thing."""
        events = [event["data"] for event in self.house.events("directory") if event["type"] == "access_traced.v1"]
        mine = [one for one in events if one["action"] == action and one["object_id"] == object_id]
        return [(one["outcome"], one["reason"], one["purpose"]) for one in mine]
