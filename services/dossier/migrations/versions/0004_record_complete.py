"""The record complete: its entourage, grounds of every kind, settings with history, what falls due, reviews."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0004"
down_revision = "0003"

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _records_and_professionals()
    _grants()
    _entourage()
    _desk()
    _life()


def _of_record(table: str) -> sa.ForeignKey:
    return sa.ForeignKey("records.record_id", name=f"fk_{table}_record")


def _records_and_professionals() -> None:
    for name, default in (("emergency", "normal"), ("responsibility", "allowed"), ("autonomous_minor", "no")):
        op.add_column("records", sa.Column(name, sa.Text, nullable=False, server_default=default))
    op.add_column("records", sa.Column("default_levels", JSONB, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("records", sa.Column("last_access_on", sa.Date))
    op.add_column(
        "professionals", sa.Column("emergency_establishment_ids", ARRAY(ID), nullable=False, server_default="{}")
    )
    op.add_column("professionals", sa.Column("stopped_at", MOMENT))
    op.create_index("ix_professionals_establishments", "professionals", ["establishment_ids"], postgresql_using="gin")
    op.create_table(
        "professional_periods",
        sa.Column("professional_id", ID, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("profession", sa.Text, nullable=False),
        sa.Column("licence", sa.Text, nullable=False),
        sa.Column("establishment_ids", ARRAY(ID), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
    )
    op.create_index("ix_professional_periods_since", "professional_periods", ["professional_id", "since"])
    op.create_index(
        "ix_professional_periods_establishments", "professional_periods", ["establishment_ids"], postgresql_using="gin"
    )
    # What is known of the past is what is known now: taken to have been so from the beginning.
    op.execute(
        "insert into professional_periods (professional_id, version, profession, licence, establishment_ids, since)"
        " select professional_id, version, profession, licence, establishment_ids, timestamptz '2019-12-06 00:00+00'"
        " from professionals"
    )


def _grants() -> None:
    op.add_column("blocklist", sa.Column("account_id", ID))
    op.add_column("blocklist", sa.Column("risk_version", sa.Text))
    op.add_column("circle_members", sa.Column("ends_at", MOMENT))
    op.create_index(
        "ix_circle_members_professional", "circle_members", ["professional_id"],
        postgresql_where=sa.text("until is null"),
    )  # fmt: skip
    op.alter_column("mandates", "professional_id", nullable=True)
    for name, kind in (
        ("opened_by", ID), ("ended_by", ID), ("reference", sa.Text), ("closes_at", MOMENT),
        ("reason_category", sa.Text), ("reason", sa.Text), ("consent_at", MOMENT),
    ):  # fmt: skip
        op.add_column("mandates", sa.Column(name, kind))
    op.add_column("mandates", sa.Column("prolonged_days", sa.Integer, nullable=False, server_default="0"))
    op.create_check_constraint(
        op.f("ck_mandates_whose"), "mandates", "professional_id is not null or establishment_id is not null"
    )
    op.create_index(
        "ix_mandates_record_establishment", "mandates", ["record_id", "establishment_id"],
        postgresql_where=sa.text("professional_id is null"),
    )  # fmt: skip
    op.create_index(
        "ix_mandates_professional", "mandates", ["professional_id", "deposit_until"],
        postgresql_where=sa.text("ended_at is null"),
    )  # fmt: skip
    op.create_index(
        "ix_mandates_establishment", "mandates", ["establishment_id", "deposit_until"],
        postgresql_where=sa.text("professional_id is null and ended_at is null"),
    )  # fmt: skip
    op.create_index(
        "uq_mandates_reference", "mandates", ["record_id", "establishment_id", "kind", "reference"], unique=True,
        postgresql_where=sa.text("reference is not null and copied_from is null"),
    )  # fmt: skip
    op.add_column("first_accesses", sa.Column("last_at", MOMENT))
    op.execute("update first_accesses set last_at = at")
    op.alter_column("first_accesses", "last_at", nullable=False)
    op.create_index("ix_first_accesses_professional", "first_accesses", ["professional_id", "last_at"])


def _entourage() -> None:
    op.create_table(
        "representatives",
        sa.Column("representative_id", ID, primary_key=True),
        sa.Column("record_id", ID, _of_record("representatives"), nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("until_cause", sa.Text, nullable=False),
        sa.Column("together_until", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("recorded_by", ID, nullable=False),
        sa.Column("ended_by", ID),
        sa.Column("copied_from", ID),
    )
    op.create_table(
        "sittings",
        sa.Column("sitting_id", ID, primary_key=True),
        sa.Column(
            "representative_id", ID,
            sa.ForeignKey("representatives.representative_id", name="fk_sittings_representative"), nullable=False,
        ),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
    )  # fmt: skip
    op.create_index("ix_sittings_representative", "sittings", ["representative_id", "since"])
    op.create_table(
        "assistants",
        sa.Column("assistant_id", ID, primary_key=True),
        sa.Column("record_id", ID, _of_record("assistants"), nullable=False),
        sa.Column("patient_id", ID),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("invited_by", ID, nullable=False),
        sa.Column("invited_at", MOMENT, nullable=False),
        sa.Column("code_digests", ARRAY(sa.LargeBinary), nullable=False, server_default="{}"),
        sa.Column("code_until", MOMENT, nullable=False),
        sa.Column("accepted_at", MOMENT),
        sa.Column("until", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("ended_by", ID),
        sa.Column("copied_from", ID),
        sa.CheckConstraint("(accepted_at is null) = (patient_id is null)", name="ck_assistants_accepted"),
    )
    op.create_index("ix_assistants_codes", "assistants", ["code_digests"], postgresql_using="gin")
    op.create_index("ix_patient_merges_speaks", "patient_merges", ["speaks_id"])
    for table in ("representatives", "assistants"):
        op.create_index(f"ix_{table}_record", table, ["record_id", "patient_id"])
        op.create_index(f"ix_{table}_patient", table, ["patient_id"], postgresql_where=sa.text("ended_at is null"))
    op.create_table(
        "referring_physicians",
        sa.Column("designation_id", ID, primary_key=True),
        sa.Column("record_id", ID, _of_record("referring"), nullable=False),
        sa.Column(
            "professional_id", ID, sa.ForeignKey("professionals.professional_id", name="fk_referring_professional"),
            nullable=False,
        ),
        sa.Column("replaces_id", ID),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("holder_signed_at", MOMENT),
        sa.Column("physician_signed_at", MOMENT),
        sa.Column("notified_at", MOMENT),
        sa.Column("effective_at", MOMENT),
        sa.Column("ends_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("end_cause", sa.Text),
        sa.Column("end_asked_by", sa.Text),
        sa.Column("ended_by", ID),
        sa.Column("copied_from", ID),
        sa.CheckConstraint("proposed_by in ('holder', 'professional', 'health_fund')", name="ck_referring_proposed"),
        sa.CheckConstraint(
            "effective_at is null or proposed_by = 'health_fund'"
            " or (holder_signed_at is not null and physician_signed_at is not null)",
            name="ck_referring_signed",
        ),
    )  # fmt: skip
    op.create_index("ix_referring_physicians_record", "referring_physicians", ["record_id", "professional_id"])
    op.create_index(
        "ix_referring_physicians_professional", "referring_physicians", ["professional_id"],
        postgresql_where=sa.text("ended_at is null"),
    )  # fmt: skip
    op.create_index(
        "ix_referring_physicians_replaces", "referring_physicians", ["replaces_id"],
        postgresql_where=sa.text("replaces_id is not null"),
    )  # fmt: skip
    op.execute(_REFERRING_GRANTS)


# When a designation is a ground: while it counts, without the times in which somebody stood in. What the health fund
# told afterwards was no ground before it was told, nor in a record before another one was merged into it.
_REFERRING_GRANTS = """
    create view referring_grants as
    with counted as not materialized (
        select designation_id, record_id, professional_id, replaces_id, ended_at, spans.since,
               case when spans.until is null or spans.until > spans.since
                    then tstzrange(spans.since, spans.until) else 'empty' end as span
          from referring_physicians
          cross join lateral (
               select case when proposed_by = 'health_fund' or copied_from is not null
                           then greatest(effective_at, proposed_at)
                           else effective_at end as since,
                      coalesce(ended_at, ends_at) as until) as spans
         where effective_at is not null)
    select d.designation_id, d.record_id, d.professional_id, d.ended_at, lower(piece) as since, upper(piece) as until
      from counted d
      cross join lateral unnest(
           tstzmultirange(d.span) - coalesce(
               (select range_agg(s.span) from counted s where s.replaces_id = d.designation_id), '{}')) as piece
"""


def _desk() -> None:
    op.create_table(
        "record_settings",
        sa.Column("setting_id", ID, primary_key=True),
        sa.Column("record_id", ID, _of_record("record_settings"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("declared_on", sa.Date),
        sa.Column("note", sa.Text),
        sa.Column("risk_version", sa.Text),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("copied_from", ID),
    )
    op.create_index(
        "uq_record_settings_current", "record_settings", ["record_id", "name"], unique=True,
        postgresql_where=sa.text("until is null"),
    )  # fmt: skip
    op.create_index("ix_record_settings_record", "record_settings", ["record_id", "name", "since"])
    op.create_table(
        "setup_steps",
        sa.Column("record_id", ID, _of_record("setup_steps"), primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("ground", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("state in ('done', 'skipped')", name="ck_setup_steps_state"),
    )
    op.create_table(
        "deadlines",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject_id", ID, primary_key=True),
        sa.Column("record_id", ID, _of_record("deadlines"), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
    )
    op.create_index("ix_deadlines_due", "deadlines", ["due_at"])
    op.create_index("ix_deadlines_record", "deadlines", ["record_id"])
    op.create_table(
        "access_tries",
        sa.Column("try_id", ID, primary_key=True),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.CheckConstraint("outcome in ('refused', 'put_off', 'opened')", name="ck_access_tries_outcome"),
    )
    op.create_index("ix_access_tries_professional", "access_tries", ["professional_id", "kind", "at"])
    op.create_table(
        "reviews",
        sa.Column("review_id", ID, primary_key=True),
        sa.Column("record_id", ID, _of_record("reviews"), nullable=False),
        sa.Column("mandate_id", ID, sa.ForeignKey("mandates.mandate_id", name="fk_reviews_mandate"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("professional_id", ID, nullable=False),
        sa.Column("establishment_id", ID),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("taken_by", ID),
        sa.Column("taken_at", MOMENT),
        sa.Column("verdict", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("settled_by", ID),
        sa.Column("settled_at", MOMENT),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.CheckConstraint("state in ('waiting', 'taken', 'settled')", name="ck_reviews_state"),
        sa.CheckConstraint("verdict in ('justified', 'not_justified')", name="ck_reviews_verdict"),
        sa.CheckConstraint("(state = 'settled') = (verdict is not null)", name="ck_reviews_settled"),
        sa.UniqueConstraint("mandate_id", name="uq_reviews_mandate"),
    )
    op.create_index("ix_reviews_state", "reviews", ["state", "opened_at", "review_id"])
    op.create_index("ix_reviews_professional", "reviews", ["professional_id", "opened_at"])


def _life() -> None:
    op.add_column("state_changes", sa.Column("capacity", sa.Text, nullable=False, server_default="platform"))
    op.execute("update state_changes set capacity = 'agency' where account_id is not null and cause = 'affiliation'")
    op.execute("update state_changes set capacity = 'holder' where account_id is not null and cause = 'activation'")
    # Who came until now was not kept: the years without access are counted from today, and no record is closed for
    # what nobody noted. A merged record waits in the state it goes back to.
    op.execute(
        "update records set last_access_on = current_date"
        " where coalesce(state_before, state) in ('open', 'open_by_lapse', 'active')"
    )
    op.execute(
        "insert into deadlines (kind, subject_id, record_id, due_at)"
        " select 'inactivity', record_id, record_id, now() + interval '10 years' from records"
        " where coalesce(state_before, state) in ('open', 'open_by_lapse', 'active')"
    )
    op.execute(
        "insert into deadlines (kind, subject_id, record_id, due_at)"
        " select 'deletion', record_id, record_id, since + interval '10 years' from records"
        " where coalesce(state_before, state) = 'closed'"
    )
    op.execute(
        "insert into deadlines (kind, subject_id, record_id, due_at)"
        " select 'lapse', record_id, record_id, min(issued_at) + interval '30 days'"
        " from presence_codes join records using (record_id)"
        " where coalesce(state_before, state) = 'open' group by record_id"
    )
