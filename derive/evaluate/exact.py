"""An array module of exact rational numbers: NumPy's names on arrays of fractions, so that 0.1 + 0.2 is 0.3.

A root is exact where it is rational; it and every other function of analysis are floating-point numbers elsewhere, and
so is what is computed from them.

>>> from derive.evaluate.elementwise import function_value
>>> import sys
>>> function_value("sqrt", Fraction(9, 4), numbers=sys.modules[__name__])
Fraction(3, 2)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Number = Fraction | float
"""A fraction where the value is exactly known."""


def rational(number: Fraction) -> Fraction:
    """A number of the language as it is."""
    return number


def array(values: Any) -> Any:
    """Whole numbers and fractions, nested in sequences, as an array."""
    return np.vectorize(Fraction, otypes=[object])(np.array(values, dtype=object))


def zeros(shape: Sequence[int]) -> Any:
    """Zeros."""
    return np.full(tuple(shape), Fraction(0), dtype=object)


def ones(shape: Sequence[int]) -> Any:
    """Ones."""
    return np.full(tuple(shape), Fraction(1), dtype=object)


def eye(size: int) -> Any:
    """The identity matrix."""
    return np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)


def sqrt(x: Any) -> Any:
    """The square root of every entry; exact for squares of fractions."""
    return _entries(_root, x)


def _root(x: Number) -> Number:
    if isinstance(x, Fraction) and x >= 0:
        above, below = math.isqrt(x.numerator), math.isqrt(x.denominator)
        if above * above == x.numerator and below * below == x.denominator:
            return Fraction(above, below)
    return math.sqrt(x) if x >= 0 else math.nan


def where(condition: Any, yes: Any, no: Any) -> Any:
    """Entry by entry one or the other; of numbers a number."""
    return np.where(condition, yes, no)[()]


def argmax(x: Any, axis: int) -> Any:
    """Where the first largest number stands; a NaN is larger than any other."""
    undefined = np.asarray(x != x, dtype=bool)  # a NaN differs from itself
    return np.where(undefined.any(axis), undefined.argmax(axis), np.argmax(x, axis))


def _entries(function: Callable[[Any], Any], x: Any) -> Any:
    return np.frompyfunc(function, 1, 1)(x)


def _in_floats(name: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        return _entries(lambda entry: float(getattr(np, name)(float(entry))), x)

    return function


exp, log, log1p, tanh, sin, cos = map(_in_floats, ("exp", "log", "log1p", "tanh", "sin", "cos"))


def __getattr__(name: str) -> Any:
    """Everything that moves or compares entries is NumPy's."""
    return getattr(np, name)
