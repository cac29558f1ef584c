"""What is written down of a DICOM object, and of what a manifest or an imaging report points to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.documents import store_imaging
from services.documents.rules_findings import Findings
from services.documents.store_examining import Row


def keep_images(session: Session, row: Row, findings: Findings, at: datetime) -> None:
    """Keeps where a version belongs among studies, under the name of its bytes: a restored one is there already."""
    if findings.image is not None:
        store_imaging.keep_image(session, row.content_id, row.document_id, findings.image)
    if findings.references:
        store_imaging.keep_references(session, row.content_id, row.document_id, findings.references)
