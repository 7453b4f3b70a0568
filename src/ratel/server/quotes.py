"""Quotes by bands that were quoted by before: only what depends on the quantity is done again."""

from typing import Final

from ratel.rating.v1.rating_service_pb2 import QuoteRequest
from ratel.server.convert.quote import PreparedQuote

PREPARED_MAX: Final = 256
REQUEST_BYTES_MAX: Final = 16 * 2**10
"""Of a request that is prepared for: enough for as many bands as there may be."""

QUANTITY_TAG: Final = b"\x0a"
HEAD_LENGTH: Final = 2
"""Of the quantity's tag and length, which is a single byte for any that is answered here."""


class Quotes:
    """What is prepared, by request but for its quantity."""

    def __init__(self) -> None:
        self._prepared: dict[bytes, PreparedQuote] = {}

    def answer(self, data: bytes) -> bytes | None:
        """Answer a request by its bytes; None if that was not prepared for, or perhaps something is wrong with it.

        The quantity is found where every sender writes it that writes fields in their order: first of all. The rest is
        that of a request that was read as a whole, so it holds no second quantity.
        """
        end = HEAD_LENGTH + data[1] if data[:1] == QUANTITY_TAG and len(data) > 1 else 0
        prepared = self._prepared.get(data[end:]) if end else None
        return None if prepared is None else prepared.answer(data[HEAD_LENGTH:end])

    def prepare(self, request: QuoteRequest) -> None:
        """Prepare for requests that are like one of which nothing is wrong."""
        if request.ByteSize() > REQUEST_BYTES_MAX:
            return
        prepared = PreparedQuote(request)
        if len(self._prepared) >= PREPARED_MAX:
            self._prepared.clear()  # callers may make up as many as they like
        self._prepared[_rest(request)] = prepared


def _rest(request: QuoteRequest) -> bytes:
    """Take the quantity out of a request, and return what is left: the same bytes say the same."""
    request.ClearField("quantity")
    return request.SerializeToString()
