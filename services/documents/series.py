"""Deposits one after the other: who has just deposited has put the next file already, and asks once for all the rest.

The bytes lie in a slot (a try ahead of what is said of them). That they become a document is decided as of any deposit:
rights are asked, in the words of that moment, before the transaction that writes it. What is refused stays a slot that
nobody uses, and is swept.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import new_id, now
from services.documents import answers, answers_deposits, rules, store, store_deposits, store_slots, store_wishes
from services.documents.asking import Depositor
from services.documents.contract import Deposited, Put, UploadIncomplete
from services.documents.deposits import CREATED, PREPARE, SCOPE, Deposits, described_as
from services.documents.document_types import document_types
from services.dossier.contract import RecordNotFound
from services.object_store import Stored
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller


class Series(Deposits):
    """The entrypoint of a deposit whose bytes are there before it is asked for."""

    @rpc(scope=SCOPE)
    def deposit(
        self, caller: Caller, *, record_id: str, type: str, title: str, act_date: str | None = None,
        language: str | None = None, author: str | None = None, details: dict[str, Any] | None = None,
        version_id: str, sha256: str, size: int, media_type: str, store_version: str | None = None, gateway_key: str,
    ) -> Deposited | Refusal:  # fmt: skip
        """Puts the bytes in one of the caller's slots into the record as a document: `prepare_deposit` and
        `commit_deposit` in one, with the arguments of both, and the next slot in the answer.

        version_id: the slot. Under one Idempotency-Key there is one upload, whichever way it is deposited.

        Refuses: as `prepare_deposit` and `commit_deposit`; UploadExpired for a slot that is used, too old or somebody
        else's [RGD 9(1), RGD Annex 1].
        """
        said = {"type": type, "title": title, "act_date": act_date, "language": language}
        described, body = described_as(record_id, said, author=author, details=details)
        put = answers_deposits.read_put({
            "upload_id": new_id(), "version_id": version_id, "sha256": sha256, "size": size, "media_type": media_type,
            "store_version": store_version,
        })  # fmt: skip
        asked = rules.canonical_id(record_id)
        who, stored = self._depositor(caller, asked, author), self._in_store(put)
        with self.db.transaction(caller) as session:
            ready = store_slots.ready_with(
                session, asked or new_id(), put["version_id"], caller.account_id, caller.capacity,
                now() - rules.UPLOAD_LIFETIME,
            )  # fmt: skip
            refusal = self._refusal(session, who, asked, described, ready)
            if refusal is not None or asked is None:
                return refusal or RecordNotFound()
            record_key = self._record_key(session, asked, ready.wrapped_key)
            prepared, upload = self._upload(session, caller, PREPARE, body, asked, described[0], author)
            put["upload_id"] = prepared["upload_id"]
            slot_key = ready.slot_key and bytes(ready.slot_key)
            own_key = slot_key and self.keys.own(asked, record_key, put["version_id"], slot_key)
            if upload is not None and own_key and ready.wrapped_key and ready.stays:
                against = store_wishes.oppositions(ready.opposed)
                deposited = self._deposited(session, who, upload, put, own_key, stored, against)
                if isinstance(deposited, Refusal):
                    return deposited
                return {**deposited, "slot": self._slot(session, caller, gateway_key)}
            if upload is not None:
                store_deposits.add_uploads(session, [upload])
            if own_key:
                store_slots.become_try(session, put["version_id"], put["upload_id"], asked, own_key)
        # an upload that was there before, a record whose first document it is, or one that moves or ends: step by step
        committed = self._commit(caller, [put], None, gateway_key)
        if isinstance(committed, Refusal):
            return committed
        return {**committed["documents"][0], "upload_id": put["upload_id"]}

    def _deposited(
        self, session: Session, who: Depositor, upload: dict[str, Any], put: Put, own_key: bytes,
        stored: Stored | None, against: Sequence[store.Row],
    ) -> Deposited | Refusal:  # fmt: skip
        """The document out of a new upload and the slot its bytes lie in, or why not; own_key: of the slot, in the
        record."""
        kind = document_types()[upload["type"]]
        refusal: Refusal | None = rules.refused_content(kind, put["media_type"], put["size"], load().upload_max_bytes)
        if refusal is not None or stored is None:
            store_deposits.add_uploads(session, [upload])  # as it was remembered; its bytes may still come
            refusal = refusal or UploadIncomplete()
            return answers.refuse(session, who.caller, CREATED, refusal, record_id=upload["record_id"])
        tried = SimpleNamespace(**upload, try_key=own_key, try_record=upload["record_id"])
        made = answers_deposits.made(who, tried, put, stored, upload["prepared_at"], None)
        written = self._written(session, who, upload["record_id"], [made], None, against, upload)
        return {**written["documents"][0], "upload_id": upload["upload_id"]}
