"""What ends: records that were deleted, whose traces go with them; what was destroyed, told place by place; and how far
the log was sent elsewhere."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.audit.models import Id, Model, Moment


class DeletedRecord(Model):
    """A record that dossier deleted; the contents of its entries are destroyed, now and whenever more of them come."""

    __tablename__ = "deleted_records"

    record_id: Mapped[str] = mapped_column(Id, primary_key=True)
    deleted_at: Mapped[dt.datetime] = mapped_column(Moment)


class Destruction(Model):
    """What was destroyed at once: `said` lists the places in the log, an entry of the log has its hash [RGD 8]."""

    __tablename__ = "destructions"
    __table_args__ = (sa.CheckConstraint("octet_length(digest) = 32", name="ck_destructions_digest"),)

    digest: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    said: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[dt.datetime] = mapped_column(Moment)


class Forwarded(Model):
    """How far the log was sent to an external repository: the first place that was not."""

    __tablename__ = "forwarded"

    repository: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    position: Mapped[int] = mapped_column(sa.BigInteger)
