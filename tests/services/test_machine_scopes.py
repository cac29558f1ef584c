"""Every method of every service, and which scope opens it to business software: the whole table, in both directions."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR

from services.bus import Rpc
from services.db import new_id
from services.identity.contract_machines import SCOPES
from services.refusals import InsufficientScope
from services.tokens import AUDIENCE, ISSUER, Verifier
from tests.builders import SERVICES, caller, context

ANY = set(SCOPES)
OPEN: dict[tuple[str, str], set[str]] = {
    ("directory", "search_professionals"): {"system/Practitioner.rs"},
    ("directory", "read_professional"): {"system/Practitioner.rs"},
    ("directory", "search_establishments"): {"system/Practitioner.rs"},
    ("directory", "read_establishment"): {"system/Practitioner.rs"},
    ("directory", "professionals_at"): {"system/Practitioner.rs"},
    ("directory", "search_patients"): {"system/Patient.rs"},
    ("directory", "identify_patient"): {"system/Patient.rs"},
    ("directory", "birth_dates"): {"system/Patient.rs"},
    ("directory", "names"): ANY,
    ("dossier", "accessible_records"): {"system/Patient.rs"},
    ("dossier", "read_record"): {"system/Patient.rs"},
    ("dossier", "access_scope"): {"system/Patient.rs", "system/DocumentReference.rs", "system/DocumentReference.c"},
    ("dossier", "scope_of_software"): {"system/DocumentReference.c"},
    ("dossier", "open_mandate"): {"system/Consent.cs"},
    ("dossier", "list_mandates"): {"system/Consent.cs"},
    ("dossier", "register_stay"): {"system/Encounter.cu"},
    ("dossier", "discharge_patient"): {"system/Encounter.cu"},
    ("dossier", "prolong_stay"): {"system/Encounter.cu"},
    ("dossier", "await_result"): {"system/Encounter.cu"},
    ("dossier", "settle_result"): {"system/Encounter.cu"},
    ("dossier", "register_order"): {"system/ServiceRequest.cu"},
    ("dossier", "list_orders"): {"system/ServiceRequest.cu"},
    ("dossier", "validate_order"): {"system/ServiceRequest.cu"},
    ("dossier", "my_patients"): {"system/Patient.rs"},
    ("dossier", "latest_records"): {"system/Patient.rs"},
    ("documents", "prepare_deposit"): {"system/DocumentReference.c"},
    ("documents", "start_upload"): {"system/DocumentReference.c"},
    ("documents", "prepare_cda"): {"system/DocumentReference.c"},
    ("documents", "prepare_submission"): {"system/DocumentReference.c"},
    ("documents", "commit_submission"): {"system/DocumentReference.c"},
    ("documents", "read_upload"): {"system/DocumentReference.c"},
    ("documents", "start_part"): {"system/DocumentReference.c"},
    ("documents", "finish_part"): {"system/DocumentReference.c"},
    ("documents", "join_parts"): {"system/DocumentReference.c"},
    ("documents", "commit_deposit"): {"system/DocumentReference.c"},
    ("documents", "deposit"): {"system/DocumentReference.c"},
    ("documents", "depositable_types"): {"system/DocumentReference.c"},
    ("documents", "list_documents"): {"system/DocumentReference.rs"},
    ("documents", "read_tree"): {"system/DocumentReference.rs"},
    ("documents", "search_documents"): {"system/DocumentReference.rs"},
    ("documents", "list_prescriptions"): {"system/DocumentReference.rs"},
    ("documents", "read_prescription"): {"system/DocumentReference.rs"},
    ("documents", "deposit_state"): {"system/DocumentReference.c"},
    ("documents", "read_document"): {"system/DocumentReference.rs"},
    ("documents", "open_content"): {"system/DocumentReference.rs"},
    ("documents", "open_rendition"): {"system/DocumentReference.rs"},
    ("documents", "read_history"): {"system/DocumentReference.rs"},
    ("documents", "prepare_version"): {"system/DocumentReference.c"},
    ("documents", "find_studies"): {"system/DocumentReference.rs"},
    ("documents", "find_series"): {"system/DocumentReference.rs"},
    ("documents", "find_instances"): {"system/DocumentReference.rs"},
    ("documents", "open_instances"): {"system/DocumentReference.rs"},
    ("documents", "open_rendered"): {"system/DocumentReference.rs"},
    ("documents", "images_of"): {"system/DocumentReference.rs"},
    ("notifications", "create_subscription"): {"system/Subscription.cruds"},
    ("notifications", "list_subscriptions"): {"system/Subscription.cruds"},
    ("notifications", "read_subscription"): {"system/Subscription.cruds"},
    ("notifications", "change_subscription"): {"system/Subscription.cruds"},
    ("notifications", "end_subscription"): {"system/Subscription.cruds"},
    ("notifications", "replay_subscription"): {"system/Subscription.cruds"},
    ("notifications", "resume_subscription"): {"system/Subscription.cruds"},
    ("notifications", "test_subscription"): {"system/Subscription.cruds"},
}
"""What is not here is closed to software, whatever it was given."""

KEY = OKPKey.generate_key("Ed25519")


def methods() -> Iterator[tuple[str, str, Rpc]]:
    for service in SERVICES:
        kind = getattr(importlib.import_module(f"services.{service}.service"), service.capitalize())
        for name in sorted(dir(kind)):
            for entry in getattr(getattr(kind, name, None), ENTRYPOINT_EXTENSIONS_ATTR, ()):
                if isinstance(entry, Rpc) and entry.user:
                    yield service, name, entry


METHODS = list(methods())


def admits(entry: Rpc, **claims: Any) -> bool:
    """Whether a genuine token with these claims passes the method's door, brought by a process that may knock there."""
    facts = {"iss": ISSUER, "aud": AUDIENCE, "sub": new_id(), "sid": new_id(), "exp": int(time.time()) + 60}
    token = jwt.encode({"alg": "Ed25519", "kid": "k"}, facts | claims, KEY, algorithms=["Ed25519"])
    process = entry.processes[0] if entry.processes else "gateway"
    try:
        entry.admit(context(process, token=token), Verifier(lambda _: KEY.as_dict(private=False)))
    except InsufficientScope:
        return False
    return True


def test_the_table_names_methods_that_are_there() -> None:
    assert set(OPEN) <= {(service, name) for service, name, _ in METHODS}


@pytest.mark.parametrize(("service", "name", "entry"), METHODS, ids=[f"{each[0]}.{each[1]}" for each in METHODS])
def test_a_method_opens_to_software_with_its_scope_and_to_no_other(service: str, name: str, entry: Rpc) -> None:
    wanted = OPEN.get((service, name), set())
    for capacity in ("machine", "professional"):
        for scope in SCOPES:
            assert admits(entry, cap=capacity, cli=new_id(), scope=scope) is (scope in wanted), scope
        assert admits(entry, cap=capacity, cli=new_id(), scope=" ".join(SCOPES)) is bool(wanted)
        for nothing in ("", " ", "any", "system/*.cruds", "*"):
            given = admits(entry, cap=capacity, cli=new_id(), scope=nothing)
            assert given is (wanted == ANY and bool(nothing.strip())), nothing


@pytest.mark.parametrize(("service", "name", "entry"), METHODS, ids=[f"{each[0]}.{each[1]}" for each in METHODS])
@pytest.mark.parametrize("capacity", ["patient", "professional", "agent"])
def test_people_need_no_scope(service: str, name: str, entry: Rpc, capacity: str) -> None:
    assert admits(entry, cap=capacity)


def test_the_refusal_names_the_scope_that_is_missing() -> None:
    entries = {(service, name): entry for service, name, entry in METHODS}
    software = caller("machine", client_id=new_id(), scope="system/Practitioner.rs")
    with pytest.raises(InsufficientScope) as missing:
        entries["directory", "search_patients"].require_scope(software)
    assert missing.value.detail == {"scope": "system/Patient.rs"}
    with pytest.raises(InsufficientScope) as closed:
        entries["dossier", "my_records"].require_scope(software)
    assert closed.value.detail == {"scope": None}
