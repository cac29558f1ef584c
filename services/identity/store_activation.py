"""The queries of invitations, letters and activations; the session comes first."""

from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules
from services.identity.contract import ContactTaken, SubjectKind
from services.identity.models import (
    Account,
    Activation,
    ActivationLetter,
    Agent,
    Capacity,
    Challenge,
    Contact,
    Invitation,
)
from services.identity.store import NOBODY, contact_for_codes

# --- invitations, agents, letters -------------------------------------------------------------------------------------


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


def add_invitation(session: Session, kind: SubjectKind, subject_id: str, invited_by: str, now: datetime) -> str:
    """Keeps who invited whom."""
    invitation_id = new_id()
    session.add(
        Invitation(
            invitation_id=invitation_id, subject_kind=kind, subject_id=subject_id, invited_by=invited_by, invited_at=now
        )
    )
    return invitation_id


def put_letter(
    session: Session, letter_id: str, kind: SubjectKind, subject_id: str, code_hash: str, now: datetime
) -> datetime:
    """Keeps the code of a letter; printing the same letter again replaces its code and nothing else.

    A used letter stays used, an older letter stays older. Gives the expiry.
    """
    statement = (
        insert(ActivationLetter)
        .values(letter_id=letter_id, subject_kind=kind, subject_id=subject_id, code_hash=code_hash, issued_at=now,
                expires_at=now + rules.LETTER_CODE_LIFETIME)
        .on_conflict_do_update(
            index_elements=[ActivationLetter.letter_id], set_={"code_hash": code_hash},
            where=sa.and_(ActivationLetter.subject_kind == kind, ActivationLetter.subject_id == subject_id),
        ).returning(ActivationLetter.expires_at)
    )  # fmt: skip
    expires_at = session.scalar(statement)
    if expires_at is None:
        raise rules.invalid("/letter_id", "of_somebody_else")
    return expires_at


def newest_letter(session: Session, kind: SubjectKind | None, subject_id: str | None) -> ActivationLetter | None:
    """The letter that counts: the one first issued last. Unless its code was used or the capacity is active already."""
    active = sa.exists().where(Capacity.kind == kind, Capacity.subject_id == ActivationLetter.subject_id)
    query = (
        sa.select(ActivationLetter)
        .where(ActivationLetter.subject_kind == kind, ActivationLetter.subject_id == (subject_id or NOBODY), ~active)
        .order_by(ActivationLetter.issued_at.desc(), ActivationLetter.letter_id.desc()).limit(1)
    )  # fmt: skip
    return session.scalars(query).first()


def letter_still_holds(session: Session, letter: ActivationLetter) -> bool:
    """Locks the letter and says whether its code is still the compared one, and unused."""
    query = sa.select(ActivationLetter.code_hash, ActivationLetter.used_at).where(
        ActivationLetter.letter_id == letter.letter_id
    )
    row = session.execute(query.with_for_update()).one()
    return bool(row.used_at is None and row.code_hash == letter.code_hash)


def spend_letter(session: Session, letter_id: str, now: datetime) -> bool:
    """Uses up the letter's code; true for exactly one of those who try."""
    statement = (
        sa.update(ActivationLetter).where(ActivationLetter.letter_id == letter_id, ActivationLetter.used_at.is_(None))
        .values(used_at=now).returning(ActivationLetter.letter_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


# --- activations ------------------------------------------------------------------------------------------------------


def start_activation(
    session: Session, letter: ActivationLetter, log_in_name: bytes, token_hash: bytes, now: datetime
) -> Activation:
    """A fresh run through the steps; an unfinished earlier one of the same person is void, with all it had gathered.

    Whoever starts anew has shown the letter again; what the earlier run gathered may be somebody else's address.
    """
    earlier = sa.select(Activation.activation_id).where(
        Activation.subject_kind == letter.subject_kind, Activation.subject_id == letter.subject_id,
        Activation.completed_at.is_(None),
    )  # fmt: skip
    ids = session.scalars(earlier).all()
    session.execute(sa.delete(Challenge).where(Challenge.activation_id.in_(ids)))
    session.execute(sa.delete(Contact).where(Contact.activation_id.in_(ids)))
    session.execute(sa.delete(Activation).where(Activation.activation_id.in_(ids)))
    account_id = session.scalar(sa.select(Account.account_id).where(Account.log_in_name == log_in_name))
    activation = Activation(
        activation_id=new_id(), token_hash=token_hash, letter_id=letter.letter_id, log_in_name=log_in_name,
        subject_kind=letter.subject_kind, subject_id=letter.subject_id, account_id=account_id,
        keeps_password=account_id is not None,
        keeps_contact=account_id is not None and _may_keep_contact(session, letter.subject_kind, account_id),
        started_at=now, expires_at=now + rules.ACTIVATION_LIFETIME,
    )  # fmt: skip
    session.add(activation)
    session.flush()
    return activation


def _may_keep_contact(session: Session, kind: str, account_id: str) -> bool:
    """An account keeps its proved address, unless it becomes a professional's and another account has proved it too."""
    contact = contact_for_codes(session, account_id, "email")
    if contact is None:
        return False
    return kind != "professional" or not address_is_taken(session, contact.kind, contact.value, account_id)


def locked_activation(session: Session, activation_id: str) -> Activation | None:
    """The activation, locked, so that its steps happen one after the other."""
    return session.get(Activation, activation_id, with_for_update=True)


def progress_of(session: Session, activation: Activation) -> rules.Progress:
    """How far an activation is."""
    own = Contact.activation_id == activation.activation_id
    proved = session.scalars(sa.select(Contact.proved_at).where(own)).all()
    return rules.Progress(
        keeps_password=activation.keeps_password,
        keeps_contact=activation.keeps_contact,
        conditions_accepted=activation.conditions_accepted_at is not None,
        contact_added=bool(proved),
        # a completed activation has handed its contact over to the account
        contact_proved=any(proved) or (activation.completed_at is not None and not activation.keeps_contact),
        complete=activation.completed_at is not None,
    )


def keep_conditions(activation: Activation, version: str, language: str, now: datetime) -> None:
    """Notes which conditions were accepted, in which language, when."""
    activation.conditions_version, activation.conditions_language = version, language
    activation.conditions_accepted_at = now


def replace_contact(session: Session, activation: Activation, kind: str, value: str, now: datetime) -> Contact:
    """The contact this activation is about to prove; an earlier one is dropped."""
    drop_contacts(session, activation)
    contact = Contact(
        contact_id=new_id(), activation_id=activation.activation_id, kind=kind, value=value, individual=False,
        added_at=now,
    )  # fmt: skip
    session.add(contact)
    session.flush()
    return contact


def drop_contacts(session: Session, activation: Activation) -> None:
    """Forgets what this activation gathered as contacts, with the codes sent to them."""
    session.execute(sa.delete(Contact).where(Contact.activation_id == activation.activation_id))


def address_is_taken(session: Session, kind: str, value: str, account_id: str | None) -> bool:
    """Whether another account than this one has proved the address [domain.md, Accounts]."""
    query = sa.select(sa.literal(1)).where(
        Contact.kind == kind, sa.func.lower(Contact.value) == value.lower(), Contact.proved_at.is_not(None),
        Contact.account_id.is_not(None), Contact.account_id.is_distinct_from(account_id),
    )  # fmt: skip
    return session.execute(query).first() is not None


def prove_contact(session: Session, activation: Activation, contact_id: str, now: datetime) -> bool:
    """Marks the contact as proved; false when it is a professional's and somebody else's already."""
    contact = session.get_one(Contact, contact_id)
    individual = activation.subject_kind == "professional"
    if individual and address_is_taken(session, contact.kind, contact.value, activation.account_id):
        return False
    return _mark(session, contact, individual, now)


def _mark(session: Session, contact: Contact, individual: bool, now: datetime) -> bool:
    """The unique index has the last word between two professionals who prove one address at the same moment."""
    try:
        with session.begin_nested():
            contact.proved_at = contact.proved_at or now
            contact.individual = contact.individual or individual
    except IntegrityError:
        return False
    return True


def complete_activation(
    session: Session, activation: Activation, password_hash: str | None, now: datetime
) -> str | None:
    """Makes (or finds) the account and adds the capacity; the account's id, None when somebody else was quicker.

    Refuses: ContactTaken, when the address kept has become another professional's since.
    """
    if not spend_letter(session, activation.letter_id, now):
        return None
    account_id = activation.account_id or _put_account(session, activation, cast(str, password_hash), now)
    if not _add_capacity(session, activation, account_id, now):
        return None
    session.execute(
        sa.update(Contact).where(Contact.activation_id == activation.activation_id)
        .values(account_id=account_id, activation_id=None)
    )  # fmt: skip
    kept = contact_for_codes(session, account_id, "email")
    if activation.subject_kind == "professional" and kept is not None and not _mark(session, kept, True, now):
        raise ContactTaken()
    activation.account_id, activation.completed_at = account_id, now
    return account_id


def _put_account(session: Session, activation: Activation, password_hash: str, now: datetime) -> str:
    """A new account; the one of this name if it came into being during the activation: it keeps its password."""
    session.execute(
        insert(Account)
        .values(account_id=new_id(), log_in_name=activation.log_in_name, password_hash=password_hash,
                language=activation.conditions_language, created_at=now)
        .on_conflict_do_nothing(index_elements=[Account.log_in_name])
    )  # fmt: skip
    return session.scalars(
        sa.select(Account.account_id).where(Account.log_in_name == activation.log_in_name).with_for_update()
    ).one()


def _add_capacity(session: Session, activation: Activation, account_id: str, now: datetime) -> bool:
    statement = (
        insert(Capacity)
        .values(account_id=account_id, kind=activation.subject_kind, subject_id=activation.subject_id,
                conditions_version=activation.conditions_version, conditions_language=activation.conditions_language,
                conditions_accepted_at=activation.conditions_accepted_at, activated_at=now)
        .on_conflict_do_nothing().returning(Capacity.account_id)
    )  # fmt: skip
    return session.scalar(statement) is not None
