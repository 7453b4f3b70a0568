"""Where the values of a meter's fields stand in its events, and what is wrong with the values of one (R2.1)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar

from ratel.core.errors import FieldInvalid, FormulaRange, Invalid
from ratel.core.event import Events, Measures, Strings
from ratel.core.formula import Formula
from ratel.core.meter import Field, FieldKind
from ratel.core.money import decimal_from_text

_T = TypeVar("_T")

Values: TypeAlias = tuple[Decimal | None, Measures | None, Strings | None]
"""The first measure, the further ones and the strings of an event, as `Events` holds them."""


class FieldUnknown(FieldInvalid):
    """The meter does not declare this field."""

    reason = "FIELD_UNKNOWN"


class FieldDerived(FieldInvalid):
    """The field is derived from others: events do not carry it."""

    reason = "FIELD_DERIVED"


class StringInvalid(FieldInvalid):
    """The text holds a character that cannot be stored."""

    reason = "STRING_INVALID"


class DerivedInvalid(FieldInvalid):
    """A derived field cannot be computed within bounds from the event's values."""

    reason = "DERIVED_INVALID"


_NUL: Final = "\0"


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one meter, ready to place and to find values.

    Attributes:
        meter_no: the number that events name the meter by.
        fields: as declared.
        places: the kind of each field, and its place among those of its kind.
        formulas: of the derived fields, in the order of declaration.
    """

    meter_no: int
    fields: tuple[Field, ...]
    places: Mapping[str, tuple[FieldKind, int]] = field(init=False, repr=False, compare=False)
    formulas: tuple[tuple[str, Formula], ...] = field(init=False, repr=False, compare=False)
    _counts: Mapping[FieldKind, int] = field(init=False, repr=False, compare=False)
    _measures: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        counts = dict.fromkeys(FieldKind, 0)
        places = {}
        for each in self.fields:
            places[each.name] = (each.kind, counts[each.kind])
            counts[each.kind] += 1
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "_counts", counts)
        measures = tuple(each.name for each in self.fields if each.kind is FieldKind.MEASURE)
        object.__setattr__(self, "_measures", measures)
        formulas = tuple((each.name, each.formula) for each in self.fields if each.formula)
        object.__setattr__(self, "formulas", formulas)

    def place_values(self, values: Mapping[str, str]) -> Values:
        """Return an event's values as they are stored; an empty text is a missing value.

        Raises:
            Invalid: with the first mistake, the path from the event's root: unknown fields first, by name, then the
                fields in the order of declaration. Reasons are FIELD_UNKNOWN, FIELD_DERIVED, DECIMAL_INVALID,
                DECIMAL_RANGE, STRING_INVALID, DERIVED_INVALID.
        """
        measures: list[Decimal | None] = [None] * self._counts[FieldKind.MEASURE]
        strings: list[str | None] = [None] * self._counts[FieldKind.STRING]
        for name, text in values.items():
            kind, place = self.places.get(name, (FieldKind.DERIVED, 0))
            if kind is FieldKind.DERIVED or _NUL in text:
                raise self._first_mistake(values)
            if not text:
                continue
            if kind is FieldKind.STRING:
                strings[place] = text
                continue
            try:
                measures[place] = decimal_from_text(text)
            except Invalid:
                raise self._first_mistake(values) from None
        if self.formulas:
            self._check_derived(measures)
        return (measures[0] if measures else None), _trimmed(measures[1:]), _trimmed(strings)

    def _first_mistake(self, values: Mapping[str, str]) -> Invalid:
        """Return what is wrong, whatever the order in which the values came."""
        unknown = min((name for name in values if name not in self.places), default=None)
        if unknown is not None:
            return FieldUnknown("must be a field of the meter", _path(unknown))
        for name in (each.name for each in self.fields if each.name in values):
            try:
                self._check_value(name, values[name])
            except Invalid as error:
                return error.under(_path(name))
        raise AssertionError("the values are right")  # or place_values would not have asked

    def _check_value(self, name: str, text: str) -> None:
        kind, _ = self.places[name]
        if kind is FieldKind.DERIVED:
            raise FieldDerived("must be absent: it is derived from other fields")
        if kind is FieldKind.MEASURE and text:
            decimal_from_text(text)
        if _NUL in text:
            raise StringInvalid("must not contain the character U+0000")

    def _check_derived(self, measures: Measures) -> None:
        values = dict(zip(self._measures, measures, strict=True))
        for name, formula in self.formulas:
            try:
                values[name] = formula.evaluate(values)
            except FormulaRange as error:
                raise DerivedInvalid(error.message, _path(name)) from error

    # --- Reading ---

    def numbers(self, events: Events, name: str) -> list[Decimal | None]:
        """Return the values of a measure or derived field, one for each event, all of which are of this meter.

        A derived field that was declared after an event was stored, and cannot be computed from it, is missing there.
        """
        kind, place = self.places[name]
        if kind is FieldKind.DERIVED:
            return self._derived(events, name)
        if place == 0:
            return events.measures
        return [_at(further, place - 1) for further in events.further_measures]

    def strings(self, events: Events, name: str) -> list[str | None]:
        """Return the values of a string field, one for each event, all of which are of this meter."""
        _, place = self.places[name]
        return [strings[place] if strings and place < len(strings) else None for strings in events.strings]

    def _derived(self, events: Events, name: str) -> list[Decimal | None]:
        columns = [self.numbers(events, measure) for measure in self._measures]
        rows = zip(*columns, strict=True) if columns else [()] * len(events)
        return [self._derive(dict(zip(self._measures, row, strict=True)), name) for row in rows]

    def _derive(self, values: dict[str, Decimal | None], wanted: str) -> Decimal | None:
        for name, formula in self.formulas:
            try:
                values[name] = formula.evaluate(values)
            except FormulaRange:
                values[name] = None
            if name == wanted:
                break
        return values[wanted]


def _path(name: str) -> str:
    return f"values[{json.dumps(name)}]"


def _at(measures: Measures | None, place: int) -> Decimal | None:
    return measures[place] if measures and place < len(measures) else None


def _trimmed(values: list[_T | None]) -> list[_T | None] | None:
    """Leave out what is missing at the end, so that fields declared later do not change what is stored."""
    while values and values[-1] is None:
        values.pop()
    return values or None
