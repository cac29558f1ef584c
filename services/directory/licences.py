"""Licences over time: taken away, given back, for now or from a day to come, and what changes by itself."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import emit, rpc
from services.db import now, once, remember, rfc3339
from services.directory import contract, rules, store_licences, store_professionals
from services.directory import rules_professionals as rules_licences
from services.directory.desk import Desk
from services.directory.models import Professional
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

AT_ONCE = 200  # licences that one transaction changes by themselves


class Licences(Desk):
    """The entrypoint of licences, and the work of their timer."""

    @rpc
    def set_licence(
        self, caller: Caller, *, professional_id: str, licence: str, since: str | None = None, until: str | None = None
    ) -> dict[str, str] | Refusal:
        """Notes that a professional may, or may not any more, practise; what holds already is no change.

        since: RFC 3339, from when on; now when it is left out, never in the past. until: the end of a suspension, after
        which the licence is valid again by itself. What was noted stays as it was noted: what is to come is called off
        by noting what shall hold from that moment instead.
        A change of what holds now is a new version, told by event; a licence suspended or withdrawn is told by an event
        of its own, upon which what runs in the professional's name ends. What is to come is told when it comes.
        Refuses: NotAllowed (no agent), InvalidInput, PersonNotFound. [domain, Directories; Life of a record; RGD 7(4)]
        """
        given = {"professional_id": professional_id, "licence": licence, "since": since, "until": until}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "professional.changed", NotAllowed())
            answered = once(session, caller, "set_licence", given)
            if answered:
                return answered
            state, begins, ends = rules_licences.require_licence_note(licence, since, until, now())
            asked = rules.as_id(professional_id)
            professional = store_professionals.lock_professional(session, asked)
            if professional is None or asked is None:
                return self._refused(session, caller, "professional.changed", contract.PersonNotFound(), asked)
            at = store_professionals.moment_after(professional, now())
            note = rules_licences.note_at(state, begins, ends, at)
            noted = store_licences.noted(session, [asked])[asked]
            if rules_licences.is_news(noted, note):
                store_licences.note(session, asked, note, caller.account_id, at)
                noted = rules_licences.with_note(noted, note)
            if self._bring_up_to_date(professional, noted, at):
                self._tell(session, [asked])
            self._traced(session, caller, "professional.changed", asked, purpose=state)
            return remember(session, caller, "set_licence", given, {"professional_id": asked, "licence": state})

    def _change_due_licences(self, at: datetime) -> int:
        """Changes the licences whose time has come by this moment, a batch of them; returns how many it looked at.

        A stop that is over, or one that begins, is told as an agent's word would be. Of replicas that come at once
        each takes others.
        """
        with self.db.transaction() as session:
            due = store_licences.claim_due(session, at, AT_ONCE)
            noted = store_licences.noted(session, [each.professional_id for each in due])
            store_licences.note_restored(session, rules_licences.restored(noted, at), at)
            changed = [
                each.professional_id for each in due
                if self._bring_up_to_date(each, noted[each.professional_id],
                                          store_professionals.moment_after(each, at))
            ]  # fmt: skip
            self._tell(session, changed)
            return len(due)

    def _bring_up_to_date(self, professional: Professional, noted: list[rules_licences.Licence], at: datetime) -> bool:
        """Gives a held professional what holds now; returns whether that is another state than before."""
        holds = rules_licences.licence_at(noted, at)
        state = holds.state if holds else professional.licence
        return store_licences.set_state(professional, state, rules_licences.next_change(noted, at), at)

    def _tell(self, session: Session, changed: list[str]) -> None:
        """Tells what professionals now are, and of each who may not practise that what runs in their name ends."""
        for update in store_professionals.updates(session, changed) if changed else []:
            emit(session, update)
            if update.licence != "valid":
                # now, and not when it was asked for: nobody's wait lies between this moment and the commit
                emit(session, contract.LicenceWithdrawn(update.professional_id, update.licence, rfc3339(now())))
