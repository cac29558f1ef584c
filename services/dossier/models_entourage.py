"""The tables of those who stand around a holder: representatives, assistants, the referring physician.

As every grant, these rows begin and end and stay.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.dossier.models import Id, Model, Moment


class Representative(Model):
    """A person who acts as the holder: since when, until when, on what proof.

    patient_id: the person, as directory knows them. until: the end that was foreseen; until_cause: why, as the holder's
    majority; ended_at: the end that came before it. together_until: of a kind that acts only together with the holder,
    until when the holder lets them [L14 14].
    """

    __tablename__ = "representatives"
    __table_args__ = (
        sa.Index("ix_representatives_record", "record_id", "patient_id"),
        sa.Index("ix_representatives_patient", "patient_id", postgresql_where=sa.text("ended_at is null")),
    )

    representative_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_representatives_record"))
    patient_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column(sa.Text)
    proof: Mapped[str] = mapped_column(sa.Text)
    since: Mapped[dt.datetime] = mapped_column(Moment)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
    until_cause: Mapped[str] = mapped_column(sa.Text)
    together_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    recorded_by: Mapped[str] = mapped_column(Id)
    ended_by: Mapped[str | None] = mapped_column(Id)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())


class Sitting(Model):
    """A time in which the holder let a representative act together with them, from `since` until `until` [L14 14]."""

    __tablename__ = "sittings"
    __table_args__ = (sa.Index("ix_sittings_representative", "representative_id", "since"),)

    sitting_id: Mapped[str] = mapped_column(Id, primary_key=True)
    representative_id: Mapped[str] = mapped_column(
        sa.ForeignKey("representatives.representative_id", name="fk_sittings_representative")
    )
    since: Mapped[dt.datetime] = mapped_column(Moment)
    until: Mapped[dt.datetime] = mapped_column(Moment)


class Assistant(Model):
    """A person whom the holder invited to read along; a ground from the moment they accepted.

    patient_id: the person, unknown until they accept. code_digests: SHA-256 of the invitation's code, which the holder
    hands over, and of each that was handed out when the invitation was repeated; none once it is used or over.
    """

    __tablename__ = "assistants"
    __table_args__ = (
        sa.CheckConstraint("(accepted_at is null) = (patient_id is null)", name="ck_assistants_accepted"),
        sa.Index("ix_assistants_codes", "code_digests", postgresql_using="gin"),
        sa.Index("ix_assistants_record", "record_id", "patient_id"),
        sa.Index("ix_assistants_patient", "patient_id", postgresql_where=sa.text("ended_at is null")),
    )

    assistant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_assistants_record"))
    patient_id: Mapped[str | None] = mapped_column(Id)
    name: Mapped[str] = mapped_column(sa.Text)
    invited_by: Mapped[str] = mapped_column(Id)
    invited_at: Mapped[dt.datetime] = mapped_column(Moment)
    code_digests: Mapped[list[bytes]] = mapped_column(ARRAY(sa.LargeBinary), server_default="{}")
    code_until: Mapped[dt.datetime] = mapped_column(Moment)
    accepted_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_by: Mapped[str | None] = mapped_column(Id)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())


class ReferringPhysician(Model):
    """A designation of a referring physician: signed by both, a ground from `effective_at` on [RGD 9(4)].

    proposed_by: holder, professional or health_fund (transcribed from its feed). notified_at: when the health fund got
    its notice. replaces_id: of a replacement, the designation it stands in for meanwhile. ends_at: the end that was
    announced; ended_at: the end that came, which is the later one where the health fund told of it afterwards.
    end_cause: mutual_agreement, notice, replaced, death, closing, refusal, withdrawn, licence.

    The view referring_grants tells when a designation is a ground: every decision reads it.
    """

    __tablename__ = "referring_physicians"
    __table_args__ = (
        sa.CheckConstraint("proposed_by in ('holder', 'professional', 'health_fund')", name="ck_referring_proposed"),
        sa.CheckConstraint(
            "effective_at is null or proposed_by = 'health_fund'"
            " or (holder_signed_at is not null and physician_signed_at is not null)",
            name="ck_referring_signed",
        ),
        sa.Index("ix_referring_physicians_record", "record_id", "professional_id"),
        sa.Index(
            "ix_referring_physicians_professional", "professional_id", postgresql_where=sa.text("ended_at is null")
        ),
        sa.Index(
            "ix_referring_physicians_replaces", "replaces_id", postgresql_where=sa.text("replaces_id is not null")
        ),
    )

    designation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.ForeignKey("records.record_id", name="fk_referring_record"))
    professional_id: Mapped[str] = mapped_column(
        sa.ForeignKey("professionals.professional_id", name="fk_referring_professional")
    )
    replaces_id: Mapped[str | None] = mapped_column(Id)
    proposed_by: Mapped[str] = mapped_column(sa.Text)
    proposed_at: Mapped[dt.datetime] = mapped_column(Moment)
    holder_signed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    physician_signed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    notified_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    effective_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    ends_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    end_cause: Mapped[str | None] = mapped_column(sa.Text)
    end_asked_by: Mapped[str | None] = mapped_column(sa.Text)
    ended_by: Mapped[str | None] = mapped_column(Id)
    copied_from: Mapped[str | None] = mapped_column(Id)
    taken_back: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())
