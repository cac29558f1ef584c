"""Deposits one after the other: who has just deposited has put the next file already, and asks once for all the rest.

The bytes lie in a slot (a try ahead of what is said of them). That they become a document is decided as of any deposit:
rights are asked, in the words of that moment, before the transaction that writes it. Those who come while that is being
done for others have it done together, in one transaction, each by what they may. What is refused stays a slot that
nobody uses, and is swept.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy.orm import Session

from services.bus import Together, rpc, side_by_side
from services.db import new_id, now, speak_for
from services.documents import answers, answers_deposits, rules, store, store_deposits, store_slots, store_wishes
from services.documents.answers_deposits import Made
from services.documents.asking import Depositor
from services.documents.contract import Deposited, Put, UploadIncomplete
from services.documents.deposits import CREATED, PREPARE, SCOPE, Deposits, described_as
from services.documents.rules import Metadata
from services.documents.store_slots import Slot
from services.dossier.contract import RecordNotFound
from services.object_store import Stored
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller, Context

_TOGETHER = Together()
_WHENEVER = Context(request_id="", traceparent="", deadline=0.0)


@dataclass(frozen=True)
class Filled:
    """A slot with bytes in it, and all that was said of them.

    body: what the Idempotency-Key stands for. record_id: None of what is no id at all.
    """

    caller: Caller
    record_id: str | None
    described: list[Metadata]
    body: dict[str, Any]
    author: str | None
    put: Put
    stored: Stored | None
    gateway_key: str

    @property
    def slot(self) -> Slot:
        """Which slot it is."""
        whose = self.caller.account_id, self.caller.capacity
        return Slot(self.record_id or new_id(), self.put["version_id"], *whose)

    @property
    def asks(self) -> Hashable:
        """What has to be asked of dossier about it: the same of all that somebody puts into one record by one token."""
        return replace(self.caller, context=_WHENEVER), self.caller.context.token, self.record_id, self.author

    @property
    def is_keyed(self) -> bool:
        """Whether it has a key of its sender's own; to all others the slot itself, which is used once, is the key."""
        return self.caller.context.idempotency_key not in (None, self.caller.context.request_id)


@dataclass(frozen=True)
class Judged:
    """One that becomes a document: its rows. against: the wishes that stand against other deposits in the record."""

    filled: Filled
    who: Depositor
    record_id: str
    upload: dict[str, Any]
    made: Made
    against: Sequence[store.Row]


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
        filled = Filled(caller, asked, described, body, author, put, self._in_store(put), gateway_key)
        if filled.is_keyed:
            [told] = self._at_once([filled])
        else:
            told = _TOGETHER(filled, self._at_once)
        return self._step_by_step(filled) if told is None else told

    def _at_once(self, several: Sequence[Filled]) -> list[Deposited | Refusal | None]:
        """What becomes of each of several, all in one transaction; None of what has to go step by step.

        Raises where two of them are of one slot, or where one of them may not speak any more.
        """
        whose, at = self._depositors(several), now()
        with self.db.transaction(*(each.caller for each in several)) as session:
            ready = store_slots.ready_with(session, [each.slot for each in several], at - rules.UPLOAD_LIFETIME)
            judged = [self._judged(session, *each, at) for each in zip(several, whose, ready, strict=True)]
            beside: dict[Hashable, list[Judged]] = {}
            for each in judged:
                if isinstance(each, Judged):
                    beside.setdefault(each.filled.asks, []).append(each)
            done = dict(told for those in beside.values() for told in self._put_in(session, those))
            return [done[each.made.version["version_id"]] if isinstance(each, Judged) else each for each in judged]

    def _depositors(self, several: Sequence[Filled]) -> list[Depositor]:
        """Who deposits each of several: asked after all of them came, once of what is the same."""
        first = {each.asks: each for each in reversed(several)}
        asked = [partial(self._depositor, each.caller, each.record_id, each.author) for each in first.values()]
        told = dict(zip(first, side_by_side(asked), strict=True))
        found = [(told[each.asks], each.caller.context) for each in several]
        return [replace(who, caller=replace(who.caller, context=context)) for who, context in found]

    def _judged(
        self, session: Session, filled: Filled, who: Depositor, ready: store.Row, at: datetime
    ) -> Judged | Refusal | None:
        """What one is about to become, or why nothing; None where it goes step by step: an upload that was there
        before, a slot that is used, a record whose first document it is, or one that moves or ends."""
        speak_for(session, filled.caller)
        refusal = self._refusal(session, who, filled.record_id, filled.described, ready)
        if refusal is not None or filled.record_id is None:
            return refusal or RecordNotFound()
        own_key = self._own_key(filled, ready, ready.wrapped_key) if ready.stays else None
        upload = None if own_key is None else self._upload_for(session, filled, at)
        if own_key is None or upload is None:
            return None
        put, kind = filled.put, filled.described[0].type
        refusal = rules.refused_content(kind, put["media_type"], put["size"], load().upload_max_bytes)
        if refusal is not None or filled.stored is None:
            if filled.is_keyed:
                store_deposits.add_uploads(session, [upload])  # as it was remembered; its bytes may still come
            refusal = refusal or UploadIncomplete()
            return answers.refuse(session, who.caller, CREATED, refusal, record_id=filled.record_id)
        tried = SimpleNamespace(**upload, try_key=own_key, try_record=filled.record_id)
        made = answers_deposits.made(who, tried, put, filled.stored, upload["prepared_at"], None)
        return Judged(filled, who, filled.record_id, upload, made, store_wishes.oppositions(ready.opposed))

    def _own_key(self, filled: Filled, ready: store.Row, record_key: bytes | None) -> bytes | None:
        """The key of a slot in the record it is used for; None where the record has none yet, or the slot none now."""
        if filled.record_id is None or ready.slot_key is None or record_key is None:
            return None
        version_id, slot_key = filled.put["version_id"], bytes(ready.slot_key)
        own_key: bytes | None = self.keys.own(filled.record_id, bytes(record_key), version_id, slot_key)
        return own_key

    def _upload_for(self, session: Session, filled: Filled, at: datetime) -> dict[str, Any] | None:
        """The row of a new upload; None where there is one under the key that its sender chose."""
        record_id, metadata = filled.slot.record_id, filled.described[0]
        if filled.is_keyed:
            said = PREPARE, filled.body, record_id, metadata, filled.author
            return self._upload(session, filled.caller, *said)[1]
        return answers_deposits.new_upload(filled.caller, record_id, metadata, at, filled.author, None)

    def _put_in(self, session: Session, several: Sequence[Judged]) -> Iterator[tuple[str, Deposited]]:
        """Writes what goes into one record by the same rights, and says what the answer is for each slot."""
        who, record_id = several[0].who, several[0].record_id
        like = self._like(session, who, record_id, [each.made for each in several])
        for each in several:
            caller = each.filled.caller
            speak_for(session, caller)
            written = self._written(session, each.who, record_id, [each.made], None, each.against, like, each.upload)
            slot = self._slot(session, caller, each.filled.gateway_key)
            told = {**written["documents"][0], "upload_id": each.upload["upload_id"], "slot": slot}
            yield each.made.version["version_id"], cast("Deposited", told)

    def _step_by_step(self, filled: Filled) -> Deposited | Refusal:
        """The same as a deposit of two steps, which a repeat goes on with."""
        put, caller = filled.put, filled.caller
        who = self._depositor(caller, filled.record_id, filled.author)
        with self.db.transaction(caller) as session:
            [ready] = store_slots.ready_with(session, [filled.slot], now() - rules.UPLOAD_LIFETIME)
            refusal = self._refusal(session, who, filled.record_id, filled.described, ready)
            if refusal is not None or filled.record_id is None:
                return refusal or RecordNotFound()
            done = None if filled.is_keyed else store_slots.made_in(session, filled.slot, who.scope.author_id)
            if done is not None:
                again = answers.repeated(session, caller, done, put["sha256"])
                return again if isinstance(again, Refusal) else {**again, "upload_id": done.upload_id}
            record_key = self._record_key(session, filled.record_id, ready.wrapped_key)
            said = PREPARE, filled.body, filled.record_id, filled.described[0], filled.author
            prepared, upload = self._upload(session, caller, *said)
            put = {**put, "upload_id": prepared["upload_id"]}
            if upload is not None:
                store_deposits.add_uploads(session, [upload])
            own_key = self._own_key(filled, ready, record_key)
            if own_key is not None:
                store_slots.become_try(session, put["version_id"], put["upload_id"], filled.record_id, own_key)
        committed = self._commit(caller, [put], None, filled.gateway_key)
        if isinstance(committed, Refusal):
            return committed
        return {**committed["documents"][0], "upload_id": put["upload_id"]}

