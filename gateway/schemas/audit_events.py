"""Shapes of AuditEvents, their bundle and the CapabilityStatement, and the parameters of their search (ITI-81)."""

from __future__ import annotations

from typing import Any, Final

from gateway.fhir import FHIR_JSON, VERSION, content
from gateway.forms import FORM as FORM_KIND
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.audit.contract import PAGE_LIMIT

_BASE = "https://dsp.example"
_PLATFORM = {"type": "Device", "identifier": {"system": "urn:ietf:rfc:3986", "value": _BASE}, "display": "OpenDSP"}
_CODES = "http://terminology.hl7.org/CodeSystem"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}

_EXAMPLE: dict[str, Any] = {
    "resourceType": "AuditEvent",
    "id": ID,
    "meta": {"profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"]},
    "type": {"system": f"{_CODES}/audit-event-type", "code": "rest", "display": "RESTful Operation"},
    "subtype": [
        {"system": "http://hl7.org/fhir/restful-interaction", "code": "read", "display": "read"},
        {"system": "urn:dsp:action", "code": "document.opened"},
    ],
    "action": "R",
    "recorded": TIME,
    "outcome": "0",
    "agent": [
        {
            "type": {"coding": [{"system": f"{_CODES}/v3-ParticipationType", "code": "IRCP"}]},
            "who": {"reference": f"Practitioner/{OTHER_ID}", "display": "MÜLLER Anne"},
            "requestor": True,
            "policy": ["urn:dsp:rule:mandate/presence"],
        },
        {
            "type": {"coding": [{"system": _DCM, "code": "110152"}]},
            "who": {"display": "praxis/4.2"},
            "requestor": False,
            "network": _MASKED,
        },
        {
            "type": {"coding": [{"system": _DCM, "code": "110153"}]},
            "who": _PLATFORM,
            "requestor": False,
            "network": {"address": f"{_BASE}/fhir", "type": "5"},
        },
    ],
    "source": {"site": "documents", "observer": _PLATFORM},
    "entity": [
        {
            "what": {"reference": f"Patient/{OTHER_ID}"},
            "type": {"system": f"{_CODES}/audit-entity-type", "code": "1"},
            "role": {"system": f"{_CODES}/object-role", "code": "1"},
        },
        {
            "what": {"reference": f"DocumentReference/{ID}", "type": "DocumentReference"},
            "type": {"system": f"{_CODES}/audit-entity-type", "code": "2"},
            "role": {"system": f"{_CODES}/object-role", "code": "4"},
        },
    ],
}

EVENT: Final = content("FHIR R4 AuditEvent, in a pattern of IHE BALP 1.1.4 where `meta.profile` names one.", _EXAMPLE)

BUNDLE: Final = content(
    "FHIR R4 Bundle of the kind searchset, without a total.",
    {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": f"{_BASE}/fhir/AuditEvent?patient=Patient/{OTHER_ID}&date=ge2026-11-01"}],
        "entry": [
            {"fullUrl": f"{_BASE}/fhir/AuditEvent/{ID}", "resource": _EXAMPLE, "search": {"mode": "match"}},
        ],
    },
)

_SEARCH: Final[dict[str, tuple[str, str, str]]] = {
    "patient": ("reference", f"Patient/{OTHER_ID}", "Whose record; a patient's own where it is not said."),
    "agent": (
        "reference",
        f"Practitioner/{OTHER_ID}",
        "Who acted: a Practitioner, a Patient, or at which Organization.",
    ),
    "entity": ("reference", f"DocumentReference/{ID}", "On what."),
    "date": ("date", "ge2026-11-01", "When; twice for a period. eq, ge, gt, le, lt, sa, eb."),
    "type": ("token", "rest", "The kind of event."),
    "subtype": ("token", "urn:dsp:action|document.opened", "What was done, in the words of FHIR, DICOM or our own."),
    "action": ("token", "R", "C, R, U, D or E."),
    "outcome": ("token", "8", "0 done, 4 not done, 8 refused."),
}
_PAGING: Final = {
    "_count": (f"How many at most, {PAGE_LIMIT} at the most; 50 where it is not said.", "20"),
    "_cursor": ("Where a page begins, as the `next` link has it.", "MjAyNi0xMS0yMVQ…"),
}

PARAMETERS: Final[tuple[dict[str, Any], ...]] = tuple(
    {"in": "query", "name": name, "description": words, "schema": {"type": "string"}, "example": example}
    for name, words, example in (
        *((name, words, example) for name, (_, example, words) in _SEARCH.items()),
        *((name, *said) for name, said in _PAGING.items()),
    )
)

FORM: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        FORM_KIND: {
            "schema": {
                "type": "object",
                "properties": {
                    each["name"]: {**each["schema"], "description": each["description"]} for each in PARAMETERS
                },
            },
            "example": {"patient": f"Patient/{OTHER_ID}", "date": "ge2026-11-01"},
        }
    },
}


def capabilities(base: str) -> dict[str, Any]:
    """The CapabilityStatement: what is there of FHIR, and how to be let in."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-21",
        "kind": "instance",
        "software": {"name": "OpenDSP"},
        "implementation": {"description": "OpenDSP", "url": f"{base}/fhir"},
        "fhirVersion": VERSION,
        "format": [FHIR_JSON],
        "implementationGuide": ["https://profiles.ihe.net/ITI/BALP/ImplementationGuide/ihe.iti.balp"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "service": [
                        {
                            "coding": [
                                {"system": f"{_CODES}/restful-security-service", "code": "SMART-on-FHIR"},
                            ]
                        }
                    ]
                },
                "resource": [
                    {
                        "type": "AuditEvent",
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "searchParam": [
                            {"name": name, "type": kind, "documentation": words}
                            for name, (kind, _, words) in _SEARCH.items()
                        ],
                    }
                ],
            }
        ],
    }


CAPABILITIES: Final = content("FHIR R4 CapabilityStatement.", capabilities(_BASE))
