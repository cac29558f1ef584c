"""The queries of one-time codes; the session comes first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import hold, new_id
from services.identity import rules, rules_sessions
from services.identity.models import Challenge, Contact
from services.identity.models_factors import Authenticator
from services.identity.store import ACCOUNTS, FACTS, AccountFacts, facts_of, with_capacities
from services.plans import planned_once
from services.words import say_last

_CHALLENGES, _CONTACTS, _APPS = (
    one.metadata.tables[one.__tablename__] for one in (Challenge, Contact, Authenticator)
)  # fmt: skip
_LIVE = sa.and_(
    _CHALLENGES.c.used_at.is_(None), _CHALLENGES.c.expires_at > sa.bindparam("now"),
    _CHALLENGES.c.wrong_tries < rules.ONE_TIME_CODE_TRIES,
)  # fmt: skip
"""_is_live() for the statements below that are made once."""


def add_challenge(
    session: Session, purpose: str, contact_id: str | None, language: str, now: datetime,
    *, account_id: str | None = None, activation_id: str | None = None, channel: str = "email",
) -> Challenge:  # fmt: skip
    """A one-time code to be sent."""
    row = _fresh(purpose, contact_id, language, now, channel, account_id=account_id, activation_id=activation_id)
    session.flush()  # the contact it names may be as new
    session.execute(sa.insert(_CHALLENGES), row)
    return Challenge(**row)


def add_challenge_of_log_in(
    session: Session, contact_id: str | None, language: str, now: datetime, account_id: str, channel: str
) -> Challenge:
    """The code of a log-in, to be sent from the commit on; none is for the channel `totp`, which has no contact."""
    row = _fresh("log_in", contact_id, language, now, channel, account_id=account_id)
    say_last(session, _ADD_LAST, **row)
    return Challenge(**row)


def _fresh(
    purpose: str, contact_id: str | None, language: str, now: datetime, channel: str, **whose: str | None
) -> dict[str, Any]:
    return {
        "challenge_id": new_id(), "purpose": purpose, "channel": channel, "contact_id": contact_id,
        "language": language, "created_at": now, "expires_at": now + rules.ONE_TIME_CODE_LIFETIME, "wrong_tries": 0,
        "sent": 1, **whose,
    }  # fmt: skip


_OF_LOG_IN = ("challenge_id", "purpose", "channel", "contact_id", "account_id", "language", "created_at", "expires_at",
              "wrong_tries", "sent")  # fmt: skip
_ADD_LAST = (
    f"insert into challenges ({', '.join(_OF_LOG_IN)})"  # noqa: S608 (columns)
    f" values ({', '.join(f':{name}' for name in _OF_LOG_IN)})"
)


def newest_challenge(session: Session, activation_id: str) -> Challenge | None:
    """The code last sent in an activation."""
    query = sa.select(Challenge).where(Challenge.activation_id == activation_id)
    return session.scalars(query.order_by(Challenge.created_at.desc()).limit(1)).first()


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


_SENT = planned_once(
    sa.select(_CONTACTS.c.value, _CONTACTS.c.kind, _CHALLENGES.c.language, _CHALLENGES.c.purpose)
    .join_from(_CHALLENGES, _CONTACTS, _CONTACTS.c.contact_id == _CHALLENGES.c.contact_id)
    .where(_CHALLENGES.c.challenge_id == sa.bindparam("challenge_id"), _LIVE)
)


def to_send(session: Session, challenge_id: str, now: datetime) -> Any:
    """Where a code that can still be used goes (value, kind), in which language, for what purpose; or None."""
    return session.execute(_SENT, {"challenge_id": challenge_id, "now": now}).first()


# --- codes of log-in --------------------------------------------------------------------------------------------------

_WAYS = planned_once(sa.union_all(
    sa.select(_CONTACTS.c.kind, _CONTACTS.c.contact_id, _CONTACTS.c.proved_at).where(
        _CONTACTS.c.account_id == sa.bindparam("account_id"), _CONTACTS.c.proved_at.is_not(None)
    ),
    sa.select(sa.literal("totp"), sa.null(), _APPS.c.proved_at).where(
        _APPS.c.account_id == sa.bindparam("account_id"), _APPS.c.proved_at.is_not(None)
    ),
).order_by("proved_at"))


def ways_of_codes(session: Session, account_id: str) -> tuple[dict[str, str | None], bool]:
    """By kind, the contact an account's one-time codes go to: the one proved last; and whether an app shows some."""
    ways = {row.kind: row.contact_id for row in session.execute(_WAYS, {"account_id": account_id})}
    has_app = "totp" in ways
    ways.pop("totp", None)
    return ways, has_app


@dataclass(frozen=True)
class LogInCode:
    """The code of a log-in that somebody enters. live: it can still be used, with the password the account has now."""

    channel: str
    live: bool
    account: AccountFacts


_SAME_PASSWORD = ACCOUNTS.c.password_changed_at <= _CHALLENGES.c.created_at
_ENTERED = planned_once(
    sa.select(_CHALLENGES.c.channel, sa.and_(_LIVE, _SAME_PASSWORD).label("live"), *FACTS)
    .select_from(with_capacities(_CHALLENGES.outerjoin(ACCOUNTS, ACCOUNTS.c.account_id == _CHALLENGES.c.account_id)))
    .where(_CHALLENGES.c.challenge_id == sa.bindparam("challenge_id"), _CHALLENGES.c.purpose == "log_in")
)  # fmt: skip
_USE = planned_once(
    sa.update(_CHALLENGES).values(used_at=sa.bindparam("now"))
    .where(_CHALLENGES.c.challenge_id == sa.bindparam("the_challenge"), _LIVE,
           ACCOUNTS.c.account_id == _CHALLENGES.c.account_id, _SAME_PASSWORD)
)  # fmt: skip


def code_of_log_in(session: Session, challenge_id: str, now: datetime) -> LogInCode | None:
    """The code of a log-in, dead or alive, held until the transaction ends, with whose it is.

    Held, so that many guesses at one moment are looked at one after the other, and no more than five of them.
    """
    hold(session, f"code {challenge_id}")
    rows = session.execute(_ENTERED, {"challenge_id": challenge_id, "now": now}).all()
    account = facts_of(rows)
    return LogInCode(rows[0].channel, rows[0].live, account) if account is not None else None


def use_code_of_log_in(session: Session, challenge_id: str, now: datetime) -> bool:
    """Uses up the code of a log-in; true for exactly one of those who submit it."""
    used: Any = session.execute(_USE, {"the_challenge": challenge_id, "now": now})
    return bool(used.rowcount)


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
