"""The queries of business software: managers, clients and their states, assertions seen, tokens; the session first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.identity.contract_machines import ClientState, Jwks
from services.identity.models_machines import ClientState as StateChange
from services.identity.models_machines import MachineToken, OrganisationManager, SeenAssertion, SoftwareClient
from services.identity.store import NOBODY

TOKENS_KEPT = timedelta(days=90)


# --- managers ---------------------------------------------------------------------------------------------------------


def put_manager(session: Session, establishment_id: str, professional_id: str, by: str, now: datetime) -> bool:
    """Notes a manager; false when they are one already."""
    row = insert(OrganisationManager).values(
        establishment_id=establishment_id, professional_id=professional_id, named_by=by, named_at=now
    )
    again = row.on_conflict_do_update(
        index_elements=["establishment_id", "professional_id"],
        set_={"named_by": by, "named_at": now, "ended_at": None},
        where=OrganisationManager.ended_at.is_not(None),
    )
    return session.scalar(again.returning(OrganisationManager.professional_id)) is not None


def end_manager(session: Session, establishment_id: str, professional_id: str, now: datetime) -> bool:
    """Ends it; false when there is no such manager."""
    statement = (
        sa.update(OrganisationManager)
        .where(OrganisationManager.establishment_id == establishment_id,
               OrganisationManager.professional_id == professional_id, OrganisationManager.ended_at.is_(None))
        .values(ended_at=now).returning(OrganisationManager.professional_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def is_manager(session: Session, establishment_id: str, professional_id: str | None) -> bool:
    """Whether this professional manages the software of this establishment."""
    query = sa.select(sa.literal(1)).where(
        OrganisationManager.establishment_id == establishment_id,
        OrganisationManager.professional_id == (professional_id or NOBODY), OrganisationManager.ended_at.is_(None),
    )  # fmt: skip
    return session.execute(query).first() is not None


# --- clients ----------------------------------------------------------------------------------------------------------


def add_client(
    session: Session, establishment_id: str, name: str, version: str, vendor: str, scopes: list[str], jwks: Jwks,
    by: str, now: datetime,
) -> SoftwareClient:  # fmt: skip
    """A new client, in the state in which all begin."""
    client = SoftwareClient(
        client_id=new_id(), establishment_id=establishment_id, name=name, version=version, vendor=vendor,
        scopes=scopes, jwks=jwks, state="requested", registered_by=by, registered_at=now,
    )  # fmt: skip
    session.add(client)
    session.flush()
    add_state_change(session, client.client_id, "requested", by, now)
    return client


def client(session: Session, client_id: str | None) -> SoftwareClient | None:
    """A client by its id; an unknown one costs the same."""
    return session.scalars(sa.select(SoftwareClient).where(SoftwareClient.client_id == (client_id or NOBODY))).first()


def hold_client(session: Session, client_id: str) -> SoftwareClient:
    """A client whose state stays as it is until the transaction ends: whoever suspends it comes before or after."""
    query = sa.select(SoftwareClient).where(SoftwareClient.client_id == client_id).with_for_update(read=True)
    return session.scalars(query.execution_options(populate_existing=True)).one()


def clients_of(session: Session, establishment_id: str) -> Sequence[SoftwareClient]:
    """The clients of an organisation, the newest first."""
    query = sa.select(SoftwareClient).where(SoftwareClient.establishment_id == establishment_id)
    return session.scalars(query.order_by(SoftwareClient.client_id.desc())).all()


def clients_in_state(session: Session, state: ClientState, after: str | None, limit: int) -> Sequence[SoftwareClient]:
    """One page of the clients in a state, oldest first; after: the last one of the page before."""
    query = sa.select(SoftwareClient).where(SoftwareClient.state == state, SoftwareClient.client_id > (after or NOBODY))
    return session.scalars(query.order_by(SoftwareClient.client_id).limit(limit)).all()


def replace_keys(session: Session, establishment_id: str, client_id: str, jwks: Jwks) -> SoftwareClient | None:
    """Gives a client of this organisation other keys; None when it has no such client."""
    statement = (
        sa.update(SoftwareClient)
        .where(SoftwareClient.client_id == client_id, SoftwareClient.establishment_id == establishment_id)
        .values(jwks=jwks).returning(SoftwareClient)
    )  # fmt: skip
    return session.scalars(statement).first()


def change_state(session: Session, client_id: str, state: ClientState, before: Sequence[ClientState]) -> bool:
    """Moves a client on from one of these states; false when it is in none of them."""
    statement = (
        sa.update(SoftwareClient)
        .where(SoftwareClient.client_id == client_id, SoftwareClient.state.in_(before))
        .values(state=state).returning(SoftwareClient.client_id)
    )  # fmt: skip
    return session.scalar(statement) is not None


def add_state_change(session: Session, client_id: str, state: ClientState, by: str, now: datetime) -> None:
    """Notes who attested what, for ever."""
    session.add(StateChange(change_id=new_id(), client_id=client_id, state=state, changed_by=by, changed_at=now))


@dataclass(frozen=True)
class Listed:
    """A line of the public list."""

    name: str
    version: str
    vendor: str
    state: ClientState
    establishments: int


def public_list(session: Session) -> list[Listed]:
    """Every software that was attested once, by name, version, vendor and state, with how many use it."""
    same = (SoftwareClient.name, SoftwareClient.version, SoftwareClient.vendor, SoftwareClient.state)
    count = sa.func.count(sa.distinct(SoftwareClient.establishment_id))
    rows = session.execute(
        sa.select(*same, count).where(SoftwareClient.state != "requested").group_by(*same).order_by(*same)
    )
    return [Listed(name, version, vendor, cast(ClientState, state), n) for name, version, vendor, state, n in rows]


# --- tokens -----------------------------------------------------------------------------------------------------------


def use_assertion(session: Session, client_id: str, jti: str, expires_at: datetime) -> bool:
    """Notes that an assertion was presented; true for exactly one of those who present it. [RFC 7523 3]"""
    row = insert(SeenAssertion).values(
        client_id=client_id, jti_hash=sha256(jti.encode("utf-8", "surrogatepass")).digest(), expires_at=expires_at
    )
    return session.scalar(row.on_conflict_do_nothing().returning(SeenAssertion.client_id)) is not None


def add_token(
    session: Session, client_id: str, professional_id: str | None, scope: str, purpose: str | None, now: datetime,
    expires_at: datetime,
) -> MachineToken:  # fmt: skip
    """A token to be signed; from here on it can be ended."""
    token = MachineToken(
        token_id=new_id(), client_id=client_id, professional_id=professional_id, scope=scope, purpose=purpose,
        issued_at=now, expires_at=expires_at,
    )  # fmt: skip
    session.add(token)
    session.flush()
    return token


def token_of(session: Session, token_id: str | None, client_id: str) -> MachineToken | None:
    """A client's own token; another's is an unknown one."""
    query = sa.select(MachineToken).where(
        MachineToken.token_id == (token_id or NOBODY), MachineToken.client_id == client_id
    )
    return session.scalars(query.execution_options(populate_existing=True)).first()


def is_running(session: Session, token_id: str, now: datetime) -> bool:
    """Whether a token has neither been ended nor expired."""
    query = sa.select(sa.literal(1)).where(
        MachineToken.token_id == token_id, MachineToken.revoked_at.is_(None), MachineToken.expires_at > now
    )
    return session.execute(query).first() is not None


def end_token(session: Session, token_id: str, now: datetime) -> bool:
    """Ends one token; false when it has ended or expired before."""
    return bool(_end_where(session, MachineToken.token_id == token_id, now))


def end_tokens_of_client(session: Session, client_id: str, now: datetime) -> Sequence[str]:
    """Ends every token of a client in one statement; those it has ended."""
    return _end_where(session, MachineToken.client_id == client_id, now)


def _end_where(session: Session, which: Any, now: datetime) -> Sequence[str]:
    statement = sa.update(MachineToken).where(which, MachineToken.revoked_at.is_(None), MachineToken.expires_at > now)
    return session.scalars(statement.values(revoked_at=now).returning(MachineToken.token_id)).all()


def sweep(session: Session, now: datetime) -> None:
    """Forgets assertions that have expired, and tokens whose time is long over."""
    session.execute(sa.delete(SeenAssertion).where(SeenAssertion.expires_at < now - timedelta(minutes=1)))
    session.execute(sa.delete(MachineToken).where(MachineToken.expires_at < now - TOKENS_KEPT))
