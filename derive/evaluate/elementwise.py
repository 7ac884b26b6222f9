"""Elementwise functions and their derivatives of any order, from the rows of FUNCTIONS."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache, reduce
from typing import Any

import numpy as np
import sympy as sp

from derive.evaluate.integers import EvaluationError
from derive.language.functions import FUNCTIONS, X, Y

Array = Any
"""A number or an array of the array module in use."""


def scalar(number: Fraction, numbers: Any) -> Array:
    """The number in the arithmetic of an array module: a float, or what its own function ``rational`` makes of it."""
    return getattr(numbers, "rational", float)(number)


_ROW_OF: dict[Any, str] = {row.body.func: name for name, row in FUNCTIONS.items() if row.body.args == (X,)}
"""SymPy's function of one number and the row that evaluates it: sp.tanh -> "tanh"."""


@cache
def derivative(row: str, order: int) -> sp.Expr:
    """The ``order``-th derivative of a row of FUNCTIONS in its argument ``X`` and value ``Y``, by SymPy from its slope.

    >>> derivative("tanh", 2)
    -2*y*(1 - y**2)
    """
    slope = FUNCTIONS[row].slope
    if order == 1:
        return slope
    before = derivative(row, order - 1)
    return before.diff(X) + before.diff(Y) * slope


def function_value(row: str, argument: Array, order: int = 0, numbers: Any = np) -> Array:
    """The ``order``-th derivative of the row of FUNCTIONS, at every entry of ``argument``."""
    if row not in FUNCTIONS:
        raise EvaluationError(f"the function {row} is bound to no row of FUNCTIONS")
    result = FUNCTIONS[row].evaluate(numbers, argument)
    return (
        result if order == 0 else _pointwise(derivative(row, order), {X: argument, Y: result}, numbers) + 0 * argument
    )


def _pointwise(expression: sp.Basic, values: Mapping[sp.Symbol, Array], numbers: Any) -> Array:
    if isinstance(expression, sp.Symbol):
        return values[expression]
    if isinstance(expression, sp.Rational):
        return (
            int(expression)
            if expression.is_Integer
            else scalar(Fraction(int(expression.p), int(expression.q)), numbers)
        )
    arguments = [_pointwise(argument, values, numbers) for argument in expression.args]
    if isinstance(expression, sp.Add):
        return reduce(lambda a, b: a + b, arguments)
    if isinstance(expression, sp.Mul):
        return reduce(lambda a, b: a * b, arguments)
    if isinstance(expression, sp.Pow) and isinstance(expression.exp, sp.Rational):
        return (arguments[0] + scalar(Fraction(0), numbers)) ** arguments[1]
    row = getattr(expression, "function_name", None) or _ROW_OF.get(expression.func)
    if row is None:
        raise EvaluationError(f"{expression} is in no row of FUNCTIONS")
    return function_value(row, arguments[0], getattr(expression, "order", 0), numbers)
