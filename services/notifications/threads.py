"""Secure messages: threads between professionals, and between a holder side and the professionals it trusts for good.

What was written stays to be read by whoever heard it; what is written now is heard by those whom dossier lets at this
moment. Of the holder side whoever stands on it now reads all; an assistant never does, nor an agent, nor software.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import rpc
from services.db import new_id, now, once, remember, rfc3339
from services.dossier.contract import RecordClosed, RecordNotFound
from services.notifications import contract_threads as contract
from services.notifications import rules_threads as rules
from services.notifications import store_thread_files, store_threads
from services.notifications.contract_threads import MessagePage, MessageShown, ThreadPage, ThreadRead, ThreadShown
from services.notifications.rules_threads import Person
from services.notifications.thread_desk import NOBODY, Held, Look, ThreadDesk, file_shown
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller


class Threads(ThreadDesk):
    """Begin, list, read, write."""

    # --- beginning ----------------------------------------------------------------------------------------------------

    @rpc
    def begin_thread(
        self, caller: Caller, *, subject: str, professional_ids: list[str], text: str | None = None,
        record_id: str | None = None,
    ) -> ThreadRead | Refusal:  # fmt: skip
        """Begins a thread: with the holder side of a record, where one is named, otherwise among professionals.

        subject: 1 to 200 characters. professional_ids: who takes part besides the caller. text: the first message; of a
        thread without one nobody hears. A patient names a record, and at least one professional.

        Refuses: NotAllowed to agents; RecordNotFound without a lasting ground in the record (unknown, closed and
        blocked alike; RecordClosed to the holder side); CorrespondentNotFound; TooManyTries, to a professional who has
        reached very many colleagues; InvalidInput [ours].
        """
        title, first, wanted, record = rules.require_thread(subject, text, professional_ids, record_id)
        person = self._writer(caller, "thread.created")
        if isinstance(person, Refusal):
            return person
        others = [one for one in wanted if one != person.person_id]
        if (record is None or person.kind == rules.PATIENT) and not others:
            raise InvalidInput(errors=[{"pointer": "/professional_ids", "message": "required"}])
        if record is None and person.kind == rules.PATIENT:
            raise InvalidInput(errors=[{"pointer": "/record_id", "message": "required"}])
        look = self._look_at(caller, person, record, others)
        body = {"subject": subject, "text": text, "professional_ids": wanted, "record_id": record}
        with self.db.transaction(caller) as session:
            refusal = _refused_beginning(person, look, others)
            if refusal is not None:
                return self._thread_refused(session, caller, "thread.created", refusal, record_id=record)
            begun: dict[str, str] | None = once(session, caller, "begin_thread", body)
            if begun is None:
                limit = self._refused_reaching(session, person, others if first is not None else [], now())
                if limit is not None:
                    return self._thread_refused(session, caller, "thread.created", limit, record_id=record)
                held = self._begin(session, caller, person, look, title, others)
                if first is not None:
                    self._write_down(session, caller, person, held, look, first, [])
                    self._thread_allowed(session, caller, "thread.created", held, look, count=1)
                else:
                    self._thread_allowed(session, caller, "thread.created", held, look)
                # never the words: what is remembered is stored
                begun = {"thread_id": held.thread_id}
                remember(session, caller, "begin_thread", body, begun)
            again = store_threads.thread_of(session, begun["thread_id"], person)
            return self._thread_read(session, person, Held.of(again), look)

    def _begin(
        self, session: Session, caller: Caller, person: Person, look: Look, subject: str, others: list[str]
    ) -> Held:
        thread_id, at = new_id(), now()
        key = self.thread_keys.new(thread_id)
        store_threads.add_thread(
            session, thread_id=thread_id, record_id=look.record_id, wrapped_key=key,
            holder_only=look.side is not None and rules.is_holders_own(look.side, look.role),
            master_key_id=self.thread_keys.master_key_id, begun_by_kind=person.kind, begun_by=person.person_id,
            subject=self.thread_keys.seal(thread_id, key, "subject", subject), begun_at=at, last_at=at,
        )  # fmt: skip
        own = [person.person_id] if person.kind == rules.PROFESSIONAL else []
        store_threads.add_people(session, thread_id, [*own, *others], at)
        return Held.of(store_threads.thread_of(session, thread_id, person))

    # --- reading ------------------------------------------------------------------------------------------------------

    @rpc
    def list_threads(
        self, caller: Caller, *, limit: int = 20, cursor: str | None = None, record_id: str | None = None,
        archived: bool = False,
    ) -> ThreadPage | Refusal:  # fmt: skip
        """The caller's threads, where they last heard something first; those put aside with `archived`.

        record_id: those with the holder side of this record alone.
        Refuses: NotAllowed to agents; InvalidInput.
        """
        most, place = rules.require_page(limit, cursor)
        aside = rules.require_flag(archived, "/archived")
        if isinstance(place, int):
            raise InvalidInput(errors=[{"pointer": "/cursor", "message": "cursor"}])
        person = self._writer(caller, "thread.searched")
        if isinstance(person, Refusal):
            return person
        asked = None if record_id is None else rules.id_of(record_id, NOBODY)
        sides = self._sides(caller, person, asked)
        with self.db.transaction(caller) as session:
            rows = store_threads.threads(
                session, person, sides, record_id=asked if person.kind == rules.PROFESSIONAL else None, archived=aside,
                after=place, limit=most + 1,
            )  # fmt: skip
            shown = rows[:most]
            self._thread_allowed(session, caller, "thread.searched", count=len(shown), record_id=asked)
            more = len(rows) > most
            return {
                "threads": [self._thread_shown(Held.of(row), row.own_number, row.own_at, row.unread) for row in shown],
                "next_cursor": f"{rfc3339(shown[-1].own_at)}_{shown[-1].thread_id}" if more else None,
            }

    @rpc
    def count_unread_messages(self, caller: Caller) -> contract.Unread | Refusal:
        """How many messages, in how many threads, the caller has not read.

        Refuses: NotAllowed to agents.
        """
        person = self._writer(caller, "thread.searched")
        if isinstance(person, Refusal):
            return person
        sides = self._sides(caller, person, None)
        with self.db.transaction(caller) as session:
            threads, messages = store_threads.unread(session, person, sides)
            self._thread_allowed(session, caller, "thread.searched", count=threads)
            return {"threads": threads, "messages": messages}

    @rpc
    def read_thread(self, caller: Caller, *, thread_id: str) -> ThreadRead | Refusal:
        """One thread: its subject, who takes part and how far they have read, and whether the caller may write now.

        Refuses: NotAllowed to agents; ThreadNotFound, the same for unknown and other people's.
        """
        with self._seat(caller, "thread.read", thread_id, everybody=True) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            self._thread_allowed(session, caller, "thread.read", held, look)
            return self._thread_read(session, person, held, look)

    @rpc
    def list_thread_messages(
        self, caller: Caller, *, thread_id: str, limit: int = 50, cursor: str | None = None
    ) -> MessagePage | Refusal:
        """What the caller hears of a thread, newest first. To have read it is said by `note_read`, not by this.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; InvalidInput.
        """
        most, before = rules.require_page(limit, cursor)
        if before is not None and not isinstance(before, int):
            raise InvalidInput(errors=[{"pointer": "/cursor", "message": "cursor"}])
        with self._seat(caller, "thread.read", thread_id) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            rows = store_threads.messages(session, held.thread_id, person, before, most + 1)
            shown = rows[:most]
            self._thread_allowed(session, caller, "thread.read", held, look, count=len(shown))
            return {
                "messages": self._messages_shown(session, person, held, shown),
                "next_cursor": f"n{shown[-1].number}" if len(rows) > most else None,
            }

    # --- writing ------------------------------------------------------------------------------------------------------

    @rpc
    def write_message(
        self, caller: Caller, *, thread_id: str, text: str, attachment_ids: list[str] | None = None
    ) -> MessageShown | Refusal:
        """Writes a message into a thread, with files that the caller put there before; heard by who may hear it now.

        text: 1 to 10,000 characters. attachment_ids: of `commit_attachment`, at most 10, in the order they are shown.

        Refuses: NotAllowed to agents; ThreadNotFound, as `read_thread`; WritingEnded, for every cause the same;
        AttachmentNotFound, AttachmentRejected; TooManyTries, to a professional who has reached very many colleagues;
        RequestInFlight, KeyReused; InvalidInput [ours].
        """
        said, files = rules.require_message(text, attachment_ids)
        with self._seat(caller, "thread.written", thread_id, everybody=True, hold=True) as seat:
            if isinstance(seat, Refusal):
                return seat
            session, person, held, look = seat
            body = {"thread_id": held.thread_id, "text": text, "attachment_ids": files}
            written: dict[str, Any] | None = once(session, caller, "write_message", body)
            if written is None:
                refusal = self._refused_writing(session, person, held, look)
                refusal = refusal or self._refused_files(session, caller, held.thread_id, files)
                if refusal is None:
                    hearers = self._hearers(session, held, look)
                    refusal = self._refused_reaching(session, person, hearers, now())
                if refusal is not None:
                    return self._thread_refused(session, caller, "thread.written", refusal, held=held)
                written = self._write_down(session, caller, person, held, look, said, files)
                self._thread_allowed(session, caller, "thread.written", held, look, count=len(files))
                remember(session, caller, "write_message", body, written)
            [row] = store_threads.messages(session, held.thread_id, person, written["number"] + 1, 1)
            return self._messages_shown(session, person, held, [row])[0]

    def _refused_files(self, session: Session, caller: Caller, thread_id: str, files: list[str]) -> Refusal | None:
        found = store_thread_files.loose(session, thread_id, caller.account_id, files) if files else ()
        return rules.refused_sending([row._mapping for row in found if row.stored_at is not None], files)

    def _refused_writing(self, session: Session, person: Person, held: Held, look: Look) -> Refusal | None:
        """Why somebody may not write in a thread now."""
        others = [one for one in self._hearers(session, held, look) if one != person.person_id]
        return rules.refused_writing(person, held.part, look.side, look.allowed, others)

    def _hearers(self, session: Session, held: Held, look: Look) -> list[str]:
        there = store_threads.professionals_in(session, held.thread_id)
        return rules.hearers(there, look.looked_at, look.allowed)

    def _write_down(
        self, session: Session, caller: Caller, person: Person, held: Held, look: Look, text: str, files: list[str]
    ) -> dict[str, Any]:
        """Writes into a thread that is held, or was made just now; which message it is."""
        at, message_id, number = now(), new_id(), held.row.last_number + 1
        hearers = self._hearers(session, held, look)
        store_threads.add_message(
            session, hearers, message_id=message_id, thread_id=held.thread_id, number=number, author_kind=person.kind,
            author_id=person.person_id, role=look.role, account_id=caller.account_id, written_at=at,
            text=self.thread_keys.seal(held.thread_id, held.key, message_id, text),
        )  # fmt: skip
        store_thread_files.send(session, message_id, files)
        store_threads.note_read(session, held.thread_id, person, number, at)
        self._tell_of(session, caller, person, held, look, hearers, at)
        return {"message_id": message_id, "number": number}

    # --- answers ------------------------------------------------------------------------------------------------------

    def _sides(self, caller: Caller, person: Person, record_id: str | None) -> dict[str, str]:
        """Of a patient, the records whose messages they read, and as what; those that lead to one record alone."""
        if person.kind == rules.PROFESSIONAL:
            return {}
        sides = self.dossier.sides_of(caller.context, patient_id=person.person_id)["sides"]
        return {each["record_id"]: each["role"] for each in sides if record_id in (None, each["found_in"])}

    def _thread_read(self, session: Session, person: Person, held: Held, look: Look) -> ThreadRead:
        standing = store_threads.standing(session, held.thread_id, person)
        shown = self._thread_shown(held, standing.number, standing.at, standing.unread)
        if look.side is not None and self._is_up_to_date(person, held, look):
            shown["record_id"] = look.side.record_id
        return {
            **shown,
            "may_write": self._refused_writing(session, person, held, look) is None,
            "correspondents": self._correspondents(session, person, held, look),
        }

    def _thread_shown(self, held: Held, number: int, at: Any, unread: int) -> ThreadShown:
        row = held.row
        opened = self.thread_keys.open(held.thread_id, held.key, {"subject": bytes(row.subject)})
        return {
            "thread_id": row.thread_id, "record_id": row.record_id, "holder_only": row.holder_only,
            "subject": opened["subject"], "begun_at": rfc3339(row.begun_at), "last_number": number,
            "last_at": rfc3339(at), "unread": unread, "archived": row.archived_at is not None,
            "left": row.left_at is not None,
        }  # fmt: skip

    def _messages_shown(
        self, session: Session, person: Person, held: Held, rows: Any
    ) -> list[MessageShown]:  # fmt: skip
        files = store_thread_files.of_messages(session, [row.message_id for row in rows])
        sealed = {row.message_id: bytes(row.text) for row in rows}
        sealed |= {file.attachment_id: bytes(file.name) for file in files}
        opened = self.thread_keys.open(held.thread_id, held.key, sealed)
        came: dict[str, list[contract.AttachmentShown]] = {}
        for file in files:
            came.setdefault(file.message_id, []).append(file_shown(file, opened[file.attachment_id]))
        return [
            {
                "message_id": row.message_id, "number": row.number,
                "professional_id": row.author_id if row.author_kind == rules.PROFESSIONAL else None,
                "patient_id": row.author_id if row.author_kind == rules.PATIENT else None, "role": row.role,
                "mine": (row.author_kind, row.author_id) == (person.kind, person.person_id),
                "text": opened[row.message_id], "attachments": came.get(row.message_id, []),
                "written_at": rfc3339(row.written_at),
            }
            for row in rows
        ]  # fmt: skip


def _refused_beginning(person: Person, look: Look, others: list[str]) -> Refusal | None:
    """Why a thread cannot be begun: first for the record, then for the people named."""
    side = look.side
    if side is not None and person.kind == rules.PATIENT:
        if side.role is None:
            return RecordNotFound()
        if not side.open:
            return RecordClosed()
    elif person.person_id not in look.allowed:
        return RecordNotFound() if side is not None else contract.WritingEnded()
    if side is not None and (not side.open or side.holder is None):
        return RecordNotFound()
    return rules.refused_correspondents(others, look.allowed)
