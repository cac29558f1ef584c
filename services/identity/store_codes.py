"""The queries of one-time codes; the session comes first."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules, rules_sessions
from services.identity.models import Account, Challenge, Contact


def add_challenge(
    session: Session, purpose: str, contact_id: str | None, language: str, now: datetime,
    *, account_id: str | None = None, activation_id: str | None = None, session_id: str | None = None,
    channel: str = "email",
) -> Challenge:  # fmt: skip
    """A one-time code to be sent; none is sent for the channel `totp`, which has no contact.

    session_id: the session in which alone the code counts.
    """
    challenge = Challenge(
        challenge_id=new_id(), purpose=purpose, channel=channel, contact_id=contact_id, account_id=account_id,
        activation_id=activation_id, session_id=session_id, language=language, created_at=now,
        expires_at=now + rules.ONE_TIME_CODE_LIFETIME, wrong_tries=0, sent=1,
    )  # fmt: skip
    session.add(challenge)
    session.flush()
    return challenge


def newest_challenge(session: Session, activation_id: str) -> Challenge | None:
    """The code last sent in an activation."""
    query = sa.select(Challenge).where(Challenge.activation_id == activation_id)
    return session.scalars(query.order_by(Challenge.created_at.desc()).limit(1)).first()


def challenge(session: Session, challenge_id: str, purpose: str) -> Challenge | None:
    """A challenge of this purpose, dead or alive, held until the transaction ends.

    Held, so that many guesses at one moment are looked at one after the other, and no more than five of them.
    """
    found = session.get(Challenge, challenge_id, with_for_update=True, populate_existing=True)
    return found if found is not None and found.purpose == purpose else None


def _is_live(now: datetime) -> Any:
    return sa.and_(
        Challenge.used_at.is_(None), Challenge.expires_at > now, Challenge.wrong_tries < rules.ONE_TIME_CODE_TRIES
    )


def use_challenge(session: Session, challenge_id: str, now: datetime) -> bool:
    """Uses up a code; true for exactly one of those who submit it, however many at once."""
    statement = sa.update(Challenge).where(Challenge.challenge_id == challenge_id, _is_live(now)).values(used_at=now)
    return session.scalar(statement.returning(Challenge.challenge_id)) is not None


def count_wrong_code(session: Session, challenge_id: str, now: datetime) -> None:
    """Counts a wrong code; from the fifth on the right one does not help any more."""
    statement = sa.update(Challenge).where(Challenge.challenge_id == challenge_id, _is_live(now))
    session.execute(statement.values(wrong_tries=Challenge.wrong_tries + 1))


def live_challenge(session: Session, challenge_id: str, now: datetime) -> tuple[Challenge, Contact] | None:
    """A challenge whose code can still be used, with the address it goes to."""
    query = sa.select(Challenge, Contact).join(Contact, Contact.contact_id == Challenge.contact_id)
    row = session.execute(query.where(Challenge.challenge_id == challenge_id, _is_live(now))).first()
    return None if row is None else (row[0], row[1])


# --- codes of log-in --------------------------------------------------------------------------------------------------


def contacts_for_codes(session: Session, account_id: str) -> dict[str, str | None]:
    """By kind, the contact an account's one-time codes go to: the one proved last."""
    query = sa.select(Contact.kind, Contact.contact_id).where(
        Contact.account_id == account_id, Contact.proved_at.is_not(None)
    )
    return {row.kind: row.contact_id for row in session.execute(query.order_by(Contact.proved_at))}


def _is_live_for_log_in(challenge_id: str, now: datetime) -> Any:
    """Live, and begun with the password that the account has now."""
    same_password = sa.exists().where(
        Account.account_id == Challenge.account_id, Account.password_changed_at <= Challenge.created_at
    )
    return sa.and_(Challenge.challenge_id == challenge_id, _is_live(now), same_password)


def is_live_for_log_in(session: Session, challenge_id: str, now: datetime) -> bool:
    """Whether the code of a log-in can still be used."""
    return session.execute(sa.select(sa.literal(1)).where(_is_live_for_log_in(challenge_id, now))).first() is not None


def use_challenge_for_log_in(session: Session, challenge_id: str, now: datetime) -> bool:
    """Uses up the code of a log-in; true for exactly one of those who submit it."""
    statement = sa.update(Challenge).where(_is_live_for_log_in(challenge_id, now)).values(used_at=now)
    return session.scalar(statement.returning(Challenge.challenge_id)) is not None


def sendable_challenge(session: Session, challenge_id: str, purpose: str, now: datetime) -> Challenge | None:
    """A live challenge of this purpose whose code is sent, held until the transaction ends."""
    query = sa.select(Challenge).where(
        Challenge.challenge_id == challenge_id, Challenge.purpose == purpose, Challenge.contact_id.is_not(None),
        _is_live(now),
    )  # fmt: skip
    return session.scalars(query.with_for_update()).first()


def count_sent(session: Session, challenge_id: str) -> bool:
    """Counts one more sending of a code; false when it was sent often enough."""
    statement = sa.update(Challenge).where(
        Challenge.challenge_id == challenge_id, Challenge.sent < rules_sessions.CODE_SENT_TIMES
    )
    return session.scalar(
        statement.values(sent=Challenge.sent + 1).returning(Challenge.challenge_id)
    ) is not None  # fmt: skip
