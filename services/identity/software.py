"""The desk of business software: who may register it, the clients of organisations, their keys and attestation.

What a registered client then does, getting tokens, is in machines.py.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, keep_ended_session, rpc, rpc_public
from services.db import now, once, remember, rfc3339
from services.identity import rules, store_machines
from services.identity import rules_machines as machines
from services.identity.contract import ProfessionalUnknown, SessionEnded
from services.identity.contract_machines import (
    ClientState,
    ClientStateChanged,
    ClientUnknown,
    Jwks,
    ManagerUnknown,
    OrganisationUnknown,
    StateOutOfOrder,
)
from services.identity.desk import Desk
from services.identity.models_machines import SoftwareClient
from services.identity.ports import assertions
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context

MOST_SHOWN = 100


class Software(Desk):
    """The entrypoints of those who register software and of the agency, which attests it."""

    # --- managers -----------------------------------------------------------------------------------------------------

    @rpc
    def name_manager(self, caller: Caller, *, establishment_id: str, professional_id: str) -> Any:
        """Lets a professional who works at an organisation register its software; again changes nothing.

        Refuses: NotAllowed (agency only), InvalidInput, ProfessionalUnknown (no such professional there).
        """
        body = _ids(establishment_id=establishment_id, professional_id=professional_id)
        facts = self._professional(caller.context, professional_id) if caller.capacity == "agent" else None
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "organisation.changed", NotAllowed(), **_about(establishment_id))
            if facts is None or establishment_id not in facts["establishment_ids"]:
                refusal = ProfessionalUnknown()
                return self._refused(session, caller, "organisation.changed", refusal, **_about(establishment_id))
            if answered := once(session, caller, "name_manager", body):
                return answered
            store_machines.put_manager(session, establishment_id, professional_id, caller.account_id, now())
            emit(session, traced(caller, "organisation.changed", at=now(), **_about(establishment_id)))
            return remember(session, caller, "name_manager", body, body)

    @rpc
    def end_manager(self, caller: Caller, *, establishment_id: str, professional_id: str) -> Any:
        """Takes it back; the clients they registered stay. Refuses: NotAllowed (agency only), ManagerUnknown."""
        body = _ids(establishment_id=establishment_id, professional_id=professional_id)
        with self.db.transaction(caller) as session:
            refusal: Refusal | None = None if caller.capacity == "agent" else NotAllowed()
            if refusal is None and not store_machines.end_manager(session, *body.values(), now()):
                refusal = ManagerUnknown()
            if refusal is not None:
                return self._refused(session, caller, "organisation.changed", refusal, **_about(establishment_id))
            emit(session, traced(caller, "organisation.changed", at=now(), **_about(establishment_id)))
            return {}

    # --- clients ------------------------------------------------------------------------------------------------------

    @rpc
    def register_client(
        self, caller: Caller, *, establishment_id: str, name: str, version: str, vendor: str, scopes: list[str],
        jwks: dict[str, Any],
    ) -> Any:  # fmt: skip
        """Registers an installation of a software at an organisation, with its public keys; the agency attests it.

        Refuses: NotAllowed (its managers, logged in there, and the agency), OrganisationUnknown, InvalidInput (text,
        scope, no public P-384 or Ed25519 keys). [RGD 11]
        """
        rules.require_id(establishment_id, "/establishment_id")
        body = {"establishment_id": establishment_id, "name": name, "version": version, "vendor": vendor,
                "scopes": scopes, "jwks": jwks}  # fmt: skip
        known = self._is_organisation(caller, establishment_id)
        with self.db.transaction(caller) as session:
            if refusal := self._refusal_to_keep(session, caller, establishment_id, known):
                return self._refused(session, caller, "software.registered", refusal)
            if answered := once(session, caller, "register_client", body):
                return answered
            texts, keys = machines.require_client(name, version, vendor, scopes), _usable(jwks)
            client = store_machines.add_client(session, establishment_id, *texts, keys, caller.account_id, now())
            emit(session, traced(caller, "software.registered", at=now(), **_of(client.client_id)))
            return remember(session, caller, "register_client", body, _shown(client))

    @rpc
    def list_clients(self, caller: Caller, *, establishment_id: str) -> Any:
        """The clients of an organisation, the newest first. Refuses: NotAllowed, OrganisationUnknown."""
        rules.require_id(establishment_id, "/establishment_id")
        known = self._is_organisation(caller, establishment_id)
        with self.db.transaction(caller) as session:
            if refusal := self._refusal_to_keep(session, caller, establishment_id, known):
                return self._refused(session, caller, "software.searched", refusal)
            found = store_machines.clients_of(session, establishment_id)
            emit(session, traced(caller, "software.searched", at=now(), count=len(found), **_about(establishment_id)))
            return {"clients": [_shown(client) for client in found]}

    @rpc
    def replace_client_keys(
        self, caller: Caller, *, establishment_id: str, client_id: str, jwks: dict[str, Any]
    ) -> Any:  # fmt: skip
        """Gives a client other keys; from this answer on nothing signed with an old one counts.

        Refuses: NotAllowed, OrganisationUnknown, ClientUnknown, InvalidInput.
        """
        _ids(establishment_id=establishment_id, client_id=client_id)
        known = self._is_organisation(caller, establishment_id)
        with self.db.transaction(caller) as session:
            if refusal := self._refusal_to_keep(session, caller, establishment_id, known):
                return self._refused(session, caller, "software.changed", refusal, **_of(client_id))
            client = store_machines.replace_keys(session, establishment_id, client_id, _usable(jwks))
            if client is None:
                return self._refused(session, caller, "software.changed", ClientUnknown(), **_of(client_id))
            emit(session, traced(caller, "software.changed", at=now(), purpose="keys", **_of(client_id)))
            return _shown(client)

    # --- attestation --------------------------------------------------------------------------------------------------

    @rpc
    def clients_in_state(
        self, caller: Caller, *, state: str = "requested", limit: int = 50, cursor: str | None = None
    ) -> Any:  # fmt: skip
        """What waits for the agency: the clients in a state, longest registered first.

        Refuses: NotAllowed (agency only), InvalidInput.
        """
        wanted = machines.require_state(state)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_SHOWN:
            raise rules.invalid("/limit", "range")
        after = None if cursor is None else rules.require_id(cursor, "/cursor")
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "software.searched", NotAllowed())
            found = store_machines.clients_in_state(session, wanted, after, limit + 1)
            shown = found[:limit]
            emit(session, traced(caller, "software.searched", at=now(), count=len(shown)))
            return {"clients": [_shown(client) for client in shown],
                    "next_cursor": shown[-1].client_id if len(found) > limit else None}  # fmt: skip

    @rpc
    def change_client_state(self, caller: Caller, *, client_id: str, state: str) -> Any:
        """Moves a client on in its attestation; suspending ends its tokens everywhere within moments.

        A state it has already is no change. Refuses: NotAllowed (agency only), InvalidInput, ClientUnknown,
        StateOutOfOrder. [RGD 11]
        """
        rules.require_id(client_id, "/client_id")
        body, at = {"client_id": client_id, "state": state}, now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "software.changed", NotAllowed(), **_of(client_id))
            wanted = machines.require_state(state)
            if answered := once(session, caller, "change_client_state", body):
                return answered
            if store_machines.client(session, client_id) is None:
                return self._refused(session, caller, "software.changed", ClientUnknown(), **_of(client_id))
            moved = store_machines.change_state(session, client_id, wanted, machines.states_before(wanted))
            client = store_machines.hold_client(session, client_id)
            if not moved and client.state != wanted:
                refusal = StateOutOfOrder(state=client.state)
                return self._refused(session, caller, "software.changed", refusal, **_of(client_id))
            ended = self._note_move(session, caller, client, wanted, at) if moved else 0
            emit(session, traced(caller, "software.changed", at=at, purpose=wanted, count=ended, **_of(client_id)))
            return remember(session, caller, "change_client_state", body, _shown(client))

    @rpc_public
    def list_software(self, context: Context) -> Any:
        """The public list: every software the agency has attested, with its state; what is only asked for is not there.

        [RGD 11; domain.md, Accounts]
        """
        with self.db.transaction(context) as session:
            return {"software": [vars(listed) for listed in store_machines.public_list(session)]}

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _is_organisation(self, caller: Caller, establishment_id: str) -> bool:
        """Whether the directory knows it; asked for the agency alone, a manager was named for one that it knows."""
        if caller.capacity != "agent":
            return True
        return bool(self.directory.names(caller, establishment_ids=[establishment_id])["establishments"])

    def _refusal_to_keep(
        self, session: Session, caller: Caller, establishment_id: str, known: bool
    ) -> Refusal | None:  # fmt: skip
        manages = store_machines.is_manager(session, establishment_id, caller.professional_id)
        if not machines.may_keep_software(caller.capacity, caller.establishment_id, establishment_id, manages):
            return NotAllowed()
        return None if known else OrganisationUnknown()

    def _note_move(
        self, session: Session, caller: Caller, client: SoftwareClient, state: ClientState, at: datetime
    ) -> int:
        """The state's history and event and, for a suspension, the end of every token; how many ended."""
        client_id = client.client_id
        store_machines.add_state_change(session, client_id, state, caller.account_id, at)
        emit(session, ClientStateChanged(client_id, client.establishment_id, state, rfc3339(at)))
        if state != "suspended":
            return 0
        ended = store_machines.end_tokens_of_client(session, client_id, at)
        for token_id in ended:
            keep_ended_session(session, token_id)
            emit(session, SessionEnded(session_id=token_id, at=rfc3339(at)))
        return len(ended)


def _usable(jwks: object) -> Jwks:
    """Refuses: InvalidInput for keys that are none of ours, or lie on no curve."""
    keys = machines.require_jwks(jwks)
    if not assertions.are_usable(keys):
        raise rules.invalid("/jwks", "jwk_kind")
    return keys


def _shown(client: SoftwareClient) -> dict[str, Any]:
    return {
        "client_id": client.client_id, "establishment_id": client.establishment_id, "name": client.name,
        "version": client.version, "vendor": client.vendor, "scopes": list(client.scopes),
        "key_ids": [key["kid"] for key in client.jwks["keys"]], "state": client.state,
        "registered_at": rfc3339(client.registered_at),
    }  # fmt: skip


def _ids(**ids: object) -> dict[str, str]:
    """Refuses: InvalidInput for what cannot be an id."""
    return {name: rules.require_id(value, f"/{name}") for name, value in ids.items()}


def _of(client_id: str) -> dict[str, str]:
    return {"object_id": client_id, "object_type": "client"}


def _about(establishment_id: str) -> dict[str, str]:
    return {"object_id": establishment_id, "object_type": "establishment"}
