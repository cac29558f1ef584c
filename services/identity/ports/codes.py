"""Everything that follows from identity's own key, and everything drawn at random.

Names, throttle keys and one-time codes are HMACs under that key: the tables alone tell neither a matricule nor a
network address nor a code.
"""

import hmac
import secrets
from base64 import b32encode, b64decode, urlsafe_b64encode
from hashlib import sha256

from pyotp import HOTP

from services.identity.contract import SubjectKind
from services.identity.rules import KIND_LETTERS, LETTER_ALPHABET, LETTER_CODE_LENGTH
from services.sealing import unwrap, wrap

# Mixed like 6wqxU4, but no two signs that look alike: no 0 O o, 1 I l i, 9 g, B b G, S s, Z z, and of the letters
# whose two cases have one shape (c k p u v w x y) only one case.
CODE_ALPHABET = "2345678adefhkmnqrtwxyACEFHJLMNPRTU"
CODE_LENGTH = 6


class LetteredHOTP(HOTP):
    """RFC 4226's HMAC over a counter, written in letters and digits instead of digits alone."""

    def generate_otp(self, input: int) -> str:
        """The code of one counter value. All 256 bits are used: 34^6 does not divide RFC 4226's 31 without a bias."""
        digest = hmac.new(self.byte_secret(), self.int_to_bytestring(input), self.digest).digest()
        number, signs = int.from_bytes(digest, "big"), []
        for _ in range(self.digits):
            number, at = divmod(number, len(CODE_ALPHABET))
            signs.append(CODE_ALPHABET[at])
        return "".join(signs)


class IdentityKey:
    """identity's own key, never handed out: one derived use per method."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("the setting identity_key must hold 32 bytes in base64")
        self._key = key

    @classmethod
    def of_setting(cls, text: str) -> "IdentityKey":
        """The key as it stands in the settings."""
        return cls(b64decode(text))

    def log_in_name(self, matricule: str) -> bytes:
        """The name under which an account is found; the matricule itself is stored nowhere."""
        return self._mac(matricule)

    def throttle_key(self, purpose: str, *parts: str) -> bytes:
        """The key under which tries are counted."""
        return self._mac("\x1f".join(("tries", purpose, *parts)))

    def wrapping_key(self) -> bytes:
        """The key-encryption key of the signing keys."""
        return self._mac("signing keys")

    def wrapped_secret(self, authenticator_id: str, secret: str) -> bytes:
        """An authenticator app's secret as the table holds it, of use under this id only."""
        return wrap(self._mac("authenticators"), secret.encode(), authenticator_id.encode())

    def unwrapped_secret(self, authenticator_id: str, wrapped: bytes) -> str:
        """The secret again. Raises services.sealing.BytesTampered for one that was not wrapped for this id."""
        return unwrap(self._mac("authenticators"), wrapped, authenticator_id.encode()).decode()

    def one_time_code(self, challenge_id: str) -> str:
        """The code of a challenge, the same whenever it is asked for."""
        return self._codes(challenge_id).at(0)

    def is_one_time_code(self, challenge_id: str, code: object) -> bool:
        """Compares in constant time; blanks around the code are forgiven, its case is not."""
        return isinstance(code, str) and len(code) <= 32 and self._codes(challenge_id).verify(code.strip(), 0)

    def tracking_token(self, request_id: str) -> str:
        """The token with which a helpdesk request is followed: the same for a repeat, and stored nowhere."""
        return urlsafe_b64encode(self._mac(f"tracking\x1f{request_id}")).rstrip(b"=").decode()

    def is_tracking_token(self, request_id: str, token: object) -> bool:
        """Compares in constant time."""
        given = token.encode() if isinstance(token, str) and len(token) <= 128 and token.isascii() else b""
        return hmac.compare_digest(self.tracking_token(request_id).encode(), given)

    def reset_token(self, reset_id: str) -> str:
        """The token of a password reset's link: the same for a repeat of the mail, and stored nowhere."""
        return urlsafe_b64encode(self._mac(f"password reset\x1f{reset_id}")).rstrip(b"=").decode()

    def is_reset_token(self, reset_id: str, token: object) -> bool:
        """Compares in constant time."""
        given = token.encode() if isinstance(token, str) and len(token) <= 128 and token.isascii() else b""
        return hmac.compare_digest(self.reset_token(reset_id).encode(), given)

    def luxtrust_state(self, flow_id: str) -> str:
        """What travels to LuxTrust and back: which journey it is, and that it is one of ours."""
        return f"{flow_id}.{self._word('luxtrust state', flow_id)}"

    def luxtrust_flow(self, state: object) -> str | None:
        """The journey a state names; None for a state that is none of ours."""
        given = state if isinstance(state, str) and len(state) <= 128 and state.isascii() else ""
        flow_id = given.partition(".")[0]
        return flow_id if hmac.compare_digest(self.luxtrust_state(flow_id).encode(), given.encode()) else None

    def luxtrust_nonce(self, flow_id: str) -> str:
        """What binds an ID token to its journey."""
        return self._word("luxtrust nonce", flow_id)

    def luxtrust_verifier(self, flow_id: str) -> str:
        """The PKCE verifier of a journey (RFC 7636: 43 characters)."""
        return self._word("luxtrust verifier", flow_id)

    def luxtrust_subject(self, issuer: str, subject: str) -> bytes:
        """Under which name a product's holder is found; the issuer's own is stored nowhere."""
        return self._mac(f"luxtrust subject\x1f{issuer}\x1f{subject}")

    def passkey_challenge(self, ceremony_id: str) -> bytes:
        """What an authenticator signs in a ceremony."""
        return self._mac(f"passkey challenge\x1f{ceremony_id}")

    def passkey_owner(self, account_id: str) -> bytes:
        """By which name an authenticator knows the account; it tells nobody which one that is."""
        return self._mac(f"passkey owner\x1f{account_id}")

    def _word(self, purpose: str, object_id: str) -> str:
        return urlsafe_b64encode(self._mac(f"{purpose}\x1f{object_id}")).rstrip(b"=").decode()

    def _codes(self, challenge_id: str) -> HOTP:
        secret = b32encode(self._mac(f"one-time code\x1f{challenge_id}")).decode()
        return LetteredHOTP(secret, digits=CODE_LENGTH, digest=sha256)

    def _mac(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), sha256).digest()


def new_letter_code(kind: SubjectKind) -> str:
    """A code for a letter: one sign for the kind of person, eleven at random (54 bits)."""
    return KIND_LETTERS[kind] + "".join(secrets.choice(LETTER_ALPHABET) for _ in range(LETTER_CODE_LENGTH - 1))


def new_reference() -> str:
    """What a person says on the phone to name a request; it opens nothing."""
    signs = "".join(secrets.choice(LETTER_ALPHABET) for _ in range(8))
    return f"{signs[:4]}-{signs[4:]}"


def new_token() -> str:
    """A random 256-bit token (activation, refresh)."""
    return secrets.token_urlsafe(32)


def token_hash(token: object) -> bytes:
    """How a random token is stored and found: it needs no salt and no slow hash, there is nothing to guess."""
    return sha256(token.encode() if isinstance(token, str) else b"").digest()


def same_token(stored_hash: bytes, token: object) -> bool:
    """Compares a token with its stored hash in constant time."""
    return isinstance(token, str) and hmac.compare_digest(stored_hash, token_hash(token))
