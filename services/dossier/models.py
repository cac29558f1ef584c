"""Dossier's tables: records and their states, and every ground somebody holds in one, with its validity period.

A grant is never overwritten: it begins, it ends, and the row stays, so that who could see what on a past day can
be told.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = sa.Uuid(as_uuid=False)
Moment = sa.DateTime(timezone=True)


class Model(DeclarativeBase):
    """Base of the tables of dossier."""


metadata = Model.metadata


class Record(Model):
    """One patient's shared care record; a patient has one that speaks for them. `since`: when it came into its state.

    `record_number` is what people quote; it opens nothing. Where two patients were found to be one, `patient_id` is who
    speaks for both, and `opened_for` the patient it was opened for when that is another one. `merged_into`: the record
    that speaks for this one since `merged_at`, which is closed meanwhile; `state_before` is the state it goes back to.
    `moves` counts how often it was merged or restored: the highest number tells others where it leads.
    `emergency`, `responsibility`, `autonomous_minor` and `default_levels` (by folder, "" for every other) repeat the
    settings that every decision asks for; their history stands in record_settings. `last_access_on`: the last day on
    which somebody was let in.
    """

    __tablename__ = "records"
    __table_args__ = (
        sa.CheckConstraint(
            "state in ('requested', 'open', 'open_by_lapse', 'active', 'closed', 'deleted')", name="ck_records_state"
        ),
        sa.CheckConstraint(
            "(merged_into is null) = (merged_at is null) and (merged_into is null) = (state_before is null)",
            name="ck_records_merged",
        ),
        sa.Index(
            "uq_records_patient",
            "patient_id",
            unique=True,
            postgresql_where=sa.text("state <> 'deleted' and merged_into is null"),
        ),
        sa.Index("ix_records_merged", "patient_id", postgresql_where=sa.text("merged_into is not null")),
        sa.Index("ix_records_deleted", sa.text("coalesce(opened_for, patient_id)"),
                 postgresql_where=sa.text("state = 'deleted'")),
        sa.UniqueConstraint("record_number", name="uq_records_number"),
    )  # fmt: skip

    record_id: Mapped[str] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[str] = mapped_column(Id)
    state: Mapped[str] = mapped_column(sa.Text)
    since: Mapped[dt.datetime] = mapped_column(Moment)
    record_number: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True))
    opened_for: Mapped[str | None] = mapped_column(Id)
    merged_into: Mapped[str | None] = mapped_column(sa.ForeignKey("records.record_id", name="fk_records_merged"))
    merged_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    state_before: Mapped[str | None] = mapped_column(sa.Text)
    moves: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    emergency: Mapped[str] = mapped_column(sa.Text, server_default="normal")
    responsibility: Mapped[str] = mapped_column(sa.Text, server_default="allowed")
    autonomous_minor: Mapped[str] = mapped_column(sa.Text, server_default="no")
    default_levels: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=sa.text("'{}'"))
    last_access_on: Mapped[dt.date | None] = mapped_column(sa.Date)


class PatientMerge(Model):
    """Two patients that are one, as directory told; kept when it was undone, so that no late event revives it.

    `speaks_id`: while it runs, who speaks for the merged patient in the end, however many merges lie in between.
    """

    __tablename__ = "patient_merges"
    __table_args__ = (
        sa.CheckConstraint("state in ('running', 'undone')", name="ck_patient_merges_state"),
        sa.CheckConstraint("(state = 'running') = (speaks_id is not null)", name="ck_patient_merges_speaks"),
        sa.Index("uq_patient_merges_running", "merged_id", unique=True,
                 postgresql_where=sa.text("state = 'running'")),
        sa.Index("ix_patient_merges_merged", "merged_id"),
        sa.Index("ix_patient_merges_survivor", "survivor_id"),
        sa.Index("ix_patient_merges_speaks", "speaks_id"),
    )  # fmt: skip

    merge_id: Mapped[str] = mapped_column(Id, primary_key=True)
    survivor_id: Mapped[str] = mapped_column(Id)
    merged_id: Mapped[str] = mapped_column(Id)
    state: Mapped[str] = mapped_column(sa.Text)
    speaks_id: Mapped[str | None] = mapped_column(Id)


class StateChange(Model):
    """One step in a record's life, with its cause and who took it; account_id None = the platform itself.

    capacity: as whom it was taken, one of STATE_AUTHORS; who opposed with a letter has no account.
    """

    __tablename__ = "state_changes"
    __table_args__ = (sa.Index("ix_state_changes_record", "record_id", "at"),)

    change_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_state_changes_record"))
    at: Mapped[dt.datetime] = mapped_column(Moment)
    previous: Mapped[str | None] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text)
    cause: Mapped[str] = mapped_column(sa.Text)
    account_id: Mapped[str | None] = mapped_column(Id)
    capacity: Mapped[str] = mapped_column(sa.Text, server_default="platform")


class Professional(Model):
    """What the directory last said of a professional; the highest version is the truth, in whatever order they come.

    emergency_establishment_ids: of their workplaces, those where they are attached to an emergency service.
    stopped_at: the latest stop of their licence upon which grants were looked at; a repeat finds it there.
    """

    __tablename__ = "professionals"
    __table_args__ = (sa.Index("ix_professionals_establishments", "establishment_ids", postgresql_using="gin"),)

    professional_id: Mapped[str] = mapped_column(Id, primary_key=True)
    profession: Mapped[str] = mapped_column(sa.Text)
    licence: Mapped[str] = mapped_column(sa.Text)
    establishment_ids: Mapped[list[str]] = mapped_column(ARRAY(Id))
    emergency_establishment_ids: Mapped[list[str]] = mapped_column(ARRAY(Id), server_default="{}")
    version: Mapped[int] = mapped_column(sa.BigInteger)
    stopped_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class ProfessionalPeriod(Model):
    """What a professional was from `since` until the next version began; `since` null: from the beginning."""

    __tablename__ = "professional_periods"
    __table_args__ = (
        sa.Index("ix_professional_periods_since", "professional_id", "since"),
        sa.Index("ix_professional_periods_establishments", "establishment_ids", postgresql_using="gin"),
    )

    professional_id: Mapped[str] = mapped_column(Id, primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    profession: Mapped[str] = mapped_column(sa.Text)
    licence: Mapped[str] = mapped_column(sa.Text)
    establishment_ids: Mapped[list[str]] = mapped_column(ARRAY(Id))
    since: Mapped[dt.datetime] = mapped_column(Moment)


class Block(Model):
    """A professional barred from a whole record, from `since` until `until`; who barred them, and the risk accepted.

    `copied_from`, here and in the other grants: the row of a merged record that this one repeats. `taken_back`: that
    merge was undone. Such a row says who was let in while it ran, to a decision about that time; it is on no list, for
    what it says is another person's.
    """

    __tablename__ = "blocklist"
    __table_args__ = (sa.Index("ix_blocklist_record", "record_id", "professional_id"),)

    block_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_blocklist_record"))
    professional_id: Mapped[str] = mapped_column(Id)
    since: Mapped[dt.datetime] = mapped_column(Moment)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())
    account_id: Mapped[str | None] = mapped_column(Id)
    risk_version: Mapped[str | None] = mapped_column(sa.Text)


class CircleMember(Model):
    """A professional's time in a record's circle of trust; the comment is the holder's own.

    ends_at: the end the holder foresaw; `until`: the end that came.
    """

    __tablename__ = "circle_members"
    __table_args__ = (
        sa.Index("ix_circle_members_record", "record_id", "professional_id"),
        sa.Index(
            "uq_circle_members_current",
            "record_id",
            "professional_id",
            unique=True,
            postgresql_where=sa.text("until is null"),
        ),
        sa.Index("ix_circle_members_professional", "professional_id", postgresql_where=sa.text("until is null")),
    )

    member_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_circle_members_record"))
    professional_id: Mapped[str] = mapped_column(
        sa.ForeignKey("professionals.professional_id", name="fk_circle_members_professional")
    )
    comment: Mapped[str | None] = mapped_column(sa.Text)
    since: Mapped[dt.datetime] = mapped_column(Moment)
    ends_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())


class Mandate(Model):
    """A time-limited ground: reads until one moment, lets deposit until another, ended by the holder at any time.

    Without a professional it serves everybody who works at the establishment, each traced by name. reference: the
    establishment's own number of the stay or the order. closes_at: the discharge, the validation. reason_category,
    reason: what the professional stated. consent_at: when the patient's consent to a prolongation was recorded.
    prolonged_days: by how much the stay was prolonged in all. warned_of: the end of which was told before it came; a
    mandate that has another end by now is told of again.
    """

    __tablename__ = "mandates"
    __table_args__ = (
        sa.CheckConstraint("read_until <= deposit_until", name="ck_mandates_period"),
        sa.CheckConstraint("professional_id is not null or establishment_id is not null", name="ck_mandates_whose"),
        sa.Index("ix_mandates_record", "record_id", "professional_id"),
        sa.Index("ix_mandates_record_establishment", "record_id", "establishment_id",
                 postgresql_where=sa.text("professional_id is null")),
        sa.Index("ix_mandates_professional", "professional_id", "deposit_until",
                 postgresql_where=sa.text("ended_at is null")),
        sa.Index("ix_mandates_establishment", "establishment_id", "deposit_until",
                 postgresql_where=sa.text("professional_id is null and ended_at is null")),
        sa.Index("ix_mandates_deposit_until", "deposit_until", postgresql_where=sa.text("ended_at is null")),
        sa.Index("uq_mandates_reference", "record_id", "establishment_id", "kind", "reference", unique=True,
                 postgresql_where=sa.text("reference is not null and copied_from is null")),
    )  # fmt: skip

    mandate_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_mandates_record"))
    professional_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("professionals.professional_id", name="fk_mandates_professional")
    )
    establishment_id: Mapped[str | None] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(sa.Text)
    wording_version: Mapped[str] = mapped_column(sa.Text)
    starts_at: Mapped[dt.datetime] = mapped_column(Moment)
    read_until: Mapped[dt.datetime] = mapped_column(Moment)
    deposit_until: Mapped[dt.datetime] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())
    opened_by: Mapped[str | None] = mapped_column(Id)
    ended_by: Mapped[str | None] = mapped_column(Id)
    reference: Mapped[str | None] = mapped_column(sa.Text)
    closes_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    reason_category: Mapped[str | None] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    consent_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    prolonged_days: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    warned_of: Mapped[dt.datetime | None] = mapped_column(Moment)


class PresenceCode(Model):
    """The salted hash of a presence code, one per letter; the one issued last is the record's code.

    A letter printed again keeps its place in that order, so a late repeat never voids a newer letter's code.
    """

    __tablename__ = "presence_codes"
    __table_args__ = (
        sa.UniqueConstraint("record_id", "letter_id", name="uq_presence_codes_letter"),
        sa.Index("ix_presence_codes_record", "record_id", "issued_at"),
    )

    code_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_presence_codes_record"))
    letter_id: Mapped[str] = mapped_column(Id)
    hash: Mapped[str] = mapped_column(sa.Text)
    issued_at: Mapped[dt.datetime] = mapped_column(Moment)


class PresenceTry(Model):
    """One try of a presence code, on a record that need not exist: the throttle must not tell which ones do.

    `looked_at` while the code is being compared counts as wrong, so that tries made at once are all counted.
    """

    __tablename__ = "presence_tries"
    __table_args__ = (
        sa.CheckConstraint("outcome in ('looked_at', 'wrong', 'put_off', 'right')", name="ck_presence_tries_outcome"),
        sa.Index("ix_presence_tries_professional", "professional_id", "at"),
    )

    try_id: Mapped[str] = mapped_column(Id, primary_key=True)
    professional_id: Mapped[str] = mapped_column(Id)
    record_id: Mapped[str] = mapped_column(Id)
    at: Mapped[dt.datetime] = mapped_column(Moment)
    outcome: Mapped[str] = mapped_column(sa.Text)


class FirstAccess(Model):
    """A professional has had a ground in this record: the holder was told once, and is not told again.

    `last_at`: about when they last came, within minutes. `copied_from`: the merged record in which they had it.
    """

    __tablename__ = "first_accesses"
    __table_args__ = (sa.Index("ix_first_accesses_professional", "professional_id", "last_at"),)

    record_id: Mapped[str] = mapped_column(
        sa.ForeignKey("records.record_id", name="fk_first_accesses_record"), primary_key=True
    )
    professional_id: Mapped[str] = mapped_column(Id, primary_key=True)
    ground: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[dt.datetime] = mapped_column(Moment)
    last_at: Mapped[dt.datetime] = mapped_column(Moment)
    copied_from: Mapped[str | None] = mapped_column(Id)
