"""The demo people: loaded once into a stack of the profile `local`, through the gateway only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.agency import any_matricule, establishment, introduce, newcomer, open_record
from deploy.visitors import Town, Visitor

# who, capacity at log-in, profession
ROLES = (
    ("patient", "patient", ""),
    ("physician", "professional", "physician"),
    ("pharmacist", "professional", "pharmacist"),
)


def load(town: Town, first_agent_code: Callable[[str], str]) -> dict[str, Any]:
    """Activates the first administrator, lets them open a record and introduce two professionals; gives the log-ins.

    first_agent_code: makes the activation code of the first administrator for a matricule.
    """
    agent = newcomer(town, "agent", any_matricule(), "agency@example.lu")
    agent.activate(first_agent_code(agent.matricule))
    agent.log_in("agent")
    people = {"agent": _log_in_of(agent, "agent")}
    workplaces = {"physician": ("Cabinet du Parc", "practice"), "pharmacist": ("Pharmacie du Parc", "pharmacy")}
    for role, capacity, profession in ROLES:
        person = newcomer(town, role, email=f"{role}@example.lu")
        if role == "patient":
            open_record(agent, person)
            letter = town.letter(person.name)
            person.activate(letter.activation_code)
        else:
            introduce(agent, person, profession, establishment(agent, *workplaces[role]))
        people[role] = _log_in_of(person, capacity)
        if role == "patient":
            people[role]["presence_code"] = letter.presence_code
    return people


def visitor(town: Town, log_in: dict[str, Any]) -> Visitor:
    """The person behind a demo log-in, not yet logged in."""
    return Visitor(town, log_in["name"], log_in["matricule"], log_in["email"], log_in["password"])


def _log_in_of(person: Visitor, capacity: str) -> dict[str, Any]:
    return {
        "name": person.name, "matricule": person.matricule, "email": person.email, "password": person.password,
        "capacity": capacity,
    }  # fmt: skip
