"""Directory's tables: identity sheets, professionals and where they work, and every matricule anybody ever had."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = sa.Uuid(as_uuid=False)
Moment = sa.DateTime(timezone=True)


class Model(DeclarativeBase):
    """Base of the tables of directory."""


metadata = Model.metadata


class Patient(Model):
    """A patient's identity sheet [seed 002]; the id outlives every change of matricule.

    `identity_check_due`: the birth date is not the one in the matricule, an agent should look at the papers again.
    """

    __tablename__ = "patients"
    __table_args__ = (
        sa.CheckConstraint("sex in ('F', 'M', 'X')", name="ck_patients_sex"),
        sa.CheckConstraint("language in ('fr', 'lb', 'pt', 'en', 'de')", name="ck_patients_language"),
    )

    patient_id: Mapped[str] = mapped_column(Id, primary_key=True)
    birth_name: Mapped[str] = mapped_column(sa.Text)
    usual_name: Mapped[str | None] = mapped_column(sa.Text)
    first_names: Mapped[str] = mapped_column(sa.Text)
    sex: Mapped[str] = mapped_column(sa.Text)
    birth_date: Mapped[dt.date] = mapped_column(sa.Date)
    identity_check_due: Mapped[bool] = mapped_column(sa.Boolean)
    language: Mapped[str] = mapped_column(sa.Text)
    address_line: Mapped[str] = mapped_column(sa.Text)
    postal_code: Mapped[str] = mapped_column(sa.Text)
    locality: Mapped[str] = mapped_column(sa.Text)
    country: Mapped[str] = mapped_column(sa.Text)
    registered_at: Mapped[dt.datetime] = mapped_column(Moment)
    registered_by: Mapped[str] = mapped_column(Id)
    registered_with: Mapped[str | None] = mapped_column(sa.Text)


class Establishment(Model):
    """A practice, hospital, laboratory, pharmacy or care network."""

    __tablename__ = "establishments"
    __table_args__ = (
        sa.CheckConstraint(
            "kind in ('practice', 'hospital', 'laboratory', 'pharmacy', 'care_network')", name="ck_establishments_kind"
        ),
    )

    establishment_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    registered_at: Mapped[dt.datetime] = mapped_column(Moment)
    registered_by: Mapped[str] = mapped_column(Id)
    registered_with: Mapped[str | None] = mapped_column(sa.Text)


class Professional(Model):
    """A health professional; `version` counts what `professional_updated.v1` has told of them.

    `names_folded` and `found_by` hold what searching compares, folded by rules.fold when the row is written.
    """

    __tablename__ = "professionals"
    __table_args__ = (
        sa.CheckConstraint("licence in ('valid', 'suspended', 'withdrawn')", name="ck_professionals_licence"),
        sa.CheckConstraint("language in ('fr', 'lb', 'pt', 'en', 'de')", name="ck_professionals_language"),
        sa.CheckConstraint("version > 0", name="ck_professionals_version"),
        sa.Index(
            "ix_professionals_found_by",
            "found_by",
            postgresql_using="gin",
            postgresql_ops={"found_by": "gin_trgm_ops"},
        ),
    )

    professional_id: Mapped[str] = mapped_column(Id, primary_key=True)
    family_name: Mapped[str] = mapped_column(sa.Text)
    first_name: Mapped[str] = mapped_column(sa.Text)
    profession: Mapped[str] = mapped_column(sa.Text)
    specialities: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    licence: Mapped[str] = mapped_column(sa.Text)
    language: Mapped[str] = mapped_column(sa.Text)
    address_line: Mapped[str | None] = mapped_column(sa.Text)
    postal_code: Mapped[str | None] = mapped_column(sa.Text)
    locality: Mapped[str | None] = mapped_column(sa.Text)
    country: Mapped[str | None] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(sa.Integer)
    names_folded: Mapped[str] = mapped_column(sa.Text)
    found_by: Mapped[str] = mapped_column(sa.Text)
    registered_at: Mapped[dt.datetime] = mapped_column(Moment)
    registered_by: Mapped[str] = mapped_column(Id)
    registered_with: Mapped[str | None] = mapped_column(sa.Text)
    updated_at: Mapped[dt.datetime] = mapped_column(Moment)


class Workplace(Model):
    """Where a professional works or worked; `until` is null while they still do."""

    __tablename__ = "workplaces"
    __table_args__ = (
        sa.Index(
            "uq_workplaces_current",
            "professional_id",
            "establishment_id",
            unique=True,
            postgresql_where=sa.text("until is null"),
        ),
        sa.Index("ix_workplaces_establishment", "establishment_id"),
    )

    professional_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("professionals.professional_id", name="fk_workplaces_professional"), primary_key=True
    )
    establishment_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("establishments.establishment_id", name="fk_workplaces_establishment"), primary_key=True
    )
    since: Mapped[dt.datetime] = mapped_column(Moment, primary_key=True)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)


class Matricule(Model):
    """A matricule somebody has or had: as a patient, as a professional, or one row for each.

    One person per matricule and kind for ever, one current matricule per person: the database holds both, so two
    registrations at once cannot make two people. The person's row may come later in the same transaction.
    """

    __tablename__ = "matricules"
    __table_args__ = (
        sa.CheckConstraint("matricule ~ '^[0-9]{13}$'", name="ck_matricules_form"),
        sa.CheckConstraint("num_nonnulls(patient_id, professional_id) = 1", name="ck_matricules_one_person"),
        sa.Index(
            "uq_matricules_patient",
            "matricule",
            unique=True,
            postgresql_where=sa.text("patient_id is not null"),
        ),
        sa.Index(
            "uq_matricules_professional",
            "matricule",
            unique=True,
            postgresql_where=sa.text("professional_id is not null"),
        ),
        sa.Index(
            "uq_matricules_current_of_patient",
            "patient_id",
            unique=True,
            postgresql_where=sa.text("until is null and patient_id is not null"),
        ),
        sa.Index(
            "uq_matricules_current_of_professional",
            "professional_id",
            unique=True,
            postgresql_where=sa.text("until is null and professional_id is not null"),
        ),
    )

    matricule_id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    matricule: Mapped[str] = mapped_column(sa.Text)
    patient_id: Mapped[str | None] = mapped_column(
        Id,
        sa.ForeignKey("patients.patient_id", name="fk_matricules_patient", deferrable=True, initially="DEFERRED"),
    )
    professional_id: Mapped[str | None] = mapped_column(
        Id,
        sa.ForeignKey(
            "professionals.professional_id", name="fk_matricules_professional", deferrable=True, initially="DEFERRED"
        ),
    )
    since: Mapped[dt.datetime] = mapped_column(Moment)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
