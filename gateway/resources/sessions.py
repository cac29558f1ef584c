"""Sessions: log in with password and one-time code, refresh, look, log out; and identity's public keys."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import people as shapes

sessions = APIBlueprint("sessions", __name__)


@operation(
    sessions, "POST", "/sessions", summary="Begin a log-in", answer=shapes.LogInBegun, status=202, body=shapes.LogIn,
    token=False, refuses=("log_in_refused", "too_many_tries"),
)  # fmt: skip
def start_log_in(body: dict[str, Any]) -> Any:
    """Matricule and password; a one-time code is sent. An unknown matricule and a wrong password are one refusal."""
    return ask("identity", "start_log_in", **body)


@operation(
    sessions, "POST", "/sessions/<uuid:challenge_id>/code", summary="Finish a log-in", answer=shapes.Tokens,
    status=201, body=shapes.LogInConfirm, token=False,
    refuses=("one_time_code_refused", "too_many_tries", "licence_not_valid", "not_allowed"),
)  # fmt: skip
def confirm_log_in(challenge_id: str, body: dict[str, Any]) -> Any:
    """The one-time code, and the capacity chosen for this session."""
    return ask("identity", "confirm_log_in", challenge_id=challenge_id, **body)


@operation(
    sessions, "POST", "/sessions/refresh", summary="Renew the access token", answer=shapes.Tokens,
    body=shapes.RefreshGiven, token=False, refuses=("refresh_refused", "licence_not_valid"),
)  # fmt: skip
def refresh_session(body: dict[str, Any]) -> Any:
    """The refresh token rotates; using one twice ends the session."""
    return ask("identity", "refresh", **body)


@operation(sessions, "GET", "/sessions/current", summary="Describe the session", answer=shapes.Session)
def describe_session() -> Any:
    """What the token says: account, capacity, workplace, expiry."""
    return ask("identity", "describe_session")


@operation(sessions, "DELETE", "/sessions/current", summary="Log out", status=204)
def log_out() -> Any:
    """The session ends everywhere."""
    ask("identity", "log_out")


@operation(sessions, "GET", "/jwks.json", summary="Public keys of access tokens", answer=shapes.PublicKeys, token=False)
def read_keys() -> Any:
    """JSON Web Key Set (RFC 7517)."""
    return ask("identity", "jwks")
