"""What every change of a document begins with: may this caller, is it ready, is it still what they read."""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.db import new_id, now
from services.documents import answers, rules, rules_versions, store, store_versions, store_wishes, wishes
from services.documents.asking import Depositor
from services.documents.contract import DocumentUnfinished
from services.documents.contract_versions import RECTIFIED_WITHIN
from services.documents.document_types import document_types
from services.documents.keeping_lines import fixed
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal


def changeable(
    session: Session, who: Depositor, action: str, place: rules.Place, version: int | None, *, hold: bool = True,
) -> tuple[store.Row, rules.Grant] | Refusal:  # fmt: skip
    """A document that this caller may change, and what lets them; else the traced refusal.

    version: the count of changes they read, None for whatever is there. hold: the document, until the commit.

    Refuses: DocumentNotFound where it is not visible; NotAllowed where the rule says no; TypeNotDepositable where a
    wish of the holder stands against it; DocumentUnfinished; ChangedMeanwhile; PrescriptionGiven.
    """
    document_id, record_id, home_id = place
    if who.refusal is not None:
        return answers.refuse(session, who.caller, action, who.refusal, record_id=home_id, object_id=document_id)
    since = now() - RECTIFIED_WITHIN
    row = store_versions.look(session, who.scope, record_id or new_id(), document_id or new_id(), since, hold=hold)
    if row is None or record_id is None:
        return answers.refuse_reading(session, who.caller, action, who.scope, place)
    facts = answers.facts_of(row)
    grant = rules_versions.may_version(
        who.scope, facts, holder_authored=row.author_kind == "holder", asked=row.asked and row.author_id is not None
    )
    refusal: Refusal | None = None
    if grant is None:
        refusal = NotAllowed()
    elif grant != rules.AUTHOR:  # who was asked to put it right is opposed by no wish
        against = store_wishes.opposed(session, record_id)
        refusal = wishes.refused(session, who, document_types()[row.type], against)
    if refusal is None and row.state != "available":
        refusal = DocumentUnfinished()
    at = rules_versions.revision(row.number, row.wording)
    if refusal is None and not rules_versions.holds(at, version, pending=row.pending):
        refusal = ChangedMeanwhile()
    refusal = refusal or fixed(session, row.document_id, row.category, hold=hold)
    if refusal is not None or grant is None:
        refusal = refusal or NotAllowed()
        return answers.refuse(session, who.caller, action, refusal, record_id=home_id, object_id=document_id)
    return row, grant
