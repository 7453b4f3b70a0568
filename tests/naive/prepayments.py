"""Commitments, balances and overage bands made by chance, for the stories."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from random import Random

from tests.naive.catalog import Band, Catalog
from tests.naive.debts import Balance, Commitment, Limits, Schedule, Transaction
from tests.naive.refusal import may_have_overage_bands
from tests.naive.told import Story

KINDS = ("USAGE", "STANDING_CHARGE", "MINIMUM_SPEND", "COUNTER_RUNNING_TOTAL", "COUNTER_ADJUSTMENT_DEBIT", "AD_HOC")


def prepaid(told: Story, chance: Random, instants: Sequence[datetime]) -> Story:
    """Return a story with commitments and balances, and prices for what they do not pay."""
    prepayer = Prepayer(chance, instants, told.catalog)
    return replace(
        told,
        catalog=prepayer.with_overage(),
        commitments=tuple(prepayer.commitments()),
        balances=tuple(prepayer.balances()),
        credit_order=chance.choice(((), ("BALANCE", "COMMITMENT"))),
    )


class Prepayer:
    """Makes what an account paid before; every method draws from the same chance."""

    def __init__(self, chance: Random, instants: Sequence[datetime], catalog: Catalog) -> None:
        self.chance = chance
        self.instants = instants
        self.catalog = catalog

    def often(self, percent: int) -> bool:
        return self.chance.randrange(100) < percent

    def with_overage(self) -> Catalog:
        """Give some pricings bands for overage."""
        pricings = []
        for each in self.catalog.pricings:
            bands = (
                Band(Fraction(0), Fraction("0.7")),
                Band(Fraction("2.5"), self.chance.choice((Fraction(3), Fraction("0.11")))),
            )
            made = replace(each, overage_bands=bands[: self.chance.choice((1, 2))])
            if each.thing.kind != "COUNTER" and each.apply_as == "DEBIT" and may_have_overage_bands(made):
                pricings.append(made if self.often(50) else each)
            else:
                pricings.append(each)
        return Catalog(**(vars(self.catalog) | {"pricings": tuple(pricings)}))

    def commitments(self) -> list[Commitment]:
        return [self.commitment(number) for number in range(self.chance.choice((0, 1, 1, 2)))]

    def commitment(self, number: int) -> Commitment:
        start, end = self.stretch()
        made = Commitment(
            f"commitment{number}",
            self.amount(),
            start,
            end,
            limits=self.limits(),
            surcharge=self.surcharge(),
            currency=self.catalog.templates[0].currency,
        )
        if self.often(30):
            return replace(made, fees=tuple((each, self.amount()) for each in self.chance.sample(self.instants, 2)))
        if self.often(30):
            return made
        plan = self.chance.choice(self.catalog.plans).id
        first = self.chance.choice((None, Fraction(0), Fraction(2)))
        schedule = Schedule(plan, self.chance.choice((1, 2)), first)
        return replace(made, schedule=schedule, fees_in_advance=self.chance.choice((None, True, False)))

    def balances(self) -> list[Balance]:
        return [self.balance(number) for number in range(self.chance.choice((0, 0, 1, 2)))]

    def balance(self, number: int) -> Balance:
        start, end = self.stretch()
        inside = [each for each in self.instants if start <= each < end]
        made = Balance(
            f"balance{number}",
            tuple(
                Transaction(
                    self.chance.choice(inside),
                    self.chance.choice((1, 1, 1, -1)) * self.amount(),
                    Fraction(1) if self.often(20) else None,
                )
                for _ in range(self.chance.randint(1, 3))
            ),
            start,
            end,
            limits=self.limits(),
            surcharge=self.surcharge(),
            currency=self.catalog.templates[0].currency,
        )
        later = [each for each in self.instants if each > end]
        if later and self.often(60):
            return replace(made, rollover_amount=self.amount(), rollover_end=self.chance.choice(later))
        return made

    def stretch(self) -> tuple[datetime, datetime]:
        start, end = sorted(self.chance.sample(self.instants, 2))
        return start, end

    def amount(self) -> Fraction:
        return Fraction(self.chance.choice((2, 5, 20, 60, 300)))

    def surcharge(self) -> Fraction | None:
        return Fraction(self.chance.choice(("0", "10", "33.3"))) if self.often(35) else None

    def limits(self) -> Limits:
        kinds = frozenset(self.chance.sample(KINDS, 3)) if self.often(25) else frozenset()
        products = frozenset([self.catalog.templates[0].product]) if self.often(15) else frozenset()
        return Limits(products, kinds)
