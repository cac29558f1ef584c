"""Tables of the documents database. No bytes of a document are here, and no key in clear.

A version's bytes lie in the object store under its id, sealed with a data key of its own; the data key is kept wrapped
by the record's key, and that wrapped by the master key: destroying a record's key destroys the record.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_Id = Id = sa.Uuid(as_uuid=False)
_Moment = Moment = sa.DateTime(timezone=True)
_LEVELS = "level in ('standard', 'confidential', 'private')"

record_keys = sa.Table(
    "record_keys", metadata,
    sa.Column("record_id", _Id, primary_key=True),
    # null once it was destroyed, and with it every byte it ever opened
    sa.Column("wrapped_key", sa.LargeBinary),
    # which master key wraps it: a rotation wraps these rows anew and touches no object
    sa.Column("master_key_id", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at", _Moment, nullable=False),
    sa.Column("destroyed_at", _Moment),
    # set when the record was deleted: its key goes with the last document that it still opens, wherever that lies now
    sa.Column("deleted_at", _Moment),
    sa.CheckConstraint("(wrapped_key is null) = (destroyed_at is not null)", name="destroyed"),
    sa.Index("ix_record_keys_master_key_id", "master_key_id"),
    sa.Index("ix_record_keys_deleted_at", "record_id", postgresql_where=sa.text("deleted_at is not null")),
)  # fmt: skip

record_moves = sa.Table(
    "record_moves", metadata,
    # where a record leads, as dossier told last: `leads_to` is null once it speaks for itself again
    sa.Column("record_id", _Id, primary_key=True),
    sa.Column("leads_to", _Id),
    sa.Column("merge_id", _Id, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_record_moves_leads_to", "leads_to", postgresql_where=sa.text("leads_to is not null")),
)  # fmt: skip

documents = sa.Table(
    "documents", metadata,
    sa.Column("document_id", _Id, primary_key=True),
    sa.Column("record_id", _Id, sa.ForeignKey("record_keys.record_id"), nullable=False),
    # the record it was deposited in, which another one may speak for by now: then `record_id` is that other one
    sa.Column("home_record_id", _Id, sa.ForeignKey("record_keys.record_id"), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("act_date", sa.Date),
    sa.Column("language", sa.Text),
    # the holder's own documents have no author id: nobody becomes "author" of them by being a professional too
    sa.Column("author_kind", sa.Text, nullable=False),
    sa.Column("author_id", _Id),
    # the establishment that deposited as itself, without a named author: the health fund
    sa.Column("institution_id", _Id),
    # where it was deposited: the workplace its depositor had logged in at, the software's own; null for the holder side
    sa.Column("establishment_id", _Id),
    sa.Column("level", sa.Text, nullable=False),
    # set while a professional hides the document from the holder side [L14 16(5)]
    sa.Column("patient_blocked_at", _Moment),
    # when it was last shown to the holder side again: from then on it is new to them
    sa.Column("released_at", _Moment),
    # set while an autonomous minor's document is hidden from the legal representatives [L14 13]
    sa.Column("withheld_at", _Moment),
    sa.Column("current_version_id", _Id, nullable=False),
    sa.Column("deposited_at", _Moment, nullable=False),
    # `checking` until the first version passed, `rejected` when it did not, `removed` when only the tombstone is left
    sa.Column("state", sa.Text, nullable=False, server_default="available"),
    # who deposited it, in which capacity: until it is available nobody else sees it
    sa.Column("account_id", _Id),
    sa.Column("capacity", sa.Text),
    # documents that were deposited together
    sa.Column("submission_id", _Id),
    sa.Column("removed_at", _Moment),
    # no foreign key: an upload's row is swept after a day, that it became this document stays true
    sa.Column("upload_id", _Id, nullable=False, unique=True),
    sa.CheckConstraint("author_kind in ('holder', 'professional', 'institution')", name="author_kind"),
    sa.CheckConstraint("(author_kind = 'professional') = (author_id is not null)", name="author"),
    sa.CheckConstraint("(author_kind = 'institution') = (institution_id is not null)", name="institution"),
    sa.CheckConstraint("author_kind <> 'holder' or establishment_id is null", name="establishment"),
    sa.CheckConstraint(_LEVELS, name="level"),
    sa.CheckConstraint("state in ('checking', 'available', 'rejected', 'removed')", name="state"),
    sa.CheckConstraint("(state = 'removed') = (removed_at is not null)", name="removed"),
    sa.ForeignKeyConstraint(
        ["current_version_id"], ["versions.version_id"], name="fk_documents_current_version_id",
        deferrable=True, initially="DEFERRED", use_alter=True,
    ),
    sa.Index("ix_documents_page", "record_id", sa.desc("deposited_at"), sa.desc("document_id")),
    sa.Index("ix_documents_home_record_id", "home_record_id"),
    sa.Index("ix_documents_term", "deposited_at", postgresql_where=sa.text("state <> 'removed'")),
)  # fmt: skip

versions = sa.Table(
    "versions", metadata,
    sa.Column("version_id", _Id, primary_key=True),
    sa.Column("document_id", _Id, sa.ForeignKey("documents.document_id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    # the name its bytes have in the store and under their seal: its own id, or that of the version it restores
    sa.Column("content_id", _Id, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="available"),
    # why it was rejected, as a code
    sa.Column("reason", sa.Text),
    sa.Column("checked_at", _Moment),
    # the number of the version that this one brings back
    sa.Column("restores", sa.Integer),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    # the record whose key wraps this one: documents move between records, their keys stay as they are
    sa.Column("key_record_id", _Id, sa.ForeignKey("record_keys.record_id"), nullable=False),
    # the object store's own name for exactly the bytes that were checked at commit
    sa.Column("store_version", sa.Text),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("author_id", _Id),
    # as that of the document, of who made this version
    sa.Column("establishment_id", _Id),
    sa.Column("account_id", _Id, nullable=False),
    # in which capacity its depositor acted; null for those older than this column, all of which were shown at once
    sa.Column("capacity", sa.Text),
    sa.Column("created_at", _Moment, nullable=False),
    sa.UniqueConstraint("document_id", "number", name="uq_versions_number"),
    sa.CheckConstraint("size > 0", name="size"),
    sa.CheckConstraint("state in ('checking', 'available', 'rejected')", name="state"),
    sa.CheckConstraint("(state = 'rejected') = (reason is not null)", name="reason"),
    sa.CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    # the same bytes once more in a record
    sa.Index("ix_versions_sha256", "sha256"),
    # what a record's key still opens
    sa.Index("ix_versions_key_record_id", "key_record_id"),
)  # fmt: skip

levels = sa.Table(
    "levels", metadata,
    sa.Column("level_id", _Id, primary_key=True),
    sa.Column("document_id", _Id, sa.ForeignKey("documents.document_id"), nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("valid_from", _Moment, nullable=False),
    sa.Column("valid_to", _Moment),
    sa.Column("account_id", _Id, nullable=False),
    sa.Column("risk_accepted", sa.Boolean, nullable=False),
    sa.CheckConstraint(_LEVELS, name="level"),
    sa.CheckConstraint("valid_to >= valid_from", name="period"),
    sa.Index("ix_levels_document_id", "document_id", "valid_from"),
    sa.Index("uq_levels_current", "document_id", unique=True, postgresql_where=sa.text("valid_to is null")),
)  # fmt: skip

restrictions = sa.Table(
    "restrictions", metadata,
    # a document hidden from one professional, by the holder side [RGD 6(3)]; it begins, it ends, and the row stays
    sa.Column("restriction_id", _Id, primary_key=True),
    sa.Column("document_id", _Id, sa.ForeignKey("documents.document_id"), nullable=False),
    sa.Column("professional_id", _Id, nullable=False),
    sa.Column("since", _Moment, nullable=False),
    sa.Column("until", _Moment),
    sa.Column("account_id", _Id, nullable=False),
    sa.Column("risk_version", sa.Text, nullable=False),
    sa.Index("uq_restrictions_current", "document_id", "professional_id", unique=True,
             postgresql_where=sa.text("until is null")),
)  # fmt: skip

patient_blocks = sa.Table(
    "patient_blocks", metadata,
    # each time a professional hid a document from the holder side until it would be explained in person [L14 16(5)]
    sa.Column("block_id", _Id, primary_key=True),
    sa.Column("document_id", _Id, sa.ForeignKey("documents.document_id"), nullable=False),
    sa.Column("professional_id", _Id, nullable=False),
    sa.Column("account_id", _Id, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", _Moment, nullable=False),
    sa.Column("until", _Moment),
    sa.Column("released_by", _Id),
    sa.Column("released_how", sa.Text),
    sa.Column("reminded_at", _Moment),
    sa.Column("escalated_at", _Moment),
    sa.CheckConstraint("released_how in ('explained', 'automatic')", name="released_how"),
    sa.CheckConstraint("(until is null) = (released_how is null)", name="released"),
    sa.Index("uq_patient_blocks_current", "document_id", unique=True, postgresql_where=sa.text("until is null")),
    sa.Index("ix_patient_blocks_since", "since", postgresql_where=sa.text("until is null")),
)  # fmt: skip

withholdings = sa.Table(
    "withholdings", metadata,
    # each time an autonomous minor's document was hidden from the legal representatives [L14 13]
    sa.Column("withholding_id", _Id, primary_key=True),
    sa.Column("document_id", _Id, sa.ForeignKey("documents.document_id"), nullable=False),
    sa.Column("account_id", _Id, nullable=False),
    sa.Column("since", _Moment, nullable=False),
    sa.Column("until", _Moment),
    sa.Index("uq_withholdings_current", "document_id", unique=True, postgresql_where=sa.text("until is null")),
)  # fmt: skip

uploads = sa.Table(
    "uploads", metadata,
    sa.Column("upload_id", _Id, primary_key=True),
    sa.Column("record_id", _Id, sa.ForeignKey("record_keys.record_id"), nullable=False),
    sa.Column("home_record_id", _Id, sa.ForeignKey("record_keys.record_id"), nullable=False),
    # whose upload it is: the person in one capacity, because rights differ between capacities
    sa.Column("account_id", _Id, nullable=False),
    sa.Column("capacity", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("act_date", sa.Date),
    sa.Column("language", sa.Text),
    # the document that these bytes become the next version of; null for a new one
    sa.Column("replaces", _Id, sa.ForeignKey("documents.document_id")),
    # what the depositor says beside it that depends on the type, as JSON: the lines of a prescription
    sa.Column("details", JSONB),
    # the professional in whose name software deposits, where its token names none
    sa.Column("author_id", _Id),
    # how many plain bytes were announced of an upload that comes in parts; null for one that comes whole
    sa.Column("size", sa.BigInteger),
    sa.Column("prepared_at", _Moment, nullable=False),
    sa.Column("expires_at", _Moment, nullable=False),
    # not unique: each new version of a document has an upload of its own
    sa.Column("document_id", _Id, sa.ForeignKey("documents.document_id")),
    sa.Column("version_id", _Id),
    # what the deposit's answer pointed out, so that a repeat says the same
    sa.Column("duplicate_of", _Id),
    sa.Index("ix_uploads_document_id", "document_id"),
    sa.Index("ix_uploads_expires_at", "expires_at"),
)  # fmt: skip

attempts = sa.Table(
    "attempts", metadata,
    # every try has an object name and a data key of its own: the nonces count segments, a key may seal once only
    sa.Column("version_id", _Id, primary_key=True),
    # null of a slot: a try that is given ahead, to an account in one capacity, its key wrapped by the master key
    sa.Column("upload_id", _Id, sa.ForeignKey("uploads.upload_id")),
    sa.Column("account_id", _Id),
    sa.Column("capacity", sa.Text),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    sa.Column("key_record_id", _Id, sa.ForeignKey("record_keys.record_id")),
    sa.Column("started_at", _Moment, nullable=False),
    # set before the object is removed, so that a late commit cannot take bytes that are going away
    sa.Column("condemned_at", _Moment),
    # the store's name for bytes that come in parts, until they are put together
    sa.Column("multipart_id", sa.Text),
    sa.CheckConstraint("num_nonnulls(upload_id, account_id) = 1", name="of"),
    sa.CheckConstraint(
        "num_nonnulls(account_id, capacity) <> 1 and num_nonnulls(upload_id, key_record_id) <> 1", name="ahead"
    ),
    sa.Index("ix_attempts_started_at", "started_at"),
    sa.Index("ix_attempts_upload_id", "upload_id"),
)  # fmt: skip

upload_parts = sa.Table(
    "upload_parts", metadata,
    # written before a part is sealed: the same part under the same key is never of other bytes
    sa.Column("version_id", _Id, sa.ForeignKey("attempts.version_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    # the store's receipt; null until the part is there
    sa.Column("etag", sa.Text),
    sa.CheckConstraint("number > 0", name="number"),
    sa.CheckConstraint("size > 0", name="size"),
    sa.CheckConstraint("octet_length(sha256) = 32", name="sha256"),
)  # fmt: skip

opens = sa.Table(
    "opens", metadata,
    sa.Column("session_id", _Id, primary_key=True),
    sa.Column("version_id", _Id, sa.ForeignKey("versions.version_id"), primary_key=True),
    sa.Column("opened_at", _Moment, nullable=False),
    # to the minute: reading on keeps an opening standing, without a write for every range
    sa.Column("read_at", _Moment, nullable=False),
    sa.Index("ix_opens_opened_at", "opened_at"),
)  # fmt: skip
