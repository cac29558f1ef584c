"""What befalls a record reaches its holder's mailbox, on the whole platform, without a word too many."""

from __future__ import annotations

from email.message import EmailMessage

from deploy.visitors import Visitor, mail_text, wait_for
from tests.system.conftest import Village


def told(village: Village, who: Visitor, words: str) -> EmailMessage:
    """The mail whose subject says this, as soon as it is there."""
    return village.town.mail(
        who.email, lambda mail: mail if words in str(mail["Subject"]) else None, 0, f"the mail: {words}"
    )


def times_told(village: Village, who: Visitor, words: str) -> int:
    return sum(words in str(mail["Subject"]) for mail in village.town.mails(who.email))


def says_nothing_of(mail: EmailMessage, *people: Visitor) -> bool:
    whole = mail_text(mail) + str(mail["Subject"])
    data = {datum for one in people for datum in (one.name, one.matricule, *one.ids.values()) if datum}
    return not [datum for datum in data if datum in whole]


def test_an_emergency_access_is_told_to_the_holder_at_once_and_to_nobody_else(village: Village) -> None:
    patient, other = village.patient(), village.patient()
    doctor = village.professional("doctor of the emergency")
    places = f"/agency/professionals/{doctor.ids['professional_id']}/workplaces"
    village.agent.ask("POST", places, json={"establishment_id": village.practice, "emergency": True})
    stated = {"reason_category": "life_threatening", "reason": "Inconscient, amené par le SAMU"}
    path = f"/records/{patient.ids['record_id']}/emergency-sessions"
    elsewhere = f"/records/{other.ids['record_id']}/emergency-sessions"
    village.professional("doctor who guesses").ask("POST", elsewhere, json=stated, expect=403)
    wait_for(lambda: doctor.raw("POST", path, json=stated).status_code == 201 or None, "the emergency access")
    mail = told(village, patient, "Accès en urgence au dossier")
    assert says_nothing_of(mail, patient, doctor) and "SAMU" not in mail_text(mail)
    told(village, patient, "Premier accès")
    assert times_told(village, patient, "Accès en urgence") == 1
    assert not [mail for mail in village.town.mails(other.email) if "ccès" in str(mail["Subject"])]


def test_wrong_presence_codes_are_told_once_and_a_new_code_is_told(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor who guesses")
    for _ in range(3):
        village.mandate(doctor, patient, code="WRQNG234", expect=403)
    mail = told(village, patient, "code de présence a été saisi")
    assert says_nothing_of(mail, patient, doctor)
    made = patient.ask("POST", f"/records/{patient.ids['record_id']}/presence-code")
    patient.secrets.add(made["code"])
    told(village, patient, "nouveau code de présence")
    village.mandate(doctor, patient, code="WRQNG235", expect=(403, 429))
    told(village, patient, "nouveau code de présence")
    assert times_told(village, patient, "code de présence a été saisi") in (1, 2), "two where the clock struck the hour"


def test_a_closed_record_is_told_to_its_holder_and_to_nobody_else(village: Village) -> None:
    patient, other = village.patient(), village.patient()
    patient.ask("POST", f"/records/{patient.ids['record_id']}/closing", json={"confirmed": True})
    mail = told(village, patient, "dossier a été fermé")
    assert says_nothing_of(mail, patient) and times_told(village, other, "dossier a été fermé") == 0
