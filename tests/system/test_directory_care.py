"""The directory of professionals on the whole platform: found, read, changed, at work; a licence that comes back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from deploy.agency import any_matricule, establishment
from deploy.visitors import Visitor, wait_for
from tests.system.conftest import Village

STOPPED = timedelta(seconds=12)


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def test_a_professional_is_found_read_changed_and_works_where_the_directory_says(village: Village) -> None:
    agent, doctor, patient = village.agent, village.professional("doctor of the directory"), village.patient()
    whose, family = doctor.ids["professional_id"], doctor.ids["family"]
    path, desk = f"/professionals/{whose}", f"/agency/professionals/{whose}"
    hospital = establishment(agent, f"Hôpital {family}", "hospital")

    agent.ask("POST", f"{desk}/workplaces", json={"establishment_id": hospital}, expect=201)
    doctor.ask("POST", f"{desk}/workplaces", json={"establishment_id": hospital}, expect=403)
    [found] = patient.ask("GET", f"/professionals?q={family[-6:]}&profession=physician")["professionals"]
    assert (found["professional_id"], found["licence"]) == (whose, "valid")
    assert {place["establishment_id"] for place in found["establishments"]} == {village.practice, hospital}
    [place] = patient.ask("GET", f"/organisations?q=spidol {family[-6:]}&kind=hospital")["organisations"]
    assert place["establishment_id"] == hospital
    [there] = patient.ask("GET", f"/organisations/{hospital}/professionals")["professionals"]
    assert there == found

    first = agent.raw("GET", path)
    assert first.json()["history"]["licences"] and patient.ask("GET", path)["history"] is None
    change = {"specialities": ["Gériatrie", f"Médecine {family}"]}
    assert problem(agent.raw("PATCH", desk, json=change)) == (428, "precondition_required")
    changed = agent.raw("PATCH", desk, json=change, headers={"If-Match": first.headers["ETag"]})
    assert changed.status_code == 200 and changed.headers["ETag"] != first.headers["ETag"]
    again = agent.raw("PATCH", desk, json={"specialities": []}, headers={"If-Match": first.headers["ETag"]})
    assert problem(again) == (412, "changed_meanwhile")

    sister = {"matricule": any_matricule(), "family_name": family, "first_name": "Zita", "profession": "nurse",
              "language": "lb"}  # fmt: skip
    agent.ask("POST", "/agency/professionals", json=sister, expect=201)
    page = patient.raw("GET", f"/professionals?q={family[-6:]}&limit=1")
    following = re.fullmatch(r'</api/v1(.+)>; rel="next"', page.headers["Link"])
    assert following is not None
    seen = [*page.json()["professionals"], *patient.ask("GET", following[1])["professionals"]]
    # Of the same family, in the order of their first names, whichever the doctor's is.
    assert sorted((one["family_name"], one["profession"]) for one in seen) == [(family, "nurse"), (family, "physician")]

    agent.ask("PATCH", f"/agency/organisations/{hospital}", json={"name": f"Klinik {family}"})
    agent.ask("POST", f"/agency/organisations/{hospital}/closing")
    left = patient.ask("GET", path)["establishments"]
    assert [one["establishment_id"] for one in left] == [village.practice]
    late = agent.raw("POST", f"{desk}/workplaces", json={"establishment_id": hospital})
    assert problem(late) == (409, "establishment_closed")
    assert problem(patient.raw("GET", f"/professionals/{hospital}")) == (404, "person_not_found")


def test_a_temporary_stop_suspends_what_runs_and_its_end_restores_it(village: Village) -> None:
    agent, doctor, patient = village.agent, village.professional("doctor who is stopped"), village.patient()
    record = f"/records/{patient.ids['record_id']}"
    village.mandate(doctor, patient, expect=201)
    doctor.ask("GET", record)
    licence = f"/agency/professionals/{doctor.ids['professional_id']}/licence"
    wrong = agent.raw("POST", licence, json={"licence": "withdrawn", "until": "2100-01-01T00:00:00Z"})
    assert problem(wrong) == (422, "invalid_input") and wrong.json()["errors"][0]["code"] == "only_of_suspension"

    over = (datetime.now(UTC) + STOPPED).isoformat()
    agent.ask("POST", licence, json={"licence": "suspended", "until": over})
    seen = patient.ask("GET", f"/professionals/{doctor.ids['professional_id']}")
    assert seen["licence"] == "suspended" and seen["licence_until"] is not None
    wait_for(lambda: doctor.raw("GET", record).status_code == 401 or None, "the end of the session")

    def valid_again() -> Any:
        return patient.ask("GET", f"/professionals/{doctor.ids['professional_id']}")["licence"] == "valid" or None

    wait_for(valid_again, "the end of the stop")
    logged_in(doctor)
    assert wait_for(lambda: doctor.raw("GET", record).status_code == 200 or None, "the record"), "by the same mandate"


def logged_in(doctor: Visitor) -> None:
    doctor.log_in("professional")
    assert doctor.ask("GET", "/sessions/current")["professional_id"] == doctor.ids["professional_id"]
