"""Those who care: professionals and the establishments they work in.

An establishment follows from the seed and its number alone, so that a professional's workplace is named without a list
of them all. Within each hundred the kinds have fixed places: HUNDRED.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final

from deploy.population.people import COMMUNITIES, LAST_DAY, PATIENTS_SEQUENCES, Matricules, address, birth_date
from deploy.population.people import family_name as any_family_name
from deploy.population.people import first_names as any_first_names
from deploy.population.places import AT_HOME, STREETS, postal_code

PROFESSIONALS_PER_ESTABLISHMENT: Final = 12
FEWEST_ESTABLISHMENTS: Final = 30

HUNDRED: Final = {
    "hospital": range(1),
    "laboratory": range(1, 5),
    "pharmacy": range(5, 14),
    "care_network": range(14, 26),
    "practice": range(26, 100),
}

PROFESSIONS: Final[dict[str, tuple[float, str, str]]] = {
    "physician": (0.155, "practice practice practice hospital hospital", "Médecine_générale Médecine_générale"
                  " Cardiologie Pédiatrie Gynécologie-obstétrique Psychiatrie Radiologie Anesthésie-réanimation"
                  " Dermatologie Ophtalmologie Orthopédie Neurologie Gastro-entérologie Urologie Pneumologie"
                  " Néphrologie Gériatrie Oncologie Endocrinologie Rhumatologie Médecine_interne Chirurgie_générale"),
    "pharmacist": (0.035, "pharmacy pharmacy pharmacy hospital", ""),
    "nurse": (0.38, "hospital hospital care_network care_network practice",
              " Anesthésie Pédiatrie Psychiatrie Soins_à_domicile Diabétologie Plaies_et_cicatrisation"),
    "allied_health": (0.2, "practice practice hospital care_network", "Kinésithérapie Kinésithérapie Ergothérapie"
                      " Orthophonie Psychomotricité Diététique Podologie Ostéopathie Psychothérapie"),
    "midwife": (0.015, "hospital practice", ""),
    "laboratory_technician": (0.025, "laboratory laboratory hospital", ""),
    "radiology_technologist": (0.02, "hospital", "Imagerie Radiothérapie"),
    "care_assistant": (0.13, "hospital care_network", ""),
    "social_worker": (0.03, "hospital care_network", ""),
    "medical_biologist": (0.01, "laboratory", "Biologie_médicale"),
}  # fmt: skip
"""Share of the professions, the kinds of their workplaces, and specialities, more frequent ones written twice."""

_SHARES = list(accumulate(share for share, _, _ in PROFESSIONS.values()))

PHARMACIES: Final = (
    "du Cerf", "du Cygne", "de l'Aigle", "du Pélican", "de la Gare", "du Marché", "du Parc", "Centrale", "du Lion",
)  # fmt: skip
LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Establishment:
    """A place of care."""

    establishment_id: str
    name: str
    kind: str
    address_line: str
    postal_code: str
    locality: str
    country: str


@dataclass(frozen=True, slots=True)
class Professional:
    """A professional as the register of professions tells them."""

    matricule: str
    family_name: str
    first_name: str
    sex: str
    birth_date: str
    profession: str
    specialities: tuple[str, ...]
    establishment_ids: tuple[str, ...]
    language: str
    address_line: str
    postal_code: str
    locality: str
    country: str


def establishments_for(professionals: int) -> int:
    """How many establishments so many professionals work in."""
    return max(FEWEST_ESTABLISHMENTS, professionals // PROFESSIONALS_PER_ESTABLISHMENT) if professionals else 0


def establishment_id(number: int, seed: int) -> str:
    """The id of an establishment, the same in every file of this seed."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"establishment {number} of {seed}"))


def establishment(number: int, seed: int) -> Establishment:
    """One establishment, from its number."""
    random = Random(f"establishment {number} of {seed}")  # noqa: S311 (invented, no secret)
    kind = next(kind for kind, places in HUNDRED.items() if number % 100 in places)
    home = AT_HOME.one(random)
    return Establishment(
        establishment_id=establishment_id(number, seed),
        name=_name(random, kind, home.name),
        kind=kind,
        address_line=f"{random.randint(1, 180)}, {random.choice(STREETS)}",
        postal_code=postal_code(home, random),
        locality=home.name,
        country=home.country,
    )


def _name(random: Random, kind: str, place: str) -> str:
    if kind == "hospital":
        return f"Hôpital {place} {random.choice(LETTERS)}"
    if kind == "laboratory":
        return f"Laboratoire d'analyses médicales {place} {random.choice(LETTERS)}"
    if kind == "pharmacy":
        return f"Pharmacie {random.choice(PHARMACIES)}, {place}"
    if kind == "care_network":
        return f"Aide et soins à domicile {place} {random.choice(LETTERS)}"
    return f"Cabinet {COMMUNITIES[0].families.one(random)}, {place}"


def establishments(count: int, seed: int) -> Iterator[Establishment]:
    """The first `count` establishments."""
    return (establishment(number, seed) for number in range(count))


def professionals(count: int, seed: int) -> Iterator[Professional]:
    """`count` professionals, each with one workplace or more among `establishments_for(count)`."""
    random = Random(f"professionals of {seed}")  # noqa: S311 (invented, no secret)
    matricules = Matricules(PATIENTS_SEQUENCES, 1000 - PATIENTS_SEQUENCES)
    places = establishments_for(count)
    for _ in range(count):
        yield _professional(random, matricules, places, seed)


def _professional(random: Random, matricules: Matricules, places: int, seed: int) -> Professional:
    community = random.choices(COMMUNITIES, weights=(0.35, 0.1, 0.25, 0.15, 0.03, 0.12))[0]
    profession = random.choices(list(PROFESSIONS), cum_weights=_SHARES)[0]
    _, workplaces, specialities = PROFESSIONS[profession]
    born = birth_date(random)
    while not 23 <= LAST_DAY.year - born.year <= 68:
        born = birth_date(random)
    sex = "F" if random.random() < (0.5 if profession == "physician" else 0.75) else "M"
    line, code, locality, country = address(random, community.abroad)
    known = specialities.split()
    chosen = random.sample(known, k=min(len(known), random.choices((0, 1, 2), (0.15, 0.75, 0.1))[0]))
    wanted = random.choices((1, 2, 3), (0.86, 0.11, 0.03))[0]
    working = {_workplace(random, random.choice(workplaces.split()), places) for _ in range(wanted)}
    return Professional(
        matricule=matricules.of(born),
        family_name=any_family_name(random, community, born),
        first_name=any_first_names(random, community, sex, born).split()[0],
        sex=sex,
        birth_date=born.isoformat(),
        profession=profession,
        specialities=tuple(sorted({name.replace("_", " ") for name in chosen})),
        establishment_ids=tuple(establishment_id(number, seed) for number in sorted(working)),
        language=random.choice(community.languages),
        address_line=line,
        postal_code=code,
        locality=locality,
        country=country,
    )


def _workplace(random: Random, kind: str, places: int) -> int:
    while True:
        number = random.randrange(-(-places // 100)) * 100 + random.choice(HUNDRED[kind])
        if number < places:
            return number
