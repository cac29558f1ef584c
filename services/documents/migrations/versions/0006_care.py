"""What stands inside documents and around them: wordings, requests, prescriptions, images, removals."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "condemned",
        sa.Column("object_id", ID, nullable=False),
        sa.Column("removal_id", ID),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_condemned")),
    )
    op.create_table(
        "scrubs",
        sa.Column("object_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("finding", sa.Text),
        sa.CheckConstraint("finding in ('missing', 'changed')", name=op.f("ck_scrubs_finding")),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_scrubs")),
    )
    op.create_index("ix_scrubs_at", "scrubs", ["at"])
    op.create_index("ix_scrubs_finding", "scrubs", ["finding"], postgresql_where=sa.text("finding is not null"))
    op.create_table(
        "study_tokens",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("sealed_token", sa.LargeBinary, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_study_tokens")),
    )
    op.create_table(
        "study_opens",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_id", "study_uid", name=op.f("pk_study_opens")),
    )
    op.create_index("ix_study_opens_opened_at", "study_opens", ["opened_at"])
    op.create_index("ix_study_tokens_until", "study_tokens", ["until"])
    op.create_table(
        "deposit_wishes",
        sa.Column("wish_id", ID, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("home_record_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("professional_id", ID),
        sa.Column("establishment_id", ID),
        sa.Column("mandate_id", ID),
        sa.Column("ground", sa.Text),
        sa.Column("type", sa.Text),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("until", MOMENT),
        sa.Column("outcome", sa.Text),
        sa.Column("document_id", ID),
        sa.Column("tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("tried_at", MOMENT),
        sa.CheckConstraint("kind in ('opposed', 'requested')", name=op.f("ck_deposit_wishes_kind")),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_deposit_wishes_document_id")),
        sa.PrimaryKeyConstraint("wish_id", name=op.f("pk_deposit_wishes")),
    )
    op.create_index("ix_deposit_wishes_due_at", "deposit_wishes", ["due_at"], postgresql_where=sa.text("until is null"))
    op.create_index("ix_deposit_wishes_record_id", "deposit_wishes", ["record_id"])
    op.create_index("ix_deposit_wishes_professional_id", "deposit_wishes", ["professional_id", "since"])
    op.create_table(
        "descriptions",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("act_date", sa.Date),
        sa.Column("language", sa.Text),
        sa.Column("author_id", ID),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_descriptions_document_id")),
        sa.PrimaryKeyConstraint("document_id", "number", name=op.f("pk_descriptions")),
    )
    op.create_table(
        "dispensations",
        sa.Column("dispensation_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("establishment_id", ID),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("verification_code", sa.Text, nullable=False),
        sa.Column("risk_version", sa.Text, nullable=False),
        sa.Column("cancelled_at", MOMENT),
        sa.Column("cancelled_by", ID),
        sa.Column("cancel_reason", sa.Text),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_dispensations_document_id")),
        sa.PrimaryKeyConstraint("dispensation_id", name=op.f("pk_dispensations")),
        sa.UniqueConstraint("verification_code", name=op.f("uq_dispensations_verification_code")),
    )
    op.create_index("ix_dispensations_document_id", "dispensations", ["document_id"])
    op.create_table(
        "entries",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("system", sa.Text),
        sa.Column("display", sa.Text, nullable=False),
        sa.Column("since", sa.Date),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_entries_document_id")),
        sa.PrimaryKeyConstraint("document_id", "number", name=op.f("pk_entries")),
    )
    op.create_table(
        "image_references",
        sa.Column("content_id", ID, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("instance_uid", sa.Text, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("series_uid", sa.Text, nullable=False),
        sa.Column("class_uid", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.document_id"], name=op.f("fk_image_references_document_id")
        ),
        sa.PrimaryKeyConstraint("content_id", "study_uid", "instance_uid", name=op.f("pk_image_references")),
    )
    op.create_index("ix_image_references_document_id", "image_references", ["document_id"])
    op.create_index("ix_image_references_study_uid", "image_references", ["study_uid"])
    op.create_table(
        "images",
        sa.Column("content_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("series_uid", sa.Text, nullable=False),
        sa.Column("instance_uid", sa.Text, nullable=False),
        sa.Column("class_uid", sa.Text, nullable=False),
        sa.Column("transfer_syntax", sa.Text, nullable=False),
        sa.Column("attributes", JSONB, nullable=False),
        sa.Column("frames", JSONB, nullable=False),
        sa.Column("frame_count", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_images_document_id")),
        sa.PrimaryKeyConstraint("content_id", name=op.f("pk_images")),
    )
    op.create_index("ix_images_document_id", "images", ["document_id"])
    op.create_index("ix_images_study", "images", ["study_uid", "series_uid", "instance_uid"])
    op.create_table(
        "prescription_lines",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("system", sa.Text),
        sa.Column("quantity", sa.Numeric),
        sa.Column("unit", sa.Text),
        sa.Column("given", sa.Numeric, server_default="0", nullable=False),
        sa.Column("complete", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.CheckConstraint("given >= 0", name=op.f("ck_prescription_lines_given")),
        sa.CheckConstraint(
            "quantity is null or (quantity > 0 and given <= quantity)", name=op.f("ck_prescription_lines_quantity")
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.document_id"], name=op.f("fk_prescription_lines_document_id")
        ),
        sa.PrimaryKeyConstraint("document_id", "number", name=op.f("pk_prescription_lines")),
    )
    op.create_table(
        "prescriptions",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("valid_until", sa.Date),
        sa.Column("cancelled_at", MOMENT),
        sa.Column("cancelled_by", ID),
        sa.Column("cancel_reason", sa.Text),
        sa.CheckConstraint(
            "(cancelled_at is null) = (state <> 'cancelled')", name=op.f("ck_prescriptions_cancelled")
        ),
        sa.CheckConstraint(
            "state in ('open', 'partial', 'dispensed', 'cancelled')", name=op.f("ck_prescriptions_state")
        ),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_prescriptions_document_id")),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_prescriptions")),
    )
    op.create_table(
        "rectifications",
        sa.Column("rectification_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("asked_by", ID, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("wish", sa.Text, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("answered_by", ID),
        sa.Column("answer", sa.Text),
        sa.Column("words", sa.Text),
        sa.Column("version_id", ID),
        sa.Column("reminded_at", MOMENT),
        sa.CheckConstraint("answer in ('done', 'refused')", name=op.f("ck_rectifications_answer")),
        sa.CheckConstraint("(answered_at is null) = (answer is null)", name=op.f("ck_rectifications_answered")),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_rectifications_document_id")),
        sa.PrimaryKeyConstraint("rectification_id", name=op.f("pk_rectifications")),
    )
    op.create_index("ix_rectifications_document_id", "rectifications", ["document_id", "asked_at"])
    op.create_index(
        "uq_rectifications_open",
        "rectifications",
        ["document_id"],
        unique=True,
        postgresql_where=sa.text("answered_at is null"),
    )
    op.create_table(
        "removals",
        sa.Column("removal_id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("asked_by", ID),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("decided_by", ID),
        sa.Column("decided_at", MOMENT),
        sa.Column("destroyed_at", MOMENT),
        sa.CheckConstraint("state in ('asked', 'approved', 'refused', 'destroyed')", name=op.f("ck_removals_state")),
        sa.CheckConstraint(
            "decided_by is null or decided_by is distinct from asked_by", name=op.f("ck_removals_two_agents")
        ),
        sa.ForeignKeyConstraint(["document_id"], ["documents.document_id"], name=op.f("fk_removals_document_id")),
        sa.PrimaryKeyConstraint("removal_id", name=op.f("pk_removals")),
    )
    op.create_index("ix_removals_state", "removals", ["state", "asked_at"])
    op.create_index(
        "uq_removals_open",
        "removals",
        ["document_id"],
        unique=True,
        postgresql_where=sa.text("state in ('asked', 'approved')"),
    )
    op.create_table(
        "verification_tries",
        sa.Column("try_id", ID, nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("try_id", name=op.f("pk_verification_tries")),
    )
    op.create_index("ix_verification_tries_professional_id", "verification_tries", ["professional_id", "at"])
    op.create_table(
        "dispensed_lines",
        sa.Column("dispensation_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("quantity", sa.Numeric),
        sa.ForeignKeyConstraint(
            ["dispensation_id"], ["dispensations.dispensation_id"], name=op.f("fk_dispensed_lines_dispensation_id")
        ),
        sa.PrimaryKeyConstraint("dispensation_id", "number", name=op.f("pk_dispensed_lines")),
    )
