"""Uploads in parts: a big file comes piece by piece, in any order and as often as it takes, and ends as one object.

The store puts the parts together (S3 multipart), so the object is sealed like every other: one key, segments counted
from the first part to the last, the last one of all marked. A part begins at a whole segment, its number says which.
What a part is, is written down before it is sealed: a repeat under the same key is of the same bytes, or it is refused,
so that no counter ever seals two different segments.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import new_id, now, rfc3339
from services.documents import answers, contract, rules, rules_parts, store, store_deposits, store_parts
from services.documents.contract import (
    CommittedDeposit,
    JoinedUpload,
    PartChanged,
    PartsMissing,
    StartedPart,
    UploadExpired,
    UploadIncomplete,
    UploadInParts,
    UploadNotFound,
)
from services.documents.deposits import CREATED, Deposits
from services.object_store import Stored
from services.refusals import Refusal
from services.sealing import sealed_size
from services.tokens import Caller

_SCOPE = "system/DocumentReference.c"


class Parts(Deposits):
    """The entrypoints of uploads in parts; `prepare_deposit` with a size begins one, `commit_deposit` ends it."""

    @rpc(scope=_SCOPE)
    def read_upload(self, caller: Caller, *, upload_id: str) -> UploadInParts | Refusal:
        """Which parts of one's own upload are there: after a lost connection, those that are not are sent again.

        Refuses: UploadNotFound (unknown, somebody else's, or one that comes whole).
        """
        asked = rules.canonical_id(upload_id) or new_id()
        with self.db.transaction(caller) as session:
            upload = self._in_parts(session, caller, asked)
            if isinstance(upload, Refusal):
                return upload
            stored = [part for part in store_parts.parts_of_upload(session, asked) if part.etag is not None]
            answers.allow(
                session, caller, "deposit.read", rules.AUTHOR, record_id=upload.record_id, object_id=asked,
                object_type="upload", count=len(stored),
            )  # fmt: skip
            return {
                "upload_id": asked, "expires_at": rfc3339(upload.expires_at), "size": upload.size,
                "part_size": contract.PART, "parts": rules_parts.count(upload.size),
                "stored": [
                    {"number": part.number, "size": part.size, "sha256": bytes(part.sha256).hex()} for part in stored
                ],
                "document_id": upload.document_id,
            }  # fmt: skip

    @rpc(scope=_SCOPE)
    def start_part(
        self, caller: Caller, *, upload_id: str, number: int, size: int, sha256: str, gateway_key: str
    ) -> StartedPart | Refusal:
        """Gives the key and a URL for one part, whose plain bytes the gateway holds and has measured.

        number: from 1. size, sha256: of the part. The first of all parts begins the object. Of a part that is in the
        joined object already there is no URL. Leaves no trace: the deposit does.

        Refuses: UploadNotFound (also once it is a document), UploadExpired; InvalidInput (a number or a size that this
        upload has not); PartChanged for other bytes than those the part was begun with; Unavailable.
        """
        asked = rules.canonical_id(upload_id) or new_id()
        answers.require(sha256=rules.is_digest(sha256), size=rules.is_size(size))
        with self.db.transaction(caller) as session:
            upload = self._open(session, caller, asked)
            if isinstance(upload, Refusal):
                return upload
            rules_parts.require_part(number, size, upload.size)
            store_deposits.hold_uploads(session, [asked])
            begun = store_parts.attempt(session, asked)
            if begun is None:
                begun = self._begin(session, upload)
        if begun.multipart_id == store_parts.NOT_BEGUN:
            self._begin_in_store(begun.version_id)
        with self.db.transaction(caller) as session:
            begun = store_parts.attempt(session, asked)
            if begun is None:  # deposited or swept meanwhile
                return answers.refuse_upload(session, caller, asked)
            noted = store_parts.note_part(session, begun.version_id, number, size, bytes.fromhex(sha256))
            if noted is None:
                return answers.refuse(session, caller, CREATED, PartChanged(), record_id=upload.record_id)
            started: StartedPart = {
                "version_id": begun.version_id,
                "put_url": self.blobs.part_url(
                    begun.version_id, begun.multipart_id, number, contract.URL_LIFETIME
                ),
                "sealed_key": self._key_of(begun, upload, gateway_key),
                "first_segment": rules_parts.first_segment(number),
                "last": number == rules_parts.count(upload.size),
            }  # fmt: skip
        if noted.etag is not None and self._whole(begun, upload.size) is not None:
            started["put_url"] = None  # the store takes no part of what it has joined
        return started

    @rpc(scope=_SCOPE)
    def finish_part(
        self, caller: Caller, *, upload_id: str, version_id: str, number: int, etag: str
    ) -> dict[str, int] | Refusal:
        """Notes that a part is in the store, with the store's receipt; leaves no trace, the deposit does.

        Refuses: UploadNotFound, UploadExpired.
        """
        asked = rules.canonical_id(upload_id) or new_id()
        answers.require(etag=isinstance(etag, str) and 0 < len(etag) <= 200)
        with self.db.transaction(caller) as session:
            upload = self._open(session, caller, asked)
            if isinstance(upload, Refusal):
                return upload
            store_parts.note_stored(session, rules.canonical_id(version_id) or new_id(), number, etag)
            return {"number": number}

    @rpc(scope=_SCOPE)
    def join_parts(
        self, caller: Caller, *, upload_id: str, gateway_key: str
    ) -> JoinedUpload | CommittedDeposit | Refusal:
        """Has the store put the parts together, once, and gives the gateway the object to read it through.

        What was put together before a connection was lost is not put together again; of an upload that is a document
        already the deposit's answer comes again.

        Refuses: UploadNotFound, UploadExpired; PartsMissing; UploadIncomplete; Unavailable.
        """
        asked = rules.canonical_id(upload_id) or new_id()
        with self.db.transaction(caller) as session:
            upload = self._in_parts(session, caller, asked)
            if isinstance(upload, Refusal):
                return upload
            if upload.document_id is not None:
                return answers.repeated(session, caller, upload, bytes(upload.sha256).hex())
            begun = store_parts.attempt(session, asked)
            if upload.expires_at <= now():
                return answers.refuse(session, caller, CREATED, UploadExpired(), record_id=upload.record_id)
            etags = {part.number: part.etag for part in store_parts.parts_of_upload(session, asked) if part.etag}
            missing = rules_parts.missing(etags, upload.size)
            if missing or begun is None:
                refusal = PartsMissing(missing=missing)
                return answers.refuse(session, caller, CREATED, refusal, record_id=upload.record_id)
            sealed_key = self._key_of(begun, upload, gateway_key)
        stored = self._joined(begun, etags, upload.size)
        if stored is None:
            with self.db.transaction(caller) as session:
                return answers.refuse(session, caller, CREATED, UploadIncomplete(), record_id=upload.record_id)
        return {
            "version_id": begun.version_id, "content_id": begun.version_id,
            "get_url": self.blobs.get_url(begun.version_id, stored.version, contract.URL_LIFETIME),
            "sealed_key": sealed_key, "size": upload.size,
        }  # fmt: skip

    # --- inside -------------------------------------------------------------------------------------------------------

    def _joined(self, begun: store.Row, etags: dict[int, str], size: int) -> Stored | None:
        """What the store holds once the parts are together, None where that is not the whole of them."""
        there = self._whole(begun, size)
        if there is None:
            self.blobs.join_parts(begun.version_id, begun.multipart_id, etags)
            there = self._whole(begun, size)
        return there

    def _whole(self, begun: store.Row, size: int) -> Stored | None:
        """The object of all parts, None where they are not joined yet."""
        there: Stored | None = self.blobs.stored(begun.version_id)
        return there if there is not None and there.size == sealed_size(size) else None

    def _in_parts(self, session: Session, caller: Caller, upload_id: str) -> Any | Refusal:
        upload = store_deposits.upload(session, upload_id, caller.account_id, caller.capacity)
        if upload is None or upload.size is None:
            return answers.refuse_upload(session, caller, upload_id)
        return upload

    def _open(self, session: Session, caller: Caller, upload_id: str) -> Any | Refusal:
        """One's own upload that still takes parts."""
        upload = self._in_parts(session, caller, upload_id)
        if isinstance(upload, Refusal):
            return upload
        if upload.document_id is not None:
            return answers.refuse(session, caller, CREATED, UploadNotFound(), record_id=upload.record_id)
        if upload.expires_at <= now():
            return answers.refuse(session, caller, CREATED, UploadExpired(), record_id=upload.record_id)
        return upload

    def _begin(self, session: Session, upload: store.Row) -> store.Row:
        version_id, record_id = new_id(), upload.record_id
        wrapped_key = self.keys.new_data_key(record_id, bytes(upload.wrapped_record_key), version_id)
        return store_parts.add_attempt(session, upload.upload_id, version_id, wrapped_key, record_id, now())

    def _begin_in_store(self, version_id: str) -> None:
        """Has the store take parts; of two that begin at once the first one's name counts, the other's is forgotten."""
        multipart_id = self.blobs.begin_parts(version_id)
        with self.db.transaction() as session:
            first = store_parts.note_begun(session, version_id, multipart_id)
        if not first:
            self.blobs.forget_parts(version_id, multipart_id)

    def _key_of(self, begun: store.Row, upload: store.Row, gateway_key: str) -> str:
        record_key = bytes(begun.wrapped_record_key)
        return self._sealed_key(
            begun.key_record_id, record_key, begun.version_id, bytes(begun.wrapped_key), gateway_key
        )
