"""The published and reckoned cases of parents and children, by the naive engine (R11.1)."""

from dataclasses import replace

from tests.naive.account import Account, Attachment
from tests.naive.family import Family
from tests.naive.scene import T, account, at, dollars, june, pricing, scene, shown, used

CATALOG = scene(pricing("calls", T))
PARENT = account()


def child(name: str, units: str, *, attached: bool) -> Account:
    own = (Attachment(name, "plan", at("01-01")),) if attached else ()
    return Account(name, own, events=used(f"06-03:{units}"))


def test_case_57_children_are_pooled_unless_they_have_a_plan_of_their_own() -> None:
    pooled = Family(CATALOG, PARENT, (child("a", "300", attached=False), child("b", "400", attached=False)))
    assert shown(june(CATALOG, pooled.pooled())) == "95.00"
    apart = Family(CATALOG, PARENT, (child("a", "300", attached=True), child("b", "400", attached=True)))
    assert shown(june(CATALOG, apart.pooled())) == ""
    assert [shown(june(CATALOG, each)) for each in apart.children] == ["45.00", "60.00"]


def test_case_93_a_pooled_amount_is_broken_down_by_quantity() -> None:
    family = Family(CATALOG, PARENT, (child("a", "300", attached=False), child("b", "400", attached=False)))
    (item,) = june(CATALOG, family.pooled()).items
    assert {name: dollars(amount) for name, amount in family.breakdown(item).items() if amount} == {
        "a": "40.71",
        "b": "54.29",
    }


def test_r11_1_levels_are_added_up_until_a_child_has_a_plan_of_its_own() -> None:
    catalog = scene(pricing("counter/seats", "0:1"))
    parent = account(levels="seats:01-01:10")
    one = replace(account(levels="seats:01-01:20", stay="06-16 "), id="one")
    answer = june(catalog, Family(catalog, parent, (one,)).pooled())
    assert shown(answer) == "30.00 -10.00"  # 20 seats less for 15 of 30 days
