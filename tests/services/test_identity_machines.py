"""Business software gets its tokens: who it must be, what it is given, for whom, and what ends it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey

from deploy.software import ASSERTION_TYPE, Software, new_key
from services.db import ended_sessions, new_id, now, once, remember
from services.identity import store_machines
from services.identity.contract_machines import SCOPES, TOKEN_PATH, TokenRefused
from services.identity.models_machines import MachineToken, SeenAssertion, SoftwareClient
from services.refusals import NotAllowed, Refusal, SessionEnded, TooManyTries, Unauthenticated, Unavailable
from services.settings import load
from services.tokens import AUDIENCE, Caller
from tests.builders import caller, context
from tests.services.identity_house import AGENT, Front, Person, refused

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc's word to who signs; it has a new name
ISSUER = load().public_url.rstrip("/")
ENDPOINT = ISSUER + TOKEN_PATH


@dataclass
class Practice:
    """An organisation with a physician and its software, attested."""

    front: Front
    establishment_id: str
    doctor: Person
    software: Software

    def state(self, state: str) -> None:
        """As the agency has left it, whatever the way there."""
        statement = sa.update(SoftwareClient).where(SoftwareClient.client_id == self.software.client_id)
        self.front.change(statement.values(state=state))

    def suspend(self) -> Any:
        return self.front.ask("change_client_state", AGENT, client_id=self.software.client_id, state="suspended")

    def licence(self, licence: str) -> None:
        self.front.house.ask(
            "directory", "set_licence", AGENT, professional_id=self.doctor.professional_id, licence=licence
        )

    def ask(self, proof: dict[str, str] | None = None, address: str | None = None, **form: str) -> Any:
        proof = proof or self.software.proof(ENDPOINT)
        who = self.doctor.at(address=address or self.doctor.address)
        return self.front.ask("issue_token", who, grant_type="client_credentials", **proof, **form)

    def for_doctor(self, **form: str) -> Any:
        given = {"on_behalf_of": str(self.doctor.professional_id), "purpose_of_use": "TREAT"}
        return self.ask(**(given | form))

    def caller(self, **form: str) -> Caller:
        return self.front.caller_of(self.for_doctor(**form)["access_token"])

    def asked_about(self, method: str, token: str, software: Software | None = None) -> Any:
        proof = (software or self.software).proof(ENDPOINT)
        return self.front.ask(method, self.doctor.at(), token=token, **proof)

    def traces(self, action: str) -> list[dict[str, Any]]:
        mine = [one for one in self.front.events("access_traced.v1") if one["action"] == action]
        return [one for one in mine if one["account_id"] == self.software.client_id]


@pytest.fixture(params=["ES384", "EdDSA"])
def practice(front: Front, request: pytest.FixtureRequest) -> Practice:
    return practice_of(front, request.param)


@pytest.fixture
def other(front: Front) -> Practice:
    return practice_of(front, "EdDSA")


def practice_of(front: Front, algorithm: str, scopes: tuple[str, ...] = SCOPES) -> Practice:
    doctor = front.professional()
    facts = front.house.ask(
        "directory", "capacity_facts", context(), "identity", professional_id=doctor.professional_id
    )
    software = Software(algorithm)
    made = front.ask(
        "register_client", AGENT, establishment_id=facts["establishment_ids"][0], name="Praxis", version="4.2",
        vendor="Logiciels du Parc", scopes=list(scopes), jwks=software.jwks,
    )  # fmt: skip
    software.client_id = made["client_id"]
    practice = Practice(front, facts["establishment_ids"][0], doctor, software)
    practice.state("in_production")
    return practice


def refused_with(error: str, call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(TokenRefused) as refusal:
        call()
    assert refusal.value.detail["error"] == error, refusal.value.detail
    assert refusal.value.detail["description"].isascii(), "RFC 6749 5.2"
    return dict(refusal.value.detail)


# --- the token --------------------------------------------------------------------------------------------------------


def test_software_acts_on_behalf_of_a_professional_for_five_minutes(practice: Practice) -> None:
    given = practice.for_doctor(scope="system/Patient.rs system/DocumentReference.c")
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 300)
    assert given["scope"] == "system/Patient.rs system/DocumentReference.c" and "refresh_token" not in given
    me = practice.front.caller_of(given["access_token"])
    assert (me.account_id, me.client_id) == (practice.software.client_id,) * 2
    assert (me.capacity, me.professional_id, me.profession) == (
        "professional", practice.doctor.professional_id, "physician",
    )  # fmt: skip
    assert (me.establishment_id, me.purpose, me.role) == (practice.establishment_id, "TREAT", None)
    assert me.scope == given["scope"] and 290 <= me.expires_at - time.time() <= 301
    [trace] = practice.traces("token.issued")
    assert trace["object_id"] == me.session_id == trace["session_id"] and trace["purpose"] == "TREAT"
    assert trace["professional_id"] == practice.doctor.professional_id and trace["outcome"] == "allowed"


def test_software_by_itself_is_given_what_concerns_no_record_and_deposits_whose_author_it_names(
    practice: Practice,
) -> None:
    given = practice.ask()
    assert given["scope"] == "system/Practitioner.rs system/DocumentReference.c system/Subscription.cruds"
    me = practice.front.caller_of(given["access_token"])
    assert (me.capacity, me.professional_id, me.profession, me.purpose) == ("machine", None, None, None)
    refused_with("invalid_scope", lambda: practice.ask(scope="system/Patient.rs"))
    assert "system/Patient.rs" in practice.for_doctor()["scope"], "its allowed twin"


def test_a_token_is_for_the_platform_and_unlike_any_other(practice: Practice) -> None:
    tokens = [practice.ask()["access_token"] for _ in range(2)]
    claims = [json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")) for token in tokens]
    assert [one["aud"] for one in claims] == [AUDIENCE] * 2
    assert claims[0]["jti"] != claims[1]["jti"] and claims[0]["sid"] != claims[1]["sid"]


@pytest.mark.parametrize("audience", [ENDPOINT, ISSUER, [ENDPOINT]])
def test_an_assertion_names_the_endpoint_or_the_issuer(other: Practice, audience: Any) -> None:
    assert other.ask(other.software.proof("", aud=audience))["access_token"]


# --- the assertion ----------------------------------------------------------------------------------------------------


def _unsigned(software: Software) -> str:
    body = software.assertion(ENDPOINT).split(".")[1]
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": software.key.kid}).encode()).rstrip(b"=").decode()
    return f"{none}.{body}."


def _with_the_public_key(software: Software) -> str:
    body = software.assertion(ENDPOINT).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    shared = OctKey.import_key(software.key.as_dict(private=False)["x"])
    return jwt.encode({"alg": "HS256", "kid": software.key.kid}, claims, shared, algorithms=["HS256"])


def _tampered(software: Software) -> str:
    head, body, signature = software.assertion(ENDPOINT).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"jti": "another"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{signature}"


FORGED: dict[str, Callable[[Software], Any]] = {
    "nothing": lambda one: None,
    "no JWT": lambda one: "x.y.z",
    "not text of a JWT": lambda one: "é" * 10,
    "too long": lambda one: "x" * 20_000,
    "not signed": _unsigned,
    "signed with the public key": _with_the_public_key,
    "tampered with": _tampered,
    "another's key under the same id": lambda one: one.assertion(ENDPOINT, key=new_key(one.algorithm, one.key.kid)),
    "an unknown key": lambda one: one.assertion(ENDPOINT, header={"kid": "nobody"}),
    "no key named": lambda one: one.assertion(ENDPOINT, header={"kid": None}),
    "another algorithm": lambda one: Software(
        "EdDSA" if one.algorithm == "ES384" else "ES384", one.client_id
    ).assertion(ENDPOINT, header={"kid": one.key.kid}),
    "a key in the header": lambda one: Software(one.algorithm, one.client_id).assertion(
        ENDPOINT, header={"jwk": new_key(one.algorithm).as_dict(private=False)}
    ),
    "nobody's name": lambda one: one.assertion(ENDPOINT, iss=new_id(), sub=new_id()),
    "no name": lambda one: one.assertion(ENDPOINT, iss=None, sub=None),
    "not a name": lambda one: one.assertion(ENDPOINT, iss="' or 1=1", sub="' or 1=1"),
    "issued by another": lambda one: one.assertion(ENDPOINT, iss=new_id()),
    "for another server": lambda one: one.assertion("https://elsewhere.example/token"),
    "for us and another": lambda one: one.assertion("", aud=[ENDPOINT, "https://elsewhere.example"]),
    "for nobody": lambda one: one.assertion("", aud=None),
    "for the platform": lambda one: one.assertion(AUDIENCE),
    "expired": lambda one: one.assertion(ENDPOINT, exp=int(time.time()) - 10),
    "valid for too long": lambda one: one.assertion(ENDPOINT, exp=int(time.time()) + 400),
    "valid for ever": lambda one: one.assertion(ENDPOINT, exp=None),
    "valid until a word": lambda one: one.assertion(ENDPOINT, exp="tomorrow"),
    "valid until infinity": lambda one: one.assertion(ENDPOINT, exp=float("inf")),
    "not valid yet": lambda one: one.assertion(ENDPOINT, nbf=int(time.time()) + 60),
    "without an id": lambda one: one.assertion(ENDPOINT, jti=None),
    "with too long an id": lambda one: one.assertion(ENDPOINT, jti="x" * 129),
    "with a number for an id": lambda one: one.assertion(ENDPOINT, jti=7),
}


@pytest.mark.parametrize("fault", FORGED)
def test_an_assertion_that_is_not_genuine_gets_no_token(practice: Practice, fault: str) -> None:
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": FORGED[fault](practice.software)}
    before = practice.front.one(sa.select(sa.func.count()).select_from(MachineToken))
    detail = refused_with("invalid_client", lambda: practice.ask(proof))
    assert not any(str(word) in str(detail) for word in (practice.software.client_id, proof["client_assertion"] or "?"))
    assert practice.front.one(sa.select(sa.func.count()).select_from(MachineToken)) == before
    refused = practice.front.traces(practice.doctor.address, "token.refused")
    assert [one["reason"] for one in refused] == ["invalid_client"]
    assert practice.ask()["access_token"], "its right twin"


def test_an_unknown_client_is_refused_like_a_wrong_signature(other: Practice) -> None:
    unknown = refused_with("invalid_client", lambda: other.ask(Software("EdDSA", new_id()).proof(ENDPOINT)))
    wrong = refused_with(
        "invalid_client", lambda: other.ask(Software("EdDSA", other.software.client_id).proof(ENDPOINT))
    )
    assert unknown == wrong


def test_another_clients_key_opens_nothing(practice: Practice, other: Practice) -> None:
    borrowed = replace(other.software, client_id=practice.software.client_id)
    refused_with("invalid_client", lambda: practice.ask(borrowed.proof(ENDPOINT)))


@pytest.mark.parametrize("said", [new_id(), "x", ""])
def test_a_client_id_beside_the_assertion_is_its_own(other: Practice, said: str) -> None:
    refused_with("invalid_client", lambda: other.ask(client_id=said))
    assert other.ask(client_id=other.software.client_id)


def test_of_a_hundred_who_present_one_assertion_one_gets_a_token(other: Practice) -> None:
    proof = other.software.proof(ENDPOINT)

    def attempt(number: int) -> str:
        try:
            return str(other.ask(proof, address=f"203.0.113.{number}")["access_token"])
        except TokenRefused as refusal:
            return str(refusal.detail["error"])

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(attempt, range(100)))
    assert answers.count("invalid_client") == 99 and len(set(answers)) == 2


def test_two_clients_may_choose_the_same_id_for_an_assertion(practice: Practice, other: Practice) -> None:
    for one in (practice, other):
        assert one.ask(one.software.proof(ENDPOINT, jti="1"))
        refused_with("invalid_client", lambda one=one: one.ask(one.software.proof(ENDPOINT, jti="1")))  # type: ignore[misc]


def test_an_assertion_is_used_up_by_a_request_that_is_refused(other: Practice) -> None:
    proof = other.software.proof(ENDPOINT)
    refused_with("invalid_scope", lambda: other.ask(proof, scope="system/Everything.rs"))
    refused_with("invalid_client", lambda: other.ask(proof))


def test_a_key_replaced_is_worth_nothing_from_the_answer_on(practice: Practice) -> None:
    newer = Software(practice.software.algorithm, practice.software.client_id)
    practice.front.ask(
        "replace_client_keys", AGENT, establishment_id=practice.establishment_id,
        client_id=practice.software.client_id, jwks=newer.jwks,
    )  # fmt: skip
    refused_with("invalid_client", practice.ask)
    assert practice.ask(newer.proof(ENDPOINT))


# --- the request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"on_behalf_of": "x"}, "invalid_request"),
        ({"purpose_of_use": None}, "invalid_request"),
        ({"purpose_of_use": "CURIOSITY"}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "system/Patient.rs system/Patient.d"}, "invalid_scope"),
        ({"scope": "system/Patient.rs  system/Consent.cs"}, "invalid_scope"),
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, "invalid_client"),
        ({"client_assertion_type": None}, "invalid_client"),
    ],
)
def test_a_request_that_is_none_is_refused_in_the_words_of_oauth(
    other: Practice, form: dict[str, Any], error: str
) -> None:
    given = {
        "grant_type": "client_credentials", "on_behalf_of": other.doctor.professional_id, "purpose_of_use": "TREAT",
        "scope": "system/Patient.rs", **other.software.proof(ENDPOINT),
    }  # fmt: skip
    refused_with(error, lambda: other.front.ask("issue_token", other.doctor.at(), **(given | form)))
    fresh = given | other.software.proof(ENDPOINT)
    assert other.front.ask("issue_token", other.doctor.at(), **fresh)["access_token"], "its right twin"


def test_a_scope_beyond_what_was_registered_is_refused(front: Front) -> None:
    small = practice_of(front, "EdDSA", ("system/Practitioner.rs", "system/Patient.rs"))
    assert small.for_doctor()["scope"] == "system/Practitioner.rs system/Patient.rs"
    refused_with("invalid_scope", lambda: small.for_doctor(scope="system/DocumentReference.rs"))


OF_STATE = {
    "requested": None,
    "tested": "system/Practitioner.rs",
    "in_production": " ".join(SCOPES),
    "suspended": None,
}


@pytest.mark.parametrize("state", OF_STATE)
def test_the_state_of_attestation_gates_the_scopes(other: Practice, state: str) -> None:
    other.state(state)
    if OF_STATE[state] is None:
        refused_with("unauthorized_client", other.for_doctor)
        refused_with("unauthorized_client", lambda: other.ask(scope="system/Practitioner.rs"))
        return
    assert other.for_doctor()["scope"] == OF_STATE[state]
    for scope in SCOPES:
        if scope in str(OF_STATE[state]):
            assert other.for_doctor(scope=scope)["scope"] == scope
        else:
            refused_with("invalid_scope", lambda scope=scope: other.for_doctor(scope=scope))  # type: ignore[misc]


def test_software_acts_for_nobody_but_those_who_work_there_with_a_valid_licence(
    practice: Practice, other: Practice
) -> None:
    foreign = refused_with("invalid_grant", lambda: practice.for_doctor(on_behalf_of=str(other.doctor.professional_id)))
    unknown = refused_with("invalid_grant", lambda: practice.for_doctor(on_behalf_of=new_id()))
    practice.licence("suspended")
    without = refused_with("invalid_grant", practice.for_doctor)
    assert foreign == unknown == without, "nobody learns which"
    tokens = sa.select(sa.func.count()).where(
        MachineToken.client_id == practice.software.client_id, MachineToken.revoked_at.is_(None)
    )
    assert practice.front.one(tokens) == 0
    practice.licence("valid")
    assert practice.for_doctor()["access_token"], "its allowed twin"


def test_an_outage_of_the_directory_is_unavailable_and_leaves_no_token(other: Practice) -> None:
    class Gone:
        def capacity_facts(self, *_: Any, **__: Any) -> Any:
            raise Unavailable(service="directory")

    identity = other.front.house.identity
    usual, identity.directory = identity.directory, Gone()
    try:
        refused(Unavailable, other.for_doctor)
    finally:
        identity.directory = usual
    assert other.for_doctor()["access_token"]


def test_a_broken_program_is_slowed_down_and_its_neighbours_are_not(practice: Practice, other: Practice) -> None:
    address = practice.doctor.address
    lost = replace(practice.software, key=new_key(practice.software.algorithm))
    seen: set[type[Refusal]] = set()
    for _ in range(102):
        with pytest.raises(Refusal) as refusal:
            practice.ask(lost.proof(ENDPOINT), address=address)
        seen.add(type(refusal.value))
    assert seen == {TokenRefused, TooManyTries}
    assert other.ask(address=address)["access_token"], "another software of the same hospital"
    assert practice.ask(address="203.0.113.200")["access_token"], "nor does a stranger elsewhere keep it out"


# --- what ends a token ------------------------------------------------------------------------------------------------


def test_suspending_a_client_ends_its_tokens_at_once_and_everywhere(practice: Practice, other: Practice) -> None:
    mine, foreign = [practice.caller() for _ in range(3)], other.caller()
    practice.suspend()
    ended = {event["session_id"] for event in practice.front.events("session_ended.v1")}
    assert {one.session_id for one in mine} <= ended and foreign.session_id not in ended
    for one in mine:
        with pytest.raises(SessionEnded), practice.front.sessions.transaction(one):
            pass
    with practice.front.sessions.transaction(foreign):
        pass
    refused_with("unauthorized_client", practice.for_doctor)
    practice.front.ask("change_client_state", AGENT, client_id=practice.software.client_id, state="in_production")
    assert practice.for_doctor()["access_token"], "and back"


def test_no_token_slips_out_while_its_client_is_being_suspended(other: Practice) -> None:
    def issue(_: int) -> str | None:
        try:
            return other.caller().session_id
        except TokenRefused:
            return None

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(issue, number) for number in range(24)]
        other.suspend()
        issued = [one for one in (future.result() for future in asked) if one]
    for token_id in issued:
        assert other.front.one(sa.select(ended_sessions.c.session_id).where(ended_sessions.c.session_id == token_id))


def test_a_licence_lost_ends_the_tokens_in_the_professionals_name(practice: Practice, other: Practice) -> None:
    mine, alone, foreign = practice.caller(), practice.front.caller_of(practice.ask()["access_token"]), other.caller()
    practice.licence("withdrawn")
    practice.front.house.deliver()
    with pytest.raises(SessionEnded), practice.front.sessions.transaction(mine):
        pass
    for going_on in (alone, foreign):
        with practice.front.sessions.transaction(going_on):
            pass


def test_a_licence_lost_while_the_token_is_made_is_not_missed(other: Practice) -> None:
    """The directory answers "valid", and its event of the loss is worked before the token is signed."""
    identity = other.front.house.identity
    usual = identity.directory

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(usual, name)

        def capacity_facts(self, *args: Any, **kwargs: Any) -> Any:
            facts = usual.capacity_facts(*args, **kwargs)
            other.licence("suspended")
            other.front.house.deliver()
            return facts

    identity.directory = Late()
    try:
        refused_with("invalid_grant", other.for_doctor)
    finally:
        identity.directory = usual


def test_a_client_revokes_its_own_token(practice: Practice) -> None:
    text = practice.for_doctor()["access_token"]
    assert practice.asked_about("revoke_token", text) == {"active": False}
    me = practice.front.caller_of(text)
    with pytest.raises(SessionEnded), practice.front.sessions.transaction(me):
        pass
    assert practice.asked_about("revoke_token", text) == {"active": False}, "again changes nothing"
    events = [one for one in practice.front.events("session_ended.v1") if one["session_id"] == me.session_id]
    assert len(events) == 1
    assert [one["object_id"] for one in practice.traces("token.revoked")] == [me.session_id, None]


def test_a_client_neither_sees_nor_ends_what_is_not_its_own(practice: Practice, other: Practice) -> None:
    text = practice.for_doctor()["access_token"]
    person = practice.front.session(practice.front.member(practice.front.patient())).context.token
    for foreign in (text, person, "x.y.z", "é", "x" * 9000):
        assert practice.asked_about("introspect_token", foreign, other.software) == {"active": False}
        assert practice.asked_about("revoke_token", foreign, other.software) == {"active": False}
    assert practice.asked_about("introspect_token", text)["active"], "it still runs"


def test_a_client_is_told_what_its_token_is_worth(practice: Practice) -> None:
    text = practice.for_doctor(scope="system/Patient.rs")["access_token"]
    told = practice.asked_about("introspect_token", text)
    assert told["active"] and told["scope"] == "system/Patient.rs" and told["aud"] == AUDIENCE
    assert told["client_id"] == told["sub"] == practice.software.client_id
    assert (told["on_behalf_of"], told["purpose_of_use"]) == (practice.doctor.professional_id, "TREAT")
    assert told["exp"] - told["iat"] == 300
    practice.suspend()
    assert practice.asked_about("introspect_token", text) == {"active": False}


def test_a_token_signed_by_nobody_is_not_active(practice: Practice) -> None:
    head, body, signature = practice.for_doctor()["access_token"].split(".")
    flipped = ("B" if signature[5] != "B" else "C").join([signature[:5], signature[6:]])
    assert practice.asked_about("introspect_token", f"{head}.{body}.{flipped}") == {"active": False}


def test_an_expired_token_is_not_active(practice: Practice) -> None:
    text = practice.ask()["access_token"]
    token_id = practice.front.caller_of(text).session_id
    practice.front.change(sa.update(MachineToken).where(MachineToken.token_id == token_id).values(expires_at=now()))
    assert practice.asked_about("introspect_token", text) == {"active": False}


@pytest.mark.parametrize("method", ["introspect_token", "revoke_token"])
def test_without_a_proof_nothing_is_told_or_ended(practice: Practice, method: str) -> None:
    text = practice.ask()["access_token"]
    refused_with("invalid_client", lambda: practice.front.ask(method, practice.doctor.at(), token=text))
    forged = Software("EdDSA", practice.software.client_id)
    refused_with("invalid_client", lambda: practice.asked_about(method, text, forged))
    refused_with("invalid_request", lambda: practice.asked_about(method, ""))
    assert practice.asked_about("introspect_token", text)["active"]


# --- housekeeping -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["issue_token", "introspect_token", "revoke_token", "list_software"])
@pytest.mark.parametrize("process", ["notifications", "operator", ""])
def test_the_door_opens_for_the_gateway_only(front: Front, method: str, process: str) -> None:
    with pytest.raises(NotAllowed if process else Unauthenticated):
        front.ask(method, context(), process)


def test_neither_tables_nor_events_hold_an_assertion_or_a_token(practice: Practice) -> None:
    proof = practice.software.proof(ENDPOINT, jti="a-very-own-id")
    text = practice.ask(proof)["access_token"]
    with practice.front.sessions.transaction() as session:
        kept = "".join(
            str(row) for table in (MachineToken, SeenAssertion) for row in session.execute(sa.select(table.__table__))
        )
    told = json.dumps(practice.front.house.events("identity"))
    for secret in (proof["client_assertion"], text, "a-very-own-id"):
        assert secret not in kept and secret not in told


def test_sweeping_forgets_assertions_that_expired_and_tokens_long_over(other: Practice) -> None:
    other.ask()
    client_id = other.software.client_id
    seen = sa.select(sa.func.count()).where(SeenAssertion.client_id == client_id)
    tokens = sa.select(sa.func.count()).where(MachineToken.client_id == client_id)
    for later, left in ((timedelta(0), (1, 1)), (timedelta(minutes=10), (0, 1)), (timedelta(days=91), (0, 0))):
        with other.front.sessions.transaction() as session:
            store_machines.sweep(session, now() + later)
        assert (other.front.one(seen), other.front.one(tokens)) == left


def test_a_request_of_software_is_repeated_for_the_same_professional_only(front: Front) -> None:
    """Answers are kept by key and by who asked: those given for one physician are not told for another."""
    one = caller("professional", client_id=new_id(), scope=SCOPES[0], context=context(idempotency_key=new_id()))
    other = replace(one, professional_id=new_id())
    with front.sessions.transaction(one) as session:
        remember(session, one, "operation", {}, {"answer": 1})
    with front.sessions.transaction(other) as session:
        assert once(session, other, "operation", {}) is None
    with front.sessions.transaction(one) as session:
        assert once(session, one, "operation", {}) == {"answer": 1}
