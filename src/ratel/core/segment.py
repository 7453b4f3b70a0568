"""Keys of fixed width for the values that events are told apart by."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

KEY_BYTES: Final = 16
"""Two of 10^12 combinations share a key with a probability below 10^-14; and a uuid column holds it."""

NO_SEGMENT: Final = bytes(KEY_BYTES)


def segment_key(values: Sequence[str]) -> bytes:
    """Return the 16 bytes that stand for the values of dimensions, in their order; zeros if there are none."""
    if not values:
        return NO_SEGMENT
    return digest_of(value.encode() for value in values)


def digest_of(contents: Iterable[bytes]) -> bytes:
    """Return the 16 bytes that stand for some contents, in their order."""
    return digest_of_framed(b"".join(map(framed, contents)))


def digest_of_framed(contents: bytes) -> bytes:
    """Return the same of contents that were framed before."""
    return blake2b(contents, digest_size=KEY_BYTES).digest()


def framed(content: bytes) -> bytes:
    """Return a content with its length before it: so ("ab", "c") is not ("a", "bc")."""
    return len(content).to_bytes(4, "big") + content
