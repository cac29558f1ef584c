"""Identity sheets, professionals, establishments, workplaces and matricules, beside the plumbing tables."""

import sqlalchemy as sa
from alembic import op

from services.plumbing import plumbing_tables_v1

revision = "0001"
down_revision = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    plumbing_tables_v1(op)
    # A trusted extension since PostgreSQL 13: the owner of a database may create it.
    op.execute("create extension if not exists pg_trgm")
    op.create_table(
        "patients",
        sa.Column("patient_id", ID, primary_key=True),
        sa.Column("birth_name", sa.Text, nullable=False),
        sa.Column("usual_name", sa.Text),
        sa.Column("first_names", sa.Text, nullable=False),
        sa.Column("sex", sa.Text, nullable=False),
        sa.Column("birth_date", sa.Date, nullable=False),
        sa.Column("identity_check_due", sa.Boolean, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("address_line", sa.Text, nullable=False),
        sa.Column("postal_code", sa.Text, nullable=False),
        sa.Column("locality", sa.Text, nullable=False),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("registered_by", ID, nullable=False),
        sa.Column("registered_with", sa.Text),
        sa.CheckConstraint("sex in ('F', 'M', 'X')", name="ck_patients_sex"),
        sa.CheckConstraint("language in ('fr', 'lb', 'pt', 'en', 'de')", name="ck_patients_language"),
    )
    op.create_table(
        "establishments",
        sa.Column("establishment_id", ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("registered_by", ID, nullable=False),
        sa.Column("registered_with", sa.Text),
        sa.CheckConstraint(
            "kind in ('practice', 'hospital', 'laboratory', 'pharmacy', 'care_network')", name="ck_establishments_kind"
        ),
    )
    op.create_table(
        "professionals",
        sa.Column("professional_id", ID, primary_key=True),
        sa.Column("family_name", sa.Text, nullable=False),
        sa.Column("first_name", sa.Text, nullable=False),
        sa.Column("profession", sa.Text, nullable=False),
        sa.Column("specialities", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("licence", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("address_line", sa.Text),
        sa.Column("postal_code", sa.Text),
        sa.Column("locality", sa.Text),
        sa.Column("country", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("names_folded", sa.Text, nullable=False),
        sa.Column("found_by", sa.Text, nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("registered_by", ID, nullable=False),
        sa.Column("registered_with", sa.Text),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("licence in ('valid', 'suspended', 'withdrawn')", name="ck_professionals_licence"),
        sa.CheckConstraint("language in ('fr', 'lb', 'pt', 'en', 'de')", name="ck_professionals_language"),
        sa.CheckConstraint("version > 0", name="ck_professionals_version"),
    )
    op.create_index(
        "ix_professionals_found_by",
        "professionals",
        ["found_by"],
        postgresql_using="gin",
        postgresql_ops={"found_by": "gin_trgm_ops"},
    )
    op.create_table(
        "workplaces",
        sa.Column(
            "professional_id",
            ID,
            sa.ForeignKey("professionals.professional_id", name="fk_workplaces_professional"),
            primary_key=True,
        ),
        sa.Column(
            "establishment_id",
            ID,
            sa.ForeignKey("establishments.establishment_id", name="fk_workplaces_establishment"),
            primary_key=True,
        ),
        sa.Column("since", MOMENT, primary_key=True),
        sa.Column("until", MOMENT),
    )
    op.create_index(
        "uq_workplaces_current",
        "workplaces",
        ["professional_id", "establishment_id"],
        unique=True,
        postgresql_where=sa.text("until is null"),
    )
    op.create_index("ix_workplaces_establishment", "workplaces", ["establishment_id"])
    create_matricules()


def create_matricules() -> None:
    """The constraints here are what keeps two registrations at once from making two people."""
    op.create_table(
        "matricules",
        sa.Column("matricule_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("matricule", sa.Text, nullable=False),
        sa.Column(
            "patient_id",
            ID,
            sa.ForeignKey("patients.patient_id", name="fk_matricules_patient", deferrable=True, initially="DEFERRED"),
        ),
        sa.Column(
            "professional_id",
            ID,
            sa.ForeignKey(
                "professionals.professional_id",
                name="fk_matricules_professional",
                deferrable=True,
                initially="DEFERRED",
            ),
        ),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.CheckConstraint("matricule ~ '^[0-9]{13}$'", name="ck_matricules_form"),
        sa.CheckConstraint("num_nonnulls(patient_id, professional_id) = 1", name="ck_matricules_one_person"),
    )
    for person in ("patient", "professional"):
        op.create_index(
            f"uq_matricules_{person}",
            "matricules",
            ["matricule"],
            unique=True,
            postgresql_where=sa.text(f"{person}_id is not null"),
        )
        op.create_index(
            f"uq_matricules_current_of_{person}",
            "matricules",
            [f"{person}_id"],
            unique=True,
            postgresql_where=sa.text(f"until is null and {person}_id is not null"),
        )
