"""One patient's journey from the first letter to the access history, played through the gateway only.

`python -m deploy.demo` against the running platform; each step prints what the person sees. It makes its own people
each time, so it can be played again and again.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import pika
from pika.exceptions import AMQPError
from rich.console import Console

from deploy.agency import establishment, introduce, newcomer, open_record
from deploy.local.layout import REPOSITORY
from deploy.local.people import visitor
from deploy.local.stack import Stack
from deploy.visitors import Stream, Town, UnexpectedAnswer, Visitor, wait_for
from services.dossier.contract import DECLARATION_WORDINGS, RISK_WORDINGS

STATE = REPOSITORY / ".run"
BIG = 50 * 1024 * 1024
STATEMENT = next(iter(DECLARATION_WORDINGS))

out = Console(highlight=False, soft_wrap=True)


def say(who: str, what: str) -> None:
    """One line of the play."""
    out.print(f"   [bold]{who:<12}[/bold] {what}")


def scene(number: int, title: str) -> None:
    """The heading of a step."""
    out.print(f"\n[bold cyan]{number}. {title}[/bold cyan]")


def enter_presence_code(who: Visitor, record_id: str, code: str) -> Any:
    """A professional declares the patient's consent and enters the presence code."""
    declared = {"presence_code": code, "declaration_accepted": True, "wording_version": STATEMENT}
    return who.ask("POST", f"/records/{record_id}/mandates", json=declared)


def titles(documents: list[dict[str, Any]]) -> str:
    """Titles as a person sees them in a list."""
    return ", ".join(f"« {item['title']} »" for item in documents) or "nothing"


def refused(who: Visitor, method: str, path: str, status: int, **kwargs: Any) -> str:
    """The title of the refusal a person meets."""
    return str(who.ask(method, path, expect=status, **kwargs)["title"])


def shuffled(size: int) -> Iterator[bytes]:
    """`size` bytes of a real PDF with an empty page and a long stream that it does not show, made as they are sent."""
    parts = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
    )
    head, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, part in enumerate(parts, 1):
        offsets.append(len(head))
        head += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    offsets.append(len(head))
    opening, closing = b"4 0 obj\n<< /Length %010d >>\nstream\n", b"\nendstream\nendobj\n"
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    tail = closing + table + b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n"
    left = size - len(head) - len(opening % 0) - len(tail % 0)
    yield head + opening % left
    begins = size - len(tail % 0) + len(closing)
    generator = random.Random(size)  # noqa: S311 (filler, no secret)
    while left:
        block = generator.randbytes(min(left, 1 << 20))
        left -= len(block)
        yield block
    yield tail % begins


def play(town: Town, agent: Visitor) -> None:
    """The whole journey; raises at the first step that goes otherwise."""
    agent.log_in("agent")

    scene(1, "The agency opens a record")
    patient = newcomer(town, "patient")
    record_id = open_record(agent, patient)
    letter = town.letter(patient.name)
    say("agency", "record opened; the letter is printed")
    say("letter", f"{letter.file.name}: activation code and presence code, no matricule on it")
    if patient.matricule in letter.text.replace(" ", ""):
        raise UnexpectedAnswer("the letter shows the matricule")

    scene(2, "The patient activates the account and logs in")
    patient.activate(letter.activation_code)
    say("patient", "code accepted, data confirmed, conditions accepted, e-mail proved by code, password chosen")
    patient.log_in()
    say("patient", f"logged in as {patient.ask('GET', '/sessions/current')['capacity']}")
    mine = wait_for(lambda: _state(patient, record_id, "active"), "the active record")
    say("patient", f"my record is {mine['state']}")

    scene(3, "Doctor A is refused, then enters the presence code")
    practice = establishment(agent, "Cabinet des Tilleuls", "practice")
    doctor_a = newcomer(town, "docteur.a")
    introduce(agent, doctor_a, "physician", practice)
    say("doctor A", "conditions, LuxTrust, letter, data, e-mail, password: the account is active")
    found = doctor_a.ask("POST", "/patients/searches", json={"matricule": patient.matricule})["patients"][0]
    say("doctor A", f"finds the patient by matricule: match rate {found['rate']} %")
    say("doctor A", f"opens the record: {refused(doctor_a, 'GET', f'/records/{record_id}', 404)}")
    wrong = {"presence_code": "WRQNG234", "declaration_accepted": True, "wording_version": STATEMENT}
    say("doctor A", f"wrong code: {refused(doctor_a, 'POST', f'/records/{record_id}/mandates', 403, json=wrong)}")
    say("patient", f"gets a mail: {_told(town, patient, 'code de présence')}")
    mandate = enter_presence_code(doctor_a, record_id, letter.presence_code)
    say("doctor A", f"right code: mandate until {mandate['read_until']}")
    say("patient", f"gets a mail: {_told(town, patient, 'Premier accès')}")

    scene(4, "A deposits a report; the patient and doctor B read it")
    report = _pdf("Consultation du jour")
    kept = doctor_a.deposit(record_id, report, type="medical_report", title="Rapport de consultation")
    document_id = kept["document_id"]
    say("doctor A", "deposited a PDF as Rapports médicaux")
    say("patient", f"sees {titles(patient.documents(record_id))}")
    same = patient.ask("GET", f"/documents/{document_id}/content") == report
    say("patient", f"downloads it byte for byte: {_yes(same)}")
    started = time.monotonic()
    big = doctor_a.deposit(record_id, Stream(BIG, shuffled(BIG)), type="medical_report", title="Dossier complet")
    say("doctor A", f"deposited 50 MB as a stream in {time.monotonic() - started:.1f} s")
    _same_digest(patient, big["document_id"])
    say("patient", "downloads the 50 MB; the digest agrees")
    doctor_b = newcomer(town, "docteur.b")
    introduce(agent, doctor_b, "physician", practice)
    enter_presence_code(doctor_b, record_id, letter.presence_code)
    _need(doctor_b.ask("GET", f"/documents/{document_id}/content") == report, "B reads the report")
    say("doctor B", f"with a mandate of their own sees {titles(doctor_b.documents(record_id))} and reads it")

    scene(5, "Confidential, circle of trust, private")
    _set_level(patient, document_id, "confidential")
    say("patient", "makes the report confidential")
    say("doctor B", f"sees {titles(doctor_b.documents(record_id))}")
    say("doctor B", f"by direct id: {refused(doctor_b, 'GET', f'/documents/{document_id}/content', 404)}")
    _need(not _sees(doctor_b, record_id, document_id), "B no longer finds it")
    _need(_sees(doctor_a, record_id, document_id), "A, its author, still does")
    say("doctor A", "its author, still finds it")
    entry = f"/records/{record_id}/circle/{doctor_b.ids['professional_id']}"
    patient.ask("PUT", entry, json={"comment": "généraliste"})
    _need(_sees(doctor_b, record_id, document_id), "B finds it through the circle")
    say("doctor B", "added to the circle of trust, finds it again")
    _set_level(patient, document_id, "private")
    _need(not _sees(doctor_b, record_id, document_id), "private hides it from the circle")
    _need(_sees(doctor_a, record_id, document_id), "private leaves it to its author")
    say("doctor B", "private: gone again; A and the patient still have it")
    _set_level(patient, document_id, "standard")

    scene(6, "A pharmacist sees what the matrix allows")
    doctor_a.deposit(record_id, _pdf("Ordonnance"), type="prescribed_medical_treatment", title="Ordonnance")
    doctor_a.deposit(record_id, _pdf("Certificat"), type="medical_certificate", title="Certificat")
    doctor_a.deposit(record_id, _pdf("Radiographie"), type="imaging", title="Radiographie")
    pharmacist = newcomer(town, "pharmacien")
    introduce(agent, pharmacist, "pharmacist", establishment(agent, "Pharmacie du Lion", "pharmacy"))
    enter_presence_code(pharmacist, record_id, letter.presence_code)
    seen_there = {item["type"] for item in pharmacist.documents(record_id)}
    _need("prescribed_medical_treatment" in seen_there, "prescriptions are a pharmacist's to read")
    _need(not seen_there & {"medical_certificate", "imaging"}, "certificates and images are not")
    say("pharmacist", f"sees {titles(pharmacist.documents(record_id))}")
    say("pharmacist", "does not see « Certificat », « Radiographie », which the matrix keeps from pharmacists")

    scene(7, "The patient asks who may see what, and bars doctor B")
    _rights(patient, doctor_b, record_id, document_id)

    scene(8, "A foreign system receives document.deposited")
    _foreign_system(agent, practice, doctor_a, record_id)

    scene(9, "The patient reads the access history")
    _history(patient, record_id)
    out.print("\n[bold green]The journey is complete.[/bold green]")


def _rights(patient: Visitor, doctor_b: Visitor, record_id: str, document_id: str) -> None:
    record, them = f"/records/{record_id}", doctor_b.ids["professional_id"]

    def may_read(level: str) -> dict[str, Any]:
        asked = {"who": {"professional_id": them}, "action": "read", "category": "care_reports", "level": level}
        answer: dict[str, Any] = patient.ask("POST", f"{record}/rights/explain", json=asked)
        return answer

    def readers() -> dict[str, str]:
        found = patient.ask("GET", f"/documents/{document_id}/readers")["readers"]
        return {one["professional_id"]: f"{one['profession']} ({one['ground']})" for one in found if one["profession"]}

    before = readers()
    _need(them in before, "B is among those who can see the report")
    say("patient", f"who can see the report? {', '.join(before.values())}")
    open_now, closed_now = may_read("confidential"), may_read("private")
    _need(open_now["allowed"] and not closed_now["allowed"], "the circle reads up to confidential")
    say("patient", f"may B read a confidential report? yes, by the rule {open_now['rule']}")
    changes = " or ".join(closed_now["remedies"])
    say("patient", f"and a private one? no, by the rule {closed_now['rule']}; it would take {changes}")
    accepted = {"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))}
    patient.ask("PUT", f"{record}/blocklist/{them}", json=accepted)
    after = readers()
    _need(them not in after and after.items() < before.items(), "B alone can no longer see the report")
    say("patient", f"bars doctor B; may they read a standard one now? no, by the rule {may_read('standard')['rule']}")
    say("patient", f"who can see the report? {', '.join(after.values())}")
    say("doctor B", f"opens the record: {refused(doctor_b, 'GET', record, 404)}, as if there were none")


def _told(town: Town, who: Visitor, words: str) -> str:
    """The subject of the mail that says this."""

    def subject(mail: Any) -> str | None:
        return str(mail["Subject"]) if words in str(mail["Subject"]) else None

    return town.mail(who.email, subject, 0, f"the mail about {words}")


def _foreign_system(agent: Visitor, practice: str, doctor: Visitor, record_id: str) -> None:
    wanted = ["lu.dsp.document.deposited.v1"]
    given = agent.ask("POST", "/subscriptions", json={"establishment_id": practice, "event_types": wanted})
    login = pika.PlainCredentials(given["username"], given["password"])
    address = pika.ConnectionParameters(given["host"], given["port"], given["vhost"], login)
    with pika.BlockingConnection(address) as connection:
        channel = connection.channel()
        doctor.deposit(record_id, _pdf("Suivi"), type="medical_report", title="Rapport de suivi")
        for method, _properties, body in channel.consume(given["queue"], inactivity_timeout=30):
            if method is None:
                raise TimeoutError("no event reached the foreign system within 30 s")
            channel.basic_ack(method.delivery_tag)
            event = json.loads(body)
            break
        channel.cancel()
    say("system", f"{event['type']} {json.dumps(event['data'])}")
    _need("suivi" not in json.dumps(event).lower(), "the event carries ids and codes only")


def _history(patient: Visitor, record_id: str) -> None:
    expected = {"mandate.opened", "document.created", "document.opened", "document.level_changed", "circle.added"}

    def complete() -> list[dict[str, Any]] | None:
        entries: list[dict[str, Any]] = patient.ask("GET", f"/records/{record_id}/access-history?limit=100")["entries"]
        there = {entry["action"] for entry in entries}
        refusals = [entry for entry in entries if entry["outcome"] == "refused"]
        return entries if expected <= there and len(refusals) >= 3 else None

    for entry in reversed(wait_for(complete, "the complete access history")):
        person = entry.get("name") or entry.get("profession") or entry["capacity"] or "platform"
        ground = entry["ground"] or entry["reason"] or ""
        out.print(f"   {entry['at'][:19]}  {person:<28} {entry['action']:<24} {entry['outcome']:<8} {ground}")


def _state(patient: Visitor, record_id: str, state: str) -> dict[str, Any] | None:
    records = patient.ask("GET", "/records")["records"]
    return next((r for r in records if r["record_id"] == record_id and r["state"] == state), None)


def _set_level(who: Visitor, document_id: str, level: str) -> None:
    who.ask("PUT", f"/documents/{document_id}/confidentiality", json={"level": level, "risk_accepted": True})


def _sees(who: Visitor, record_id: str, document_id: str) -> bool:
    listed = any(item["document_id"] == document_id for item in who.documents(record_id))
    opened = who.raw("GET", f"/documents/{document_id}").status_code == 200
    _need(listed == opened, "list and direct access agree")
    return listed


def _same_digest(who: Visitor, document_id: str) -> None:
    with who.raw("GET", f"/documents/{document_id}/content", stream=True) as answer:
        got = hashlib.sha256()
        for block in answer.iter_content(1 << 20):
            got.update(block)
    want = hashlib.sha256()
    for block in shuffled(BIG):
        want.update(block)
    _need(got.digest() == want.digest(), "the 50 MB come back as they went")


def _pdf(text: str) -> bytes:
    from fpdf import FPDF

    page = FPDF()
    page.add_page()
    page.set_font("Helvetica", size=14)
    page.cell(text=text)
    return bytes(page.output())


def _yes(fact: bool) -> str:
    _need(fact, "bytes agree")
    return "yes"


def _need(fact: bool, what: str) -> None:
    if not fact:
        raise UnexpectedAnswer(what)


def main() -> int:
    """Plays the journey against the platform of this clone."""
    stack = Stack(STATE)
    if not stack.people() or not stack.supervisor.is_up():
        out.print("The platform is not running: make up")
        return 1
    town = Town(stack.url, stack.layout.mail, stack.layout.letters)
    try:
        play(town, visitor(town, stack.people()["agent"]))
    except (UnexpectedAnswer, OSError, AMQPError) as wrong:
        out.print(f"\n[bold red]The journey stopped:[/bold red] {wrong}\nThe logs lie in {stack.layout.logs}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
