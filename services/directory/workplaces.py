"""Workplaces: where a professional begins and ends to work, one establishment at a time."""

from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit, rpc
from services.db import now, once, remember
from services.directory import (
    contract,
    rules,
    rules_professionals,
    store_establishments,
    store_professionals,
    store_workplaces,
)
from services.directory.desk import Desk
from services.directory.models import Professional
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Workplaces(Desk):
    """The entrypoints of workplaces."""

    @rpc
    def start_work(
        self, caller: Caller, *, professional_id: str, establishment_id: str, emergency: bool | None = None
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """Notes that a professional works at an establishment from now on; who works there already goes on.

        emergency: attached to the emergency service there; None leaves what was noted, of who is new: not attached.
        A change is a new version, told by event. A token names the new workplace from the next log-in on.
        Refuses: NotAllowed (no agent), EstablishmentNotFound, EstablishmentClosed, PersonNotFound, InvalidInput (more
        workplaces than anybody has). [domain, Directories; Emergency access]
        """
        given: dict[str, Any] = {"professional_id": professional_id, "establishment_id": establishment_id}
        if emergency is not None:
            given["emergency"] = rules_professionals.require_flag(emergency, "emergency")
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "professional.changed", NotAllowed())
            answered = once(session, caller, "start_work", given)
            if answered:
                return dict(answered)
            asked, there = rules.as_id(professional_id), rules.as_id(establishment_id)
            establishment = store_establishments.hold_establishment(session, there)
            if establishment is None or there is None:
                refusal: Refusal = contract.EstablishmentNotFound()
                return self._refused(session, caller, "professional.changed", refusal, asked)
            if establishment.closed_at is not None:
                refusal = contract.EstablishmentClosed()
                return self._refused(session, caller, "professional.changed", refusal, asked)
            professional = store_professionals.lock_professional(session, asked)
            if professional is None or asked is None:
                return self._refused(session, caller, "professional.changed", contract.PersonNotFound(), asked)
            rules_professionals.require_room_for(there, store_workplaces.running(session, asked))
            before = store_workplaces.attached(session, asked, there)
            attached = bool(before) if emergency is None else emergency
            if attached is not before:
                self._work(session, professional, begins=there, ends=there, emergency=attached)
            self._traced(session, caller, "professional.changed", asked, purpose="workplace_begun")
            return dict(remember(session, caller, "start_work", given, given | {"professional_id": asked}))

    @rpc
    def end_work(
        self, caller: Caller, *, professional_id: str, establishment_id: str
    ) -> dict[str, str] | Refusal:  # fmt: skip
        """Notes that a professional works at an establishment no more; who does not is no change.

        A change is a new version, told by event. A token goes on naming the place until it expires, within minutes.
        Refuses: NotAllowed (no agent), PersonNotFound. [domain, Directories]
        """
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "professional.changed", NotAllowed())
            asked, there = rules.as_id(professional_id), rules.as_id(establishment_id)
            professional = store_professionals.lock_professional(session, asked)
            if professional is None or asked is None:
                return self._refused(session, caller, "professional.changed", contract.PersonNotFound(), asked)
            if there in store_workplaces.running(session, asked):
                self._work(session, professional, ends=there)
            self._traced(session, caller, "professional.changed", asked, purpose="workplace_ended")
            return {}

    def _work(
        self,
        session: Session,
        professional: Professional,
        *,
        begins: str | None = None,
        ends: str | None = None,
        emergency: bool = False,
    ) -> None:
        at = store_professionals.moment_after(professional, now())
        store_professionals.new_version(professional, at)
        whose = professional.professional_id
        store_workplaces.end(session, whose, [ends] if ends else [], at)
        store_workplaces.start(session, whose, [begins] if begins else [], at, emergency=emergency)
        for update in store_professionals.updates(session, [whose]):
            emit(session, update)
