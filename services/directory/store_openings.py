"""Every query of requests to open a record. Nothing here decides; what comes in has been checked by the rules."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.directory.contract import LAPSED
from services.directory.models_desk import OpeningRequest, SearchCount
from services.directory.rules_openings import OpeningForm
from services.directory.store import address_columns

_EMPTY = dict.fromkeys(
    ("matricule", "birth_name", "usual_name", "first_names", "sex", "birth_date", "address_line", "postal_code",
     "locality", "country", "email", "phone")
)  # fmt: skip
"""The columns that say something of a person."""


def add_request(
    session: Session, form: OpeningForm, references: Sequence[str], **facts: Any
) -> OpeningRequest:  # fmt: skip
    """A new request under the first reference of those offered that is not somebody's already."""
    sheet = form.sheet
    values = {
        "request_id": new_id(), "state": "received", "matricule": sheet.matricule, "birth_name": sheet.birth_name,
        "usual_name": sheet.usual_name, "first_names": sheet.first_names, "sex": sheet.sex,
        "birth_date": sheet.birth_date, "language": sheet.language, "email": sheet.email, "phone": sheet.phone,
        "statement_version": form.statement_version, "signed_on": form.signed_on, "signed_at": form.signed_at,
        **address_columns(sheet.address), **facts,
    }  # fmt: skip
    for reference in references:
        made = session.scalars(
            insert(OpeningRequest).values(reference=reference, **values)
            .on_conflict_do_nothing(index_elements=[OpeningRequest.reference]).returning(OpeningRequest)
        ).first()  # fmt: skip
        if made is not None:
            return made
    raise RuntimeError("no free reference")


def request(session: Session, request_id: str | None) -> OpeningRequest | None:
    """A request by its id."""
    return session.get(OpeningRequest, request_id) if request_id else None


def locked_request(session: Session, request_id: str | None) -> OpeningRequest | None:
    """A request, locked, so that of two who decide it at the same moment one does."""
    return session.get(OpeningRequest, request_id, with_for_update=True) if request_id else None


def empty(request: OpeningRequest) -> None:
    """Takes from a request what it says of a person."""
    for column, nothing in _EMPTY.items():
        setattr(request, column, nothing)


def requests_page(
    session: Session, states: Sequence[str], after: str | None, limit: int
) -> Sequence[OpeningRequest]:  # fmt: skip
    """Requests in these states, the one due first in front, after the one named by the cursor."""
    place = (OpeningRequest.due_by, OpeningRequest.request_id)
    query = sa.select(OpeningRequest).where(OpeningRequest.state.in_(states))
    if after is not None:
        last = sa.select(*place).where(OpeningRequest.request_id == after).scalar_subquery()
        query = query.where(sa.tuple_(*place) > last)
    return session.scalars(query.order_by(*place).limit(limit)).all()


def lapse_requests(session: Session, received_before: datetime, at: datetime) -> None:
    """Ends the requests that nobody worked off, and takes from them what they say of a person."""
    session.execute(
        sa.update(OpeningRequest)
        .where(OpeningRequest.state.in_(("received", "checked")), OpeningRequest.received_at < received_before)
        .values(state="refused", reason=LAPSED, decided_at=at, **_EMPTY)
    )


def forget_counts(session: Session, before: datetime) -> None:
    """Drops what was counted in stretches that no limit looks at any more."""
    session.execute(sa.delete(SearchCount).where(SearchCount.stretch < before))
