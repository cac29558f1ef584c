"""Accounts: the services one may open, authenticator apps; and their lock, by the agency."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import sessions as shapes

accounts = APIBlueprint("accounts", __name__)


@operation(
    accounts, "GET", "/account/services", summary="List the services this account may open",
    answer=shapes.AccountServices, refuses=("not_allowed",),
)  # fmt: skip
def account_services() -> Any:
    """By service and capacity, and why one is not available."""
    return ask("identity", "account_services")


@operation(
    accounts, "POST", "/account/authenticators", summary="Begin to add an authenticator app",
    answer=shapes.AuthenticatorBegun, status=201, body=shapes.AuthenticatorNamed, once=True,
    refuses=("reauthentication_due", "too_many_authenticators", "authenticator_not_found"),
)  # fmt: skip
def add_authenticator(body: dict[str, Any]) -> Any:
    """A secret for the app; it counts when the app's first code has come back. A repeat under the same
    Idempotency-Key shows the same secret until then, and is refused `authenticator_not_found` from then on."""
    return ask("identity", "add_authenticator", **body)


@operation(
    accounts, "POST", "/account/authenticators/<uuid:authenticator_id>/proof", summary="Prove an authenticator app",
    answer=shapes.AuthenticatorProved, body=shapes.AppCode,
    refuses=("authenticator_not_found", "one_time_code_refused"),
)  # fmt: skip
def prove_authenticator(authenticator_id: str, body: dict[str, Any]) -> Any:
    """The app's first code; from then on its codes count at log-in (channel `totp`)."""
    return ask("identity", "prove_authenticator", authenticator_id=authenticator_id, **body)


@operation(
    accounts, "DELETE", "/account/authenticators/<uuid:authenticator_id>", summary="Remove an authenticator app",
    status=204, refuses=("reauthentication_due", "authenticator_not_found"),
)  # fmt: skip
def remove_authenticator(authenticator_id: str) -> Any:
    """Its codes count no more."""
    ask("identity", "remove_authenticator", authenticator_id=authenticator_id)


@operation(
    accounts, "POST", "/agency/accounts/lock", summary="Lock an account", answer=shapes.AccountLockState,
    body=shapes.AccountLock, refuses=("not_allowed", "account_not_found"),
)  # fmt: skip
def lock_account(body: dict[str, Any]) -> Any:
    """Nobody logs in to it any more; its sessions end, its owner is told. A second time changes nothing."""
    return ask("identity", "lock_account", **body)


@operation(
    accounts, "POST", "/agency/accounts/unlock", summary="Unlock an account", answer=shapes.AccountLockState,
    body=shapes.AccountUnlock, refuses=("not_allowed", "account_not_found"),
)  # fmt: skip
def unlock_account(body: dict[str, Any]) -> Any:
    """Its owner logs in again, and is told. A second time changes nothing."""
    return ask("identity", "unlock_account", **body)
