"""New versions of a document: said first, then the bytes put, then the next number; or an older one brought back.

A new version is its depositor's until it was looked at closely; the one before stays the current one so long. It
inherits what hides its document and how confidential that is, because all of it hangs on the document.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import (
    answers,
    answers_deposits,
    answers_versions,
    rules,
    rules_deposits,
    rules_versions,
    store,
    store_deposits,
    store_examining,
    store_versions,
)
from services.documents.asking import Depositor
from services.documents.changing import changeable
from services.documents.contract import (
    DocumentHistory,
    DocumentNotFound,
    DocumentVersioned,
    PreparedDeposit,
    Put,
    Restored,
    Submitted,
    UploadExpired,
    UploadIncomplete,
)
from services.documents.deposits import Deposits
from services.documents.document_types import document_types
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller

VERSIONED = "document.versioned"
RESTORED = "document.restored"


class Versions(Deposits):
    """The entrypoints of versions and of what a document was before."""

    @rpc(scope="system/DocumentReference.c")
    def prepare_version(
        self, caller: Caller, *, document_id: str, version: int | None, author: str | None = None,
        gateway_key: str | None = None, size: int | None = None,
    ) -> PreparedDeposit | Refusal:  # fmt: skip
        """Gives the upload that the bytes of a document's next version go to; nothing of the document changes yet.

        version: the count of changes that the caller read (`read_document`), None for whatever is there: asked again
        at the commit. author, gateway_key, size: as in `prepare_deposit`, and so is the trace.

        Refuses: InvalidInput; AuthorUnknown; DocumentNotFound, the same for unknown, hidden and foreign; DocumentGone;
        NotAllowed without `rw` on its category; TypeNotDepositable against a wish of the holder; DocumentUnfinished;
        ChangedMeanwhile; RequestInFlight, KeyReused [domain, Documents; RFC 9110 13.1.1].
        """
        answers.require(version=answers_versions.is_version(version))
        rules_deposits.require_size(size, load().upload_max_bytes)
        asked, record_id, _ = place = self._find(document_id)
        body = {"document_id": asked, "version": version, "author": author, "size": size}
        who = self._depositor(caller, record_id, author)
        with self.db.transaction(caller) as session:
            answer: PreparedDeposit | None = once(session, caller, "prepare_version", body)
            wanted = None if answer is not None else version  # a repeat may come after its own commit
            found = changeable(session, who, VERSIONED, place, wanted, hold=False)
            if isinstance(found, Refusal):
                return found
            row, grant = found
            record_key = self._record_key(session, row.record_id, store.record_key(session, row.record_id))
            if answer is None:
                upload = answers_versions.new_upload(caller, row, now(), version, author, size)
                store_deposits.add_uploads(session, [upload])
                answer = {
                    "upload_id": upload["upload_id"], "expires_at": rfc3339(upload["expires_at"]),
                    "max_size": rules_deposits.most_of(document_types()[row.type], load().upload_max_bytes),
                }  # fmt: skip
                remember(session, caller, "prepare_version", body, answer)
            if gateway_key is None:
                answers.allow(
                    session, who.caller, "document.prepared", grant, record_id=place.home_id, object_id=asked
                )
                return answer
            started = self._start(session, answer["upload_id"], row.record_id, record_key, gateway_key)
            return {**answer, **started}

    @rpc
    def restore_version(
        self, caller: Caller, *, document_id: str, version_id: str, version: int | None
    ) -> Restored | Refusal:
        """Makes a version of the past the newest again, at once: a new number for the same bytes, copied nowhere.

        version: as in `prepare_version`.

        Refuses: as `prepare_version`; DocumentNotFound also where the document has no such version [domain, Documents].
        """
        answers.require(version=answers_versions.is_version(version))
        asked, record_id, home_id = place = self._find(document_id)
        wanted = rules.canonical_id(version_id)
        body = {"document_id": asked, "version_id": wanted, "version": version}
        who = self._depositor(caller, record_id, None)
        with self.db.transaction(caller) as session:
            answer: Restored | None = once(session, caller, "restore_version", body)
            found = changeable(session, who, RESTORED, place, version if answer is None else None)
            if isinstance(found, Refusal):
                return found
            row, grant = found
            old = store_versions.past(session, row.document_id, wanted or new_id())
            if old is None:
                refused = DocumentNotFound()
                return answers.refuse(session, caller, RESTORED, refused, record_id=home_id, object_id=asked)
            answers.allow(session, caller, RESTORED, grant, record_id=home_id, object_id=asked)
            if answer is None:
                answer = self._restore(session, who, row, old)
                remember(session, caller, "restore_version", body, answer)
            return answer

    @rpc(scope="system/DocumentReference.rs")
    def read_history(self, caller: Caller, *, document_id: str) -> DocumentHistory | Refusal:
        """Gives every version and every wording a document had, newest first.

        A version that is checked, or did not pass, shows to who deposited it alone.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; DocumentGone [domain, Documents].
        """
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            rows = store_versions.history(session, scope, record_id or new_id(), asked or new_id())
            if not rows:
                return answers.refuse_reading(session, caller, "document.read", scope, place)
            grant = rules.may_read(scope, answers.facts_of(rows[0]))
            answers.allow(session, caller, "document.read", grant, record_id=home_id, object_id=asked)
            return answers_versions.history(rows, store_versions.wordings(session, rows[0].document_id))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _commit_version(self, caller: Caller, put: Put, upload: store.Row) -> Submitted | Refusal:
        """Makes uploaded bytes the next version of the document that their upload replaces, once."""
        asked, record_id, home_id = place = self._find(upload.replaces)
        who = self._depositor(caller, record_id, upload.author_id)
        stored = self._in_store(put)
        at = now()
        with self.db.transaction(caller) as session:
            tries = {put["upload_id"]: put["version_id"]}
            whose = caller.account_id, caller.capacity
            uploads = store_deposits.held_uploads(session, tries, *whose, at - rules.UPLOAD_LIFETIME)
            if not answers_deposits.waits([put], uploads):
                return self._settled(session, caller, [put], uploads)
            found = changeable(session, who, VERSIONED, place, upload.details["version"])
            if isinstance(found, Refusal):
                return found
            row, grant = found
            named: dict[str, Any] = {"record_id": home_id, "object_id": asked}
            kind = document_types()[row.type]
            refused = rules.refused_content(kind, put["media_type"], put["size"], load().upload_max_bytes)
            if refused is not None or stored is None:
                return answers.refuse(session, who.caller, VERSIONED, refused or UploadIncomplete(), **named)
            if uploads[0].try_key is None:
                return answers.refuse(session, who.caller, VERSIONED, UploadExpired(), **named)
            store_versions.add(session, answers_versions.new_version(who, row, put, uploads[0], stored, at))
            store_examining.queue(session, put["version_id"], at)
            answers.allow(session, who.caller, VERSIONED, grant, **named)
            done: Any = {
                "document_id": row.document_id, "version_id": put["version_id"], "record_id": row.record_id,
                "duplicate_of": None,
            }  # fmt: skip
            store_deposits.note_deposited(session, [{**done, "upload_id": put["upload_id"]}])
            return {"submission_id": "", "documents": [done]}

    def _restore(self, session: Session, who: Depositor, row: store.Row, old: store.Row) -> Restored:
        at, version_id = now(), new_id()
        number = store_versions.add(session, answers_versions.restored(who, old, version_id, at))
        store_examining.show(session, row.document_id, version_id, number)
        # what it is found by was made of other bytes meanwhile: these are looked at once more
        store_examining.queue(session, version_id, at)
        emit(session, DocumentVersioned(
            record_id=row.record_id, document_id=row.document_id, version_id=version_id, number=number,
            document_type=row.type, category=row.category, level=row.level, author_id=who.scope.author_id,
            media_type=old.media_type, size=old.size, restores=old.number, at=rfc3339(at),
        ))  # fmt: skip
        return {
            "document_id": row.document_id, "version_id": version_id, "number": number, "restores": old.number,
            "version": rules_versions.revision(number, row.wording),
        }  # fmt: skip
