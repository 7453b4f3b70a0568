"""Stories of accounts whose bills are in another currency than their plans (R11.2)."""

from dataclasses import replace
from fractions import Fraction
from random import Random

from tests.naive.stories import story
from tests.naive.told import Story

CURRENCIES = ("USD", "JPY", "KWD", "GBP")
RATES = ("0.8", "1.1", "151.33", "0.007", "0.3075")


def foreign_story(seed: int) -> Story:
    """Make the story of a number, with plans in several currencies that are billed together, and rates into one."""
    told, chance = story(seed), Random(seed)
    into = chance.choice(CURRENCIES)
    templates = tuple(
        replace(each, currency=chance.choice(CURRENCIES), frequency=told.catalog.templates[0].frequency)
        for each in told.catalog.templates
    )
    rates = {(each, into): Fraction(chance.choice(RATES)) for each in CURRENCIES if each != into}
    settings = replace(told.catalog.settings, rates=rates)
    catalog = replace(told.catalog, templates=templates, settings=settings)
    return replace(
        told,
        catalog=catalog,
        account=replace(told.account, currency=into),
        commitments=tuple(replace(each, currency=chance.choice(CURRENCIES)) for each in told.commitments),
        balances=tuple(replace(each, currency=chance.choice(CURRENCIES)) for each in told.balances),
    )
