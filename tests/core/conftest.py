"""What every test of the core runs in."""

from collections.abc import Iterator
from decimal import Context, DivisionByZero, FloatOperation, Inexact, InvalidOperation, Overflow, localcontext

import pytest


@pytest.fixture(autouse=True)
def rounding_outside_the_exact_context_is_an_error() -> Iterator[None]:
    """Fail where core calculates without `money.exact`: the standard context would round to 28 digits unasked."""
    refusing = Context(prec=28, traps=[Inexact, DivisionByZero, FloatOperation, InvalidOperation, Overflow])
    with localcontext(refusing):
        yield
