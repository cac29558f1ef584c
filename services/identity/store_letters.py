"""The queries of agents, invitations and letters; the session comes first."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules
from services.identity.contract import SubjectKind
from services.identity.models import ActivationLetter, Agent, Capacity, Invitation
from services.identity.rules_activation import LettersSent
from services.identity.store import NOBODY

# --- agents, invitations ----------------------------------------------------------------------------------------------


def put_agent(session: Session, log_in_name: bytes, role: str, now: datetime) -> str:
    """The agent of this name, with this role from now on."""
    values = {"log_in_name": log_in_name, "role": role}
    statement = (
        insert(Agent).values(agent_id=new_id(), created_at=now, **values)
        .on_conflict_do_update(index_elements=[Agent.log_in_name], set_={"role": role}).returning(Agent.agent_id)
    )  # fmt: skip
    return session.scalars(statement).one()


def agent_of_name(session: Session, log_in_name: bytes) -> str | None:
    """The agent who logs in under this name."""
    return session.scalar(sa.select(Agent.agent_id).where(Agent.log_in_name == log_in_name))


def agent_exists(session: Session, agent_id: str) -> bool:
    """Whether there is such an agent."""
    return session.get(Agent, agent_id) is not None


def add_invitation(session: Session, kind: SubjectKind, subject_id: str, invited_by: str | None, now: datetime) -> str:
    """Keeps who asked for a letter for whom; nobody is named when it was the person."""
    invitation_id = new_id()
    session.add(
        Invitation(
            invitation_id=invitation_id, subject_kind=kind, subject_id=subject_id, invited_by=invited_by, invited_at=now
        )
    )
    return invitation_id


# --- letters ----------------------------------------------------------------------------------------------------------


def put_letter(
    session: Session, letter_id: str, kind: SubjectKind, subject_id: str, code_hash: str, now: datetime,
    purpose: str = "activation",
) -> datetime:  # fmt: skip
    """Keeps the code of a letter; printing the same letter again replaces its code and nothing else.

    A used letter stays used, an older letter stays older. Gives the expiry. Refuses: InvalidInput.
    """
    statement = (
        insert(ActivationLetter)
        .values(letter_id=letter_id, subject_kind=kind, subject_id=subject_id, purpose=purpose, code_hash=code_hash,
                issued_at=now, expires_at=now + rules.LETTER_CODE_LIFETIME)
        .on_conflict_do_update(
            index_elements=[ActivationLetter.letter_id], set_={"code_hash": code_hash},
            where=sa.and_(ActivationLetter.subject_kind == kind, ActivationLetter.subject_id == subject_id,
                          ActivationLetter.purpose == purpose),
        ).returning(ActivationLetter.expires_at)
    )  # fmt: skip
    expires_at = session.scalar(statement)
    if expires_at is None:
        raise rules.invalid("/letter_id", "of_somebody_else")
    return expires_at


def newest_letter(session: Session, kind: SubjectKind | None, subject_id: str | None) -> ActivationLetter | None:
    """The letter that counts: the one first issued last, of those that can still be meant.

    That is a letter of recovery for who has this capacity already, a letter of activation for who has it not.
    """
    active = sa.exists().where(Capacity.kind == kind, Capacity.subject_id == ActivationLetter.subject_id)
    query = (
        sa.select(ActivationLetter)
        .where(ActivationLetter.subject_kind == kind, ActivationLetter.subject_id == (subject_id or NOBODY),
               (ActivationLetter.purpose == "recovery") == active)
        .order_by(ActivationLetter.issued_at.desc(), ActivationLetter.letter_id.desc()).limit(1)
    )  # fmt: skip
    return session.scalars(query).first()


def letter_still_holds(session: Session, letter: ActivationLetter, *, opposed_too: bool = False) -> bool:
    """Locks the letter and says whether its code is still the compared one, and unused.

    opposed_too: one that was used to oppose the record counts as well, for a repeat of that.
    """
    query = sa.select(ActivationLetter.code_hash, ActivationLetter.used_at, ActivationLetter.opposed_at).where(
        ActivationLetter.letter_id == letter.letter_id
    )
    row = session.execute(query.with_for_update()).one()
    unused = row.used_at is None or (opposed_too and row.opposed_at is not None)
    return bool(unused and row.code_hash == letter.code_hash)


def spend_letter(session: Session, letter_id: str | None, now: datetime) -> bool:
    """Uses up the letter's code; true for exactly one of those who try."""
    statement = (
        sa.update(ActivationLetter).where(ActivationLetter.letter_id == letter_id, ActivationLetter.used_at.is_(None))
        .values(used_at=now).returning(ActivationLetter.letter_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def oppose_with_letter(session: Session, letter_id: str, now: datetime) -> datetime:
    """Uses up a letter that is held, to oppose; when that was: for a repeat the moment of the first time."""
    statement = (
        sa.update(ActivationLetter).where(ActivationLetter.letter_id == letter_id)
        .values(opposed_at=sa.func.coalesce(ActivationLetter.opposed_at, now),
                used_at=sa.func.coalesce(ActivationLetter.used_at, now))
        .returning(ActivationLetter.opposed_at)
    )  # fmt: skip
    return session.execute(statement).scalar_one()


def void_letters(session: Session, kind: SubjectKind, subject_id: str, issued_until: datetime, now: datetime) -> None:
    """Uses up every letter to activate that somebody got until then."""
    session.execute(
        sa.update(ActivationLetter)
        .where(ActivationLetter.subject_kind == kind, ActivationLetter.subject_id == subject_id,
               ActivationLetter.purpose == "activation", ActivationLetter.used_at.is_(None),
               ActivationLetter.issued_at <= issued_until)
        .values(used_at=now)
    )  # fmt: skip


def letters_sent(session: Session, kind: SubjectKind, subject_id: str | None, since: datetime) -> LettersSent:
    """What has gone out to somebody so far: printed letters and those asked for but not printed yet.

    Unknown people cost the same statement. Whoever asks takes the requests of one name one after the other.
    """
    whom = subject_id or NOBODY
    letters = _newest_and_recent(ActivationLetter.issued_at, since).where(
        ActivationLetter.subject_kind == kind, ActivationLetter.subject_id == whom
    ).subquery()  # fmt: skip
    asked = _newest_and_recent(Invitation.invited_at, since).where(
        Invitation.subject_kind == kind, Invitation.subject_id == whom
    ).subquery()  # fmt: skip
    row = session.execute(
        sa.select(
            sa.func.greatest(letters.c.newest, asked.c.newest).label("newest"),
            sa.func.greatest(letters.c.recent, asked.c.recent).label("recent"),
            sa.exists().where(Capacity.kind == kind, Capacity.subject_id == whom).label("active"),
        ).select_from(letters).join(asked, sa.true())
    ).one()  # fmt: skip
    return LettersSent(newest=row.newest, recent=row.recent, active=row.active)


def _newest_and_recent(moment: Any, since: datetime) -> sa.Select[Any]:
    return sa.select(sa.func.max(moment).label("newest"), sa.func.count().filter(moment > since).label("recent"))


def lock_requests_of(session: Session, log_in_name: bytes) -> None:
    """One letter request of a name at a time, until the transaction ends; a name of nobody costs the same."""
    key = int.from_bytes(log_in_name[:8], "big", signed=True)
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
