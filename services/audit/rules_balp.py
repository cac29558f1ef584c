"""An entry as a FHIR R4 AuditEvent, in the patterns of IHE BALP 1.1.4 [3:5.7]: ids and codes, no names.

What was done is a pattern (create, read, update, delete, query, disclosure); a refusal of access is the decision of an
authorization, and every other failure keeps its pattern with the outcome of a minor failure. A pattern is named in
`meta.profile` only where the event fulfils all of it. From which address somebody came is masked, as in every view of
the history, and how much an answer showed is not said at all.
Pure: no I/O, no clock.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from services.audit.rules_balp_codes import (
    AUTHORIZATION,
    CONSENT,
    GROUND_PURPOSES,
    HL7,
    OWN,
    PATTERNS,
    PERSON,
    PROFILE,
    PURPOSES,
    REFERRED,
    REQUEST_ID,
    REST,
    REST_OBJECT,
    SYSTEM_OBJECT,
    Code,
    Pattern,
    authentication,
    extra,
    of_action,
    resource_of,
)
from services.audit.rules_catalogue import CATALOGUE

Shape = Literal["done", "failed", "denied"]
"""Done as asked; not done, whoever asked; refused because nothing lets them."""

SHAPES: Final[tuple[Shape, ...]] = ("done", "failed", "denied")
OUTCOMES: Final[dict[Shape, str]] = {"done": "0", "failed": "4", "denied": "8"}
"""FHIR's outcome of each: success, minor failure, serious failure [FHIR R4 audit-event-outcome]."""

Resource = dict[str, Any]
Facts = Mapping[str, Any]
Token = tuple[str | None, str]


def shape_of(outcome: str, reason: str | None, record_id: str | None) -> Shape:
    """Returns how it went: `denied` where access to a record was."""
    if outcome == "allowed":
        return "done"
    return "denied" if record_id is not None and reason in AUTHORIZATION else "failed"


def audit_event(entry: Facts, base: str, patient_id: str | None) -> Resource:
    """Returns an entry as an AuditEvent; only what is known is in it.

    entry: as it travels. base: the public address of the platform. patient_id: whose record it is about, None where
    it is about none.
    """
    shape = shape_of(entry["outcome"], entry["reason"], entry["record_id"])
    pattern = PATTERNS["denied" if shape == "denied" else of_action(entry["action"])]
    entities = _entities(entry, pattern, patient_id)
    agents = _agents(entry, pattern, base)
    profile = _profile(entry, pattern, shape, patient_id)
    purpose = GROUND_PURPOSES.get(entry["ground"] or "")
    return {
        "resourceType": "AuditEvent",
        "id": entry["entry_id"],
        **({"meta": {"profile": [profile]}} if profile else {}),
        "type": type_of(entry["action"], shape).coding(),
        "subtype": [code.coding() for code in subtypes_of(entry["action"], shape)],
        "action": action_of(entry["action"], shape),
        "recorded": entry["at"],
        "outcome": OUTCOMES[shape],
        **({"outcomeDesc": entry["reason"]} if entry["reason"] else {}),
        **({"purposeOfEvent": [{"coding": [purpose.coding()]}]} if purpose else {}),
        "agent": agents,
        "source": {
            **({"site": entry["source"]} if entry["source"] else {}),
            "observer": _platform(base),
            "type": [HL7("security-source-type", pattern.source).coding()],
        },
        **({"entity": entities} if entities else {}),
    }


# --- what may be asked for --------------------------------------------------------------------------------------------


def type_of(action: str, shape: Shape) -> Code:
    """Returns `AuditEvent.type` of an action that went so."""
    if shape == "denied":
        return PATTERNS["denied"].type
    return PATTERNS[of_action(action)].type


def subtypes_of(action: str, shape: Shape) -> tuple[Code, ...]:
    """Returns `AuditEvent.subtype`: the pattern's own, then DICOM's where it has one, then our own word."""
    pattern = PATTERNS["denied" if shape == "denied" else of_action(action)]
    return (*pattern.subtypes, *extra(action), OWN("action", action))


def action_of(action: str, shape: Shape) -> str:
    """Returns `AuditEvent.action`: C, R, U, D or E."""
    return PATTERNS["denied" if shape == "denied" else of_action(action)].action


def selected(
    *,
    types: Sequence[Token] = (),
    subtypes: Sequence[Token] = (),
    actions: Sequence[str] = (),
    outcomes: Sequence[str] = (),
) -> dict[Shape, list[str]]:
    """Returns which actions a search is for, by how they went: every filter holds, of each any one value.

    types, subtypes: tokens as system and code; a system of None is any [FHIR R4 3.1.1.4.10]. A filter without values
    is none.
    """
    return {
        shape: [
            name
            for name in sorted(CATALOGUE)
            if _is_one((type_of(name, shape),), types)
            and _is_one(subtypes_of(name, shape), subtypes)
            and (not actions or action_of(name, shape) in actions)
        ]
        if not outcomes or OUTCOMES[shape] in outcomes
        else []
        for shape in SHAPES
    }


def _is_one(codes: Iterable[Code], tokens: Sequence[Token]) -> bool:
    return not tokens or any(code.is_token(*token) for code in codes for token in tokens)


# --- who --------------------------------------------------------------------------------------------------------------


def _agents(entry: Facts, pattern: Pattern, base: str) -> list[Resource]:
    user = _user(entry, pattern)
    client = {
        "type": pattern.client.concept(),
        "who": {"display": entry["software"]} if entry["software"] else _absent("unknown"),
        "requestor": user is None,
        "network": _absent("masked"),
    }
    server: Resource = {"type": pattern.server.concept(), "who": _platform(base), "requestor": False}
    if pattern.name != "denied":
        server["network"] = {"address": f"{base}/fhir", "type": "5"}
    place: Resource | None = None
    if entry["establishment_id"]:
        place = {
            "type": HL7("v3-RoleClass", "PROV").concept(),
            "who": {"reference": f"Organization/{entry['establishment_id']}"},
            "requestor": False,
        }
    return [each for each in (user, place, client, server) if each is not None]


def _user(entry: Facts, pattern: Pattern) -> Resource | None:
    """The person who acted, on whose right, and what for; None where nobody did: a timer, or software alone."""
    who = _person(entry)
    if who is None:
        return None
    roles = [
        {"coding": [OWN(kind, entry[kind]).coding()]} for kind in ("capacity", "profession", "ground") if entry[kind]
    ]
    purpose = PURPOSES.get(entry["purpose"] or "")
    return {
        "type": pattern.user.concept(),
        **({"role": roles} if roles else {}),
        "who": who,
        "requestor": True,
        **({"policy": [f"urn:dsp:rule:{entry['rule']}"]} if entry["rule"] else {}),
        **({"purposeOfUse": [{"coding": [purpose.coding()]}]} if purpose else {}),
    }


def _person(entry: Facts) -> Resource | None:
    if entry["professional_id"]:
        return {"reference": f"Practitioner/{entry['professional_id']}"}
    if entry["patient_id"]:
        return {"reference": f"Patient/{entry['patient_id']}"}
    if entry["account_id"] and entry["capacity"] != "machine":
        return {"type": "Person", "identifier": _uuid(entry["account_id"])}
    return None


def _platform(base: str) -> Resource:
    return {"type": "Device", "identifier": {"system": "urn:ietf:rfc:3986", "value": base}, "display": "OpenDSP"}


def _absent(why: str) -> Resource:
    return {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": why}]}


def _uuid(value: str) -> Resource:
    return {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{value}"}


# --- on what ----------------------------------------------------------------------------------------------------------


def _entities(entry: Facts, pattern: Pattern, patient_id: str | None) -> list[Resource]:
    found: list[Resource] = []
    if patient_id is not None:
        patient = {"reference": f"Patient/{patient_id}"}
        found.append({"what": patient, "type": PERSON.coding(), "role": HL7("object-role", "1").coding()})
    if pattern.name == "denied":
        found.append({"what": _thing(entry["record_id"], "Consent"), "type": CONSENT.coding()})
        return found  # nothing else may stand there [BALP AuthZconsent, entity closed]
    if pattern.name == "query":
        asked = f"{resource_of(entry['action'])}{'?patient=' + patient_id if patient_id else ''}"
        query = b64encode(asked.encode()).decode()
        role = HL7("object-role", "24").coding()
        found.append({"type": SYSTEM_OBJECT.coding(), "role": role, "description": asked, "query": query})
    else:
        what = _object(entry)
        if what is not None:
            found.append({"what": what, "type": SYSTEM_OBJECT.coding(), "role": REST_OBJECT.coding()})
    if entry["request_id"]:
        request = {"identifier": {"value": entry["request_id"]}}
        found.append({"what": request, "type": REQUEST_ID.coding()})
    return found


def _object(entry: Facts) -> Resource | None:
    """The thing itself; where an entry names none, the record, or the account, that it is about."""
    if entry["object_id"]:
        return _thing(entry["object_id"], resource_of(entry["action"], entry["object_type"]))
    if entry["record_id"]:
        return _thing(entry["record_id"], resource_of(entry["action"], entry["object_type"]))
    return _thing(entry["account_id"], "Person") if entry["account_id"] else None


def _thing(id_: str, kind: str) -> Resource:
    reference = {"reference": f"{kind}/{id_}"} if kind in REFERRED else {}
    return {**reference, "type": kind, "identifier": _uuid(id_)}


# --- which pattern ----------------------------------------------------------------------------------------------------


def _profile(entry: Facts, pattern: Pattern, shape: Shape, patient_id: str | None) -> str | None:
    """The BALP pattern that the event fulfils whole; None where it follows one but for a part it cannot have."""
    if shape == "failed" or pattern.profile is None or authentication(entry["action"]):
        return None
    if shape == "denied":
        whole = patient_id is not None and _person(entry) is not None and entry["establishment_id"] is not None
        return f"{PROFILE}.{pattern.profile}" if whole else None
    if pattern.name == "disclosure":
        return f"{PROFILE}.{pattern.profile}" if patient_id is not None else None
    if pattern.type != REST or (pattern.name != "query" and _object(entry) is None):
        return None
    return f"{PROFILE}.{'Patient' if patient_id is not None else ''}{pattern.profile}"
