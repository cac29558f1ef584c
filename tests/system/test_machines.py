"""Business software on the whole platform: registered, attested, at work for a professional, suspended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from deploy.agency import establishment
from deploy.software import Software
from deploy.visitors import Town, UnexpectedAnswer, Visitor, wait_for
from tests.builders import pdf
from tests.conftest import wait_for_query
from tests.system.conftest import Village

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc's word to who signs; it has a new name
SCOPES = ["system/Practitioner.rs", "system/Patient.rs", "system/Consent.cs", "system/DocumentReference.rs",
          "system/DocumentReference.c"]  # fmt: skip
MOMENTS = 10.0  # seconds until every service has heard of a suspension; the promise is 60


@dataclass
class Installation:
    """A software at a hospital, seen from its vendor's desk."""

    town: Town
    software: Software
    doctor: Visitor
    hospital: str

    def __post_init__(self) -> None:
        found = self.software.discover(self.town.url)
        self.issuer, self.endpoint = found["issuer"], found["token_endpoint"]
        self.introspection, self.revocation = found["introspection_endpoint"], found["revocation_endpoint"]

    def token(self, expect: int = 200, **form: str) -> Any:
        """An answer of the token endpoint."""
        answer = self.software.post(self.endpoint, self.issuer, grant_type="client_credentials", **form)
        assert answer.status_code == expect, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.json()

    def for_doctor(self, scope: str | None = None, expect: int = 200, purpose: str = "TREAT") -> Any:
        given = {"on_behalf_of": self.doctor.ids["professional_id"], "purpose_of_use": purpose}
        return self.token(expect, **given, **({} if scope is None else {"scope": scope}))

    def at_work(self, scope: str | None = None) -> Visitor:
        """The software with a token for the doctor, ready to ask the gateway like anybody."""
        machine = Visitor(self.town, "Praxis", "", "")
        machine.tokens = self.for_doctor(scope)
        return machine


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


@pytest.fixture(scope="module")
def hospital(village: Village) -> str:
    return establishment(village.agent, "Hôpital des Logiciels", "hospital")


@pytest.fixture(scope="module")
def installed(village: Village, hospital: str) -> Installation:
    """Registered by a manager of the hospital, attested by the agency step by step, each step with what it opens."""
    manager = village.professional("software manager", "physician", hospital)
    software = Software("ES384")
    clients, wanted = f"/organisations/{hospital}/clients", {
        "name": "Praxis", "version": "4.2", "vendor": "Logiciels du Parc", "scopes": SCOPES, "jwks": software.jwks,
    }  # fmt: skip
    manager.ask("POST", clients, json=wanted, expect=403)
    named = {"professional_id": manager.ids["professional_id"]}
    manager.ask("POST", f"/agency/organisations/{hospital}/managers", json=named, expect=403)
    village.agent.ask("POST", f"/agency/organisations/{hospital}/managers", json=named)
    software.client_id = manager.ask("POST", clients, json=wanted, expect=201)["client_id"]
    village.professional("doctor a").ask("GET", clients, expect=403)
    installation = Installation(village.town, software, manager, hospital)

    waiting = village.agent.ask("GET", "/agency/clients?state=requested&limit=100")["clients"]
    assert software.client_id in [client["client_id"] for client in waiting]
    assert village.agent.ask("GET", clients)["clients"] == manager.ask("GET", clients)["clients"]
    village.agent.ask("GET", clients.replace(hospital, software.client_id), expect=404)
    assert installation.for_doctor(expect=400)["error"] == "unauthorized_client"
    attest(village, installation, "in_production", expect=409)
    manager.ask("POST", f"/agency/clients/{software.client_id}/state", json={"state": "tested"}, expect=403)
    attest(village, installation, "tested")
    assert installation.for_doctor()["scope"] == "system/Practitioner.rs"
    assert installation.for_doctor("system/Patient.rs", expect=400)["error"] == "invalid_scope"
    attest(village, installation, "in_production")
    return installation


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


def attest(village: Village, installation: Installation, state: str, expect: int = 200) -> None:
    path = f"/agency/clients/{installation.software.client_id}/state"
    village.agent.ask("POST", path, json={"state": state}, expect=expect)


def test_software_finds_a_patient_deposits_and_reads_for_a_professional_and_the_trace_names_it(
    village: Village, installed: Installation, patient: Visitor
) -> None:
    machine = installed.at_work()
    assert set(machine.tokens["scope"].split()) == set(SCOPES) and machine.tokens["expires_in"] == 300
    [found] = machine.ask("POST", "/patients/searches", json={"matricule": patient.matricule})["patients"]
    assert found["patient_id"] == patient.ids["patient_id"] and found["state"] == "accessible"
    record_id = found["record_id"]

    assert problem(machine.raw("GET", f"/records/{record_id}")) == (404, "record_not_found"), "no ground yet"
    with_what = {"type": "medical_report", "title": "Rapport de séjour"}
    machine.ask("POST", f"/records/{record_id}/uploads", json=with_what, expect=404)
    village.mandate(machine, patient, "22222222", expect=403)
    village.mandate(machine, patient, expect=201)
    document_id = machine.deposit(record_id, pdf("Séjour"), **with_what)["document_id"]
    assert [one["document_id"] for one in machine.documents(record_id)] == [document_id]
    assert machine.raw("GET", f"/documents/{document_id}/content").content == pdf("Séjour")
    assert [one["document_id"] for one in patient.documents(record_id)] == [document_id]

    def complete(entries: list[dict[str, Any]]) -> bool:
        mine = [one for one in entries if one["account_id"] == installed.software.client_id]
        steps = {"mandate.opened", "document.created", "document.searched", "document.opened"}
        return {one["action"] for one in mine} >= steps and len({one["outcome"] for one in mine}) >= 2

    history = village.history(patient, complete)
    mine = [one for one in history if one["account_id"] == installed.software.client_id]
    assert {one["professional_id"] for one in mine} == {installed.doctor.ids["professional_id"]}
    assert {one["establishment_id"] for one in mine} == {installed.hospital}
    assert {"allowed", "refused"} == {one["outcome"] for one in mine}
    purposes = wait_for_query(
        village.platform.settings("audit").database_url,
        "select string_agg(distinct coalesce(purpose, '-'), ',') from entries"
        f" where account_id = '{installed.software.client_id}' and record_id = '{record_id}'"
        " and action <> 'mandate.opened'",  # whose trace keeps the wording that was accepted
    )
    assert purposes == "TREAT", "every access carries the purpose of use"


def test_each_operation_needs_its_scope(installed: Installation, patient: Visitor) -> None:
    record_id = patient.ids["record_id"]
    looks = {
        "system/Practitioner.rs": ("GET", "/professionals?q=mull", None),
        "system/Patient.rs": ("POST", "/patients/searches", {"matricule": patient.matricule}),
        "system/Consent.cs": ("GET", f"/records/{record_id}/mandates", None),
        "system/DocumentReference.rs": ("GET", f"/records/{record_id}/documents", None),
    }
    for scope in looks:
        machine = installed.at_work(scope)
        for needed, (method, path, body) in looks.items():
            answer = machine.raw(method, path, json=body)
            if needed == scope:
                assert answer.status_code == 200, (scope, path, answer.text)
            else:
                assert problem(answer) == (403, "insufficient_scope"), (scope, path)
                assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_what_is_for_people_is_closed_to_software(installed: Installation, patient: Visitor) -> None:
    machine = installed.at_work()
    record_id = patient.ids["record_id"]
    for method, path in (
        ("GET", "/records"), ("GET", f"/records/{record_id}/access-history"), ("GET", f"/records/{record_id}/circle"),
        ("GET", "/sessions/current"), ("GET", "/sessions"), ("GET", "/account"), ("GET", "/subscriptions"),
        ("GET", "/agency/clients"), ("GET", f"/organisations/{installed.hospital}/clients"),
        ("DELETE", "/sessions/current"),
    ):  # fmt: skip
        assert problem(machine.raw(method, path)) == (403, "insufficient_scope"), path


def test_software_acts_for_nobody_of_another_house(village: Village, installed: Installation) -> None:
    stranger = village.professional("doctor a").ids["professional_id"]
    foreign = installed.token(400, on_behalf_of=stranger, purpose_of_use="TREAT")
    assert foreign["error"] == "invalid_grant"
    nobody = set(installed.token()["scope"].split())
    assert nobody == {"system/Practitioner.rs", "system/DocumentReference.c"}, "for nobody it reads the directory alone"


def test_an_assertion_opens_once_and_a_forged_one_never(installed: Installation) -> None:
    proof = installed.software.proof(installed.endpoint)
    form = {"grant_type": "client_credentials", **proof}
    assert requests.post(installed.endpoint, data=form, timeout=120).status_code == 200
    again = requests.post(installed.endpoint, data=form, timeout=120)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    forged = Software("ES384", installed.software.client_id, Software("ES384").key)
    answer = forged.post(installed.endpoint, installed.issuer, grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_client_looks_at_its_token_and_ends_it_everywhere(installed: Installation) -> None:
    machine = installed.at_work()
    text = machine.tokens["access_token"]
    told = installed.software.post(installed.introspection, installed.issuer, token=text).json()
    assert told["active"] and told["on_behalf_of"] == installed.doctor.ids["professional_id"]
    persons = installed.doctor.tokens["access_token"]
    assert installed.software.post(installed.introspection, installed.issuer, token=persons).json() == {"active": False}
    assert machine.raw("GET", "/professionals?q=mull").status_code == 200
    assert installed.software.post(installed.revocation, installed.issuer, token=text).status_code == 200
    ended(machine)
    assert installed.software.post(installed.introspection, installed.issuer, token=text).json() == {"active": False}


def test_a_manager_changes_the_keys_over(installed: Installation) -> None:
    path = f"/organisations/{installed.hospital}/clients/{installed.software.client_id}/keys"
    newer = Software("EdDSA", installed.software.client_id)
    both = {"keys": installed.software.jwks["keys"] + newer.jwks["keys"]}
    private = {name: str(value) for name, value in newer.key.as_dict(private=True).items()}
    installed.doctor.ask("PUT", path, json={"jwks": {"keys": [private]}}, expect=422)
    installed.doctor.ask("PUT", path, json={"jwks": both})
    for one in (installed.software, newer):
        answer = one.post(installed.endpoint, installed.issuer, grant_type="client_credentials")
        assert answer.status_code == 200, answer.text
    installed.doctor.ask("PUT", path, json={"jwks": installed.software.jwks})
    assert newer.post(installed.endpoint, installed.issuer, grant_type="client_credentials").status_code == 401


def test_the_public_list_shows_it_to_everybody(village: Village, installed: Installation) -> None:
    listed = requests.get(f"{village.town.url}/api/v1/software", timeout=120).json()["software"]
    mine = [one for one in listed if one["name"] == "Praxis"]
    assert [(one["version"], one["state"], one["establishments"]) for one in mine] == [("4.2", "in_production", 1)]


def test_suspended_software_is_refused_within_moments_and_comes_back(
    village: Village, installed: Installation, patient: Visitor
) -> None:
    machine = installed.at_work()
    paths = ("/professionals?q=mull", f"/records/{patient.ids['record_id']}",
             f"/records/{patient.ids['record_id']}/documents")  # fmt: skip
    assert [machine.raw("GET", path).status_code for path in paths] == [200, 200, 200]
    attest(village, installed, "suspended")
    for path in paths:
        ended(machine, path)
    assert installed.for_doctor(expect=400)["error"] == "unauthorized_client"
    attest(village, installed, "in_production")
    assert installed.at_work().raw("GET", paths[0]).status_code == 200


def test_a_licence_withdrawn_ends_the_professionals_sessions_and_the_software_in_their_name(
    village: Village, installed: Installation
) -> None:
    colleague = village.professional("software colleague", "physician", installed.hospital)
    theirs = Installation(village.town, installed.software, colleague, installed.hospital)
    machine, neighbour = theirs.at_work(), installed.at_work()
    path = f"/agency/professionals/{colleague.ids['professional_id']}/licence"
    colleague.ask("POST", path, json={"licence": "valid"}, expect=403)
    village.agent.ask("POST", path, json={"licence": "withdrawn"})
    began = time.monotonic()
    ended(colleague)
    ended(machine)
    assert time.monotonic() - began < 60, "seed of the promise: within 60 seconds"
    assert neighbour.raw("GET", "/professionals?q=mull").status_code == 200
    assert theirs.for_doctor(expect=400)["error"] == "invalid_grant"
    refresh = {"refresh_token": colleague.tokens["refresh_token"]}
    assert colleague.raw("POST", "/sessions/refresh", json=refresh).status_code == 401
    village.agent.ask("POST", path, json={"licence": "valid"})
    assert theirs.for_doctor()["access_token"], "given back, the software may act for them again"
    wait_for(lambda: back(colleague), "the log-in of who has their licence back")


def back(who: Visitor) -> bool | None:
    """Whether this person logs in; right after a loss the platform waits until its clocks agree."""
    try:
        who.log_in()
    except UnexpectedAnswer:
        time.sleep(2)
        return None
    return True


def ended(who: Visitor, path: str = "/professionals?q=mull") -> None:
    """Waits until a token is worth nothing any more, as the service asked says it itself."""

    def look() -> bool | None:
        answer = who.raw("GET", path)
        return problem(answer) == (401, "session_ended") if answer.status_code != 200 else None

    assert wait_for(look, "the end of the token", MOMENTS)
