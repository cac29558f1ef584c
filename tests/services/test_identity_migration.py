"""From the first release's schema, with data, to today's: nobody is locked out by an upgrade."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from services.db import new_id
from tests.builders import newest_revision
from tests.conftest import Before

FIRST = "0001"


@pytest.fixture
def first_release(database_before: Callable[[str, str], Before]) -> Before:
    """A database of identity as the first release left it, without rows."""
    return database_before("identity", FIRST)


def test_accounts_sessions_and_running_activations_of_the_first_release_live_on(first_release: Before) -> None:
    account, letter, activation, contact, patient, session = (new_id() for _ in range(6))
    first_release.run(
        f"insert into accounts values ('{account}', '\\x01', 'hash', 'pt', '2026-11-01T10:00:00Z')",
        f"insert into capacities values ('{account}', 'patient', '{patient}', '2026-11', 'pt', now(), now())",
        "insert into activation_letters (letter_id, subject_kind, subject_id, code_hash, issued_at, expires_at)"
        f" values ('{letter}', 'professional', '{new_id()}', 'hash', now(), now())",
        "insert into activations (activation_id, token_hash, letter_id, log_in_name, subject_kind, subject_id,"
        " keeps_password, keeps_contact, started_at, expires_at) select"
        f" '{activation}', '\\x02', letter_id, '\\x03', subject_kind, subject_id, false, false, now(), now()"
        " from activation_letters",
        "insert into contacts (contact_id, account_id, kind, value, individual, added_at, proved_at) values"
        f" ('{contact}', '{account}', 'email', 'a@b.lu', false, now(), now())",
        "insert into challenges (challenge_id, purpose, contact_id, language, created_at, expires_at)"
        f" values ('{new_id()}', 'log_in', '{contact}', 'pt', now(), now())",
        "insert into sessions (session_id, account_id, capacity, patient_id, stay_connected, "
        f" started_at, expires_at) values ('{session}', '{account}', 'patient', '{patient}', false,"
        " '2026-11-02T10:00:00Z', now())",
    )
    first_release.upgrade()
    with first_release.engine.connect() as connection:
        for query, expected in {
            "select password_changed_at = created_at and locked_at is null from accounts": True,
            "select flow from activations": "agent",
            "select purpose from activation_letters": "activation",
            "select channel || sent from challenges": "email1",
            "select factors from sessions": "password email",
            "select authenticated_at = started_at and last_used_at = started_at from sessions": True,
            "select opened_by is null from sessions": True,
        }.items():
            assert connection.scalar(sa.text(query)) == expected, query


def test_a_second_run_of_the_migrations_changes_nothing(first_release: Before) -> None:
    first_release.upgrade()
    with first_release.engine.connect() as connection:
        assert connection.scalar(sa.text("select version_num from alembic_version")) == newest_revision("identity")


@pytest.mark.parametrize(
    "forbidden",
    [
        "insert into contacts (contact_id, kind, value, added_at) values (gen_random_uuid(), 'email', 'x', now())",
        "insert into contacts (contact_id, account_id, kind, value, added_at)"
        " select gen_random_uuid(), account_id, 'fax', 'x', now() from accounts",
        "update challenges set channel = 'totp'",
        "update sessions set capacity = 'machine'",
        "update activations set subject_id = null",
        "insert into agents (agent_id, log_in_name, role, created_at)"
        " values (gen_random_uuid(), 'somebody', 'boss', now())",
    ],
)
def test_the_checks_of_the_models_hold_after_the_upgrade(first_release: Before, forbidden: str) -> None:
    test_accounts_sessions_and_running_activations_of_the_first_release_live_on(first_release)
    with pytest.raises(sa.exc.IntegrityError, match="ck_"):
        first_release.run(forbidden)


def test_an_agent_may_be_a_privacy_officer_after_the_upgrade(first_release: Before) -> None:
    test_accounts_sessions_and_running_activations_of_the_first_release_live_on(first_release)
    first_release.run(
        "insert into agents (agent_id, log_in_name, role, created_at)"
        " values (gen_random_uuid(), 'an officer', 'privacy_officer', now())"
    )
    with first_release.engine.connect() as connection:
        found = connection.scalars(sa.text("select role from agents where log_in_name = 'an officer'")).all()
    assert found == ["privacy_officer"]
