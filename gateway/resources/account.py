"""The account page: what its owner sees and changes of it."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import account as shapes

account = APIBlueprint("account", __name__, url_prefix="/account")


@operation(account, "GET", "", summary="Read the account", answer=shapes.Account)
def read_account() -> Any:
    """Language, capacities, contacts, LuxTrust products, authenticator apps, devices."""
    return ask("identity", "describe_account")


@operation(
    account, "PATCH", "", summary="Change the account's language", answer=shapes.Account, body=shapes.AccountChange
)
def change_account(body: dict[str, Any]) -> Any:
    """The language of mail, SMS and letters."""
    return ask("identity", "set_language", **body)


@operation(
    account, "POST", "/contacts", summary="Add an e-mail address or a mobile number", answer=shapes.ContactCodeSent,
    status=202, body=shapes.NewContact, once=True, refuses=("reauthentication_due", "too_many_tries"),
)  # fmt: skip
def add_account_contact(body: dict[str, Any]) -> Any:
    """A one-time code is sent to it; it counts once that code has come back. To change one, add the new, then remove
    the old."""
    return ask("identity", "add_account_contact", **body)


@operation(
    account, "POST", "/contacts/<uuid:challenge_id>/proof", summary="Prove the new contact", answer=shapes.Account,
    body=shapes.ContactCode, refuses=("one_time_code_refused", "contact_taken"),
)  # fmt: skip
def prove_account_contact(challenge_id: str, body: dict[str, Any]) -> Any:
    """With the one-time code that arrived there, in the session that asked for it. Every address is told."""
    return ask("identity", "prove_account_contact", challenge_id=challenge_id, **body)


@operation(
    account, "POST", "/contacts/<uuid:challenge_id>/resend", summary="Send the code to the new contact again",
    answer=shapes.ContactCodeSent, status=202, refuses=("one_time_code_refused", "too_many_tries"),
)  # fmt: skip
def resend_account_code(challenge_id: str) -> Any:
    """The same code, three times in all."""
    return ask("identity", "resend_account_code", challenge_id=challenge_id)


@operation(
    account, "DELETE", "/contacts/<uuid:contact_id>", summary="Remove a contact", answer=shapes.Account,
    refuses=("reauthentication_due", "contact_not_found", "last_contact"),
)  # fmt: skip
def remove_contact(contact_id: str) -> Any:
    """It is told, and so are all others. One proved contact stays."""
    return ask("identity", "remove_contact", contact_id=contact_id)


@operation(
    account, "PUT", "/password", summary="Change the password", status=204, body=shapes.PasswordChange,
    refuses=(
        "password_refused", "too_many_tries", "password_too_short", "password_too_long", "password_too_common",
    ),
)  # fmt: skip
def change_password(body: dict[str, Any]) -> Any:
    """With the current one. All other sessions end, every address is told."""
    ask("identity", "change_password", **body)
