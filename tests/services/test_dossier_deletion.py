"""What a deletion leaves of a record: who had which ground when, and not a word that its holder set or wrote."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import now, rfc3339
from services.dossier import models
from services.dossier.models_desk import Setting, SetupStep
from services.dossier.models_entourage import Assistant, Representative
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.entourage_house import Home

AFTERWARDS = timedelta(days=11 * 366)


@pytest.fixture
def home(house: DossierHouse) -> Home:
    return Home(house)


def furnished(home: Home) -> Home:
    """A record in which something stands wherever people write something."""
    doctor, asked = home.house.professional(), {"record_id": home.record}
    d, holder = home.dossier, home.holder
    d.add_to_circle(holder, **asked, professional_id=doctor.professional_id, comment="ma cardiologue")
    d.declare(holder, **asked, name="end_of_life", value="statement_made", declared_on="2026-01-05", note="chez moi")
    d.change_setting(holder, **asked, name="emergency", value="with_confidential")
    d.set_setup_step(holder, **asked, step="circle", state="done")
    home.represented_by(), home.assisted_by(), home.invite()
    home.house.code(home.record)
    return home


def counted(home: Home) -> dict[str, int]:
    """How much of what people wrote and set stands in the record, by where it stands."""
    rows = home.house.rows
    found: dict[str, list[Any]] = {
        "comments": [row.comment for row in rows(models.CircleMember) if row.record_id == home.record and row.comment],
        "names": [row.name for row in rows(Assistant) if row.record_id == home.record and row.name],
        "proofs": [row.proof for row in rows(Representative) if row.record_id == home.record and row.proof],
        **{
            table.__tablename__: [row for row in rows(table) if row.record_id == home.record]
            for table in (Setting, SetupStep, models.PresenceCode)
        },
    }
    return {name: len(each) for name, each in found.items()}


def test_a_deletion_destroys_what_was_written_and_a_closing_or_another_records_deletion_nothing(home: Home) -> None:
    furnished(home)
    other = furnished(Home(home.house))
    before, kept = counted(home), counted(other)
    assert all(before.values()), before
    home.dossier.close_record(home.holder, record_id=home.record, confirmed=True)
    home.time_passes(now() + timedelta(days=3600))
    assert counted(home) == before, "ten years are not over"
    with home.house.sessions.transaction() as session:  # the other one was looked at until the last day
        session.execute(sa.update(models.Record).values(last_access_on=(now() + AFTERWARDS).date()))
    home.time_passes(now() + AFTERWARDS)
    assert not any(counted(home).values()), counted(home)
    assert counted(other) == kept


def test_a_deletion_leaves_who_had_which_ground_when(home: Home) -> None:
    furnished(home)
    tables = (models.CircleMember, Assistant, Representative)
    before = [len(home.house.rows(table)) for table in tables]
    home.dossier.close_record(home.holder, record_id=home.record, confirmed=True)
    home.time_passes(now() + AFTERWARDS)
    assert [row.state for row in home.house.rows(models.Record)] == ["deleted"]
    assert [len(home.house.rows(table)) for table in tables] == before
    [member] = home.house.rows(models.CircleMember)
    assert member.professional_id and rfc3339(member.since)


def test_of_a_deleted_record_an_agent_finds_no_representative_to_list_or_end_and_of_a_closed_one_they_do(
    home: Home,
) -> None:
    agent, asked = home.house.agent, {"record_id": home.record}
    _, representative_id = home.represented_by("mandatary")
    home.dossier.close_record(home.holder, record_id=home.record, confirmed=True)
    assert len(home.dossier.representatives(agent, **asked)["representatives"]) == 1
    home.time_passes(now() + AFTERWARDS)
    assert refusal_code(home.dossier.representatives(agent, **asked)) == "record_not_found"
    ended = home.dossier.end_representative(agent, **asked, representative_id=representative_id)
    assert refusal_code(ended) == "representative_not_found"
    assert home.house.events("grant_ended.v1") == []
