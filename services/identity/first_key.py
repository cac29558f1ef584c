"""Signing keys are made and announced here; as a command it makes the first one, before any service answers.

`python -m services.identity.first_key` does nothing when there is a key, so it may run at every start.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from services.bus import emit, keep_signing_key
from services.db import Sessions, now, rfc3339
from services.identity import rules, store
from services.identity.contract import SigningKeyPublished
from services.identity.ports.codes import IdentityKey
from services.identity.ports.signing import new_signing_key
from services.settings import load

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def make_key_when_due(session: "Session", identity_key: IdentityKey, at: datetime) -> bool:
    """Makes and announces a signing key if there is none, or if the newest one's time is nearly over.

    identity keeps the public half in its own plumbing table at once: its replicas verify tokens before the event
    has gone round. [decisions.md, Identity on the bus]
    """
    store.lock_signing_keys(session)
    starts = rules.key_due(store.newest_key_start(session), at)
    if starts is None:
        return False
    kid, jwk, wrapped = new_signing_key(identity_key.wrapping_key())
    key = store.add_signing_key(session, kid, jwk, wrapped, starts, at)
    published = SigningKeyPublished(
        kid=kid, jwk=dict(jwk), not_before=rfc3339(key.not_before), not_after=rfc3339(key.not_after)
    )
    keep_signing_key(
        session, {"kid": kid, "jwk": jwk, "not_before": published.not_before, "not_after": published.not_after}
    )
    emit(session, published)
    return True


def main() -> None:
    """Makes the first key."""
    settings = load()
    sessions = Sessions(settings.database_url)
    with sessions.transaction() as session:
        make_key_when_due(session, IdentityKey.of_setting(settings.identity_key), now())


if __name__ == "__main__":
    main()
