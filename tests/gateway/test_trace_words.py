"""Each entry of a history in plain words: every action, ground and capacity has its own in all five languages."""

from __future__ import annotations

import csv
import itertools
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from gateway import trace_words
from gateway.errors import STATUS, catalogue
from services.audit.contract import ACTIONS
from services.dossier.contract import GROUNDS, PROFESSIONS

LOCALES = ("fr", "lb", "pt", "en", "de")
TYPES = Path(__file__).parents[2] / "services/documents/type_names.csv"
CODE = re.compile(r"[a-z]+[._][a-z_]+")
"""What a code of ours looks like: no reader should meet one."""


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "action": "document.opened", "outcome": "allowed", "reason": None, "capacity": "professional",
        "name": "SCHMIT Léa", "profession": "physician", "establishment_name": "Cabinet du Parc",
        "document_type": "laboratory_results", "ground": "presence", "software": "praxis/4.2", "request_id": "x",
        **changes,
    }  # fmt: skip


def text(locale: str, **changes: Any) -> str:
    [said] = trace_words.in_words([entry(**changes)], locale)
    return str(said["text"])


@pytest.mark.parametrize("locale", LOCALES)
def test_every_action_has_its_own_words_and_no_words_are_of_no_action(locale: str) -> None:
    words = catalogue(locale)["traces"]["actions"]
    assert set(words) == ACTIONS
    assert len(set(words.values())) == len(words), "two actions in the same words"
    assert not [said for said in words.values() if not said[0].isupper() or said.endswith(".") or said != said.strip()]


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_the_words_of_an_action_are_translated(action: str) -> None:
    said = {catalogue(locale)["traces"]["actions"][action] for locale in LOCALES}
    assert len(said) >= 4, said  # "Log-in" and the like may be one word in two of them


@pytest.mark.parametrize("locale", LOCALES)
def test_every_ground_and_every_profession_has_its_words(locale: str) -> None:
    words = catalogue(locale)["traces"]
    assert set(words["grounds"]) == {*GROUNDS, "institution"}
    assert all(words["grounds"].values())
    assert set(catalogue(locale)["document_page"]["professions"]) >= set(PROFESSIONS) - {"referring_physician"}


@pytest.mark.parametrize("locale", LOCALES)
def test_the_types_of_documents_are_called_as_documents_calls_them(locale: str) -> None:
    rows = list(csv.DictReader(TYPES.read_text(encoding="utf-8").splitlines()))
    assert catalogue(locale)["document_types"] == {row["slug"]: row[locale] for row in rows}


@pytest.mark.parametrize("locale", LOCALES)
def test_the_sentences_of_all_languages_have_the_same_places(locale: str) -> None:
    def places(words: Any) -> Any:
        if isinstance(words, dict):
            return {name: places(part) for name, part in words.items() if name != "actions"}
        return sorted(name for _, name, _, _ in Formatter().parse(words) if name is not None)

    assert places(catalogue(locale)["traces"]) == places(catalogue("en")["traces"])


@pytest.mark.parametrize("locale", LOCALES)
def test_every_action_on_every_ground_with_every_outcome_in_every_capacity_is_a_sentence(locale: str) -> None:
    capacities = ("professional", "patient", "agent", "machine", None)
    outcomes = [("allowed", None), ("refused", "record_not_found"), ("refused", "of_no_catalogue")]
    for action, ground, (outcome, reason), capacity in itertools.product(
        sorted(ACTIONS), (*GROUNDS, None), outcomes, capacities
    ):
        said = text(locale, action=action, ground=ground, outcome=outcome, reason=reason, capacity=capacity,
                    name=None, software=None)  # fmt: skip
        assert trace_words.UNKNOWN not in said and "None" not in said and "{" not in said, said
        assert said.endswith(".") and not CODE.search(said), said


@pytest.mark.parametrize("locale", LOCALES)
def test_a_refusal_is_told_as_one_with_its_reason(locale: str) -> None:
    done, refused = text(locale), text(locale, outcome="refused", reason="document_not_found")
    reason = catalogue(locale)["problems"]["document_not_found"]["title"]
    assert reason in refused and reason not in done
    assert len(STATUS) and catalogue(locale)["traces"]["no_reason"] in text(locale, outcome="refused", reason="other")


def test_a_sentence_says_who_what_which_document_why_and_through_which_software() -> None:
    assert text("en") == (
        "Opening of a document (Laboratory results) – SCHMIT Léa, Physician, Cabinet du Parc. Ground: presence of the"
        " patient, presence code entered. Software: praxis/4.2."
    )
    assert text("de", outcome="refused", reason="document_not_found", document_type=None, ground=None) == (
        "Öffnen eines Dokuments – SCHMIT Léa, Arzt, Cabinet du Parc. Abgelehnt: Dokument nicht gefunden."
        " Software: praxis/4.2."
    )


def test_a_representative_is_told_from_the_holder() -> None:
    as_holder = trace_words.who(entry(capacity="patient", ground="holder", profession=None), "fr")
    as_parent = trace_words.who(entry(capacity="patient", ground="legal_representative", profession=None), "fr")
    assert (as_holder, as_parent) == (
        "SCHMIT Léa (titulaire), Cabinet du Parc", "SCHMIT Léa (représentant légal), Cabinet du Parc",
    )  # fmt: skip


@pytest.mark.parametrize(("capacity", "request_id", "who"), [
    ("agent", "x", "An agent of the agency"), ("machine", "x", "A software"),
    (None, "x", "Somebody who was not logged in"), (None, None, "The platform itself"),
    ("professional", "x", "A health professional"),
])  # fmt: skip
def test_who_has_no_name_is_called_by_what_they_are(capacity: str | None, request_id: str | None, who: str) -> None:
    nobody = entry(capacity=capacity, request_id=request_id, name=None, profession=None, establishment_name=None)
    assert trace_words.who(nobody, "en") == who


def test_a_line_of_a_chronology_is_in_words_too() -> None:
    line = {
        **entry(), "grounds": ["circle", "presence"], "did": [{"action": "document.opened", "times": 2, "refused": 0}],
    }  # fmt: skip
    said = trace_words.line_in_words(line, "fr")
    assert said["who"] == "SCHMIT Léa, Médecin, Cabinet du Parc"
    assert said["grounds_text"] == ["cercle de confiance", "présence du patient, code de présence saisi"]
    assert said["did"] == [{"action": "document.opened", "times": 2, "refused": 0, "text": "Ouverture d'un document"}]
