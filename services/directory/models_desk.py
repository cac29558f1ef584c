"""Directory's tables of work under way: requests to open a record, loads, and how often somebody searched."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.directory.models import Id, Model, Moment


class OpeningRequest(Model):
    """Somebody's own request for a record [seed 002, Demande volontaire d'ouverture].

    Whoever holds a tracking token may see how far it is: `tracking_digest` holds the digests alone, one after the
    other, of those told to somebody who sent the same form again. `due_by`: until when the letter must be on its way.
    The personal fields are emptied once they are in the identity sheet or refused.
    """

    __tablename__ = "opening_requests"
    __table_args__ = (
        sa.CheckConstraint(
            "state in ('received', 'checked', 'accepted', 'refused', 'withdrawn')", name="ck_opening_requests_state"
        ),
        sa.CheckConstraint("sex in ('F', 'M', 'X')", name="ck_opening_requests_sex"),
        sa.CheckConstraint(
            "checked_with in ('identity_card', 'social_security_card')", name="ck_opening_requests_checked_with"
        ),
        sa.CheckConstraint("(state = 'accepted') = (patient_id is not null)", name="ck_opening_requests_accepted"),
        sa.Index("uq_opening_requests_reference", "reference", unique=True),
        sa.Index("ix_opening_requests_due", "state", "due_by", "request_id"),
    )

    request_id: Mapped[str] = mapped_column(Id, primary_key=True)
    reference: Mapped[str] = mapped_column(sa.Text)
    tracking_digest: Mapped[bytes] = mapped_column(sa.LargeBinary)
    state: Mapped[str] = mapped_column(sa.Text)
    matricule: Mapped[str | None] = mapped_column(sa.Text)
    birth_name: Mapped[str | None] = mapped_column(sa.Text)
    usual_name: Mapped[str | None] = mapped_column(sa.Text)
    first_names: Mapped[str | None] = mapped_column(sa.Text)
    sex: Mapped[str | None] = mapped_column(sa.Text)
    birth_date: Mapped[dt.date | None] = mapped_column(sa.Date)
    language: Mapped[str] = mapped_column(sa.Text)
    address_line: Mapped[str | None] = mapped_column(sa.Text)
    postal_code: Mapped[str | None] = mapped_column(sa.Text)
    locality: Mapped[str | None] = mapped_column(sa.Text)
    country: Mapped[str | None] = mapped_column(sa.Text)
    email: Mapped[str | None] = mapped_column(sa.Text)
    phone: Mapped[str | None] = mapped_column(sa.Text)
    statement_version: Mapped[str] = mapped_column(sa.Text)
    signed_on: Mapped[dt.date] = mapped_column(sa.Date)
    signed_at: Mapped[str] = mapped_column(sa.Text)
    received_at: Mapped[dt.datetime] = mapped_column(Moment)
    due_by: Mapped[dt.datetime] = mapped_column(Moment)
    checked_with: Mapped[str | None] = mapped_column(sa.Text)
    checked_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    checked_by: Mapped[str | None] = mapped_column(Id)
    checked_by_name: Mapped[str | None] = mapped_column(sa.Text)
    decided_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    decided_by: Mapped[str | None] = mapped_column(Id)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    patient_id: Mapped[str | None] = mapped_column(
        Id, sa.ForeignKey("patients.patient_id", name="fk_opening_requests_patient")
    )


class Load(Model):
    """A file that is, or was, loaded: how far, and what became of its lines. Committed with the rows of each step."""

    __tablename__ = "loads"
    __table_args__ = (
        sa.CheckConstraint("kind in ('patients', 'professionals', 'establishments')", name="ck_loads_kind"),
        sa.CheckConstraint("form in ('csv', 'ndjson')", name="ck_loads_form"),
        sa.Index("uq_loads_source", "kind", "source_digest", unique=True),
    )

    load_id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    form: Mapped[str] = mapped_column(sa.Text)
    source_digest: Mapped[bytes] = mapped_column(sa.LargeBinary)
    opens_records: Mapped[bool] = mapped_column(sa.Boolean)
    position: Mapped[int] = mapped_column(sa.BigInteger)
    lines: Mapped[int] = mapped_column(sa.BigInteger)
    added: Mapped[int] = mapped_column(sa.BigInteger)
    changed: Mapped[int] = mapped_column(sa.BigInteger)
    unchanged: Mapped[int] = mapped_column(sa.BigInteger)
    refused: Mapped[int] = mapped_column(sa.BigInteger)
    started_at: Mapped[dt.datetime] = mapped_column(Moment)
    finished_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class SearchCount(Model):
    """How often somebody, or software in somebody's name, searched for patients in a stretch of time."""

    __tablename__ = "search_counts"

    searcher: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    stretch: Mapped[dt.datetime] = mapped_column(Moment, primary_key=True)
    searches: Mapped[int] = mapped_column(sa.Integer)
