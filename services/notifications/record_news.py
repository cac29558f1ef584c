"""What happens in a record, told to those whom it concerns: the holder side, and professionals for what is theirs.

Date and time alone stand in a message; who it was, what and why stand behind the log-in. dossier says at the moment of
telling who is on the holder side. Of a document that is hidden from the holder side nothing is ever told to them: news
of documents goes to professionals alone.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.documents.contract import BlockReminderDue
from services.dossier.contract import (
    AssistantAccepted,
    EmergencyAccessOpened,
    GrantEnded,
    LicenceStopsGrants,
    MandateOpened,
    PresenceCodeRegenerated,
    PresenceCodeTried,
    RecordStateChanged,
    ReferringPhysicianChanged,
    ReferringPhysicianProposed,
    RepresentativeRecorded,
    ResponsibilityAccessOpened,
)
from services.notifications import rules_record_news as news
from services.notifications.telling import Telling


class RecordNews(Telling):
    """The handlers of a record's news."""

    # --- somebody got in, or tried to ---------------------------------------------------------------------------------

    @on("dossier", EmergencyAccessOpened, urgent=True)
    def on_emergency_access_opened(self, session: Session, event: Received) -> None:
        """Tells holder, representatives and assistants at once of an emergency access. [domain: Emergency access]"""
        opened: EmergencyAccessOpened = event.data
        self._tell_side(session, event, "record_news.emergency_access_opened", opened.record_id, opened.at)

    @on("dossier", ResponsibilityAccessOpened, urgent=True)
    def on_responsibility_access_opened(self, session: Session, event: Received) -> None:
        """Tells the holder side of an access on a professional's own responsibility. [domain: Mandates]"""
        opened: ResponsibilityAccessOpened = event.data
        self._tell_side(session, event, "record_news.responsibility_access_opened", opened.record_id, opened.at)

    @on("dossier", MandateOpened)
    def on_mandate_opened(self, session: Session, event: Received) -> None:
        """Tells of a mandate that an establishment registered; not what kind, which would say where somebody lies."""
        opened: MandateOpened = event.data
        if opened.kind in news.TOLD_MANDATES:
            self._tell_side(session, event, "record_news.mandate_opened", opened.record_id, event.time)

    @on("dossier", PresenceCodeTried)
    def on_presence_code_tried(self, session: Session, event: Received) -> None:
        """Tells that a presence code opened nothing, at most once for a record and hour, however many tries follow."""
        tried: PresenceCodeTried = event.data
        occasion = "record_news.presence_code_tried"
        first = replace(event, id=news.once_an_hour(occasion, tried.record_id, tried.at))
        self._tell_side(session, first, occasion, tried.record_id, tried.at)

    @on("dossier", PresenceCodeRegenerated)
    def on_presence_code_regenerated(self, session: Session, event: Received) -> None:
        """Tells that there is a new presence code, never the code."""
        made: PresenceCodeRegenerated = event.data
        self._tell_side(session, event, "record_news.presence_code_regenerated", made.record_id, made.at)

    # --- a ground begins or ends --------------------------------------------------------------------------------------

    @on("dossier", GrantEnded)
    def on_grant_ended(self, session: Session, event: Received) -> None:
        """Tells that a lasting ground ended without the holder ending it."""
        ended: GrantEnded = event.data
        occasion = news.occasion_of_grant(ended.ground, ended.cause)
        if occasion is not None:
            self._tell_side(session, event, occasion, ended.record_id, ended.at)

    @on("dossier", LicenceStopsGrants)
    def on_licence_stops_grants(self, session: Session, event: Received) -> None:
        """Tells that a professional who had access may not practise any more, for now or for good [RGD 7(4)]."""
        stopped: LicenceStopsGrants = event.data
        self._tell_side(session, event, "record_news.licence_stops_grants", stopped.record_id, stopped.at)

    @on("dossier", AssistantAccepted)
    def on_assistant_accepted(self, session: Session, event: Received) -> None:
        """Tells that somebody who was invited reads along from now on."""
        accepted: AssistantAccepted = event.data
        self._tell_side(session, event, "record_news.assistant_accepted", accepted.record_id, accepted.at)

    @on("dossier", RepresentativeRecorded)
    def on_representative_recorded(self, session: Session, event: Received) -> None:
        """Tells the holder and every representative, the new one too, that one was recorded."""
        recorded: RepresentativeRecorded = event.data
        self._tell_side(session, event, "record_news.representative_recorded", recorded.record_id, recorded.at)

    @on("dossier", ReferringPhysicianProposed)
    def on_referring_physician_proposed(self, session: Session, event: Received) -> None:
        """Tells the side that has to sign; what the health fund transcribes needs nobody's signature [RGD 9(4)]."""
        proposed: ReferringPhysicianProposed = event.data
        if proposed.proposed_by == "holder":
            physician = news.professional("record_news.physician.referring_proposed", proposed.professional_id)
            self._tell_each(session, event, [physician], proposed.at)
        elif proposed.proposed_by == "professional":
            self._tell_side(session, event, "record_news.referring_proposed", proposed.record_id, proposed.at)

    @on("dossier", ReferringPhysicianChanged)
    def on_referring_physician_changed(self, session: Session, event: Received) -> None:
        """Tells holder and physician that a designation took effect, is going to end, or has ended."""
        changed: ReferringPhysicianChanged = event.data
        occasion = f"record_news.referring_{changed.state}"
        people = self.dossier.people_of(event.context, record_id=changed.record_id)
        physician = news.professional(f"record_news.physician.referring_{changed.state}", changed.professional_id)
        self._tell_each(session, event, [*news.readers(occasion, people), physician], changed.at)

    # --- the record itself --------------------------------------------------------------------------------------------

    @on("dossier", RecordStateChanged)
    def on_record_state_changed(self, session: Session, event: Received) -> None:
        """Tells that a record lapsed, was closed, opened again or destroyed; after a death nobody is written to."""
        changed: RecordStateChanged = event.data
        occasion = news.occasion_of_state(changed.state, changed.cause)
        if occasion is not None:
            self._tell_side(session, event, occasion, changed.record_id, event.time)

    # --- documents: professionals alone -------------------------------------------------------------------------------

    @on("documents", BlockReminderDue)
    def on_block_reminder_due(self, session: Session, event: Received) -> None:
        """Reminds whoever hid a document from a patient, and in the end the referring physician too [L14 16(5)].

        The holder side hears nothing: the document is hidden from them.
        """
        due: BlockReminderDue = event.data
        if not due.escalated:
            told = [news.professional("record_news.block_reminder", due.professional_id)]
        else:
            told = [news.professional("record_news.block_escalated", due.professional_id)]
            if due.referring_physician_id not in (None, due.professional_id):
                told.append(news.professional("record_news.physician.block_escalated", due.referring_physician_id))
        self._tell_each(session, event, told, due.at)

    def _tell_side(self, session: Session, event: Received, occasion: str, record_id: str, at: str) -> None:
        """Tells those of the holder side whom this concerns, whoever they are now."""
        people = self.dossier.people_of(event.context, record_id=record_id)
        self._tell_each(session, event, news.readers(occasion, people), at)
