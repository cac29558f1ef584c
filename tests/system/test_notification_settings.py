"""What people wish to hear of, set over the gateway of the whole platform: it holds for what happens from then on."""

from __future__ import annotations

from typing import Any

from tests.system.conftest import Village
from tests.system.test_record_news import times_told, told

SETTINGS = "/notifications/settings"
NOTHING: dict[str, Any] = {"occasions": [], "quiet_hours": None, "digest": None, "new_documents": {}}


def test_what_somebody_switched_off_is_not_told_and_what_the_law_fixes_stays(village: Village) -> None:
    patient, other, doctor = village.patient(), village.patient(), village.professional("doctor of the settings")
    read = patient.raw("GET", SETTINGS)
    tag = {"If-Match": read.headers["ETag"]}
    first = next(one for one in read.json()["occasions"] if one["name"] == "first_access")
    assert (first["fixed"], first["source"]) == (True, "RGD 3(3)") and "loi" in first["reason"]

    quiet = {**NOTHING, "occasions": [{"name": "presence_code", "channels": []}]}
    patient.ask("PUT", SETTINGS, json=quiet, expect=428)
    off = {**NOTHING, "occasions": [{"name": "first_access", "channels": []}]}
    refused = patient.ask("PUT", SETTINGS, json=off, headers=tag, expect=409)
    assert refused["type"].endswith(":notice_fixed") and "RGD 3(3)" in refused["detail"]
    wrong = patient.ask("PUT", SETTINGS, json={**quiet, "digest": {"at": "25:00", "channel": "email"}}, headers=tag,
                        expect=422)  # fmt: skip
    assert wrong["errors"][0]["pointer"] == "/digest/at"
    changed = patient.raw("PUT", SETTINGS, json=quiet, headers=tag)
    assert changed.status_code == 200 and changed.headers["ETag"] != tag["If-Match"]
    patient.ask("PUT", SETTINGS, json=quiet, headers=tag, expect=412)

    for one in (patient, other):
        made = one.ask("POST", f"/records/{one.ids['record_id']}/presence-code")
        one.secrets.add(made["code"])
        one.ids["presence_code"] = made["code"]
    told(village, other, "nouveau code de présence")
    village.mandate(doctor, patient)
    told(village, patient, "Premier accès")
    assert times_told(village, patient, "code de présence") == 0
