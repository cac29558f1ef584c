"""Deposits: said first what the documents will be, then their bytes put, then all of them in the record or none.

The gateway moves the bytes; here each try to put them gets a name and a key that no other has, and only what the store
holds in full becomes a document. Rights are asked when a deposit is prepared and again when it is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import (
    answers,
    answers_deposits,
    contract,
    rules,
    rules_deposits,
    store,
    store_deposits,
    store_wishes,
    wishes,
)
from services.documents.asking import Depositor
from services.documents.contract import (
    CommittedDeposit,
    PreparedDeposit,
    PreparedSubmission,
    Put,
    StartedUpload,
    Submitted,
    UploadExpired,
    UploadIncomplete,
)
from services.documents.document_types import document_types
from services.documents.rules import Metadata
from services.documents.rules_deposits import types_by_code
from services.documents.rules_words import indexed
from services.documents.tries import Tries
from services.dossier.contract import RecordNotFound
from services.object_store import Stored
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller

CREATED = "document.created"
PREPARE = "prepare_deposit"
"""What an Idempotency-Key stands for, of whichever deposit of one file."""

SCOPE = "system/DocumentReference.c"
READ_SCOPE = "system/DocumentReference.rs"


class Deposits(Tries):
    """The entrypoints of deposits of one file, of several, of typed notes and of documents that describe themselves."""

    _commit_version: Any  # of an upload that replaces a document: versions.py

    # --- saying what it will be ---------------------------------------------------------------------------------------

    @rpc(scope=SCOPE)
    def prepare_deposit(
        self, caller: Caller, *, record_id: str, type: str, title: str, act_date: str | None = None,
        language: str | None = None, author: str | None = None, gateway_key: str | None = None,
        size: int | None = None, details: dict[str, Any] | None = None,
    ) -> PreparedDeposit | Refusal:  # fmt: skip
        """Notes what a document will be and gives the upload its bytes go to; nothing is in the record yet.

        type: slug of document_types.csv. title: 1 to 200 characters. act_date: ISO day of the act. language: two
        letters. author: the professional in whose name software deposits, where its token names none. gateway_key:
        X25519 public key (base64) of the gateway process that has the bytes at hand; the answer then holds a first
        try, as `start_upload` gives. size: of the bytes, where they will come in parts. details: of a prescription:
        `lines` ({text, quantity, unit, code, system} each, at most 50) and `valid_until`. Under one Idempotency-Key
        there is one upload, and every repeat gets a try of its own. Without gateway_key the permission leaves a trace;
        with it `commit_deposit` does.

        Refuses: InvalidInput; AuthorUnknown; RecordNotFound without a ground (RecordClosed to the holder);
        TypeNotDepositable where no ground lets this caller deposit the type's category; RequestInFlight, KeyReused
        [RGD 9(1), RGD Annex 1].
        """
        said = {"type": type, "title": title, "act_date": act_date, "language": language}
        described, body = described_as(record_id, said, author=author, size=size, details=details)
        rules_deposits.require_size(size, load().upload_max_bytes)
        return self._prepare_one(caller, PREPARE, body, record_id, described, author, gateway_key, size)

    @rpc
    def prepare_note(
        self, caller: Caller, *, record_id: str, title: str, language: str | None = None, gateway_key: str
    ) -> PreparedDeposit | Refusal:
        """Notes that the holder side has typed something: it becomes a text of their expression space.

        Refuses: as `prepare_deposit`; TypeNotDepositable to every professional, whatever their rights [domain].
        """
        said = {"type": "holder_expression", "title": title, "act_date": None, "language": language}
        body = {"record_id": record_id, **said}
        described = answers_deposits.described([said])
        return self._prepare_one(
            caller, "prepare_note", body, record_id, described, None, gateway_key, holder_side=True
        )

    @rpc(scope=SCOPE)
    def prepare_cda(
        self, caller: Caller, *, record_id: str, header: dict[str, Any], gateway_key: str
    ) -> PreparedDeposit | Refusal:
        """Notes what a CDA document says of itself in its header: code, title, effective time, language, patient.

        header: type_code, title, act_date, language, author_ids ({root, extension} each) and patient_ids, a list of
        such for each patient it names; every one must be the record's, by one matricule that they have or had. An
        author counts where the token of software names none.

        Refuses: as `prepare_deposit`; TypeCodeUnknown, WrongPatient [CDA R2; domain, Documents].
        """
        header = rules_deposits.require_header(header)
        kind = types_by_code(document_types()).get(header["type_code"])
        asked = rules.canonical_id(record_id)
        if kind is None:
            with self.db.transaction(caller) as session:
                return answers.refuse(session, caller, CREATED, contract.TypeCodeUnknown(), record_id=asked)
        author = rules_deposits.author_in(header["author_ids"]) if caller.capacity == "machine" else None
        said = {"type": kind.slug, **rules_deposits.words_of(header, kind)}
        described, body = answers_deposits.described([said]), {"record_id": record_id, "header": header}
        return self._prepare_one(
            caller, PREPARE, body, record_id, described, author, gateway_key, patient_ids=header["patient_ids"]
        )

    @rpc(scope=SCOPE)
    def prepare_submission(
        self, caller: Caller, *, record_id: str, documents: list[dict[str, Any]]
    ) -> PreparedSubmission | Refusal:
        """Notes what several documents will be that are deposited together, all or none; at most 20.

        documents: of each what `prepare_deposit` takes; the author is one for all. Leaves no trace: the deposits do.

        Refuses: as `prepare_deposit`, where one of the types is refused; InvalidInput with /documents/<n>/<field>.
        """
        author = rules_deposits.require_documents(documents)
        said = [{name: value for name, value in each.items() if name != "author"} for each in documents]
        described, asked = answers_deposits.described(said, "/documents"), rules.canonical_id(record_id)
        body = {"record_id": record_id, "documents": documents}
        who = self._depositor(caller, asked, author)
        with self.db.transaction(caller) as session:
            ready = store_deposits.ready_for(session, asked or new_id())
            refusal = self._refusal(session, who, asked, described, ready)
            if refusal is not None or asked is None:
                return refusal or RecordNotFound()
            self._record_key(session, asked, ready.wrapped_key)
            answer: PreparedSubmission | None = once(session, caller, "prepare_submission", body)
            if answer is None:
                at = now()
                added = [
                    answers_deposits.new_upload(caller, asked, metadata, at, author, None) for metadata in described
                ]
                store_deposits.add_uploads(session, added)
                answer = {"upload_ids": [row["upload_id"] for row in added]}
                remember(session, caller, "prepare_submission", body, answer)
            return answer

    # --- putting the bytes --------------------------------------------------------------------------------------------

    @rpc(scope=SCOPE)
    def start_upload(self, caller: Caller, *, upload_id: str, gateway_key: str) -> StartedUpload | Refusal:
        """Gives one more try to upload: an object name, a key and a URL that no other try has or will have.

        Refuses: UploadNotFound (unknown or somebody else's); UploadExpired; InvalidInput (gateway_key).
        """
        asked = rules.canonical_id(upload_id) or new_id()
        with self.db.transaction(caller) as session:
            upload = store_deposits.upload(session, asked, caller.account_id, caller.capacity)
            if upload is None:
                return answers.refuse_upload(session, caller, asked)
            if upload.expires_at <= now():
                return answers.refuse(session, caller, CREATED, UploadExpired(), record_id=upload.record_id)
            return self._start(session, asked, upload.record_id, bytes(upload.wrapped_record_key), gateway_key)

    # --- making documents of them -------------------------------------------------------------------------------------

    @rpc(scope=SCOPE)
    def commit_deposit(
        self, caller: Caller, *, upload_id: str, version_id: str, sha256: str, size: int, media_type: str,
        store_version: str | None = None, gateway_key: str | None = None,
    ) -> CommittedDeposit | Refusal:  # fmt: skip
        """Puts the uploaded bytes into the record as a document, once: a repeat gets the first answer.

        version_id: the try whose bytes are meant. sha256 (hexadecimal), size and media_type are those of the plain
        bytes as the gateway saw them pass, store_version the store's receipt for them. Rights are asked again, and the
        store must hold exactly the sealed size where there is no receipt, before the transaction that writes document,
        version, level, trace and the errand to look at the bytes closely: until that was done only the depositor sees
        the document, and nobody is told of it. gateway_key: of a gateway process where the same person deposits one
        file after the other; the answer then holds a slot for the next one.

        Refuses: UploadNotFound; UploadExpired; UploadIncomplete; UploadEmpty, UploadTooLarge, MediaTypeNotAllowed;
        AuthorUnknown, RecordNotFound or TypeNotDepositable when the rights have gone; KeyReused when the upload became
        a document of other bytes; Unavailable when the object store does not answer; InvalidInput [RGD 9(1)].
        """
        put: Put = {
            "upload_id": upload_id, "version_id": version_id, "sha256": sha256, "size": size, "media_type": media_type,
            "store_version": store_version,
        }  # fmt: skip
        committed = self._commit(caller, [put], None, gateway_key)
        return committed if isinstance(committed, Refusal) else committed["documents"][0]

    @rpc(scope=SCOPE)
    def commit_submission(self, caller: Caller, *, puts: list[Put]) -> Submitted | Refusal:
        """Puts several uploads into the record in one transaction: all of them are documents then, or none is.

        puts: of each upload what `commit_deposit` takes. Each document has a trace of its own and the same submission.

        Refuses: as `commit_deposit`, where one of them is refused.
        """
        rules_deposits.require_puts(puts)
        committed = self._commit(caller, puts, new_id())
        if isinstance(committed, Refusal):
            return committed
        asked = [rules.canonical_id(put["upload_id"]) or "" for put in puts]
        found = dict(zip(sorted(asked), committed["documents"], strict=True))
        return {**committed, "documents": [found[upload_id] for upload_id in asked]}

    # --- inside -------------------------------------------------------------------------------------------------------

    def _prepare_one(
        self, caller: Caller, operation: str, body: dict[str, Any], record_id: str, described: list[Metadata],
        author: str | None, gateway_key: str | None, size: int | None = None, *, holder_side: bool = False,
        patient_ids: list[list[dict[str, str]]] | None = None,
    ) -> PreparedDeposit | Refusal:  # fmt: skip
        asked = rules.canonical_id(record_id)
        who = self._depositor(caller, asked, author)
        is_patient = patient_ids is None or self._is_patient(caller, who, patient_ids)
        with self.db.transaction(caller) as session:
            ready = store_deposits.ready_for(session, asked or new_id())
            refusal = self._refusal(
                session, who, asked, described, ready, holder_side=holder_side, is_patient=is_patient
            )
            if refusal is not None or asked is None:
                return refusal or RecordNotFound()
            record_key = self._record_key(session, asked, ready.wrapped_key)
            answer, row = self._upload(session, caller, operation, body, asked, described[0], author, size)
            if row is not None:
                store_deposits.add_uploads(session, [row])
            if gateway_key is None:
                # an answer of its own; with the bytes at hand the one trace is the deposit's
                grant = rules.may_deposit(who.scope, described[0].type)
                answers.allow(session, who.caller, "document.prepared", grant, record_id=asked)
                return answer
            started = self._start(session, answer["upload_id"], asked, record_key, gateway_key)
            return {**answer, **started}

    def _upload(
        self, session: Session, caller: Caller, operation: str, body: dict[str, Any], record_id: str,
        metadata: Metadata, author: str | None, size: int | None = None,
    ) -> tuple[PreparedDeposit, dict[str, Any] | None]:  # fmt: skip
        """The one upload under this Idempotency-Key: as it was answered, or a new one, its row not yet written."""
        answer: PreparedDeposit | None = once(session, caller, operation, body)
        if answer is not None:
            return answer, None
        row = answers_deposits.new_upload(caller, record_id, metadata, now(), author, size)
        # never the URL or the key: what is remembered is stored
        answer = {
            "upload_id": row["upload_id"], "expires_at": rfc3339(row["expires_at"]),
            "max_size": rules_deposits.most_of(metadata.type, load().upload_max_bytes),
        }  # fmt: skip
        remember(session, caller, operation, body, answer)
        return answer, row

    def _refusal(
        self, session: Session, who: Depositor, record_id: str | None, described: list[Metadata], ready: store.Row, *,
        holder_side: bool = False, is_patient: bool = True,
    ) -> Refusal | None:  # fmt: skip
        """Why these documents cannot be deposited, traced; None where they can be."""
        refusal = who.refusal or (RecordNotFound() if record_id is None else None)
        against = store_wishes.oppositions(ready.opposed)
        for metadata in described:
            refusal = refusal or answers.refused_deposit(who.scope, metadata.type)
            if refusal is None and holder_side and not who.scope.holder_side:
                refusal = contract.TypeNotDepositable()
            refusal = refusal or wishes.refused(session, who, metadata.type, against)
        if refusal is None and not is_patient:
            refusal = contract.WrongPatient()
        return refusal and answers.refuse(session, who.caller, CREATED, refusal, record_id=record_id)

    def _is_patient(self, caller: Caller, who: Depositor, patient_ids: list[list[dict[str, str]]]) -> bool:
        """Whether these identifiers are of the record's patient; only asked where the caller has a ground."""
        matricule = rules_deposits.matricule_of(patient_ids)
        if who.refusal is not None or who.scope.patient_id is None or matricule is None:
            return False
        told = self.directory.has_matricule(caller.context, patient_id=who.scope.patient_id, matricule=matricule)
        return told["has"] is True

    def _record_key(self, session: Session, record_id: str, found: bytes | None) -> bytes:
        """The record's key, which it is given now where none was found."""
        if found is not None:
            return bytes(found)
        named = self.keys.master_key_id  # before: should another become the current one, it is wrapped anew
        made = store.add_record_key(session, record_id, self.keys.new(record_id), named, now())
        if made is None:  # deleted since dossier was asked
            raise RecordNotFound()
        return made

    def _commit(
        self, caller: Caller, puts: list[Put], submission_id: str | None, gateway_key: str | None = None
    ) -> Submitted | Refusal:
        puts = sorted((answers_deposits.read_put(put) for put in puts), key=lambda put: put["upload_id"])
        whose = caller.account_id, caller.capacity
        with self.db.reading(caller) as session:
            uploads = store_deposits.own_uploads(session, [put["upload_id"] for put in puts], *whose)
        if not answers_deposits.waits(puts, uploads):
            with self.db.transaction(caller) as session:
                return self._settled(session, caller, puts, uploads)
        if len(puts) == 1 and uploads[0].replaces is not None:
            return self._commit_version(caller, puts[0], uploads[0])
        asked_of, author = uploads[0].record_id, uploads[0].author_id
        who = self._depositor(caller, asked_of, author)
        stored = self._inspect(who, uploads, puts)
        at = now()
        with self.db.transaction(caller) as session:
            if isinstance(stored, Refusal):
                return answers.refuse(session, who.caller, CREATED, stored, record_id=asked_of)
            tries = {put["upload_id"]: put["version_id"] for put in puts}
            uploads = store_deposits.held_uploads(session, tries, *whose, at - rules.UPLOAD_LIFETIME)
            if not answers_deposits.waits(puts, uploads):
                return self._settled(session, caller, puts, uploads)
            if uploads[0].record_id != asked_of:  # merged or unmerged meanwhile: these rights are another record's
                return answers.refuse(session, who.caller, CREATED, RecordNotFound(), record_id=asked_of)
            against = store_wishes.oppositions(uploads[0].opposed)
            for upload in uploads:
                refusal = wishes.refused(session, who, document_types()[upload.type], against)
                if refusal is not None:
                    return answers.refuse(session, who.caller, CREATED, refusal, record_id=asked_of)
            if any(upload.try_key is None for upload in uploads):
                return answers.refuse(session, who.caller, CREATED, UploadExpired(), record_id=asked_of)
            made = [
                answers_deposits.made(who, upload, put, stored[put["upload_id"]], at, submission_id)
                for upload, put in zip(uploads, puts, strict=True)
            ]
            like = self._like(session, who, asked_of, made)
            written = self._written(session, who, asked_of, made, submission_id, against, like)
            if gateway_key is not None:
                written["documents"][0]["slot"] = self._slot(session, caller, gateway_key)
            return written

    def _settled(
        self, session: Session, caller: Caller, puts: list[Put], uploads: list[store.Row]
    ) -> Submitted | Refusal:
        """The answer to who has no such uploads, or deposited them already."""
        done = {upload.upload_id: upload for upload in uploads if upload.document_id is not None}
        for put in puts:
            if put["upload_id"] not in done or len(done) != len(puts):
                return answers.refuse_upload(session, caller, put["upload_id"])
        told: list[CommittedDeposit] = []
        for put in puts:
            again = answers.repeated(session, caller, done[put["upload_id"]], put["sha256"])
            if isinstance(again, Refusal):
                return again
            told.append(again)
        return {"submission_id": store_deposits.submission_of(session, told[0]["document_id"]) or "", "documents": told}

    def _inspect(self, who: Depositor, uploads: list[store.Row], puts: list[Put]) -> dict[str, Stored] | Refusal:
        """What the store holds of each try, or why they cannot become documents; asked with no transaction open."""
        refusal: Refusal | None = who.refusal
        several = len({(upload.record_id, upload.author_id) for upload in uploads}) > 1
        if several or any(upload.replaces is not None for upload in uploads):
            refusal = UploadIncomplete()
        for upload, put in zip(uploads, puts, strict=True):
            kind = document_types()[upload.type]
            refusal = refusal or answers.refused_deposit(who.scope, kind)
            refusal = refusal or rules.refused_content(kind, put["media_type"], put["size"], load().upload_max_bytes)
        stored: dict[str, Stored] = {}
        for put in puts if refusal is None else ():
            found = self._in_store(put)
            if found is None:
                return UploadIncomplete()
            stored[put["upload_id"]] = found
        return refusal or stored

    def _like(
        self, session: Session, who: Depositor, record_id: str, made: Sequence[answers_deposits.Made]
    ) -> dict[bytes, str]:
        """By digest, what is pointed out of the record: nothing to software that may not read there.

        It is asked of the database all the same, so that no answer is sooner there than another.
        """
        digests = [each.version["sha256"] for each in made]
        found = store_deposits.same_bytes(session, who.scope, record_id, digests)
        return found if who.caller.may_ask(READ_SCOPE) else {}

    def _written(
        self, session: Session, who: Depositor, record_id: str, made: list[answers_deposits.Made],
        submission_id: str | None, against: Sequence[store.Row], like: dict[bytes, str],
        upload: dict[str, Any] | None = None,
    ) -> Submitted:  # fmt: skip
        """New documents in the record, each with its trace, and what their answers point out.

        like: the documents that have the same bytes; the new ones are added to them. upload: the row of one that is not
        written yet.
        """
        noted: list[dict[str, Any]] = []
        done: list[CommittedDeposit] = []
        for each in made:
            document_id, version_id = each.document["document_id"], each.version["version_id"]
            again = like.get(each.version["sha256"])
            like.setdefault(each.version["sha256"], document_id)
            grant = wishes.granted(who, each.kind, against)
            home_id = each.document["home_record_id"]
            answers.allow(session, who.caller, CREATED, grant, record_id=home_id, object_id=document_id)
            told = {"document_id": document_id, "version_id": version_id, "duplicate_of": again}
            noted.append({"upload_id": each.document["upload_id"], **told})
            done.append({**told, "record_id": record_id})
        store_deposits.add_documents(
            session, [each.document for each in made], [each.version for each in made], [each.level for each in made],
            [{"document_id": each.document["document_id"], "words": indexed(each.document["title"])} for each in made],
        )  # fmt: skip
        if upload is None:
            store_deposits.note_deposited(session, noted)
        else:
            store_deposits.add_done(session, {**upload, **noted[0]})
        return {"submission_id": submission_id or "", "documents": done}


def described_as(record_id: str, said: dict[str, Any], **besides: Any) -> tuple[list[Metadata], dict[str, Any]]:
    """What was said of one document, checked, and all of it as an Idempotency-Key stands for it.

    besides: `details` among them; what is None was not said. Refuses: InvalidInput with every error in it.
    """
    given = {name: value for name, value in besides.items() if value is not None}
    details = {"details": given["details"]} if "details" in given else {}
    return answers_deposits.described([said | details]), {"record_id": record_id, **said, **given}
