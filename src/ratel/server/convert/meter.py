"""Products, meters, aggregations, compound aggregations and counters."""

from ratel.catalog.v1 import aggregation_pb2, counter_pb2, meter_pb2, product_pb2
from ratel.core.counter import Counter
from ratel.core.errors import Mistakes
from ratel.core.meter import (
    Aggregation,
    CompoundAggregation,
    Field,
    FieldKind,
    Filter,
    Meter,
    Method,
    read_fields,
    read_formula,
)
from ratel.core.money import ONE, Rounding, text_from_decimal
from ratel.core.product import Product
from ratel.server.convert.value import EnumPair, one_or_decimal, optional_decimal_from_text

FIELD_KINDS = EnumPair(FieldKind, meter_pb2.FieldKind.Name, meter_pb2.FieldKind.Value, "FIELD_KIND_")
METHODS = EnumPair(
    Method, aggregation_pb2.AggregationMethod.Name, aggregation_pb2.AggregationMethod.Value, "AGGREGATION_METHOD_"
)
ROUNDINGS = EnumPair(Rounding, aggregation_pb2.Rounding.Name, aggregation_pb2.Rounding.Value, "ROUNDING_")


def product_from_proto(message: product_pb2.Product) -> Product:
    """Return the product of a message."""
    return Product(message.id, message.name)


def product_to_proto(product: Product) -> product_pb2.Product:
    """Return the message of a product."""
    return product_pb2.Product(id=product.id, name=product.name)


def counter_from_proto(message: counter_pb2.Counter) -> Counter:
    """Return the counter of a message."""
    return Counter(message.id, message.product_id, message.name, message.unit)


def counter_to_proto(counter: Counter) -> counter_pb2.Counter:
    """Return the message of a counter."""
    return counter_pb2.Counter(id=counter.id, product_id=counter.product_id, name=counter.name, unit=counter.unit)


def meter_from_proto(message: meter_pb2.Meter) -> Meter:
    """Return the meter of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    declared = []
    for index, field in enumerate(message.fields):
        with mistakes.under(f"fields[{index}].kind"):
            declared.append((field.name, FIELD_KINDS.from_proto(field.kind), field.unit, field.formula))
    mistakes.check()
    return Meter(message.id, message.product_id, message.name, read_fields(declared))


def meter_to_proto(meter: Meter) -> meter_pb2.Meter:
    """Return the message of a meter."""
    fields = map(_field_to_proto, meter.fields)
    return meter_pb2.Meter(id=meter.id, product_id=meter.product_id, name=meter.name, fields=fields)


def _field_to_proto(field: Field) -> meter_pb2.MeterField:
    formula = field.formula.text if field.formula else ""
    return meter_pb2.MeterField(
        name=field.name, kind=FIELD_KINDS.to_proto(field.kind), unit=field.unit, formula=formula
    )


def aggregation_from_proto(message: aggregation_pb2.Aggregation) -> Aggregation:
    """Return the aggregation of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    method, rounding, default, per_unit = Method.COUNT, Rounding.NONE, None, ONE
    with mistakes.under("method"):
        method = METHODS.from_proto(message.method)
    with mistakes.under("default_quantity"):
        default = optional_decimal_from_text(message.default_quantity)
    with mistakes.under("quantity_per_unit"):
        per_unit = one_or_decimal(message.quantity_per_unit)
    with mistakes.under("rounding"):
        rounding = ROUNDINGS.from_proto(message.rounding, Rounding.NONE)
    with mistakes.under():
        aggregation = Aggregation(
            id=message.id,
            meter_id=message.meter_id,
            name=message.name,
            method=method,
            field=message.field,
            default_quantity=default,
            quantity_per_unit=per_unit,
            rounding=rounding,
            unit=message.unit,
            filter=_filter_from_proto(message.filter) if message.HasField("filter") else None,
            segment_fields=tuple(message.segment_fields),
        )
    mistakes.check()
    return aggregation


def aggregation_to_proto(aggregation: Aggregation) -> aggregation_pb2.Aggregation:
    """Return the message of an aggregation."""
    default = aggregation.default_quantity
    return aggregation_pb2.Aggregation(
        id=aggregation.id,
        meter_id=aggregation.meter_id,
        name=aggregation.name,
        method=METHODS.to_proto(aggregation.method),
        field=aggregation.field,
        default_quantity=None if default is None else text_from_decimal(default),
        quantity_per_unit=text_from_decimal(aggregation.quantity_per_unit),
        rounding=ROUNDINGS.to_proto(aggregation.rounding),
        unit=aggregation.unit,
        filter=_filter_to_proto(aggregation.filter) if aggregation.filter else None,
        segment_fields=aggregation.segment_fields,
    )


def _filter_from_proto(message: aggregation_pb2.Filter) -> Filter:
    return Filter(message.field, frozenset(message.values))


def _filter_to_proto(filtered: Filter) -> aggregation_pb2.Filter:
    return aggregation_pb2.Filter(field=filtered.field, values=sorted(filtered.values))


def compound_from_proto(message: aggregation_pb2.CompoundAggregation) -> CompoundAggregation:
    """Return the compound aggregation of a message; whether its operands exist is not known here.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    rounding, per_unit, formula = Rounding.NONE, ONE, read_formula("0")
    with mistakes.under("formula"):
        formula = read_formula(message.formula)
    with mistakes.under("quantity_per_unit"):
        per_unit = one_or_decimal(message.quantity_per_unit)
    with mistakes.under("rounding"):
        rounding = ROUNDINGS.from_proto(message.rounding, Rounding.NONE)
    with mistakes.under():
        compound = CompoundAggregation(
            id=message.id,
            product_id=message.product_id,
            name=message.name,
            formula=formula,
            quantity_per_unit=per_unit,
            rounding=rounding,
            unit=message.unit,
            null_as_zero=message.null_as_zero,
        )
    mistakes.check()
    return compound


def compound_to_proto(compound: CompoundAggregation) -> aggregation_pb2.CompoundAggregation:
    """Return the message of a compound aggregation."""
    return aggregation_pb2.CompoundAggregation(
        id=compound.id,
        product_id=compound.product_id,
        name=compound.name,
        formula=compound.formula.text,
        quantity_per_unit=text_from_decimal(compound.quantity_per_unit),
        rounding=ROUNDINGS.to_proto(compound.rounding),
        unit=compound.unit,
        null_as_zero=compound.null_as_zero,
    )
