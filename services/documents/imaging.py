"""Images: studies, series and instances of a record, their bytes, frames and pictures, and who may look at them.

An instance is seen where its document is. A study is seen where one of its documents is, and shows those alone: of
which none is seen, it does not exist. However many frames are read, a study that is opened is one trace [decisions,
Traces: an open of a study is session x study, 15 minutes, as that of a document is session x version].
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from services import sealing
from services.bus import rpc, rpc_public
from services.db import new_id, now, rfc3339
from services.documents import answers, answers_imaging, renditions, rules, rules_imaging, store, store_imaging
from services.documents.asking import Asking
from services.documents.contract import HandedRendition
from services.documents.contract_imaging import (
    IMAGES_LIMIT,
    INSTANCES_AT_ONCE,
    STUDY_TOKEN,
    DocumentImages,
    FoundImages,
    NotRendered,
    OpenedInstances,
    StudyNotFound,
    StudyToken,
    StudyTokenRefused,
    TokenOfStudy,
)
from services.documents.rules_imaging import Only
from services.documents.store_imaging import Wanted
from services.dossier.contract import AccessScope, RecordNotFound
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller, Context

Answer = TypeVar("Answer")
_DOCUMENTS, _KEY_IMAGES = 200, 500


class Imaging(Asking):
    """Searching, opening and sharing studies."""

    blobs: Any
    keys: Any

    # --- searching ----------------------------------------------------------------------------------------------------

    @rpc(scope="system/DocumentReference.rs")
    def find_studies(
        self, caller: Caller, *, record_id: str, study_uid: str | None = None, modality: str | None = None,
        study_date: str | None = None, offset: int = 0, limit: int = IMAGES_LIMIT, only: Only | None = None,
    ) -> FoundImages | Refusal:  # fmt: skip
        """Gives the studies of a record of which this caller sees an instance, newest first; one trace for the list.

        study_date: a day or a range of days, as DICOM writes them. only: what a study token opens.

        Refuses: RecordNotFound without a ground and without a study of one's own (RecordClosed to the holder);
        InvalidInput [PS3.18 10.6; RGD 5, RGD 8].
        """
        wanted = _wanted(study_uid=study_uid, modality=modality, study_date=study_date, offset=offset, limit=limit)
        return self._searched(caller, record_id, wanted, offset, limit, only, store_imaging.studies)

    @rpc(scope="system/DocumentReference.rs")
    def find_series(
        self, caller: Caller, *, record_id: str, study_uid: str | None = None, series_uid: str | None = None,
        modality: str | None = None, offset: int = 0, limit: int = IMAGES_LIMIT, only: Only | None = None,
        within_study: bool = False,
    ) -> FoundImages | Refusal:  # fmt: skip
        """Gives the series of a record or of one study. within_study: it opens that study, which leaves its trace.

        Refuses: as `find_studies`; StudyNotFound where a study is opened of which nothing is seen [PS3.18 10.6].
        """
        wanted = _wanted(study_uid=study_uid, series_uid=series_uid, modality=modality, offset=offset, limit=limit)
        search = store_imaging.series
        if within_study:
            return self._listed(caller, record_id, wanted, offset, limit, only, search)
        return self._searched(caller, record_id, wanted, offset, limit, only, search)

    @rpc(scope="system/DocumentReference.rs")
    def find_instances(
        self, caller: Caller, *, record_id: str, study_uid: str | None = None, series_uid: str | None = None,
        instance_uid: str | None = None, class_uid: str | None = None, modality: str | None = None, offset: int = 0,
        limit: int = IMAGES_LIMIT, only: Only | None = None, within_study: bool = False, elsewhere: bool = False,
    ) -> FoundImages | Refusal:  # fmt: skip
        """Gives instances with their attributes, of a record or of one study. within_study: as in `find_series`.

        limit: up to 1000. elsewhere: also tells the instances of the study that are pointed to and not kept here.

        Refuses: as `find_series` [PS3.18 10.4, 10.6].
        """
        wanted = _wanted(
            study_uid=study_uid, series_uid=series_uid, instance_uid=instance_uid, class_uid=class_uid,
            modality=modality, offset=offset, limit=limit,
        )  # fmt: skip
        search = store_imaging.instances
        if within_study:
            return self._listed(caller, record_id, wanted, offset, limit, only, search, elsewhere)
        return self._searched(caller, record_id, wanted, offset, limit, only, search)

    # --- opening ------------------------------------------------------------------------------------------------------

    @rpc(scope="system/DocumentReference.rs")
    def open_instances(
        self, caller: Caller, *, record_id: str, study_uid: str, gateway_key: str, series_uid: str | None = None,
        instance_uid: str | None = None, frames: list[int] | None = None, after: list[str] | None = None,
        only: Only | None = None, elsewhere: bool = False,
    ) -> OpenedInstances | Refusal:  # fmt: skip
        """Gives the gateway what it needs to stream instances of a study, up to 32 at once, or frames of one.

        frames: up to 64 numbers, counted from 1. after: `next` of the answer before. elsewhere: as in
        `find_instances`. Bytes are read on: they join the opening of their study, and begin one where none stands.

        Refuses: StudyNotFound, the same for unknown, hidden and foreign, and for a frame that is not there; NotRendered
        for frames of an instance that can only be read whole; InvalidInput [PS3.18 10.4; RGD 5, RGD 8].
        """
        wanted = _wanted(study_uid=study_uid, series_uid=series_uid, instance_uid=instance_uid)
        start = None if after is None else (str(after[0]), str(after[-1]))
        answers.require(
            frames=frames is None or (instance_uid is not None and rules_imaging.are_frames(frames)),
            after=after is None or (len(after) == 2 and all(rules_imaging.is_uid(one) for one in after)),
        )  # fmt: skip

        def look(session: Session, scope: AccessScope, asked: str) -> OpenedInstances | Refusal:
            rows = store_imaging.contents(session, scope, asked, wanted, start, INSTANCES_AT_ONCE, frames)
            told = store_imaging.elsewhere(session, scope, asked, wanted) if elsewhere and start is None else ()
            if not rows and not told and start is None:
                return StudyNotFound()
            for row in rows if frames else ():
                if row.frame_count and row.frames == [None] * len(frames or ()):
                    return NotRendered() if max(frames or ()) <= row.frame_count else StudyNotFound()
                if None in row.frames:
                    return StudyNotFound()
            return answers_imaging.opened(self.blobs, self.keys, rows, INSTANCES_AT_ONCE, told, gateway_key)

        return self._opened(caller, record_id, study_uid, only, look, from_start=False)

    @rpc(scope="system/DocumentReference.rs")
    def open_rendered(
        self, caller: Caller, *, record_id: str, study_uid: str, gateway_key: str, series_uid: str | None = None,
        instance_uid: str | None = None, frame: int = 1, thumbnail: bool = False, only: Only | None = None,
    ) -> HandedRendition | Refusal:  # fmt: skip
        """Gives the gateway the picture of a frame, or the thumbnail of the first instance that has one.

        Refuses: StudyNotFound, as `open_instances`; NotRendered where no picture was made; InvalidInput.
        """
        wanted = _wanted(study_uid=study_uid, series_uid=series_uid, instance_uid=instance_uid)
        answers.require(frame=rules_imaging.are_frames([frame]))
        kind, number = ("thumbnail", 1) if thumbnail else ("frame", frame)

        def look(session: Session, scope: AccessScope, asked: str) -> HandedRendition | Refusal:
            row = store_imaging.pictured(session, scope, asked, wanted, kind, number)
            if row is None or (not thumbnail and number > max(1, row.frame_count)):
                return StudyNotFound()
            if not row.pictured:
                return NotRendered()
            try:
                made = renditions.hand_over(
                    session, self.blobs, self.keys, row.content_id, kind, gateway_key, number
                )  # fmt: skip
            except ValueError:
                raise InvalidInput(errors=[{"pointer": "/gateway_key", "message": "invalid"}]) from None
            return made or NotRendered()

        return self._opened(caller, record_id, study_uid, only, look, from_start=False)

    # --- what belongs together ----------------------------------------------------------------------------------------

    @rpc(scope="system/DocumentReference.rs")
    def images_of(self, caller: Caller, *, document_id: str) -> DocumentImages | Refusal:
        """Gives what belongs together with a report, a manifest of key images or an image: the studies and documents.

        A report belongs to the studies that its own catalogue of DICOM objects names (CDA, PS3.20), and to those it was
        deposited together with; a manifest and an image to their own and to those they point to. So it goes both ways.

        Refuses: DocumentNotFound, the same for unknown, hidden and foreign [domain, Documents: Imaging].
        """
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        with self.db.transaction(caller) as session:
            row = store.seen_document(session, scope, record_id or new_id(), asked or new_id())
            if row is None or record_id is None:
                return answers.refuse_document(session, caller, "document.read", place)
            studies = [
                answers_imaging.study_of_document(
                    record_id, study_uid,
                    store_imaging.studies(session, scope, record_id, Wanted(study_uid=study_uid), 0, 1),
                    store_imaging.documents_of(session, scope, record_id, study_uid, _DOCUMENTS),
                    store_imaging.key_images(session, scope, record_id, study_uid, _KEY_IMAGES),
                )
                for study_uid in store_imaging.studies_of(session, scope, record_id, row.document_id)
            ]  # fmt: skip
            grant = rules.may_read(scope, answers.facts_of(row))
            answers.allow(
                session, caller, "document.read", grant, record_id=home_id, object_id=asked, count=len(studies)
            )
            return {"document_id": row.document_id, "studies": studies}

    # --- for a web viewer ---------------------------------------------------------------------------------------------

    @rpc
    def share_study(self, caller: Caller, *, document_id: str, study_uid: str | None = None) -> StudyToken | Refusal:
        """Gives a token that opens one study for 15 minutes at most, for a viewer that must not have more.

        It stands for the caller's own access: it ends with the session and with the access token it was asked with, and
        each use is decided anew by what its owner may see then. Kept as a digest; the access token is kept under a key
        that only the study token makes. study_uid: which, where the document is of several.

        Refuses: DocumentNotFound; StudyNotFound where the document is of no such study, or of none; InvalidInput where
        it is of several and none is named.
        """
        asked, record_id, home_id = place = self._find(document_id)
        scope = self._scope(caller, record_id)
        at = now()
        with self.db.transaction(caller) as session:
            row = store.seen_document(session, scope, record_id or new_id(), asked or new_id())
            if row is None or record_id is None:
                return answers.refuse_document(session, caller, "study.shared", place)
            studies = store_imaging.studies_of(session, scope, record_id, row.document_id)
            if study_uid is None and len(studies) > 1:
                raise InvalidInput(errors=[{"pointer": "/study_uid", "message": "required"}])
            chosen = study_uid if study_uid is not None else next(iter(studies), None)
            if chosen is None or chosen not in studies:
                return answers.refuse(
                    session, caller, "study.shared", StudyNotFound(), record_id=home_id, object_id=asked
                )
            token = STUDY_TOKEN + secrets.token_urlsafe(32)
            until = rules_imaging.token_until(at, datetime.fromtimestamp(caller.expires_at, UTC))
            access = (caller.context.token or "").encode()
            store_imaging.add_token(
                session, digest=rules_imaging.token_digest(token), study_uid=chosen, record_id=record_id,
                session_id=caller.session_id, until=until,
                sealed_token=sealing.wrap(rules_imaging.token_key(token), access, chosen.encode()),
            )  # fmt: skip
            grant = rules.may_read(scope, answers.facts_of(row))
            answers.allow(session, caller, "study.shared", grant, record_id=home_id, object_id=asked, at=at)
            return {"token": token, "expires_at": rfc3339(until), "record_id": record_id, "study_uid": chosen}

    @rpc_public
    def use_study_token(self, context: Context, *, token: str) -> TokenOfStudy | Refusal:
        """Gives the gateway the access token that a study token stands for, and the one study it may ask about with it.

        It decides nothing: what is asked then is asked in its owner's name, whose session and rights are looked at.

        Refuses: StudyTokenRefused, the same for unknown and over.
        """
        if not rules_imaging.is_study_token(token):
            return StudyTokenRefused()
        with self.db.transaction() as session:
            row = store_imaging.token(session, rules_imaging.token_digest(token), now())
        if row is None:
            return StudyTokenRefused()
        access = sealing.unwrap(rules_imaging.token_key(token), bytes(row.sealed_token), row.study_uid.encode())
        return {
            "token": access.decode(), "record_id": row.record_id, "study_uid": row.study_uid,
            "expires_at": rfc3339(row.until),
        }  # fmt: skip

    # --- inside -------------------------------------------------------------------------------------------------------

    def _searched(
        self, caller: Caller, record_id: str, wanted: Wanted, offset: int, limit: int, only: Only | None,
        search: Callable[..., Sequence[Any]],
    ) -> FoundImages | Refusal:  # fmt: skip
        """A search through a record: one trace, which tells how many were shown."""
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        inside = only is None or rules_imaging.within(only, asked, wanted.study_uid or only[-1])
        if only is not None:
            wanted = Wanted(**{**vars(wanted), "study_uid": only[-1]})
        with self.db.transaction(caller) as session:
            rows = search(session, scope, asked, wanted, offset, limit) if asked is not None and inside else []
            if asked is None or not inside or (not rows and not scope.clauses):
                refusal = answers.no_ground(scope) if inside else RecordNotFound()
                return answers.refuse(session, caller, "study.searched", refusal, record_id=asked)
            grant = rules.ground_of_list(scope)
            answers.allow(session, caller, "study.searched", grant, record_id=asked, count=min(len(rows), limit))
            return answers_imaging.found(rows, limit)

    def _listed(
        self, caller: Caller, record_id: str, wanted: Wanted, offset: int, limit: int, only: Only | None,
        search: Callable[..., Sequence[Any]], elsewhere: bool = False,
    ) -> FoundImages | Refusal:  # fmt: skip
        """What a study holds: it opens the study."""

        def look(session: Session, scope: AccessScope, asked: str) -> FoundImages | Refusal:
            rows = search(session, scope, asked, wanted, offset, limit)
            told = store_imaging.elsewhere(session, scope, asked, wanted) if elsewhere and not offset else ()
            named = wanted.series_uid is not None or wanted.instance_uid is not None
            if named and not rows and not told and not offset:
                return StudyNotFound()
            return answers_imaging.found(rows, limit, told)

        return self._opened(caller, record_id, str(wanted.study_uid), only, look, from_start=not offset)

    def _opened(
        self, caller: Caller, record_id: str, study_uid: str, only: Only | None,
        look: Callable[[Session, AccessScope, str], Answer | Refusal], *, from_start: bool,
    ) -> Answer | Refusal:  # fmt: skip
        """What `look` finds in a study that is seen, with the trace of its opening where this begins one."""
        asked = rules.canonical_id(record_id)
        scope = self._scope(caller, asked)
        at = now()
        with self.db.transaction(caller) as session:
            place = (asked or new_id(), study_uid)
            row = store_imaging.study(session, scope, *place, caller.session_id)
            found = StudyNotFound() if row is None or asked is None else look(session, scope, asked)
            if not rules_imaging.within(only, asked, study_uid):
                found = StudyNotFound()
            if row is None or isinstance(found, Refusal):
                refusal = found if isinstance(found, Refusal) else StudyNotFound()
                return answers.refuse(session, caller, "study.opened", refusal, record_id=asked)
            opening = (session, caller.session_id, *place, at)
            since = at - rules.OPEN_WINDOW
            if not rules.reads_on(row.read_at, from_start, at) and store_imaging.open_study(*opening, since):
                grant = rules.may_read(scope, answers.facts_of(row))
                answers.allow(
                    session, caller, "study.opened", grant, record_id=row.home_record_id, object_id=row.document_id,
                    at=at,
                )  # fmt: skip
            elif row.read_at is not None and row.read_at <= at - rules.OPEN_NOTED:
                store_imaging.note_reading(*opening)
            return found

    def _forget_studies(self, at: datetime) -> None:
        with self.db.transaction() as session:
            store_imaging.forget(session, at, at - rules.OPEN_LONGEST)


def _wanted(
    *, study_uid: str | None = None, series_uid: str | None = None, instance_uid: str | None = None,
    class_uid: str | None = None, modality: str | None = None, study_date: str | None = None, offset: int = 0,
    limit: int = 1,
) -> Wanted:  # fmt: skip
    """What is asked for, checked. Refuses: InvalidInput."""
    dates = None if study_date is None else rules_imaging.read_dates(study_date)
    uids = {"study_uid": study_uid, "series_uid": series_uid, "instance_uid": instance_uid, "class_uid": class_uid}
    answers.require(
        **{name: value is None or rules_imaging.is_uid(value) for name, value in uids.items()},
        modality=modality is None or rules_imaging.is_code(modality),
        study_date=study_date is None or dates is not None,
        offset=rules_imaging.is_offset(offset), limit=rules_imaging.is_listed(limit),
    )  # fmt: skip
    return Wanted(study_uid, series_uid, instance_uid, class_uid, modality, dates)
