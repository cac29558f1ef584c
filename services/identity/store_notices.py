"""The queries of what accounts' owners are told; the session comes first."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity.models import Account, Agent, Capacity, Contact
from services.identity.models_desk import Notice

KEPT = timedelta(days=7)
"""For so long a notice waits for a provider that is away; what is older says nothing useful any more."""


def add_notice(
    session: Session, account_id: str | None, occasion: str, now: datetime, object_id: str | None,
    also: Sequence[dict[str, str]], language: str | None = None,
) -> str | None:  # fmt: skip
    """A notice to every proved address of the account and to those named besides; None where there is nobody to tell.

    The addresses are kept as they are now: whoever changes them next does not redirect what is on its way.
    """
    own = sa.select(Contact.kind, Contact.value).where(Contact.account_id == account_id, Contact.proved_at.is_not(None))
    rows = session.execute(own.order_by(Contact.proved_at, Contact.contact_id)) if account_id is not None else ()
    recipients = [{"kind": row.kind, "value": row.value} for row in rows]
    recipients += [one for one in also if one not in recipients]
    if not recipients:
        return None
    if language is None:
        language = session.scalar(sa.select(Account.language).where(Account.account_id == account_id)) or "fr"
    return put_notice(session, occasion, language, recipients, object_id, now)


def put_notice(
    session: Session, occasion: str, language: str, recipients: Sequence[dict[str, str]], object_id: str | None,
    now: datetime,
) -> str:  # fmt: skip
    """A notice to exactly these addresses, which may be none."""
    notice = Notice(
        notice_id=new_id(), occasion=occasion, language=language, recipients=list(recipients), object_id=object_id,
        created_at=now,
    )  # fmt: skip
    session.add(notice)
    session.flush()
    return notice.notice_id


def notice(session: Session, notice_id: str) -> Notice | None:
    """A notice by its id."""
    return session.get(Notice, notice_id)


def accounts_of_agents(session: Session, roles: Collection[str]) -> list[str]:
    """The accounts, not locked, of the agents who have one of these roles."""
    query = (
        sa.select(Account.account_id)
        .join(Capacity, sa.and_(Capacity.account_id == Account.account_id, Capacity.kind == "agent"))
        .join(Agent, Agent.agent_id == Capacity.subject_id)
        .where(Agent.role.in_(roles), Account.locked_at.is_(None))
    )
    return list(session.scalars(query.order_by(Account.account_id)))


def sweep_notices(session: Session, now: datetime) -> None:
    """Forgets what was told, or could not be told, long ago."""
    session.execute(sa.delete(Notice).where(Notice.created_at < now - KEPT))
