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

    The address is the registered one, where letters go; further ones are in `patient_addresses`.
    `identity_check_due`: the birth date is not the one in the matricule, an agent should look at the papers again.
    `registered_by`, `changed_by`: null for a load. `version` counts the changes of the sheet. `keys` are what it is
    found by (rules_blocking), made when the row is written. `compared_at`: when it was last looked at beside others
    that may be the same person. `merged_into`: the sheet that speaks for this one since two were found to be one.
    """

    __tablename__ = "patients"
    __table_args__ = (
        sa.CheckConstraint("sex in ('F', 'M', 'X')", name="ck_patients_sex"),
        sa.CheckConstraint("language in ('fr', 'lb', 'pt', 'en', 'de')", name="ck_patients_language"),
        sa.CheckConstraint(
            "birth_date_evidence in ('unknown', 'declared', 'identity_document', 'civil_register', 'provisional')",
            name="ck_patients_evidence",
        ),
        sa.CheckConstraint(
            "marital_status in ('single', 'married', 'partnership', 'separated', 'divorced', 'widowed')",
            name="ck_patients_marital_status",
        ),
        sa.CheckConstraint("merged_into <> patient_id", name="ck_patients_merged_into_another"),
        sa.CheckConstraint("version > 0", name="ck_patients_version"),
        # What is still to be sorted into the index is read by every search: the usual 4 MB cost it 35 ms.
        sa.Index("ix_patients_keys", "keys", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 256}),
        sa.Index("ix_patients_uncompared", "patient_id", postgresql_where=sa.text("compared_at is null")),
        sa.Index("ix_patients_merged_into", "merged_into", postgresql_where=sa.text("merged_into is not null")),
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
    birth_date_evidence: Mapped[str] = mapped_column(sa.Text, server_default="unknown")
    birth_place: Mapped[str | None] = mapped_column(sa.Text)
    birth_commune: Mapped[str | None] = mapped_column(sa.Text)
    birth_postal_code: Mapped[str | None] = mapped_column(sa.Text)
    birth_country: Mapped[str | None] = mapped_column(sa.Text)
    marital_status: Mapped[str | None] = mapped_column(sa.Text)
    mobile: Mapped[str | None] = mapped_column(sa.Text)
    phone: Mapped[str | None] = mapped_column(sa.Text)
    email: Mapped[str | None] = mapped_column(sa.Text)
    registered_at: Mapped[dt.datetime] = mapped_column(Moment)
    registered_by: Mapped[str | None] = mapped_column(Id)
    registered_with: Mapped[str | None] = mapped_column(sa.Text)
    changed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    changed_by: Mapped[str | None] = mapped_column(Id)
    changed_with: Mapped[str | None] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    keys: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), server_default="{}")
    compared_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    merged_into: Mapped[str | None] = mapped_column(Id, sa.ForeignKey("patients.patient_id", name="fk_patients_merged"))


class PatientAddress(Model):
    """A further address of a patient, beside the registered one of the sheet [seed 002, Adresses]."""

    __tablename__ = "patient_addresses"
    __table_args__ = (
        sa.CheckConstraint("use in ('home', 'temporary', 'postal')", name="ck_patient_addresses_use"),
        sa.Index("ix_patient_addresses_patient", "patient_id"),
    )

    address_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("patients.patient_id", name="fk_patient_addresses_patient")
    )
    use: Mapped[str] = mapped_column(sa.Text)
    line: Mapped[str] = mapped_column(sa.Text)
    postal_code: Mapped[str] = mapped_column(sa.Text)
    locality: Mapped[str] = mapped_column(sa.Text)
    country: Mapped[str] = mapped_column(sa.Text)


class PatientIdentifier(Model):
    """A patient's number in another system: federator, region, hospital; the matricule has a table of its own."""

    __tablename__ = "patient_identifiers"
    __table_args__ = (sa.Index("ix_patient_identifiers_patient", "patient_id"),)

    system: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    value: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    patient_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("patients.patient_id", name="fk_patient_identifiers_patient", deferrable=True,
                          initially="DEFERRED")
    )  # fmt: skip
    since: Mapped[dt.datetime] = mapped_column(Moment)


class PatientChange(Model):
    """One field of an identity sheet that changed: who, when, with which software, old and new [seed 002]."""

    __tablename__ = "patient_changes"
    __table_args__ = (sa.Index("ix_patient_changes_patient", "patient_id", "at", "change_id"),)

    change_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("patients.patient_id", name="fk_patient_changes_patient"))
    at: Mapped[dt.datetime] = mapped_column(Moment)
    account_id: Mapped[str | None] = mapped_column(Id)
    software: Mapped[str | None] = mapped_column(sa.Text)
    field: Mapped[str] = mapped_column(sa.Text)
    old: Mapped[str | None] = mapped_column(sa.Text)
    new: Mapped[str | None] = mapped_column(sa.Text)


class Merge(Model):
    """Two sheets that are one person's: the survivor speaks for both until the merge is undone."""

    __tablename__ = "merges"
    __table_args__ = (
        sa.CheckConstraint("survivor_id <> merged_id", name="ck_merges_two_people"),
        sa.CheckConstraint("(undone_at is null) = (undone_by is null)", name="ck_merges_undone"),
        sa.Index("uq_merges_running", "merged_id", unique=True, postgresql_where=sa.text("undone_at is null")),
        sa.Index("ix_merges_survivor", "survivor_id"),
    )

    merge_id: Mapped[str] = mapped_column(Id, primary_key=True)
    survivor_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("patients.patient_id", name="fk_merges_survivor"))
    merged_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("patients.patient_id", name="fk_merges_merged"))
    reason: Mapped[str] = mapped_column(sa.Text)
    merged_at: Mapped[dt.datetime] = mapped_column(Moment)
    merged_by: Mapped[str] = mapped_column(Id)
    undone_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    undone_by: Mapped[str | None] = mapped_column(Id)


class PossibleDuplicate(Model):
    """Two sheets that may be one person's, for an agent to look at; the smaller id comes first."""

    __tablename__ = "possible_duplicates"
    __table_args__ = (
        sa.CheckConstraint("one_id < other_id", name="ck_possible_duplicates_order"),
        sa.CheckConstraint("rate between 0 and 100", name="ck_possible_duplicates_rate"),
        sa.CheckConstraint("settled in ('merged', 'distinct')", name="ck_possible_duplicates_settled"),
        sa.Index("ix_possible_duplicates_open", "rate", "one_id", "other_id",
                 postgresql_where=sa.text("settled is null")),
        sa.Index("ix_possible_duplicates_other", "other_id"),
    )  # fmt: skip

    one_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("patients.patient_id", name="fk_possible_duplicates_one"), primary_key=True
    )
    other_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("patients.patient_id", name="fk_possible_duplicates_other"), primary_key=True
    )
    rate: Mapped[int] = mapped_column(sa.SmallInteger)
    found_at: Mapped[dt.datetime] = mapped_column(Moment)
    settled: Mapped[str | None] = mapped_column(sa.Text)
    settled_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    settled_by: Mapped[str | None] = mapped_column(Id)


class Establishment(Model):
    """A practice, hospital, laboratory, pharmacy or care network.

    `found_by` is what searching compares; `closed_at` is null while it is open.
    """

    __tablename__ = "establishments"
    __table_args__ = (
        sa.CheckConstraint(
            "kind in ('practice', 'hospital', 'laboratory', 'pharmacy', 'care_network', 'health_fund')",
            name="ck_establishments_kind",
        ),
        sa.Index(
            "ix_establishments_found_by",
            "found_by",
            postgresql_using="gin",
            postgresql_ops={"found_by": "gin_trgm_ops"},
        ),
    )

    establishment_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    address_line: Mapped[str | None] = mapped_column(sa.Text)
    postal_code: Mapped[str | None] = mapped_column(sa.Text)
    locality: Mapped[str | None] = mapped_column(sa.Text)
    country: Mapped[str | None] = mapped_column(sa.Text)
    found_by: Mapped[str] = mapped_column(sa.Text, server_default="")
    closed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    registered_at: Mapped[dt.datetime] = mapped_column(Moment)
    registered_by: Mapped[str | None] = mapped_column(Id)
    registered_with: Mapped[str | None] = mapped_column(sa.Text)


class Professional(Model):
    """A health professional; `version` counts what `professional_updated.v1` has told of them.

    `names_folded` and `found_by` hold what searching compares, spelt by the rules when the row is written.
    `licence` is the state of now; `licence_due_at` is when it changes next by itself, as the licences noted say.
    """

    __tablename__ = "professionals"
    __table_args__ = (
        sa.CheckConstraint("licence in ('valid', 'suspended', 'withdrawn')", name="ck_professionals_licence"),
        sa.CheckConstraint("language in ('fr', 'lb', 'pt', 'en', 'de')", name="ck_professionals_language"),
        sa.CheckConstraint("version > 0", name="ck_professionals_version"),
        sa.Index("ix_professionals_named", "names_folded", postgresql_using="gin",
                 postgresql_ops={"names_folded": "gin_trgm_ops"}, postgresql_with={"gin_pending_list_limit": 256}),
        # What stands behind the names in found_by, by itself.
        sa.Index("ix_professionals_care", sa.literal_column("substr(found_by, length(names_folded) + 1)").label("care"),
                 postgresql_using="gin", postgresql_ops={"care": "gin_trgm_ops"},
                 postgresql_with={"gin_pending_list_limit": 256}),
        sa.Index("ix_professionals_names", "names_folded", "professional_id"),
        sa.Index("ix_professionals_licence_due", "licence_due_at",
                 postgresql_where=sa.text("licence_due_at is not null")),
    )  # fmt: skip

    professional_id: Mapped[str] = mapped_column(Id, primary_key=True)
    family_name: Mapped[str] = mapped_column(sa.Text)
    first_name: Mapped[str] = mapped_column(sa.Text)
    profession: Mapped[str] = mapped_column(sa.Text)
    specialities: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    licence: Mapped[str] = mapped_column(sa.Text)
    licence_due_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    language: Mapped[str] = mapped_column(sa.Text)
    address_line: Mapped[str | None] = mapped_column(sa.Text)
    postal_code: Mapped[str | None] = mapped_column(sa.Text)
    locality: Mapped[str | None] = mapped_column(sa.Text)
    country: Mapped[str | None] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(sa.Integer)
    names_folded: Mapped[str] = mapped_column(sa.Text)
    found_by: Mapped[str] = mapped_column(sa.Text)
    registered_at: Mapped[dt.datetime] = mapped_column(Moment)
    registered_by: Mapped[str | None] = mapped_column(Id)
    registered_with: Mapped[str | None] = mapped_column(sa.Text)
    updated_at: Mapped[dt.datetime] = mapped_column(Moment)


class Licence(Model):
    """A licence state of a professional, from one moment to another: the last one whose time has come holds.

    `until`: when a temporary stop ends by itself; null for what stays until it is changed. Of two that begin at one
    moment the one noted later holds, so that what was planned is called off without being overwritten.
    """

    __tablename__ = "licences"
    __table_args__ = (
        sa.CheckConstraint("state in ('valid', 'suspended', 'withdrawn')", name="ck_licences_state"),
        sa.CheckConstraint("until > since", name="ck_licences_period"),
    )

    professional_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("professionals.professional_id", name="fk_licences_professional"), primary_key=True
    )
    since: Mapped[dt.datetime] = mapped_column(Moment, primary_key=True)
    noted_at: Mapped[dt.datetime] = mapped_column(Moment, primary_key=True, server_default=sa.func.now())
    state: Mapped[str] = mapped_column(sa.Text)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
    noted_by: Mapped[str | None] = mapped_column(Id)


class Workplace(Model):
    """Where a professional works or worked; `until` is null while they still do.

    emergency: attached to the emergency service there; whose attachment changes ends here and begins anew.
    """

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
    emergency: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())


class Matricule(Model):
    """A matricule somebody has or had: as a patient, as a professional, or one row for each.

    One person per matricule and kind for ever, one current matricule per person: the database holds both, so two
    registrations at once cannot make two people. The person's row may come later in the same transaction.
    """

    __tablename__ = "matricules"
    __table_args__ = (
        sa.CheckConstraint("matricule ~ '^[0-9]{13}$'", name="ck_matricules_form"),
        sa.CheckConstraint("num_nonnulls(patient_id, professional_id) = 1", name="ck_matricules_one_person"),
        sa.CheckConstraint("cause in ('correction', 'adoption', 'other')", name="ck_matricules_cause"),
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
    cause: Mapped[str | None] = mapped_column(sa.Text)
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
