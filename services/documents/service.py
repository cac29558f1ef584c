"""documents owns the documents of all records: what was deposited, its versions, levels and keys, and who may see it.

It never holds a byte of content (the gateway streams sealed bytes to and from the object store; documents signs the
URLs and keeps the keys), never decides rights by itself (dossier answers what a caller may do in a record; here that
becomes a WHERE clause), and never tells a hidden document from one that does not exist: both cost a look-up, one
question to dossier (about a made-up record where there is none), one query and one trace.

Every call asks dossier first, with no transaction open, and then works in one transaction with its trace.
"""

from __future__ import annotations

import logging
from typing import Any

import eventlet
from nameko.extensions import DependencyProvider
from nameko.timer import timer
from sqlalchemy.orm import Session

from services.bus import Remote, emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, contract, rules, store
from services.documents.confidentiality import Confidentiality
from services.documents.contract import (
    CommittedDeposit,
    Document,
    DocumentPage,
    OpenedContent,
    PreparedDeposit,
    StartedUpload,
    UploadExpired,
    UploadIncomplete,
)
from services.documents.document_types import document_types
from services.documents.moving import Moving
from services.documents.patient_blocks import PatientBlocks
from services.documents.ports.blobs import Blobs, Stored
from services.documents.ports.keys import Keys
from services.documents.restrictions import Restrictions
from services.documents.views import Views
from services.documents.withholding import Withholdings
from services.dossier.contract import AccessScope, RecordNotFound
from services.refusals import InvalidInput, Refusal, Unavailable
from services.sealing import sealed_size
from services.settings import load
from services.tokens import Caller

SWEEP_EVERY = 600  # seconds
SWEEP_BATCH = 200
BLOCKS_EVERY = 60  # seconds
BUCKET_RETRY = 1  # seconds

log = logging.getLogger(__name__)


class ObjectStore(DependencyProvider):  # type: ignore[misc]
    """Gives each worker the object store; makes its bucket in the background, as soon as the store is up."""

    def setup(self) -> None:
        self.blobs = Blobs.of(load())

    def start(self) -> None:
        self.container.spawn_managed_thread(self._ensure, identifier="bucket")

    def _ensure(self) -> None:
        while True:
            try:
                return self.blobs.ensure()
            except Unavailable:
                log.warning("object store unreachable", extra={"retry_in": BUCKET_RETRY})
                eventlet.sleep(BUCKET_RETRY)

    def get_dependency(self, worker_ctx: Any) -> Blobs:
        return self.blobs


class KeyRing(DependencyProvider):  # type: ignore[misc]
    """Gives each worker the keys under the master key; a wrong master key stops the process at its start."""

    def setup(self) -> None:
        self.keys = Keys.of(load())

    def get_dependency(self, worker_ctx: Any) -> Keys:
        return self.keys


class Documents(Moving, Confidentiality, Restrictions, PatientBlocks, Withholdings, Views):
    """Deposit, list, read, open; how confidential a document is, whom it is hidden from, and who sees it."""

    name = contract.NAME
    dossier = Remote("dossier")
    blobs = ObjectStore()
    keys = KeyRing()

    # --- depositing ---------------------------------------------------------------------------------------------------

    @rpc(scope="system/DocumentReference.c")
    def prepare_deposit(
        self, caller: Caller, *, record_id: str, type: str, title: str, act_date: str | None = None,
        language: str | None = None, gateway_key: str | None = None,
    ) -> PreparedDeposit | Refusal:  # fmt: skip
        """Notes what a document will be and gives the upload its bytes go to; nothing is in the record yet.

        type: slug of document_types.csv. title: 1 to 200 characters. act_date: ISO day of the act. language: two
        letters. gateway_key: X25519 public key (base64) of the gateway process that has the bytes at hand; the answer
        then holds a first try, as `start_upload` gives. Under one Idempotency-Key there is one upload, and every
        repeat gets a try of its own. Without gateway_key the permission leaves a trace; with it `commit_deposit` does.

        Refuses: InvalidInput; RecordNotFound without a ground (RecordClosed to the holder); TypeNotDepositable where
        no ground lets this caller deposit the type's category; RequestInFlight, KeyReused [RGD 9(1), RGD Annex 1].
        """
        at = now()
        said = {"record_id": record_id, "type": type, "title": title, "act_date": act_date, "language": language}
        metadata, errors = rules.read_metadata(
            document_types(), type=type, title=title, act_date=act_date, language=language, today=at.date()
        )
        if metadata is None:
            raise InvalidInput(errors=errors)
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        refusal = answers.refused_deposit(scope, metadata.type)
        with self.db.transaction(caller) as session:
            if asked is None or refusal is not None:
                return answers.refuse(session, caller, "document.created", refusal or RecordNotFound(), record_id=asked)
            record_key = store.record_key(session, asked)
            if record_key is None:
                record_key = store.add_record_key(session, asked, self.keys.new_record_key(asked), at)
            answer: PreparedDeposit | None = once(session, caller, "prepare_deposit", said)
            if answer is None:
                upload_id, expires_at = new_id(), at + rules.UPLOAD_LIFETIME
                store.add_upload(
                    session, upload_id=upload_id, record_id=asked, account_id=caller.account_id,
                    capacity=caller.capacity, metadata=metadata, at=at, expires_at=expires_at,
                )  # fmt: skip
                # never the URL or the key: what is remembered is stored
                answer = {
                    "upload_id": upload_id, "expires_at": rfc3339(expires_at), "max_size": load().upload_max_bytes,
                }  # fmt: skip
                remember(session, caller, "prepare_deposit", said, answer)
            if gateway_key is None:
                # an answer of its own; with the bytes at hand the one trace is the deposit's
                grant = rules.may_deposit(scope, metadata.type)
                answers.allow(session, caller, "document.prepared", grant, record_id=asked)
                return answer
            started = self._start(session, answer["upload_id"], asked, record_key, gateway_key)
            return {**answer, **started}

    @rpc(scope="system/DocumentReference.c")
    def start_upload(self, caller: Caller, *, upload_id: str, gateway_key: str) -> StartedUpload | Refusal:
        """Gives one more try to upload: an object name, a key and a URL that no other try has or will have.

        Refuses: UploadNotFound (unknown or somebody else's); UploadExpired; InvalidInput (gateway_key).
        """
        at = now()
        asked = rules.canonical_id(upload_id) or new_id()
        with self.db.transaction(caller) as session:
            upload = store.upload(session, asked, caller.account_id, caller.capacity)
            if upload is None:
                return answers.refuse_upload(session, caller, asked)
            if upload.expires_at <= at:
                return answers.refuse(session, caller, "document.created", UploadExpired(), record_id=upload.record_id)
            return self._start(session, asked, upload.record_id, bytes(upload.wrapped_record_key), gateway_key)

    @rpc(scope="system/DocumentReference.c")
    def commit_deposit(
        self, caller: Caller, *, upload_id: str, version_id: str, sha256: str, size: int, media_type: str
    ) -> CommittedDeposit | Refusal:
        """Puts the uploaded bytes into the record as a document, once: a repeat gets the first answer.

        version_id: the try whose bytes are meant. sha256 (hexadecimal), size and media_type are those of the plain
        bytes as the gateway saw them pass. Rights are asked again, and the store must hold exactly the sealed size,
        before the transaction that writes document, version, level, event and trace.

        Refuses: UploadNotFound; UploadExpired; UploadIncomplete; UploadEmpty, UploadTooLarge, MediaTypeNotAllowed;
        RecordNotFound or TypeNotDepositable when the rights have gone; KeyReused when the upload became a document of
        other bytes; Unavailable when the object store does not answer; InvalidInput [RGD 9(1)].
        """
        asked, attempt = rules.canonical_id(upload_id) or new_id(), rules.canonical_id(version_id) or ""
        answers.require(
            version_id=bool(attempt), sha256=rules.is_digest(sha256), size=rules.is_size(size),
            media_type=isinstance(media_type, str),
        )  # fmt: skip
        with self.db.transaction(caller) as session:
            upload = store.upload(session, asked, caller.account_id, caller.capacity)
            if upload is None:
                return answers.refuse_upload(session, caller, asked)
            if upload.document_id is not None:
                return answers.repeated(session, caller, upload, sha256)
        kind, asked_of = document_types()[upload.type], upload.record_id
        scope = self._scope(caller, asked_of)
        stored = self._inspect(scope, kind, attempt, media_type, size)
        at = now()
        with self.db.transaction(caller) as session:
            if isinstance(stored, Refusal):
                return answers.refuse(session, caller, "document.created", stored, record_id=upload.record_id)
            store.lock_upload(session, asked)
            upload = store.upload(session, asked, caller.account_id, caller.capacity)
            if upload is None:
                return answers.refuse_upload(session, caller, asked)
            if upload.document_id is not None:
                return answers.repeated(session, caller, upload, sha256)
            if upload.record_id != asked_of:  # merged or unmerged meanwhile: these rights are another record's
                return answers.refuse(session, caller, "document.created", RecordNotFound(), record_id=asked_of)
            taken = store.take_attempt(session, asked, attempt, at - rules.UPLOAD_LIFETIME)
            if taken is None:
                return answers.refuse(session, caller, "document.created", UploadExpired(), record_id=upload.record_id)
            document_id = new_id()
            version = {
                "version_id": attempt, "document_id": document_id, "wrapped_key": bytes(taken.wrapped_key),
                "key_record_id": taken.key_record_id, "store_version": stored.version, "media_type": media_type,
                "size": size, "sha256": bytes.fromhex(sha256), "author_id": scope.author_id,
                "account_id": caller.account_id, "created_at": at,
            }  # fmt: skip
            document = answers.new_document(upload, kind, scope, document_id, version)
            store.add_document(session, document=document, version=version, level_id=new_id())
            grant = rules.may_deposit(scope, kind)
            answers.allow(session, caller, "document.created", grant, record_id=upload.record_id, object_id=document_id)
            emit(session, answers.deposited(document, version))
            return {"document_id": document_id, "version_id": attempt, "record_id": upload.record_id}

    # --- reading ------------------------------------------------------------------------------------------------------

    @rpc(scope="system/DocumentReference.rs")
    def list_documents(
        self, caller: Caller, *, record_id: str, limit: int = 50, cursor: str | None = None
    ) -> DocumentPage | Refusal:
        """Gives the documents of a record that this caller may see, newest deposit first, and nothing of the others.

        limit: 1 to 100. cursor: `next_cursor` of the page before. One trace for the page, with how many it showed.

        Refuses: RecordNotFound without a ground and without a document of one's own (RecordClosed to the holder);
        InvalidInput (limit, cursor)
        [RGD 5, RGD 8; domain, Who may see what].
        """
        after = rules.from_cursor(cursor)
        answers.require(cursor=cursor is None or after is not None, limit=rules.is_page_limit(limit))
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        with self.db.transaction(caller) as session:
            rows = store.page(session, scope, asked or new_id(), after, limit)
            nothing = not rows and not scope.clauses
            if asked is None or (nothing and not (after and store.sees_anything(session, scope, asked))):
                return answers.refuse(session, caller, "document.searched", answers.no_ground(scope), record_id=asked)
            grant = rules.ground_of_list(scope)
            count = min(len(rows), limit)
            answers.allow(session, caller, "document.searched", grant, record_id=asked, count=count)
            return answers.page(rows, limit)

    @rpc(scope="system/DocumentReference.rs")
    def read_document(self, caller: Caller, *, document_id: str) -> Document | Refusal:
        """Gives what is known of one document, with its versions, newest first; its bytes are another call's.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign [RGD 5, RGD 8].
        """
        asked, record_id = self._find(document_id)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            rows = store.history(session, scope, record_id or new_id(), asked or new_id())
            if not rows:
                return answers.refuse_document(session, caller, "document.read", record_id, asked)
            grant = rules.may_read(scope, answers.facts_of(rows[0]))
            answers.allow(session, caller, "document.read", grant, record_id=record_id, object_id=asked)
            return {**answers.item(rows[0]), "versions": [answers.version(row) for row in rows]}

    @rpc(scope="system/DocumentReference.rs")
    def open_content(
        self, caller: Caller, *, document_id: str, gateway_key: str, version_id: str | None = None,
        from_start: bool = True,
    ) -> OpenedContent | Refusal:  # fmt: skip
        """Gives the gateway what it needs to stream a version's bytes: a URL for its sealed bytes and their key.

        version_id: None for the current one. from_start: false when the reader asks for a later range or reads on; such
        a request joins the opening of its session (last read within 15 minutes), and begins one where none stands.
        From the start it begins one, if the last began 15 minutes ago. An opening leaves exactly one trace, however
        many requests it is made of.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign; InvalidInput (gateway_key)
        [RGD 5, RGD 8].
        """
        asked, record_id = self._find(document_id)
        scope = self._scope(caller, record_id)
        at = now()
        wanted = None if version_id is None else rules.canonical_id(version_id) or new_id()
        with self.db.transaction(caller) as session:
            row = store.content(session, scope, record_id or new_id(), asked or new_id(), wanted, caller.session_id)
            if row is None or record_id is None:
                return answers.refuse_document(session, caller, "document.opened", record_id, asked)
            opening = (session, caller.session_id, row.version_id, at)
            if not rules.reads_on(row.read_at, from_start, at) and store.open_version(*opening, at - rules.OPEN_WINDOW):
                grant = rules.may_read(scope, answers.facts_of(row))
                answers.allow(session, caller, "document.opened", grant, record_id=record_id, object_id=asked)
            elif row.read_at is not None and row.read_at <= at - rules.OPEN_NOTED:
                store.note_reading(*opening)
            return {
                "document_id": row.document_id,
                "version_id": row.version_id,
                "get_url": self.blobs.get_url(row.version_id, row.store_version, contract.URL_LIFETIME),
                "sealed_key": self._sealed_key(
                    row.key_record_id,
                    bytes(row.wrapped_record_key),
                    row.version_id,
                    bytes(row.wrapped_key),
                    gateway_key,
                ),
                "size": row.size,
                "media_type": row.media_type,
                "filename": rules.filename(row.type, row.created_at.date(), row.media_type),
                "sha256": bytes(row.sha256).hex(),
            }

    # --- sweeping -----------------------------------------------------------------------------------------------------

    @timer(interval=SWEEP_EVERY)
    def sweep_orphans(self) -> None:
        """Removes objects that no commit took within a day, then their rows, and uploads and openings long over."""
        at = now()
        with self.db.transaction() as session:
            condemned = store.condemn_attempts(session, at - rules.UPLOAD_LIFETIME, at, SWEEP_BATCH)
        for version_id in condemned:
            try:
                self.blobs.remove(version_id)
            except Unavailable:
                log.warning("sweep interrupted", extra={"kind": "object_store"})
                return
            with self.db.transaction() as session:
                store.forget_attempt(session, version_id)
        with self.db.transaction() as session:
            store.forget_uploads(session, at - rules.UPLOAD_LIFETIME)
            store.forget_opens(session, at - rules.OPEN_LONGEST)

    @timer(interval=BLOCKS_EVERY)
    def look_after_blocks(self) -> None:
        """Reminds of the patient blocks that have run long, whichever replica finds them first."""
        self._look_after_blocks(now())

    # --- inside -------------------------------------------------------------------------------------------------------

    def _inspect(
        self, scope: AccessScope, kind: rules.DocumentType, version_id: str, media_type: str, size: int
    ) -> Stored | Refusal:
        """What the store holds of a try, or why it cannot become a document; asked with no transaction open."""
        refusal = answers.refused_deposit(scope, kind)
        refusal = refusal or rules.refused_content(kind, media_type, size, load().upload_max_bytes)
        if refusal is not None:
            return refusal
        stored: Stored | None = self.blobs.stored(version_id)
        return stored if stored is not None and stored.size == sealed_size(size) else UploadIncomplete()

    def _start(
        self, session: Session, upload_id: str, record_id: str, record_key: bytes, gateway_key: str
    ) -> StartedUpload:
        version_id = new_id()
        wrapped_key = self.keys.new_data_key(record_id, record_key, version_id)
        sealed_key = self._sealed_key(record_id, record_key, version_id, wrapped_key, gateway_key)
        store.add_attempt(session, upload_id, version_id, wrapped_key, record_id, now())
        return {
            "version_id": version_id,
            "put_url": self.blobs.put_url(version_id, contract.URL_LIFETIME),
            "sealed_key": sealed_key,
            "max_size": load().upload_max_bytes,
        }

    def _sealed_key(
        self, record_id: str, record_key: bytes, version_id: str, wrapped_key: bytes, gateway_key: str
    ) -> str:
        try:
            sealed: str = self.keys.hand_over(record_id, record_key, version_id, wrapped_key, gateway_key)
        except ValueError:
            raise InvalidInput(errors=[{"pointer": "/gateway_key", "message": "invalid"}]) from None
        return sealed
