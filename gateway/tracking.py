"""The header with which somebody without an account follows what they asked for."""

from flask import request

from services.refusals import InvalidInput

PROOF = "Tracking-Token"
LONGEST = 512


def followed(request_id: str) -> dict[str, str]:
    """Returns which request is followed, with the token that proves it is the same person's.

    Refuses: InvalidInput without a token, or with one longer than any that was given out.
    """
    token = request.headers.get(PROOF, "")
    if not token or len(token) > LONGEST:
        raise InvalidInput(errors=[{"pointer": f"/{PROOF}", "message": "required"}])
    return {"request_id": request_id, "tracking_token": token}
