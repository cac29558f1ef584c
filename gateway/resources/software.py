"""Business software of organisations: registration by their managers, attestation by the agency, the public list."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import machines as shapes

software = APIBlueprint("software", __name__)

CLIENTS = "/organisations/<uuid:establishment_id>/clients"
MANAGERS = "/agency/organisations/<uuid:establishment_id>/managers"


@operation(
    software, "POST", MANAGERS, summary="Name a manager of an organisation's software", answer=shapes.Manager,
    status=201, body=shapes.ManagerNamed, once=True, refuses=("not_allowed", "professional_unknown"),
)  # fmt: skip
def name_manager(establishment_id: str, body: dict[str, Any]) -> Any:
    """A professional who works there may from now on register its software; the agency names them."""
    return ask("identity", "name_manager", establishment_id=establishment_id, **body)


@operation(
    software, "DELETE", f"{MANAGERS}/<uuid:professional_id>", summary="Take a manager's charge back", status=204,
    refuses=("not_allowed", "manager_unknown"),
)  # fmt: skip
def end_manager(establishment_id: str, professional_id: str) -> Any:
    """What they registered stays."""
    ask("identity", "end_manager", establishment_id=establishment_id, professional_id=professional_id)


@operation(
    software, "POST", CLIENTS, summary="Register a software client", answer=shapes.Client, status=201,
    body=shapes.ClientGiven, once=True, refuses=("not_allowed", "organisation_unknown"),
)  # fmt: skip
def register_client(establishment_id: str, body: dict[str, Any]) -> Any:
    """By a manager logged in at the organisation, or by the agency; it gets tokens once the agency has tested it."""
    return ask("identity", "register_client", establishment_id=establishment_id, **body)


@operation(
    software, "GET", CLIENTS, summary="List an organisation's clients", answer=shapes.Clients,
    refuses=("not_allowed", "organisation_unknown"),
)  # fmt: skip
def list_clients(establishment_id: str) -> Any:
    """The newest first."""
    return ask("identity", "list_clients", establishment_id=establishment_id)


@operation(
    software, "PUT", f"{CLIENTS}/<uuid:client_id>/keys", summary="Replace a client's keys", answer=shapes.Client,
    body=shapes.ClientKeys, refuses=("not_allowed", "organisation_unknown", "client_unknown"),
)  # fmt: skip
def replace_client_keys(establishment_id: str, client_id: str, body: dict[str, Any]) -> Any:
    """From the answer on nothing signed with an earlier key counts; name both keys while you change over."""
    return ask("identity", "replace_client_keys", establishment_id=establishment_id, client_id=client_id, **body)


@operation(
    software, "GET", "/agency/clients", summary="List the clients in a state", answer=shapes.ClientPage,
    query=shapes.ClientQuery, paged=True, refuses=("not_allowed",),
)  # fmt: skip
def read_clients_in_state(query: dict[str, Any]) -> Any:
    """What waits for the agency's attestation, longest registered first."""
    return ask("identity", "clients_in_state", **query)


@operation(
    software, "POST", "/agency/clients/<uuid:client_id>/state", summary="Attest or suspend a client",
    answer=shapes.Client, body=shapes.ClientStateGiven, once=True,
    refuses=("not_allowed", "client_unknown", "state_out_of_order"),
)  # fmt: skip
def change_client_state(client_id: str, body: dict[str, Any]) -> Any:
    """The state gates its scopes; suspending ends its tokens everywhere within moments."""
    return ask("identity", "change_client_state", client_id=client_id, **body)


@operation(
    software, "GET", "/software", summary="List attested software", answer=shapes.SoftwareList, token=False,
)  # fmt: skip
def list_software() -> Any:
    """The public list: name, version, vendor, state, and how many organisations use it."""
    return ask("identity", "list_software")
