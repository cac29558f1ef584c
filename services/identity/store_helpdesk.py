"""The queries of the helpdesk; the session comes first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules_helpdesk, store_account
from services.identity.models import Activation, Challenge, Contact
from services.identity.models_desk import HelpdeskRequest, Notice


def add_request(session: Session, now: datetime, references: Sequence[str], **facts: Any) -> HelpdeskRequest:
    """A new request under the first reference of those offered that is not somebody's already."""
    request_id = new_id()
    for reference in references:
        statement = (
            insert(HelpdeskRequest).values(request_id=request_id, reference=reference, created_at=now, **facts)
            .on_conflict_do_nothing(index_elements=[HelpdeskRequest.reference]).returning(HelpdeskRequest)
        )  # fmt: skip
        made = session.scalars(statement).first()
        if made is not None:
            return made
    raise RuntimeError("no free reference")


def running_request_of_activation(session: Session, activation: Activation, topic: str) -> HelpdeskRequest | None:
    """The request that a step of this activation has opened already, unless it is closed.

    The activation is held by whoever asks, so two of its steps do not open two.
    """
    query = sa.select(HelpdeskRequest).where(
        HelpdeskRequest.activation_id == activation.activation_id, HelpdeskRequest.topic == topic,
        HelpdeskRequest.state != "closed",
    )  # fmt: skip
    return session.scalars(query.order_by(HelpdeskRequest.created_at).limit(1)).first()


def add_to_request(running: HelpdeskRequest, **facts: str | None) -> None:
    """What was told later stands beside or in the place of what was told before; what was left out stays."""
    for name, value in facts.items():
        if value is not None:
            setattr(running, name, value)


def request(session: Session, request_id: str) -> HelpdeskRequest | None:
    """A request by its id."""
    return session.get(HelpdeskRequest, request_id)


def locked_request(session: Session, request_id: str) -> HelpdeskRequest | None:
    """A request, locked, so that of two agents who take it at the same moment one does."""
    return session.get(HelpdeskRequest, request_id, with_for_update=True, populate_existing=True)


def requests_page(
    session: Session, states: Sequence[str], after: str | None, limit: int
) -> Sequence[HelpdeskRequest]:  # fmt: skip
    """Requests in these states, oldest first, after the one named by the cursor."""
    at = sa.tuple_(HelpdeskRequest.created_at, HelpdeskRequest.request_id)
    query = sa.select(HelpdeskRequest).where(HelpdeskRequest.state.in_(states))
    if after is not None:
        last = sa.select(HelpdeskRequest.created_at, HelpdeskRequest.request_id)
        query = query.where(at > last.where(HelpdeskRequest.request_id == after).scalar_subquery())
    return session.scalars(
        query.order_by(HelpdeskRequest.created_at, HelpdeskRequest.request_id).limit(limit)
    ).all()  # fmt: skip


def add_answer_notice(session: Session, about: HelpdeskRequest, now: datetime) -> str | None:
    """A notice to the reply address, and to nowhere else; None where the answer is to go by letter."""
    if about.reply_kind not in ("email", "mobile"):
        return None
    notice = Notice(
        notice_id=new_id(), occasion="helpdesk_answered", language=about.language, object_id=about.request_id,
        recipients=[{"kind": about.reply_kind, "value": about.reply_value or ""}], created_at=now,
    )  # fmt: skip
    session.add(notice)
    session.flush()
    return notice.notice_id


# --- a corrected address ----------------------------------------------------------------------------------------------


def put_correction(session: Session, account_id: str, kind: str, value: str, now: datetime) -> Contact:
    """The address that is to be proved for an account: its own one of that value, or one more."""
    query = sa.select(Contact).where(
        Contact.account_id == account_id, Contact.kind == kind, sa.func.lower(Contact.value) == value.lower(),
        Contact.proved_at.is_not(None),
    )  # fmt: skip
    own = session.scalars(query.limit(1)).first()
    return own or store_account.add_contact(session, account_id, kind, value, now)


def drop_correction(session: Session, about: HelpdeskRequest) -> None:
    """Forgets the address last given for this request, unless it was proved, and the code sent to it."""
    if about.challenge_id is not None:
        given = sa.select(Challenge.contact_id).where(Challenge.challenge_id == about.challenge_id)
        session.execute(sa.delete(Contact).where(Contact.contact_id.in_(given), Contact.proved_at.is_(None)))
        about.challenge_id = None


def removed_contacts(session: Session, account_id: str, kind: str, but: str, now: datetime) -> list[dict[str, str]]:
    """Removes every other address of this kind from an account; gives those that had been proved.

    Links to a new password die with the addresses they went to.
    """
    gone = session.execute(
        sa.delete(Contact)
        .where(Contact.account_id == account_id, Contact.kind == kind, Contact.contact_id != but)
        .returning(Contact.kind, Contact.value, Contact.proved_at)
    ).all()
    if kind == "email":
        store_account.void_resets(session, account_id, now)
    return [{"kind": row.kind, "value": row.value} for row in gone if row.proved_at is not None]


# --- forgetting -------------------------------------------------------------------------------------------------------


def sweep_requests(session: Session, now: datetime) -> None:
    """Wipes what requests closed a year ago say about a person; what was done for them, and when, stays."""
    still_there = sa.or_(
        HelpdeskRequest.name.is_not(None), HelpdeskRequest.reply_value.is_not(None),
        HelpdeskRequest.message.is_not(None), HelpdeskRequest.answer.is_not(None),
    )  # fmt: skip
    old = HelpdeskRequest.closed_at < rules_helpdesk.wiped_before(now)
    session.execute(
        sa.update(HelpdeskRequest).where(old, still_there)
        .values(name=None, reply_kind=None, reply_value=None, message=None, answer=None)
    )  # fmt: skip
