"""The key that heads and statements are signed with (Ed25519, RFC 8032): nobody but the notary has it."""

from base64 import b64decode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.rules_heads import key_id


class SigningKey:
    """One key: its name, its public half, and its signatures."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    @classmethod
    def of(cls, setting: str) -> "SigningKey":
        """The key of a setting: a seed of 32 bytes in base64.

        Raises ValueError when it is none.
        """
        return cls(b64decode(setting, validate=True))

    def sign(self, text: bytes) -> bytes:
        """Returns the signature over a text."""
        return self._key.sign(text)
