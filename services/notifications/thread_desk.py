"""What every question about secure messages begins with: who asks, what dossier says of them, and how it is traced."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit
from services.db import new_id, now, rfc3339
from services.notifications import rules_record_news as news
from services.notifications import rules_thread_limits, store_thread_limits, store_threads
from services.notifications import rules_threads as rules
from services.notifications.contract_threads import WRITTEN, AttachmentShown, Correspondent, ThreadNotFound
from services.notifications.ports.thread_keys import ThreadKeys
from services.notifications.rules_notices import Notice
from services.notifications.rules_record_news import Reader
from services.notifications.rules_threads import Part, Person, Side
from services.notifications.telling import Telling
from services.notifications.thread_limits import LIMITS
from services.object_store import Bucket
from services.refusals import NotAllowed, Refusal, TooManyTries
from services.tokens import Caller
from services.virus_scan import VirusScan

_GROUNDS: Final = {"holder": "holder", "representative": "legal_representative"}
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""Matches no thread and no person."""


@dataclass(frozen=True)
class Look:
    """What was found out before the transaction: of a thread with a holder side, that side; whom dossier lets write.

    record_id: the one the thread was begun in, None among professionals and of an unknown thread. looked_at: the
    professionals who were asked about; allowed: those of them who may write and be written to.
    """

    record_id: str | None
    looked_at: frozenset[str]
    allowed: frozenset[str]
    side: Side | None = None

    @property
    def role(self) -> str | None:
        """As what the patient who asks stands on the holder side."""
        return self.side.role if self.side is not None else None


@dataclass(frozen=True)
class Held:
    """A thread that is there for whoever asks, in the transaction of the answer."""

    row: store_threads.Row
    part: Part

    @classmethod
    def of(cls, row: store_threads.Row) -> Held:
        """Of a row with what the thread is to whoever asks."""
        return cls(row, Part(added=row.added_at is not None, left=row.left_at is not None))

    @property
    def thread_id(self) -> str:
        return str(self.row.thread_id)

    @property
    def key(self) -> bytes:
        return bytes(self.row.wrapped_key)

    @property
    def traced_record(self) -> str | None:
        """The record that its traces name; none where its representatives shall not read of it [L14 13]."""
        return None if self.row.holder_only else self.row.record_id


class Seat(NamedTuple):
    """Somebody in a thread that is there for them, in the transaction of the answer."""

    session: Session
    person: Person
    held: Held
    look: Look


class ThreadDesk(Telling):
    """The looks before a transaction, and the traces in it."""

    thread_keys: ThreadKeys
    attachments: Bucket
    virus_scan: VirusScan | None

    def _writer(self, caller: Caller, action: str) -> Person | Refusal:
        """As whom a caller takes part. Agents never read a message, nor does software [domain: Agence]."""
        person = rules.person_of(caller.capacity, caller.patient_id, caller.professional_id)
        if person is not None:
            return person
        with self.db.transaction(caller) as session:
            return self._thread_refused(session, caller, action, NotAllowed())

    def _look(self, caller: Caller, person: Person, thread_id: str, besides: Collection[str] = ()) -> Look:
        """What dossier says of everybody in a thread, and of `besides`; of an unknown one it is asked as well."""
        with self.db.transaction() as session:
            known = store_threads.facts_of(session, thread_id)
        record_id, there = known or (None, set())
        return self._look_at(caller, person, record_id, {*there, *besides})

    def _look_at(self, caller: Caller, person: Person, record_id: str | None, whom: Collection[str]) -> Look:
        asked = frozenset(whom) | ({person.person_id} if person.kind == rules.PROFESSIONAL else frozenset())
        if record_id is None and person.kind == rules.PROFESSIONAL:
            told = self.dossier.practising_among(caller.context, professional_ids=sorted(asked))
            return Look(None, asked, frozenset(told["professional_ids"]))
        patient_id = person.person_id if person.kind == rules.PATIENT else None
        side = Side.of(self.dossier.correspondence(
            caller.context, record_id=record_id or new_id(), professional_ids=sorted(asked), patient_id=patient_id,
        ))  # fmt: skip
        return Look(record_id, asked, frozenset(side.professionals), side)

    def _reading(self, caller: Caller, person: Person, thread_id: str) -> Look:
        """What has to be known before somebody reads: of a professional nothing but their own row, of a patient whether
        they stand on the holder side now."""
        if person.kind == rules.PROFESSIONAL:
            return Look(None, frozenset(), frozenset())
        with self.db.transaction() as session:
            record_id, _ = store_threads.facts_of(session, thread_id) or (None, ())
        return self._look_at(caller, person, record_id, ())

    @contextmanager
    def _seat(
        self, caller: Caller, action: str, thread_id: str, *, everybody: bool = False, besides: Collection[str] = (),
        hold: bool = False,
    ) -> Iterator[Seat | Refusal]:  # fmt: skip
        """The thread for whoever asks, with what dossier said before the transaction; or the traced refusal to return.

        everybody: what has to be known of all who take part, and of `besides`, not of the asker alone. hold: nobody
        else writes in the thread meanwhile.
        """
        person = self._writer(caller, action)
        if isinstance(person, Refusal):
            yield person
            return
        asked = rules.id_of(thread_id, NOBODY)
        look = self._look(caller, person, asked, besides) if everybody else self._reading(caller, person, asked)
        with self.db.transaction(caller) as session:
            held = self._held(session, caller, person, action, asked, look, hold=hold)
            yield held if isinstance(held, Refusal) else Seat(session, person, held, look)

    def _held(
        self, session: Session, caller: Caller, person: Person, action: str, thread_id: str, look: Look, *,
        hold: bool = False,
    ) -> Held | Refusal:  # fmt: skip
        """A thread that is there for this person; else the one traced answer for unknown and other people's."""
        row = store_threads.thread_of(session, thread_id, person, hold=hold)
        if row is not None:
            held = Held.of(row)
            if rules.may_read(person, held.part, look.role, row.holder_only):
                return held
            return self._thread_refused(session, caller, action, ThreadNotFound(), held=held)
        return self._thread_refused(session, caller, action, ThreadNotFound(), object_id=thread_id)

    # --- limits -------------------------------------------------------------------------------------------------------

    def _refused_reaching(
        self, session: Session, person: Person, colleague_ids: Collection[str], at: datetime
    ) -> TooManyTries | None:  # fmt: skip
        """Why a professional may not reach these colleagues now: they have reached very many. Where they may, it counts
        with this transaction, and whatever else they write waits for it. The holder side writes to its circle alone."""
        others = [one for one in colleague_ids if one != person.person_id]
        if person.kind != rules.PROFESSIONAL or not others:
            return None
        store_thread_limits.hold(session, person.person_id)
        room = store_thread_limits.room_at(session, LIMITS, person.person_id, others, at)
        wait = rules_thread_limits.seconds_to_wait(room, at)
        if wait:
            return TooManyTries(retry_after=wait)
        store_thread_limits.note(session, person.person_id, others, at)
        return None

    # --- traces -------------------------------------------------------------------------------------------------------

    def _thread_allowed(
        self, session: Session, caller: Caller, action: str, held: Held | None = None, look: Look | None = None,
        **more: Any,
    ) -> None:  # fmt: skip
        """Traces an answer; with the ground, where dossier named one."""
        about: dict[str, Any] = {} if held is None else {
            "object_id": held.thread_id, "object_type": "thread", "record_id": held.traced_record,
        }  # fmt: skip
        ground = None
        if look is not None and look.side is not None:
            ground = look.side.professionals.get(caller.professional_id or "") or _GROUNDS.get(look.role or "")
        emit(session, traced(caller, action, at=now(), ground=ground, **(about | more)))

    def _thread_refused(
        self, session: Session, caller: Caller, action: str, refusal: Refusal, *, held: Held | None = None,
        object_id: str | None = None, record_id: str | None = None,
    ) -> Refusal:  # fmt: skip
        """Traces a refusal and gives it back, to be returned so that the trace is committed."""
        if held is not None:
            object_id, record_id = held.thread_id, held.traced_record
        emit(session, traced(
            caller, action, at=now(), object_id=object_id, object_type=object_id and "thread", record_id=record_id,
            outcome="refused", reason=refusal.code,
        ))  # fmt: skip
        return refusal

    # --- who takes part -----------------------------------------------------------------------------------------------

    def _is_up_to_date(self, person: Person, held: Held, look: Look) -> bool:
        """Whether somebody is told how things stand now: not a professional who left, or is let no more."""
        return person.kind == rules.PATIENT or (not held.part.left and person.person_id in look.allowed)

    def _correspondents(self, session: Session, person: Person, held: Held, look: Look) -> list[Correspondent]:
        """The professionals who take or took part, and who stands on the holder side now, with how far each has read.

        Who is cut off for now is not told apart from who is not: that somebody is blocked is nobody's business. And
        whoever is cut off sees who was there when they heard the last of it, and nothing of what went on.
        """
        rows = store_threads.people_in(session, held.thread_id)
        up_to_date, heard = self._is_up_to_date(person, held, look), None
        if not up_to_date:
            heard = held.row.heard_number
            rows = [row for row in rows if row.added_at <= held.row.heard_at]
        of_patients = {row.person_id: row for row in rows if row.kind == rules.PATIENT}
        shown = [_professional(row, heard) for row in rows if row.kind == rules.PROFESSIONAL]
        side = look.side
        if side is None:
            return shown
        people = [(side.holder, "holder")] if side.holder is not None else []
        if up_to_date and not held.row.holder_only:
            people += [(one, "representative") for one in side.representatives]
        return shown + [_of_side(one, role, of_patients.get(one), heard) for one, role in people if one is not None]

    # --- telling ------------------------------------------------------------------------------------------------------

    def _tell_of(
        self, session: Session, caller: Caller, person: Person, held: Held, look: Look, hearers: Collection[str],
        at: datetime, *, side: bool = True,
    ) -> None:  # fmt: skip
        """Puts down that a message waits, for whoever hears it and did not write it; once an hour for a thread.

        side: whether the holder side hears of it too, where the thread is with one.
        """
        told = [Reader(rules.PROFESSIONAL, one, WRITTEN, None) for one in hearers if one != person.person_id]
        if side and look.side is not None:
            people = rules.told_of_side(look.side, person, held.row.holder_only)
            told += [Reader(rules.PATIENT, one, WRITTEN, role) for one, role in people]
        moment = rfc3339(at)
        once = news.once_an_hour(WRITTEN, held.thread_id, moment)
        event = Received(new_id(), "notifications", WRITTEN, moment, None, None, None, caller.context)
        self._put_down(session, event, [
            Notice(
                reader, moment, record_id=held.row.record_id, object_type="thread", object_id=held.thread_id,
                told_as=once,
            )
            for reader in told
        ])  # fmt: skip


def file_shown(row: store_threads.Row, name: str) -> AttachmentShown:
    """A file of a thread, under its opened name, as whoever hears of it sees it."""
    return {
        "attachment_id": row.attachment_id, "name": name, "media_type": row.media_type, "size": row.size,
        "state": rules.state_of(row.checked_at is not None, row.rejected),
    }  # fmt: skip


def _professional(row: store_threads.Row, heard: int | None) -> Correspondent:
    read = _read_up_to(row, heard)
    return {
        "professional_id": row.person_id, "patient_id": None, "role": None, "added_at": rfc3339(row.added_at),
        "left": row.left_at is not None and heard is None, "read_number": read[0], "read_at": read[1],
    }  # fmt: skip


def _of_side(patient_id: str, role: str, row: store_threads.Row | None, heard: int | None) -> Correspondent:
    read = (0, None) if row is None else _read_up_to(row, heard)
    return {
        "professional_id": None, "patient_id": patient_id, "role": role, "added_at": None, "left": False,
        "read_number": read[0], "read_at": read[1],
    }  # fmt: skip


def _read_up_to(row: store_threads.Row, heard: int | None) -> tuple[int, str | None]:
    """Up to where somebody has read, and since when; beyond what the reader hears themselves nothing is said."""
    if heard is not None and row.read_number > heard:
        return heard, None
    return row.read_number, None if row.read_at is None else rfc3339(row.read_at)
