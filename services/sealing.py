"""The segment format of stored bytes, the wrapping of keys, and their hand-over between processes.

Pure: no network, no disk, no clock; nothing but `cryptography` and the standard library.

Stored object = sealed segments one after the other. Each holds SEGMENT plain bytes (the last one less), sealed with
AES-256-GCM under the version's data key; nonce = the segment's index (12 bytes, big-endian), associated data =
version id ‖ index (8 bytes) ‖ last (1 byte). So a segment cannot change place, version or be cut off unnoticed, and a
byte range can be opened without reading what lies before it.

An object that comes in parts is the same: each part begins at a whole segment and counts on (`seal_part`).

The nonces are counters: **a data key may seal once only**, or the very same bytes again. A fresh key for every attempt
to upload is the duty of the caller: every attempt has a version id of its own, and every version id a key of its own.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT = 64 * 1024
TAG = 16
SEALED_SEGMENT = SEGMENT + TAG
KEY_BYTES = 32
BLOCK_SEGMENTS = 8  # one output block: few calls, little memory, and still in the processor's cache when it is sent

_NONCE_BYTES = 12
_PUBLIC_BYTES = 32
_HAND_OVER = b"opendsp hand-over v1"

Buffer = bytes | bytearray | memoryview


class BytesTampered(Exception):
    """The bytes are not those that were sealed: changed, cut, reordered, of another version, or under another key."""


def new_key() -> bytes:
    """A fresh 256-bit key."""
    return os.urandom(KEY_BYTES)


def segments_of(plain_size: int) -> int:
    """How many segments `plain_size` bytes make (an empty file still has one, empty and last)."""
    return max(1, -(-plain_size // SEGMENT))


def sealed_size(plain_size: int) -> int:
    """The exact number of bytes stored for `plain_size` plain bytes."""
    if plain_size < 0:
        raise ValueError("a size is never negative")
    return plain_size + TAG * segments_of(plain_size)


def plain_size(sealed_size: int) -> int:
    """The inverse of `sealed_size`.

    Raises ValueError for a size that no sealed object can have.
    """
    segments = max(1, -(-sealed_size // SEALED_SEGMENT))
    plain = sealed_size - TAG * segments
    if plain < 0 or segments_of(plain) != segments:
        raise ValueError("no sealed object has this size")
    return plain


@dataclass(frozen=True)
class SegmentRange:
    """The segments that hold the plain bytes `start..end` (both included), and what to cut off after opening them."""

    first_segment: int
    segments: int
    total_segments: int
    sealed_start: int
    sealed_end: int  # included, as in an HTTP Range header
    skip: int
    length: int


def segments_for(start: int, end: int, plain_size: int) -> SegmentRange:
    """Which sealed bytes answer the plain byte range `start..end`, both included.

    Raises ValueError when the range does not lie inside the file.
    """
    if not 0 <= start <= end < plain_size:
        raise ValueError("the range lies outside the file")
    first, last = start // SEGMENT, end // SEGMENT
    return SegmentRange(
        first_segment=first,
        segments=last - first + 1,
        total_segments=segments_of(plain_size),
        sealed_start=first * SEALED_SEGMENT,
        sealed_end=min((last + 1) * SEALED_SEGMENT, sealed_size(plain_size)) - 1,
        skip=start - first * SEGMENT,
        length=end - start + 1,
    )


def _associated(version: bytes, index: int, total: int | None, last: bool = False) -> bytes:
    final = last if total is None else index == total - 1
    return version + index.to_bytes(8, "big") + (b"\x01" if final else b"\x00")


def seal(chunks: Iterable[Buffer], key: bytes, version_id: str) -> Iterator[bytearray]:
    """Seals a stream of plain chunks of any sizes; emits blocks of up to BLOCK_SEGMENTS sealed segments.

    The key must never have sealed anything before (the nonces are counters). A chunk is read before the next one is
    asked for, so the source may reuse its buffer; an emitted block is the receiver's to keep.
    """
    cipher, version = AESGCM(key), version_id.encode()
    index = 0
    held = bytearray()  # at most one segment: the last one is known only when the source ends
    block, filled = bytearray(), 0

    for chunk in chunks:
        view = memoryview(chunk)
        while len(held) + len(view) > SEGMENT:
            if held:
                missing = SEGMENT - len(held)
                held += view[:missing]
                view = view[missing:]
                plain: Buffer = held
            else:
                plain, view = view[:SEGMENT], view[SEGMENT:]
            if not block:
                block, filled = bytearray(BLOCK_SEGMENTS * SEALED_SEGMENT), 0
            with memoryview(block) as room:
                cipher.encrypt_into(
                    index.to_bytes(_NONCE_BYTES, "big"),
                    plain,
                    _associated(version, index, None),
                    room[filled : filled + SEALED_SEGMENT],
                )
            index += 1
            filled += SEALED_SEGMENT
            if plain is held:
                held = bytearray()
            if filled == len(block):
                yield block
                block = bytearray()
        held += view

    sealed_last = cipher.encrypt(index.to_bytes(_NONCE_BYTES, "big"), held, _associated(version, index, None, True))
    if block:
        del block[filled:]
    block += sealed_last
    yield block


def seal_part(plain: Buffer, key: bytes, version_id: str, first_segment: int, *, last: bool) -> Iterator[bytes]:
    """Seals a part of an object whose segments are counted on from part to part; emits segment by segment.

    plain: not empty, whole segments unless this part is the last. A part may be sealed again, **with the same bytes
    only**: the caller has written down which they are before the first time, and refuses others.
    """
    cipher, version, view = AESGCM(key), version_id.encode(), memoryview(plain)
    if not view or (len(view) % SEGMENT and not last):
        raise ValueError("a part that is not the last holds whole segments")
    for start in range(0, len(view), SEGMENT):
        index, final = first_segment + start // SEGMENT, last and start + SEGMENT >= len(view)
        nonce = index.to_bytes(_NONCE_BYTES, "big")
        yield cipher.encrypt(nonce, view[start : start + SEGMENT], _associated(version, index, None, final))


def open_sealed(
    chunks: Iterable[Buffer],
    key: bytes,
    version_id: str,
    first_segment: int = 0,
    *,
    total_segments: int,
    segments: int | None = None,
) -> Iterator[bytearray]:
    """Opens a stream of sealed bytes that begins at `first_segment`; emits only bytes whose seal was verified.

    `total_segments` is what the whole object has (from its known size); `segments` how many this stream has to hold
    (default: all to the end). A stream that ends early or goes on too long is refused like a changed one.

    Raises BytesTampered.
    """
    expected = total_segments - first_segment if segments is None else segments
    if first_segment < 0 or expected < 1 or first_segment + expected > total_segments:
        raise ValueError("these segments do not lie inside the object")
    cipher, version = AESGCM(key), version_id.encode()
    index, end = first_segment, first_segment + expected
    held = bytearray()
    block, filled = bytearray(), 0

    def opened(sealed: Buffer) -> None:
        nonlocal index, block, filled
        if index >= end:
            raise BytesTampered("more bytes than were sealed")
        if len(sealed) < TAG:
            raise BytesTampered("a segment is cut off")
        if not block:
            block, filled = bytearray(BLOCK_SEGMENTS * SEGMENT), 0
        length = len(sealed) - TAG
        try:
            with memoryview(block) as room:
                cipher.decrypt_into(
                    index.to_bytes(_NONCE_BYTES, "big"),
                    sealed,
                    _associated(version, index, total_segments),
                    room[filled : filled + length],
                )
        except InvalidTag:
            raise BytesTampered("a segment does not carry its seal") from None
        index += 1
        filled += length

    for chunk in chunks:
        view = memoryview(chunk)
        while len(held) + len(view) >= SEALED_SEGMENT:
            if held:
                missing = SEALED_SEGMENT - len(held)
                held += view[:missing]
                view = view[missing:]
                opened(held)
                held = bytearray()
            else:
                opened(view[:SEALED_SEGMENT])
                view = view[SEALED_SEGMENT:]
            if filled == BLOCK_SEGMENTS * SEGMENT:
                yield block
                block, filled = bytearray(), 0
        held += view
    if held:
        opened(held)
    if index != end:
        raise BytesTampered("fewer bytes than were sealed")
    if filled:
        del block[filled:]
        yield block


def open_range(chunks: Iterable[Buffer], key: bytes, version_id: str, part: SegmentRange) -> Iterator[memoryview]:
    """Opens the sealed bytes `part.sealed_start..part.sealed_end` and emits exactly the plain bytes asked for.

    Raises BytesTampered.
    """
    skip, left = part.skip, part.length
    for block in open_sealed(
        chunks, key, version_id, part.first_segment, total_segments=part.total_segments, segments=part.segments
    ):
        view = memoryview(block)[skip : skip + left]
        skip = max(0, skip - len(block))
        left -= len(view)
        if view:
            yield view


# --- keys -----------------------------------------------------------------------------------------------------------


def wrap(kek: bytes, key: bytes, context: bytes) -> bytes:
    """Wraps a key under a key-encryption key, bound to `context` (what it is for); a random nonce stands in front."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(kek).encrypt(nonce, key, context)


def unwrap(kek: bytes, wrapped: bytes, context: bytes) -> bytes:
    """The key that `wrap` wrapped for the same context.

    Raises BytesTampered.
    """
    try:
        return AESGCM(kek).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise BytesTampered("a wrapped key does not open") from None


class KeySet:
    """Master keys by name, of which one is current: it wraps, and each of them unwraps what it once wrapped."""

    def __init__(self, current: str, keys: dict[str, bytes]) -> None:
        if current not in keys or not all(len(key) == KEY_BYTES for key in keys.values()):
            raise ValueError("a key file names its current key among keys of 32 bytes")
        self.current = current
        # the current one first: nearly every key is under it
        self._keys = [keys[current], *(key for name, key in keys.items() if name != current)]

    @classmethod
    def of_json(cls, text: str) -> Self:
        """The keys of a text: {"current": name, "keys": {name: 32 bytes in base64, …}}.

        Raises ValueError when it is none.
        """
        try:
            told = json.loads(text)
            keys = {name: base64.b64decode(key, validate=True) for name, key in told["keys"].items()}
            return cls(told["current"], keys)
        except (KeyError, TypeError, AttributeError, binascii.Error, json.JSONDecodeError):
            raise ValueError("the key file is not one") from None

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """A key under the current master key, bound to `context`."""
        return wrap(self._keys[0], key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key, whichever master key wraps it. Raises BytesTampered when none does."""
        for key in self._keys[:-1]:
            try:
                return unwrap(key, wrapped, context)
            except BytesTampered:
                continue
        return unwrap(self._keys[-1], wrapped, context)


def _hand_over_cipher(shared: bytes, ephemeral: bytes, receiver: bytes) -> AESGCM:
    # both public keys go into the derivation: a sealed key cannot be replayed under another pair
    derived = HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=_HAND_OVER + ephemeral + receiver).derive(shared)
    return AESGCM(derived)


def hand_over(public_b64: str, key: bytes, context: bytes) -> str:
    """Seals a data key so that only the process owning `public_b64` can read it, and only for `context`.

    Context of a data key: the version id's bytes (`version_id.encode()`). Ephemeral X25519 + HKDF-SHA256 + AES-256-GCM.

    Raises ValueError when the public key is not one.
    """
    receiver = _decoded(public_b64)
    if len(receiver) != _PUBLIC_BYTES:
        raise ValueError("not an X25519 public key")
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(receiver))
    # the derived key is used this once, so the constant nonce never meets it again
    sealed = _hand_over_cipher(shared, public, receiver).encrypt(bytes(_NONCE_BYTES), key, context)
    return base64.b64encode(public + sealed).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


class KeyPair:
    """The X25519 pair of one process: lives in its memory only and dies with it."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self._public = self._private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        self.public: str = base64.b64encode(self._public).decode("ascii")

    def receive(self, sealed: str, context: bytes) -> bytes:
        """The key that `hand_over` sealed to this pair for this context.

        Raises BytesTampered.
        """
        try:
            raw = _decoded(sealed)
            ephemeral = raw[:_PUBLIC_BYTES]
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            cipher = _hand_over_cipher(shared, ephemeral, self._public)
            return cipher.decrypt(bytes(_NONCE_BYTES), raw[_PUBLIC_BYTES:], context)
        except (InvalidTag, ValueError):
            raise BytesTampered("a handed-over key does not open") from None
