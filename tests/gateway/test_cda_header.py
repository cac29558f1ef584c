"""The header of a CDA document, read while it comes in: in whatever pieces the same, and never further than it goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cda_header import HEAD_LIMIT, Header
from services.refusals import Refusal

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="cda.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" classCode="DOCCLIN">
  <!-- <title>none</title> -->
  <id root="1.2.3.4"/>
  <code code="34112-3" codeSystem="2.16.840.1.113883.6.1"/>
  <title>Lettre de <![CDATA[sortie]]> n&#xBA;&#160;7 &amp; suite</title>
  <effectiveTime value="20261120103000+0100"/>
  <languageCode code="fr-LU"/>
  <recordTarget><patientRole>
    <id root="1.3.182.4.4" extension="1990010112345"/><id root="1.2.250"/>
    <patient><name><given>Anne</given></name></patient>
    <providerOrganization><id root="9.9" extension="9"/></providerOrganization>
  </patientRole></recordTarget>
  <author><time value="2020"/><assignedAuthor><id root="2.25" extension="x"/></assignedAuthor></author>
  <custodian><assignedCustodian><representedCustodianOrganization><id root="8"/></representedCustodianOrganization>
  </assignedCustodian></custodian>
"""
BODY = "<component><structuredBody><component><section><title>Not this</title></section></component></structuredBody>"
WHOLE = (HEAD + BODY + "</component></ClinicalDocument>").encode()


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def facts(text: str | bytes) -> dict[str, Any]:
    return Header(iter([text.encode() if isinstance(text, str) else text])).facts


@given(st.integers(1, len(WHOLE)))
@settings(deadline=None)
def test_the_same_header_in_whatever_pieces_and_not_a_byte_lost(size: int) -> None:
    header = Header(pieces(WHOLE, size))
    assert header.facts == {
        "type_code": "34112-3", "title": "Lettre de sortie nº 7 & suite", "act_date": "2026-11-20", "language": "fr-LU",
        "patient_ids": [[{"root": "1.3.182.4.4", "extension": "1990010112345"}, {"root": "1.2.250", "extension": ""}]],
        "author_ids": [{"root": "2.25", "extension": "x"}],
    }  # fmt: skip
    assert b"".join(header.blocks()) == WHOLE


def test_the_identifiers_of_each_patient_stay_together() -> None:
    target = '<recordTarget><patientRole><id root="9.9" extension="x"/></patientRole></recordTarget>'
    several = HEAD.replace("<author>", target + "<recordTarget><patientRole/></recordTarget><author>") + BODY
    assert facts(several)["patient_ids"] == [*facts(WHOLE)["patient_ids"], [{"root": "9.9", "extension": "x"}], []]


def test_no_more_is_read_than_the_header() -> None:
    taken = []

    def blocks() -> Iterator[bytes]:
        for piece in (HEAD.encode(), BODY.encode(), b"\xff\xfe no XML at all"):
            taken.append(piece)
            yield piece

    Header(blocks())
    assert len(taken) == 2


@pytest.mark.parametrize(
    "text",
    [
        "", "text", "<a/>", "<ClinicalDocument/>",
        '<ClinicalDocument xmlns="urn:other"><component/></ClinicalDocument>',
        HEAD, HEAD.replace("<title>", "<title"), HEAD.replace("</title>", "</titel>") + BODY,
        "<!DOCTYPE ClinicalDocument [<!ENTITY e 'x'>]>" + HEAD.split("?>", 2)[2] + BODY,
        "<!DOCTYPE ClinicalDocument SYSTEM 'http://example.org/x.dtd'>" + HEAD.split("?>", 2)[2] + BODY,
        HEAD.replace("Lettre", "&unknown;") + BODY, HEAD + "<x>" * 100 + BODY, HEAD.encode("utf-16") + BODY.encode(),
        HEAD.replace("<id root", "<id root='1'/><id root='1'/>" * 60 + "<id root") + BODY,
        HEAD.replace("<author>", "<recordTarget><patientRole/></recordTarget>" * 60 + "<author>") + BODY,
        HEAD.replace("<custodian>", "<!--" + "x" * HEAD_LIMIT + "--><custodian>") + BODY,
    ],
)  # fmt: skip
def test_what_is_no_readable_header_is_refused(text: str | bytes) -> None:
    with pytest.raises(Refusal) as refused:
        facts(text)
    assert refused.value.code == "cda_unreadable"


@given(st.binary(max_size=2000), st.integers(0, len(WHOLE)))
@settings(deadline=None, max_examples=200)
def test_nonsense_anywhere_is_refused_or_read_but_never_breaks(noise: bytes, at: int) -> None:
    try:
        Header(iter([WHOLE[:at] + noise + WHOLE[at:]]))
    except Refusal as refusal:
        assert refusal.code == "cda_unreadable"


@pytest.mark.parametrize(
    ("value", "day"),
    [("20261120", "2026-11-20"), ("2026112010", "2026-11-20"), ("202611", None), ("2026", None), ("20261399", None),
     ("", None), ("00000000", None)],
)  # fmt: skip
def test_a_moment_gives_its_day_or_none(value: str, day: str | None) -> None:
    assert facts(HEAD.replace("20261120103000+0100", value) + BODY)["act_date"] == day


def test_a_code_of_another_system_is_none_and_a_long_title_is_cut() -> None:
    assert facts(HEAD.replace("2.16.840.1.113883.6.1", "2.16.840.1.113883.6.96") + BODY)["type_code"] is None
    assert len(facts(HEAD.replace("Lettre", "L" * 5000) + BODY)["title"]) == 2000
