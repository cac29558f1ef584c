"""The same bytes again are pointed out to software as to people: only where it may read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import pdf
from tests.services.test_documents_deposits import deposit, machine
from tests.services.test_documents_series import Series
from tests.services.ward import Ward

WRITES, READS = "system/DocumentReference.c", "system/DocumentReference.c system/DocumentReference.rs"


@pytest.mark.parametrize("as_author", [False, True])
def test_software_is_pointed_to_a_copy_where_it_may_read_and_at_the_same_cost_to_none_where_not(
    ward: Ward, as_author: bool
) -> None:
    doctor, data = ward.present(), pdf(f"twice {as_author}")
    first = deposit(ward, doctor, data)
    software = machine(doctor.establishment_id)
    if as_author:  # its token names the person it acts for
        software = replace(doctor, account_id=software.account_id, client_id=software.client_id)
    said = {} if as_author else {"author": doctor.professional_id}
    writes, reads = replace(software, scope=WRITES), replace(software, scope=READS)
    with ward.counted() as asked_by_writer:
        hidden = deposit(ward, writes, data, **said)
    with ward.counted() as asked_by_reader:
        pointed = deposit(ward, reads, data, **said)
    assert hidden["duplicate_of"] is None and pointed["duplicate_of"] == first["document_id"]
    assert asked_by_writer == asked_by_reader and set(hidden) == set(pointed)


def test_in_a_series_too(ward: Ward) -> None:
    doctor, data = ward.present(), pdf("again")
    first = deposit(ward, doctor, data)
    software = replace(doctor, account_id=machine(None).account_id, client_id=machine(None).client_id)
    for scope, pointed in ((WRITES, None), (READS, first["document_id"])):
        series = Series(ward, replace(software, scope=scope))
        assert series.deposit(series.put(series.slot(), data))["duplicate_of"] == pointed
        ward.examine()
