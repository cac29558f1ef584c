"""Every entry is a FHIR R4 AuditEvent, and fulfils the BALP pattern that it names: held to both, action by action."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from services.audit.contract import ACTIONS
from services.audit.rules_balp import (
    OUTCOMES,
    SHAPES,
    Shape,
    action_of,
    audit_event,
    selected,
    shape_of,
    subtypes_of,
    type_of,
)
from services.audit.rules_balp_codes import AUTHORIZATION, GROUND_PURPOSES, PROFILE, of_action
from services.dossier.contract import GROUNDS
from services.identity.contract import PURPOSES_OF_USE

BASE = "https://dsp.example"
PATIENT = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e09"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem"
INTERACTION = "http://hl7.org/fhir/restful-interaction"

ENTRY: dict[str, Any] = {
    "entry_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "at": "2026-11-21T16:00:00.123456Z",
    "action": "document.opened", "outcome": "allowed", "reason": None, "capacity": "professional",
    "account_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02", "patient_id": None, "profession": "physician",
    "professional_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e03",
    "establishment_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e04",
    "record_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e05", "object_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e06",
    "object_type": "document", "ground": "circle", "rule": "circle/physician", "purpose": "TREAT",
    "software": "praxis/4.2", "request_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e07", "source": "documents", "count": 3,
}  # fmt: skip
NOBODY = dict.fromkeys((
    "account_id", "capacity", "professional_id", "profession", "establishment_id", "ground", "rule", "purpose",
    "software", "request_id",
))  # fmt: skip
ACTORS: dict[str, dict[str, Any]] = {
    "professional": {},
    "holder": {"capacity": "patient", "professional_id": None, "profession": None, "establishment_id": None,
               "patient_id": PATIENT, "ground": "holder", "rule": "holder"},
    "agent": {"capacity": "agent", "professional_id": None, "profession": None, "establishment_id": None,
              "ground": None, "rule": None},
    "software": {"capacity": "machine", "professional_id": None, "profession": None},
    "timer": NOBODY,
}  # fmt: skip
ENDS: dict[str, dict[str, Any]] = {
    "done": {},
    "denied": {"outcome": "refused", "reason": "record_not_found"},
    "failed": {"outcome": "refused", "reason": "removal_under_way"},
}
OBJECTS: dict[str, dict[str, Any]] = {
    "document": {},
    "record alone": {"object_id": None, "object_type": None},
    "nothing": {"object_id": None, "object_type": None, "record_id": None},
}


def entries() -> Iterator[dict[str, Any]]:
    """One of each action; and of one action of each pattern, everybody, every end and every object."""
    known: set[str] = set()
    for action in sorted(ACTIONS):
        yield {**ENTRY, "action": action}
        if of_action(action) not in known:
            known.add(of_action(action))
            for actor, end, about in product(ACTORS.values(), ENDS.values(), OBJECTS.values()):
                yield {**ENTRY, "action": action, **actor, **end, **about}


def event(**changes: Any) -> dict[str, Any]:
    given = {**ENTRY, **changes}
    return audit_event(given, BASE, PATIENT if given["record_id"] else None)


# --- the patterns as BALP 1.1.4 states them: agents and entities by their types, what each must and may not have ------

CLIENT = {"read": (DCM, "110152"), "delete": (DCM, "110150")}
SERVER = {"read": (DCM, "110153"), "delete": (f"{HL7}/provenance-participant-type", "custodian")}
USERS = {
    **{kind: {"IRCP"} for kind in ("read", "query")},
    **{kind: {"AUT", "INF", "CST"} for kind in ("create", "update", "delete")},
}
SUBTYPES = {
    "create": {"create"}, "read": {"read", "vread"}, "update": {"update", "patch"}, "delete": {"delete"},
    "query": {"search", "search-type", "search-system"},
}  # fmt: skip
ACTION = {"create": "C", "read": "R", "update": "U", "delete": "D", "query": "E"}


def of_type(found: list[dict[str, Any]], system: str, code: str) -> list[dict[str, Any]]:
    return [each for each in found if (system, code) in codes(each["type"])]


def codes(type_: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["system"], each["code"]) for each in type_.get("coding", [type_])}


def one(found: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(found) == 1, found
    return found[0]


def users(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [agent for agent in event["agent"] if any(system == f"{HL7}/v3-ParticipationType"
            for system, _ in codes(agent["type"]))]  # fmt: skip


def fulfils_rest(event: dict[str, Any], name: str) -> None:
    kind = name.removeprefix("Patient").lower()
    assert codes(event["type"]) == {(f"{HL7}/audit-event-type", "rest")}
    assert {code["code"] for code in event["subtype"] if code["system"] == INTERACTION} <= SUBTYPES[kind]
    assert len([code for code in event["subtype"] if code["system"] == INTERACTION]) == 1
    assert (event["action"], event["outcome"]) == (ACTION[kind], "0")
    client = one(of_type(event["agent"], *CLIENT.get(kind, (DCM, "110153"))))
    server = one(of_type(event["agent"], *SERVER.get(kind, (DCM, "110152"))))
    for machine in (client, server):
        assert machine["who"] and machine["network"] and "media" not in machine
    assert len(users(event)) <= 1
    for user in users(event):
        assert {code for _, code in codes(user["type"])} <= USERS[kind]
        assert user["who"] and user["requestor"] is True and not {"media", "network"} & user.keys()
    data = one(of_type(event["entity"], f"{HL7}/audit-entity-type", "2"))
    if kind == "query":
        assert data["role"]["code"] == "24" and data["query"]
        assert not {"what", "lifecycle", "detail"} & data.keys()
    else:
        assert data["role"]["code"] in ("4", "3", "20") and data["what"]
    if name.startswith("Patient"):
        fulfils_patient(event)
    for request in of_type(event["entity"], "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                           "XrequestId"):  # fmt: skip
        assert request["what"]["identifier"]["value"]


def fulfils_patient(event: dict[str, Any]) -> None:
    patient = one(of_type(event["entity"], f"{HL7}/audit-entity-type", "1"))
    assert patient["role"]["code"] == "1"
    assert patient["what"]["reference"].startswith("Patient/")


def fulfils_disclosure(event: dict[str, Any], _name: str) -> None:
    assert codes(event["type"]) == {(DCM, "110106")}
    assert (f"{HL7}/iso-21089-lifecycle", "disclose") in {(c["system"], c["code"]) for c in event["subtype"]}
    assert event["action"] == "R" and event["outcome"] == "0"
    source = one(of_type(event["agent"], DCM, "110153"))
    assert source["who"] == event["source"]["observer"] and source["network"]
    recipient = one(of_type(event["agent"], DCM, "110152"))
    assert recipient["who"] and recipient["network"]
    assert len(event["entity"]) >= 2
    fulfils_patient(event)


def fulfils_decision(event: dict[str, Any], _name: str) -> None:
    assert codes(event["type"]) == {(DCM, "110113")}
    assert "AuthZ-Consent" in {code["code"] for code in event["subtype"]}
    assert event["action"] == "E" and event["outcome"] == "8" and event["outcomeDesc"]
    client = one(of_type(event["agent"], DCM, "110150"))
    assert client["who"] and client["network"]
    assert not {"role", "altId", "name", "location", "media", "purposeOfUse"} & client.keys()
    user = one(of_type(event["agent"], f"{HL7}/v3-ParticipationType", "IRCP"))
    assert user["who"] and user["requestor"] is True
    assert not {"altId", "location", "media", "network"} & user.keys()
    place = one(of_type(event["agent"], f"{HL7}/v3-RoleClass", "PROV"))
    assert place["who"] and place["requestor"] is False
    assert not {"role", "altId", "name", "location", "policy", "media", "network"} & place.keys()
    decider = one(of_type(event["agent"], f"{HL7}/extra-security-role-type", "authserver"))
    assert decider["who"] == event["source"]["observer"] and decider["requestor"] is False
    assert not {"role", "altId", "name", "location", "policy", "media", "network"} & decider.keys()
    fulfils_patient(event)
    consents = of_type(event["entity"], "http://hl7.org/fhir/resource-types", "Consent")
    assert consents and all(consent["what"] for consent in consents)
    assert len(event["entity"]) == 1 + len(consents), "entities are closed"


CHECKS = {
    "PrivacyDisclosure.Source": fulfils_disclosure,
    "AuthZconsent": fulfils_decision,
    **{f"{who}{kind.title()}": fulfils_rest for who in ("", "Patient") for kind in ACTION},
}


# --- every entry ------------------------------------------------------------------------------------------------------


def test_every_entry_is_an_audit_event_and_fulfils_the_pattern_it_names() -> None:
    named: set[str] = set()
    for entry in entries():
        made = audit_event(entry, BASE, PATIENT if entry["record_id"] else None)
        AuditEvent.model_validate(made)
        for profile in made.get("meta", {}).get("profile", []):
            name = profile.removeprefix(f"{PROFILE}.")
            CHECKS[name](made, name)
            named.add(name)
    assert named == set(CHECKS), "each pattern is some entry's"


def test_the_models_refuse_what_is_no_audit_event() -> None:
    for name in ("type", "recorded", "agent", "source"):
        broken = {key: value for key, value in event().items() if key != name}
        with pytest.raises(ValueError, match=name):
            AuditEvent.model_validate(broken)
    with pytest.raises(ValueError, match="requestor"):
        AuditEvent.model_validate({**event(), "agent": [{"who": {"display": "somebody"}}]})


@pytest.mark.parametrize(
    ("changes", "profile"),
    [
        ({}, "PatientRead"),
        ({"action": "document.created"}, "PatientCreate"),
        ({"action": "document.level_changed"}, "PatientUpdate"),
        ({"action": "circle.removed"}, "PatientDelete"),
        ({"action": "document.searched"}, "PatientQuery"),
        ({"action": "professional.read", "record_id": None}, "Read"),
        ({"action": "patient.searched", "record_id": None}, "Query"),
        ({"action": "record.exported"}, "PrivacyDisclosure.Source"),
        (ENDS["denied"], "AuthZconsent"),
    ],
)
def test_an_action_follows_its_pattern(changes: dict[str, Any], profile: str) -> None:
    assert event(**changes)["meta"]["profile"] == [f"{PROFILE}.{profile}"]


@pytest.mark.parametrize(
    "changes",
    [
        ENDS["failed"],  # BALP's patterns are of what succeeded
        {**ENDS["denied"], **ACTORS["holder"]},  # a decision names the organisation of who asked; a patient has none
        {"action": "session.opened", "record_id": None},
        {"action": "document.prepared"},  # an operation
    ],
)
def test_no_pattern_is_named_that_is_not_fulfilled(changes: dict[str, Any]) -> None:
    assert "meta" not in event(**changes)


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_an_event_says_nothing_of_addresses_counts_and_sessions() -> None:
    hidden = {"count": 4711_0815_4711, "address": "192.0.2.7", "session_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7eff"}
    for entry in entries():
        text = json.dumps(audit_event({**entry, **hidden}, BASE, PATIENT if entry["record_id"] else None))
        assert "471108154711" not in text and "192.0.2.7" not in text and "1f0c2b6a7eff" not in text


def test_an_event_names_who_on_whose_right_where_and_what_for() -> None:
    made = event()
    user = one(users(made))
    assert user["who"] == {"reference": f"Practitioner/{ENTRY['professional_id']}"}
    assert {c["coding"][0]["system"]: c["coding"][0]["code"] for c in user["role"]} == {
        "urn:dsp:capacity": "professional", "urn:dsp:profession": "physician", "urn:dsp:ground": "circle",
    }  # fmt: skip
    assert user["policy"] == ["urn:dsp:rule:circle/physician"]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    place = one(of_type(made["agent"], f"{HL7}/v3-RoleClass", "PROV"))
    assert place["who"] == {"reference": f"Organization/{ENTRY['establishment_id']}"}
    what = one(of_type(made["entity"], f"{HL7}/audit-entity-type", "2"))["what"]
    assert what == {
        "reference": f"DocumentReference/{ENTRY['object_id']}", "type": "DocumentReference",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{ENTRY['object_id']}"},
    }  # fmt: skip


def test_nobody_is_made_up_where_nobody_acted() -> None:
    for actor in ("software", "timer"):
        made = event(**ACTORS[actor])
        assert users(made) == []
        assert [agent["requestor"] for agent in made["agent"]].count(True) == 1


def test_the_emergency_breaks_the_glass_and_our_own_purposes_are_no_purposes_of_use() -> None:
    made = event(action="emergency.opened", ground="emergency", purpose="unconscious")
    assert made["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
    assert "110127" in {code["code"] for code in made["subtype"]}
    assert "purposeOfUse" not in one(users(made))


def test_the_words_of_the_other_services_are_known() -> None:
    assert set(GROUND_PURPOSES) == set(GROUNDS)
    for purpose in PURPOSES_OF_USE:
        assert one(users(event(purpose=purpose)))["purposeOfUse"][0]["coding"][0]["code"] == purpose


# --- what is asked for ------------------------------------------------------------------------------------------------


def matches(
    made: dict[str, Any], *, types: Any = (), subtypes: Any = (), actions: Any = (), outcomes: Any = ()
) -> bool:
    def is_one(said: list[dict[str, Any]], wanted: Any) -> bool:
        return not wanted or any(
            system in (None, code["system"]) and value in ("", code["code"])
            for code in said for system, value in wanted
        )  # fmt: skip

    return (
        is_one([made["type"]], types)
        and is_one(made["subtype"], subtypes)
        and (not actions or made["action"] in actions)
        and (not outcomes or made["outcome"] in outcomes)
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"types": [(None, "rest")]},
        {"types": [(DCM, "110113"), (None, "110106")]},
        {"types": [("urn:other", "rest")]},
        {"subtypes": [("urn:dsp:action", "document.opened")]},
        {"subtypes": [(INTERACTION, "read"), (None, "110101")]},
        {"subtypes": [(DCM, "")]},
        {"actions": ["R"]},
        {"actions": ["C", "D"], "outcomes": ["0"]},
        {"outcomes": ["4"]},
        {"outcomes": ["8"], "actions": ["E"]},
        {"outcomes": ["12"]},
    ],
)
def test_a_search_selects_the_entries_whose_events_match_it(asked: dict[str, Any]) -> None:
    chosen = selected(**asked)
    for entry in entries():
        if entry["record_id"] is None:
            continue
        shape = shape_of(entry["outcome"], entry["reason"], entry["record_id"])
        found = entry["action"] in chosen[shape]
        assert found == matches(audit_event(entry, BASE, PATIENT), **asked), (entry["action"], shape)


def test_how_it_went_is_told_by_the_outcome() -> None:
    assert [OUTCOMES[shape] for shape in SHAPES] == ["0", "4", "8"]
    shapes: list[tuple[str, str | None, Shape]] = [
        ("allowed", None, "done"), *(("refused", reason, "denied") for reason in sorted(AUTHORIZATION)),
        ("refused", "removal_under_way", "failed"),
    ]  # fmt: skip
    for outcome, reason, shape in shapes:
        assert shape_of(outcome, reason, ENTRY["record_id"]) == shape
    assert shape_of("refused", "not_allowed", None) == "failed", "a decision is about a record"
    assert type_of("log.read", "denied") != type_of("log.read", "done")
    assert (action_of("log.read", "denied"), action_of("log.read", "done")) == ("E", "R")
    assert subtypes_of("log.read", "done")[-1] == subtypes_of("log.read", "denied")[-1]
