"""Rates between currencies, and what brings amounts into the currency of a bill (R3.7, R11.2).

A rate holds in one direction only: it is never turned round, and never put together from others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ratel.core.errors import CurrencyRateMissing, Mistakes
from ratel.core.money import ONE, ZERO, RoundingMode, divide, exponent, round_amount


@dataclass(frozen=True, slots=True)
class CurrencyRate:
    """What one of a currency is in another one, above 0."""

    from_currency: str
    to_currency: str
    rate: Decimal


def check_rates(rates: Iterable[CurrencyRate]) -> None:
    """Check that rates are of known currencies, above 0, and at most one for each pair.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    seen: set[tuple[str, str]] = set()
    for index, each in enumerate(rates):
        path, pair = f"[{index}]", (each.from_currency, each.to_currency)
        with mistakes.under(f"{path}.from_currency"):
            exponent(each.from_currency)
        with mistakes.under(f"{path}.to_currency"):
            exponent(each.to_currency)
        if each.from_currency == each.to_currency:
            mistakes.add(f"{path}.to_currency", "CURRENCY_SAME", "must be another currency than from_currency")
        if each.rate <= ZERO:
            mistakes.add(f"{path}.rate", "RATE_NOT_POSITIVE", "must be greater than 0")
        if pair in seen:
            mistakes.add(path, "CURRENCY_RATE_REPEATED", "must be the only rate between these two currencies")
        seen.add(pair)
    mistakes.check()


@dataclass(frozen=True, slots=True)
class Exchange:
    """Brings amounts into one currency.

    Attributes:
        currency: the one; empty: every amount stays in its own.
        rates: into it, by the currency that they bring there.
        mode: how what was brought there is rounded.
    """

    currency: str = ""
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    mode: RoundingMode = RoundingMode.HALF_UP

    def target(self, currency: str) -> str:
        """Return the currency that amounts of a currency are brought into."""
        return self.currency or currency

    def rate(self, currency: str) -> Decimal:
        """Return what one of a currency becomes.

        Raises:
            CurrencyRateMissing: there is no rate.
        """
        if self.currency in ("", currency):
            return ONE
        if currency not in self.rates:
            raise CurrencyRateMissing(currency, self.currency)
        return self.rates[currency]

    def amount(self, amount: Decimal, currency: str) -> Decimal:
        """Return a rounded amount of a currency as it becomes, rounded once more.

        Raises:
            CurrencyRateMissing: there is no rate.
        """
        target = self.target(currency)
        return amount if target == currency else round_amount(amount * self.rate(currency), target, self.mode)

    def filled(self, other: "Exchange") -> "Exchange":
        """Return the same with the rates of another one into this currency where there is none, and its mode."""
        return Exchange(self.currency, {**other.rates, **self.rates}, other.mode)


# --- Bills one after the other ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BillExchange:
    """What a bill is brought into its currency by.

    Attributes:
        target_currency: what it was asked to be in; empty: as the account says.
    """

    invoice_date: date
    exchange: Exchange
    target_currency: str = ""


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Of each day, by what the bill that it belongs to is brought into its currency; without bills nothing is."""

    bills: Sequence[BillExchange] = ()

    def on(self, day: date) -> Exchange:
        """Return that of the first bill that is no earlier than a day."""
        return next((each.exchange for each in self.bills if day <= each.invoice_date), Exchange())

    def of(self, invoice_date: date) -> BillExchange:
        """Return that of a bill."""
        return next(
            (each for each in self.bills if each.invoice_date == invoice_date), BillExchange(invoice_date, Exchange())
        )


def exchanges_of(bills: Iterable[BillExchange], known: Callable[[str], Exchange]) -> Exchanges:
    """Return what days are reckoned by, when a bill lacks a rate by that of the next one of its currency that has it.

    Args:
        bills: by invoice date.
        known: what the settings say now of a currency.
    """
    found: list[BillExchange] = []
    for bill in reversed(list(bills)):
        own = bill.exchange
        later = next((each.exchange for each in reversed(found) if each.exchange.currency == own.currency), None)
        filled = own.filled(known(own.currency) if later is None else later)
        found.append(BillExchange(bill.invoice_date, filled, bill.target_currency))
    return Exchanges(tuple(reversed(found)))


# --- Sums over several rates ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """A sum of amounts that were brought into currencies at some rates, kept so that it is exact at each of them."""

    _by_rate: dict[Decimal, Decimal] = field(default_factory=dict)

    def add(self, amount: Decimal, rate: Decimal) -> None:
        """Add what was brought in at a rate."""
        self._by_rate[rate] = self._by_rate.get(rate, ZERO) + amount

    def at(self, rate: Decimal) -> Decimal:
        """Return what the sum is at a rate, unrounded."""
        return sum(
            (amount if own == rate else divide(amount * rate, own) for own, amount in self._by_rate.items()), ZERO
        )
