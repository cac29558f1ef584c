"""Six databases, six roles: each reaches its own and no other."""

import itertools
from collections.abc import Callable

import psycopg2
import pytest

from deploy.local import postgres
from deploy.local.layout import SERVICES, database_of
from deploy.local.stack import Stack


def connect(infra: Stack, role_of: str, database: str) -> "psycopg2.extensions.connection":
    return psycopg2.connect(
        host="127.0.0.1",
        port=infra.layout.ports["postgres"],
        user=database_of(role_of),
        password=infra.layout.secrets[f"database_{role_of}"],
        dbname=database,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_its_own_database_and_finds_its_schema(infra: Stack, service: str) -> None:
    with connect(infra, service, database_of(service)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox")
        assert cursor.fetchone() is not None


@pytest.mark.parametrize(("service", "other"), itertools.permutations(SERVICES, 2))
def test_a_service_cannot_enter_the_database_of_another(infra: Stack, service: str, other: str) -> None:
    with pytest.raises(psycopg2.OperationalError):
        connect(infra, service, database_of(other))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_cannot_enter_the_shared_databases(infra: Stack, service: str) -> None:
    for shared in ("postgres", "template1"):
        with pytest.raises(psycopg2.OperationalError):
            connect(infra, service, shared)


def test_the_privilege_itself_is_taken_away_beside_the_entry_rules(infra: Stack) -> None:
    with postgres.connect(infra.layout) as connection, connection.cursor() as cursor:
        for service, other in itertools.permutations(SERVICES, 2):
            names = (database_of(service), database_of(other))
            cursor.execute("SELECT has_database_privilege(%s, %s, 'CONNECT')", names)
            assert cursor.fetchone() == (False,)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_makes_no_roles_and_no_databases(infra: Stack, service: str) -> None:
    connection = connect(infra, service, database_of(service))
    connection.autocommit = True
    for statement in ("CREATE ROLE friend", "CREATE DATABASE more", "COPY (SELECT 1) TO PROGRAM 'true'"):
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)
    connection.close()


def test_each_test_gets_a_database_of_its_own(database: Callable[[str], str]) -> None:
    one, two = (psycopg2.connect(database("audit").replace("+psycopg2", "")) for _ in range(2))
    with one, one.cursor() as cursor:
        cursor.execute("INSERT INTO ended_sessions VALUES (gen_random_uuid(), now())")
    with two, two.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ended_sessions")
        assert cursor.fetchone() == (0,)
    one.close()
    two.close()
