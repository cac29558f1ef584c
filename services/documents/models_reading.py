"""The tables beside a document's bytes: what has to be looked at, what was made of them, what is found by it.

Pages, thumbnails and rendered views are sealed objects like the files themselves; the text for searching is here, in
clear: the database's administrator is trusted for it, the store's is not.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

from services.documents.models import Id, Moment, metadata

examinations = sa.Table(
    "examinations", metadata,
    # a version whose bytes are still to be looked at; the row goes when it was
    sa.Column("version_id", Id, sa.ForeignKey("versions.version_id"), primary_key=True),
    sa.Column("queued_at", Moment, nullable=False),
    # until when a worker has it; a worker that died lets it go by this
    sa.Column("leased_until", Moment),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    # not before this moment, after a try that the outside world let fail
    sa.Column("due_at", Moment, nullable=False),
    # of a version that is shown already: looked at when nothing else waits
    sa.Column("shown", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_examinations_due", "shown", "due_at"),
)  # fmt: skip

renditions = sa.Table(
    "renditions", metadata,
    # an object made of a version's bytes: a thumbnail, a first page, a rendered view; written before its object is put
    sa.Column("rendition_id", Id, primary_key=True),
    sa.Column("content_id", Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, server_default="1"),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    sa.Column("key_record_id", Id, sa.ForeignKey("record_keys.record_id"), nullable=False),
    sa.Column("store_version", sa.Text),
    sa.Column("begun_at", Moment, nullable=False),
    # null while it is not known to be stored and that of a version that passed: nobody is given such a one
    sa.Column("stored_at", Moment),
    # each try to look at a version has objects of its own; those of one try come to count
    sa.Index("uq_renditions_kind", "content_id", "kind", "number", unique=True,
             postgresql_where=sa.text("stored_at is not null")),
    sa.Index("ix_renditions_begun_at", "begun_at", postgresql_where=sa.text("stored_at is null")),
)  # fmt: skip

texts = sa.Table(
    "texts", metadata,
    # what a document is found by: title and text of its current version, as words
    sa.Column("document_id", Id, sa.ForeignKey("documents.document_id"), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("words", TSVECTOR, nullable=False),
)  # fmt: skip

authors = sa.Table(
    "authors", metadata,
    # the names by which documents of a professional are found, as directory told them last; null until it was asked
    sa.Column("professional_id", Id, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("words", TSVECTOR),
    sa.Column("asked_at", Moment),
    sa.Index("ix_authors_due", "professional_id", postgresql_where=sa.text("asked_at is null")),
)  # fmt: skip

type_words = sa.Table(
    "type_words", metadata,
    # the names of a type in all languages
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("words", TSVECTOR, nullable=False),
)  # fmt: skip

binders = sa.Table(
    "binders", metadata,
    # a reader's own collection of documents of one record: seen by nobody else
    sa.Column("binder_id", Id, primary_key=True),
    sa.Column("record_id", Id, nullable=False),
    sa.Column("home_record_id", Id, nullable=False),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("capacity", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("ix_binders_reader", "account_id", "capacity", "record_id"),
)  # fmt: skip

binder_documents = sa.Table(
    "binder_documents", metadata,
    sa.Column("binder_id", Id, sa.ForeignKey("binders.binder_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("document_id", Id, sa.ForeignKey("documents.document_id"), primary_key=True),
    sa.Column("added_at", Moment, nullable=False),
    sa.Index("ix_binder_documents_document_id", "document_id"),
)  # fmt: skip

visits = sa.Table(
    "visits", metadata,
    # when a reader was in a record: the last time, and the time before by which "new since my last visit" is told
    sa.Column("account_id", Id, primary_key=True),
    sa.Column("capacity", sa.Text, primary_key=True),
    sa.Column("record_id", Id, primary_key=True),
    sa.Column("since", Moment),
    sa.Column("last_at", Moment, nullable=False),
)  # fmt: skip

readings = sa.Table(
    "readings", metadata,
    # that a reader has opened a document at all: every other one is new to them
    sa.Column("account_id", Id, primary_key=True),
    sa.Column("capacity", sa.Text, primary_key=True),
    sa.Column("document_id", Id, sa.ForeignKey("documents.document_id"), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Index("ix_readings_document_id", "document_id"),
)  # fmt: skip
