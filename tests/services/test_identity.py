"""Identity as a whole: who may ask what, its keys, and that nothing of it holds a secret."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.db import new_id, now, plumbing
from services.identity import rules
from services.identity.contract import (
    LogInRefused,
)
from services.identity.first_key import make_key_when_due
from services.identity.models import (
    Account,
    Activation,
    Contact,
    PrivateKey,
    TriesRow,
    metadata,
)
from services.identity.ports.codes import CODE_ALPHABET, IdentityKey
from services.refusals import NotAllowed, Refusal
from services.tokens import Verifier
from tests.builders import House, context
from tests.services.identity_house import (
    KEY,
    PASSWORD,
    Front,
    refused,
)

# --- who may ask ------------------------------------------------------------------------------------------------------

PUBLIC = ("start_activation", "start_professional_activation", "accept_conditions", "enter_letter_code",
          "activation_person", "confirm_person", "add_contact", "resend_contact_code", "prove_contact", "set_password",
          "activation_state", "request_letter",
          "start_log_in", "confirm_log_in", "refresh", "jwks")  # fmt: skip
OF_NOTIFICATIONS = ("issue_activation_code", "one_time_code", "contacts_of")


@pytest.mark.parametrize("method", PUBLIC)
@pytest.mark.parametrize("process", ["notifications", "directory", "dossier", "operator", ""])
def test_the_front_door_opens_for_the_gateway_only(front: Front, method: str, process: str) -> None:
    with pytest.raises(Refusal) as refusal:
        front.ask(method, context(), process)
    assert refusal.value.code == ("not_allowed" if process else "unauthenticated")


@pytest.mark.parametrize("method", OF_NOTIFICATIONS)
@pytest.mark.parametrize("process", ["gateway", "documents", "operator"])
def test_codes_and_addresses_are_told_to_notifications_only(front: Front, method: str, process: str) -> None:
    refused(NotAllowed, lambda: front.ask(method, context(), process))


# --- keys and secrets -------------------------------------------------------------------------------------------------


def test_the_published_keys_verify_tokens_and_hold_nothing_private(front: Front) -> None:
    keys = front.ask("jwks", context())["keys"]
    assert [sorted(key) for key in keys] == [["alg", "crv", "kid", "kty", "use", "x"]]
    assert keys[0]["alg"] == "Ed25519"
    token = front.log_in(front.member(front.patient()))["access_token"]
    assert Verifier(lambda kid: next(key for key in keys if key["kid"] == kid)).claims(token)["cap"] == "patient"
    published = front.events("signing_key_published.v1")
    assert [event["jwk"] for event in published] == keys
    wrapped = front.one(sa.select(PrivateKey.wrapped))
    assert len(bytes(wrapped)) == 12 + 43 + 16, "nonce, key, tag: not the key itself"


def test_a_key_is_made_once_however_many_start_at_the_same_time(database: Callable[[str], str]) -> None:
    house = House(database, services=("identity",))

    def start(_: int) -> bool:
        with house.sessions["identity"].transaction() as session:
            return make_key_when_due(session, KEY, now())

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(start, range(8))) == {True: 1, False: 7}
    later = now() + rules.KEY_SIGNS
    with house.sessions["identity"].transaction() as session:
        assert make_key_when_due(session, KEY, later - timedelta(minutes=30))
        assert not make_key_when_due(session, KEY, later - timedelta(minutes=20))
    assert len(house.events("identity")) == 2
    house.close()


def test_neither_tables_nor_events_hold_a_matricule_a_code_or_a_token(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    run = front.begin(who, code)
    front.walk(run, who, "contact")
    challenge_id = front.add_contact(run, who.email)
    one_time = front.mail(challenge_id)["code"]
    front.ask("prove_contact", context(), **run, code=one_time)
    front.ask("set_password", context(), **run, password=PASSWORD)
    refused(LogInRefused, lambda: front.challenge(who, "wrong secret"))
    given = front.log_in(who)
    secrets = [who.matricule, code, code.replace("-", ""), one_time, PASSWORD, "wrong secret", run["activation_token"],
               given["access_token"], given["refresh_token"]]  # fmt: skip
    with front.sessions.transaction() as session:
        for table in (*metadata.sorted_tables, *plumbing.sorted_tables):
            text = " ".join(str(tuple(row)) for row in session.execute(sa.select(table)))
            assert not [secret for secret in secrets if secret in text], f"{table.name} holds a secret"
            # the address stands in contacts and nowhere else
            assert (who.email in text) == (table.name == "contacts"), f"{table.name} and an address"
    assert who.address not in str(front.one(sa.select(sa.func.array_agg(TriesRow.key))))
    assert who.email not in json.dumps(front.house.events("identity"))


def test_one_time_codes_are_of_their_alphabet_and_of_their_challenge() -> None:
    ids = [new_id() for _ in range(300)]
    codes = [KEY.one_time_code(one) for one in ids]
    assert all(len(code) == 6 and set(code) <= set(CODE_ALPHABET) for code in codes)
    assert not set("0Oo1lIi9gSsZz") & set(CODE_ALPHABET) and len(set(codes)) == 300
    assert all(KEY.is_one_time_code(one, code) for one, code in zip(ids, codes, strict=True))
    assert not any(KEY.is_one_time_code(one, code) for one, code in zip(ids[1:], codes, strict=False))
    assert not IdentityKey(bytes(32)).is_one_time_code(ids[0], codes[0]), "another key, other codes"


def test_a_key_of_another_length_is_no_identity_key() -> None:
    with pytest.raises(ValueError, match="identity_key"):
        IdentityKey.of_setting("")


def test_sweeping_forgets_what_is_over_and_nothing_else(front: Front) -> None:
    abandoned, running = front.patient(), front.patient()
    old, alive = (front.begin(one, front.letter(one)) for one in (abandoned, running))
    for run, one in ((old, abandoned), (alive, running)):
        front.walk(run, one, "password")
    front.change(sa.update(Activation).where(Activation.activation_id == old["activation_id"]).values(expires_at=now()))
    front.house.identity.sweep()
    counts = sa.select(sa.func.count()).where(Contact.activation_id == sa.bindparam("id"))
    with front.sessions.transaction() as session:
        assert session.scalar(counts, {"id": old["activation_id"]}) == 0
        assert session.scalar(counts, {"id": alive["activation_id"]}) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Account)) > 0
    assert front.ask("set_password", context(), **alive, password=PASSWORD)["complete"]


def test_the_migrations_make_the_tables_the_models_describe(front: Front) -> None:
    with front.sessions.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [d for d in differences if not str(d[0]).startswith("remove")] == []
