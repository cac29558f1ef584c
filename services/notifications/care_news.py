"""Who came to stand around a record, or left it: told to the holder side, but for whoever did it, and to who it was."""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.dossier.contract import (
    CircleMemberAdded,
    CircleMemberRemoved,
    GrantEnded,
    MandateEnded,
    MandateEnding,
    MandateOpened,
)
from services.notifications import rules_record_news as news
from services.notifications.rules_record_news import Reader
from services.notifications.telling import Telling


class CareNews(Telling):
    """What people hear of the circle of trust, of mandates and of grounds that end."""

    @on("dossier", CircleMemberAdded)
    def on_circle_member_added(self, session: Session, event: Received) -> None:
        """Tells the holder side that somebody is in the circle of trust, and the professional themself."""
        added: CircleMemberAdded = event.data
        readers = self._side(event, "record_news.circle_added", added.record_id, added.by)
        readers.append(news.professional("record_news.professional.circle_added", added.professional_id))
        self._tell_each(session, event, readers, event.time, record_id=added.record_id)

    @on("dossier", MandateEnding)
    def on_mandate_ending(self, session: Session, event: Received) -> None:
        """Tells that a mandate is going to end, with the moment of its end: the holder side, where it was told of its
        beginning, and the professional to whom it was given, where it is one person's."""
        ending: MandateEnding = event.data
        readers = []
        if ending.kind in news.TOLD_MANDATES:
            readers = self._side(event, "record_news.mandate_ending", ending.record_id, None)
        if ending.professional_id is not None:
            readers.append(news.professional("record_news.professional.mandate_ending", ending.professional_id))
        self._tell_each(
            session, event, readers, ending.ends_at, record_id=ending.record_id, object_type="mandate",
            object_id=ending.mandate_id,
        )  # fmt: skip

    def _people_hear_of_circle_left(self, session: Session, event: Received) -> None:
        """Tells the holder side that somebody was taken out of the circle of trust; who it was does not hear of it."""
        removed: CircleMemberRemoved = event.data
        readers = self._side(event, "record_news.circle_removed", removed.record_id, removed.by)
        self._tell_each(session, event, readers, event.time, record_id=removed.record_id)

    def _people_hear_of_mandate(self, session: Session, event: Received) -> None:
        """Tells of a mandate that an establishment registered; not what kind, which would say where somebody lies.

        And the professional to whom it was given, where it is one person's.
        """
        opened: MandateOpened = event.data
        if opened.kind not in news.TOLD_MANDATES:
            return
        readers = self._side(event, "record_news.mandate_opened", opened.record_id, None)
        if opened.professional_id is not None:
            readers.append(news.professional("record_news.professional.mandate_opened", opened.professional_id))
        self._tell_each(
            session, event, readers, event.time, record_id=opened.record_id, object_type="mandate",
            object_id=opened.mandate_id,
        )  # fmt: skip

    def _people_hear_of_mandate_ended(self, session: Session, event: Received) -> None:
        """Tells of the end of a mandate of whose beginning was told."""
        ended: MandateEnded = event.data
        if ended.kind in news.TOLD_MANDATES:
            readers = self._side(event, "record_news.mandate_ended", ended.record_id, ended.by)
            self._tell_each(
                session, event, readers, event.time, record_id=ended.record_id, object_type="mandate",
                object_id=ended.mandate_id,
            )  # fmt: skip

    def _people_hear_of_grant_ended(self, session: Session, event: Received) -> None:
        """Tells that a lasting ground ended: the holder side, and the person whose ground it was."""
        ended: GrantEnded = event.data
        occasion = news.occasion_of_grant(ended.ground, ended.cause)
        if occasion is None:
            return
        readers = self._side(event, occasion, ended.record_id, ended.by)
        self._tell_each(session, event, readers, ended.at, record_id=ended.record_id)
        if ended.person_id is not None and ended.by != ended.person_id:
            # Without the record: it is none of theirs any more.
            self._tell_each(session, event, [news.who_had_it(ended.ground, ended.person_id)], ended.at)

    def _side(
        self, event: Received, occasion: str, record_id: str, by: str | None = None, *, hidden: str | None = None
    ) -> list[Reader]:
        """Those of the holder side whom this concerns, whoever they are now: without who did it themself (`by`), and
        without those from whom the document is hidden."""
        people = self.dossier.people_of(event.context, record_id=record_id)
        side = [reader for reader in news.readers(occasion, people) if reader.person_id != by]
        return [reader for reader in side if news.may_hear_of(reader, hidden)]
