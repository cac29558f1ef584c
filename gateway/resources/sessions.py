"""Sessions: log in with password and one-time code, refresh, look, end, show again that it is you; public keys."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import sessions as shapes

sessions = APIBlueprint("sessions", __name__)
ENTRY = ("licence_not_valid", "conditions_due", "account_locked")  # what every log-in can be refused for at its end


@operation(
    sessions, "POST", "/sessions", summary="Begin a log-in", answer=shapes.LogInBegun, status=202, body=shapes.LogIn,
    token=False, refuses=("log_in_refused", "channel_not_available", "too_many_tries"),
)  # fmt: skip
def start_log_in(body: dict[str, Any]) -> Any:
    """Matricule and password; a one-time code is sent. An unknown matricule and a wrong password are one refusal."""
    return ask("identity", "start_log_in", **body)


@operation(
    sessions, "POST", "/sessions/<uuid:challenge_id>/resend", summary="Have the code sent again",
    answer=shapes.LogInBegun, status=202, token=False, refuses=("one_time_code_refused", "too_many_tries"),
)  # fmt: skip
def resend_code(challenge_id: str) -> Any:
    """The same code once more, three times at most; it does not live longer for it."""
    return ask("identity", "resend_code", challenge_id=challenge_id)


@operation(
    sessions, "POST", "/sessions/<uuid:challenge_id>/code", summary="Finish a log-in", answer=shapes.Tokens,
    status=201, body=shapes.LogInConfirm, token=False, refuses=("one_time_code_refused", "not_allowed", *ENTRY),
)  # fmt: skip
def confirm_log_in(challenge_id: str, body: dict[str, Any]) -> Any:
    """The one-time code, and the capacity chosen for this session."""
    return ask("identity", "confirm_log_in", challenge_id=challenge_id, **body)


@operation(
    sessions, "POST", "/sessions/refresh", summary="Renew the access token", answer=shapes.Tokens,
    body=shapes.RefreshGiven, token=False, refuses=("refresh_refused", "licence_not_valid", "account_locked"),
)  # fmt: skip
def refresh_session(body: dict[str, Any]) -> Any:
    """The refresh token rotates; using one twice ends the session."""
    return ask("identity", "refresh", **body)


@operation(sessions, "GET", "/sessions", summary="List one's sessions", answer=shapes.RunningSessions)
def list_sessions() -> Any:
    """The running sessions of this account, the last used first."""
    return ask("identity", "list_sessions")


@operation(
    sessions, "DELETE", "/sessions", summary="Log out elsewhere, or everywhere", answer=shapes.SessionsEnded,
    query=shapes.WhichSessions,
)  # fmt: skip
def end_sessions(query: dict[str, Any]) -> Any:
    """All sessions of this account end but this one; with `others_only=false` this one too."""
    return ask("identity", "end_sessions", others_only=query["others_only"] == "true")


@operation(
    sessions, "DELETE", "/sessions/<uuid:session_id>", summary="End one of one's sessions", status=204,
    refuses=("session_not_found",),
)  # fmt: skip
def end_session(session_id: str) -> Any:
    """The session ends everywhere; another person's is not found."""
    ask("identity", "end_session", session_id=session_id)


@operation(sessions, "GET", "/sessions/current", summary="Describe the session", answer=shapes.Session)
def describe_session() -> Any:
    """What the token says: account, capacity, workplace, expiry."""
    return ask("identity", "describe_session")


@operation(sessions, "DELETE", "/sessions/current", summary="Log out", status=204)
def log_out() -> Any:
    """The session ends everywhere."""
    ask("identity", "log_out")


@operation(
    sessions, "POST", "/sessions/current/authentication", summary="Show again that it is you", answer=shapes.Fresh,
    body=shapes.PasswordShown, refuses=("password_refused", "too_many_tries"),
)  # fmt: skip
def authenticate(body: dict[str, Any]) -> Any:
    """The password once more: sensitive changes of the account pass for the next 15 minutes."""
    return ask("identity", "authenticate", **body)


@operation(sessions, "GET", "/jwks.json", summary="Public keys of access tokens", answer=shapes.PublicKeys, token=False)
def read_keys() -> Any:
    """JSON Web Key Set (RFC 7517)."""
    return ask("identity", "jwks")
