"""What follows when a patient gets another matricule: the name their account is logged in with."""

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on
from services.db import now
from services.directory.contract import PatientMatriculeChanged
from services.identity import store_matricules
from services.identity.desk import Desk


class LogInNameTaken(Exception):
    """Another account has this log-in name already: parked, for an agent to look at both people."""


class Matricules(Desk):
    """What identity hears of matricules."""

    @on("directory", PatientMatriculeChanged)
    def on_patient_matricule_changed(self, session: Session, event: Received) -> None:
        """The person logs in with the new matricule from now on, and with the former one no more.

        The directory is asked once the account is held: of two changes that arrive together the later one is what is
        written last, whichever comes first. [domain, Matricule]
        """
        told: PatientMatriculeChanged = event.data
        account_ids = store_matricules.hold_names_of_patient(session, told.patient_id)
        asked = self.directory.current_matricule(event.context.without_token(), patient_id=told.patient_id)
        if asked["matricule"] is None:
            return
        name = self.key.log_in_name(asked["matricule"])
        if account_ids and store_matricules.name_is_anothers(session, name, account_ids):
            raise LogInNameTaken
        for account_id in store_matricules.rename(session, told.patient_id, account_ids, name):
            emit(session, traced(
                event.context, "account.changed", at=now(), object_id=account_id, object_type="account",
                account_id=account_id, patient_id=told.patient_id, purpose="matricule_changed",
            ))  # fmt: skip
