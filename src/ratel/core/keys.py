"""Keys of many events at once: `core.event.event_key` in arrays, two halves of 64 bits each."""

from binascii import Error, hexlify, unhexlify
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from ratel.core.block import Flags, Texts, UInt64s
from ratel.core.event import KEY_BYTES, event_id_from_key, event_key, is_hashed

UUID_LENGTH: Final = 36
Letters: TypeAlias = npt.NDArray[np.uint8]
_HYPHENS: Final = (8, 13, 18, 23)
_DIGITS: Final = tuple(place for place in range(UUID_LENGTH) if place not in _HYPHENS)
_NO_DIGIT: Final = 16
# What each byte is worth as a hexadecimal digit in lower case.
_WORTH: Final = np.full(256, _NO_DIGIT, np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _WORTH[_digit] = _value


def keys_of_ids(ids: Sequence[str]) -> tuple[UInt64s, UInt64s, Texts | None]:
    """Return both halves of the keys, and the ids of those that are hashed; None if none is."""
    text = "".join(ids)
    if text.isascii() and len(text) == UUID_LENGTH * len(ids) and all(len(each) == UUID_LENGTH for each in ids):
        return keys_of_letters(np.frombuffer(text.encode(), np.uint8).reshape(-1, UUID_LENGTH), lambda: ids)
    zeros = np.zeros(len(ids), np.uint64)
    return _hashed(zeros, zeros.copy(), np.zeros(len(ids), np.bool_), ids)


def keys_of_letters(letters: Letters, ids: Callable[[], Sequence[str]]) -> tuple[UInt64s, UInt64s, Texts | None]:
    """Return the same for ids that are all as long as a UUID, by their letters; the ids themselves only if need be."""
    written = _canonical(letters)
    if written is not None:
        return keys_of_uuids(written)
    digits = _WORTH[letters[:, _DIGITS]]
    raw: Letters = np.bitwise_or(digits[:, 0::2] << 4, digits[:, 1::2] & 0xF, dtype=np.uint8)
    highs, lows = _halves(raw)
    is_key = (digits < _NO_DIGIT).all(axis=1) & (letters[:, _HYPHENS] == ord("-")).all(axis=1)
    is_key &= _are_uuid7(highs, lows)
    return (highs, lows, None) if is_key.all() else _hashed(highs, lows, is_key, ids())


def _canonical(letters: Letters) -> bytes | None:
    """Return the UUIDs that are all written as `UUID` writes them."""
    digits = letters[:, _DIGITS].tobytes()
    try:
        raw = unhexlify(digits)
    except Error:
        return None
    return raw if hexlify(raw) == digits and (letters[:, _HYPHENS] == ord("-")).all() else None


def keys_of_uuids(raw: bytes) -> tuple[UInt64s, UInt64s, Texts | None]:
    """Return the same for ids that are UUIDs, 16 bytes each: an id is such a UUID's text."""
    highs, lows = _halves(np.frombuffer(raw, np.uint8).reshape(-1, KEY_BYTES))
    is_key = _are_uuid7(highs, lows)
    if is_key.all():
        return highs, lows, None
    ids = [event_id_from_key(raw[start : start + KEY_BYTES]) for start in range(0, len(raw), KEY_BYTES)]
    return _hashed(highs, lows, is_key, ids)


def _halves(raw: npt.NDArray[np.uint8]) -> tuple[UInt64s, UInt64s]:
    halves = np.ascontiguousarray(raw).view(">u8").astype(np.uint64)
    return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])


def _are_uuid7(highs: UInt64s, lows: UInt64s) -> Flags:
    """Tell which keys say themselves which id they were made from: version 7, the usual variant, below the hashes."""
    flags: Flags = ((highs >> 12) & 0xF == 7) & (lows >> 62 == 2) & (highs >> 56 < 0xFF)
    return flags


def _hashed(highs: UInt64s, lows: UInt64s, is_key: Flags, ids: Sequence[str]) -> tuple[UInt64s, UInt64s, Texts | None]:
    """Replace the keys of those ids that are no UUIDv7."""
    places: list[int] = np.flatnonzero(~is_key).tolist()
    if not places:
        return highs, lows, None
    texts: Texts = np.full(len(ids), None)
    keys = [event_key(ids[place]) for place in places]
    texts[places] = [ids[place] if is_hashed(key) else None for place, key in zip(places, keys, strict=True)]
    highs[places], lows[places] = _halves(np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES))
    return highs, lows, texts
