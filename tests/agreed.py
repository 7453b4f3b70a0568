"""The words of stories about what an account has agreed to pay before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ratel.core.bill import LineItemKind
from ratel.core.period import Period
from ratel.core.prepayment import (
    Balance,
    BalanceBook,
    BalanceTransaction,
    Commitment,
    Fee,
    FeeSchedule,
    PaymentLimits,
)
from tests.words import options_of


@dataclass(frozen=True)
class Agreed:
    """Reads commitments and balances of an account, in one currency."""

    account_id: str
    plan_id: str
    currency: str
    time: Callable[[str], datetime]

    def commitment(self, words: list[str]) -> Commitment:
        (commitment_id, amount, start, end, *switches), options = options_of(words)
        fees = [text.rsplit(":", 1) for text in options["fee"].split(",")] if "fee" in options else []
        schedule = None
        if "every" in options:
            first = Decimal(options["first"]) if "first" in options else None
            in_advance = "in_advance" in switches or None
            schedule = FeeSchedule(options.get("plan", self.plan_id), int(options["every"]), first, in_advance)
        return Commitment(
            commitment_id,
            self.account_id,
            commitment_id.title(),
            self.currency,
            Decimal(amount),
            Period(self.time(start), self.time(end)),
            tuple(Fee(self.time(time), Decimal(fee)) for time, fee in fees),
            schedule,
            _limits(options),
            Decimal(options["surcharge"]) if "surcharge" in options else None,
        )

    def balance(self, words: list[str]) -> BalanceBook:
        (balance_id, start, end), options = options_of(words)
        rollover, _, until = options.get("rollover", "0").partition(":")
        balance = Balance(
            balance_id,
            self.account_id,
            balance_id.title(),
            self.currency,
            Period(self.time(start), self.time(end)),
            Decimal(rollover),
            self.time(until) if until else None,
            _limits(options),
            Decimal(options["surcharge"]) if "surcharge" in options else None,
        )
        texts = filter(None, options.get("put", "").split(","))
        transactions = (self._transaction(balance_id, number, text) for number, text in enumerate(texts))
        return BalanceBook(balance, tuple(transactions))

    def _transaction(self, balance_id: str, number: int, text: str) -> BalanceTransaction:
        time, amount, *fee = text.replace("/", ":").split(":")
        owed = Decimal(fee[0]) if fee else None
        return BalanceTransaction(
            f"{balance_id}-{number}", balance_id, self.time(time), self.currency, Decimal(amount), owed
        )


def _limits(options: Mapping[str, str]) -> PaymentLimits:
    products = tuple(filter(None, options.get("products", "").split(",")))
    return PaymentLimits(products, tuple(map(LineItemKind, filter(None, options.get("kinds", "").split(",")))))
