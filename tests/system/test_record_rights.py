"""Rights on the whole platform: mine, everybody's, why not, and how to ask for access without learning anything."""

from __future__ import annotations

from typing import Any

from services.db import new_id
from tests.system.conftest import Village


def test_everybody_is_told_their_rights_and_why_and_a_stranger_only_how_to_ask(village: Village) -> None:
    doctor, stranger = (
        village.professional("doctor with rights"),
        village.professional("pharmacist alone", "pharmacist"),
    )
    patient = village.patient()
    record = f"/records/{patient.ids['record_id']}"
    village.mandate(doctor, patient, expect=201)

    [mine] = doctor.ask("GET", f"{record}/rights/me")["rights"]
    assert (mine["ground"], mine["rule"], mine["levels"]) == ("presence", "presence/24h", ["standard"])
    given = patient.ask("GET", f"{record}/rights")["rights"]
    assert {(each["ground"], each["professional_id"]) for each in given} == {
        ("holder", None), ("presence", doctor.ids["professional_id"]),
    }  # fmt: skip
    assert all(each["name"] for each in given)
    doctor.ask("GET", f"{record}/rights", expect=404)

    def explained(**asked: Any) -> Any:
        question = {"action": "read", "category": "history", "level": "standard", **asked}
        return patient.ask("POST", f"{record}/rights/explain", json=question)

    about = {"who": {"professional_id": doctor.ids["professional_id"]}}
    assert explained()["rule"] == "holder"
    assert explained(**about)["rule"] == "presence/24h"
    assert explained(level="private", **about) == {
        "allowed": False, "ground": None, "rule": "level/private", "step": "level",
        "remedies": ["lower_level", "stronger_ground"], "until": None,
    }  # fmt: skip
    patient.ask("POST", f"{record}/rights/explain", json={"action": "read", "category": "x", "level": "y"}, expect=422)

    stranger.ask("GET", f"{record}/rights/me", expect=404)
    here = stranger.ask("GET", f"{record}/access-options")
    nowhere = stranger.ask("GET", f"/records/{new_id()}/access-options")
    assert here == nowhere
    assert [each["option"] for each in here["options"]] == ["presence_code", "responsibility", "author_only"]
    assert here["text"] and all(each["text"] for each in here["options"])
    patient.ask("GET", f"{record}/access-options", expect=403)
