"""Quotes by bands that were quoted by before: only what depends on the quantity is done again."""

from typing import Final

from google.protobuf.message import DecodeError

from ratel.rating.v1.rating_service_pb2 import QuoteRequest
from ratel.server.convert.quote import PreparedQuote

PREPARED_MAX: Final = 256
REQUEST_BYTES_MAX: Final = 16 * 2**10
"""Of a request that is prepared for: enough for as many bands as there may be."""


class Quotes:
    """What is prepared, by request but for its quantity."""

    def __init__(self) -> None:
        self._prepared: dict[bytes, PreparedQuote] = {}

    async def answer(self, data: bytes) -> bytes | None:
        """Answer a request by its bytes; None if that was not prepared for, or perhaps something is wrong with it."""
        try:
            request = QuoteRequest.FromString(data)
        except DecodeError:
            return None
        quantity = request.quantity
        prepared = self._prepared.get(_rest(request))
        return None if prepared is None else prepared.answer(quantity)

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
