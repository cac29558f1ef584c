"""An entry as the message that an ATNA audit repository takes: DICOM's audit message in XML [PS3.15 A.5], in a syslog
message [RFC 5424], framed for a stream [RFC 5425 4.3]. The same patterns and codes as its AuditEvent.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from services.audit.rules_balp import OUTCOMES, action_of, shape_of, subtypes_of, type_of
from services.audit.rules_balp_codes import DICOM, PATTERNS, REST, Code, of_action, resource_of

PRIORITY: Final = 85
"""Facility 10 (security), severity 5 (notice), as DICOM and IHE want it [PS3.15 A.6]."""

MESSAGE_ID: Final = "DICOM+RFC3881"
APPLICATION: Final = "opendsp-audit"
UTF_8: Final = b"\xef\xbb\xbf"  # the mark that the text is UTF-8 [RFC 5424 6.4]
SEQUENCE: Final = 2**31 - 1

Facts = Mapping[str, Any]


def frame(entry: Facts, position: int, host: str) -> bytes:
    """Returns an entry as one message of a stream. position: in the log; it numbers the messages, from 1 to 2^31-1."""
    text = message(entry, position, host)
    return b"%d %b" % (len(text), text)


def message(entry: Facts, position: int, host: str) -> bytes:
    """Returns the syslog message: a repeated one has the number of the first."""
    at = _moment(entry["at"])
    numbered = f'[meta sequenceId="{position % SEQUENCE + 1}"]'
    head = f"<{PRIORITY}>1 {at} {_token(host, 255)} {APPLICATION} - {MESSAGE_ID} {numbered} "
    return head.encode() + UTF_8 + audit_message(entry, host)


def audit_message(entry: Facts, host: str) -> bytes:
    """Returns DICOM's audit message of an entry: ids and codes, no names."""
    shape = shape_of(entry["outcome"], entry["reason"], entry["record_id"])
    root = Element("AuditMessage")
    event = SubElement(
        root, "EventIdentification", EventActionCode=action_of(entry["action"], shape),
        EventDateTime=_moment(entry["at"]), EventOutcomeIndicator=OUTCOMES[shape],
    )  # fmt: skip
    _code(event, "EventID", type_of(entry["action"], shape))
    for code in subtypes_of(entry["action"], shape):
        _code(event, "EventTypeCode", code)
    if entry["reason"]:
        SubElement(event, "EventOutcomeDescription").text = entry["reason"]
    _participants(root, entry, host)
    source = SubElement(root, "AuditSourceIdentification", AuditEnterpriseSiteID=host, AuditSourceID=entry["source"])
    SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})
    _objects(root, entry)
    return tostring(root, encoding="unicode").encode()


def _participants(root: Element, entry: Facts, host: str) -> None:
    pattern = PATTERNS[of_action(entry["action"])]
    person = entry["professional_id"] or entry["patient_id"] or entry["account_id"]
    near = {"NetworkAccessPointID": entry["address"], "NetworkAccessPointTypeCode": "2"} if entry["address"] else {}
    if person is not None:
        user = SubElement(root, "ActiveParticipant", {"UserID": person, "UserIsRequestor": "true", **near})
        if entry["account_id"] and entry["account_id"] != person:
            user.set("AlternativeUserID", entry["account_id"])
        for kind in ("capacity", "profession", "ground"):
            if entry[kind]:
                _code(user, "RoleIDCode", Code(f"urn:dsp:{kind}", entry[kind]))
    if entry["establishment_id"]:
        place = {"UserID": entry["establishment_id"], "UserIsRequestor": "false"}
        _code(SubElement(root, "ActiveParticipant", place), "RoleIDCode", Code("urn:dsp:agent", "establishment"))
    sender = {"UserID": entry["software"] or "-", "UserIsRequestor": "false" if person is not None else "true", **near}
    _code(SubElement(root, "ActiveParticipant", sender), "RoleIDCode", pattern.client)
    platform = {"UserID": host, "UserIsRequestor": "false", "NetworkAccessPointID": host,
                "NetworkAccessPointTypeCode": "1"}  # fmt: skip
    _code(SubElement(root, "ActiveParticipant", platform), "RoleIDCode", pattern.server)


def _objects(root: Element, entry: Facts) -> None:
    """The record, and the thing itself where an entry names one; each by our own id."""
    if entry["record_id"]:
        _object(root, entry["record_id"], "1", "1", Code("urn:dsp:object", "record"))
    if entry["object_id"]:
        kind = entry["object_type"] or resource_of(entry["action"])
        _object(root, entry["object_id"], "2", "4", Code("urn:dsp:object", kind))
    if entry["request_id"]:
        _object(root, entry["request_id"], "4", "20", Code("urn:dsp:object", "request"))


def _object(root: Element, id_: str, kind: str, role: str, code: Code) -> None:
    found = SubElement(
        root, "ParticipantObjectIdentification", ParticipantObjectID=id_, ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )  # fmt: skip
    _code(found, "ParticipantObjectIDTypeCode", code)


def _code(parent: Element, name: str, code: Code) -> None:
    system = {DICOM: "DCM", REST.system: "audit-event-type"}.get(code.system, code.system)
    words = code.display or code.code
    SubElement(parent, name, {"csd-code": code.code, "codeSystemName": system, "originalText": words})


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _token(text: str, most: int) -> str:
    return "".join(letter for letter in text if "!" <= letter <= "~")[:most] or "-"
