"""What the holder side sets and declares for a record: the last word holds, and every word stays."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, emit, rpc
from services.db import now, once, remember, rfc3339
from services.dossier import contract, rules, rules_reviews, rules_settings, store, store_settings
from services.dossier.answers import allowed, judge, refused, require_risk
from services.dossier.rules_tables import Setting
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller


class RecordSettings(Service):
    """The entrypoints of settings and declarations. [seed 002, Gestion du dossier]"""

    @rpc
    def settings(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Every setting of a record as it stands, since when, and what holds while nobody has said anything.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed.
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules_settings.require_holder_side(scope)
            if refusal is not None:
                return refused(session, caller, "setting.read", at, record_id, refusal)
            words = store_settings.all_current(session, record_id)
            found = rules_settings.standing(tables_at(at), words)
            allowed(session, caller, "setting.read", at, scope, count=len(found))
        return {"settings": [_shown(row, folder, word) for row, folder, word in found]}

    @rpc
    def change_setting(
        self, caller: Caller, *, record_id: str, name: str, value: str, folder: str | None = None,
        risk_accepted: bool | None = None, risk_version: str | None = None,
    ) -> contract.SettingShown | Refusal:  # fmt: skip
        """Sets a value from now on; the same again changes nothing. A value that may harm needs the risk accepted.

        folder: of default_level, the one folder it is for; `inherited` takes such a level back. A slug of documents'
        folders; one that holds nothing does no harm. Accesses that run are judged by the new value at once.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (an assistant, of what is
        not theirs to set), InvalidInput.
        [domain: Emergency access, Confidentiality]
        """
        at, record_id = now(), rules.id_of(record_id)
        row, kept = rules_settings.setting_named(tables_at(at), name, folder)
        rules_settings.require_said(row, "chosen", "by_folder")
        said = rules_settings.require_value(row, value)
        accepted = None
        if said in row.risk_of:
            require_risk(risk_accepted, risk_version)
            accepted = risk_version
        body = {"record_id": record_id, "name": kept, "value": said, "risk_version": accepted}
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_holder_action(tables_at(at), scope, row.action)
            if refusal is not None:
                return refused(session, caller, "setting.changed", at, record_id, refusal)
            answered: contract.SettingShown | None = once(session, caller, "change_setting", body)
            if answered is not None:
                return answered
            since = _say(session, caller, scope, row, kept, at, value=said, risk_version=accepted)
            answer = {"name": name, "folder": folder, "value": said, "default": row.default, "since": since}
            return remember(session, caller, "change_setting", body, answer)

    @rpc
    def setting_history(
        self, caller: Caller, *, record_id: str, name: str, folder: str | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """Every word that was said of a setting or a declaration, the newest first, and by whom.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, InvalidInput.
        """
        at, record_id = now(), rules.id_of(record_id)
        _, kept = rules_settings.setting_named(tables_at(at), name, folder)
        most = rules_reviews.require_limit(limit)
        after = None if cursor is None else rules.id_of(cursor)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules_settings.require_holder_side(scope)
            if refusal is not None:
                return refused(session, caller, "setting.read", at, record_id, refusal)
            found = store_settings.history(session, record_id, kept, most, after)
            page = found[:most]
            allowed(
                session,
                caller,
                "setting.read",
                at,
                scope,
                object_type="setting",
                purpose=rules_settings.code_of(kept),
                count=len(page),
            )
        return {
            "history": [_word(word) for word in page],
            "next_cursor": page[-1].setting_id if len(found) > most else None,
        }

    # --- declarations ---------------------------------------------------------------------------------------

    @rpc
    def declaration(self, caller: Caller, *, record_id: str, name: str) -> contract.Declaration | Refusal:
        """A declaration as it stands: to the holder side, and to a professional who would read a standard document of
        its type, traced with the ground.

        Refuses: RecordNotFound (no such right, alike for every reason), RecordClosed (to the holder alone),
        InvalidInput.
        [domain: Pages]
        """
        at, record_id = now(), rules.id_of(record_id)
        row, kept = rules_settings.setting_named(tables_at(at), name)
        rules_settings.require_said(row, "declared")
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules_settings.require_declaration(scope, row)
            clause = rules_settings.declaration_clause(scope, row)
            if refusal is not None or clause is None:
                refusal = refusal or contract.RecordNotFound()
                return refused(session, caller, "setting.read", at, record_id, refusal)
            word = store_settings.current(session, record_id, kept)
            allowed(
                session, caller, "setting.read", at, scope, named=(clause.ground, clause.rule),
                object_type="setting", purpose=kept,
            )  # fmt: skip
        return _declared(row, word)

    @rpc
    def declare(
        self, caller: Caller, *, record_id: str, name: str, value: str, declared_on: str, note: str | None = None
    ) -> contract.Declaration | Refusal:
        """Declares from now on; the same again changes nothing, and what was declared before stays in the history.

        declared_on: the day it was given, as on paper. note: the holder's own words.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (assistants), InvalidInput.
        [domain: Words, assistant; Who may see what]
        """
        at, record_id = now(), rules.id_of(record_id)
        row, kept = rules_settings.setting_named(tables_at(at), name)
        rules_settings.require_said(row, "declared")
        said = rules_settings.require_value(row, value)
        day, words = rules_settings.require_declared_on(declared_on, at), rules_settings.require_note(note)
        body = {"record_id": record_id, "name": kept, "value": said, "declared_on": day.isoformat(), "note": words}
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_holder_action(tables_at(at), scope, row.action)
            if refusal is not None:
                return refused(session, caller, "setting.changed", at, record_id, refusal)
            answered: contract.Declaration | None = once(session, caller, "declare", body)
            if answered is not None:
                return answered
            since = _say(session, caller, scope, row, kept, at, value=said, declared_on=day, note=words)
            answer = {"value": said, "declared_on": day.isoformat(), "note": words, "since": since}
            return remember(session, caller, "declare", body, answer)


def _say(
    session: Session, caller: Caller, given: contract.AccessScope, row: Setting, kept: str, at: datetime, **word: Any
) -> str:
    """Says one word for the record, traced under the clause by which it is said; since when it holds."""
    record_id = given.record_id
    changed = store_settings.put(session, record_id, kept, account_id=caller.account_id, at=at, **word)
    if changed and rules_settings.opens_access(tables_at(at), row.setting):
        emit(session, contract.AccessNarrowed(record_id, rfc3339(at)))
    stands = None if changed else store_settings.current(session, record_id, kept)
    clause = rules.acting_clause(tables_at(at), given, row.action)
    allowed(
        session, caller, "setting.changed", at, given, named=clause and (clause.ground, clause.rule),
        object_type="setting", purpose=rules_settings.code_of(kept),
    )  # fmt: skip
    return rfc3339(stands.since if stands else at)


def _shown(row: Setting, folder: str | None, word: Any | None) -> contract.SettingShown:
    return {
        "name": "default_level" if folder else row.setting,
        "folder": folder,
        "value": word.value if word else row.default,
        "default": row.default,
        "since": rfc3339(word.since) if word else None,
    }


def _declared(row: Setting, word: Any | None) -> contract.Declaration:
    if word is None:
        return {"value": row.default, "declared_on": None, "note": None, "since": None}
    return {
        "value": word.value,
        "declared_on": word.declared_on.isoformat(),
        "note": word.note,
        "since": rfc3339(word.since),
    }


def _word(word: Any) -> contract.SettingWord:
    return {
        "value": word.value,
        "since": rfc3339(word.since),
        "until": word.until and rfc3339(word.until),
        "account_id": word.account_id,
        "declared_on": word.declared_on and word.declared_on.isoformat(),
        "note": word.note,
        "risk_version": word.risk_version,
    }
