"""The limits of shape, here with their reasons, are those that the contracts enforce."""

from pathlib import Path

import pytest

from ratel.core import limits

PROTOS = Path(__file__).parents[2] / "protos" / "ratel"

RULES = [
    ("account/v1/account.proto", f"{{1,{limits.ID_LENGTH_MAX}}}"),
    ("catalog/v1/meter.proto", f"[A-Za-z0-9_]{{0,{limits.IDENTIFIER_LENGTH_MAX - 1}}}"),
    ("catalog/v1/meter.proto", f"max_items = {limits.METER_FIELDS_MAX}"),
    ("catalog/v1/meter.proto", f"max_len = {limits.FORMULA_LENGTH_MAX}"),
    ("catalog/v1/aggregation.proto", f"max_items: {limits.SEGMENT_FIELDS_MAX}\n"),
    ("catalog/v1/aggregation.proto", f"max_items: {limits.FILTER_VALUES_MAX}\n"),
    ("catalog/v1/aggregation.proto", f"max_len = {limits.FORMULA_LENGTH_MAX}"),
    ("catalog/v1/plan_template.proto", f"lte: {limits.PERIOD_INTERVAL_MAX}\n"),
    ("catalog/v1/pricing.proto", f"max_items: {limits.BANDS_MAX}\n"),
    (
        "catalog/v1/pricing.proto",
        f"{{1,{limits.DECIMAL_DIGITS_MAX}}}([.][0-9]{{1,{limits.DECIMAL_FRACTION_DIGITS_MAX}}})",
    ),
    ("usage/v1/usage_service.proto", f"max_items = {limits.EVENTS_PER_MESSAGE_MAX}]"),
    ("usage/v1/usage_columns.proto", f"max_items: {limits.EVENTS_PER_MESSAGE_MAX}\n"),
]


@pytest.mark.parametrize(("proto", "rule"), RULES)
def test_contract_enforces_the_limit(proto: str, rule: str) -> None:
    assert rule in (PROTOS / proto).read_text()
