"""Who takes part in a thread, who has read what, and what somebody puts aside."""

from __future__ import annotations

from typing import Any

from services.bus import rpc
from services.db import now, once, remember
from services.dossier.contract import RecordNotFound
from services.notifications import contract_threads as contract
from services.notifications import rules_threads as rules
from services.notifications import store_threads
from services.notifications.contract_threads import CORRESPONDENTS_MOST, Receipts, TooManyCorrespondents
from services.notifications.thread_desk import NOBODY, ThreadDesk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class ThreadPeople(ThreadDesk):
    """Add, leave, put aside; receipts; whom one may write to."""

    @rpc
    def list_correspondents(self, caller: Caller, *, record_id: str) -> contract.ReachableList | Refusal:
        """The professionals whom the holder side of a record may write to, for that side and for those professionals.

        Refuses: NotAllowed to agents; RecordNotFound, to everybody else.
        """
        person = self._writer(caller, "thread.searched")
        if isinstance(person, Refusal):
            return person
        patient_id = person.person_id if person.kind == rules.PATIENT else None
        asked = rules.id_of(record_id, NOBODY)
        told = self.dossier.correspondence(caller.context, record_id=asked, patient_id=patient_id)
        with self.db.transaction(caller) as session:
            if told["role"] is None and person.person_id not in told["professionals"]:
                return self._thread_refused(session, caller, "thread.searched", RecordNotFound(), record_id=asked)
            others = {who: ground for who, ground in told["professionals"].items() if who != person.person_id}
            self._thread_allowed(session, caller, "thread.searched", record_id=asked, count=len(others))
            return {"correspondents": [{"professional_id": who, "ground": ground} for who, ground in others.items()]}

    @rpc
    def add_correspondent(self, caller: Caller, *, thread_id: str, professional_id: str) -> Receipts | Refusal:
        """Lets one more professional take part: they hear what the caller hears, from the first message on.

        Whoever may write in the thread may add somebody to whom they might write there; who left may come back.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; WritingEnded; CorrespondentNotFound;
        TooManyCorrespondents; TooManyTries, to a professional who has reached very many colleagues; InvalidInput
        [ours].
        """
        newcomer = rules.id_of(professional_id, NOBODY)
        with self._seat(caller, "thread.joined", thread_id, everybody=True, besides=(newcomer,), hold=True) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            body = {"thread_id": held.thread_id, "professional_id": newcomer}
            if once(session, caller, "add_correspondent", body) is None:
                there = store_threads.professionals_in(session, held.thread_id)
                refusal = rules.refused_writing(person, held.part, look.side, look.allowed, [newcomer])
                refusal = refusal or rules.refused_correspondents((newcomer,), look.allowed)
                if refusal is None and newcomer not in there and len(there) >= CORRESPONDENTS_MOST:
                    refusal = TooManyCorrespondents(most=CORRESPONDENTS_MOST)
                if refusal is None and newcomer not in there:
                    refusal = self._refused_reaching(session, person, (newcomer,), now())
                if refusal is not None:
                    return self._thread_refused(session, caller, "thread.joined", refusal, held=held)
                at = now()
                if store_threads.add_people(session, held.thread_id, (newcomer,), at):
                    heard = store_threads.bring_up(session, held.thread_id, newcomer, person, at)
                    self._tell_of(session, caller, person, held, look, [newcomer] if heard else [], at, side=False)
                self._thread_allowed(session, caller, "thread.joined", held, look)
                remember(session, caller, "add_correspondent", body, {"added": True})
            return {"correspondents": self._correspondents(session, person, held, look)}

    @rpc
    def leave_thread(self, caller: Caller, *, thread_id: str) -> Refusal | None:
        """Has a professional take part no more; what they heard stays theirs to read. Again changes nothing.

        Refuses: NotAllowed to everybody but professionals (the holder side puts a thread aside, and ends a trust);
        ThreadNotFound, as `read_thread`.
        """
        with self._seat(caller, "thread.left", thread_id, hold=True) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            if person.kind != rules.PROFESSIONAL:
                return self._thread_refused(session, caller, "thread.left", NotAllowed(), held=held)
            store_threads.leave(session, held.thread_id, person, now())
            self._thread_allowed(session, caller, "thread.left", held, look)
            return None

    @rpc
    def archive_thread(self, caller: Caller, *, thread_id: str, archived: bool) -> Refusal | None:
        """Puts a thread aside for the caller alone, until something is written in it, or takes it up again.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; InvalidInput.
        """
        aside = rules.require_flag(archived, "/archived")
        with self._seat(caller, "thread.archived", thread_id) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            at = now()
            store_threads.archive(session, held.thread_id, person, at if aside else None, at)
            self._thread_allowed(session, caller, "thread.archived", held, look)
            return None

    # --- receipts -----------------------------------------------------------------------------------------------------

    @rpc
    def note_read(self, caller: Caller, *, thread_id: str, read_number: int) -> Receipts | Refusal:
        """Notes that the caller has read up to a message; it never goes back, and not beyond what they hear.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; InvalidInput.
        """
        number = rules.require_number(read_number)
        return self._receipts(caller, "thread.noted", thread_id, number)

    @rpc
    def read_receipts(self, caller: Caller, *, thread_id: str) -> Receipts | Refusal:
        """Who takes part, and up to which message each of them has read.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`.
        """
        return self._receipts(caller, "thread.read", thread_id, None)

    def _receipts(self, caller: Caller, action: str, thread_id: str, number: int | None) -> Receipts | Refusal:
        with self._seat(caller, action, thread_id, everybody=True) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            heard: Any = None if number is None else store_threads.last_heard(session, held.thread_id, person)
            if heard:
                store_threads.note_read(session, held.thread_id, person, min(number or 0, heard), now())
            self._thread_allowed(session, caller, action, held, look)
            return {"correspondents": self._correspondents(session, person, held, look)}
