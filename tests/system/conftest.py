"""The people of the system tests: everybody arrives by letter, mail and the gateway, as in life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.agency import establishment, introduce, newcomer, open_record
from deploy.visitors import Town, Visitor, wait_for
from services.dossier.contract import DECLARATION_WORDINGS
from tests.conftest import Platform

STATEMENT = next(iter(DECLARATION_WORDINGS))


@dataclass
class Village:
    """One platform's people, made when a test asks for them and kept for the others."""

    platform: Platform
    town: Town
    agent: Visitor
    practice: str
    people: list[Visitor] = field(default_factory=list)
    _professionals: dict[str, Visitor] = field(default_factory=dict)

    def professional(self, name: str, profession: str = "physician", establishment_id: str | None = None) -> Visitor:
        """A professional of that name, logged in anew if known already."""
        if name not in self._professionals:
            person = self.remember(newcomer(self.town, name))
            introduce(self.agent, person, profession, establishment_id or self.practice)
            self._professionals[name] = person
        return self._professionals[name]

    def patient(self) -> Visitor:
        """A new patient with an active record, logged in; `ids["presence_code"]` as on the letter."""
        person = self.remember(newcomer(self.town, "patient"))
        record_id = open_record(self.agent, person)
        letter = self.town.letter(person.name)
        person.ids["presence_code"] = letter.presence_code
        person.secrets.add(letter.presence_code)
        person.activate(letter.activation_code)
        person.log_in()
        wait_for(lambda: self.state(person, record_id) == "active" or None, "the active record")
        return person

    def remember(self, person: Visitor) -> Visitor:
        """Notes what must not be found in any log line."""
        self.people.append(person)
        return person

    def private_data(self) -> set[str]:
        """Every datum and every secret of everybody who was here."""
        found: set[str] = set()
        for person in self.people:
            found |= {person.name, person.ids["first"], person.matricule, person.email, person.password}
            found |= person.secrets
        return found

    def state(self, patient: Visitor, record_id: str) -> str | None:
        records = patient.ask("GET", "/records")["records"]
        return next((record["state"] for record in records if record["record_id"] == record_id), None)

    def mandate(self, who: Visitor, patient: Visitor, code: str | None = None, **expect: Any) -> Any:
        """`who` enters the patient's presence code (or another one)."""
        body = {"presence_code": code or patient.ids["presence_code"], "declaration_accepted": True,
                "wording_version": STATEMENT}  # fmt: skip
        return who.ask("POST", f"/records/{patient.ids['record_id']}/mandates", json=body, **expect)

    def history(self, patient: Visitor, until: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The patient's access history, newest first, as soon as it satisfies `until`."""

        def look() -> list[dict[str, Any]] | None:
            entries = every(patient, f"/records/{patient.ids['record_id']}/access-history", "entries")
            return entries if until(entries) else None

        return wait_for(look, "the access history")


def every(who: Visitor, path: str, name: str) -> list[dict[str, Any]]:
    """All that a list holds, from its first page to its last."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = who.ask("GET", f"{path}?limit=100" + (f"&cursor={cursor}" if cursor else ""))
        found += page[name]
        cursor = page.get("next_cursor")
    return found


@pytest.fixture(scope="session")
def village(platform: Platform) -> Village:
    town = Town(platform.url, platform.mailbox, platform.letters)
    agent = newcomer(town, "agent")
    agent.activate(platform.stack.first_agent_code(agent.matricule))
    agent.log_in("agent")
    made = Village(platform, town, agent, establishment(agent, "Cabinet de la Place", "practice"))
    made.remember(agent)
    return made


@pytest.fixture(autouse=True)
def fresh_tokens(request: pytest.FixtureRequest) -> None:
    """Access tokens live ten minutes: whoever was logged in long ago refreshes before the next test."""
    if "village" not in request.fixturenames:
        return
    village: Village = request.getfixturevalue("village")
    for person in (village.agent, *village._professionals.values()):
        if person.tokens:
            person.keep_logged_in()
