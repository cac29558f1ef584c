"""identity: who somebody is, and proof of it.

Owns accounts, activation by letter (activation.py), contact addresses, one-time codes, log-in and sessions
(log_in.py), business software (software.py) and its tokens (machines.py), and the signing keys. It alone can read
where a person's mail goes.
Never: stores a matricule or a code in clear, tells whether a matricule has an account, decides about records, or sends
mail (notifications does, asking for the code by challenge id).
"""

import os
from typing import Any, cast

from nameko.timer import timer
from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Remote, emit, rpc, rpc_public, rpc_system
from services.db import now, once, remember, rfc3339
from services.identity import (
    contract,
    rules,
    store,
    store_account,
    store_authenticators,
    store_codes,
    store_factors,
    store_helpdesk,
    store_letters,
    store_machines,
    store_notices,
)
from services.identity.account import AccountPage
from services.identity.authenticators import Authenticators
from services.identity.contract import AlreadyActivated, ProfessionalUnknown, SubjectKind
from services.identity.desk import person_facts
from services.identity.first_key import make_key_when_due
from services.identity.helpdesk import Helpdesk
from services.identity.letter_requests import LetterRequests
from services.identity.log_in import LogIns
from services.identity.luxtrust import LuxTrust
from services.identity.machines import Machines
from services.identity.matricules import Matricules
from services.identity.notices import Notices
from services.identity.oppositions import Oppositions
from services.identity.passkeys import Passkeys
from services.identity.ports import codes
from services.identity.ports.hashers import Hashers
from services.identity.ports.hashing import Hashing
from services.identity.recovery import Recovery
from services.identity.sessions import Sessions
from services.refusals import NotAllowed
from services.tokens import Caller, Context

_HASHERS = Hashers(max(1, (os.cpu_count() or 2) - 1))  # one core stays free for everybody else


class Identity(
    Oppositions, LetterRequests, LogIns, Sessions, AccountPage, Recovery, Authenticators, LuxTrust, Passkeys, Helpdesk,
    Machines, Matricules, Notices,
):  # fmt: skip
    """The nameko service; shapes and refusals are in contract.py."""

    name = contract.NAME
    directory = Remote("directory")
    hashing = Hashing(_HASHERS)

    # --- invitations and letters --------------------------------------------------------------------------------------

    @rpc
    def invite_professional(self, caller: Caller, *, professional_id: str) -> Any:
        """Has a letter with an activation code sent to a professional of the directory.

        Refuses: NotAllowed (agency only), ProfessionalUnknown, AlreadyActivated. [domain.md, Accounts]
        """
        rules.require_id(professional_id, "/professional_id")
        body = {"professional_id": professional_id}
        facts = self._professional(caller.context, professional_id) if caller.capacity == "agent" else None
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "account.invited", NotAllowed())
            if facts is None:
                return self._refused(session, caller, "account.invited", ProfessionalUnknown())
            if answered := once(session, caller, "invite_professional", body):
                return answered
            try:
                invited = self._invite(session, caller, "professional", professional_id)
            except AlreadyActivated as refusal:
                about = {"object_id": professional_id, "object_type": "professional"}
                return self._refused(session, caller, "account.invited", refusal, **about)
            return remember(session, caller, "invite_professional", body, invited)

    @rpc
    def invite_agent(self, caller: Caller, *, matricule: str, role: str) -> Any:
        """Has a letter with an activation code sent to somebody who is to work for the agency.

        Refuses: NotAllowed (administrators only), InvalidInput (matricule, role), AlreadyActivated.
        """
        if not (caller.capacity == "agent" and caller.role == "administrator"):
            with self.db.transaction(caller) as session:
                return self._refused(session, caller, "account.invited", NotAllowed())
        name = self.key.log_in_name(rules.require_matricule(matricule))
        body = {"name": name.hex(), "role": rules.require_role(role)}
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "invite_agent", body):
                return answered
            try:
                with session.begin_nested():  # a refusal leaves the role as it was
                    agent_id = store_letters.put_agent(session, name, role, now())
                    invited = self._invite(session, caller, "agent", agent_id)
            except AlreadyActivated as refusal:
                return self._refused(session, caller, "account.invited", refusal)
            return remember(session, caller, "invite_agent", body, invited)

    @rpc_system("notifications")
    def issue_activation_code(
        self, context: Context, *, letter_id: str, subject_kind: str, subject_id: str, purpose: str = "activation"
    ) -> Any:
        """The code to print on a letter; printing the letter again replaces its code.

        purpose: `recovery` for the letter of somebody who has an account and lost the way into it.
        Only the letter first issued last can be used. Refuses: InvalidInput. [decisions.md, Identity on the bus]
        """
        kind, purpose = rules.require_kind(subject_kind), rules.require_purpose(purpose)
        rules.require_id(letter_id, "/letter_id"), rules.require_id(subject_id, "/subject_id")
        code = codes.new_letter_code(kind)
        code_hash = self.hashing.hash(code)
        at = now()
        with self.db.transaction(context) as session:
            if kind == "agent" and not store_letters.agent_exists(session, subject_id):
                raise rules.invalid("/subject_id", "unknown")
            expires_at = store_letters.put_letter(session, letter_id, kind, subject_id, code_hash, at, purpose)
            emit(session, traced(context, "code.issued", at=at, object_id=letter_id, object_type="letter",
                                 **person_facts(kind, subject_id)))  # fmt: skip
        return {"code": rules.printed_letter_code(code), "expires_at": rfc3339(expires_at)}

    # --- keys, and what notifications asks ----------------------------------------------------------------------------

    @rpc_system("notifications")
    def one_time_code(self, context: Context, *, challenge_id: str) -> Any:
        """The code to send, where, and in which language; the same again for a repeat, `spent` when it is over."""
        with self.db.reading(context) as session:
            sent = store_codes.to_send(session, challenge_id, now()) if rules.is_id(challenge_id) else None
            if sent is None:
                return {"spent": True}
            return {"code": self.key.one_time_code(challenge_id), "address": sent.value, "kind": sent.kind,
                    "language": sent.language, "purpose": sent.purpose}  # fmt: skip

    @rpc_system("notifications")
    def contacts_of(
        self, context: Context, *, patient_id: str | None = None, professional_id: str | None = None,
        account_id: str | None = None,
    ) -> Any:  # fmt: skip
        """Where a person can be told something, and in which language; nowhere when there is no account.

        One of the three: whoever acted in an account is found by it, whatever they acted as.
        """
        kind: SubjectKind = "patient" if patient_id is not None else "professional"
        subject_id = patient_id if patient_id is not None else professional_id
        with self.db.reading(context) as session:
            known = rules.is_id(subject_id)
            account = store.account_of_subject(session, kind, cast(str, subject_id)) if known else None
            if account_id is not None and rules.is_id(account_id):
                account = store.account(session, account_id)
            if account is None:
                return {"contacts": [], "language": None}
            found = store.proved_contacts(session, account.account_id)
            return {"contacts": [{"kind": one.kind, "value": one.value} for one in found], "language": account.language}

    @rpc_public
    def jwks(self, context: Context) -> Any:
        """The public keys with which tokens are, or soon will be, signed. [RFC 7517 5]"""
        with self.db.reading(context) as session:
            return {"keys": [dict(key) for key in store.public_keys(session, now())]}

    # --- timers -------------------------------------------------------------------------------------------------------

    @timer(interval=600)
    def announce_next_key(self) -> None:
        """Announces the next signing key an hour before its use, whichever replica is first."""
        with self.db.transaction() as session:
            make_key_when_due(session, self.key, now())

    @timer(interval=3600)
    def sweep(self) -> None:
        """Forgets codes, abandoned activations and throttles whose time is over."""
        with self.db.transaction() as session:
            store.sweep(session, now())
            store_machines.sweep(session, now())
            store_account.sweep_account(session, now())
            store_authenticators.sweep(session, now())
            store_notices.sweep_notices(session, now())
            store_factors.sweep_factors(session, now())
            store_helpdesk.sweep_requests(session, now())

    def _invite(self, session: Session, caller: Caller, kind: SubjectKind, subject_id: str) -> dict[str, Any]:
        at = now()
        invited = self._reissue(session, caller, kind, subject_id, "activation", at)
        emit(session, traced(caller, "account.invited", at=at, object_id=subject_id, object_type=kind))
        return invited
