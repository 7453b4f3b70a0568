"""Quotes that are prepared for: the same bytes as those that are made from the whole request, or none."""

import random
from collections.abc import Iterator

import pytest
from google.protobuf.message import DecodeError

from ratel.catalog.v1.aggregation_pb2 import Rounding
from ratel.catalog.v1.pricing_pb2 import Band
from ratel.core.errors import Invalid
from ratel.core.money import SHORT_LENGTH
from ratel.rating.v1.rating_service_pb2 import QuoteRequest
from ratel.server import quotes
from ratel.server.convert.quote import quote_to_proto
from ratel.server.quotes import Quotes
from ratel.server.request import check_request
from tests.conftest import Served

STORIES = 150
QUANTITIES = 40
WRONG = ("", "-", "1.", ".5", "+1", "1e3", "1_000", "NaN", " 1", "1 ", "١", "--1", "1.2.3", "0x10")
EDGES = (
    "0",
    "-0",
    "0.0",
    "-0.00",
    "007",
    "1.50",
    "-1",
    "9" * SHORT_LENGTH,
    "9" * (SHORT_LENGTH + 1),
    "0" * 40,
    "1" * 39,
)


def price(chance: random.Random) -> str:
    return chance.choice(["", "0", "0.1", "1.2345", "-0.5", "10.00", "0.000000000000000001"])


def request_of(chance: random.Random) -> QuoteRequest:
    """Make up a request whose bands are right."""
    limits = sorted({0, *(chance.randint(1, 1_000) for _ in range(chance.randint(0, 4)))})
    bands = [
        Band(
            lower_limit=str(limit),
            unit_price=price(chance),
            fixed_price=chance.choice(["", price(chance)]),
            block_size=chance.choice(["", "", "7", "0.5"]),
        )
        for limit in limits
    ]
    return QuoteRequest(
        quantity="1",
        quantity_per_unit=chance.choice(["", "1", "1000", "0.3"]),
        rounding=chance.choice(Rounding.values()),
        cumulative=chance.choice([True, False]),
        bands=bands,
        charge_zero=chance.choice([True, False]),
        currency=chance.choice(["", "USD", "JPY", "KWD"]),
    )


def quantities(chance: random.Random) -> Iterator[str]:
    yield from (*WRONG, *EDGES)
    for _ in range(QUANTITIES):
        text = str(chance.randint(0, 10 ** chance.randint(1, 22)))
        fraction = f".{chance.randint(0, 10**6)}" if chance.random() < 0.3 else ""
        yield f"{chance.choice(['', '', '-'])}{text}{fraction}"


def plainly(data: bytes) -> bytes | None:
    """Answer as the method does; None where something is wrong."""
    try:
        request = QuoteRequest.FromString(data)
        check_request(request)
        return quote_to_proto(request).SerializeToString()
    except (DecodeError, Invalid):
        return None


def test_what_is_prepared_for_is_answered_the_same() -> None:
    chance, prepared, quick_count = random.Random(5), Quotes(), 0
    for _ in range(STORIES):
        request = request_of(chance)
        data = request.SerializeToString()
        assert prepared.answer(data) is None
        assert plainly(data) is not None
        prepared.prepare(QuoteRequest.FromString(data))
        texts = list(quantities(chance))
        chance.shuffle(texts)
        for text in texts:
            request.quantity = text
            data, expected = request.SerializeToString(), plainly(request.SerializeToString())
            found = prepared.answer(data)
            if expected is None or len(text) > SHORT_LENGTH:
                assert found is None, f"{text!r} is left to the method"
            else:
                assert found == expected, f"{text!r} of {request}"
                quick_count += 1
    assert quick_count > STORIES * QUANTITIES // 2


def test_what_differs_in_anything_else_is_not_prepared_for() -> None:
    prepared = Quotes()
    request = QuoteRequest(quantity="5", cumulative=True, bands=[Band(lower_limit="0", unit_price="2")])
    prepared.prepare(QuoteRequest.FromString(request.SerializeToString()))
    assert prepared.answer(request.SerializeToString()) is not None
    for change in ({"currency": "USD"}, {"cumulative": False}, {"charge_zero": True}, {"quantity_per_unit": "2"}):
        other = QuoteRequest.FromString(request.SerializeToString())
        other.MergeFrom(QuoteRequest(**change))
        assert prepared.answer(other.SerializeToString()) is None, change
    assert prepared.answer(b"\xff") is None


def test_other_bytes_are_answered_the_same_or_not_at_all() -> None:
    """Whatever is cut off, put in, changed, doubled or moved in the bytes of a request that was prepared for."""
    chance, prepared, quick_count = random.Random(9), Quotes(), 0
    for _ in range(STORIES):
        data = request_of(chance).SerializeToString()
        prepared.prepare(QuoteRequest.FromString(data))
        for _ in range(QUANTITIES):
            changed = bytearray(data)
            place = chance.randrange(min(len(data), chance.choice([4, 12, len(data)])))
            other = place + chance.randrange(6)
            match chance.randrange(5):
                case 0:
                    changed[place] = chance.choice([*b"0123456789.-", *range(256)])
                case 1:
                    del changed[place:other]
                case 2:
                    changed[place:place] = changed[place:other]
                case 3:
                    changed = changed[place:] + changed[:place]
                case _:
                    changed[:0] = b"\x0a\x01" + chance.choice([b"7", b"-", b"\xff"])
            found = prepared.answer(bytes(changed))
            if found is not None:
                assert found == plainly(bytes(changed)), bytes(changed)
                quick_count += 1
    assert quick_count > STORIES


def test_what_is_prepared_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotes, "PREPARED_MAX", 2)
    prepared, found = Quotes(), []
    for place in range(3):
        band = Band(lower_limit="0", unit_price=str(place))
        found.append(QuoteRequest(quantity="1", cumulative=True, bands=[band]).SerializeToString())
        prepared.prepare(QuoteRequest.FromString(found[-1]))
    assert [prepared.answer(each) is None for each in found] == [True, True, False]
    monkeypatch.setattr(quotes, "REQUEST_BYTES_MAX", 5)
    prepared.prepare(QuoteRequest.FromString(found[0]))
    assert prepared.answer(found[0]) is None


async def test_the_server_answers_both_ways_alike(server: Served) -> None:
    bands = [Band(lower_limit="0", unit_price="0.003"), Band(lower_limit="10", unit_price="0.002")]
    for text in ("4", "40", "4", "0.5", "123456789012345678901"):
        request = QuoteRequest(quantity=text, cumulative=True, bands=bands, currency="USD")
        assert await server.rating.Quote(request) == quote_to_proto(request)
