"""What emitted source may call: functions by name, and the small ones of them, which numba compiles with the caller.

Constants come in as arguments of the caller's precision, since a literal would turn float32 arithmetic into float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from kernels.scalars import exp, log

MODULES = {
    **dict.fromkeys(("add_outer", "add_product", "outer", "pack", "product"), "kernels.product"),
    **dict.fromkeys(("add_contraction", "contract", "lay_left", "lay_right"), "kernels.contraction"),
    **dict.fromkeys(("has_shape", "leading", "view"), "kernels.entry"),
    **dict.fromkeys(("int32", "int64", "int8"), "numpy"),
    "plus": "kernels.rows",
    **dict.fromkeys(("det", "dexpm", "expm", "inv", "logdet", "norm", "permutation"), "kernels.matrices"),
    **dict.fromkeys(("solve", "unit"), "kernels.matrices"),
    **dict.fromkeys(("exp", "log", "sigmoid", "softplus", "tanh"), "kernels.scalars"),
    **dict.fromkeys(("average", "cos", "logsumexp", "mean", "power", "relu", "sign", "sin"), "kernels.vocabulary"),
    **dict.fromkeys(("reciprocal", "softmax", "sqrt", "square", "step", "whole_power"), "kernels.vocabulary"),
    **dict.fromkeys(("equal", "larger", "larger_at", "larger_than", "minus_infinity", "taken"), "kernels.vocabulary"),
}
"""Where each function that emitted source may call comes from."""

ELEMENTWISE = {
    **{name: f"{name}({{}})" for name in ("abs", "cos", "exp", "log", "sigmoid", "sin", "softplus", "sqrt", "tanh")},
    "identity": "{}",
    "reciprocal": "reciprocal({}, real(0), real(1))",
    "relu": "relu({}, real(0))",
    "sign": "sign({}, real(0), real(1))",
    "step": "step({}, real(0), real(1))",
}
"""How each row of FUNCTIONS is called."""


minus_infinity = float("-inf")
"""Less than every number: what a search for the largest one begins with."""


@register_jitable
def larger(best: Any, x: Any) -> Any:
    """The larger of two numbers, the first where they are equal; a NaN is larger than any other."""
    return x if x > best or (x != x and best == best) else best


@register_jitable
def larger_at(best: Any, place: int, x: Any, position: int) -> tuple[Any, int]:
    """The larger of best and x with its place; the first of all where there is none yet."""
    if place < 0 or x > best or (x != x and best == best):
        return x, position
    return best, place


@register_jitable
def larger_than(best: Any, place: int, x: Any, position: int) -> tuple[Any, int]:
    """The larger of best and x with its place, where there is one already: without a jump, for several at a time."""
    is_larger = (not (x <= best)) & (best == best)
    return (x if is_larger else best), (position if is_larger else place)


@register_jitable
def taken(place: int, position: int, zero: Any, one: Any) -> Any:
    """1 where the place is this position, else 0."""
    return one if place == position else zero


@register_jitable
def equal(x: Any, y: Any, zero: Any, one: Any) -> Any:
    """1 where the two are equal, or both NaN, else 0."""
    return one if x == y or (x != x and y != y) else zero


@register_jitable
def average(totals: np.ndarray, count: Any) -> None:
    """Each total divided by ``count``."""
    flat = totals.reshape(-1)
    if count > 1:
        for i in range(len(flat)):
            flat[i] = flat[i] / count


@register_jitable
def mean(values: np.ndarray) -> Any:
    """The values added up, over how many there are."""
    total = values[0]
    for i in range(1, len(values)):
        total += values[i]
    return total / values.dtype.type(len(values))


@register_jitable
def square(x: Any) -> Any:
    """x · x."""
    return x * x


@register_jitable
def relu(x: Any, zero: Any) -> Any:
    """x where x > 0, else 0; NaN for NaN."""
    return x if x > zero else zero * x


@register_jitable
def step(x: Any, zero: Any, one: Any) -> Any:
    """1 where x > 0, else 0; NaN for NaN."""
    return one if x > zero else zero * x


@register_jitable
def sign(x: Any, zero: Any, one: Any) -> Any:
    """1, 0 or -1; NaN for NaN."""
    return one if x > zero else -one if x < zero else zero * x


@register_jitable
def reciprocal(x: Any, zero: Any, one: Any) -> Any:
    """1 / x, and 0 for 0."""
    return zero if x == zero else one / x


@register_jitable
def whole_power(x: Any, exponent: int) -> Any:
    """x · x · … · x, ``exponent`` ≥ 1 factors."""
    result = x
    for _ in range(exponent - 1):
        result = result * x
    return result


@register_jitable
def power(x: Any, exponent: Any) -> Any:
    """x to any power; NaN where that is not real."""
    return x**exponent


@register_jitable
def sqrt(x: Any) -> Any:
    """The square root; NaN below 0."""
    return np.sqrt(x)


@register_jitable
def sin(x: Any) -> Any:
    """The sine."""
    return np.sin(x)


@register_jitable
def cos(x: Any) -> Any:
    """The cosine."""
    return np.cos(x)


@register_jitable
def largest(row: np.ndarray) -> Any:
    """The largest entry."""
    best = row[0]
    for i in range(1, len(row)):
        best = max(best, row[i])
    return best


@register_jitable
def softmax(row: np.ndarray, out: np.ndarray) -> None:
    """out = exp(row) / Σ exp(row), with the largest entry subtracted first so that nothing overflows."""
    shift = largest(row)
    for i in range(len(row)):
        out[i] = exp(row[i] - shift)
    total = out[0]
    for i in range(1, len(row)):
        total += out[i]
    for i in range(len(row)):
        out[i] = out[i] / total


@register_jitable
def logsumexp(row: np.ndarray) -> Any:
    """log Σ exp(row), with the largest entry taken out first so that nothing overflows."""
    shift = largest(row)
    total = row[0] - row[0]
    for i in range(len(row)):
        total += exp(row[i] - shift)
    return shift + log(total)
