"""What the agency does at its desk, through the gateway: open records, enter establishments, introduce professionals.

Also makes the people it does it for: valid matricules, invented names.
"""

from __future__ import annotations

import random
import secrets
from datetime import date

from stdnum import luhn, verhoeff

from deploy.visitors import Town, Visitor

FAMILIES = (
    "Weber", "Schmit", "Muller", "Hoffmann", "Wagner", "Thill", "Kremer", "Reuter", "Faber", "Lopes", "Ferreira",
    "da Costa", "Almeida", "Dupont", "Lambert", "Noël", "Bäcker", "Krüger", "Majerus", "Feltgen",
)  # fmt: skip
FIRST_NAMES = (
    "Anne",
    "Léa",
    "Chantal",
    "Inês",
    "Marta",
    "Sophie",
    "Jil",
    "Nathalie",
    "Ute",
    "Zoé",
    "Elise",
    "Fabienne",
)
_random = random.SystemRandom()


def matricule(born: date, sequence: int) -> str:
    """The valid matricule of a birth date and a sequence: Luhn and Verhoeff digits, both over the first eleven."""
    first = f"{born:%Y%m%d}{sequence:03d}"
    return first + luhn.calc_check_digit(first) + verhoeff.calc_check_digit(first)


def any_matricule() -> str:
    """A valid matricule of an adult that no other call is likely to give."""
    born = date.fromordinal(_random.randrange(date(1930, 1, 1).toordinal(), date(2005, 12, 31).toordinal()))
    return matricule(born, _random.randrange(1000))


def birth_date(of_matricule: str) -> str:
    """The birth date a matricule starts with, ISO."""
    return f"{of_matricule[:4]}-{of_matricule[4:6]}-{of_matricule[6:8]}"


def newcomer(town: Town, role: str, number: str | None = None, email: str | None = None) -> Visitor:
    """A person nobody knows yet; the name is unique, so that a letter finds its reader."""
    tag = secrets.token_hex(3)
    family = f"{_random.choice(FAMILIES)}-{tag.translate(str.maketrans('0123456789', 'ghijklmnop')).capitalize()}"
    first = _random.choice(FIRST_NAMES)
    address = email or f"{role.replace(' ', '.')}.{tag}@example.lu"
    return Visitor(town, family, number or any_matricule(), address, ids={"family": family, "first": first})


def open_record(agent: Visitor, patient: Visitor) -> str:
    """Opens a patient's record; its id. The letter follows."""
    sheet = {
        "matricule": patient.matricule, "birth_name": patient.ids["family"], "first_names": patient.ids["first"],
        "sex": "F", "birth_date": birth_date(patient.matricule), "language": "fr",
        "address": _address("12, rue des Tilleuls"),
    }  # fmt: skip
    opened = agent.ask("POST", "/agency/openings", json=sheet)
    patient.ids |= {"record_id": opened["record_id"], "patient_id": opened["patient_id"]}
    return str(opened["record_id"])


def establishment(agent: Visitor, name: str, kind: str) -> str:
    """Enters an establishment; its id."""
    return str(agent.ask("POST", "/agency/establishments", json={"name": name, "kind": kind})["establishment_id"])


def introduce(agent: Visitor, person: Visitor, profession: str, establishment_id: str) -> None:
    """Enters a professional and invites them; they activate with LuxTrust and their letter, and log in."""
    entered = agent.ask("POST", "/agency/professionals", json={
        "matricule": person.matricule, "family_name": person.ids["family"], "first_name": person.ids["first"],
        "profession": profession, "specialities": [], "establishment_ids": [establishment_id], "language": "fr",
        "address": _address("3, place d'Armes"),
    })  # fmt: skip
    person.ids |= {"professional_id": entered["professional_id"], "establishment_id": establishment_id}
    agent.ask("POST", "/agency/invitations", json={"professional_id": entered["professional_id"]})
    person.activate(person.town.letter(person.name).activation_code, "professional")
    person.log_in("professional")


def _address(line: str) -> dict[str, str]:
    return {"line": line, "postal_code": "1234", "locality": "Luxembourg", "country": "LU"}
