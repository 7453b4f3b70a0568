"""Families made by chance: an account with a story, and children that at times are on plans of their own (R11.1)."""

from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from tests.naive.account import Account
from tests.naive.catalog import Catalog
from tests.naive.debts import Grant
from tests.naive.family import Family
from tests.naive.stories import Maker


@dataclass(frozen=True)
class FamilyStory:
    """What both engines are told, and what they are asked."""

    family: Family
    asked: tuple[datetime, datetime]
    grants: tuple[Grant, ...]

    @property
    def catalog(self) -> Catalog:
        return self.family.catalog


def family_story(seed: int) -> FamilyStory:
    """Make the story of a number."""
    maker = Maker(Random(f"family {seed}"))
    told = maker.story()
    children = tuple(child(maker, told.catalog, f"child{number}") for number in range(maker.chance.choice((1, 2, 3))))
    return FamilyStory(Family(told.catalog, told.account, children), told.asked, told.grants)


def child(maker: Maker, catalog: Catalog, name: str) -> Account:
    """Its events have ids that others of the family have too."""
    made = maker.account(catalog)
    attachments = tuple(replace(each, id=f"{name} {each.id}") for each in made.attachments if maker.often(40))
    return replace(made, id=name, attachments=attachments)
