"""Raising alerts: the rules go along the log, entry by entry, and remember how far they have come.

They look at what is sealed, so every entry comes by once and in an order that stays; nothing is done where entries are
written. One transaction holds the place, asks, and writes what was found, what was counted and the new place: killed
anywhere it was not, and whoever holds the place next begins where the last one did.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules_alerts, store_alerts
from services.audit.contract import AlertsRaised
from services.audit.rules_alerts import Seen, Thresholds
from services.bus import Received, Service, emit, fresh_context, on
from services.db import rfc3339
from services.dossier.contract import (
    CircleMemberAdded,
    CircleMemberRemoved,
    GrantEnded,
    MandateEnded,
    MandateOpened,
    ReferringPhysicianChanged,
)
from services.refusals import Unavailable
from services.settings import load

AT_ONCE = 1000  # entries of one transaction: the others are asked about no more ids at once

log = logging.getLogger(__name__)


class Alerting(Service):
    """What goes along the log, and what dossier tells of care."""

    dossier: Any  # the service's ways to the others
    directory: Any

    def _raise_alerts(self, at: datetime, most: int = AT_ONCE) -> int:
        """Lets the rules look at the next entries of the log; returns how many places it went on.

        0 when nothing new is sealed, another replica is at it, or one of the others cannot be asked for now.
        """
        try:
            with self.db.transaction() as session:
                place = store_alerts.held_place(session)
                return 0 if place is None else self._look(session, place, most, at)
        except Unavailable as missing:
            log.warning("alerts wait", extra={"kind": type(missing).__name__})
            return 0

    def _look(self, session: Session, place: int, most: int, at: datetime) -> int:
        thresholds = _thresholds()
        entries, reached = store_alerts.sealed_from(session, place, most)
        if reached == place:
            return 0
        counted = rules_alerts.counted(entries)
        sights = store_alerts.sights(session, counted, thresholds.most)
        cares = store_alerts.cares(session, entries)
        found = rules_alerts.findings(entries, self._likeness(entries), cares, sights, thresholds)
        longest = max(timedelta(days=thresholds.again_days), rules_alerts.HOUR)
        heard = store_alerts.raised(session, found, longest)
        unheard = rules_alerts.unheard(found, heard, thresholds.again_days)
        store_alerts.insert_alerts(session, unheard, at)
        if unheard:
            emit(session, AlertsRaised(count=len(unheard), at=rfc3339(at)))
        store_alerts.keep_sights(session, counted, at - rules_alerts.SEEN_FOR)
        store_alerts.move_on(session, reached)
        return reached - place

    def _likeness(self, entries: Sequence[Seen]) -> dict[tuple[str, str], frozenset[str]]:
        """What directory says of each professional and the holder of each record they were let into; without a name."""
        came = {(str(each.professional_id), str(each.record_id)) for each in entries if rules_alerts.is_access(each)}
        if not came:
            return {}
        record_ids = sorted({record_id for _, record_id in came})
        holders = self.dossier.holders_of(fresh_context(), record_ids=record_ids)["holders"]
        pairs = sorted({(who, holders[record_id]) for who, record_id in came if record_id in holders})
        told = self.directory.alike(fresh_context(), pairs=pairs)
        alike: dict[tuple[str, str], set[str]] = defaultdict(set)
        for word in ("same_surname", "same_person"):
            for who, holder in told[word]:
                alike[who, holder].add(word)
        return {
            (who, record_id): frozenset(alike[who, holders[record_id]])
            for who, record_id in came if record_id in holders
        }  # fmt: skip

    # --- care, as dossier tells of it -----------------------------------------------------------------------------

    @on("dossier", MandateOpened)
    def on_mandate_opened(self, session: Session, event: Received) -> None:
        """Somebody has the holder in care."""
        told: MandateOpened = event.data
        carer = rules_alerts.carer_of(told.kind, told.professional_id, told.establishment_id)
        if carer is not None:
            at = _moment(event.time)
            store_alerts.note_care(session, told.mandate_id, told.record_id, carer, begun_at=at)

    @on("dossier", MandateEnded)
    def on_mandate_ended(self, session: Session, event: Received) -> None:
        """That care is over."""
        told: MandateEnded = event.data
        carer = rules_alerts.carer_of(told.kind, told.professional_id, told.establishment_id)
        if carer is not None:
            at = _moment(event.time)
            store_alerts.note_care(session, told.mandate_id, told.record_id, carer, ended_at=at)

    @on("dossier", CircleMemberAdded)
    def on_circle_member_added(self, session: Session, event: Received) -> None:
        """Somebody is in the circle of trust, whether for the first time or again."""
        told: CircleMemberAdded = event.data
        _note_lasting(session, told.record_id, told.professional_id, "circle", begun_at=_moment(event.time))

    @on("dossier", CircleMemberRemoved)
    def on_circle_member_removed(self, session: Session, event: Received) -> None:
        """The holder took them out of it."""
        told: CircleMemberRemoved = event.data
        _note_lasting(session, told.record_id, told.professional_id, "circle", ended_at=_moment(event.time))

    @on("dossier", GrantEnded)
    def on_grant_ended(self, session: Session, event: Received) -> None:
        """A professional's lasting ground ended by itself; those of persons are no care."""
        told: GrantEnded = event.data
        if told.professional_id is not None:
            _note_lasting(session, told.record_id, told.professional_id, told.ground, ended_at=_moment(told.at))

    @on("dossier", ReferringPhysicianChanged)
    def on_referring_physician_changed(self, session: Session, event: Received) -> None:
        """A designation took effect, or ended."""
        told: ReferringPhysicianChanged = event.data
        whose = (told.record_id, told.professional_id, "referring_physician")
        if told.state == "effective":
            _note_lasting(session, *whose, begun_at=_moment(told.at))
        elif told.state == "ended":
            _note_lasting(session, *whose, ended_at=_moment(told.at))


def _thresholds() -> Thresholds:
    settings = load()
    return Thresholds(
        patients_an_hour=settings.alert_patients_an_hour,
        failures_an_hour=settings.alert_failures_an_hour,
        care_ended_days=settings.alert_care_ended_days,
        again_days=settings.alert_again_days,
        day_begins=settings.alert_day_begins,
        day_ends=settings.alert_day_ends,
    )


def _note_lasting(session: Session, record_id: str, professional_id: str, ground: str, **at: datetime) -> None:
    care_id = rules_alerts.lasting_care(record_id, professional_id, ground)
    store_alerts.note_care(session, care_id, record_id, professional_id, **at)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
