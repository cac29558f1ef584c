"""The queries of a changed matricule: whose log-in name follows it."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.identity.models import Account, Activation, Agent, Capacity


def hold_names_of_patient(session: Session, patient_id: str) -> Sequence[str]:
    """Returns the accounts whose log-in name is this patient's matricule, held with whatever makes one just now.

    Running activations first: one that is being completed is waited for, and its account then seen.
    """
    runs = session.execute(
        sa.select(Activation.activation_id, Activation.account_id).where(_running(patient_id)).with_for_update()
    ).all()
    theirs = sa.select(Capacity.account_id).where(Capacity.kind == "patient", Capacity.subject_id == patient_id)
    joined = [run.account_id for run in runs if run.account_id is not None]
    held = sa.select(Account.account_id).where(sa.or_(Account.account_id.in_(theirs), Account.account_id.in_(joined)))
    return session.scalars(held.order_by(Account.account_id).with_for_update()).all()


def name_is_anothers(session: Session, log_in_name: bytes, account_ids: Sequence[str]) -> bool:
    """Whether an account other than these is logged in with this name."""
    other = sa.select(Account.account_id).where(
        Account.log_in_name == log_in_name, Account.account_id.not_in(account_ids)
    )
    return session.execute(other).first() is not None


def rename(session: Session, patient_id: str, account_ids: Sequence[str], log_in_name: bytes) -> Sequence[str]:
    """Gives held accounts and running activations another log-in name; returns the accounts that had another.

    Who works for the agency is known there by the same name.
    """
    running = sa.update(Activation).where(_running(patient_id))
    session.execute(running.values(log_in_name=log_in_name))
    differing = (Account.account_id.in_(account_ids), Account.log_in_name != log_in_name)
    former = session.scalars(sa.select(Account.log_in_name).where(*differing)).all()
    session.execute(sa.update(Agent).where(Agent.log_in_name.in_(former)).values(log_in_name=log_in_name))
    changed = sa.update(Account).where(*differing).values(log_in_name=log_in_name)
    return session.scalars(changed.returning(Account.account_id)).all()


def _running(patient_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        Activation.subject_kind == "patient", Activation.subject_id == patient_id, Activation.completed_at.is_(None)
    )
