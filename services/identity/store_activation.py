"""The queries of activations: their steps, and what becomes of an account at their end; the session comes first."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity import rules
from services.identity.contract import ActivationStep, ContactTaken, LuxTrustTaken
from services.identity.models import Account, Activation, ActivationLetter, Capacity, Challenge, Contact
from services.identity.models_factors import LuxTrustProduct
from services.identity.rules_activation import Flow, Progress
from services.identity.store import NOBODY, proved_contacts
from services.identity.store_codes import count_sent, live_challenge, newest_challenge
from services.identity.store_letters import spend_letter

# --- beginning --------------------------------------------------------------------------------------------------------


def start_activation(
    session: Session, letter: ActivationLetter, flow: Flow, log_in_name: bytes, token_hash: bytes, now: datetime
) -> Activation:
    """A fresh run through the steps of a flow, for whoever showed a letter."""
    activation = _new_activation(session, flow, letter.subject_kind, token_hash, now)
    bind_letter(session, activation, letter, log_in_name)
    return activation


def start_activation_of_professional(session: Session, token_hash: bytes, now: datetime) -> Activation:
    """A fresh run that begins before its letter was shown: nobody knows yet whose it is."""
    return _new_activation(session, "professional", "professional", token_hash, now)


def _new_activation(session: Session, flow: Flow, kind: str, token_hash: bytes, now: datetime) -> Activation:
    activation = Activation(
        activation_id=new_id(), token_hash=token_hash, flow=flow, subject_kind=kind, keeps_password=False,
        keeps_contact=False, started_at=now, expires_at=now + rules.ACTIVATION_LIFETIME,
    )  # fmt: skip
    session.add(activation)
    session.flush()
    return activation


def bind_letter(session: Session, activation: Activation, letter: ActivationLetter, log_in_name: bytes) -> None:
    """Says whose activation this is; what was gathered for somebody else is forgotten.

    An unfinished earlier run of the same person is void, with all it had gathered: whoever starts anew has shown the
    letter again, and what the earlier run gathered may be somebody else's address.
    """
    earlier = sa.select(Activation.activation_id).where(
        Activation.subject_kind == letter.subject_kind, Activation.subject_id == letter.subject_id,
        Activation.completed_at.is_(None), Activation.activation_id != activation.activation_id,
    )  # fmt: skip
    void = session.scalars(earlier).all()
    _forget_gathered(session, [*void, activation.activation_id])
    session.execute(sa.delete(Activation).where(Activation.activation_id.in_(void)))
    activation.letter_id, activation.subject_id = letter.letter_id, letter.subject_id
    activation.log_in_name, activation.person_confirmed_at, activation.password_hash = log_in_name, None, None
    recovers = activation.flow == "recovery"
    activation.account_id = _account_behind(session, letter) if recovers else _account_of(session, log_in_name)
    keeps = activation.account_id is not None and not recovers
    activation.keeps_password = keeps
    activation.keeps_contact = keeps and bool(_contacts_kept(session, activation))
    session.flush()


def void_unfinished(session: Session, kind: str, subject_id: str, begun_until: datetime) -> None:
    """Ends every run of somebody's that began until then and is not complete, with all it had gathered.

    One in which a step is being taken this moment is left to it: its caller has used up the letter, without which no
    run is ever complete, and who waited for both in the other order would wait for ever.
    """
    runs = session.scalars(
        sa.select(Activation.activation_id).where(
            Activation.subject_kind == kind, Activation.subject_id == subject_id, Activation.flow != "recovery",
            Activation.completed_at.is_(None), Activation.started_at <= begun_until,
        ).with_for_update(skip_locked=True)
    ).all()  # fmt: skip
    _forget_gathered(session, runs)
    session.execute(sa.delete(Activation).where(Activation.activation_id.in_(runs)))


def _forget_gathered(session: Session, activation_ids: Sequence[str]) -> None:
    session.execute(sa.delete(Challenge).where(Challenge.activation_id.in_(activation_ids)))
    session.execute(sa.delete(Contact).where(Contact.activation_id.in_(activation_ids)))


def _account_of(session: Session, log_in_name: bytes) -> str | None:
    return session.scalar(sa.select(Account.account_id).where(Account.log_in_name == log_in_name))


def _account_behind(session: Session, letter: ActivationLetter) -> str:
    whose = sa.select(Capacity.account_id).where(
        Capacity.kind == letter.subject_kind, Capacity.subject_id == letter.subject_id
    )
    return session.scalars(whose).one()


def _contacts_kept(session: Session, activation: Activation) -> Sequence[Contact]:
    """The addresses an account brings along: all that it proved, but of those that a professional may not share."""
    return [
        one for one in proved_contacts(session, cast(str, activation.account_id))
        if not (activation.subject_kind == "professional" and _is_shared(session, one))
    ]  # fmt: skip


def _is_shared(session: Session, contact: Contact) -> bool:
    return address_is_taken(session, contact.kind, contact.value, contact.account_id)


# --- steps ------------------------------------------------------------------------------------------------------------


def locked_activation(session: Session, activation_id: str) -> Activation | None:
    """The activation, locked, so that its steps happen one after the other."""
    return session.get(Activation, activation_id, with_for_update=True)


def progress_of(session: Session, activation: Activation) -> Progress:
    """How far an activation is."""
    own = Contact.activation_id == activation.activation_id
    proved = session.scalars(sa.select(Contact.proved_at).where(own)).all()
    reached: dict[ActivationStep, bool] = {
        "conditions": activation.conditions_accepted_at is not None,
        "luxtrust": activation.luxtrust_subject is not None,
        "code": activation.letter_id is not None,
        "personal_data": activation.person_confirmed_at is not None,
        "contact": any(proved),
        "password": activation.password_hash is not None,
    }
    kept: dict[ActivationStep, bool] = {"contact": activation.keeps_contact, "password": activation.keeps_password}
    return Progress(
        flow=cast(Flow, activation.flow),
        done=frozenset(step for step, is_done in reached.items() if is_done),
        kept=frozenset(step for step, is_kept in kept.items() if is_kept),
        code_sent=bool(proved) and not any(proved),
        complete=activation.completed_at is not None,
    )


def keep_conditions(activation: Activation, version: str, language: str, now: datetime) -> None:
    """Notes which conditions were accepted, in which language, when."""
    activation.conditions_version, activation.conditions_language = version, language
    activation.conditions_accepted_at = now


def keep_password(activation: Activation, password_hash: str) -> None:
    """Keeps the password chosen until there is an account to have it."""
    activation.password_hash = password_hash


def confirm_person(activation: Activation, now: datetime) -> None:
    """Notes that the person has confirmed their data."""
    activation.person_confirmed_at = now


def doubt_person(activation: Activation) -> None:
    """The data turned out to be wrong: nobody has confirmed them."""
    activation.person_confirmed_at = None


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


def contact_of(session: Session, activation: Activation) -> Contact | None:
    """The contact this activation is about to prove or has proved."""
    return session.scalars(sa.select(Contact).where(Contact.activation_id == activation.activation_id)).first()


def drop_contacts(session: Session, activation: Activation) -> None:
    """Forgets what this activation gathered as contacts, with the codes sent to them."""
    session.execute(sa.delete(Contact).where(Contact.activation_id == activation.activation_id))


def reopen_contact(session: Session, activation: Activation) -> None:
    """The address gathered or kept is somebody else's: another one is to be proved."""
    drop_contacts(session, activation)
    activation.keeps_contact = False


def resent_challenge(session: Session, activation: Activation, now: datetime) -> Challenge | None:
    """The code last sent, to be sent again; none when it is over or was sent often enough."""
    newest = newest_challenge(session, activation.activation_id)
    live = newest is not None and live_challenge(session, newest.challenge_id, now) is not None
    return newest if newest is not None and live and count_sent(session, newest.challenge_id) else None


def address_is_taken(session: Session, kind: str, value: str, account_id: str | None) -> bool:
    """Whether another account than this one has proved the address [domain.md, Accounts]."""
    query = sa.select(sa.literal(1)).where(
        Contact.kind == kind, sa.func.lower(Contact.value) == value.lower(), Contact.proved_at.is_not(None),
        Contact.account_id.is_not(None), Contact.account_id.is_distinct_from(account_id),
    )  # fmt: skip
    return session.execute(query).first() is not None


def prove_contact(session: Session, activation: Activation, contact_id: str, now: datetime) -> bool:
    """Marks the contact as proved; false when it is a professional's e-mail and somebody else's already.

    In a recovery the account may have this very address as its own, so only the end of it makes it individual.
    """
    contact = session.get_one(Contact, contact_id)
    individual = contact.kind == "email" and _is_of_professional(session, activation)
    if individual and address_is_taken(session, contact.kind, contact.value, activation.account_id):
        return False
    return _mark(session, contact, individual and activation.flow != "recovery", now)


def _is_of_professional(session: Session, activation: Activation) -> bool:
    query = sa.select(sa.literal(1)).where(
        Capacity.account_id == (activation.account_id or NOBODY), Capacity.kind == "professional"
    )
    return activation.subject_kind == "professional" or session.execute(query).first() is not None


def _mark(session: Session, contact: Contact, individual: bool, now: datetime) -> bool:
    """The unique index has the last word between two professionals who prove one address at the same moment."""
    try:
        with session.begin_nested():
            contact.proved_at = contact.proved_at or now
            contact.individual = contact.individual or individual
    except IntegrityError:
        return False
    return True


# --- the end ----------------------------------------------------------------------------------------------------------


def luxtrust_is_taken(session: Session, activation: Activation) -> bool:
    """Whether the LuxTrust product of this activation opens another account already."""
    owner = sa.select(LuxTrustProduct.account_id).where(
        LuxTrustProduct.subject == (activation.luxtrust_subject or b""),
        LuxTrustProduct.account_id.is_distinct_from(activation.account_id),
    )
    return session.execute(owner).first() is not None


def drop_luxtrust(activation: Activation) -> None:
    """Forgets the LuxTrust product shown: the step is to be taken again with another one."""
    activation.luxtrust_subject = activation.luxtrust_product = None


def complete_activation(session: Session, activation: Activation, language: str, now: datetime) -> str | None:
    """Makes (or finds) the account and adds the capacity; the account's id, None when somebody else was quicker.

    language: of an account that is new and has accepted no conditions yet.
    Refuses: ContactTaken, LuxTrustTaken, when address or product has become another account's this moment.
    """
    if not spend_letter(session, activation.letter_id, now):
        return None
    account_id = activation.account_id or _put_account(session, activation, language, now)
    if not _add_capacity(session, activation, account_id, now):
        return None
    _hand_over_contacts(session, activation, account_id)
    if activation.subject_kind == "professional":
        _make_individual(session, account_id, now)
    if activation.luxtrust_subject is not None:
        _link_luxtrust(session, activation, account_id, now)
    _finish(activation, account_id, now)
    return account_id


def complete_recovery(session: Session, activation: Activation, now: datetime) -> Sequence[dict[str, str]] | None:
    """Gives the account its new password and its new contact; the contacts it had until now.

    A locked account stays locked, its other ways in stay. None when somebody else was quicker with the letter.
    Refuses: ContactTaken.
    """
    if not spend_letter(session, activation.letter_id, now):
        return None
    account = session.get_one(Account, activation.account_id, with_for_update=True)
    account.password_hash, account.password_changed_at = cast(str, activation.password_hash), now
    account.mail_codes_from = None
    old = [{"kind": one.kind, "value": one.value} for one in proved_contacts(session, account.account_id)]
    session.execute(sa.delete(Contact).where(Contact.account_id == account.account_id))
    _hand_over_contacts(session, activation, account.account_id)
    if _is_of_professional(session, activation):
        _make_individual(session, account.account_id, now)
    _finish(activation, account.account_id, now)
    return old


def _hand_over_contacts(session: Session, activation: Activation, account_id: str) -> None:
    session.execute(
        sa.update(Contact).where(Contact.activation_id == activation.activation_id)
        .values(account_id=account_id, activation_id=None)
    )  # fmt: skip


def _make_individual(session: Session, account_id: str, now: datetime) -> None:
    """A professional's e-mail addresses are nobody else's from now on; one that is shared must not be the only one."""
    proved = proved_contacts(session, account_id)
    marked = [one.kind == "mobile" or _mark_unshared(session, one, now) for one in proved]
    if not any(marked):
        raise ContactTaken()


def _mark_unshared(session: Session, contact: Contact, now: datetime) -> bool:
    return contact.individual or (not _is_shared(session, contact) and _mark(session, contact, True, now))


def _link_luxtrust(session: Session, activation: Activation, account_id: str, now: datetime) -> None:
    session.execute(
        insert(LuxTrustProduct)
        .values(subject=activation.luxtrust_subject, product_id=new_id(), account_id=account_id,
                product=activation.luxtrust_product or "", linked_at=now)
        .on_conflict_do_nothing()
    )  # fmt: skip
    if session.get_one(LuxTrustProduct, activation.luxtrust_subject).account_id != account_id:
        raise LuxTrustTaken()


def _finish(activation: Activation, account_id: str, now: datetime) -> None:
    activation.account_id, activation.completed_at, activation.password_hash = account_id, now, None


def _put_account(session: Session, activation: Activation, language: str, now: datetime) -> str:
    """A new account; the one of this name if it came into being during the activation: it keeps its password."""
    session.execute(
        insert(Account)
        .values(account_id=new_id(), log_in_name=activation.log_in_name, password_hash=activation.password_hash,
                password_changed_at=now, language=activation.conditions_language or language, created_at=now)
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
