"""How many people log in per second, what that does to everybody else's requests, and what a token costs to check.

The people are made for this: rows in identity's own database. Their one-time codes follow from the challenge and
identity's key, as identity itself computes them; the mails are sent all the same.
"""

from __future__ import annotations

import os
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.agency import any_matricule
from deploy.bench.bare_hash import bare_hash
from deploy.bench.crew import PASSWORD, Crew, crew
from deploy.bench.crowd import Client
from deploy.bench.figures import Row
from deploy.bench.ground import Ground
from deploy.bench.rounds import Compared, absolute, alternate, percentile
from services.db import Sessions, new_id, now
from services.identity.contract import CONDITIONS_VERSION
from services.identity.models import Account, Capacity, Contact
from services.identity.ports.codes import IdentityKey
from services.identity.ports.hashing import Hashing
from services.identity.ports.signing import new_signing_key, signed_token
from services.tokens import Verifier

POOL = max(1, (os.cpu_count() or 2) - 1)
# For each hasher one log-in in it and one before or after its hash, and two more, so that one waits for its turn. With
# six and eight clients on two cores each waited longer and no more came in.
CLIENTS = 2 * POOL + 2
PEOPLE = 25 * CLIENTS  # in turns, so that nobody logs in twice at one moment
WARM = 2.0  # seconds
LOAD = 0.8
PROBE = "/sessions"
PROBES_PER_SECOND = 50.0
TOKENS = 500


def login(ground: Ground) -> list[Row]:
    """Full log-ins, all clients at once, against the bare hash."""
    amount = ground.amount
    people = _people(ground)
    with crew(ground, people, CLIENTS) as log_in, bare_hash(ground.stack.layout, POOL) as bare:
        log_in.rate(WARM)
        bare.rate(WARM)
        compared = alternate(
            lambda: log_in.rate(2 * amount.seconds), lambda: bare.rate(2 * amount.seconds), amount.rounds
        )
    return [compared.row("login", amount.size)]


def neighbours(ground: Ground) -> list[Row]:
    """A request with SQL of the same service, ms at p99: while people log in at 80 % of what is possible, and idle."""
    amount = ground.amount
    with crew(ground, _people(ground), CLIENTS) as log_in:
        log_in.rate(WARM)
        full = log_in.rate(2 * amount.seconds)
        return [_beside(ground, log_in, full).row("login_neighbours", amount.size)]


def _beside(ground: Ground, log_in: Crew, full: float) -> Compared:
    seconds = 4 * ground.amount.seconds

    def probe() -> float:
        client = Client(ground.address, ground.request(ground.person("patient"), PROBE))  # with a token that lasts
        try:
            return 1000 * percentile(_probed(client, seconds), 99)
        finally:
            client.close()

    def loaded() -> float:
        with log_in.paced(LOAD * full):
            time.sleep(WARM / 2)
            return probe()

    def idle() -> float:
        time.sleep(WARM / 2)  # mails of the log-ins before are still on their way
        return probe()

    return alternate(loaded, idle, ground.amount.rounds)


def _probed(client: Client, seconds: float) -> list[float]:
    """How long the answers took, asked for at even times."""
    seen, began = [], time.perf_counter()
    for number in range(int(seconds * PROBES_PER_SECOND)):
        time.sleep(max(0.0, began + number / PROBES_PER_SECOND - time.perf_counter()))
        seen.append(client.answer())
    return seen


def _people(ground: Ground) -> list[str]:
    """The matricules of new people with an account.

    However often they come, no limit holds them up: a right password and a right code give back what they took.
    """
    settings = ground.settings("identity")
    key = IdentityKey.of_setting(settings.identity_key)
    drawn: set[str] = set()
    while len(drawn) < PEOPLE:
        drawn.add(any_matricule())
    matricules = sorted(drawn)
    password_hash, at = Hashing().hash(PASSWORD), now()
    sessions = Sessions(settings.database_url)
    try:
        with sessions.transaction() as session:
            for number, matricule in enumerate(matricules):
                account_id = new_id()
                session.add(Account(account_id=account_id, log_in_name=key.log_in_name(matricule),
                                    password_hash=password_hash, password_changed_at=at, language="fr",
                                    created_at=at))  # fmt: skip
                session.flush()
                session.add(Contact(contact_id=new_id(), account_id=account_id, kind="email", added_at=at,
                                    value=f"bench.{number}@example.lu", proved_at=at))  # fmt: skip
                session.add(Capacity(account_id=account_id, kind="patient", subject_id=new_id(), activated_at=at,
                                     conditions_version=CONDITIONS_VERSION, conditions_language="fr",
                                     conditions_accepted_at=at))  # fmt: skip
    finally:
        sessions.engine.dispose()
    return matricules


# --- tokens -----------------------------------------------------------------------------------------------------------


def token_verify(ground: Ground) -> list[Row]:
    """A token met for the first time against the bare signature; and met again, in µs."""
    wrapping_key = os.urandom(32)
    kid, jwk, wrapped = new_signing_key(wrapping_key)
    expires_at = int(time.time()) + 600
    claims = {"sub": new_id(), "sid": new_id(), "cap": "professional", "pro": new_id(), "prof": "physician",
              "est": new_id(), "iat": expires_at - 600, "exp": expires_at}  # fmt: skip
    tokens = [signed_token(claims, kid=kid, x=jwk["x"], wrapped=wrapped, wrapping_key=wrapping_key)
              for _ in range(TOKENS)]  # fmt: skip
    bare = Ed25519PrivateKey.generate()
    texts = [token.rpartition(".")[0].encode() for token in tokens]
    signed = [(bare.sign(text), text) for text in texts]
    public = bare.public_key()

    def checked(verifier: Verifier) -> float:
        began = time.perf_counter()
        for token in tokens:
            verifier.claims(token)
        return 1e6 * (time.perf_counter() - began) / TOKENS

    def first() -> float:
        verifier = Verifier(lambda _: jwk)
        verifier.claims(signed_token(claims, kid=kid, x=jwk["x"], wrapped=wrapped, wrapping_key=wrapping_key))
        return checked(verifier)

    def raw() -> float:
        began = time.perf_counter()
        for signature, text in signed:
            public.verify(signature, text)
        return 1e6 * (time.perf_counter() - began) / TOKENS

    known = Verifier(lambda _: jwk)
    checked(known)
    compared = alternate(first, raw, 3 * ground.amount.rounds)
    again = [checked(known) for _ in range(3 * ground.amount.rounds)]
    return [
        compared.row("token_verify", ground.amount.size),
        absolute("token_verify_cached", again, ground.amount.size),
    ]
