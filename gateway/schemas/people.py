"""Shapes of accounts, sessions, patients, professionals and the agency's registrations."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import (
    Choice,
    Day,
    Flag,
    Id,
    Listed,
    Matricule,
    Moment,
    Number,
    Part,
    Secret,
    Text,
)
from services.directory.contract import ESTABLISHMENT_KINDS, PROFESSIONS, SEXES
from services.identity.contract import CHANNELS, CONDITIONS_VERSION, LANGUAGES, ROLES, SUBJECT_KINDS

ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
OTHER_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
MATRICULE = "1990010112347"
TIME = "2026-11-21T09:30:00.000000Z"


# --- activations ----------------------------------------------------------------------------------------------------


class ActivationBegin(Shape):
    """What stands on the letter."""

    matricule = Matricule(required=True)
    activation_code = Secret("From the letter.", maximum=64, required=True)
    example: ClassVar = {"matricule": MATRICULE, "activation_code": "K7QM-4TXP-9W"}


class ActivationSteps(Shape):
    conditions = Choice(("open", "done"))
    contact = Choice(("open", "code_sent", "done", "kept"))
    password = Choice(("open", "done", "kept"))


class Activation(Shape):
    """How far an activation is; `next` names the step to do."""

    activation_id = Id()
    subject_kind = Choice(SUBJECT_KINDS)
    conditions_version = Text()
    steps = Part(ActivationSteps)
    next = Choice(("conditions", "contact", "contact_proof", "password"), allow_none=True)
    complete = Flag()
    expires_at = Moment()
    example: ClassVar = {
        "activation_id": ID,
        "subject_kind": "patient",
        "conditions_version": CONDITIONS_VERSION,
        "steps": {"conditions": "done", "contact": "open", "password": "open"},
        "next": "contact",
        "complete": False,
        "expires_at": TIME,
    }


class ActivationBegun(Activation):
    """The token is shown this once; send it as the header Activation-Token with each further step."""

    activation_token = Secret()
    example: ClassVar = {
        **Activation.example,
        "activation_token": "b7c1Zk…",
        "steps": {"conditions": "open", "contact": "open", "password": "open"},
        "next": "conditions",
    }


class ConditionsAccepted(Shape):
    version = Text("The version shown to the person.", maximum=32, required=True)
    language = Choice(LANGUAGES, required=True)
    example: ClassVar = {"version": CONDITIONS_VERSION, "language": "fr"}


class ContactGiven(Shape):
    kind = Choice(CHANNELS, required=True)
    value = Text("The address to prove.", maximum=254, required=True)
    example: ClassVar = {"kind": "email", "value": "jane.doe@example.lu"}


class ContactAdded(Activation):
    """A one-time code is on its way to the address."""

    challenge_id = Id()
    code_expires_at = Moment()
    example: ClassVar = {
        **Activation.example,
        "next": "contact_proof",
        "challenge_id": OTHER_ID,
        "code_expires_at": TIME,
    }


class CodeGiven(Shape):
    code = Secret("The one-time code.", maximum=32, required=True)
    example: ClassVar = {"code": "6wqxU4"}


class PasswordChosen(Shape):
    password = Secret("12 to 128 characters, not among the common ones.", maximum=512, required=True)
    example: ClassVar = {"password": "quatre chevaux bleus"}


# --- sessions -------------------------------------------------------------------------------------------------------


class LogIn(Shape):
    matricule = Matricule(required=True)
    password = Secret(maximum=512, required=True)
    channel = Choice(CHANNELS, "Where the one-time code goes.", load_default="email")
    example: ClassVar = {"matricule": MATRICULE, "password": "quatre chevaux bleus"}


class LogInBegun(Shape):
    """A one-time code is on its way; send it to /sessions/{challenge_id}/code."""

    challenge_id = Id()
    expires_at = Moment()
    example: ClassVar = {"challenge_id": ID, "expires_at": TIME}


class LogInConfirm(Shape):
    code = Secret("The one-time code.", maximum=32, required=True)
    capacity = Choice(SUBJECT_KINDS, "In which capacity; needed when the account has several.", allow_none=True)
    establishment_id = Id("The workplace of a professional who has several.", allow_none=True)
    stay_connected = Flag(load_default=False)
    example: ClassVar = {"code": "6wqxU4", "capacity": "professional"}


class Tokens(Shape):
    access_token = Secret("Ed25519-signed JWT, 10 minutes.")
    refresh_token = Secret("Single use; using it twice ends the session.")
    token_type = Choice(("Bearer",))
    expires_in = Number("Seconds.")
    session_id = Id()
    account_id = Id()
    capacity = Choice(SUBJECT_KINDS)
    patient_id = Id(allow_none=True)
    professional_id = Id(allow_none=True)
    example: ClassVar = {
        "access_token": "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoi…",
        "refresh_token": "r_9fK2…",
        "token_type": "Bearer",
        "expires_in": 600,
        "session_id": ID,
        "account_id": OTHER_ID,
        "capacity": "patient",
        "patient_id": ID,
        "professional_id": None,
    }


class RefreshGiven(Shape):
    refresh_token = Secret(maximum=512, required=True)
    example: ClassVar = {"refresh_token": "r_9fK2…"}


class Session(Shape):
    account_id = Id()
    session_id = Id()
    capacity = Choice(SUBJECT_KINDS)
    patient_id = Id(allow_none=True)
    professional_id = Id(allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id(allow_none=True)
    role = Choice(ROLES, allow_none=True)
    expires_at = Moment()
    example: ClassVar = {
        "account_id": OTHER_ID,
        "session_id": ID,
        "capacity": "professional",
        "patient_id": None,
        "professional_id": OTHER_ID,
        "profession": "physician",
        "establishment_id": ID,
        "role": None,
        "expires_at": TIME,
    }


class PublicKey(Shape):
    kty = Text()
    crv = Text()
    x = Text()
    kid = Text()
    alg = Text()
    use = Text()


class PublicKeys(Shape):
    """JSON Web Key Set (RFC 7517)."""

    keys = Listed(Part(PublicKey))
    example: ClassVar = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKx…", "kid": "2026-11"}]}


# --- directory ------------------------------------------------------------------------------------------------------


class PatientSearch(Shape):
    matricule = Matricule(required=True)
    example: ClassVar = {"matricule": MATRICULE}


class RecordHint(Shape):
    """The record of a found patient, when the searcher may enter it."""

    record_id = Id(allow_none=True)
    accessible = Flag()


class PatientFound(Shape):
    patient_id = Id()
    birth_name = Text()
    usual_name = Text(allow_none=True)
    first_names = Text()
    birth_date = Day()
    sex = Choice(SEXES)
    rate = Number("How well it matches, in per cent.", maximum=100)
    record = Part(RecordHint, allow_none=True)


class PatientsFound(Shape):
    patients = Listed(Part(PatientFound))
    example: ClassVar = {
        "patients": [
            {
                "patient_id": ID,
                "birth_name": "DOE",
                "usual_name": None,
                "first_names": "Jane",
                "birth_date": "1990-01-01",
                "sex": "F",
                "rate": 100,
                "record": {"record_id": OTHER_ID, "accessible": True},
            }
        ]
    }


class ProfessionalQuery(Query):
    q = Text("Three letters or more of name, profession or speciality.", minimum=3, maximum=100, required=True)
    limit = Number(minimum=1, maximum=50, load_default=20)


class Workplace(Shape):
    establishment_id = Id()
    name = Text()


class ProfessionalFound(Shape):
    professional_id = Id()
    family_name = Text()
    first_name = Text()
    profession = Choice(PROFESSIONS)
    specialities = Listed(Text())
    establishments = Listed(Part(Workplace))


class ProfessionalsFound(Shape):
    professionals = Listed(Part(ProfessionalFound))
    example: ClassVar = {
        "professionals": [
            {
                "professional_id": ID,
                "family_name": "MÜLLER",
                "first_name": "Anne",
                "profession": "physician",
                "specialities": ["médecine générale"],
                "establishments": [{"establishment_id": OTHER_ID, "name": "Cabinet du Parc"}],
            }
        ]
    }


# --- agency ---------------------------------------------------------------------------------------------------------


class Address(Shape):
    line = Text(required=True)
    postal_code = Text(maximum=12, required=True)
    locality = Text(required=True)
    country = Text("ISO 3166, two letters.", minimum=2, maximum=2, required=True)


ADDRESS = {"line": "1, rue du Parc", "postal_code": "L-1234", "locality": "Luxembourg", "country": "LU"}


class Opening(Shape):
    """The identity sheet of the patient whose record is to be opened."""

    matricule = Matricule(required=True)
    birth_name = Text(required=True)
    usual_name = Text(allow_none=True)
    first_names = Text(required=True)
    sex = Choice(SEXES, required=True)
    birth_date = Day(required=True)
    language = Choice(LANGUAGES, required=True)
    address = Part(Address, required=True)
    example: ClassVar = {
        "matricule": MATRICULE,
        "birth_name": "DOE",
        "first_names": "Jane",
        "sex": "F",
        "birth_date": "1990-01-01",
        "language": "fr",
        "address": ADDRESS,
    }


class Opened(Shape):
    patient_id = Id()
    record_id = Id()
    state = Text("State of the record.")
    created = Flag("False when the patient had a record already.")
    example: ClassVar = {"patient_id": ID, "record_id": OTHER_ID, "state": "open", "created": True}


class Establishment(Shape):
    name = Text(required=True)
    kind = Choice(ESTABLISHMENT_KINDS, required=True)
    example: ClassVar = {"name": "Cabinet du Parc", "kind": "practice"}


class EstablishmentMade(Shape):
    establishment_id = Id()
    example: ClassVar = {"establishment_id": ID}


class Professional(Shape):
    matricule = Matricule(required=True)
    family_name = Text(required=True)
    first_name = Text(required=True)
    profession = Choice(PROFESSIONS, "Column of the access matrix.", required=True)
    specialities = Listed(Text(), maximum=20, load_default=list)
    establishment_ids = Listed(Id(), maximum=50, load_default=list)
    language = Choice(LANGUAGES, required=True)
    address = Part(Address, allow_none=True)
    example: ClassVar = {
        "matricule": MATRICULE,
        "family_name": "MÜLLER",
        "first_name": "Anne",
        "profession": "physician",
        "specialities": ["médecine générale"],
        "establishment_ids": [OTHER_ID],
        "language": "fr",
        "address": ADDRESS,
    }


class ProfessionalMade(Shape):
    professional_id = Id()
    example: ClassVar = {"professional_id": ID}


class Invitation(Shape):
    """Either a professional of the directory, or a new agent by matricule and role."""

    professional_id = Id()
    matricule = Matricule()
    role = Choice(ROLES)
    example: ClassVar = {"professional_id": ID}


class InvitationMade(Shape):
    invitation_id = Id()
    example: ClassVar = {"invitation_id": ID}


class Help(Shape):
    """Where people find help."""

    language = Choice(LANGUAGES)
    phone = Text()
    mail = Text()
    hours = Text()
    text = Text()
    example: ClassVar = {
        "language": "fr",
        "phone": "+352 00 00 00",
        "mail": "aide@opendsp.localhost",
        "hours": "lundi-vendredi, 8 h-18 h",
        "text": "Demandez une nouvelle lettre si votre code est perdu.",
    }


