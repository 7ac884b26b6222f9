"""Expressions with numbers put in, as one line that a student would write: ``max(9, 8, 0, 2)``, ``(1 + 2 + 3)/4``."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from fractions import Fraction

from derive.evaluate import Scope, holds, inside, integer, rational, value
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Range
from derive.worked.numerals import Number, written
from derive.worked.terms import is_open

SUM, PRODUCT, POWER, ATOM = range(4)
"""How tightly a piece of arithmetic holds together."""
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SIGNS = {"sqrt": "√"}
Piece = tuple[str, int]


def arithmetic(
    expression: Expression,
    scope: Scope,
    left_out: Container[str] = (),
    only_open: bool = False,
    only_nonzero: bool = False,
) -> str:
    """The expression with its sums and maxima written out.

    A term that is an array of ``left_out`` is dropped, with ``only_open`` a term of a sum that a condition makes 0, and
    with ``only_nonzero`` every term of a sum that is 0.
    """
    return _Writer(left_out, only_open, only_nonzero).piece(expression, scope)[0]


def number_piece(number: Number) -> Piece:
    """A number; a negative one or a fraction needs parentheses inside a product."""
    text = written(number)
    return text, SUM if text.startswith("−") else PRODUCT if "/" in text else ATOM


@dataclass(frozen=True)
class _Writer:
    """What is left out of the arithmetic."""

    left_out: Container[str]
    only_open: bool
    only_nonzero: bool = False

    def piece(self, node: Expression, scope: Scope) -> Piece:
        """The node with numbers put in."""

        def inner(child: Expression, here: Scope = scope) -> Piece:
            return self.piece(child, here)

        match node:
            case ast.Number(value=number):
                return number_piece(number)
            case ast.SizeValue(value=number):
                return number_piece(rational(number, scope.integers))
            case Access():
                return number_piece(value(node, scope))
            case ast.Negative(operand=operand):
                return f"−{_held(inner(operand), PRODUCT)}", SUM
            case ast.Add(terms=parts):
                shown = [part for part in parts if not (isinstance(part, Access) and part.name in self.left_out)]
                return _sum([inner(part) for part in shown or parts[:1]])
            case ast.Sum():
                return _sum([inner(body, here) for body, here in self.written_out(node, scope)])
            case ast.Maximum(ranges=ranges, body=body, conditions=conditions):
                parts = [
                    inner(body, here)[0]
                    for here in _everywhere(ranges, scope)
                    if all(holds(condition, here.integers) for condition in conditions)
                ]
                return (f"max({', '.join(parts)})" if parts else "0"), ATOM
            case ast.Product(factors=factors) | ast.Hadamard(factors=factors):
                return _product([inner(factor) for factor in factors])
            case ast.Guard(conditions=conditions, body=body):
                admitted = all(holds(condition, scope.integers) for condition in conditions)
                return inner(body) if admitted else ("0", ATOM)
            case ast.Quotient(numerator=above, denominator=below):
                return f"{_held(inner(above), PRODUCT)}/{_held(inner(below), POWER)}", PRODUCT
            case ast.Power(base=base, exponent=exponent):
                raised = value(exponent, scope)
                if raised == 1:
                    return inner(base)
                power = written(Fraction(raised)).replace("−", "-").translate(RAISED)
                return f"{_held(inner(base), ATOM)}{power}", POWER
            case ast.Apply(function=function, argument=argument):
                return f"{SIGNS.get(function, function)}({inner(argument)[0]})", ATOM
            case _:
                return number_piece(value(node, scope))

    def written_out(self, node: Expression, scope: Scope) -> list[tuple[Expression, Scope]]:
        """The terms of sums inside sums."""
        if not isinstance(node, ast.Sum):
            is_closed = (self.only_open or self.only_nonzero) and not is_open(node, scope)
            return [] if is_closed or (self.only_nonzero and value(node, scope) == 0) else [(node, scope)]
        steps = range(integer(node.lower, scope.integers), integer(node.upper, scope.integers) + 1)
        return [term for step in steps for term in self.written_out(node.body, inside(scope, node.index, step))]


def _everywhere(ranges: Sequence[Range], scope: Scope) -> list[Scope]:
    scopes = [scope]
    for span in ranges:
        scopes = [
            inside(here, span.index, step)
            for here in scopes
            for step in range(integer(span.lower, here.integers), integer(span.upper, here.integers) + 1)
        ]
    return scopes


def _sum(parts: list[Piece]) -> Piece:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return "0", ATOM
    text = parts[0][0]
    for part, _ in parts[1:]:
        text += f" − {part.removeprefix('−')}" if part.startswith("−") else f" + {part}"
    return text, SUM


def _product(parts: list[Piece]) -> Piece:
    """Factors with points between them; a minus sign may stand before the first."""
    if len(parts) == 1:
        return parts[0]
    first, *rest = parts
    opening = first[0] if first[0].startswith("−") and " " not in first[0] else _held(first, PRODUCT)
    return "·".join([opening, *(_held(part, POWER) for part in rest)]), SUM if opening.startswith("−") else PRODUCT


def _held(part: Piece, least: int) -> str:
    text, level = part
    return text if level >= least else f"({text})"
