"""A reader's own binders of a record: collections with a name, seen by nobody else [seed 002, domain, Documents]."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, rules, store, store_binders
from services.documents.asking import Asking
from services.documents.contract import (
    BINDER_NAME_LENGTH,
    BINDERS_MOST,
    Binder,
    BinderNameTaken,
    BinderNotFound,
    Binders,
    DocumentNotFound,
    TooManyBinders,
)
from services.dossier.contract import AccessScope
from services.refusals import Refusal
from services.tokens import Caller


class Collections(Asking):
    """Make, name, fill, empty, list."""

    @rpc
    def list_binders(self, caller: Caller, *, record_id: str) -> Binders | Refusal:
        """The caller's own binders of a record, by name, each with how many of its documents they may see now.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder).
        """
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            refusal = _refused(session, scope, asked)
            if asked is None or refusal is not None:
                return answers.refuse(session, caller, "binder.searched", refusal or BinderNotFound(), record_id=asked)
            rows = store_binders.listed(session, caller, scope, asked)
            grant = rules.ground_of_list(scope)
            answers.allow(session, caller, "binder.searched", grant, record_id=asked, count=len(rows))
            return {"binders": [_binder(row) for row in rows]}

    @rpc
    def create_binder(self, caller: Caller, *, record_id: str, name: str) -> Binder | Refusal:
        """Makes an empty binder of a record for the caller. name: 1 to 80 characters, once per reader and record.

        Refuses: as `list_binders`; BinderNameTaken, TooManyBinders; InvalidInput (name).
        """
        called = _name(name)
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        said = {"record_id": record_id, "name": name}
        with self.db.transaction(caller) as session:
            refusal = _refused(session, scope, asked)
            if asked is None or refusal is not None:
                return answers.refuse(session, caller, "binder.created", refusal or BinderNotFound(), record_id=asked)
            before: Binder | None = once(session, caller, "create_binder", said)
            if before is not None:
                return before
            store_binders.lock_reader(session, caller, asked)
            taken = {str(row.name) for row in store_binders.names(session, caller, asked)}
            if called in taken or len(taken) >= BINDERS_MOST:
                refusal = BinderNameTaken() if called in taken else TooManyBinders(most=BINDERS_MOST)
                return answers.refuse(session, caller, "binder.created", refusal, record_id=asked)
            binder_id, at = new_id(), now()
            store_binders.add(session, caller, asked, binder_id, called, at)
            _allow(session, caller, "binder.created", scope, asked, binder_id)
            made: Binder = {
                "binder_id": binder_id, "record_id": asked, "name": called, "documents": 0, "created_at": rfc3339(at),
            }  # fmt: skip
            remember(session, caller, "create_binder", said, made)
            return made

    @rpc
    def rename_binder(self, caller: Caller, *, binder_id: str, name: str) -> Binder | Refusal:
        """Gives a binder of the caller's own another name.

        Refuses: BinderNotFound, the same for unknown, another's and of a record without a ground; BinderNameTaken;
        InvalidInput (name).
        """
        called = _name(name)
        asked, record_id, scope = self._binder(caller, binder_id)
        with self.db.transaction(caller) as session:
            row = _held(session, caller, "binder.changed", scope, record_id, asked)
            if isinstance(row, Refusal):
                return row
            others = store_binders.names(session, caller, row.record_id)
            if any(each.name == called and each.binder_id != asked for each in others):
                return answers.refuse(session, caller, "binder.changed", BinderNameTaken(), record_id=row.record_id)
            store_binders.rename(session, asked, called)
            _allow(session, caller, "binder.changed", scope, row.record_id, asked)
            return {**_binder(row), "name": called}

    @rpc
    def remove_binder(self, caller: Caller, *, binder_id: str) -> Refusal | None:
        """Takes a binder of the caller's own away; the documents stay where they are.

        Refuses: BinderNotFound, as `rename_binder`.
        """
        asked, record_id, scope = self._binder(caller, binder_id)
        with self.db.transaction(caller) as session:
            row = _held(session, caller, "binder.removed", scope, record_id, asked)
            if isinstance(row, Refusal):
                return row
            store_binders.remove(session, asked)
            _allow(session, caller, "binder.removed", scope, row.record_id, asked)
            return None

    @rpc
    def fill_binder(self, caller: Caller, *, binder_id: str, document_id: str) -> Refusal | None:
        """Puts a document that the caller sees into a binder of their own; again changes nothing.

        Refuses: BinderNotFound, as `rename_binder`; DocumentNotFound, the same for unknown, hidden, and of another
        record than the binder's.
        """
        document = rules.canonical_id(document_id) or new_id()
        asked, record_id, scope = self._binder(caller, binder_id)
        with self.db.transaction(caller) as session:
            row = _held(session, caller, "binder.filled", scope, record_id, asked)
            if isinstance(row, Refusal):
                return row
            if store.seen_document(session, scope, row.record_id, document) is None:
                refusal = DocumentNotFound()
                return answers.refuse(session, caller, "binder.filled", refusal, record_id=row.record_id)
            store_binders.put_in(session, asked, document, now())
            _allow(session, caller, "binder.filled", scope, row.record_id, asked)
            return None

    @rpc
    def empty_binder(self, caller: Caller, *, binder_id: str, document_id: str) -> Refusal | None:
        """Takes a document out of a binder of the caller's own; what is not in it is no error.

        Refuses: BinderNotFound, as `rename_binder`.
        """
        asked, record_id, scope = self._binder(caller, binder_id)
        with self.db.transaction(caller) as session:
            row = _held(session, caller, "binder.emptied", scope, record_id, asked)
            if isinstance(row, Refusal):
                return row
            store_binders.take_out(session, asked, rules.canonical_id(document_id) or new_id())
            _allow(session, caller, "binder.emptied", scope, row.record_id, asked)
            return None

    def _binder(self, caller: Caller, binder_id: str) -> tuple[str, str | None, AccessScope]:
        """The id in its one spelling, the record of the caller's binder of that id, and what they may do there."""
        asked = rules.canonical_id(binder_id) or new_id()
        with self.db.transaction() as session:
            record_id = store_binders.record_of_binder(session, caller, asked)
        return asked, record_id, self._scope(caller, record_id)


def _refused(session: Session, scope: AccessScope, record_id: str | None) -> Refusal | None:
    """Why this caller keeps no binders of this record, or None: who reads nothing in it has nothing to collect."""
    if record_id is not None and (scope.clauses or store.sees_anything(session, scope, record_id)):
        return None
    return answers.no_ground(scope)


def _held(
    session: Session, caller: Caller, action: str, scope: AccessScope, record_id: str | None, binder_id: str
) -> Any | Refusal:
    """A binder of the caller's own, of a record they may read, its reader's changes held; else the traced refusal."""
    if record_id is not None and _refused(session, scope, record_id) is None:
        store_binders.lock_reader(session, caller, record_id)
        for row in store_binders.listed(session, caller, scope, record_id, binder_id):
            return row
    return answers.refuse(session, caller, action, BinderNotFound(), record_id=record_id)


def _allow(session: Session, caller: Caller, action: str, scope: AccessScope, record_id: str, binder_id: str) -> None:
    answers.allow(
        session, caller, action, rules.ground_of_list(scope), record_id=record_id, object_id=binder_id,
        object_type="binder",
    )  # fmt: skip


def _name(name: object) -> str:
    called = rules.clean_line(name, BINDER_NAME_LENGTH)
    answers.require(name=called is not None)
    assert called is not None, "required"
    return called


def _binder(row: Any) -> Binder:
    return {
        "binder_id": row.binder_id, "record_id": row.record_id, "name": row.name, "documents": row.documents,
        "created_at": rfc3339(row.created_at),
    }  # fmt: skip
