"""A document that is still looked at, or did not pass: what its depositor may change, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from services.db import new_id
from services.documents.contract import (
    TEXT,
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentDeposited,
    DocumentReleased,
    DocumentRestricted,
    DocumentWithheld,
)
from services.tokens import Caller
from tests.builders import pdf
from tests.services.hostile_files import locked_pdf
from tests.services.test_documents_checking import begun
from tests.services.test_documents_hidden import says, sees
from tests.services.ward import RISK, Ward

TOLD = (
    DocumentDeposited, ConfidentialityChanged, DocumentBlocked, DocumentReleased, DocumentWithheld, DocumentRestricted,
)  # fmt: skip
OF_PROFESSIONAL: list[tuple[str, dict[str, Any]]] = [
    ("change_confidentiality", {"level": "confidential", "risk_accepted": True}),
    ("block_document", {"reason": "Annonce"}), ("release_document", {}), ("withhold_document", {}),
    ("show_document", {}),
]  # fmt: skip
OF_HOLDER: list[tuple[str, dict[str, Any]]] = [
    ("change_confidentiality", {"level": "private", "risk_accepted": True}), ("withhold_document", {}),
    ("show_document", {}), ("restrict_document", {"risk_accepted": True, "risk_version": RISK}),
    ("unrestrict_document", {}),
]  # fmt: skip


def told(ward: Ward) -> list[str]:
    """What others heard of documents, in order."""
    kinds = {kind.type for kind in TOLD}
    return [event["type"] for event in ward.house.events("documents") if event["type"] in kinds]


def asked(ward: Ward, who: Caller, made: dict[str, Any], method: str, said: dict[str, Any]) -> str:
    about = {"professional_id": new_id()} if method.endswith("restrict_document") else {}
    if method == "restrict_document":
        about = {"professional_id": str(ward.present().professional_id)}
    return says(ward, method, who, document_id=made["document_id"], **said, **about)


@pytest.mark.parametrize(("method", "said"), OF_PROFESSIONAL)
def test_what_did_not_pass_is_changed_by_nobody_and_what_passed_is(
    ward: Ward, method: str, said: dict[str, Any]
) -> None:
    doctor = ward.present()
    ward.set_in_record(autonomous_minor="yes")
    lost, shown = begun(ward, doctor, locked_pdf()), begun(ward, doctor, pdf())
    ward.examine()
    ward.sql("delete from outbox")
    assert asked(ward, doctor, lost, method, said) == "document_unfinished" and told(ward) == []
    [trace] = ward.traces()
    assert (trace["outcome"], trace["reason"], trace["object_id"]) == (
        "refused", "document_unfinished", lost["document_id"],
    )  # fmt: skip
    assert asked(ward, doctor, shown, method, said) == "done"


@pytest.mark.parametrize(("method", "said"), OF_HOLDER)
def test_what_the_holder_deposited_and_did_not_pass_is_changed_by_nobody(
    ward: Ward, method: str, said: dict[str, Any]
) -> None:
    ward.set_in_record(autonomous_minor="yes")
    lost, shown = (begun(ward, ward.holder, data, type="holder_expression") for data in (locked_pdf(), pdf()))
    ward.examine()
    ward.sql("delete from outbox")
    assert asked(ward, ward.holder, lost, method, said) == "document_unfinished" and told(ward) == []
    assert asked(ward, ward.holder, shown, method, said) == "done"


def test_to_all_others_what_did_not_pass_is_no_document(ward: Ward) -> None:
    lost = begun(ward, ward.present(), locked_pdf())
    ward.examine()
    for method, said in OF_PROFESSIONAL:
        assert asked(ward, ward.present(), lost, method, said) == "document_not_found"
    for method, said in OF_HOLDER:
        assert asked(ward, ward.holder, lost, method, said) == "document_not_found"


def test_what_is_hidden_while_it_is_looked_at_is_told_of_with_its_deposit_and_not_before(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    ward.set_in_record(autonomous_minor="yes")
    made = begun(ward, doctor, pdf())
    document_id, since = made["document_id"], ward.block(doctor, made["document_id"])["since"]
    ward.ask("withhold_document", doctor, document_id=document_id)
    ward.set_level(doctor, document_id, "confidential")
    assert told(ward) == []
    ward.examine()
    assert told(ward) == [DocumentDeposited.type, DocumentBlocked.type, DocumentWithheld.type]
    [deposited], [blocked] = ward.events(DocumentDeposited), ward.events(DocumentBlocked)
    assert (deposited["level"], deposited["hidden"]) == ("confidential", "blocked")
    assert blocked == {"record_id": ward.record_id, "document_id": document_id, "at": since}
    assert not sees(ward, ward.holder, document_id) and not sees(ward, other, document_id)
    ward.release(doctor, document_id)
    [released] = ward.events(DocumentReleased)
    assert (released["blocked_at"], released["hidden"]) == (since, "withheld")


def test_what_was_shown_again_while_it_was_looked_at_is_told_of_as_never_hidden(ward: Ward) -> None:
    doctor = ward.present()
    ward.set_in_record(autonomous_minor="yes")
    made = begun(ward, doctor, pdf())
    ward.block(doctor, made["document_id"])
    ward.ask("withhold_document", doctor, document_id=made["document_id"])
    ward.release(doctor, made["document_id"])
    ward.ask("show_document", doctor, document_id=made["document_id"])
    ward.examine()
    assert told(ward) == [DocumentDeposited.type] and sees(ward, ward.holder, made["document_id"])
    assert ward.events(DocumentDeposited)[0]["hidden"] is None


def test_what_is_hidden_while_it_is_looked_at_and_does_not_pass_is_never_told_of(ward: Ward) -> None:
    doctor = ward.present()
    made = begun(ward, doctor, locked_pdf())
    ward.block(doctor, made["document_id"])
    ward.set_level(doctor, made["document_id"], "confidential")
    ward.examine()
    assert told(ward) == []


def test_a_holder_makes_a_document_private_while_it_is_looked_at(ward: Ward) -> None:
    doctor = ward.present()
    made = begun(ward, ward.holder, b"Pour moi seul", TEXT, type="holder_expression")
    ward.set_level(ward.holder, made["document_id"], "private")
    ward.examine()
    assert told(ward) == [DocumentDeposited.type] and ward.events(DocumentDeposited)[0]["level"] == "private"
    assert not sees(ward, doctor, made["document_id"]) and sees(ward, ward.holder, made["document_id"])
