"""What is in force when: own over inherited, against an instant-by-instant reading of the rule (R3.2, R3.3)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.band import Band, Bands
from ratel.core.period import Period
from ratel.core.pricing import Owner, OwnerKind, PricedKind, PricedThing, Pricing
from ratel.core.schedule import PricingOrigin, ScheduleState, cut_times, pricings_in_force, schedule_entries
from tests.core.table import rows

LAW = settings(max_examples=60, deadline=None)
THING = PricedThing(PricedKind.AGGREGATION, "gb")
BANDS = Bands(cumulative=True, bands=(Band(Decimal(0), Decimal(1)),))
PLAN, TEMPLATE = Owner(OwnerKind.PLAN, "plan"), Owner(OwnerKind.TEMPLATE, "template")
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
LAST = 12


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def pricings(owner: Owner, text: str) -> list[Pricing]:
    """Read stretches such as ``1-3 5-``; each pricing is called by its owner's letter and its start."""
    found = []
    for stretch in text.split():
        start, end = stretch.split("-")
        period = Period(day(int(start)), day(int(end)) if end else None)
        found.append(Pricing(f"{owner.id[0]}{start}", owner, THING, period, BANDS))
    return found


def written(period: Period) -> str:
    end = "" if period.end is None else (period.end - FIRST).days
    return f"{(period.start - FIRST).days}-{end}"


IN_FORCE = """
    own      | inherited | in force                | why
             |           |                         | nothing
    1-3      |           | p1@1-3                  | alone
             | 1-        | t1@1-                   | without an end
    3-5      | 1-9       | t1@1-3 p3@3-5 t1@5-9    | in the middle
    1-3      | 1-9       | p1@1-3 t1@3-9           | from the start
    5-       | 1-9       | t1@1-5 p5@5-            | to the end and beyond
    0-       | 1-9       | p0@0-                   | wholly
    3-5      | 1-3 5-9   | t1@1-3 p3@3-5 t5@5-9    | touching
    3-5 5-6  | 1-        | t1@1-3 p3@3-5 p5@5-6 t1@6- | two own ones that touch
    2-4 6-8  | 1-3 3-7   | t1@1-2 p2@2-4 t3@4-6 p6@6-8 | across two
"""


@pytest.mark.parametrize(("own", "inherited", "expected", "why"), rows(IN_FORCE))
def test_own_pricings_take_the_place_of_inherited_ones(own: str, inherited: str, expected: str, why: str) -> None:
    """R3.3."""
    found = pricings_in_force(pricings(PLAN, own), pricings(TEMPLATE, inherited))
    assert " ".join(f"{pricing.id}@{written(period)}" for period, pricing in found) == expected, why


@st.composite
def disjoint(draw: st.DrawFn, owner: Owner) -> Sequence[Pricing]:
    """Make pricings of one owner, which never overlap."""
    bounds = sorted(draw(st.sets(st.integers(0, LAST), max_size=6)))
    stretches = [f"{start}-{end}" for start, end in pairwise(bounds)] + [f"{bound}-" for bound in bounds[-1:]]
    chosen = [stretch for stretch in stretches if draw(st.booleans())]
    return pricings(owner, " ".join(draw(st.permutations(chosen))))


@LAW
@given(disjoint(PLAN), disjoint(TEMPLATE))
def test_at_every_instant_the_own_pricing_else_the_inherited_one_is_in_force(
    own: Sequence[Pricing], inherited: Sequence[Pricing]
) -> None:
    """R3.2, R3.3."""
    found = pricings_in_force(own, inherited)
    for number in range(LAST + 2):
        instant = day(number)
        expected = [pricing.id for pricing in [*own, *inherited] if pricing.period.contains(instant)][:1]
        assert [pricing.id for period, pricing in found if period.contains(instant)] == expected
    assert [period.start for period, _ in found] == sorted(period.start for period, _ in found)


def test_the_view_tells_state_origin_and_periods_in_force() -> None:
    """R3.3."""
    own, inherited = pricings(PLAN, "3-5 20-"), pricings(TEMPLATE, "1-4 5-9 9-")
    (entry,) = schedule_entries(own, inherited, day(5))
    assert (entry.priced, entry.segment) == (THING, ())
    assert [
        (each.pricing.id, each.state, each.origin, " ".join(map(written, each.periods_in_force)))
        for each in entry.pricings
    ] == [
        ("t1", ScheduleState.HISTORIC, PricingOrigin.OVERRIDDEN, "1-3"),
        ("p3", ScheduleState.HISTORIC, PricingOrigin.OWN, "3-5"),
        ("t5", ScheduleState.ACTIVE, PricingOrigin.INHERITED, "5-9"),
        ("t9", ScheduleState.FUTURE, PricingOrigin.OVERRIDDEN, "9-20"),
        ("p20", ScheduleState.FUTURE, PricingOrigin.OWN, "20-"),
    ]


CUTS = """
    own   | inherited | cuts | why
    3-5   |           | 3 5  | an own pricing cuts at both ends
    3-    |           | 3    | it never ends
          | 3-5       | 3 5  | so does an inherited one
    2-4   | 3-5       | 5    | but not where an own one hides it
    4-6   | 3-5       | 3    | at its end neither
    2-3   | 3-5       | 3 5  | touching: what follows is new
    2-6   | 3-5       |      | hidden wholly
"""


@pytest.mark.parametrize(("own", "inherited", "expected", "why"), rows(CUTS))
def test_a_pricing_cuts_where_it_begins_or_ceases_to_be_in_force(
    own: str, inherited: str, expected: str, why: str
) -> None:
    """R3.2, R4.3."""
    mine = pricings(PLAN, own)
    subject = pricings(TEMPLATE, inherited)[0] if inherited else mine[0]
    assert " ".join(str((cut - FIRST).days) for cut in cut_times(subject, mine)) == expected, why
