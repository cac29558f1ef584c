"""Documents complete: their states, and what is found by them and made of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from services.documents.document_types import type_names
from services.documents.rules_words import words

revision = "0005"
down_revision = "0004"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Changes what there was, then adds the new tables; every document so far counts as checked."""
    _documents()
    _parts()
    _reading()
    _words()


def _words() -> None:
    """What a search reads: the stems of words, the names of types, the titles and authors there are so far."""
    op.execute(STEMS)
    op.execute(DOCUMENT_WORDS)
    connection = op.get_bind()
    named = (
        "insert into type_words (type, names, words)"
        " values (:type, :names, setweight(document_words(:words, '{}'), 'B'))"
    )
    for slug, names in type_names().items():
        told = " · ".join(dict.fromkeys(names.values()))
        connection.execute(sa.text(named), {"type": slug, "names": told, "words": words(told)})
    op.execute(
        "insert into authors (professional_id) select distinct author_id from documents where author_id is not null"
    )
    titled = sa.text("insert into texts (document_id, body, words) values (:id, '', document_words(:words, '{}'))")
    for row in connection.execute(sa.text("select document_id, title from documents")).all():
        connection.execute(titled, {"id": row.document_id, "words": words(row.title)})


# A word that is its own stem needs no other; the mark keeps what begins a word from finding a stem. Places in the text
# do not matter, only whether a word stands in the title (A), the names of type and author (B) or the text (D). Without
# their accents the stemmer does not know the French participles in -ée: they are given to it as those in -é.
STEMS = """
    create function word_stems(word text) returns text[] language sql immutable strict parallel safe as $$
        select coalesce(array_agg(distinct stem), '{}') from unnest(
            ts_lexize('french_stem', regexp_replace(word, 'ees?$', 'e')) || ts_lexize('german_stem', word)
            || ts_lexize('english_stem', word) || ts_lexize('portuguese_stem', word)) as stem
         where stem <> word
    $$
"""
DOCUMENT_WORDS = """
    create function document_words(title text[], body text[]) returns tsvector
    language sql immutable strict parallel safe as $$
        with said (word, place) as (
            select distinct unnest(title), '1A' union all select distinct unnest(body), '2D'),
        stemmed (word, place) as (
            select distinct '=' || stem, place from said cross join lateral unnest(
                ts_lexize('french_stem', regexp_replace(word, 'ees?$', 'e')) || ts_lexize('german_stem', word)
                || ts_lexize('english_stem', word) || ts_lexize('portuguese_stem', word)) as stem
             where stem <> word)
        select cast(coalesce(string_agg(quote_literal(word) || ':' || place, ' '), '') as tsvector)
          from (select * from said union all select * from stemmed) as told
    $$
"""


def _documents() -> None:
    op.add_column("documents", sa.Column("state", sa.Text, server_default="available", nullable=False))
    op.add_column("documents", sa.Column("account_id", ID))
    op.add_column("documents", sa.Column("capacity", sa.Text))
    op.add_column("documents", sa.Column("submission_id", ID))
    op.add_column("documents", sa.Column("removed_at", MOMENT))
    op.create_index("ix_documents_term", "documents", ["deposited_at"], postgresql_where=sa.text("state <> 'removed'"))
    op.add_column("record_keys", sa.Column("master_key_id", sa.Text, server_default="", nullable=False))
    op.add_column("record_keys", sa.Column("destroyed_at", MOMENT))
    op.alter_column("record_keys", "wrapped_key", nullable=True)
    op.create_index("ix_record_keys_master_key_id", "record_keys", ["master_key_id"])
    op.add_column("uploads", sa.Column("replaces", ID))
    op.add_column("uploads", sa.Column("details", JSONB))
    op.add_column("uploads", sa.Column("version_id", ID))
    op.add_column("uploads", sa.Column("author_id", ID))
    op.add_column("uploads", sa.Column("size", sa.BigInteger))
    op.add_column("uploads", sa.Column("duplicate_of", ID))
    op.add_column("attempts", sa.Column("multipart_id", sa.Text))
    op.add_column("documents", sa.Column("institution_id", ID))
    op.create_index("ix_versions_sha256", "versions", ["sha256"])
    op.execute(
        "update uploads set version_id = versions.version_id from versions"
        " where versions.document_id = uploads.document_id and versions.number = 1"
    )
    op.drop_constraint(op.f("uq_uploads_document_id"), "uploads", type_="unique")
    op.create_index("ix_uploads_document_id", "uploads", ["document_id"])
    op.create_foreign_key(op.f("fk_uploads_replaces"), "uploads", "documents", ["replaces"], ["document_id"])
    op.add_column("versions", sa.Column("content_id", ID))
    op.execute("update versions set content_id = version_id")
    op.alter_column("versions", "content_id", nullable=False)
    op.add_column("versions", sa.Column("state", sa.Text, server_default="available", nullable=False))
    op.add_column("versions", sa.Column("reason", sa.Text))
    op.add_column("versions", sa.Column("checked_at", MOMENT))
    op.add_column("versions", sa.Column("restores", sa.Integer))
    op.add_column("versions", sa.Column("capacity", sa.Text))
    _check("documents", "state", "state in ('checking', 'available', 'rejected', 'removed')")
    # the first release named it by the convention twice over
    op.execute("alter table documents drop constraint if exists ck_documents_ck_documents_author_kind")
    op.execute("alter table documents drop constraint if exists ck_documents_author_kind")
    _check("documents", "author_kind", "author_kind in ('holder', 'professional', 'institution')")
    _check("documents", "institution", "(author_kind = 'institution') = (institution_id is not null)")
    _check("documents", "removed", "(state = 'removed') = (removed_at is not null)")
    _check("versions", "state", "state in ('checking', 'available', 'rejected')")
    _check("versions", "reason", "(state = 'rejected') = (reason is not null)")
    _check("record_keys", "destroyed", "(wrapped_key is null) = (destroyed_at is not null)")


def _parts() -> None:
    op.create_table(
        "upload_parts",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("etag", sa.Text),
        sa.CheckConstraint("number > 0", name=op.f("ck_upload_parts_number")),
        sa.CheckConstraint("size > 0", name=op.f("ck_upload_parts_size")),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("ck_upload_parts_sha256")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["attempts.version_id"], name=op.f("fk_upload_parts_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "number", name=op.f("pk_upload_parts")),
    )


def _check(table: str, name: str, condition: str) -> None:
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _reading() -> None:
    op.create_table(
        "authors",
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("words", TSVECTOR),
        sa.Column("asked_at", MOMENT),
        sa.PrimaryKeyConstraint("professional_id", name=op.f("pk_authors")),
    )
    op.create_index("ix_authors_due", "authors", ["professional_id"], postgresql_where=sa.text("asked_at is null"))
    op.create_table(
        "binders",
        sa.Column("binder_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("home_record_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("capacity", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("binder_id", name=op.f("pk_binders")),
    )
    op.create_index("ix_binders_reader", "binders", ["account_id", "capacity", "record_id"])
    op.create_table(
        "type_words",
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
        sa.PrimaryKeyConstraint("type", name=op.f("pk_type_words")),
    )
    op.create_table(
        "visits",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("capacity", sa.Text, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("since", MOMENT),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "capacity", "record_id", name=op.f("pk_visits")),
    )
    op.create_table(
        "renditions",
        sa.Column("rendition_id", ID, nullable=False),
        sa.Column("content_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, server_default="1", nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("key_record_id", ID, nullable=False),
        sa.Column("store_version", sa.Text),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("stored_at", MOMENT),
        sa.ForeignKeyConstraint(["key_record_id"], ["record_keys.record_id"], name=op.f("fk_renditions_key_record_id")),
        sa.PrimaryKeyConstraint("rendition_id", name=op.f("pk_renditions")),
    )
    stored = sa.text("stored_at is not null")
    op.create_index(
        "uq_renditions_kind", "renditions", ["content_id", "kind", "number"], unique=True, postgresql_where=stored
    )
    begun = sa.text("stored_at is null")
    op.create_index("ix_renditions_begun_at", "renditions", ["begun_at"], postgresql_where=begun)
    op.create_table(
        "binder_documents",
        sa.Column("binder_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["binder_id"], ["binders.binder_id"], name=op.f("fk_binder_documents_binder_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.document_id"], name=op.f("fk_binder_documents_document_id")
        ),
        sa.PrimaryKeyConstraint("binder_id", "document_id", name=op.f("pk_binder_documents")),
    )
    op.create_index("ix_binder_documents_document_id", "binder_documents", ["document_id"])
    op.create_table(
        "readings",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("capacity", sa.Text, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_readings_document_id")),
        sa.PrimaryKeyConstraint("account_id", "capacity", "document_id", name=op.f("pk_readings")),
    )
    op.create_index("ix_readings_document_id", "readings", ["document_id"])
    op.create_table(
        "texts",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_texts_document_id")),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_texts")),
    )
    op.create_table(
        "examinations",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("leased_until", MOMENT),
        sa.Column("tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("shown", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_examinations_version_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_examinations")),
    )
    op.create_index("ix_examinations_due", "examinations", ["shown", "due_at"])
    # text and previews of what earlier releases took in
    op.execute(
        "insert into examinations (version_id, queued_at, due_at, shown)"
        " select current_version_id, now(), now(), true from documents"
    )
