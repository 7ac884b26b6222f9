"""Integers and scalar formulas as Python source, with as few brackets as precedence allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction
from typing import cast

import sympy as sp
from sympy.printing.str import StrPrinter

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer
from kernels.schedule.integers import integer
from kernels.schedule.plan import BATCH, LOCAL, Array, Given
from kernels.vocabulary import ELEMENTWISE


class Binds(IntEnum):
    """How tightly a piece of source holds together."""

    SUM = 1
    PRODUCT = 2
    SIGN = 3
    ATOM = 4


@dataclass(frozen=True)
class Piece:
    """Source text and how tightly it binds."""

    text: str
    binds: Binds = Binds.ATOM

    def within(self, level: Binds) -> str:
        """The text where something that binds at least this tightly is expected."""
        return self.text if self.binds >= level else f"({self.text})"


@dataclass(frozen=True)
class Numerals:
    """Prints integers and numbers; ``names`` are the Python names of arrays, ``symbols`` of sizes and indices."""

    arrays: Mapping[str, Array]
    names: Mapping[str, str]
    symbols: Mapping[sp.Symbol, str]

    def integer(self, value: Integer) -> str:
        """``value``, a whole number; divisions in it leave no remainder unless a floor says so."""
        if not value.has(sp.Min, sp.Max, sp.floor, sp.Mod):
            numerator, denominator = fraction(value)
            if denominator != 1:
                whole = [self.integer(part) for part in (numerator, denominator)]
                return " // ".join(text if text.isalnum() else f"({text})" for text in whole)
        return _IntegerPrinter(self.symbols).doprint(value)

    def number(self, value: Expression) -> Piece:
        """A scalar formula."""
        return _RULES[type(value)](self, value)

    def element(self, access: Access) -> str:
        """One entry of an array; a name that is no array's is a local variable."""
        array = self.arrays.get(access.name)
        if array is None:
            return access.name.removeprefix(LOCAL)
        slots = [integer(step - slot.lower) for step, slot in zip(access.superscripts, array.slots, strict=True)]
        places = [*slots, *([BATCH] if array.batched else []), *access.subscripts]
        return f"{self.names[access.name]}[{', '.join(map(self.integer, places)) or '0'}]"

    def condition(self, condition: Condition | Given) -> str:
        """A test."""
        match condition:
            case ast.Within(value=value, lower=lower, upper=upper) if lower == upper:
                negative = sp.Add(*(term for term in sp.Add.make_args(value) if term.could_extract_minus_sign()))
                left, right = (value - negative, integer(lower - negative)) if lower == 0 else (value, lower)
                return f"{self.integer(integer(left))} == {self.integer(right)}"
            case ast.Within(value=value, lower=lower, upper=upper):
                if upper == sp.oo:
                    return f"{self.integer(value)} >= {self.integer(lower)}"
                below = [] if lower == -sp.oo else [self.integer(lower)]
                return " <= ".join([*below, self.integer(value), self.integer(upper)])
            case ast.Divides(divisor=divisor, value=value):
                texts = (self.integer(part) for part in (value, divisor))
                return f"{' % '.join(text if text.isalnum() else f'({text})' for text in texts)} == 0"
            case Given(key=key):
                return f"{self.names[key]}_given"

    def test(self, conditions: Sequence[Condition | Given]) -> str:
        """All conditions at once."""
        return " and ".join(map(self.condition, conditions))


class _IntegerPrinter(StrPrinter):
    """SymPy's printer with our names, and Python's functions for those that whole numbers need."""

    def __init__(self, names: Mapping[sp.Symbol, str]) -> None:
        super().__init__()
        self.names = names

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self.names.get(expr, expr.name)

    def _call(self, function: str, expr: sp.Basic) -> str:
        return f"{function}({', '.join(sorted(map(self._argument, expr.args)))})"

    def _argument(self, expr: sp.Basic) -> str:
        return self._quotient(expr) if isinstance(expr, sp.floor) else self._print(expr)

    def _print_Min(self, expr: sp.Basic) -> str:
        return self._call("min", expr)

    def _print_Max(self, expr: sp.Basic) -> str:
        return self._call("max", expr)

    def _print_floor(self, expr: sp.Basic) -> str:
        return f"({self._quotient(expr)})"

    def _quotient(self, expr: sp.Basic) -> str:
        numerator, denominator = (
            self._print(part) if part.is_Atom and part.is_nonnegative else f"({self._print(part)})"
            for part in cast("sp.Expr", expr.args[0]).as_numer_denom()
        )
        return f"{numerator} // {denominator}"

    def _print_Mod(self, expr: sp.Basic) -> str:
        return f"(({self._print(expr.args[0])}) % ({self._print(expr.args[1])}))"


def fraction(value: Integer) -> tuple[Integer, Integer]:
    """Numerator and denominator."""
    numerator, denominator = cast("sp.Expr", sp.together(value)).as_numer_denom()
    return integer(numerator), integer(denominator)


def constant(value: Fraction) -> Piece:
    """A number in the kernel's precision."""
    if value < 0:
        return Piece(f"-{constant(-value).text}", Binds.SIGN)
    whole = value.denominator == 1
    return Piece(f"real({value.numerator})" if whole else f"real({value.numerator} / {value.denominator})")


def _size(print_: Numerals, node: ast.SizeValue) -> Piece:
    numerator, denominator = fraction(node.value)
    above = f"real({print_.integer(numerator)})"
    return Piece(above) if denominator == 1 else Piece(f"{above} / real({print_.integer(denominator)})", Binds.PRODUCT)


def _add(print_: Numerals, node: ast.Add) -> Piece:
    text = print_.number(node.terms[0]).text
    for term in node.terms[1:]:
        minus = isinstance(term, ast.Negative)
        piece = print_.number(term.operand if minus else term)
        text += f" {'-' if minus else '+'} {piece.within(Binds.PRODUCT)}"
    return Piece(text, Binds.SUM)


def _product(print_: Numerals, node: ast.Product) -> Piece:
    if not node.factors:
        return constant(Fraction(1))
    first, *others = map(print_.number, node.factors)
    if not others:
        return first
    return Piece(
        " * ".join([first.within(Binds.PRODUCT), *(other.within(Binds.SIGN) for other in others)]), Binds.PRODUCT
    )


def _power(print_: Numerals, node: ast.Power) -> Piece:
    """Whole powers are products, square roots are square roots, negative powers are reciprocals."""
    base, exponent = print_.number(node.base), rational(node.exponent)
    if exponent is None:
        return Piece(f"power({base.text}, {print_.number(node.exponent).text})")
    if exponent < 0:
        inverse = _power(print_, replace(node, exponent=ast.Number(-exponent)))
        return Piece(f"real(1) / {inverse.within(Binds.SIGN)}", Binds.PRODUCT)
    match exponent:
        case 0:
            return constant(Fraction(1))
        case 1:
            return base
        case 2 if isinstance(node.base, Access):
            return Piece(f"{base.text} * {base.text}", Binds.PRODUCT)
        case 2:
            return Piece(f"square({base.text})")
        case Fraction(numerator=1, denominator=2):
            return Piece(f"sqrt({base.text})")
        case Fraction(denominator=1):
            return Piece(f"whole_power({base.text}, {exponent.numerator})")
        case _:
            return Piece(f"power({base.text}, {constant(exponent).text})")


def rational(value: Expression) -> Fraction | None:
    """The number that ``value`` is, None if it depends on anything."""
    match value:
        case ast.Number(value=number):
            return number
        case ast.Negative(operand=operand):
            inner = rational(operand)
            return None if inner is None else -inner
        case ast.SizeValue(value=number) if number.is_Integer:
            return Fraction(int(number))
        case _:
            return None


def _apply(print_: Numerals, node: ast.Apply) -> Piece:
    argument = print_.number(node.argument)
    return argument if node.function == "identity" else Piece(ELEMENTWISE[node.function].format(argument.text))


def _call(print_: Numerals, node: ast.Call) -> Piece:
    """How much a position has of a maximum, by its number or by what is there."""
    first, second = node.arguments
    place = print_.integer(second.value) if isinstance(second, ast.SizeValue) else print_.number(second).text
    return Piece(f"{node.function}({print_.number(first).text}, {place}, real(0), real(1))")


_RULES: dict[type, Callable[..., Piece]] = {
    ast.Number: lambda print_, node: constant(node.value),
    ast.SizeValue: _size,
    Access: lambda print_, node: Piece(print_.element(node)),
    ast.Add: _add,
    ast.Negative: lambda print_, node: Piece(f"-{print_.number(node.operand).within(Binds.SIGN)}", Binds.SIGN),
    ast.Product: _product,
    ast.Quotient: lambda print_, node: Piece(
        f"{print_.number(node.numerator).within(Binds.PRODUCT)} / {print_.number(node.denominator).within(Binds.SIGN)}",
        Binds.PRODUCT,
    ),
    ast.Power: _power,
    ast.Apply: _apply,
    ast.Call: _call,
    ast.Guard: lambda print_, node: Piece(
        f"({print_.number(node.body).text} if {print_.test(node.conditions)} else real(0))"
    ),
}
"""How each scalar node is printed."""
