"""Page tokens: where the next page starts, bound to the request that they answer.

A token holds no secret, only a position; its digest tells one that was made for another request from a right one.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

from google.protobuf.message import Message

from ratel.core.errors import PageTokenInvalid

PAGE_SIZE_DEFAULT: Final = 100

# Enough to tell tokens apart; who wants to forge one may as well ask for the page.
_DIGEST_BYTES: Final = 8


def page_size(request: Any) -> int:
    """Return how many are asked for."""
    return int(request.page_size) or PAGE_SIZE_DEFAULT


def position_of(request: Any, first: Sequence[str]) -> tuple[str, ...]:
    """Return after what the page starts; ``first`` for the first page.

    Raises:
        PageTokenInvalid: the token was not made for a request like this.
    """
    if not request.page_token:
        return tuple(first)
    try:
        data = urlsafe_b64decode(request.page_token)
    except ValueError:
        raise PageTokenInvalid from None
    digest, text = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if digest != _digest(request, text):
        raise PageTokenInvalid
    return tuple(json.loads(text))


def token_after(request: Message, position: Sequence[str]) -> str:
    """Return the token of the page that starts after a position."""
    text = json.dumps(list(position)).encode()
    return urlsafe_b64encode(_digest(request, text) + text).decode()


def _digest(request: Message, text: bytes) -> bytes:
    filters = type(request)()
    filters.CopyFrom(request)
    for name in ("page_size", "page_token"):
        filters.ClearField(name)
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in (request.DESCRIPTOR.full_name.encode(), filters.SerializeToString(deterministic=True), text):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()
