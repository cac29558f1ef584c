"""Invented documents for the shelves that are measured: how many of each type, since when, and what stands in them.

The mix of types and the growth are those of the national statistics of 2015 to 2017 beside this file. The words are
real ones of medicine in five languages and, far more, invented ones, some frequent and most rare, as in any language.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any


def _several(text: str) -> list[str]:
    return text.split()


REAL = _several("""
analyse sang radiographie thorax échographie scanner résultat normal patient traitement médicament hospitalisation
tension glycémie cholestérol fracture douleur allergie vaccination contrôle prescription ordonnance consultation
diagnostic biopsie chirurgie cardiologie neurologie foie rein poumon cœur genou épaule infection inflammation
Befund Blutbild Untersuchung Röntgenaufnahme Leber Niere Lunge Herz unauffällig Entzündung Behandlung Überweisung
Arzt Krankenhaus Entlassung Medikation Impfung Allergie Blutdruck Verlauf Kontrolle Schmerzen Operation
findings examination blood pressure imaging discharge follow-up medication allergy kidney liver heart lungs fracture
exame sangue análise resultado tratamento medicação vacina pressão hospital fígado rim coração
Blutt Ënnersichung Dokter Spidol Resultat Medikament Impfung Häerz Liewer Nier Kontroll Péng
""")
SMALL = _several("""
le la de des et du à les en un une sans avec pour der die das und mit ohne von zu im the of and with no o a de do da
den d' vum mat ouni
""")
INVENTED = 12_000
SYLLABLES = _several("""
ba cé do fi gra hè jo ka lo mi nu or pré qui ro sa té ul va xe zi cho tre gné lla ment tion ung heit
""")
PHRASE = "prise de sang"
LENGTHS = {
    "laboratory_results": (60, 180), "diagnostic_report": (90, 330), "medical_certificate": (25, 80),
    "imaging": (0, 60), "preventive_report": (80, 200), "hospital_discharge_report": (200, 600),
}  # fmt: skip
"""From how many to how many words a text of a type has."""
OTHERS = (20, 150)
TITLES = ("Compte rendu", "Résultats", "Befundbericht", "Contrôle", "Discharge letter", "Relatório", "Bilan", "Rapport")


@dataclass(frozen=True)
class Text:
    """What stands in a document, on the outside and inside."""

    title: str
    body: str


@cache
def statistics() -> dict[str, tuple[int, ...]]:
    """The documents of each type in all records, at thirteen moments."""
    told = files("deploy.bench").joinpath("statistics_2015_2017.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(told.splitlines()))[1:]
    return {slug: tuple(int(count) for count in counts) for slug, *counts in rows if slug != "total"}


def mix() -> dict[str, float]:
    """The share of each type at the end."""
    last = {slug: counts[-1] for slug, counts in statistics().items() if counts[-1]}
    return {slug: count / sum(last.values()) for slug, count in last.items()}


def growth() -> tuple[float, ...]:
    """What share of all documents there was at each of the thirteen moments."""
    totals = [sum(counts[moment] for counts in statistics().values()) for moment in range(13)]
    return tuple(total / totals[-1] for total in totals)


@cache
def vocabulary() -> tuple[tuple[str, ...], tuple[float, ...]]:
    """All words, the frequent first, and how much each and those before it weigh."""
    random = Random(3)  # noqa: S311 (invented, no secret)
    made = ["".join(random.choice(SYLLABLES) for _ in range(random.randint(2, 5))) for _ in range(INVENTED)]
    words = (*SMALL, *REAL, *made)
    return words, tuple(accumulate(1 / (place + 8) for place in range(len(words))))


def texts(kind: str, count: int, seed: int) -> Iterator[Text]:
    """So many documents of a type."""
    random = Random(f"{kind} {seed}")  # noqa: S311 (invented, no secret)
    words, weights = vocabulary()
    least, most = LENGTHS.get(kind, OTHERS)
    for _ in range(count):
        length = least + int((most - least) * random.betavariate(1.5, 3))
        drawn = random.choices(words, cum_weights=weights, k=length)
        if random.random() < 0.05:
            drawn.insert(length // 2, PHRASE)
        inside = random.choices(words[len(SMALL) :], k=2)
        yield Text(f"{random.choice(TITLES)} {' '.join(inside)}", " ".join(drawn))


def queries(random: Any) -> Iterator[str]:
    """What people seek, for ever: words and their beginnings, two of them, a phrase; frequent ones most of the time."""
    words, _ = vocabulary()
    sought = len(SMALL)
    weights = tuple(accumulate(1 / (place + 4) for place in range(len(words) - sought)))
    while True:
        one, other = random.choices(words[sought:], cum_weights=weights, k=2)
        yield random.choice((one, one[: max(3, len(one) - 3)], f"{one} {other}", one, f'"{PHRASE}"'))
