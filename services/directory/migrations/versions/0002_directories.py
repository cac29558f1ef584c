"""Whole identity sheets with their history, merging, licences over time, opening requests, loads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from services.directory.rules import searchable_establishment, searchable_names, searchable_text
from services.directory.rules_blocking import stored_keys

revision = "0002"
down_revision = "0001"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)
AT_ONCE = 2000


def upgrade() -> None:
    _sheets()
    _beside_the_sheets()
    _merging()
    _establishments()
    _licences()
    _work_under_way()
    _fill_what_is_searched()


def _sheets() -> None:
    op.add_column(
        "patients", sa.Column("birth_date_evidence", sa.Text, nullable=False, server_default=sa.text("'unknown'"))
    )
    for name in ("birth_place", "birth_commune", "birth_postal_code", "birth_country", "marital_status", "mobile",
                 "phone", "email", "changed_with"):  # fmt: skip
        op.add_column("patients", sa.Column(name, sa.Text))
    op.add_column("patients", sa.Column("changed_at", MOMENT))
    op.add_column("patients", sa.Column("changed_by", ID))
    op.add_column("patients", sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.add_column("patients", sa.Column("keys", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("patients", sa.Column("compared_at", MOMENT))
    op.add_column(
        "patients", sa.Column("merged_into", ID, sa.ForeignKey("patients.patient_id", name="fk_patients_merged"))
    )
    op.alter_column("patients", "registered_by", nullable=True)
    checks = {
        "ck_patients_evidence": "birth_date_evidence in "
        "('unknown', 'declared', 'identity_document', 'civil_register', 'provisional')",
        "ck_patients_marital_status": "marital_status in "
        "('single', 'married', 'partnership', 'separated', 'divorced', 'widowed')",
        "ck_patients_merged_into_another": "merged_into <> patient_id",
        "ck_patients_version": "version > 0",
    }
    for name, condition in checks.items():
        op.create_check_constraint(op.f(name), "patients", condition)
    op.create_index(
        "ix_patients_keys", "patients", ["keys"], postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )  # fmt: skip
    op.create_index(
        "ix_patients_uncompared", "patients", ["patient_id"], postgresql_where=sa.text("compared_at is null")
    )
    op.create_index(
        "ix_patients_merged_into", "patients", ["merged_into"], postgresql_where=sa.text("merged_into is not null")
    )
    op.add_column("matricules", sa.Column("cause", sa.Text))
    op.create_check_constraint(
        op.f("ck_matricules_cause"), "matricules", "cause in ('correction', 'adoption', 'other')"
    )


def _of_patient(name: str, column: str = "patient_id", **more: object) -> sa.Column[str]:
    return sa.Column(column, ID, sa.ForeignKey("patients.patient_id", name=name, **more), nullable=False)


def _beside_the_sheets() -> None:
    op.create_table(
        "patient_addresses",
        sa.Column("address_id", ID, primary_key=True),
        _of_patient("fk_patient_addresses_patient"),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("use", "line", "postal_code", "locality", "country")),
        sa.CheckConstraint("use in ('home', 'temporary', 'postal')", name="ck_patient_addresses_use"),
    )
    op.create_index("ix_patient_addresses_patient", "patient_addresses", ["patient_id"])
    op.create_table(
        "patient_identifiers",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        _of_patient("fk_patient_identifiers_patient", deferrable=True, initially="DEFERRED"),
        sa.Column("since", MOMENT, nullable=False),
    )
    op.create_index("ix_patient_identifiers_patient", "patient_identifiers", ["patient_id"])
    op.create_table(
        "patient_changes",
        sa.Column("change_id", ID, primary_key=True),
        _of_patient("fk_patient_changes_patient"),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("account_id", ID),
        sa.Column("software", sa.Text),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text),
    )
    op.create_index("ix_patient_changes_patient", "patient_changes", ["patient_id", "at", "change_id"])


def _merging() -> None:
    op.create_table(
        "merges",
        sa.Column("merge_id", ID, primary_key=True),
        _of_patient("fk_merges_survivor", "survivor_id"),
        _of_patient("fk_merges_merged", "merged_id"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("merged_at", MOMENT, nullable=False),
        sa.Column("merged_by", ID, nullable=False),
        sa.Column("undone_at", MOMENT),
        sa.Column("undone_by", ID),
        sa.CheckConstraint("survivor_id <> merged_id", name="ck_merges_two_people"),
        sa.CheckConstraint("(undone_at is null) = (undone_by is null)", name="ck_merges_undone"),
    )
    op.create_index(
        "uq_merges_running", "merges", ["merged_id"], unique=True, postgresql_where=sa.text("undone_at is null")
    )
    op.create_index("ix_merges_survivor", "merges", ["survivor_id"])
    op.create_table(
        "possible_duplicates",
        *(
            sa.Column(
                column, ID, sa.ForeignKey("patients.patient_id", name=f"fk_possible_duplicates_{which}"),
                primary_key=True,
            )
            for column, which in (("one_id", "one"), ("other_id", "other"))
        ),
        sa.Column("rate", sa.SmallInteger, nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("settled", sa.Text),
        sa.Column("settled_at", MOMENT),
        sa.Column("settled_by", ID),
        sa.CheckConstraint("one_id < other_id", name="ck_possible_duplicates_order"),
        sa.CheckConstraint("rate between 0 and 100", name="ck_possible_duplicates_rate"),
        sa.CheckConstraint("settled in ('merged', 'distinct')", name="ck_possible_duplicates_settled"),
    )  # fmt: skip
    op.create_index(
        "ix_possible_duplicates_open", "possible_duplicates", ["rate", "one_id", "other_id"],
        postgresql_where=sa.text("settled is null"),
    )  # fmt: skip
    op.create_index("ix_possible_duplicates_other", "possible_duplicates", ["other_id"])


def _establishments() -> None:
    for name in ("address_line", "postal_code", "locality", "country"):
        op.add_column("establishments", sa.Column(name, sa.Text))
    op.add_column("establishments", sa.Column("found_by", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("establishments", sa.Column("closed_at", MOMENT))
    op.alter_column("establishments", "registered_by", nullable=True)
    op.create_index(
        "ix_establishments_found_by", "establishments", ["found_by"], postgresql_using="gin",
        postgresql_ops={"found_by": "gin_trgm_ops"},
    )  # fmt: skip


def _licences() -> None:
    op.alter_column("professionals", "registered_by", nullable=True)
    op.add_column("professionals", sa.Column("licence_due_at", MOMENT))
    op.create_index("ix_professionals_names", "professionals", ["names_folded", "professional_id"])
    op.create_index(
        "ix_professionals_named", "professionals", ["names_folded"], postgresql_using="gin",
        postgresql_ops={"names_folded": "gin_trgm_ops"}, postgresql_with={"gin_pending_list_limit": 256},
    )  # fmt: skip
    op.create_index(
        "ix_professionals_care", "professionals",
        [sa.literal_column("substr(found_by, length(names_folded) + 1)").label("care")], postgresql_using="gin",
        postgresql_ops={"care": "gin_trgm_ops"}, postgresql_with={"gin_pending_list_limit": 256},
    )  # fmt: skip
    op.drop_index("ix_professionals_found_by", "professionals")
    op.create_index(
        "ix_professionals_licence_due", "professionals", ["licence_due_at"],
        postgresql_where=sa.text("licence_due_at is not null"),
    )  # fmt: skip
    op.create_table(
        "licences",
        sa.Column(
            "professional_id", ID, sa.ForeignKey("professionals.professional_id", name="fk_licences_professional"),
            primary_key=True,
        ),
        sa.Column("since", MOMENT, primary_key=True),
        sa.Column("noted_at", MOMENT, primary_key=True, server_default=sa.func.now()),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("noted_by", ID),
        sa.CheckConstraint("state in ('valid', 'suspended', 'withdrawn')", name="ck_licences_state"),
        sa.CheckConstraint("until > since", name="ck_licences_period"),
    )  # fmt: skip
    # When a state began was not kept so far: the last change of the entry is the latest it can have been.
    op.execute("insert into licences (professional_id, since, state) "
               "select professional_id, case licence when 'valid' then registered_at else updated_at end, licence "
               "from professionals")  # fmt: skip


def _work_under_way() -> None:
    text = ("matricule", "birth_name", "usual_name", "first_names", "sex", "address_line", "postal_code", "locality",
            "country", "email", "phone", "checked_with", "checked_by_name", "reason")  # fmt: skip
    op.create_table(
        "opening_requests",
        sa.Column("request_id", ID, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False)
          for name in ("reference", "state", "language", "statement_version", "signed_at")),
        sa.Column("tracking_digest", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text) for name in text),
        sa.Column("birth_date", sa.Date),
        sa.Column("signed_on", sa.Date, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("due_by", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT),
        sa.Column("checked_by", ID),
        sa.Column("decided_at", MOMENT),
        sa.Column("decided_by", ID),
        sa.Column("patient_id", ID, sa.ForeignKey("patients.patient_id", name="fk_opening_requests_patient")),
        sa.CheckConstraint(
            "state in ('received', 'checked', 'accepted', 'refused', 'withdrawn')", name="ck_opening_requests_state"
        ),
        sa.CheckConstraint("sex in ('F', 'M', 'X')", name="ck_opening_requests_sex"),
        sa.CheckConstraint(
            "checked_with in ('identity_card', 'social_security_card')", name="ck_opening_requests_checked_with"
        ),
        sa.CheckConstraint("(state = 'accepted') = (patient_id is not null)", name="ck_opening_requests_accepted"),
    )  # fmt: skip
    op.create_index("uq_opening_requests_reference", "opening_requests", ["reference"], unique=True)
    op.create_index("ix_opening_requests_due", "opening_requests", ["state", "due_by", "request_id"])
    op.create_table(
        "loads",
        sa.Column("load_id", ID, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("source_digest", sa.LargeBinary, nullable=False),
        sa.Column("opens_records", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False)
          for name in ("position", "lines", "added", "changed", "unchanged", "refused")),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.CheckConstraint("kind in ('patients', 'professionals', 'establishments')", name="ck_loads_kind"),
        sa.CheckConstraint("form in ('csv', 'ndjson')", name="ck_loads_form"),
    )  # fmt: skip
    op.create_index("uq_loads_source", "loads", ["kind", "source_digest"], unique=True)
    op.create_table(
        "search_counts",
        sa.Column("searcher", sa.Text, primary_key=True),
        sa.Column("stretch", MOMENT, primary_key=True),
        sa.Column("searches", sa.Integer, nullable=False),
    )


def _fill_what_is_searched() -> None:
    """What is folded when a row is written, for the rows that were written before."""
    connection = op.get_bind()
    sheets = connection.execute(sa.text(
        "select p.patient_id, p.birth_name, p.usual_name, p.first_names, p.sex, p.birth_date, m.matricule "
        "from patients p left join matricules m on m.patient_id = p.patient_id and m.until is null"
    ).execution_options(yield_per=AT_ONCE))  # fmt: skip
    for rows in sheets.partitions():
        keyed = [{"patient_id": row.patient_id, "keys": _keys(row)} for row in rows]
        connection.execute(sa.text("update patients set keys = :keys where patient_id = :patient_id"), keyed)
    for row in connection.execute(sa.text("select establishment_id, name, kind from establishments")).all():
        connection.execute(
            sa.text("update establishments set found_by = :found_by where establishment_id = :establishment_id"),
            {"establishment_id": row.establishment_id, "found_by": searchable_establishment(row.name, row.kind)},
        )
    carers = connection.execute(sa.text(
        "select professional_id, family_name, first_name, profession, specialities from professionals"
    ).execution_options(yield_per=AT_ONCE))  # fmt: skip
    for rows in carers.partitions():
        connection.execute(
            sa.text("update professionals set names_folded = :names, found_by = :found_by "
                    "where professional_id = :professional_id"),
            [{"professional_id": row.professional_id,
              "names": searchable_names(row.family_name, row.first_name),
              "found_by": searchable_text(row.family_name, row.first_name, row.profession, row.specialities)}
             for row in rows],
        )  # fmt: skip


def _keys(row: sa.Row) -> list[str]:
    return stored_keys(row.birth_name, row.usual_name, row.first_names, row.birth_date, row.sex, row.matricule)
