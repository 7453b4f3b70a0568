"""Meters, aggregations, plans, pricings and attachments: what each refuses, with all its mistakes at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

import pytest

from ratel.core.account import Attachment, check_custom, end_for
from ratel.core.band import Band, Bands
from ratel.core.counter import Adjustment
from ratel.core.errors import FieldsFixed, Invalid, PlanCustom
from ratel.core.formula import parse
from ratel.core.meter import (
    Aggregation,
    CompoundAggregation,
    Field,
    FieldKind,
    Filter,
    Meter,
    Method,
    RollupDefinition,
    check_aggregation,
    check_fields_extend,
    counting_rollup,
    read_fields,
    read_formula,
)
from ratel.core.money import RoundingMode
from ratel.core.period import Frequency, Period
from ratel.core.plan import Plan, PlanTemplate, Settings, Terms, bill_grid, effective_terms, fit_plan
from ratel.core.pricing import (
    ApplyAs,
    CounterTerms,
    Owner,
    OwnerKind,
    PricedKind,
    PricedThing,
    Pricing,
    PricingPlace,
    SpendLimits,
    fit_pricing,
)
from ratel.core.segment import NO_SEGMENT, segment_key

T = TypeVar("T")

MEASURE, STRING, DERIVED = FieldKind.MEASURE, FieldKind.STRING, FieldKind.DERIVED
FIELDS = read_fields([("gb", MEASURE, "GB", ""), ("region", STRING, "", ""), ("mb", DERIVED, "", "gb * 1024")])
METER = Meter("storage", "cloud", "Storage", FIELDS)
BANDS = Bands(cumulative=True, bands=(Band(Decimal(0), Decimal(1)),))
PERIOD = Period(datetime(2024, 1, 1, tzinfo=UTC))


def violations(make: Callable[[], T]) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        make()
    return {(each.field, each.reason) for each in caught.value.violations}


# --- Meters and aggregations (R2.1, R2.2, R2.5) -----------------------------------------------------------------------


def test_fields_are_read_with_all_their_mistakes() -> None:
    declared = [
        ("a", DERIVED, "", "b + c"),
        ("b", DERIVED, "", "a + c"),
        ("c", MEASURE, "", "1"),
        ("c", STRING, "", ""),
        ("d", DERIVED, "", ""),
    ]
    assert violations(lambda: read_fields(declared)) == {
        ("fields[0].formula", "FORMULA_INVALID"),
        ("fields[2].formula", "FORMULA_UNEXPECTED"),
        ("fields[3].name", "FIELD_REPEATED"),
        ("fields[4].formula", "FIELD_REQUIRED"),
    }


def test_a_meter_checks_fields_however_they_were_made() -> None:
    fields = (
        Field("a", MEASURE),
        Field("a", STRING, formula=parse("1", ())),
        Field("b", DERIVED),
        Field("c", DERIVED, formula=parse("later + a", ("later", "a"))),
        Field("later", DERIVED, formula=parse("a", ("a",))),
    )
    assert violations(lambda: Meter("m", "p", "M", fields)) == {
        ("fields[1].name", "FIELD_REPEATED"),
        ("fields[1].formula", "FORMULA_UNEXPECTED"),
        ("fields[2].formula", "FIELD_REQUIRED"),
        ("fields[3].formula", "FORMULA_INVALID"),
    }


def test_a_derived_field_may_use_measures_that_come_after() -> None:
    (derived, _) = read_fields([("a", DERIVED, "", "b * 2"), ("b", MEASURE, "", "")])
    assert derived.formula is not None
    assert derived.formula.evaluate({"b": Decimal(3)}) == 6


def test_fields_only_grow() -> None:
    """R2.1."""
    check_fields_extend(METER, replace(METER, fields=(*FIELDS, Field("tier", STRING))))
    check_fields_extend(METER, replace(METER, fields=(replace(FIELDS[0], unit="GiB"), *FIELDS[1:])))
    for changed in (
        FIELDS[:-1],
        (FIELDS[1], FIELDS[0], FIELDS[2]),
        (*FIELDS[:2], replace(FIELDS[2], formula=parse("gb * 1000", ("gb",)))),
        (FIELDS[0], Field("region", MEASURE), FIELDS[2]),
    ):
        with pytest.raises(FieldsFixed):
            check_fields_extend(METER, replace(METER, fields=changed))


def aggregation(method: Method, field: str, **changed: object) -> Aggregation:
    return replace(Aggregation("a", "storage", "A", Method.COUNT), method=method, field=field, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize(("field", "kind"), [("gb", MEASURE), ("region", STRING), ("mb", DERIVED)])
def test_methods_take_fields_of_their_kind(method: Method, field: str, kind: FieldKind) -> None:
    """R2.2."""
    fits = method is Method.COUNT or (kind is STRING) is (method is Method.UNIQUE)
    if fits:
        check_aggregation(aggregation(method, field), METER)
    else:
        assert violations(lambda: check_aggregation(aggregation(method, field), METER)) == {("field", "FIELD_KIND")}


def test_an_aggregation_has_fields_of_its_meter() -> None:
    wrong = aggregation(Method.SUM, "no", filter=Filter("mb", frozenset({""})), segment_fields=("region", "gb", "none"))
    assert violations(lambda: check_aggregation(wrong, METER)) == {
        ("field", "FIELD_UNKNOWN"),
        ("filter.field", "FIELD_KIND"),
        ("segment_fields[1]", "FIELD_KIND"),
        ("segment_fields[2]", "FIELD_UNKNOWN"),
    }


def test_only_counts_have_no_field_and_units_are_of_something() -> None:
    assert violations(lambda: aggregation(Method.SUM, "", quantity_per_unit=Decimal(0))) == {
        ("field", "FIELD_REQUIRED"),
        ("quantity_per_unit", "DECIMAL_RANGE"),
    }
    compound = CompoundAggregation("c", "cloud", "C", read_formula("max(a, b) + a"))
    assert compound.formula.names == {"a", "b"}
    assert violations(lambda: replace(compound, quantity_per_unit=Decimal(-1))) == {
        ("quantity_per_unit", "DECIMAL_RANGE")
    }


def test_aggregations_that_keep_the_same_share_a_rollup() -> None:
    one = aggregation(Method.SUM, "gb", filter=Filter("tier", frozenset({"x"})), segment_fields=("region",))
    two = aggregation(Method.MAX, "gb", segment_fields=("tier", "region"))
    assert (
        one.rollup == two.rollup == RollupDefinition("storage", "gb", keeps_values=False, dimensions=("region", "tier"))
    )
    assert aggregation(Method.UNIQUE, "region").rollup.keeps_values
    assert aggregation(Method.COUNT, "").rollup == counting_rollup("storage")


def test_segment_keys_tell_values_apart() -> None:
    assert segment_key(()) == NO_SEGMENT
    keys = {segment_key(values) for values in [("ab", "c"), ("a", "bc"), ("abc",), ("",), ("", ""), ("c", "ab")]}
    assert len(keys) == 6
    assert all(len(key) == 16 for key in keys)


# --- Plans (R3.1) -----------------------------------------------------------------------------------------------------


def template(**changed: object) -> PlanTemplate:
    usual = PlanTemplate("t", "cloud", "T", "USD", Frequency.MONTHLY)
    return replace(usual, **changed)  # type: ignore[arg-type]


def test_amounts_have_the_digits_of_the_currency() -> None:
    """R1.7."""
    terms = Terms(standing_charge=Decimal("20"), minimum_spend=Decimal("1.500"))
    assert str(template(terms=terms).terms.standing_charge) == "20.00"
    assert str(template(terms=terms).terms.minimum_spend) == "1.50"
    assert violations(lambda: template(currency="JPY", terms=terms)) == {("terms.minimum_spend", "AMOUNT_DIGITS")}
    assert violations(lambda: template(currency="USDT", terms=terms)) == {("currency", "CURRENCY_UNKNOWN")}


def test_a_maximum_is_not_below_the_minimum_in_effect() -> None:
    """R6.2."""
    assert violations(lambda: Terms(minimum_spend=Decimal(2), maximum_spend=Decimal(1))) == {
        ("maximum_spend", "MAXIMUM_BELOW_MINIMUM")
    }
    given = template(terms=Terms(minimum_spend=Decimal(10)))
    plan = Plan("p", "t", "P", terms=Terms(maximum_spend=Decimal(9)))
    assert violations(lambda: fit_plan(plan, given)) == {("terms.maximum_spend", "MAXIMUM_BELOW_MINIMUM")}
    free = replace(plan, terms=replace(plan.terms, minimum_spend=Decimal(0)))
    assert str(fit_plan(free, given).terms.minimum_spend) == "0.00"


def test_a_value_that_is_set_wins() -> None:
    """R3.1: the plan's, then the template's, then the settings'; 0 and false are values."""
    settings = Settings(standing_charge_in_advance=True, minimum_spend_in_advance=True)
    given = template(
        terms=Terms(standing_charge=Decimal(20), standing_charge_interval=3, minimum_spend_in_advance=False)
    )
    own = Terms(standing_charge=Decimal(0), standing_charge_offset=2, maximum_spend_description="Cap")
    found = effective_terms(Plan("p", "t", "Gold", terms=own), given, settings)
    assert (found.standing_charge, found.minimum_spend, found.maximum_spend) == (Decimal(0), None, None)
    assert (found.standing_charge_in_advance, found.minimum_spend_in_advance) == (True, False)
    assert (found.standing_charge_interval, found.standing_charge_offset) == (3, 2)
    assert found.standing_charge_description == "Standing charge"
    assert found.minimum_spend_description == "Gold minimum spend"
    assert found.maximum_spend_description == "Cap"


def test_the_grid_is_anchored_by_whoever_is_nearest() -> None:
    """R4.2."""
    settings = Settings("Europe/Berlin", month_epoch=date(2024, 1, 15))
    at = datetime(2024, 6, 1, tzinfo=UTC)
    assert bill_grid(template(), settings, None).period_at(at).start == datetime(2024, 5, 14, 22, tzinfo=UTC)
    assert bill_grid(template(), settings, date(2024, 1, 20)).period_at(at).start.day == 19
    yearly = template(frequency=Frequency.ANNUALLY)
    assert bill_grid(yearly, settings, None).period_at(at).start == datetime(2023, 12, 31, 23, tzinfo=UTC)


def test_settings_know_zone_and_currency() -> None:
    assert violations(lambda: Settings("Nowhere", "XYZ", rounding_mode=RoundingMode.DOWN)) == {
        ("time_zone", "ZONE_UNKNOWN"),
        ("default_currency", "CURRENCY_UNKNOWN"),
    }


# --- Pricings (R3.2) --------------------------------------------------------------------------------------------------


def pricing(kind: PricedKind, **changed: object) -> Pricing:
    usual = Pricing("p", Owner(OwnerKind.PLAN, "gold"), PricedThing(kind, "gb"), PERIOD, BANDS)
    return replace(usual, **changed)  # type: ignore[arg-type]


def test_what_only_some_things_have() -> None:
    terms = CounterTerms(prorate_debit=False)
    pricing(PricedKind.COUNTER, counter_terms=terms)
    pricing(PricedKind.AGGREGATION, segment=("eu", "*"), segment_fields=("a", "b"), pool=True)
    assert violations(lambda: pricing(PricedKind.COMPOUND, segment=("eu",), pool=True, counter_terms=terms)) == {
        ("segment", "SEGMENT_UNEXPECTED"),
        ("pool", "POOL_WITHOUT_WILDCARD"),
        ("counter_terms", "COUNTER_TERMS_UNEXPECTED"),
    }


def test_a_credit_has_no_spend() -> None:
    spend = SpendLimits(minimum=Decimal(1), maximum=Decimal(2))
    pricing(PricedKind.AGGREGATION, spend=spend)
    for apply_as in (ApplyAs.PRODUCT_CREDIT, ApplyAs.GLOBAL_CREDIT):
        assert violations(partial(pricing, PricedKind.AGGREGATION, spend=spend, apply_as=apply_as)) == {
            ("minimum_spend", "SPEND_OF_CREDIT"),
            ("maximum_spend", "SPEND_OF_CREDIT"),
        }


def test_a_pricing_fits_its_place() -> None:
    place = PricingPlace("USD", "cloud", "cloud", ("region", "tier"))
    given = pricing(
        PricedKind.AGGREGATION,
        segment=("*", "eu"),
        segment_fields=("tier", "region"),
        spend=SpendLimits(minimum=Decimal(1)),
    )
    fitted = fit_pricing(given, place)
    assert (fitted.segment, fitted.segment_fields) == (("eu", "*"), ("region", "tier"))
    assert str(fitted.spend.minimum) == "1.00"
    wrong = replace(given, segment=("eu",), segment_fields=("tier",), spend=SpendLimits(Decimal("0.001")))
    assert violations(lambda: fit_pricing(wrong, replace(place, owner_product_id="other"))) == {
        ("aggregation_id", "PRODUCT_DIFFERENT"),
        ("segment", "SEGMENT_FIELDS"),
        ("minimum_spend", "AMOUNT_DIGITS"),
    }


# --- Accounts (R3.4, R4.1, R8.1) --------------------------------------------------------------------------------------


def attachment(start: int, end: int | None = None, account_id: str = "acme") -> Attachment:
    ends = None if end is None else datetime(2024, 1, end, tzinfo=UTC)
    return Attachment("a", account_id, "gold", Period(datetime(2024, 1, start, tzinfo=UTC), ends))


def test_a_custom_plan_is_for_one_account() -> None:
    """R3.4."""
    check_custom(attachment(1), Plan("p", "t", "P"))
    check_custom(attachment(1), Plan("p", "t", "P", account_id="acme"))
    with pytest.raises(PlanCustom):
        check_custom(attachment(1), Plan("p", "t", "P", account_id="other"))


@pytest.mark.parametrize("end", [None, 9, 5])
def test_a_replacement_ends_the_old_one(end: int | None) -> None:
    """R4.1."""
    assert end_for(attachment(1, end), attachment(5)) == attachment(1, 5)


@pytest.mark.parametrize(("start", "end"), [(5, None), (6, None), (1, 4)])
def test_a_replacement_starts_inside_the_old_one(start: int, end: int | None) -> None:
    """R4.1."""
    assert violations(lambda: end_for(attachment(start, end), attachment(5, account_id="other"))) == {
        ("start_time", "REPLACEMENT_OUTSIDE"),
        ("account_id", "ACCOUNT_DIFFERENT"),
    }


def test_a_level_is_not_below_zero() -> None:
    """R8.1."""
    assert violations(lambda: Adjustment("seats", date(2024, 1, 1), Decimal(-1))) == {("level", "DECIMAL_RANGE")}
