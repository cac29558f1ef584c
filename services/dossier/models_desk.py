"""The tables of what a holder has set, of what falls due by itself, and of the privacy officer's reviews."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.dossier.models import Id, Model, Moment


class Setting(Model):
    """A value that a setting of a record has, or had, from `since` until `until`; who set it, and the risk accepted.

    name: a setting of settings.csv; default_level also by folder, as `default_level:medical_data`. declared_on, note:
    of declarations, as organ donation: the day the holder gave it, and their own words. copied_from: the word of a
    merged record that this one repeats.
    """

    __tablename__ = "record_settings"
    __table_args__ = (
        sa.Index("uq_record_settings_current", "record_id", "name", unique=True,
                 postgresql_where=sa.text("until is null")),
        sa.Index("ix_record_settings_record", "record_id", "name", "since"),
    )  # fmt: skip

    setting_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_record_settings_record"))
    name: Mapped[str] = mapped_column(sa.Text)
    value: Mapped[str] = mapped_column(sa.Text)
    declared_on: Mapped[dt.date | None] = mapped_column(sa.Date)
    note: Mapped[str | None] = mapped_column(sa.Text)
    risk_version: Mapped[str | None] = mapped_column(sa.Text)
    account_id: Mapped[str] = mapped_column(Id)
    since: Mapped[dt.datetime] = mapped_column(Moment)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())


class SetupStep(Model):
    """How far somebody is with one step of the set-up assistant: done, or put aside; ground: as whom they did it."""

    __tablename__ = "setup_steps"
    __table_args__ = (sa.CheckConstraint("state in ('done', 'skipped')", name="ck_setup_steps_state"),)

    record_id: Mapped[str] = mapped_column(
        sa.ForeignKey("records.record_id", name="fk_setup_steps_record"), primary_key=True
    )
    step: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    state: Mapped[str] = mapped_column(sa.Text)
    account_id: Mapped[str] = mapped_column(Id)
    ground: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[dt.datetime] = mapped_column(Moment)


class Deadline(Model):
    """Something that falls due by itself: the scheduler takes the row, does what its kind says, and drops it.

    subject_id: what the kind is about: a record, a mandate, a designation; one row per kind and subject.
    """

    __tablename__ = "deadlines"
    __table_args__ = (sa.Index("ix_deadlines_due", "due_at"), sa.Index("ix_deadlines_record", "record_id"))

    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    subject_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_deadlines_record"))
    due_at: Mapped[dt.datetime] = mapped_column(Moment)


class AccessTry(Model):
    """One try to open an access on a professional's own word, on a record that need not exist; as PresenceTry."""

    __tablename__ = "access_tries"
    __table_args__ = (
        sa.CheckConstraint("outcome in ('refused', 'put_off', 'opened')", name="ck_access_tries_outcome"),
        sa.Index("ix_access_tries_professional", "professional_id", "kind", "at"),
    )

    try_id: Mapped[str] = mapped_column(Id, primary_key=True)
    professional_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(sa.Text)
    record_id: Mapped[str] = mapped_column(Id)
    at: Mapped[dt.datetime] = mapped_column(Moment)
    outcome: Mapped[str] = mapped_column(sa.Text)


class Review(Model):
    """An access that the privacy officer looks at: emergency, or on the professional's own responsibility.

    state: waiting, taken (by an officer), settled (verdict: justified or not_justified).
    """

    __tablename__ = "reviews"
    __table_args__ = (
        sa.CheckConstraint("state in ('waiting', 'taken', 'settled')", name="ck_reviews_state"),
        sa.CheckConstraint("verdict in ('justified', 'not_justified')", name="ck_reviews_verdict"),
        sa.CheckConstraint("(state = 'settled') = (verdict is not null)", name="ck_reviews_settled"),
        sa.UniqueConstraint("mandate_id", name="uq_reviews_mandate"),
        sa.Index("ix_reviews_state", "state", "opened_at", "review_id"),
        sa.Index("ix_reviews_professional", "professional_id", "opened_at"),
    )

    review_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_reviews_record"))
    mandate_id: Mapped[str] = mapped_column(sa.ForeignKey("mandates.mandate_id", name="fk_reviews_mandate"))
    kind: Mapped[str] = mapped_column(sa.Text)
    professional_id: Mapped[str] = mapped_column(Id)
    establishment_id: Mapped[str | None] = mapped_column(Id)
    opened_at: Mapped[dt.datetime] = mapped_column(Moment)
    state: Mapped[str] = mapped_column(sa.Text)
    taken_by: Mapped[str | None] = mapped_column(Id)
    taken_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    verdict: Mapped[str | None] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)
    settled_by: Mapped[str | None] = mapped_column(Id)
    settled_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    version: Mapped[int] = mapped_column(sa.Integer, server_default="1")
