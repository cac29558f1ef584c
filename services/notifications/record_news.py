"""What happens in a record, told to those whom it concerns: the holder side, and professionals for what is theirs.

Date and time alone stand in a message; who it was, what and why stand behind the log-in. dossier says at the moment of
telling who is on the holder side. Of a document that is hidden from the holder side nothing is ever told to them: news
of documents goes to professionals alone.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from services.audit.contract import CaseAnswered
from services.bus import Received, on
from services.db import now
from services.documents.contract import (
    BlockReminderDue,
    DepositOpposed,
    DepositRequested,
    DepositWishChanged,
    DocumentDispensed,
    DocumentRejected,
    DocumentRemoved,
    RectificationAnswered,
    RectificationAsked,
    RectificationOverdue,
)
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
from services.notifications.care_news import CareNews
from services.notifications.work_queues import WorkQueues


class RecordNews(CareNews, WorkQueues):
    """The handlers of a record's news."""

    # --- somebody got in, or tried to ---------------------------------------------------------------------------------

    @on("dossier", EmergencyAccessOpened, urgent=True)
    def on_emergency_access_opened(self, session: Session, event: Received) -> None:
        """Tells holder, representatives and assistants at once of an emergency access. [domain: Emergency access]

        And the privacy officers, who review it.
        """
        opened: EmergencyAccessOpened = event.data
        self._tell_side(session, event, "record_news.emergency_access_opened", opened.record_id, opened.at,
                        object_type="mandate", object_id=opened.mandate_id)  # fmt: skip
        self._agents_hear(session, event, "queue.reviews", opened.at)

    @on("dossier", ResponsibilityAccessOpened, urgent=True)
    def on_responsibility_access_opened(self, session: Session, event: Received) -> None:
        """Tells the holder side of an access on a professional's own responsibility, and the privacy officers.

        [domain: Mandates]
        """
        opened: ResponsibilityAccessOpened = event.data
        self._tell_side(session, event, "record_news.responsibility_access_opened", opened.record_id, opened.at,
                        object_type="mandate", object_id=opened.mandate_id)  # fmt: skip
        self._agents_hear(session, event, "queue.reviews", opened.at)

    @on("dossier", MandateOpened)
    def on_mandate_opened(self, session: Session, event: Received) -> None:
        """Tells of a mandate that an establishment registered: the holder side, and the professional it was given."""
        self._people_hear_of_mandate(session, event)

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
        """Tells that a lasting ground ended, and the person whose it was."""
        ended: GrantEnded = event.data
        if ended.person_id is not None:
            self._settle_who_left(session, ended.record_id, event.context.request_id, ended.person_id)
        self._rights_changed(session, ended.record_id)
        self._people_hear_of_grant_ended(session, event)

    @on("dossier", LicenceStopsGrants)
    def on_licence_stops_grants(self, session: Session, event: Received) -> None:
        """Tells that a professional who had access may not practise any more, for now or for good [RGD 7(4)]."""
        stopped: LicenceStopsGrants = event.data
        self._rights_changed(session, stopped.record_id)
        self._tell_side(session, event, "record_news.licence_stops_grants", stopped.record_id, stopped.at)

    @on("dossier", AssistantAccepted)
    def on_assistant_accepted(self, session: Session, event: Received) -> None:
        """Tells that somebody who was invited reads along from now on."""
        accepted: AssistantAccepted = event.data
        self._settle_who_left(session, accepted.record_id, event.context.request_id)
        self._tell_side(session, event, "record_news.assistant_accepted", accepted.record_id, accepted.at,
                        object_type="assistant", object_id=accepted.assistant_id)  # fmt: skip

    @on("dossier", RepresentativeRecorded)
    def on_representative_recorded(self, session: Session, event: Received) -> None:
        """Tells the holder and every representative, the new one too, that one was recorded."""
        recorded: RepresentativeRecorded = event.data
        self._settle_who_left(session, recorded.record_id, event.context.request_id)
        self._tell_side(session, event, "record_news.representative_recorded", recorded.record_id, recorded.at,
                        object_type="representative", object_id=recorded.representative_id)  # fmt: skip

    @on("dossier", ReferringPhysicianProposed)
    def on_referring_physician_proposed(self, session: Session, event: Received) -> None:
        """Tells the side that has to sign; what the health fund transcribes needs nobody's signature [RGD 9(4)]."""
        proposed: ReferringPhysicianProposed = event.data
        about = {"object_type": "designation", "object_id": proposed.designation_id}
        if proposed.proposed_by == "holder":
            physician = news.professional("record_news.physician.referring_proposed", proposed.professional_id)
            self._tell_each(session, event, [physician], proposed.at, record_id=proposed.record_id, **about)
        elif proposed.proposed_by == "professional":
            self._tell_side(session, event, "record_news.referring_proposed", proposed.record_id, proposed.at, **about)

    @on("dossier", ReferringPhysicianChanged)
    def on_referring_physician_changed(self, session: Session, event: Received) -> None:
        """Tells holder and physician that a designation took effect, is going to end, or has ended."""
        changed: ReferringPhysicianChanged = event.data
        self._rights_changed(session, changed.record_id)
        occasion = f"record_news.referring_{changed.state}"
        people = self.dossier.people_of(event.context, record_id=changed.record_id)
        physician = news.professional(f"record_news.physician.referring_{changed.state}", changed.professional_id)
        self._tell_each(
            session, event, [*news.readers(occasion, people), physician], changed.at, record_id=changed.record_id,
            object_type="designation", object_id=changed.designation_id,
        )  # fmt: skip

    # --- the record itself --------------------------------------------------------------------------------------------

    @on("dossier", RecordStateChanged)
    def on_record_state_changed(self, session: Session, event: Received) -> None:
        """Tells that a record lapsed, was closed, opened again or destroyed; after a death nobody is written to."""
        changed: RecordStateChanged = event.data
        if changed.cause in news.ENDS_THE_SIDE:
            self._settle_who_left(session, changed.record_id, event.context.request_id)
        self._systems_hear_of_state(session, event)
        if changed.state == "deleted":
            self._end_threads_of(session, changed.record_id, now())
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
        about = {"record_id": due.record_id, "object_type": "document", "object_id": due.document_id}
        occasion = "record_news.block_escalated" if due.escalated else "record_news.block_reminder"
        self._tell_each(session, event, [news.professional(occasion, due.professional_id)], due.at, **about)
        if due.escalated and due.referring_physician_id not in (None, due.professional_id):
            told = news.professional("record_news.physician.block_escalated", due.referring_physician_id)
            self._tell_each(session, event, [told], due.at, document_id=due.document_id, **about)

    @on("documents", DocumentRejected)
    def on_document_rejected(self, session: Session, event: Received) -> None:
        """Tells whoever deposited a file that it did not pass; neither why nor which file it was [decisions, Bytes]."""
        rejected: DocumentRejected = event.data
        reader = news.depositor("record_news.deposit_rejected", rejected.account_id)
        self._tell_each(session, event, [reader], rejected.at, record_id=rejected.record_id)

    @on("documents", DocumentDispensed)
    def on_document_dispensed(self, session: Session, event: Received) -> None:
        """Tells the holder side that something was dispensed, or taken back; nobody from whom it was hidden."""
        done: DocumentDispensed = event.data
        self._systems_hear_of_dispensing(session, event)
        told = self._side(event, "record_news.dispensed", done.record_id, hidden=done.hidden)
        self._tell_each(
            session, event, told, done.at, record_id=done.record_id, object_type="document",
            object_id=done.document_id, document_id=done.document_id,
        )  # fmt: skip

    # --- wishes about deposits: what met one is told by the document itself, to who may see it ------------------------

    @on("documents", RectificationAsked)
    def on_rectification_asked(self, session: Session, event: Received) -> None:
        """Tells an author that a patient asks them to put a document right [L14 18, RGD 6(3)]."""
        asked: RectificationAsked = event.data
        told = news.professional("record_news.rectification_asked", asked.professional_id)
        self._tell_each(
            session, event, [told], asked.at, record_id=asked.record_id, object_type="rectification",
            object_id=asked.rectification_id,
        )  # fmt: skip

    @on("documents", RectificationOverdue)
    def on_rectification_overdue(self, session: Session, event: Received) -> None:
        """Reminds the author, once, that the time to answer is over."""
        overdue: RectificationOverdue = event.data
        told = news.professional("record_news.rectification_overdue", overdue.professional_id)
        self._tell_each(
            session, event, [told], overdue.at, record_id=overdue.record_id, object_type="rectification",
            object_id=overdue.rectification_id,
        )  # fmt: skip

    @on("documents", RectificationAnswered)
    def on_rectification_answered(self, session: Session, event: Received) -> None:
        """Tells the holder side that a request of theirs was answered; nothing of the document."""
        answered: RectificationAnswered = event.data
        self._tell_side(
            session, event, "record_news.rectification_answered", answered.record_id, answered.at,
            object_type="rectification", object_id=answered.rectification_id, document_id=answered.document_id,
        )  # fmt: skip

    @on("documents", DepositRequested)
    def on_deposit_requested(self, session: Session, event: Received) -> None:
        """Tells a professional that a patient asks them for a deposit [RGD 9(2)]."""
        asked: DepositRequested = event.data
        told = news.professional("record_news.deposit_requested", asked.professional_id)
        self._tell_each(
            session, event, [told], asked.at, record_id=asked.record_id, object_type="deposit_wish",
            object_id=asked.wish_id,
        )  # fmt: skip

    @on("documents", DepositWishChanged)
    def on_deposit_wish_changed(self, session: Session, event: Received) -> None:
        """Tells the professional that nothing is asked any more, the holder side that what was asked for is overdue."""
        changed: DepositWishChanged = event.data
        about = {"object_type": "deposit_wish", "object_id": changed.wish_id}
        if changed.outcome == "overdue":
            self._tell_side(session, event, "record_news.deposit_overdue", changed.record_id, changed.at, **about)
        elif changed.outcome == "withdrawn" and changed.professional_id is not None:
            told = news.professional("record_news.deposit_withdrawn", changed.professional_id)
            self._tell_each(session, event, [told], changed.at, record_id=changed.record_id, **about)

    @on("documents", DepositOpposed)
    def on_deposit_opposed(self, session: Session, event: Received) -> None:
        """Tells the holder side alone that deposits are opposed; whom it is against does not hear of it [RGD 6(3)]."""
        opposed: DepositOpposed = event.data
        self._tell_side(session, event, "record_news.deposit_opposed", opposed.record_id, opposed.at,
                        object_type="deposit_wish", object_id=opposed.wish_id)  # fmt: skip

    @on("documents", DocumentRemoved)
    def on_document_removed(self, session: Session, event: Received) -> None:
        """Tells the holder side that a document has ended, and its author where the agency removed it; never which.

        What reaches its term in the same hour is told once. Of what was hidden from them nothing is told to them.
        """
        removed: DocumentRemoved = event.data
        self._document_gone(session, event)
        occasion = news.occasion_of_removal(removed.cause)
        if occasion is None:
            return
        readers = []
        if removed.hidden is None or removed.hidden == "withheld":
            readers = self._side(event, occasion, removed.record_id, hidden=removed.hidden)
        if removed.cause == "request" and removed.author_id is not None:
            readers.append(news.professional("record_news.author.document_removed", removed.author_id))
        told = event
        if removed.cause == "term":
            told = replace(event, id=news.once_an_hour(occasion, removed.record_id, removed.at))
        self._tell_each(session, told, readers, removed.at, record_id=removed.record_id)

    # --- the privacy officer ------------------------------------------------------------------------------------------

    @on("audit", CaseAnswered)
    def on_case_answered(self, session: Session, event: Received) -> None:
        """Tells the holder side that the privacy officer answered; nobody from whom the document is hidden."""
        answered: CaseAnswered = event.data
        told = self._side(event, "record_news.case_answered", answered.record_id, hidden=answered.hidden)
        self._tell_each(
            session, event, told, answered.at, record_id=answered.record_id, object_type="case",
            object_id=answered.case_id,
        )  # fmt: skip

    def _tell_side(
        self, session: Session, event: Received, occasion: str, record_id: str, at: str, **about: str | None
    ) -> None:  # fmt: skip
        """Tells those of the holder side whom this concerns, whoever they are now; about: as in a Notice."""
        self._tell_each(session, event, self._side(event, occasion, record_id), at, record_id=record_id, **about)
