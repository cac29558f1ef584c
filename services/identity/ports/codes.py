"""Everything that follows from identity's own key, and everything drawn at random.

Names, throttle keys and one-time codes are HMACs under that key: the tables alone tell neither a matricule nor a
network address nor a code.
"""

import hmac
import secrets
from base64 import b32encode, b64decode
from hashlib import sha256

from pyotp import HOTP

from services.identity.contract import SubjectKind
from services.identity.rules import KIND_LETTERS, LETTER_ALPHABET, LETTER_CODE_LENGTH

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

    def one_time_code(self, challenge_id: str) -> str:
        """The code of a challenge, the same whenever it is asked for."""
        return self._codes(challenge_id).at(0)

    def is_one_time_code(self, challenge_id: str, code: object) -> bool:
        """Compares in constant time; blanks around the code are forgiven, its case is not."""
        return isinstance(code, str) and len(code) <= 32 and self._codes(challenge_id).verify(code.strip(), 0)

    def _codes(self, challenge_id: str) -> HOTP:
        secret = b32encode(self._mac(f"one-time code\x1f{challenge_id}")).decode()
        return LetteredHOTP(secret, digits=CODE_LENGTH, digest=sha256)

    def _mac(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), sha256).digest()


def new_letter_code(kind: SubjectKind) -> str:
    """A code for a letter: one sign for the kind of person, eleven at random (54 bits)."""
    return KIND_LETTERS[kind] + "".join(secrets.choice(LETTER_ALPHABET) for _ in range(LETTER_CODE_LENGTH - 1))


def new_token() -> str:
    """A random 256-bit token (activation, refresh)."""
    return secrets.token_urlsafe(32)


def token_hash(token: object) -> bytes:
    """How a random token is stored and found: it needs no salt and no slow hash, there is nothing to guess."""
    return sha256(token.encode() if isinstance(token, str) else b"").digest()


def same_token(stored_hash: bytes, token: object) -> bool:
    """Compares a token with its stored hash in constant time."""
    return isinstance(token, str) and hmac.compare_digest(stored_hash, token_hash(token))
