"""The privacy officer's work: cases that holders open, and alerts that rules raise.

Both point to an entry and repeat of it what a queue is asked by; neither changes it.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.audit.models import Id, Model, Moment


class Worked:
    """What happens to everything that an officer works off. `version` is its ETag."""

    version: Mapped[int] = mapped_column(sa.Integer, server_default="1")
    state: Mapped[str] = mapped_column(sa.Text, server_default="waiting")
    taken_by: Mapped[str | None] = mapped_column(Id)
    taken_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    verdict: Mapped[str | None] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)
    settled_by: Mapped[str | None] = mapped_column(Id)
    settled_at: Mapped[dt.datetime | None] = mapped_column(Moment)


def _worked(table: str) -> tuple[sa.CheckConstraint, ...]:
    return (
        sa.CheckConstraint("state in ('waiting', 'taken', 'settled')", name=f"ck_{table}_state"),
        sa.CheckConstraint("verdict in ('justified', 'not_justified')", name=f"ck_{table}_verdict"),
        sa.CheckConstraint(
            "(state = 'settled') = (verdict is not null) and (state = 'settled') = (settled_by is not null)",
            name=f"ck_{table}_settled",
        ),
        sa.CheckConstraint("(state = 'waiting') = (taken_by is null)", name=f"ck_{table}_taken"),
    )


class Case(Worked, Model):
    """Somebody of the holder side does not recognise an access; of one entry there is one case.

    `record_id` is the entry's own record. `comment`: what they ask, in their words; `note`: the answer, which they
    read. Neither stands in any trace or event.
    """

    __tablename__ = "cases"
    __table_args__ = (
        *_worked("cases"),
        sa.UniqueConstraint("trace_id", name="uq_cases_trace_id"),
        sa.Index("ix_cases_of_record", "record_id", "case_id"),
        sa.Index("ix_cases_state", "state", "case_id"),
    )

    case_id: Mapped[str] = mapped_column(Id, primary_key=True)
    trace_id: Mapped[str] = mapped_column(Id)
    record_id: Mapped[str] = mapped_column(Id)
    opened_at: Mapped[dt.datetime] = mapped_column(Moment)
    opened_by: Mapped[str] = mapped_column(Id)
    patient_id: Mapped[str | None] = mapped_column(Id)
    comment: Mapped[str | None] = mapped_column(sa.Text)


class Alert(Worked, Model):
    """A rule found an access worth a look: once for each entry, and once for its `subject` within a time.

    `at` is the entry's. `note`: why the officer found so; nobody else reads it.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        *_worked("alerts"),
        sa.CheckConstraint(
            "rule in ('same_surname', 'own_record', 'many_patients', 'after_care', 'repeated_failures',"
            " 'out_of_hours')",
            name="ck_alerts_rule",
        ),
        sa.UniqueConstraint("rule", "trace_id", name="uq_alerts_cause"),
        sa.Index("ix_alerts_subject", "subject", "rule", "at"),
        sa.Index("ix_alerts_state", "state", "alert_id"),
        sa.Index("ix_alerts_at", "at"),
        sa.Index("ix_alerts_of_record", "record_id", postgresql_where=sa.text("record_id is not null")),
    )

    alert_id: Mapped[str] = mapped_column(Id, primary_key=True)
    rule: Mapped[str] = mapped_column(sa.Text)
    subject: Mapped[str] = mapped_column(sa.Text)
    trace_id: Mapped[str] = mapped_column(Id)
    at: Mapped[dt.datetime] = mapped_column(Moment)
    raised_at: Mapped[dt.datetime] = mapped_column(Moment)
    number: Mapped[int | None] = mapped_column(sa.Integer)
    record_id: Mapped[str | None] = mapped_column(Id)
    professional_id: Mapped[str | None] = mapped_column(Id)
    account_id: Mapped[str | None] = mapped_column(Id)
    establishment_id: Mapped[str | None] = mapped_column(Id)
    mandate_id: Mapped[str | None] = mapped_column(Id)


class AlertProgress(Model):
    """How far the rules have looked: the place in the log of the first entry they have not seen. One row."""

    __tablename__ = "alert_progress"
    __table_args__ = (sa.CheckConstraint("one", name="ck_alert_progress_one"),)

    one: Mapped[bool] = mapped_column(sa.Boolean, primary_key=True, server_default=sa.true())
    position: Mapped[int] = mapped_column(sa.BigInteger)


class Sighting(Model):
    """What a rule counts within an hour: in this minute, of this person, this record or this failure. Kept for a day.

    `person_id` is the professional, or the account of who is none.
    """

    __tablename__ = "alert_sightings"
    __table_args__ = (sa.Index("ix_alert_sightings_minute", "minute", postgresql_using="brin"),)

    rule: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    minute: Mapped[dt.datetime] = mapped_column(Moment, primary_key=True)
    thing_id: Mapped[str] = mapped_column(Id, primary_key=True)


class Care(Model):
    """A professional or an establishment had somebody in care, as dossier told: since when, and until when.

    Its beginning and its end are told apart, in whatever order; what lasts may begin anew, and then runs again.
    """

    __tablename__ = "cares"
    __table_args__ = (sa.Index("ix_cares_of_record", "record_id", "carer_id"),)

    care_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(Id)
    carer_id: Mapped[str] = mapped_column(Id)
    begun_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
