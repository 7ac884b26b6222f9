"""Expressions of the language as formulas: the parentheses that are needed, no others, and the author's order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction as Rational
from functools import partial
from itertools import groupby
from typing import TypeGuard

import sympy as sp

from derive.handout.formula import (
    Big,
    Fence,
    Formula,
    Fraction,
    Function,
    Identifier,
    Matrix,
    Numeral,
    Operator,
    Prime,
    Row,
    Scripts,
    Space,
    flat,
    row,
    sub,
    sup,
)  # fmt: skip
from derive.language.expression import (
    ONE,
    Access,
    Add,
    Apply,
    Block,
    Call,
    Derivative,
    Diagonal,
    Expression,
    Filled,
    Guard,
    Hadamard,
    Identity,
    Inner,
    Kronecker,
    LogSumExp,
    Maximum,
    Negative,
    Number,
    OrderedProduct,
    Power,
    Product,
    Quotient,
    Share,
    SizeValue,
    Slice,
    Sum,
    Transpose,
    Vectorised,
    substitute_indices,
)  # fmt: skip
from derive.language.system import Equation, Range
from derive.notation.array_functions import ARRAY_FUNCTION_NOTATIONS, places_formula, transposed_inverse
from derive.notation.integers import bracket, integer_formula, integers_formula, is_sum
from derive.notation.levels import Level, Written, inline, is_tall, parenthesised, raised
from derive.notation.maxima import choice_formula, choice_sides, maximum_formula, share_formula
from derive.notation.names import Names, access_formula, function_formula, is_differential, letter_or_word


@dataclass(frozen=True)
class _Style:
    names: Names
    ranges: tuple[Range, ...] = ()


def formula(expression: Expression, names: Names | None = None, ranges: tuple[Range, ...] = ()) -> Formula:
    """``expression`` as a formula; conditions that hold wherever its free indices are in ``ranges`` are left out."""
    return _write(expression, _Style(names or Names(), ranges)).formula


def factor_formula(expression: Expression, names: Names | None = None, ranges: tuple[Range, ...] = ()) -> Formula:
    """``expression`` as a formula that may stand beside other factors."""
    return _part(expression, Level.PRODUCT, _Style(names or Names(), ranges), last=False)


def unrolled_product(product: OrderedProduct, names: Names | None = None, shown: int = 2) -> Formula:
    """The factors of an ordered product in a row: the first ``shown``, dots, and the last."""
    style = _Style(names or Names())
    step = -1 if product.descending else 1
    places = [product.first + step * k for k in range(shown)]
    pieces: list[Formula] = []
    for place in [*places, product.last]:
        body = substitute_indices(product.body, {product.index: sp.sympify(place)})
        pieces.append(_part(body, Level.PRODUCT, style, last=False))
    return row(*pieces[:-1], "cdots", pieces[-1])


def _write(expression: Expression, style: _Style) -> Written:
    match expression:
        case Number(value=number):
            return _number(number)
        case SizeValue(value=number):
            return _size(number)
        case Access():
            return _access(expression, style)
        case Derivative(of=of, wrt=wrt):
            above, below = _write(of, style).formula, _write(wrt, style).formula
            return Written(Fraction(row("partial", above), row("partial", below)), Level.FACTOR)
        case Add(terms=terms):
            return _add(terms, style)
        case Negative(operand=operand):
            return _negated(_part_written(operand, Level.CHAIN, style, last=True))
        case Product(factors=factors):
            return _product(factors, style)
        case Hadamard(factors=factors):
            return _chain(factors, "odot", style)
        case Kronecker(left=left, right=right):
            return _chain((left, right), "otimes", style)
        case Quotient(numerator=numerator, denominator=denominator):
            return _quotient(numerator, denominator, style)
        case Power(base=base, exponent=exponent):
            written = _write(exponent, style).formula
            return Written(raised(_part(base, Level.ATOM, style), inline(written)), Level.FACTOR)
        case Transpose() if (found := transposed_inverse(expression, partial(_part_of, style))) is not None:
            return found
        case Transpose(operand=operand):
            return Written(raised(_part(operand, Level.ATOM, style), Operator("top")), Level.FACTOR)
        case Inner(left=left, right=right):
            inside = row(_write(left, style).formula, ",", _write(right, style).formula)
            return Written(Fence("⟨", inside, "⟩", is_tall(inside)))
        case Apply("exp", Add(terms=(above, Negative(operand=LogSumExp() as total))), 0):
            below = Sum(total.index, total.lower, total.upper, Apply("exp", total.body))
            return _quotient(Apply("exp", above), below, style)
        case Apply(function=function, argument=argument, order=order):
            return _apply(function, argument, order, style)
        case Call(function=function) if function in ARRAY_FUNCTION_NOTATIONS:
            return ARRAY_FUNCTION_NOTATIONS[function](expression, partial(_part_of, style))
        case Call(function=function, arguments=arguments):
            return _called(function_formula(function, style.names), arguments, style)
        case Slice(operand=operand, places=places):
            base = _part_written(operand, Level.ATOM, style).formula
            has_own = isinstance(base, Scripts) and base.sub is not None
            return Written(sub(parenthesised(base) if has_own else base, places_formula(places)))
        case LogSumExp(index=bound, lower=lower, upper=upper, body=body):
            return _write(Apply("log", Sum(bound, lower, upper, Apply("exp", body))), style)
        case Diagonal(vector=vector):
            return _called(Function("diag"), (vector,), style)
        case Vectorised(operand=operand):
            return _called(Function("vec"), (operand,), style)
        case Sum(index=bound, lower=lower, upper=upper, body=body):
            inner = replace(style, ranges=(*style.ranges, Range(bound, lower, upper)))
            return _big("sum", bound, lower, upper, body, Level.CHAIN, inner)
        case Maximum():
            return Written(maximum_formula(expression, partial(_body, style)), Level.PRODUCT, is_open=True)
        case Share():
            return Written(share_formula(expression, partial(_body, style)), Level.SUM, is_open=True)
        case OrderedProduct(index=bound, first=first, last=last, body=body, descending=descending):
            name, lower, upper = ("product_left", last, first) if descending else ("product_right", first, last)
            inner = replace(style, ranges=(*style.ranges, Range(bound, lower, upper)))
            return _big(name, bound, lower, upper, body, Level.PRODUCT, inner)
        case Guard(conditions=conditions, body=body):
            condition = bracket(conditions, style.ranges)
            if condition is None:
                return _write(body, style)
            if body == Number(Rational(1)):
                return Written(condition)
            inside = _part_written(body, Level.CHAIN, style, last=True)
            level = min(inside.level, Level.PRODUCT)
            return Written(row(condition, "thin", inside.formula), level, inside.is_open)
        case Identity(size=extent):
            return Written(sub("I", integer_formula(extent)))
        case Filled(value=number, shape=shape):
            return Written(sub(number, _extents(shape)) if shape and number else Numeral(str(number)))
        case Block(rows=rows):
            return Written(Matrix(tuple(tuple(_write(part, style).formula for part in parts) for parts in rows)))


def _extents(shape: tuple[sp.Expr, ...]) -> Formula:
    pieces = [piece for extent in shape for piece in (Operator("times"), integer_formula(extent))][1:]
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


# Parentheses ----------------------------------------------------------------------------------------------------------


def _part_written(expression: Expression, level: Level, style: _Style, last: bool = False) -> Written:
    """``expression`` where ``level`` is asked for: in parentheses if it is looser, or open and not the last."""
    written = _write(expression, style)
    if written.level >= level and (last or not written.is_open):
        return written
    return Written(parenthesised(written.formula))


def _part(expression: Expression, level: Level, style: _Style, last: bool = False) -> Formula:
    return _part_written(expression, level, style, last).formula


def _part_of(style: _Style, expression: Expression, level: Level) -> Formula:
    """As ``_part``; where a sum may stand there are brackets around it, so an open one may stand there as well."""
    return _part(expression, level, style, last=level == Level.SUM)


# Numbers and names ----------------------------------------------------------------------------------------------------


def _number(number: Rational) -> Written:
    if number < 0:
        return _negated(_number(-number))
    above = Numeral(str(number.numerator))
    if number.denominator == 1:
        return Written(above)
    return Written(Fraction(above, Numeral(str(number.denominator))), Level.FACTOR)


def _size(number: sp.Expr) -> Written:
    above, below = sp.fraction(number)
    if is_sum(number):
        return Written(integer_formula(number), Level.SUM)
    if below != 1:
        return Written(Fraction(integer_formula(above), integer_formula(below)), Level.FACTOR)
    return Written(integer_formula(number), Level.PRODUCT if isinstance(number, sp.Mul) else Level.ATOM)


def _negated(written: Written) -> Written:
    return Written(row("-", written.formula), Level.SUM, written.is_open)


def _body(style: _Style, body: Expression, ranges: tuple[Range, ...]) -> Formula:
    """What a sign in front extends over."""
    return _part(body, Level.CHAIN, replace(style, ranges=(*style.ranges, *ranges)), last=True)


def choice_equation(equation: Equation, names: Names) -> tuple[Formula, Formula, tuple[Range, ...]] | None:
    """Both sides of κ_{c,i} = argmax … and its ranges; None for any other equation."""
    style = _Style(names, equation.ranges)
    return choice_sides(equation, names, lambda place: _plain_access(place, style).formula, partial(_body, style))


def _access(access: Access, style: _Style) -> Written:
    choice = style.names.choices.get(access.name)
    if choice is None or not access.subscripts:
        return _plain_access(access, style)
    return Written(choice_formula(access, choice, lambda place: _plain_access(place, style).formula))


def _plain_access(access: Access, style: _Style) -> Written:
    names = style.names
    time = _times(access) if access.superscripts else None
    entry = integers_formula(access.subscripts) if access.subscripts else None
    written = access_formula(access.name, time, entry, names)
    has_superscript = isinstance(written, Scripts) and written.sup is not None
    return Written(written, Level.FACTOR if has_superscript or isinstance(written, Fraction | Row) else Level.ATOM)


def _times(access: Access) -> Formula:
    pieces = [p for place in access.superscripts for p in (Operator(","), integer_formula(place))][1:]
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


def _apply(function: str, argument: Expression, order: int, style: _Style) -> Written:
    if function == "abs" and order == 0:
        inside = _write(argument, style).formula
        return Written(Fence("|", inside, "|", is_tall(inside)))
    if function == "reciprocal" and order == 0:
        return _quotient(ONE, argument, style)
    name = function_formula(function, style.names)
    if order > 3:
        name = sup(name, Fence("(", Numeral(str(order)), ")"))
    elif order:
        name = Prime(name, order)
    return _called(name, (argument,), style)


def _called(name: Formula, arguments: tuple[Expression, ...], style: _Style) -> Written:
    pieces = [piece for item in arguments for piece in (Operator(","), _write(item, style).formula)][1:]
    inside = Row(tuple(pieces)) if len(pieces) > 1 else pieces[0]
    has_own = isinstance(inside, Matrix) and inside.delimiter == "("
    return Written(row(name, inside if has_own else parenthesised(inside)))


# Sums, products and quotients -----------------------------------------------------------------------------------------


def _signed(term: Expression) -> tuple[str, Expression]:
    """The sign in front of a term, and the term without it."""
    match term:
        case Negative(operand=operand):
            return "-", operand
        case Number(value=number) if number < 0:
            return "-", Number(-number)
        case Product(factors=(first, *rest)):
            sign, bare = _signed(first)
            return (sign, Product((bare, *rest))) if sign == "-" else ("+", term)
        case Quotient(numerator=numerator):
            sign, bare = _signed(numerator)
            return (sign, replace(term, numerator=bare)) if sign == "-" else ("+", term)
        case _:
            return "+", term


def _flattened(terms: tuple[Expression, ...]) -> list[Expression]:
    return [part for term in terms for part in (_flattened(term.terms) if isinstance(term, Add) else [term])]


def _add(terms: tuple[Expression, ...], style: _Style) -> Written:
    pieces: list[Formula] = []
    written = Written(Numeral("0"))
    for place, term in enumerate(_flattened(terms)):
        sign, bare = _signed(term)
        written = _part_written(bare, Level.CHAIN, style, last=True)
        if place or sign == "-":
            pieces.append(Operator(sign))
        pieces.append(written.formula)
    return Written(Row(tuple(pieces)), Level.SUM, written.is_open)


def _factors(factors: tuple[Expression, ...]) -> list[Expression]:
    """Products inside a product are written without parentheses: the matrix product is associative."""
    return [part for item in factors for part in (_factors(item.factors) if _goes_on(item) else [item])]


def _goes_on(item: Expression) -> TypeGuard[Product]:
    """A product that needs no brackets among other factors; aᵀ b is a number, and keeps them."""
    return isinstance(item, Product) and not any(isinstance(factor, Transpose) for factor in item.factors[:1])


def _with_counts(factors: tuple[Expression, ...]) -> list[tuple[Expression, int]]:
    """The factors in their order, equal neighbours together with how often they stand there."""
    return [(item, len(list(group))) for item, group in groupby(_factors(factors))]


def _repeated(item: Expression, count: int, style: _Style, last: bool) -> Written:
    """A factor, or A A A as a power: neither rows nor columns can stand beside themselves."""
    if count == 1:
        level = Level.PRODUCT if not isinstance(item, Product) else Level.FACTOR
        return _part_written(item, level, style, last)
    return Written(raised(_part(item, Level.ATOM, style), Numeral(str(count))), Level.FACTOR)


def _product(factors: tuple[Expression, ...], style: _Style) -> Written:
    sign, bare = _signed(Product(factors))
    if sign == "-":
        return _negated(_write(bare, style))
    listed = [item for item, _ in _with_counts(factors)]
    written = [_repeated(f, count, style, last=f is listed[-1]) for f, count in _with_counts(factors)]
    if len(listed) == 1:
        return written[0]
    pieces: list[Formula] = [written[0].formula]
    for k, part in enumerate(written[1:], start=1):
        pieces += [*_between(pieces[-1], part.formula, listed[k - 1], listed[k], style), part.formula]
    return Written(Row(tuple(pieces)), Level.PRODUCT, written[-1].is_open)


def _between(left: Formula, right: Formula, before: Expression, after: Expression, style: _Style) -> list[Formula]:
    """What stands between two factors: mostly nothing."""
    if isinstance(flat(right)[0], Numeral) or (isinstance(flat(right)[0], Fraction) and _is_number(after)):
        return [Operator("cdot")]
    spaced = [item for item in (before, after) if isinstance(item, Access) and is_differential(item.name, style.names)]
    upright = _is_word(flat(left)[-1]) or _is_word(flat(right)[0])
    fractions = isinstance(left, Fraction) and isinstance(right, Fraction)
    return [Space("thin")] if spaced or upright or fractions else []


def _is_number(expression: Expression) -> bool:
    return isinstance(expression, Number)


def _is_word(node: Formula) -> bool:
    """An upright word, which would run into a letter beside it."""
    if isinstance(node, Scripts):
        return _is_word(node.base)
    return isinstance(node, Identifier) and not letter_or_word(node.name)


def _chain_level(item: Expression, last: bool) -> Level:
    match item:
        case Product(factors=(*coefficients, _)) if all(isinstance(factor, Number) for factor in coefficients):
            return Level.PRODUCT
        case Sum() | Maximum() | OrderedProduct() | Guard() if last:
            return Level.PRODUCT
        case _:
            return Level.FACTOR


def _chain(factors: tuple[Expression, ...], sign: str, style: _Style) -> Written:
    """a ⊙ b; a product of several letters in it stands in parentheses, a number in front of one does not."""
    listed = list(factors)
    pieces: list[Formula] = []
    is_open = False
    for place, item in enumerate(listed):
        last = place == len(listed) - 1
        written = _part_written(item, _chain_level(item, last), style, last)
        pieces += [Operator(sign)] if place else []
        pieces.append(written.formula)
        is_open = written.is_open
    return Written(Row(tuple(pieces)), Level.CHAIN, is_open)


def _quotient(numerator: Expression, denominator: Expression, style: _Style) -> Written:
    """A fraction, or 1 over a number or a size in front of what is not a mere name: ½ (ŷ − y)²."""
    sign, bare = _signed(numerator)
    if sign == "-":
        return _negated(_part_written(Quotient(bare, denominator), Level.CHAIN, style, last=True))
    below = _write(denominator, style).formula
    if isinstance(denominator, Number | SizeValue) and not isinstance(numerator, Access | Number | SizeValue):
        coefficient: Expression = Number(Rational(1))
        if isinstance(numerator, Product) and isinstance(numerator.factors[0], Number):
            coefficient, numerator = numerator.factors[0], Product(numerator.factors[1:])
        rest = _part_written(numerator, Level.PRODUCT, style, last=True)
        front = Fraction(_write(coefficient, style).formula, below)
        return Written(row(front, rest.formula), Level.PRODUCT, rest.is_open)
    return Written(Fraction(_write(numerator, style).formula, below), Level.FACTOR)


def _big(
    name: str, bound: sp.Symbol, lower: sp.Expr, upper: sp.Expr, body: Expression, level: Level, style: _Style
) -> Written:
    sign = Big(name, row(integer_formula(bound), "=", integer_formula(lower)), integer_formula(upper))
    inside = _part_written(body, level, style, last=True)
    return Written(row(sign, inside.formula), Level.PRODUCT, is_open=True)
