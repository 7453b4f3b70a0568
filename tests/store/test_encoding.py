"""Rows that are put together without an object for any of them are those that joining makes."""

import random

import numpy as np
import pytest

from ratel.store.encoding import Part, Piece, pieces_of, table_of, together


@pytest.mark.parametrize("widths", [(4,), (4, 5), (1, 2, 3, 64, 300), tuple(range(1, 40))])
def test_parts_of_any_widths_come_together_in_any_order(widths: tuple[int, ...]) -> None:
    chance = random.Random(len(widths))
    values = [chance.randbytes(width) for width in widths]
    codes = np.array([chance.randrange(len(values)) for _ in range(100)])
    others = np.array([chance.randrange(len(values)) for _ in range(100)])
    odd, even = np.arange(1, 100, 2), np.arange(0, 100, 2)
    numbers = np.array([chance.getrandbits(31) for _ in range(100)])
    heads = [
        Piece(odd, table_of([Part(">i4", numbers[odd]), Part(">i2", -7)], len(odd))),
        Piece(even, table_of([Part(">i2", 300), Part((">i2", 2), numbers[even, None] % 9 + np.arange(2))], len(even))),
    ]
    order = np.array(chance.sample(range(100), 100))
    rows = together([heads, list(pieces_of(values, codes)), list(pieces_of(values, others))], order)
    expected = []
    for place in order.tolist():
        number = int(numbers[place])
        first = (300, number % 9, number % 9 + 1) if place % 2 == 0 else ()
        head = b"".join(each.to_bytes(2, "big") for each in first) or number.to_bytes(4, "big") + b"\xff\xf9"
        expected.append(head + values[codes[place]] + values[others[place]])
    assert bytes(rows) == b"".join(expected)
