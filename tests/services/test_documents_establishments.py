"""A document says in which establishment it was deposited, and each version where it was made; a holder's own does not.

Over real databases, dossier and object store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.documents.contract import TEXT, DocumentDeposited
from services.tokens import Caller
from tests.builders import pdf
from tests.conftest import Before
from tests.services import test_documents_versions as versions
from tests.services.test_documents_deposits import machine, submit
from tests.services.ward import Ward


def place(ward: Ward, who: Caller, document_id: str) -> str | None:
    """Where a document was deposited, as somebody reads it, finds it in their list, and as it was told."""
    read = ward.ask("read_document", who, document_id=document_id)
    listed = ward.ask("list_documents", who, record_id=ward.record_id)["documents"]
    [beside] = [one["establishment_id"] for one in listed if one["document_id"] == document_id]
    [told] = [one["establishment_id"] for one in ward.events(DocumentDeposited) if one["document_id"] == document_id]
    assert read["establishment_id"] == beside == told
    return None if told is None else str(told)


def test_a_document_is_of_the_establishment_at_which_its_depositor_logged_in(ward: Ward) -> None:
    one, two = ward.present(), ward.present()
    mine, theirs = ward.deposit(one), ward.deposit(two)
    for reader in (one, two, ward.holder):
        assert place(ward, reader, mine) == one.establishment_id
        assert place(ward, reader, theirs) == two.establishment_id
    assert one.establishment_id != two.establishment_id


def test_logged_in_elsewhere_a_professional_deposits_elsewhere(ward: Ward) -> None:
    here = ward.present()
    there = replace(here, establishment_id=new_id())
    nowhere = replace(here, establishment_id=None)
    found = [place(ward, here, ward.deposit(who)) for who in (here, there, nowhere)]
    assert found == [here.establishment_id, there.establishment_id, None]


def test_what_the_holder_side_deposits_is_of_no_establishment(ward: Ward) -> None:
    doctor = ward.present()
    for who in (ward.holder, ward.representative(), ward.assistant()):
        document_id = ward.deposit(who, b"ma parole", TEXT, type="holder_expression")
        assert place(ward, doctor, document_id) is None
    assert place(ward, doctor, ward.deposit(doctor)) == doctor.establishment_id


def test_no_holder_s_document_can_be_given_an_establishment(ward: Ward) -> None:
    given = "update documents set establishment_id = :e where document_id = :d"
    theirs = ward.deposit(ward.holder, b"ma parole", TEXT, type="holder_expression")
    with pytest.raises(sa.exc.IntegrityError, match="ck_documents_establishment"):
        ward.sql(given, e=new_id(), d=theirs)
    ward.sql(given, e=new_id(), d=ward.deposit(ward.present()))


def test_software_deposits_where_it_is_in_use_whoever_it_names(ward: Ward) -> None:
    doctor = ward.present()
    software = machine(doctor.establishment_id)
    document_id = ward.deposit(software, author=doctor.professional_id)
    [told] = ward.events(DocumentDeposited)
    assert (told["author_id"], told["establishment_id"]) == (doctor.professional_id, software.establishment_id)
    [trace] = ward.traces("document.created")
    assert (trace["object_id"], trace["establishment_id"]) == (document_id, software.establishment_id)


def test_of_several_deposited_together_each_is_of_that_establishment(ward: Ward) -> None:
    doctor = ward.present()
    made = submit(ward, doctor, [pdf("a"), pdf("b")])
    rows = ward.sql("select document_id, establishment_id from documents where record_id = :r", r=ward.record_id)
    assert {str(row.document_id): str(row.establishment_id) for row in rows} == {
        one["document_id"]: doctor.establishment_id for one in made["documents"]
    }


def test_a_version_is_of_where_it_was_made_and_the_document_of_where_it_began(ward: Ward) -> None:
    one, two = ward.present(), ward.present()
    document_id = ward.deposit(one, b"eins", TEXT)
    versions.replaced(ward, two, document_id, b"zwei")
    first = versions.history(ward, one, document_id)["versions"][-1]["version_id"]
    asked = {"document_id": document_id, "version_id": first, "version": None}
    ward.ask("restore_version", one, **asked)
    ward.examine()
    shown = versions.history(ward, ward.holder, document_id)["versions"]
    assert [each["establishment_id"] for each in shown] == [
        one.establishment_id, two.establishment_id, one.establishment_id
    ]  # fmt: skip
    assert place(ward, two, document_id) == one.establishment_id


def test_the_holder_s_next_version_of_their_own_is_of_none(ward: Ward) -> None:
    document_id = ward.deposit(ward.holder, b"eins", TEXT, type="holder_expression")
    versions.replaced(ward, ward.holder, document_id, b"zwei")
    shown = versions.history(ward, ward.holder, document_id)["versions"]
    assert [each["establishment_id"] for each in shown] == [None, None]


# --- from the release before ------------------------------------------------------------------------------------------


@pytest.fixture
def upgraded(database_before: Callable[[str, str], Before]) -> tuple[Callable[[str], Any], dict[str, str]]:
    """A database with a holder's, a professional's and an institution's document, brought to today's schema twice."""
    before = database_before("documents", "0009")
    kinds = ("holder", "professional", "institution")
    of = {kind: new_id() for kind in (*kinds, "record", "fund", "doctor")}
    record = of["record"]
    before.run(f"insert into record_keys (record_id, wrapped_key, created_at) values ('{record}', '\\x01', now())")
    for kind in kinds:
        ids = [new_id() for _ in range(2)]
        author = f"'{of['doctor']}'" if kind == "professional" else "null"
        institution = f"'{of['fund']}'" if kind == "institution" else "null"
        before.run(
            "insert into documents (document_id, record_id, home_record_id, type, category, folder, title,"
            " author_kind, author_id, institution_id, level, current_version_id, deposited_at, upload_id)"
            f" values ('{of[kind]}', '{record}', '{record}', 't', 'c', 'f', 'x', '{kind}', {author}, {institution},"
            f" 'standard', '{ids[0]}', now(), '{new_id()}')",
            *(
                "insert into versions (version_id, document_id, number, content_id, wrapped_key, key_record_id,"
                f" media_type, size, sha256, account_id, created_at) values ('{version_id}', '{of[kind]}',"
                f" {number}, '{version_id}', '\\x02', '{record}', 'm', 1, sha256('x'), '{new_id()}', now())"
                for number, version_id in enumerate(ids, 1)
            ),
        )
    before.upgrade()

    def ask(query: str) -> Any:
        with before.engine.connect() as connection:
            return connection.execute(sa.text(query)).all()

    return ask, of


def test_of_older_documents_only_an_institution_s_own_say_where(
    upgraded: tuple[Callable[[str], Any], dict[str, str]],
) -> None:
    ask, of = upgraded
    found = {row[0]: row[1] for row in ask("select author_kind, cast(establishment_id as text) from documents")}
    assert found == {"holder": None, "professional": None, "institution": of["fund"]}
    said = "select cast(document_id as text), number, cast(establishment_id as text) from versions"
    assert [tuple(row) for row in ask(said) if row[2] is not None] == [(of["institution"], 1, of["fund"])]
    assert len(ask(said)) == 6
