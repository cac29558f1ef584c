"""The tables of what stands inside documents and around them: prescriptions, images, entries, requests, removals."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.documents.models import Id, Moment, metadata


def _of_document(**options: bool) -> sa.Column[str]:
    return sa.Column("document_id", Id, sa.ForeignKey("documents.document_id"), nullable=False, **options)


descriptions = sa.Table(
    "descriptions", metadata,
    # each wording a document had: type, title, date and language as somebody corrected them; the newest is in force
    _of_document(primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("act_date", sa.Date),
    sa.Column("language", sa.Text),
    sa.Column("author_id", Id),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)  # fmt: skip

rectifications = sa.Table(
    "rectifications", metadata,
    # the holder asks an author to put a document right; tracked until it is answered [RGD 6(3), domain]
    sa.Column("rectification_id", Id, primary_key=True),
    _of_document(),
    sa.Column("asked_by", Id, nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("wish", sa.Text, nullable=False),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("answered_at", Moment),
    sa.Column("answered_by", Id),
    sa.Column("answer", sa.Text),
    sa.Column("words", sa.Text),
    sa.Column("version_id", Id),
    # when it was told that the answer is overdue, once
    sa.Column("reminded_at", Moment),
    sa.CheckConstraint("answer in ('done', 'refused')", name="answer"),
    sa.CheckConstraint("(answered_at is null) = (answer is null)", name="answered"),
    sa.Index("uq_rectifications_open", "document_id", unique=True, postgresql_where=sa.text("answered_at is null")),
    sa.Index("ix_rectifications_document_id", "document_id", "asked_at"),
)  # fmt: skip

deposit_wishes = sa.Table(
    "deposit_wishes", metadata,
    # what a holder wishes of deposits during care: none of this (`opposed`), or one that is due (`requested`)
    sa.Column("wish_id", Id, primary_key=True),
    sa.Column("record_id", Id, nullable=False),
    sa.Column("home_record_id", Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # whom it concerns: a professional, or the order or stay under which the deposit would come
    sa.Column("professional_id", Id),
    sa.Column("establishment_id", Id),
    sa.Column("mandate_id", Id),
    # of the stay or presence that it is about
    sa.Column("ground", sa.Text),
    sa.Column("type", sa.Text),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.Column("due_at", Moment),
    sa.Column("until", Moment),
    sa.Column("outcome", sa.Text),
    sa.Column("document_id", Id, sa.ForeignKey("documents.document_id")),
    # deposits that an opposition refused
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tried_at", Moment),
    sa.CheckConstraint("kind in ('opposed', 'requested')", name="kind"),
    sa.Index("ix_deposit_wishes_record_id", "record_id"),
    sa.Index("ix_deposit_wishes_professional_id", "professional_id", "since"),
    sa.Index("ix_deposit_wishes_due_at", "due_at", postgresql_where=sa.text("until is null")),
)  # fmt: skip

prescriptions = sa.Table(
    "prescriptions", metadata,
    # a document that can be dispensed, and how much of it was; its row is what dispensing holds
    _of_document(primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("valid_until", sa.Date),
    sa.Column("cancelled_at", Moment),
    sa.Column("cancelled_by", Id),
    sa.Column("cancel_reason", sa.Text),
    sa.CheckConstraint("state in ('open', 'partial', 'dispensed', 'cancelled')", name="state"),
    sa.CheckConstraint("(cancelled_at is null) = (state <> 'cancelled')", name="cancelled"),
)  # fmt: skip

prescription_lines = sa.Table(
    "prescription_lines", metadata,
    _of_document(primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("system", sa.Text),
    # null where no number was prescribed: such a line is dispensed whole
    sa.Column("quantity", sa.Numeric),
    sa.Column("unit", sa.Text),
    sa.Column("given", sa.Numeric, nullable=False, server_default="0"),
    sa.Column("complete", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("quantity is null or (quantity > 0 and given <= quantity)", name="quantity"),
    sa.CheckConstraint("given >= 0", name="given"),
)  # fmt: skip

dispensations = sa.Table(
    "dispensations", metadata,
    sa.Column("dispensation_id", Id, primary_key=True),
    _of_document(),
    sa.Column("professional_id", Id, nullable=False),
    sa.Column("establishment_id", Id),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("verification_code", sa.Text, nullable=False, unique=True),
    sa.Column("risk_version", sa.Text, nullable=False),
    sa.Column("cancelled_at", Moment),
    sa.Column("cancelled_by", Id),
    sa.Column("cancel_reason", sa.Text),
    sa.Index("ix_dispensations_document_id", "document_id"),
)  # fmt: skip

dispensed_lines = sa.Table(
    "dispensed_lines", metadata,
    sa.Column("dispensation_id", Id, sa.ForeignKey("dispensations.dispensation_id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    # null where the line was given whole without a number
    sa.Column("quantity", sa.Numeric),
)  # fmt: skip

verification_tries = sa.Table(
    "verification_tries", metadata,
    # wrong codes of certified copies, counted against who gave them for a while
    sa.Column("try_id", Id, primary_key=True),
    sa.Column("professional_id", Id, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Index("ix_verification_tries_professional_id", "professional_id", "at"),
)  # fmt: skip

entries = sa.Table(
    "entries", metadata,
    # coded entries read from a document, as risk factors; visible exactly where the document is
    _of_document(primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("system", sa.Text),
    sa.Column("display", sa.Text, nullable=False),
    sa.Column("since", sa.Date),
)  # fmt: skip

images = sa.Table(
    "images", metadata,
    # a DICOM object of a document: an image, a structured report, a manifest of key images
    sa.Column("content_id", Id, primary_key=True),
    _of_document(),
    sa.Column("study_uid", sa.Text, nullable=False),
    sa.Column("series_uid", sa.Text, nullable=False),
    sa.Column("instance_uid", sa.Text, nullable=False),
    sa.Column("class_uid", sa.Text, nullable=False),
    sa.Column("transfer_syntax", sa.Text, nullable=False),
    # the DICOM JSON model of its attributes, without pixels and without the patient's names
    sa.Column("attributes", JSONB, nullable=False),
    # where each frame lies in the file, in one part or several: [[offset, length, …], …]; empty where that is not known
    sa.Column("frames", JSONB, nullable=False),
    # how many there are all the same; 0 for what is no image
    sa.Column("frame_count", sa.Integer, nullable=False),
    sa.Index("ix_images_study", "study_uid", "series_uid", "instance_uid"),
    sa.Index("ix_images_document_id", "document_id"),
)  # fmt: skip

image_references = sa.Table(
    "image_references", metadata,
    # the instances that a version of a manifest or of a report points to, wherever they lie; "" for the study alone
    sa.Column("content_id", Id, primary_key=True),
    sa.Column("study_uid", sa.Text, primary_key=True),
    sa.Column("instance_uid", sa.Text, primary_key=True),
    _of_document(),
    sa.Column("series_uid", sa.Text, nullable=False),
    sa.Column("class_uid", sa.Text, nullable=False),
    sa.Index("ix_image_references_study_uid", "study_uid"),
    sa.Index("ix_image_references_document_id", "document_id"),
)  # fmt: skip

study_opens = sa.Table(
    "study_opens", metadata,
    # as `opens`, for a whole study: its thousand frames are one opening
    sa.Column("session_id", Id, primary_key=True),
    sa.Column("record_id", Id, primary_key=True),
    sa.Column("study_uid", sa.Text, primary_key=True),
    sa.Column("opened_at", Moment, nullable=False),
    sa.Column("read_at", Moment, nullable=False),
    sa.Index("ix_study_opens_opened_at", "opened_at"),
)  # fmt: skip

study_tokens = sa.Table(
    "study_tokens", metadata,
    # what a web viewer reads one study with, for a short time; kept as its digest
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("study_uid", sa.Text, nullable=False),
    sa.Column("record_id", Id, nullable=False),
    sa.Column("session_id", Id, nullable=False),
    # the access token it stands for, under a key that is made of the study token and kept nowhere
    sa.Column("sealed_token", sa.LargeBinary, nullable=False),
    sa.Column("until", Moment, nullable=False),
    sa.Index("ix_study_tokens_until", "until"),
)  # fmt: skip

removals = sa.Table(
    "removals", metadata,
    # the agency takes a document out: asked by one agent, approved by another, then its bytes go [domain, Documents]
    sa.Column("removal_id", Id, primary_key=True),
    _of_document(),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("asked_by", Id),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("decided_by", Id),
    sa.Column("decided_at", Moment),
    sa.Column("destroyed_at", Moment),
    # how many objects had to go from the store: the proof names them
    sa.Column("objects", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint("state in ('asked', 'approved', 'refused', 'destroyed')", name="state"),
    sa.CheckConstraint("decided_by is null or decided_by is distinct from asked_by", name="two_agents"),
    sa.Index("uq_removals_open", "document_id", unique=True,
             postgresql_where=sa.text("state in ('asked', 'approved')")),
    sa.Index("ix_removals_state", "state", "asked_at"),
)  # fmt: skip

condemned = sa.Table(
    "condemned", metadata,
    # objects that must go from the store: written with the change that gives them up, dropped once they are gone
    sa.Column("object_id", Id, primary_key=True),
    sa.Column("removal_id", Id),
    sa.Column("since", Moment, nullable=False),
    sa.Index("ix_condemned_removal_id", "removal_id"),
)  # fmt: skip

exports = sa.Table(
    "exports", metadata,
    # an export that was begun, and by whom: what it is made of is asked for piece by piece, under rights asked anew
    sa.Column("export_id", Id, primary_key=True),
    sa.Column("record_id", Id, nullable=False),
    sa.Column("session_id", Id, nullable=False),
    sa.Column("capacity", sa.Text, nullable=False),
    sa.Column("patient_id", Id),
    sa.Column("role", sa.Text),
    sa.Column("begun_at", Moment, nullable=False),
    sa.Index("ix_exports_begun_at", "begun_at"),
)  # fmt: skip

scrubs = sa.Table(
    "scrubs", metadata,
    # when an object was last read in full and hashed again, and whether it still was what it had been
    sa.Column("object_id", Id, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("finding", sa.Text),
    sa.CheckConstraint("finding in ('missing', 'changed')", name="finding"),
    sa.Index("ix_scrubs_at", "at"),
    sa.Index("ix_scrubs_finding", "finding", postgresql_where=sa.text("finding is not null")),
)  # fmt: skip
