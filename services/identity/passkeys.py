"""Passkeys: log-in by PIN, fingerprint or face on a device of one's own (WebAuthn), and the account's devices.

No throttle of passwords stands before a passkey: however many wrong passwords a stranger tries, the owner comes in.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc, rpc_public
from services.db import now, once, remember, rfc3339
from services.identity import rules, rules_factors, store, store_factors, store_sessions
from services.identity.contract import DeviceNotFound, PasskeyRefused, TooManyDevices
from services.identity.entry import Entry, log_in_facts
from services.identity.models_factors import Passkey
from services.identity.ports.webauthn import RelyingParty, credential_id, relying_party
from services.refusals import TooManyTries
from services.tokens import Caller, Context


class Passkeys(Entry):
    """The entrypoints of passkeys and devices."""

    @cached_property
    def relying_party(self) -> RelyingParty:
        """The platform as devices know it, from the settings."""
        return relying_party()

    # --- the account's devices ----------------------------------------------------------------------------------------

    @rpc
    def start_passkey(self, caller: Caller) -> Any:
        """Options with which a device makes a passkey for the caller's account.

        Refuses: ReauthenticationDue, TooManyDevices. [domain.md, Accounts]
        """
        at = now()
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "passkey.added", at):
                return stale
            known = [device.credential_id for device in store_factors.passkeys(session, caller.account_id)]
            if len(known) >= rules_factors.PASSKEYS_AT_MOST:
                return self._refused(session, caller, "passkey.added", _too_many())
            ceremony = store_factors.add_ceremony(
                session, "register", at, account_id=caller.account_id, session_id=caller.session_id
            )
            emit(session, traced(caller, "account.change_begun", at=at, purpose="passkey"))
        challenge, owner = self.key.passkey_challenge(ceremony.ceremony_id), self.key.passkey_owner(caller.account_id)
        return {"ceremony_id": ceremony.ceremony_id, "expires_at": rfc3339(ceremony.expires_at),
                "public_key": self.relying_party.registration(challenge, owner, known)}  # fmt: skip

    @rpc
    def add_passkey(self, caller: Caller, *, ceremony_id: str, credential: Mapping[str, Any], name: str) -> Any:
        """Adds the passkey that a device has made; the account's owner is told.

        Refuses: InvalidInput (/name), ReauthenticationDue, PasskeyRefused (another ceremony's, account's or session's,
        not verified by PIN, fingerprint or face, known already), TooManyDevices. [W3C WebAuthn 7.1]
        """
        name = rules_factors.require_device_name(name)
        shown = rules_factors.require_credential(credential)
        body, at = {"ceremony_id": ceremony_id, "credential": shown, "name": name}, now()
        challenge = self.key.passkey_challenge(ceremony_id)
        made = self.relying_party.registered(shown, challenge) if rules.is_id(ceremony_id) else None
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "add_passkey", body):
                return answered
            if stale := self._not_fresh(session, caller, "passkey.added", at):
                return stale
            store_factors.lock_account(session, caller.account_id)
            if made is None or not store_factors.use_ceremony(
                session, ceremony_id, "register", at, account_id=caller.account_id, session_id=caller.session_id
            ):
                return self._refused(session, caller, "passkey.added", PasskeyRefused())
            if len(store_factors.passkeys(session, caller.account_id)) >= rules_factors.PASSKEYS_AT_MOST:
                return self._refused(session, caller, "passkey.added", _too_many())
            device = store_factors.add_passkey(session, caller.account_id, made.credential_id, made.public_key,
                                               made.sign_count, name, made.backed_up, at)  # fmt: skip
            if device is None:
                return self._refused(session, caller, "passkey.added", PasskeyRefused())
            self._notice(session, caller.account_id, "passkey_added", at, object_id=device.device_id)
            emit(session, traced(caller, "passkey.added", at=at, object_id=device.device_id, object_type="device"))
            return remember(session, caller, "add_passkey", body, _described(device))

    @rpc
    def list_devices(self, caller: Caller) -> Any:
        """The devices that open the caller's account, the newest first."""
        with self.db.transaction(caller) as session:
            devices = [_described(device) for device in store_factors.passkeys(session, caller.account_id)]
            emit(session, traced(caller, "account.read", at=now(), purpose="devices", count=len(devices)))
        return {"devices": devices}

    @rpc
    def rename_device(self, caller: Caller, *, device_id: str, name: str) -> Any:
        """Gives a device of the caller another name. Refuses: InvalidInput (/name), DeviceNotFound."""
        name = rules_factors.require_device_name(name)
        with self.db.transaction(caller) as session:
            known = rules.is_id(device_id)
            device = store_factors.own_passkey(session, device_id, caller.account_id) if known else None
            if device is None:
                return self._refused(session, caller, "account.changed", DeviceNotFound())
            device.name = name
            emit(session, traced(caller, "account.changed", at=now(), object_id=device_id, object_type="device"))
            return _described(device)

    @rpc
    def remove_device(self, caller: Caller, *, device_id: str) -> Any:
        """Takes a device off the caller's account: its passkey opens nothing any more; the owner is told.

        Refuses: ReauthenticationDue, DeviceNotFound.
        """
        at = now()
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "passkey.removed", at):
                return stale
            known = rules.is_id(device_id)
            if not known or not store_factors.remove_passkey(session, device_id, caller.account_id):
                return self._refused(session, caller, "passkey.removed", DeviceNotFound())
            self._notice(session, caller.account_id, "passkey_removed", at, object_id=device_id)
            emit(session, traced(caller, "passkey.removed", at=at, object_id=device_id, object_type="device"))
        return {}

    # --- log-in -------------------------------------------------------------------------------------------------------

    @rpc_public
    def start_passkey_log_in(self, context: Context) -> Any:
        """Options with which a device signs a log-in; nobody is named, the device knows whose it is.

        Refuses: TooManyTries, by address alone: a stranger elsewhere keeps nobody out.
        """
        at = now()
        with self.db.transaction(context) as session:
            ceremony = store_factors.add_ceremony(session, "log_in", at)
            if wait := store.take_tries(session, self._throttle("passkey", ceremony.ceremony_id.encode(), context), at):
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait))
            emit(session, traced(context, "log_in.begun", at=at, purpose="passkey"))
        return {"ceremony_id": ceremony.ceremony_id, "expires_at": rfc3339(ceremony.expires_at),
                "public_key": self.relying_party.log_in(self.key.passkey_challenge(ceremony.ceremony_id))}  # fmt: skip

    @rpc_public
    def log_in_with_passkey(
        self, context: Context, *, ceremony_id: str, credential: Mapping[str, Any], capacity: str | None = None,
        establishment_id: str | None = None, stay_connected: bool = False,
        conditions: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Opens a session with what a device has signed, in the capacity and at the workplace chosen.

        Refuses: PasskeyRefused (one and the same for all that is wrong with it, a counter that went back included),
        InvalidInput, ConditionsDue, AccountLocked, LicenceNotValid, Unavailable. [W3C WebAuthn 7.2]
        """
        given, at = rules_factors.require_credential(credential), now()
        with self.db.transaction(context) as session:
            device = store_factors.passkey_of(session, credential_id(given)) if rules.is_id(ceremony_id) else None
            account = store.account(session, device.account_id if device else None)
            shown = None if device is None else self.relying_party.shown(
                given, self.key.passkey_challenge(ceremony_id), self.key.passkey_owner(device.account_id),
                device.public_key, device.sign_count,
            )  # fmt: skip
            entered = account is not None and store_sessions.opened_by(session, account.account_id, context)
            if device is None or account is None or not (shown or entered):
                return self._refused(session, context, "session.opened", PasskeyRefused(), **log_in_facts(account))

        def use_up(session: Session) -> bool:
            if shown is None or not store_factors.use_ceremony(session, ceremony_id, "log_in", at):
                return False
            if not store_factors.use_passkey(session, device.device_id, shown.sign_count, shown.backed_up, at):
                return False
            store.give_back_tries(session, self._throttle("passkey", ceremony_id.encode(), context))
            return True

        return self._enter(context, account, use_up, PasskeyRefused(), "passkey", capacity=capacity,
                           establishment_id=establishment_id, stay_connected=stay_connected,
                           conditions=conditions)  # fmt: skip


def _too_many() -> TooManyDevices:
    return TooManyDevices(maximum=rules_factors.PASSKEYS_AT_MOST)


def _described(device: Passkey) -> dict[str, Any]:
    """A device as its owner sees it."""
    return {
        "device_id": device.device_id, "name": device.name, "added_at": rfc3339(device.added_at),
        "last_used_at": rfc3339(device.last_used_at) if device.last_used_at else None, "backed_up": device.backed_up,
    }  # fmt: skip
