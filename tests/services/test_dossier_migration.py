"""From the first release's schema, with data, to today's: every record is still its holder's, and gets a number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from deploy.local import postgres
from deploy.local.stack import Stack
from services.db import migrate, new_id

FIRST = "0001"


@pytest.fixture
def upgraded(infra: Stack) -> Iterator[tuple[sa.Engine, dict[str, str]]]:
    """A database that the first release filled, brought to today's schema twice; and who is who in it."""
    name = "dossier_of_the_first_release"
    with postgres.connect(infra.layout).cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name}")
    url = infra.layout.database_url_of(name, "opendsp_admin", infra.layout.secrets["database_admin"])
    migrate("dossier", url, FIRST)
    who = {each: new_id() for each in ("patient", "deleted", "active", "doctor")}
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in (
            "insert into records values ('{deleted}', '{patient}', 'deleted', now()),"
            " ('{active}', '{patient}', 'active', now())",
            "insert into professionals values ('{doctor}', 'physician', 'valid', '{{}}', 1)",
            "insert into blocklist values (gen_random_uuid(), '{active}', '{doctor}', now(), null)",
            "insert into circle_members values (gen_random_uuid(), '{active}', '{doctor}', 'x', now(), null)",
            "insert into mandates values (gen_random_uuid(), '{active}', '{doctor}', null, 'presence', 'w', now(),"
            " now(), now(), null)",
            "insert into first_accesses values ('{active}', '{doctor}', 'presence', now())",
        ):
            connection.execute(sa.text(statement.format(**who)))
    migrate("dossier", url)
    migrate("dossier", url)
    yield engine, who


def test_records_and_grants_of_the_first_release_live_on(upgraded: tuple[sa.Engine, dict[str, str]]) -> None:
    engine, who = upgraded
    with engine.connect() as connection:
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
    upgraded: tuple[sa.Engine, dict[str, str]], forbidden: str, named: str
) -> None:
    engine, who = upgraded
    with pytest.raises(sa.exc.IntegrityError, match=named), engine.begin() as connection:
        connection.execute(sa.text(forbidden.format(**who)))


def test_a_record_that_leads_to_another_stands_beside_it(upgraded: tuple[sa.Engine, dict[str, str]]) -> None:
    engine, who = upgraded
    with engine.begin() as connection:
        connection.execute(sa.text(
            "insert into records (record_id, patient_id, state, since, merged_into, merged_at, state_before)"
            " values (gen_random_uuid(), '{patient}', 'closed', now(), '{active}', now(), 'open')".format(**who)
        ))  # fmt: skip
