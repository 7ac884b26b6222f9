"""Integer expressions and conditions at given sizes and index values, exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache, reduce
from math import prod

import sympy as sp

from derive.language.expression import Condition, Divides, Integer, Within


class EvaluationError(ValueError):
    """An expression or a program has no value at the given sizes and inputs; the message says why."""


def integer(expression: Integer, integers: Mapping[str, int]) -> int:
    """The value of an integer expression where its symbols have the values ``integers``, by name.

    >>> T, t = sp.symbols("T t")
    >>> integer(T - 2 * t, {"T": 5, "t": 1})
    3
    """
    terms = _terms(expression)
    if terms is not None:
        try:
            return sum(factor * prod(integers[name] for name in names) for factor, names in terms)
        except KeyError as missing:
            raise EvaluationError(f"the integer {missing.args[0]} has no value") from None
    exact = rational(expression, integers)
    if exact.denominator != 1:
        raise EvaluationError(f"{expression} is {exact}, not an integer, where {_listed(expression, integers)}")
    return int(exact)


@lru_cache(maxsize=10_000)
def _terms(expression: Integer) -> tuple[tuple[int, tuple[str, ...]], ...] | None:
    """A sum of products of sizes and indices as factors and names, which is quick to evaluate; None for all else."""
    found: list[tuple[int, tuple[str, ...]]] = []
    for term in sp.Add.make_args(expression):
        factor, rest = term.as_coeff_Mul()
        parts = [] if rest == 1 else sp.Mul.make_args(rest)
        if not factor.is_Integer or not all(isinstance(part, sp.Symbol) for part in parts):
            return None
        found.append((int(factor), tuple(str(part) for part in parts)))
    return tuple(found)


def is_polynomial(expression: Integer) -> bool:
    """``expression`` is a sum of products: what ``integer`` can also do with arrays of integers."""
    return _terms(expression) is not None


def _listed(expression: Integer, integers: Mapping[str, int]) -> str:
    names = sorted(str(symbol) for symbol in expression.free_symbols)
    return ", ".join(f"{name} = {integers.get(name, '?')}" for name in names)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0 and exponent < 0:
        raise EvaluationError("nothing can be divided by a size that is 0")
    return base ** int(exponent)


_INTEGER_FUNCTIONS: dict[type, Callable[[list[Fraction]], Fraction]] = {
    sp.Add: lambda values: sum(values, Fraction(0)),
    sp.Mul: lambda values: reduce(lambda a, b: a * b, values, Fraction(1)),
    sp.Pow: lambda values: _power(*values),
    sp.Max: max,
    sp.Min: min,
    sp.Mod: lambda values: values[0] % values[1],
    sp.Abs: lambda values: abs(values[0]),
    sp.floor: lambda values: Fraction(values[0] // 1),
    sp.ceiling: lambda values: Fraction(-(-values[0] // 1)),
}


def rational(expression: sp.Basic, integers: Mapping[str, int]) -> Fraction:
    """The exact value of an expression in sizes and indices, also where it is not an integer, as in T / 2."""
    if isinstance(expression, sp.Symbol):
        if expression.name not in integers:
            raise EvaluationError(f"the integer {expression.name} has no value")
        return Fraction(integers[expression.name])
    if isinstance(expression, sp.Rational):
        return Fraction(int(expression.p), int(expression.q))
    function = _INTEGER_FUNCTIONS.get(expression.func)
    if function is None:
        raise EvaluationError(f"{expression} is not an integer expression of the language")
    return function([rational(argument, integers) for argument in expression.args])


def holds(condition: Condition, integers: Mapping[str, int]) -> bool:
    """Whether ``condition`` is true where the integers have these values."""
    match condition:
        case Within(value, lower, upper):
            return integer(lower, integers) <= integer(value, integers) <= integer(upper, integers)
        case Divides(divisor, value):
            by = integer(divisor, integers)
            if by == 0:
                raise EvaluationError(f"{divisor} is 0, and nothing can be divided by it")
            return integer(value, integers) % by == 0
