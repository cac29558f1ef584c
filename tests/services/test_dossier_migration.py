"""From the first release's schema, with data, to today's: every record is still its holder's, and gets a number."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from services.db import new_id
from tests.conftest import Before

FIRST = "0001"


@pytest.fixture
def upgraded(database_before: Callable[[str, str], Before]) -> tuple[Before, dict[str, str]]:
    """A database that the first release filled, brought to today's schema twice; and who is who in it."""
    before = database_before("dossier", FIRST)
    who = {each: new_id() for each in ("patient", "deleted", "active", "doctor")}
    before.run(*(statement.format(**who) for statement in (
        "insert into records values ('{deleted}', '{patient}', 'deleted', now()),"
        " ('{active}', '{patient}', 'active', now())",
        "insert into professionals values ('{doctor}', 'physician', 'valid', '{{}}', 1)",
        "insert into blocklist values (gen_random_uuid(), '{active}', '{doctor}', now(), null)",
        "insert into circle_members values (gen_random_uuid(), '{active}', '{doctor}', 'x', now(), null)",
        "insert into mandates values (gen_random_uuid(), '{active}', '{doctor}', null, 'presence', 'w', now(),"
        " now(), now(), null)",
        "insert into first_accesses values ('{active}', '{doctor}', 'presence', now())",
    )))  # fmt: skip
    before.upgrade()
    return before, who


def test_records_and_grants_of_the_first_release_live_on(upgraded: tuple[Before, dict[str, str]]) -> None:
    before, who = upgraded
    with before.engine.connect() as connection:
        rows = connection.execute(sa.text(
            "select cast(record_id as text), state, moves, opened_for, merged_into from records order by record_number"
        )).all()  # fmt: skip
        assert [tuple(row) for row in rows] == [
            (who["deleted"], "deleted", 0, None, None), (who["active"], "active", 0, None, None)
        ]  # fmt: skip
        for table in ("blocklist", "circle_members", "mandates", "first_accesses"):
            assert connection.scalar(sa.text(f"select count(*) from {table} where copied_from is null")) == 1, table


@pytest.mark.parametrize(
    ("forbidden", "named"),
    [
        ("insert into records (record_id, patient_id, state, since) values (gen_random_uuid(), '{patient}', 'open',"
         " now())", "uq_records_patient"),
        ("update records set merged_into = '{deleted}'", "ck_records_merged"),
        ("insert into patient_merges values (gen_random_uuid(), '{patient}', '{doctor}', 'running', null)",
         "ck_patient_merges_speaks"),
        ("insert into patient_merges values (gen_random_uuid(), '{patient}', '{doctor}', 'undone', '{patient}')",
         "ck_patient_merges_speaks"),
        ("insert into patient_merges select gen_random_uuid(), '{patient}', '{doctor}', 'running', '{patient}'"
         " from generate_series(1, 2)", "uq_patient_merges_running"),
    ],
)  # fmt: skip
def test_a_person_has_one_record_and_one_speaker_at_a_time(
    upgraded: tuple[Before, dict[str, str]], forbidden: str, named: str
) -> None:
    before, who = upgraded
    with pytest.raises(sa.exc.IntegrityError, match=named):
        before.run(forbidden.format(**who))


def test_a_record_that_leads_to_another_stands_beside_it(upgraded: tuple[Before, dict[str, str]]) -> None:
    before, who = upgraded
    before.run(
        "insert into records (record_id, patient_id, state, since, merged_into, merged_at, state_before)"
        " values (gen_random_uuid(), '{patient}', 'closed', now(), '{active}', now(), 'open')".format(**who)
    )


@pytest.fixture
def aged(database_before: Callable[[str, str], Before]) -> tuple[Before, dict[str, str]]:
    """A database in which records lived before time took its steps, brought to today's schema; and which is which."""
    before = database_before("dossier", "0003")
    records = {each: new_id() for each in ("printed", "unprinted", "lapsed", "active", "closed", "deleted", "merged")}
    states = {"printed": "open", "unprinted": "open", "lapsed": "open_by_lapse", "merged": "active"}
    before.run(
        *(
            "insert into records (record_id, patient_id, state, since)"
            f" values ('{record_id}', gen_random_uuid(), '{states.get(kind, kind)}', '2020-02-03 10:00+00')"
            for kind, record_id in records.items()
        ),
        *(statement.format(**records) for statement in (
            "insert into presence_codes values (gen_random_uuid(), '{printed}', gen_random_uuid(), 'x', '2026-11-01'),"
            " (gen_random_uuid(), '{printed}', gen_random_uuid(), 'x', '2026-11-09'),"
            " (gen_random_uuid(), '{active}', gen_random_uuid(), 'x', '2026-11-01')",
            "update records set state = 'closed', state_before = 'active', merged_at = now(), merged_into = '{active}'"
            " where record_id = '{merged}'",
            "insert into state_changes values (gen_random_uuid(), '{active}', '2020-01-01', null, 'open',"
            " 'affiliation', gen_random_uuid()), (gen_random_uuid(), '{active}', '2020-02-01', 'open', 'active',"
            " 'activation', gen_random_uuid()), (gen_random_uuid(), '{closed}', '2020-01-01', null, 'open',"
            " 'affiliation', null)",
        )),
    )  # fmt: skip
    before.upgrade()
    return before, records


def test_records_from_before_get_what_time_does_to_them(aged: tuple[Before, dict[str, str]]) -> None:
    before, records = aged
    with before.engine.connect() as connection:
        rows = connection.execute(sa.text(
            "select cast(record_id as text), kind, cast(due_at at time zone 'UTC' as text),"
            " due_at > now() + interval '9 years' from deadlines where subject_id = record_id"
        )).all()  # fmt: skip
        seen = dict(connection.execute(sa.text(
            "select cast(record_id as text), last_access_on = current_date from records"
        )).tuples().all())  # fmt: skip
    due = {(record_id, kind): (at, far) for record_id, kind, at, far in rows}
    living = ("printed", "unprinted", "lapsed", "active", "merged")
    assert set(due) == {(records["printed"], "lapse"), (records["closed"], "deletion")} | {
        (records[each], "inactivity") for each in living
    }
    assert due[records["printed"], "lapse"][0].startswith("2026-12-01"), "thirty days after the first letter"
    assert due[records["closed"], "deletion"][0] == "2030-02-03 10:00:00"
    assert all(due[records[each], "inactivity"][1] for each in living)
    assert [seen[records[each]] for each in (*living, "closed")] == [True] * 5 + [None]


def test_the_steps_taken_before_have_an_author(aged: tuple[Before, dict[str, str]]) -> None:
    before, records = aged
    with before.engine.connect() as connection:
        rows = connection.execute(sa.text("select cast(record_id as text), cause, capacity from state_changes")).all()
    assert {tuple(row) for row in rows} == {
        (records["active"], "affiliation", "agency"), (records["active"], "activation", "holder"),
        (records["closed"], "affiliation", "platform"),
    }  # fmt: skip


def test_what_an_undone_merge_left_behind_is_found_and_what_a_running_one_brought_stays(
    database_before: Callable[[str, str], Before],
) -> None:
    before = database_before("dossier", "0006")
    records, persons = "survivor undone running", "patient_s patient_u patient_r doctor account"
    mandates = "own_u copy_u copy_of_copy own_r copy_r"
    who = {each: new_id() for each in f"{records} {persons} {mandates}".split()}
    mandate = ("insert into mandates (mandate_id, record_id, professional_id, kind, wording_version, starts_at,"
               " read_until, deposit_until, ended_at, copied_from) values ('{}', '{}', '{}', 'presence', 'w', now(),"
               " now(), now(), now(), {})")  # fmt: skip
    word = ("insert into record_settings (setting_id, record_id, name, value, note, account_id, since, until) values"
            " (gen_random_uuid(), '{}', 'organ_donation', 'donor', '{}', '{}', '{}', {})")  # fmt: skip
    before.run(
        *(
            statement.format(**who)
            for statement in (
                "insert into records (record_id, patient_id, state, since) values"
                " ('{survivor}', '{patient_s}', 'active', now()), ('{undone}', '{patient_u}', 'active', now())",
                "insert into records (record_id, patient_id, opened_for, state, since, merged_into, merged_at,"
                " state_before) values"
                " ('{running}', '{patient_s}', '{patient_r}', 'closed', now(), '{survivor}', now(), 'active')",
                "insert into patient_merges values (gen_random_uuid(), '{patient_s}', '{patient_u}', 'undone', null),"
                " (gen_random_uuid(), '{patient_s}', '{patient_r}', 'running', '{patient_s}')",
                "insert into professionals values ('{doctor}', 'physician', 'valid', '{{}}', 1)",
            )
        ),
        mandate.format(who["own_u"], who["undone"], who["doctor"], "null"),
        mandate.format(who["copy_u"], who["survivor"], who["doctor"], f"'{who['own_u']}'"),
        mandate.format(who["copy_of_copy"], who["running"], who["doctor"], f"'{who['copy_u']}'"),
        mandate.format(who["own_r"], who["running"], who["doctor"], "null"),
        mandate.format(who["copy_r"], who["survivor"], who["doctor"], f"'{who['own_r']}'"),
        word.format(who["undone"], "theirs", who["account"], "2026-01-01", "null"),
        word.format(who["survivor"], "theirs", who["account"], "2026-01-02", "'2026-01-03'"),
        word.format(who["survivor"], "mine", who["account"], "2026-01-04", "null"),
        word.format(who["running"], "mine", who["account"], "2026-01-01", "null"),
    )
    before.upgrade()
    with before.engine.connect() as connection:
        gone = connection.scalars(sa.text("select cast(mandate_id as text) from mandates where taken_back")).all()
        words = connection.execute(sa.text(
            "select cast(record_id as text), note from record_settings where taken_back"
        )).all()  # fmt: skip
    assert set(gone) == {who["copy_u"], who["copy_of_copy"]}
    assert [tuple(row) for row in words] == [(who["survivor"], "theirs")]
