"""Establishments: practices, hospitals, laboratories, pharmacies and care networks, and who works there."""

from typing import Any

from services.bus import emit, rpc
from services.db import new_id, now, once, remember
from services.directory import (
    contract,
    rules,
    rules_professionals,
    rules_sheets,
    store_establishments,
    store_professional_search,
    store_professionals,
    store_workplaces,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Establishments(Desk):
    """The entrypoints of establishments."""

    @rpc
    def register_establishment(
        self, caller: Caller, *, name: str, kind: str, address: dict[str, str] | None = None
    ) -> dict[str, str] | Refusal:
        """Registers an establishment.

        Names do not tell establishments apart, and sharing one by mistake would share what its professionals may
        read: only the Idempotency-Key makes a repeat harmless.
        Refuses: NotAllowed (no agent), InvalidInput. [domain, Directories]
        """
        given = {"name": name, "kind": kind, "address": address}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "establishment.registered", NotAllowed())
            answered = once(session, caller, "register_establishment", given)
            if answered:
                return dict(answered)
            sheet = rules_sheets.require_establishment_sheet(given)
            establishment_id = new_id()
            store_establishments.insert_establishment(session, establishment_id, sheet, caller, now())
            self._traced(session, caller, "establishment.registered", establishment_id)
            answer = {"establishment_id": establishment_id}
            return dict(remember(session, caller, "register_establishment", given, answer))

    @rpc
    def change_establishment(
        self, caller: Caller, *, establishment_id: str, changes: dict[str, Any]
    ) -> contract.EstablishmentRead | Refusal:
        """Changes name or address (null: none) of an establishment; saying what is so already changes nothing.

        Refuses: NotAllowed (no agent), InvalidInput, EstablishmentNotFound, EstablishmentClosed. [domain, Directories]
        """
        given = {"establishment_id": establishment_id, "changes": changes}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "establishment.changed", NotAllowed())
            answered = once(session, caller, "change_establishment", given)
            if answered:
                return answered
            checked, asked = rules_professionals.require_establishment_change(changes), rules.as_id(establishment_id)
            establishment = store_establishments.lock_establishment(session, asked)
            if establishment is None:
                refusal: Refusal = contract.EstablishmentNotFound()
                return self._refused(session, caller, "establishment.changed", refusal, asked)
            if establishment.closed_at is not None:
                return self._refused(session, caller, "establishment.changed", contract.EstablishmentClosed(), asked)
            store_establishments.change_establishment(establishment, checked)
            self._traced(session, caller, "establishment.changed", asked)
            answer = store_establishments.shown(establishment)
            return remember(session, caller, "change_establishment", given, answer)

    @rpc
    def close_establishment(
        self, caller: Caller, *, establishment_id: str
    ) -> contract.EstablishmentRead | Refusal:  # fmt: skip
        """Closes an establishment for good: nobody works there any more, or will; its name stays for what happened.

        A new version of each professional who worked there, told by event. Closed once more it stays as it is.
        Refuses: NotAllowed (no agent), EstablishmentNotFound. [domain, Directories]
        """
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "establishment.changed", NotAllowed())
            answered = once(session, caller, "close_establishment", establishment_id)
            if answered:
                return answered
            asked = rules.as_id(establishment_id)
            establishment = store_establishments.lock_establishment(session, asked)
            if establishment is None or asked is None:
                refusal = contract.EstablishmentNotFound()
                return self._refused(session, caller, "establishment.changed", refusal, asked)
            left: list[str] = []
            if establishment.closed_at is None:
                store_workplaces.lock_everybody_at(session, asked)
                at = now()
                store_establishments.close(establishment, at)
                left = store_workplaces.end_everybody_at(session, asked, at)
                for update in store_professionals.updates(session, left) if left else []:
                    emit(session, update)
            self._traced(session, caller, "establishment.changed", asked, count=len(left), purpose="closed")
            answer = store_establishments.shown(establishment)
            return remember(session, caller, "close_establishment", establishment_id, answer)

    @rpc(scope="system/Practitioner.rs")
    def search_establishments(
        self, caller: Caller, *, query: str, kind: str | None = None, locality: str | None = None, limit: int = 20,
        cursor: str | None = None,
    ) -> contract.EstablishmentsFound:  # fmt: skip
        """Finds open establishments by the beginnings of words of their name, kind (five languages) or locality.

        Untraced, as the search for professionals. Refuses: InvalidInput (fewer than 3 letters, limit beyond 50, no such
        kind). [domain, Directories]
        """
        sought = rules_professionals.require_search(query, limit, kind=kind, locality=locality, cursor=cursor)
        with self.db.transaction(caller) as session:
            found = store_establishments.search_establishments(session, sought)
        page = found[: sought.limit]
        more = len(found) > sought.limit
        return {"organisations": page, "next_cursor": page[-1]["establishment_id"] if more else None}

    @rpc(scope="system/Practitioner.rs")
    def read_establishment(self, caller: Caller, *, establishment_id: str) -> contract.EstablishmentRead | Refusal:
        """One establishment, with its address, and when it was closed.

        Refuses: EstablishmentNotFound. [domain, Directories]
        """
        asked = rules.as_id(establishment_id)
        with self.db.transaction(caller) as session:
            found = store_establishments.read_establishment(session, asked)
            if found is None:
                return self._refused(session, caller, "establishment.read", contract.EstablishmentNotFound(), asked)
            self._traced(session, caller, "establishment.read", asked)
            return found

    @rpc(scope="system/Practitioner.rs")
    def professionals_at(
        self, caller: Caller, *, establishment_id: str, limit: int = 20, cursor: str | None = None
    ) -> contract.ProfessionalsFound | Refusal:
        """Who works at an establishment now, by name; who has lost the licence for good is not among them.

        Refuses: InvalidInput (limit beyond 50, cursor), EstablishmentNotFound. [domain, Directories]
        """
        asked = rules.as_id(establishment_id)
        sought = rules_professionals.require_page(asked, limit, cursor)
        with self.db.transaction(caller) as session:
            if asked is None or not store_establishments.establishment_names(session, [asked]):
                return self._refused(session, caller, "establishment.read", contract.EstablishmentNotFound(), asked)
            found = store_professional_search.professionals_at(session, sought)
            page, more = found[: sought.limit], len(found) > sought.limit
            self._traced(session, caller, "establishment.read", asked, count=len(page))
        return {"professionals": page, "next_cursor": page[-1]["professional_id"] if more else None}
