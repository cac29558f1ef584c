"""The statistics on the whole platform: what people do is counted once it is sealed, and agents alone see it."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from deploy.visitors import wait_for
from tests.builders import pdf
from tests.system.conftest import Village

FOLDER = "/agency/statistics"


def test_what_people_do_is_counted_and_shown_to_agents_in_three_forms(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor of the counted", "midwife")
    village.mandate(doctor, patient, expect=201)
    today = datetime.now(ZoneInfo("Europe/Luxembourg")).date().isoformat()
    days, months = f"dates=2016-01-31,{today}", f"from={today[:7]}&to={today[:7]}"

    def told(path: str) -> dict[str, list[int]]:
        table = village.agent.ask("GET", f"{FOLDER}/{path}")
        return {row["key"]: row["counts"] for row in table["rows"]}

    def number(path: str, key: str) -> int:
        return told(path).get(key, [0])[-1]

    before = {key: number(f"documents?{days}", key) for key in ("holder_expression",)}
    accesses = number(f"accesses?{months}", "midwife")
    patient.deposit(patient.ids["record_id"], pdf("compté"), type="holder_expression", title="Mes mots")
    doctor.ask("GET", f"/records/{patient.ids['record_id']}")
    wait_for(
        lambda: number(f"documents?{days}", "holder_expression") == before["holder_expression"] + 1 or None,
        "the deposit among the documents",
    )
    wait_for(lambda: number(f"accesses?{months}", "midwife") > accesses or None, "the access of a midwife")
    wait_for(lambda: sum(counts[-1] for counts in told(f"deposits?{months}").values()) or None, "deposits by software")
    assert number(f"records?{days}", "active") >= 1 and number(f"accounts?{days}", "patient") >= 1
    assert number(f"documents/months?{months}", "holder_expression") >= 1

    sheet = village.agent.raw("GET", f"{FOLDER}/documents?{days}&format=csv", headers={"Accept-Language": "fr"})
    rows = list(csv.reader(io.StringIO(sheet.text)))
    assert rows[0] == ["Code", "Nom", "2016-01-31", today] and rows[-1][1] == "Total"
    assert ["holder_expression", "Expression du titulaire"] in [row[:2] for row in rows]
    plot = village.agent.raw("GET", f"{FOLDER}/documents?{days}&format=svg", headers={"Accept-Language": "de"})
    assert plot.headers["Content-Type"].startswith("image/svg+xml") and "Dokumente nach Typ" in plot.text
    assert plot.headers["Content-Security-Policy"].startswith("default-src 'none'")
    coverage: dict[str, Any] = village.agent.ask("GET", f"{FOLDER}/coverage")
    assert coverage["smallest"] == 5

    for who in (patient, doctor):
        for path in (f"documents?{days}", f"accesses?{months}", "coverage", f"records?{days}&format=svg"):
            refused = who.raw("GET", f"{FOLDER}/{path}")
            assert refused.status_code == 403 and refused.json()["type"] == "urn:dsp:problem:not_allowed"
