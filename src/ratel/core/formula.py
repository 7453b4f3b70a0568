"""Formulas of derived fields and compound aggregations (R2.6): checked when created, exact, bounded.

A formula is compiled once, to closures over decimals. Every value is a decimal or null (None):

- A comparison and ``and or not`` give 1 or 0; a condition holds if it is not 0. Comparisons do not chain. Equality is
  written ``=`` or ``==``, inequality ``!=`` or ``<>``.
- Null spreads through everything, ``and`` and ``or`` included (``0 and null`` is null), but for ``coalesce`` and the
  branch of ``if`` that is not taken; what they do not need is not evaluated.
- Division and remainder by zero are null. A quotient has 50 significant digits, all else is exact.
- ``^`` takes whole exponents from 0 to 64, binds tighter than unary minus and to the right; ``x ^ 0`` is 1.
- ``round(x)`` is ``round(x, 0)``; digits are whole, from -18 to 18, and count after the point.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from functools import cache
from typing import Final, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

from ratel.core import operation
from ratel.core.errors import FormulaInvalid, FormulaRange, Invalid
from ratel.core.limits import FORMULA_DEPTH_MAX, FORMULA_LENGTH_MAX
from ratel.core.money import decimal_from_text
from ratel.core.operation import Evaluate

_GRAMMAR: Final = r"""
    ?start: either
    ?either: both
        | both or_both+                             -> chain
    or_both: OR both                                -> step
    ?both: negation
        | negation and_negation+                    -> chain
    and_negation: AND negation                      -> step
    ?negation: comparison
        | NOT negation                              -> unary
    ?comparison: sum
        | sum COMPARISON sum                        -> binary
    ?sum: product
        | product plus_product+                     -> chain
    plus_product: (PLUS | MINUS) product            -> step
    ?product: signed
        | signed times_signed+                      -> chain
    times_signed: (TIMES | OVER | MODULO) signed    -> step
    ?signed: power
        | MINUS signed                              -> unary
    ?power: atom
        | atom POWER signed                         -> binary
    ?atom: NUMBER                                   -> number
        | NAME                                      -> name
        | NAME "(" (either ("," either)*)? ")"      -> call
        | "(" either ")"

    OR: "or"
    AND: "and"
    NOT: "not"
    COMPARISON: "<=" | ">=" | "<>" | "!=" | "==" | "<" | ">" | "="
    PLUS: "+"
    MINUS: "-"
    TIMES: "*"
    OVER: "/"
    MODULO: "%"
    POWER: "^"
    NAME: /[A-Za-z_][A-Za-z0-9_]*/
    NUMBER: /[0-9]+(\.[0-9]+)?/
    %ignore /[ \t\r\n]+/
"""

_TOO_MANY_DIGITS: Final = "a result has more digits than can be kept"


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked formula.

    Attributes:
        text: as written.
        names: the names that it uses; all are among those that `parse` allowed.
    """

    text: str
    names: frozenset[str]
    _evaluate: Evaluate = field(repr=False, compare=False)

    def evaluate(self, values: Mapping[str, Decimal | None]) -> Decimal | None:
        """Return the result for the values of its names; a name without a value is null.

        Raises:
            FormulaRange: a result has 100 digits or more before the point or more than 500 in all, or an argument of
                ``^`` or ``round`` is not one that they take.
        """
        try:
            result = self._evaluate(values)
            return None if result is None else operation.bounded(result)
        except DecimalException as error:
            raise FormulaRange(_TOO_MANY_DIGITS) from error

    def __reduce__(self) -> tuple[Callable[..., "Formula"], tuple[str, frozenset[str]]]:
        return parse, (self.text, self.names)


def parse(text: str, names: Collection[str]) -> Formula:
    """Read a formula over some of the names.

    Raises:
        FormulaInvalid: it is too long, nested too deep, not of the grammar, uses unknown names or functions, or a part
            without names is out of range.
    """
    if len(text) > FORMULA_LENGTH_MAX:
        raise FormulaInvalid(f"a formula has at most {FORMULA_LENGTH_MAX} characters", 1, FORMULA_LENGTH_MAX + 1)
    try:
        node = cast(_Node, _parser().parse(text))  # what _Compiler makes of the whole
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    unknown = [name for name in node.names if name not in names]
    if unknown:
        listed = ", ".join(dict.fromkeys(unknown))
        raise FormulaInvalid(f"unknown names: {listed}", *_position(unknown[0]))
    return Formula(text, frozenset(map(str, node.names)), node.evaluate)


def _syntax_error(text: str, error: UnexpectedInput) -> FormulaInvalid:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        return FormulaInvalid(f"unexpected {str(error.token)!r}", *_position(error.token))
    if isinstance(error, UnexpectedCharacters):
        return FormulaInvalid(f"unexpected {error.char!r}", error.line, error.column)
    lines = text.split("\n")
    return FormulaInvalid("the formula ends too early", len(lines), len(lines[-1]) + 1)


# --- Compiling --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of a formula, compiled; ``depth`` counts the operations inside each other."""

    evaluate: Evaluate
    names: tuple[Token, ...] = ()
    depth: int = 0


@v_args(inline=True)
class _Compiler(Transformer[Token, _Node]):
    """Compiles each part as soon as it is read, so no tree is built and none is walked."""

    def number(self, token: Token) -> _Node:
        try:
            return _Node(operation.constant(decimal_from_text(token)))
        except Invalid as error:
            raise FormulaInvalid(error.message, *_position(token)) from None

    def name(self, token: Token) -> _Node:
        return _Node(operation.name(str(token)), (token,))

    def step(self, symbol: Token, operand: _Node) -> tuple[Token, _Node]:
        return symbol, operand

    def chain(self, first: _Node, *steps: tuple[Token, _Node]) -> _Node:
        evaluate = operation.chain(first.evaluate, tuple((str(symbol), node.evaluate) for symbol, node in steps))
        return _joined(steps[0][0], evaluate, (first, *(node for _, node in steps)))

    def binary(self, left: _Node, symbol: Token, right: _Node) -> _Node:
        return _joined(symbol, operation.binary(str(symbol), left.evaluate, right.evaluate), (left, right))

    def unary(self, symbol: Token, operand: _Node) -> _Node:
        return _joined(symbol, operation.UNARY[str(symbol)](operand.evaluate), (operand,))

    def call(self, function: Token, *arguments: _Node) -> _Node:
        if function not in operation.FUNCTIONS:
            raise FormulaInvalid(f"unknown function: {function}", *_position(function))
        least, greatest, build = operation.FUNCTIONS[function]
        if not least <= len(arguments) <= greatest:
            message = f"{function} takes {_count_text(least, greatest)}, not {len(arguments)}"
            raise FormulaInvalid(message, *_position(function))
        return _joined(function, build(*(argument.evaluate for argument in arguments)), arguments)


def _count_text(least: int, greatest: int) -> str:
    if least == greatest:
        return f"{least} argument" if least == 1 else f"{least} arguments"
    return f"{least} or {greatest} arguments" if greatest == least + 1 else f"at least {least} argument"


def _joined(token: Token, evaluate: Evaluate, operands: tuple[_Node, ...]) -> _Node:
    depth = 1 + max(operand.depth for operand in operands)
    if depth > FORMULA_DEPTH_MAX:
        raise FormulaInvalid(f"more than {FORMULA_DEPTH_MAX} operations inside each other", *_position(token))
    names = tuple(name for operand in operands for name in operand.names)
    return _Node(evaluate if names else _folded(token, evaluate), names, depth)


def _folded(token: Token, evaluate: Evaluate) -> Evaluate:
    """Work out a part without names at once: a mistake in it shows when the formula is created."""
    try:
        return operation.constant(evaluate({}))
    except FormulaRange as error:
        raise FormulaInvalid(error.message, *_position(token)) from None
    except DecimalException:
        raise FormulaInvalid(_TOO_MANY_DIGITS, *_position(token)) from None


def _position(token: Token) -> tuple[int, int]:
    return token.line or 1, token.column or 1


@cache
def _parser() -> Lark:
    # The basic lexer keeps ``and or not`` from being taken for names where no operator fits.
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=_Compiler(), maybe_placeholders=False)
