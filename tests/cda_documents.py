"""CDA documents with coded entries, as tests want them."""

from __future__ import annotations

SNOMED, ICD10, LOINC, ATC = (
    "2.16.840.1.113883.6.96", "2.16.840.1.113883.6.3", "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.73",
)  # fmt: skip
PROBLEMS, ALLERGIES, RISKS = "11450-4", "48765-2", "29762-2"


def cda(*sections: str) -> bytes:
    """A CDA R2 document of these sections."""
    body = "".join(f"<component>{section}</component>" for section in sections)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><typeId root="2.16.840.1.113883.1.3"'
        ' extension="POCD_HD000040"/><code code="60591-5"/><title>Volet</title><component><structuredBody>'
        f"{body}</structuredBody></component></ClinicalDocument>"
    ).encode()


def section(code: str, *entries: str, text: str = "") -> str:
    """A section by its LOINC code, with coded entries and a narrative."""
    told = "".join(f"<entry>{entry}</entry>" for entry in entries)
    return f'<section><code code="{code}" codeSystem="{LOINC}"/><title>x</title><text>{text}</text>{told}</section>'


def problem(
    code: str, name: str, since: str = "", *, denied: bool = False, inside: str = "", system: str = ICD10
) -> str:
    """A problem in the act that follows it up."""
    return (
        f'<act classCode="ACT" moodCode="EVN"><code nullFlavor="NA"/><statusCode code="active"/>'
        f'<entryRelationship typeCode="SUBJ">{_observed(code, name, since, denied, inside, system)}'
        "</entryRelationship></act>"
    )


def _observed(code: str, name: str, since: str, denied: bool, inside: str, system: str) -> str:
    low = f'<low value="{since}"/>' if since else '<low nullFlavor="UNK"/>'
    return (
        f'<observation classCode="OBS" moodCode="EVN" negationInd="{str(denied).lower()}">'
        f'<code code="282291009" displayName="diagnostic" codeSystem="{SNOMED}"/><statusCode code="completed"/>'
        f'<effectiveTime>{low}</effectiveTime><value xsi:type="CD" code="{code}" displayName="{name}"'
        f' codeSystem="{system}"/>{inside}</observation>'
    )


def allergy(agent: str, name: str, since: str = "") -> str:
    """An allergy to an agent."""
    low = f'<low value="{since}"/>' if since else '<low nullFlavor="UNK"/>'
    return (
        '<act classCode="ACT" moodCode="EVN"><statusCode code="active"/><entryRelationship typeCode="SUBJ">'
        '<observation classCode="OBS" moodCode="EVN"><code code="416098002" displayName="allergie médicamenteuse"'
        f' codeSystem="{SNOMED}"/><effectiveTime>{low}</effectiveTime><value xsi:type="CD"/>'
        '<participant typeCode="CSM"><participantRole classCode="MANU"><playingEntity classCode="MMAT">'
        f'<code code="{agent}" displayName="{name}" codeSystem="{ATC}"/></playingEntity></participantRole>'
        "</participant></observation></entryRelationship></act>"
    )


def factor(code: str, name: str, value: str) -> str:
    """A way of life, with its value."""
    return (
        f'<observation classCode="OBS" moodCode="EVN"><code code="{code}" displayName="{name}" codeSystem="{LOINC}"/>'
        f'<statusCode code="completed"/><effectiveTime nullFlavor="NA"/>{value}</observation>'
    )
