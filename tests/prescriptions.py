"""CDA prescriptions for tests, made here: as many lines as a test asks for."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

_HL7 = "urn:hl7-org:v3"


def medicine(
    name: str, quantity: str | None = "2", *, renewals: int | None = None, unit: str = "", code: str = ""
) -> str:
    """An entry that prescribes a medicine, as IHE PRE has it."""
    attributes = f'code="{code}" codeSystem="1.2.3"' if code else 'nullFlavor="NA"'
    supply = "" if quantity is None else (
        f'<entryRelationship typeCode="COMP"><supply classCode="SPLY" moodCode="RQO">'
        f"<quantity value={quoteattr(quantity)} unit={quoteattr(unit)}/></supply></entryRelationship>"
    )  # fmt: skip
    again = "" if renewals is None else f'<repeatNumber value="{renewals}"/>'
    return (
        f'<entry><substanceAdministration classCode="SBADM" moodCode="INT">{again}<consumable><manufacturedProduct>'
        f"<manufacturedMaterial><code {attributes}/><name>{escape(name)}</name></manufacturedMaterial>"
        f"</manufacturedProduct></consumable>{supply}</substanceAdministration></entry>"
    )


def device(words: str, quantity: str = "1") -> str:
    """An entry that prescribes a device, named by its code alone."""
    return (
        f'<entry><supply classCode="SPLY" moodCode="INT"><quantity value="{quantity}"/><participant typeCode="DEV">'
        f'<participantRole><playingDevice><code code="V08" codeSystem="1.2.4" displayName="LITS">'
        f'<translation code="121" codeSystem="1.2.5" displayName={quoteattr(words)}/></code></playingDevice>'
        f"</participantRole></participant></supply></entry>"
    )


def section(*entries: str, code: str = "57828-6", narrative: str = "") -> str:
    return (
        f'<component><section><code code="{code}" codeSystem="2.16.840.1.113883.6.1"/><title>Prescription</title>'
        f"<text>{narrative}</text>{''.join(entries)}</section></component>"
    )


def cda(*sections: str, until: str | None = None, service: str = "57833-6") -> bytes:
    """A whole document; until: YYYYMMDD, the last day of the prescription."""
    valid = "" if until is None else (
        f'<documentationOf><serviceEvent><code code="{service}"/><effectiveTime><low value="20261101"/>'
        f'<high value="{until}"/></effectiveTime></serviceEvent></documentationOf>'
    )  # fmt: skip
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="{_HL7}"><code code="57833-6"/>{valid}'
        f"<component><structuredBody>{''.join(sections)}</structuredBody></component></ClinicalDocument>"
    ).encode()
