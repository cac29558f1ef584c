"""The queries of throttles, accounts and keys; the session comes first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.identity import rules, rules_recovery, rules_sessions
from services.identity import rules_throttles as throttles
from services.identity.contract import SubjectKind
from services.identity.models import (
    Account,
    Activation,
    Capacity,
    Challenge,
    Contact,
    KnownDevice,
    LogInSession,
    PrivateKey,
    TriesRow,
    metadata,
)
from services.plans import named, planned_once
from services.words import say_last

# Every log-in asks these tables several times: its statements are made once and bring back plain rows. What an object
# of the ORM has yet to write they do not see.
ACCOUNTS, CAPACITIES, AGENTS, PRIVATE_KEYS = (
    metadata.tables[name] for name in ("accounts", "capacities", "agents", "private_keys")
)

NOBODY = "00000000-0000-0000-0000-000000000000"  # asked for where there is nobody, so that both cost the same


# --- throttles --------------------------------------------------------------------------------------------------------


def take_tries(session: Session, keyed: Sequence[tuple[bytes, throttles.Limit]], now: datetime) -> int | None:
    """Counts one try under each key, narrowest first; seconds to wait when one of them is blocked.

    A blocked key alone counts the try: whoever knocks on one account's door does not use up the address of others.
    The keys are held at once and written with the commit: no transaction takes the same one twice.
    """
    known = _by_key(session.execute(_TAKE, {"keys": sorted(key for key, _ in keyed), "now": now}))
    taken = {}
    for key, limit in keyed:
        after, wait = throttles.take_try(known[key], limit, now)
        if wait is not None:
            _write(session, {key: after})
            return wait
        taken[key] = after
    _write(session, taken)
    return None


def give_back_tries(session: Session, keyed: Sequence[tuple[bytes, throttles.Limit]]) -> None:
    """The last try was right: with the commit the narrowest key is forgotten, the wider ones get it back.

    An address by itself gets it back too: others who tried from there are not forgiven for one who was right.
    """
    narrowest = None if keyed[0][1] == throttles.PER_ADDRESS else keyed[0][0]
    wider = [(key, limit.free) for key, limit in keyed if key != narrowest]
    say_last(
        session, _GIVE_BACK, right_keys=[key for key, _ in keyed], narrowest=narrowest,
        wider_keys=[key for key, _ in wider], wider_free=[free for _, free in wider],
    )  # fmt: skip


# All hold the rows in one order, or two requests could wait for each other. To take is to have a row for each key,
# made where there is none, or none any more in this very moment. To give back is one try less, and with it the block
# that is none after so few.
_TAKE = planned_once(sa.text(
    "insert into tries (key, last_at) select told.key, :now from unnest(cast(:keys as bytea[])) as told (key)"
    " on conflict (key) do update set last_at = tries.last_at"
    " returning tries.key, tries.tries, tries.checked, tries.last_at, tries.blocked_until"
).columns(*named("key tries checked last_at blocked_until")))
_WRITE = (
    "update tries set tries = told.tries, checked = told.checked, last_at = told.last_at,"
    " blocked_until = told.blocked_until"
    " from unnest(cast(:taken_keys as bytea[]), cast(:tries as int[]), cast(:checked as int[]),"
    " cast(:last_at as timestamptz[]), cast(:blocked_until as timestamptz[]))"
    " as told (key, tries, checked, last_at, blocked_until) where tries.key = told.key"
)
_GIVE_BACK = (
    "with held as materialized (select key from tries where key = any(cast(:right_keys as bytea[]))"
    " order by key for update),"
    " forgotten as (delete from tries using held where tries.key = held.key and held.key = :narrowest)"
    " update tries set checked = greatest(0, checked - 1),"
    " blocked_until = case when checked - 1 >= wider.free then blocked_until end"
    " from held join unnest(cast(:wider_keys as bytea[]), cast(:wider_free as int[])) as wider (key, free) using (key)"
    " where tries.key = held.key"
)


def _by_key(rows: Iterable[sa.Row[Any]]) -> dict[bytes, throttles.Tries]:
    return {
        bytes(row.key): throttles.Tries(row.tries, row.checked, row.last_at, row.blocked_until) for row in rows
    }  # fmt: skip


def _write(session: Session, held: Mapping[bytes, throttles.Tries]) -> None:
    """Writes what became of rows that are held, all at once."""
    tries = held.values()
    say_last(
        session, _WRITE, taken_keys=list(held), tries=[one.tries for one in tries],
        checked=[one.checked for one in tries], last_at=[one.last_at for one in tries],
        blocked_until=[one.blocked_until for one in tries],
    )  # fmt: skip


# --- accounts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AccountFacts:
    """An account as log-in needs it."""

    account_id: str
    password_hash: str
    language: str
    held: list[rules.Held]
    password_changed_at: datetime
    mail_codes_from: datetime | None = None
    locked_at: datetime | None = None

    def subject_of(self, kind: SubjectKind) -> str | None:
        """The patient's, professional's or agent's id behind this account."""
        return next((held.subject_id for held in self.held if held.kind == kind), None)


def account_of_name(session: Session, log_in_name: bytes) -> AccountFacts | None:
    """The account of a log-in name; unknown names cost the same queries."""
    return facts_of(session.execute(_OF_NAME, {"name": log_in_name}).all())


def account(session: Session, account_id: str | None) -> AccountFacts | None:
    """The account with this id."""
    return facts_of(session.execute(_OF_ID, {"account_id": account_id or NOBODY}).all())


def account_of_subject(session: Session, kind: SubjectKind, subject_id: str) -> AccountFacts | None:
    """The account of a patient or professional."""
    owner = sa.select(CAPACITIES.c.account_id).where(
        CAPACITIES.c.kind == kind, CAPACITIES.c.subject_id == subject_id
    )  # fmt: skip
    return facts_of(session.execute(_FACTS.where(ACCOUNTS.c.account_id.in_(owner))).all())


FACTS = (
    *(ACCOUNTS.c[name] for name in ("account_id", "password_hash", "language", "password_changed_at",
                                    "mail_codes_from", "locked_at")),
    CAPACITIES.c.kind, CAPACITIES.c.subject_id, AGENTS.c.role,
)  # fmt: skip
"""What facts_of() makes an account of: a row for each of its capacities, and one where it has none."""


def with_capacities(accounts: sa.FromClause) -> sa.FromClause:
    """Accounts, or what they are joined to, beside each of their capacities and an agent's role."""
    of_agency = sa.and_(CAPACITIES.c.kind == "agent", AGENTS.c.agent_id == CAPACITIES.c.subject_id)
    held = accounts.outerjoin(CAPACITIES, CAPACITIES.c.account_id == ACCOUNTS.c.account_id)
    return held.outerjoin(AGENTS, of_agency)


_FACTS = sa.select(*FACTS).select_from(with_capacities(ACCOUNTS)).order_by(CAPACITIES.c.activated_at)
_OF_NAME = planned_once(_FACTS.where(ACCOUNTS.c.log_in_name == sa.bindparam("name")))
_OF_ID = planned_once(_FACTS.where(ACCOUNTS.c.account_id == sa.bindparam("account_id")))


def facts_of(rows: Sequence[sa.Row[Any]]) -> AccountFacts | None:
    """The account that rows of FACTS tell of, its capacities in the order of their activation."""
    if not rows or rows[0].account_id is None:
        return None
    held = [rules.Held(cast(SubjectKind, row.kind), row.subject_id, row.role) for row in rows if row.kind]
    one = rows[0]
    return AccountFacts(
        one.account_id, one.password_hash, one.language, held, one.password_changed_at, one.mail_codes_from,
        one.locked_at,
    )  # fmt: skip


def account_to_enter(session: Session, account_id: str) -> Account:
    """An account as it is now, held until the transaction ends.

    Locking it and changing its password wait for a log-in that is under way, or it waits for them: no session opens
    unseen by who ends them all.
    """
    query = sa.select(Account).where(Account.account_id == account_id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).one()


@dataclass(frozen=True)
class Entering:
    """What counts of an account, and of the capacity chosen, in the moment in which somebody enters."""

    account_id: str
    kind: SubjectKind
    locked_at: datetime | None
    mail_codes_from: datetime | None
    conditions_version: str | None
    licence_lost_at: datetime | None


_ENTERING = planned_once(
    sa.select(
        ACCOUNTS.c.account_id, CAPACITIES.c.kind, ACCOUNTS.c.locked_at, ACCOUNTS.c.mail_codes_from,
        CAPACITIES.c.conditions_version, CAPACITIES.c.licence_lost_at,
    )
    .select_from(ACCOUNTS.join(CAPACITIES, CAPACITIES.c.account_id == ACCOUNTS.c.account_id))
    .where(ACCOUNTS.c.account_id == sa.bindparam("account_id"), CAPACITIES.c.kind == sa.bindparam("kind"))
    .with_for_update(key_share=True)
)  # fmt: skip


def entering(session: Session, account_id: str, kind: SubjectKind) -> Entering:
    """An account and a capacity that it has as they are now, both held like account_to_enter() does.

    News of a licence wait as well.
    """
    return Entering(*session.execute(_ENTERING, {"account_id": account_id, "kind": kind}).one())


def accept_conditions(session: Session, who: Entering, version: str, language: str, now: datetime) -> bool:
    """Keeps the conditions accepted for a capacity; true when it had accepted none before."""
    whose = sa.update(CAPACITIES).where(CAPACITIES.c.account_id == who.account_id, CAPACITIES.c.kind == who.kind)
    session.execute(whose.values(conditions_version=version, conditions_language=language, conditions_accepted_at=now))
    return who.conditions_version is None


def lift_mail_bar(session: Session, who: Entering, factors: str) -> None:
    """After a reset by e-mail, a log-in with another factor than e-mail lets codes go by e-mail again."""
    if who.mail_codes_from is not None and rules_recovery.lifts_mail_bar(factors):
        whose = sa.update(ACCOUNTS).where(ACCOUNTS.c.account_id == who.account_id)
        session.execute(whose.values(mail_codes_from=None))


def accepted_conditions(session: Session, account_id: str) -> dict[str, str | None]:
    """Which version of the conditions each capacity of an account has accepted."""
    query = sa.select(Capacity.kind, Capacity.conditions_version).where(Capacity.account_id == account_id)
    return {row.kind: row.conditions_version for row in session.execute(query)}


def note_licence_lost(session: Session, professional_id: str, at: datetime) -> None:
    """Notes until when the word on a licence counts no more: a log-in that asked for it before does not come in."""
    statement = sa.update(Capacity).where(Capacity.kind == "professional", Capacity.subject_id == professional_id)
    session.execute(statement.values(licence_lost_at=sa.func.greatest(Capacity.licence_lost_at, at)))


def lock_account(session: Session, account_id: str, cause: str, now: datetime) -> bool:
    """Locks an account; false when it is locked already."""
    statement = sa.update(Account).where(Account.account_id == account_id, Account.locked_at.is_(None))
    return session.scalar(
        statement.values(locked_at=now, lock_cause=cause).returning(Account.account_id)
    ) is not None  # fmt: skip


def unlock_account(session: Session, account_id: str) -> bool:
    """Opens a locked account again; false when it is not locked."""
    statement = sa.update(Account).where(Account.account_id == account_id, Account.locked_at.is_not(None))
    return session.scalar(statement.values(locked_at=None, lock_cause=None).returning(Account.account_id)) is not None


def proved_contacts(session: Session, account_id: str) -> Sequence[Contact]:
    """Every proved address of an account, the newest first."""
    query = sa.select(Contact).where(Contact.account_id == account_id, Contact.proved_at.is_not(None))
    return session.scalars(query.order_by(Contact.proved_at.desc())).all()


def capacity_is_active(session: Session, kind: SubjectKind, subject_id: str) -> bool:
    """Whether this person already has an account in this capacity."""
    query = sa.select(sa.literal(1)).where(Capacity.kind == kind, Capacity.subject_id == subject_id)
    return session.execute(query).first() is not None


# --- signing keys, sweeping -------------------------------------------------------------------------------------------


def lock_signing_keys(session: Session) -> None:
    """One at a time may make a signing key; held until the transaction ends."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("identity signing keys"))))


def add_signing_key(
    session: Session, kid: str, jwk: dict[str, str], wrapped: bytes, not_before: datetime, now: datetime
) -> PrivateKey:
    """Keeps a new signing key."""
    key = PrivateKey(
        kid=kid, jwk=jwk, wrapped=wrapped, not_before=not_before, not_after=rules.key_expiry(not_before), created_at=now
    )
    session.add(key)
    return key


def newest_key_start(session: Session) -> datetime | None:
    """From when on the newest signing key signs; None when there is no key."""
    return session.scalar(sa.select(sa.func.max(PrivateKey.not_before)))


def current_key(session: Session, now: datetime) -> sa.Row[Any]:
    """The key that signs now: kid, jwk, wrapped."""
    return session.execute(CURRENT_KEY, {"now": now}).one()


CURRENT_KEY = (
    sa.select(*(PRIVATE_KEYS.c[name] for name in ("kid", "jwk", "wrapped")))
    .where(PRIVATE_KEYS.c.not_before <= sa.bindparam("now"), PRIVATE_KEYS.c.not_after > sa.bindparam("now"))
    .order_by(PRIVATE_KEYS.c.not_before.desc()).limit(1)
)  # fmt: skip


def public_keys(session: Session, now: datetime) -> Sequence[dict[str, str]]:
    """Every public key that counts now or soon."""
    query = sa.select(PrivateKey.jwk).where(PrivateKey.not_after > now).order_by(PrivateKey.not_before)
    return session.scalars(query).all()


def sweep(session: Session, now: datetime) -> None:
    """Forgets what has had its day: codes, addresses of abandoned activations, throttles, sessions, old keys."""
    abandoned = sa.select(Activation.activation_id).where(
        Activation.completed_at.is_(None), Activation.expires_at < now
    )
    session.execute(sa.delete(Challenge).where(Challenge.expires_at < now - timedelta(hours=1)))
    session.execute(sa.delete(Contact).where(Contact.activation_id.in_(abandoned)))
    session.execute(sa.delete(Activation).where(Activation.activation_id.in_(abandoned)))
    session.execute(sa.delete(TriesRow).where(TriesRow.last_at < now - timedelta(days=2)))
    session.execute(sa.delete(KnownDevice).where(KnownDevice.last_at < now - rules_sessions.DEVICE_KEPT))
    session.execute(sa.delete(LogInSession).where(LogInSession.expires_at < now - timedelta(days=90)))
    session.execute(sa.delete(PrivateKey).where(PrivateKey.not_after < now - timedelta(days=30)))
