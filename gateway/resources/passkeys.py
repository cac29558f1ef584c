"""Passkeys: a log-in by PIN, fingerprint or face; and the devices of an account, which hold them."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import factors as shapes
from gateway.schemas.sessions import Tokens

passkeys = APIBlueprint("passkeys", __name__)


@operation(
    passkeys, "POST", "/sessions/passkey/options", summary="Begin a log-in by passkey", answer=shapes.PasskeyOptions,
    status=201, token=False, refuses=("too_many_tries",),
)  # fmt: skip
def start_passkey_log_in() -> Any:
    """Options for `navigator.credentials.get`. Nobody is named: the device knows whose passkey it holds."""
    return ask("identity", "start_passkey_log_in")


@operation(
    passkeys, "POST", "/sessions/passkey", summary="Log in by passkey", answer=Tokens, status=201,
    body=shapes.PasskeyShown, token=False,
    refuses=("passkey_refused", "conditions_due", "account_locked", "licence_not_valid"),
)  # fmt: skip
def log_in_with_passkey(body: dict[str, Any]) -> Any:
    """What the device has signed, and the capacity chosen. A wrong choice leaves the signature good for another."""
    return ask("identity", "log_in_with_passkey", **body)


@operation(
    passkeys, "POST", "/account/passkeys/options", summary="Begin to add a passkey", answer=shapes.PasskeyOptions,
    status=201, refuses=("reauthentication_due", "too_many_devices"),
)  # fmt: skip
def start_passkey() -> Any:
    """Options for `navigator.credentials.create`."""
    return ask("identity", "start_passkey")


@operation(
    passkeys, "POST", "/account/passkeys", summary="Add a passkey", answer=shapes.Device, status=201,
    body=shapes.PasskeyMade, once=True, refuses=("reauthentication_due", "passkey_refused", "too_many_devices"),
)  # fmt: skip
def add_passkey(body: dict[str, Any]) -> Any:
    """What the device has made, and what its owner calls it; the owner is told by mail or SMS."""
    return ask("identity", "add_passkey", **body)


@operation(passkeys, "GET", "/account/devices", summary="List the account's devices", answer=shapes.Devices)
def list_devices() -> Any:
    """Those that open the account by passkey, the newest first."""
    return ask("identity", "list_devices")


@operation(
    passkeys, "PATCH", "/account/devices/<uuid:device_id>", summary="Rename a device", answer=shapes.Device,
    body=shapes.DeviceRenamed, refuses=("device_not_found",),
)  # fmt: skip
def rename_device(device_id: str, body: dict[str, Any]) -> Any:
    """Its owner's word for it."""
    return ask("identity", "rename_device", device_id=device_id, **body)


@operation(
    passkeys, "DELETE", "/account/devices/<uuid:device_id>", summary="Remove a device", status=204,
    refuses=("reauthentication_due", "device_not_found"),
)  # fmt: skip
def remove_device(device_id: str) -> Any:
    """Its passkey opens nothing any more; sessions that run are ended among the sessions."""
    ask("identity", "remove_device", device_id=device_id)
