"""What people wish to hear, on which way, and when: each for themselves, in the capacity they log in with.

Representatives and assistants get what the holder of a record gets, as they have set it themselves; what the law fixes
goes out in any case, and says so.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import now, once, remember, rfc3339
from services.notifications import rules, rules_settings, store_settings
from services.notifications.contract_settings import NoticeFixed, ShownSettings
from services.notifications.desk import Desk, person_of
from services.notifications.ports.texts import fixed_reason, setting_title
from services.notifications.rules_settings import FIRST_VERSION
from services.notifications.rules_ways import next_time
from services.refusals import ChangedMeanwhile, InvalidInput, Refusal
from services.tokens import Caller


class NoticeSettings(Desk):
    """The entrypoints of the settings."""

    @rpc
    def notification_settings(self, caller: Caller) -> ShownSettings:
        """What the caller has set, with every occasion that their capacity hears of; titles in their language."""
        kind, person_id = person_of(caller)
        with self.db.transaction(caller) as session:
            row = store_settings.settings_row(session, kind, person_id)
            _trace(session, caller, "notification_settings.read")
        return _shown(caller, kind, row)

    @rpc
    def change_notification_settings(
        self, caller: Caller, *, version: int | None, occasions: list[dict[str, Any]],
        quiet_hours: dict[str, str] | None, digest: dict[str, str] | None, new_documents: dict[str, Any],
    ) -> ShownSettings | Refusal:  # fmt: skip
        """Replaces what the caller has set; an occasion that is not named has its default. One trace.

        version: of what was read; None: whatever is there. occasions: [{"name", "channels"}]. quiet_hours: {"begin",
        "end"} as HH:MM. digest: {"at", "channel"}; what waits for the present one goes with the next. new_documents:
        {"types", "authors"}, null for all.

        Refuses: InvalidInput, ChangedMeanwhile, NoticeFixed (a channel taken from what the law fixes). [RGD 3(3)]
        """
        kind, person_id = person_of(caller)
        wanted = {
            "occasions": occasions, "quiet_hours": quiet_hours, "digest": digest, "new_documents": new_documents,
        }  # fmt: skip
        if errors := rules_settings.wrong_settings(kind, wanted, rules.is_id):
            raise InvalidInput(errors=errors)
        at, given = now(), {**wanted, "version": version}
        with self.db.transaction(caller) as session:
            if (answered := once(session, caller, "change_notification_settings", given)) is not None:
                done: ShownSettings = answered
                return done
            if (fixed := rules_settings.switched_off(kind, wanted)) is not None:
                refusal = NoticeFixed(name=fixed.setting, source=fixed.fixed, channels=list(fixed.channels))
                return _refused(session, caller, refusal)
            present = store_settings.settings_row(session, kind, person_id)
            if version not in (None, FIRST_VERSION if present is None else present["version"]):
                return _refused(session, caller, ChangedMeanwhile())
            row = rules_settings.row_of(kind, wanted) | {
                "person_kind": kind, "person_id": person_id, "account_id": caller.account_id, "changed_at": at,
            }  # fmt: skip
            made = store_settings.put_settings(session, row, present)
            if made is None:
                return _refused(session, caller, ChangedMeanwhile())
            if row["digest_at"] is not None:
                due_at = next_time(row["digest_at"], at)
                store_settings.move_waiting(session, kind, person_id, row["digest_channel"], due_at)
            _trace(session, caller, "notification_settings.changed")
            shown = _shown(caller, kind, {**row, "version": made})
            remember(session, caller, "change_notification_settings", given, shown)
            return shown


def _trace(session: Session, caller: Caller, action: str) -> None:
    emit(session, traced(caller, action, at=now(), object_id=caller.account_id, object_type="account"))


def _refused(session: Session, caller: Caller, refusal: Refusal) -> Refusal:
    emit(session, traced(
        caller, "notification_settings.changed", at=now(), object_id=caller.account_id, object_type="account",
        outcome="refused", reason=refusal.code,
    ))  # fmt: skip
    return refusal


def _shown(caller: Caller, kind: str, row: dict[str, Any] | None) -> ShownSettings:
    language = rules.language_of(caller.context.locale)
    return rules_settings.shown_settings(
        kind, row, title=lambda name: setting_title(name, language),
        reason=lambda source: fixed_reason(source, language), text_of=rfc3339,
    )  # fmt: skip
