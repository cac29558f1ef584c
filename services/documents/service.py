"""documents owns the documents of all records: what was deposited, its versions, levels and keys, and who may see it.

It never holds a byte of content (the gateway streams sealed bytes to and from the object store; documents signs the
URLs and keeps the keys), never decides rights by itself (dossier answers what a caller may do in a record; here that
becomes a WHERE clause), and never tells a hidden document from one that does not exist: both cost a look-up, one
question to dossier (about a made-up record where there is none), one query and one trace.

Every call asks dossier first, with no transaction open, and then works in one transaction with its trace.
"""

from __future__ import annotations

import logging
from datetime import datetime

from nameko.timer import timer

from services.bus import Made, MadeBucket, Remote
from services.db import now
from services.documents import contract, rules, store
from services.documents.binders import Collections
from services.documents.checking import Checking
from services.documents.confidentiality import Confidentiality
from services.documents.corrections import Corrections
from services.documents.dispensations import Dispensing
from services.documents.ends import Ends
from services.documents.exports import Exporting
from services.documents.finding import Finding
from services.documents.imaging import Imaging
from services.documents.moving import Moving
from services.documents.parts import Parts
from services.documents.patient_blocks import PatientBlocks
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.documents.prescriptions import Prescribed
from services.documents.reading import Reading
from services.documents.rectifications import Rectifications
from services.documents.removals import Removing
from services.documents.restrictions import Restrictions
from services.documents.rotation import Rotation
from services.documents.scrubs import Scrubbing
from services.documents.series import Series
from services.documents.timeline import Timelines
from services.documents.versions import Versions
from services.documents.views import Views
from services.documents.wishes import Wishes
from services.documents.withholding import Withholdings
from services.documents.wording import Wording
from services.refusals import Unavailable

SWEEP_EVERY = 600  # seconds
SWEEP_BATCH = 200
BLOCKS_EVERY = 60  # seconds
ENDS_EVERY = 10  # seconds
TERMS_EVERY = 3600  # seconds
AUTHORS_EVERY = 5  # seconds
ROTATION_EVERY = 30  # seconds

log = logging.getLogger(__name__)


class Documents(
    Series, Versions, Parts, Removing, Ends, Exporting, Scrubbing, Checking, Reading, Corrections, Rectifications,
    Wishes, Moving, Rotation, Collections, Confidentiality, Restrictions, PatientBlocks, Withholdings, Views,
    Timelines, Imaging, Finding, Wording, Prescribed, Dispensing,
):  # fmt: skip
    """Deposit, list, read, open; how confidential a document is, whom it is hidden from, and who sees it."""

    name = contract.NAME
    dossier = Remote("dossier")
    directory = Remote("directory")
    blobs = MadeBucket(Blobs.of)
    keys = Made(Keys.of)

    @timer(interval=AUTHORS_EVERY)
    def name_authors(self) -> None:
        """Asks directory for the names of authors that are not known yet, or may have changed."""
        self._name_authors()

    # --- sweeping -----------------------------------------------------------------------------------------------------

    @timer(interval=SWEEP_EVERY)
    def sweep_orphans(self) -> None:
        """Removes objects that no commit took within a day, then their rows, and uploads and openings long over."""
        at = now()
        try:
            while self._sweep_tries(at) == SWEEP_BATCH:
                pass
        except Unavailable:
            log.warning("sweep interrupted", extra={"kind": "object_store"})
            return
        with self.db.transaction() as session:
            store.forget_uploads(session, at - rules.UPLOAD_LIFETIME)
            store.forget_opens(session, at - rules.OPEN_LONGEST)
            self._forget_wrong_codes(session, at)
        self._forget_studies(at)
        self._forget_exports(at)

    def _sweep_tries(self, at: datetime) -> int:
        """Removes the objects of some tries that came to nothing, slots that nobody used among them; says how many."""
        with self.db.transaction() as session:
            condemned = store.condemn_attempts(session, at - rules.UPLOAD_LIFETIME, at, SWEEP_BATCH)
        for version_id, multipart_id in condemned:
            if multipart_id:
                self.blobs.forget_parts(version_id, multipart_id)
            self.blobs.remove(version_id)
            with self.db.transaction() as session:
                store.forget_attempt(session, version_id)
        return len(condemned)

    @timer(interval=BLOCKS_EVERY)
    def look_after_blocks(self) -> None:
        """Reminds of the patient blocks that have run long, whichever replica finds them first."""
        self._look_after_blocks(now())

    @timer(interval=BLOCKS_EVERY)
    def look_after_wishes(self) -> None:
        """Tells of deposits that were asked for and are overdue, whichever replica finds them first."""
        self._look_after_wishes(now())

    @timer(interval=BLOCKS_EVERY)
    def look_after_rectifications(self) -> None:
        """Tells of requests to put a document right that are overdue, whichever replica finds them first."""
        self._look_after_rectifications(now())

    @timer(interval=ROTATION_EVERY)
    def rotate_keys(self) -> None:
        """Wraps record keys anew that are not under the current master key, whichever replica finds them first."""
        self._rotate_keys()

    @timer(interval=ENDS_EVERY)
    def destroy_condemned(self) -> None:
        """Removes the bytes of documents that ended, and what came into a deleted record after all."""
        self._end_deleted(now())
        self._destroy_condemned(now())

    @timer(interval=TERMS_EVERY)
    def end_terms(self) -> None:
        """Ends the documents whose time is over, whichever replica finds them first."""
        self._end_terms(now())
