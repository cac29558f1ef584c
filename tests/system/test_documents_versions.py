"""A document changes on the whole platform: new version, restoration, correction, rectification; shown and printed."""

from __future__ import annotations

import base64
import json
from typing import Any

from deploy.visitors import Visitor, wait_for
from services.db import new_id
from tests.builders import pdf
from tests.system.conftest import Village

NARRATIVE = (
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Befund</title><component><structuredBody><component><section>'
    b'<text><paragraph onclick="x()">Angine <linkHtml href="https://evil.example">ici</linkHtml></paragraph></text>'
    b"</section></component></structuredBody></component></ClinicalDocument>"
)
WAIT = {"Prefer": "wait=30"}


def versioned(who: Visitor, document_id: str, data: bytes, tag: str, **expect: Any) -> Any:
    boundary = new_id()
    parts = [(b'name="metadata"', b"application/json", b"{}"), (b'name="file"; filename="f"', b"text/plain", data)]
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (boundary.encode(), *part)
        for part in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "If-Match": tag, **WAIT}
    data = body + f"--{boundary}--\r\n".encode()
    return who.ask("POST", f"/documents/{document_id}/versions", data=data, headers=headers, **expect)


def tag_of(who: Visitor, document_id: str) -> str:
    return str(who.raw("GET", f"/documents/{document_id}").headers["ETag"])


def test_versions_corrections_and_rectifications_through_the_gateway(village: Village) -> None:
    author, nurse, patient = village.professional("changes"), village.professional("reads", "nurse"), village.patient()
    record_id = patient.ids["record_id"]
    for who in (author, nurse):
        village.mandate(who, patient, expect=201)
    said = {"type": "medical_report", "title": "Compte rendu"}
    document_id = author.deposit(record_id, b"eins", **said)["document_id"]
    one = f"/documents/{document_id}"

    tag = tag_of(author, document_id)
    versioned(author, document_id, b"zwei", tag, expect=201)
    assert nurse.ask("GET", f"{one}/content") == b"zwei"
    late = author.raw("POST", f"{one}/uploads", json={}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "urn:dsp:problem:changed_meanwhile")
    author.ask("POST", f"{one}/uploads", json={}, expect=428)
    upload = nurse.ask("POST", f"{one}/uploads", json={}, headers={"If-Match": tag_of(nurse, document_id)}, expect=201)
    put = {"Content-Type": "text/plain", **WAIT}
    nurse.ask("PUT", f"/uploads/{upload['upload_id']}", data=b"drei", headers=put, expect=201)

    history = patient.ask("GET", f"{one}/versions")
    assert [(v["number"], v["current"]) for v in history["versions"]] == [(3, True), (2, False), (1, False)]
    assert all(v["author_name"] for v in history["versions"])
    first = history["versions"][-1]["version_id"]
    assert patient.ask("GET", f"{one}/content?version_id={first}") == b"eins"
    patient.ask("POST", f"{one}/versions/{first}/restoration", headers={"If-Match": "*"}, expect=403)
    back = author.raw("POST", f"{one}/versions/{first}/restoration", headers={"If-Match": '"3"'})
    assert (back.status_code, back.json()["restores"], back.headers["ETag"]) == (201, 1, '"4"')
    assert nurse.ask("GET", f"{one}/content") == b"eins"

    author.ask("PATCH", one, json={}, headers={"If-Match": "*"}, expect=422)
    fixed = author.ask("PATCH", one, json={"title": "Compte rendu du 20"}, headers={"If-Match": '"4"'})
    assert (fixed["title"], tag_of(patient, document_id)) == ("Compte rendu du 20", '"5"')
    assert [w["number"] for w in patient.ask("GET", f"{one}/versions")["wordings"]] == [2, 1]

    asked = patient.ask("POST", f"{one}/rectifications", json={"wish": "La date."}, expect=201)
    patient.ask("POST", f"{one}/rectifications", json={"wish": "La date."}, expect=409)
    nurse.ask("GET", f"{one}/rectifications", expect=403)
    [mine] = author.ask("GET", "/rectifications")["rectifications"]
    assert mine["rectification_id"] == asked["rectification_id"] and mine["name"]
    answer = f"/rectifications/{asked['rectification_id']}/answer"
    nurse.ask("PUT", answer, json={"answer": "done"}, expect=404)
    author.ask("PUT", answer, json={"answer": "refused", "words": "C'est la bonne."})
    [told] = patient.ask("GET", f"{one}/rectifications")["rectifications"]
    assert (told["answer"], told["words"]) == ("refused", "C'est la bonne.")

    def mailed() -> bool | None:
        subjects = [str(mail["Subject"]) for mail in village.town.mails(patient.email)]
        return True if any("rectification" in subject for subject in subjects) else None

    wait_for(mailed, "the mail about the answer")


def test_a_document_is_shown_and_printed_and_every_way_is_one_opening(village: Village) -> None:
    author, patient = village.professional("changes"), village.patient()
    village.mandate(author, patient, expect=201)
    said = {"type": "medical_report", "title": "<b>Befund</b>"}
    cda = author.deposit(patient.ids["record_id"], NARRATIVE, **said)["document_id"]
    text = author.deposit(patient.ids["record_id"], "a <script>alert(1)</script> été".encode(), **said)["document_id"]
    data = pdf()
    file = author.deposit(patient.ids["record_id"], data, **said)["document_id"]

    page = patient.raw("GET", f"/documents/{cda}/view")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8" and "<p>Angine <span>ici</span></p>" in page.text
    assert page.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.text.endswith("</html>\n")
    for word in ("onclick", "evil", "<b>Befund", "<script"):
        assert word not in page.text
    printed = patient.raw("GET", f"/documents/{cda}/print").text
    by = printed.partition(" UTC, ")[2].partition("</dd>")[0].casefold()
    assert author.name.casefold() in printed.casefold() and "Médecin" in printed and patient.name.casefold() in by
    assert "Rapports médicaux" in printed and "&lt;b&gt;Befund" in printed

    words = patient.raw("GET", f"/documents/{text}/view").text
    assert "<pre>a &lt;script&gt;alert(1)&lt;/script&gt; été</pre>" in words

    leads = patient.raw("GET", f"/documents/{file}/view")
    assert "sandbox" not in leads.headers["Content-Security-Policy"] and f"/documents/{file}/content?" in leads.text
    inline = patient.raw("GET", f"/documents/{file}/content?disposition=inline")
    assert inline.headers["Content-Disposition"].startswith("inline") and inline.content == data
    assert inline.headers["Content-Security-Policy"].startswith("sandbox")
    digest = inline.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")
    assert len(base64.b64decode(digest)) == 32
    xml = patient.raw("GET", f"/documents/{cda}/content?disposition=inline")
    assert xml.headers["Content-Disposition"].startswith("attachment")
    for kind in ("preview", "thumbnail"):
        shown = patient.raw("GET", f"/documents/{file}/{kind}")
        assert (shown.headers["Content-Type"], shown.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
        again = {"If-None-Match": shown.headers["ETag"]}
        assert patient.raw("GET", f"/documents/{file}/{kind}", headers=again).status_code == 304
        assert patient.raw("HEAD", f"/documents/{file}/{kind}").headers["Content-Length"] == str(len(shown.content))
        patient.ask("GET", f"/documents/{text}/{kind}", expect=404)

    def opened(entries: list[dict[str, Any]]) -> bool:
        mine = [e["object_id"] for e in entries if e["action"] == "document.opened" and e["outcome"] == "allowed"]
        refused = [e for e in entries if e["reason"] == "preview_not_found"]
        return sorted(mine) == sorted([cda, text, file]) and len(refused) == 2

    assert json.dumps(village.history(patient, opened))
