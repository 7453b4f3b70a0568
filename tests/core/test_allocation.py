"""An amount is split by shares without losing or making a cent (R1.7)."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.allocation import allocate
from ratel.core.money import ZERO, amount_text
from tests.core.table import rows
from tests.naive.exact import allocate as naive_allocate
from tests.naive.translation import plain

SPLIT = """
    amount | shares   | currency | parts
    95.00  | 300 400  | USD      | 40.71 54.29
    0.05   | 1 1 1    | USD      | 0.02 0.02 0.01
    0.01   | 1 2      | USD      | 0.00 0.01
    10     | 1 1 1    | JPY      | 4 3 3
    1.000  | 2 1      | KWD      | 0.667 0.333
    -0.05  | 1 1 1    | USD      | -0.01 -0.02 -0.02
    3.00   | 0 5 0    | USD      | 0.00 3.00 0.00
    5.00   | 0 0      | USD      | 0.00 0.00
    0.00   | 1 3      | USD      | 0.00 0.00
"""


@pytest.mark.parametrize(("amount", "shares", "currency", "parts"), rows(SPLIT))
def test_largest_remainder_first(amount: str, shares: str, currency: str, parts: str) -> None:
    """Case 93, among others; ties go to the earlier share."""
    found = allocate(Decimal(amount), [Decimal(share) for share in shares.split()], currency)
    assert " ".join(amount_text(part, currency) for part in found) == parts


CENTS = st.integers(-100_000, 100_000).map(lambda cents: Decimal(cents).scaleb(-2))
SHARES = st.lists(st.decimals(0, 10**6, places=5), max_size=8)


@given(CENTS, SHARES)
@settings(max_examples=200, deadline=None)
def test_parts_are_those_of_the_naive_engine_and_sum_to_the_amount(amount: Decimal, shares: list[Decimal]) -> None:
    parts = allocate(amount, shares, "USD")
    naive = naive_allocate(plain(amount), [plain(share) for share in shares], "USD")  # type: ignore[arg-type,misc]
    assert [plain(part) for part in parts] == naive
    assert sum(parts, ZERO) == (amount if any(shares) else ZERO)
