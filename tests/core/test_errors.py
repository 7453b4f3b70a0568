"""The error tree: collected mistakes, paths, and every leaf surviving a process boundary."""

import copy
import pickle

import pytest

from ratel.core import errors
from ratel.core.errors import Invalid, Mistakes, RatelError, Violation

LEAVES: list[RatelError] = [
    errors.AdjustmentExists("a1"),
    errors.AlreadyExists("plan", "p1"),
    errors.AmountDigits("must be shorter", "minimum_spend"),
    errors.AttachmentOverlap("a1"),
    errors.CurrencyUnknown("must be a currency"),
    errors.DatabaseUnavailable(),
    errors.DateInvalid("must be a day"),
    errors.DecimalInvalid("must be a decimal"),
    errors.DecimalRange("must be shorter"),
    errors.BillApproved(),
    errors.BillChanged(),
    errors.BillLocked(),
    errors.BillPending(),
    errors.BillStale(),
    errors.CurrencyRateMissing("USD", "GBP"),
    errors.Denied("no"),
    errors.Draining(),
    errors.EtagMismatch("plan", "p1"),
    errors.EventsDropped("2024-06-20T10:30:00+00:00"),
    errors.FieldRequired("must be set", "cumulative"),
    errors.FieldsFixed("m1"),
    errors.FormulaInvalid("unexpected ')'", 2, 7),
    errors.FormulaRange("too many digits"),
    errors.InUse("plan_template", "t1", "plan", "p1"),
    errors.LaterBillFixed("2024-08-01"),
    errors.Overloaded(),
    errors.PageTokenInvalid(),
    errors.PeriodInvalid("must be after the start", "end_time"),
    errors.PlanCustom("p1"),
    errors.PlanGrouped("p1", "g1"),
    errors.PricingBilled("p1"),
    errors.PricingOverlap("p1"),
    errors.ResourceNotFound("meter", "m1"),
    errors.SchemaUnknown("7", "3"),
    errors.StreamLimit(),
    errors.TransactionConflict(),
    errors.UsageUnpriced("a1", count="2"),
    errors.WorkerLost(),
    errors.ZoneUnknown("must be a zone"),
]


def leaf_classes(kind: type[RatelError]) -> set[type[RatelError]]:
    """Return the leaves of the tree that stand in its file, not those that other files add."""
    below = set[type[RatelError]]().union(*map(leaf_classes, kind.__subclasses__()))
    return below or ({kind} if kind.__module__ == errors.__name__ else set())


def test_every_leaf_is_tried_here() -> None:
    assert {type(leaf) for leaf in LEAVES} == leaf_classes(RatelError)


def test_reasons_are_distinct() -> None:
    assert len({leaf.reason for leaf in LEAVES}) == len(LEAVES)


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.reason)
def test_leaf_says_what_is_wrong_and_survives_pickling(error: RatelError) -> None:
    assert str(error)
    assert type(error).__doc__
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.__dict__) == (str(error), error.__dict__)


def test_metadata_names_the_one_in_the_way() -> None:
    assert errors.PricingOverlap("p7").metadata == {"pricing_id": "p7"}
    used = errors.InUse("plan_template", "t1", "plan", "p1")
    assert used.metadata == {"resource": "plan_template", "id": "t1", "user_resource": "plan", "user_id": "p1"}
    assert str(used) == "plan template 't1' is used by plan 'p1'"


def test_mistakes_are_reported_all_at_once() -> None:
    mistakes = Mistakes()
    mistakes.add("id", "FIELD_REQUIRED", "must be set")
    with mistakes.under("bands[2]"):
        raise errors.DecimalInvalid("must be a decimal", "unit_price")
    with mistakes.under("bands[3]"), mistakes.under():
        raise errors.DecimalRange("must be shorter")
    with mistakes.under("formula"):
        raise Invalid([Violation("[0]", "X", "first"), Violation("", "X", "second")])
    with pytest.raises(Invalid) as caught:
        mistakes.check()
    assert [violation.field for violation in caught.value.violations] == [
        "id",
        "bands[2].unit_price",
        "",
        "formula[0]",
        "formula",
    ]
    assert str(caught.value).startswith("id: must be set; bands[2].unit_price: must be a decimal; must be shorter")
    assert caught.value.reason == "INVALID"


def test_no_mistakes_raise_nothing() -> None:
    mistakes = Mistakes()
    with mistakes.under("bands"):
        pass
    mistakes.check()
    assert not mistakes


def test_other_errors_pass_through() -> None:
    mistakes = Mistakes()
    with pytest.raises(errors.ResourceNotFound), mistakes.under("plan_id"):
        raise errors.ResourceNotFound("plan", "p1")


def test_reason_is_the_one_that_all_mistakes_share() -> None:
    mistakes = Mistakes()
    for index in range(2):
        with mistakes.under(f"values[{index}]"):
            raise errors.DecimalInvalid("must be a decimal")
    with pytest.raises(Invalid) as caught:
        mistakes.check()
    assert caught.value.reason == "DECIMAL_INVALID"


def test_moving_keeps_the_leaf_and_leaves_the_original() -> None:
    error = errors.FormulaInvalid("unexpected ')'", 2, 7)
    moved = error.under("fields[1].formula")
    assert isinstance(moved, errors.FormulaInvalid)
    assert moved.metadata == {"line": "2", "column": "7"}
    assert str(moved) == "fields[1].formula: line 2, column 7: unexpected ')'"
    assert error.violations[0].field == ""
