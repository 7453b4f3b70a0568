"""Stories whose plans are in groups with a minimum or maximum spend (R6.2)."""

from dataclasses import replace
from fractions import Fraction
from random import Random

from tests.naive.foreign import foreign_story
from tests.naive.told import Story

GROUPS = ("", "one", "one", "other")


def grouped_story(seed: int) -> Story:
    """Make the story of a number: plans of one currency and the same bill periods, some of them in groups."""
    told, chance = foreign_story(seed), Random(seed)
    first = told.catalog.templates[0]
    templates = tuple(
        replace(each, currency=first.currency, frequency=first.frequency, interval=first.interval)
        for each in told.catalog.templates
    )
    plans = tuple(replace(each, group=chance.choice(GROUPS)) for each in told.catalog.plans)
    minimums = {group: Fraction(chance.choice((5, 40, 200))) for group in ("one", "other") if chance.random() < 0.7}
    maximums = {
        group: minimums.get(group, Fraction(1)) + chance.choice((0, 10)) for group in GROUPS if chance.random() < 0.5
    }
    catalog = replace(told.catalog, templates=templates, plans=plans, group_minimums=minimums, group_maximums=maximums)
    currency = told.account.currency if chance.random() < 0.3 else ""
    told = replace(told, catalog=catalog, account=replace(told.account, currency=currency))
    if currency:
        return told
    return replace(  # else they pay nothing
        told,
        commitments=tuple(replace(each, currency=first.currency) for each in told.commitments),
        balances=tuple(replace(each, currency=first.currency) for each in told.balances),
    )
