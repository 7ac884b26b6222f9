"""The table of functions of whole arrays: what each takes and gives, its derivative in indices, how it is evaluated.

A row has an index-notation body, or, where there is none, its partial derivatives: what stands for a function of the
whole table in them is again an entry of a row, so that second derivatives follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from derive.language.functions import symbolic

Shape = tuple[sp.Expr, ...]
Indices = tuple[sp.Expr, ...]

Entry = Callable[..., Any]
"""entry(i, …) is the entry of an argument at those indices, as a SymPy expression."""
Rows = Callable[..., Entry]
"""rows("inv", 0) is the row inv of the argument number 0, as a function of indices.

With one argument less than the row takes, the last is an array with one entry 1 and zeros beside it; the indices of
that entry follow those of the value: rows("dexpm", 0)(i, j, k, l).
"""
Partial = Callable[[Rows, Indices, Indices], Any]
"""partial(rows, i, k) is ∂value[i]/∂argument[k]."""


@dataclass(frozen=True)
class ArrayFunction:
    """One function of whole arrays.

    ``takes`` names what each argument must be (a row of KINDS), ``gives`` what the value is (a row of VALUES). Either
    ``entry(argument, shape, indices)`` is the value at ``indices``, or ``partials`` has the derivative by each
    argument, None where the language has no name for it. Where an argument is left out in these, the adjoint of the
    linear last one is the function itself at the transposed first. ``sampled`` names how an input that is the first
    argument is drawn in checks.
    """

    takes: tuple[str, ...]
    gives: str
    evaluate: Callable[..., Any]
    source: str
    entry: Callable[[Entry, Shape, Indices], Any] | None = None
    partials: tuple[Partial | None, ...] = ()
    sampled: str = ""
    kink: str = ""

    @property
    def scalar(self) -> bool:
        """The value is a number."""
        return self.gives == "number"


@dataclass(frozen=True)
class Kind:
    """What an argument may be: in words, and whether a shape is that, given the shape of the first argument."""

    words: str
    admits: Callable[[Shape, Shape | None], bool]


def _equal(left: sp.Expr, right: sp.Expr) -> bool:
    return left == right or sp.expand(left - right) == 0


KINDS: dict[str, Kind] = {
    "array": Kind("an array", lambda shape, first: True),
    "vector": Kind("a vector", lambda shape, first: len(shape) == 1),
    "square": Kind("a square matrix", lambda shape, first: len(shape) == 2 and _equal(*shape)),
    "right side": Kind(
        "a right side with as many rows as the matrix",
        lambda shape, first: len(shape) in (1, 2) and (first is None or _equal(shape[0], first[0])),
    ),
    "like the first": Kind(
        "a matrix of the shape of the first",
        lambda shape, first: len(shape) == 2 and (first is None or all(map(_equal, shape, first))),
    ),
}

VALUES: dict[str, Callable[[Sequence[Shape]], Shape]] = {
    "number": lambda shapes: (),
    "like the first": lambda shapes: shapes[0],
    "like the last": lambda shapes: shapes[-1],
    "square of the first": lambda shapes: shapes[0] * 2,
}
"""The shape of the value from those of the arguments."""


def total(argument: Entry, shape: Shape) -> Any:
    """The sum of ``argument`` over all its entries, with fresh bound indices."""
    bound = tuple(sp.Dummy("j", integer=True) for _ in shape)
    body = argument(*bound)
    for variable, extent in zip(reversed(bound), reversed(shape), strict=True):
        body = sp.Sum(body, (variable, 0, extent - 1))
    return body


def _exponentials(argument: Entry, shape: Shape) -> Any:
    return total(lambda *indices: symbolic("exp")(argument(*indices)), shape)


def _length(argument: Entry, shape: Shape) -> Any:
    """A power and no function, so that ‖x‖² is the sum of squares and not the square of a root."""
    return sp.Pow(total(lambda *indices: argument(*indices) ** 2, shape), sp.Rational(1, 2))


def _trace(argument: Entry, shape: Shape) -> Any:
    bound = sp.Dummy("j", integer=True)
    return sp.Sum(argument(bound, bound), (bound, 0, shape[0] - 1))


# Evaluation, with any array module that has NumPy's names; nothing is written in place -------------------------------


def _log_sum_exp(numbers: Any, x: Any) -> Any:
    largest = numbers.max(numbers.real(x))
    return largest + numbers.log(numbers.sum(numbers.exp(x - largest)))


def _softmax(numbers: Any, x: Any) -> Any:
    weights = numbers.exp(x - numbers.max(numbers.real(x)))
    return weights / numbers.sum(weights)


def _norm(numbers: Any, x: Any) -> Any:
    return numbers.sqrt(numbers.sum(x * x))


def _unit(numbers: Any, x: Any) -> Any:
    length = _norm(numbers, x)
    return x / length if numbers.real(length) > 0 else 0 * x


def _log_det(numbers: Any, x: Any) -> Any:
    """log|det x|; of a complex x near a real one, its analytic continuation, as the complex step needs it."""
    sign, value = numbers.linalg.slogdet(x)
    if numbers is np and np.iscomplexobj(x):
        return value + np.log(sign if sign.real > 0 else -sign)
    return value


SQUARINGS, DEGREE = 4, 24
"""expm(x) = expm(x / 2^4)^(2^4), the inner one by 24 terms of its series: exact to rounding for ‖x‖ up to 40."""


def _exponential(numbers: Any, x: Any) -> Any:
    one = numbers.eye(x.shape[0])
    small, result = x / 2.0**SQUARINGS, one
    for degree in range(DEGREE, 0, -1):
        result = one + numbers.matmul(small, result) / degree
    for _ in range(SQUARINGS):
        result = numbers.matmul(result, result)
    return result


def _exponential_change(numbers: Any, x: Any, change: Any) -> Any:
    """The upper right block of exp of [[x, change], [0, x]]."""
    n = x.shape[0]
    above = numbers.concatenate([x, change], 1)
    below = numbers.concatenate([0.0 * x, x], 1)
    return _exponential(numbers, numbers.concatenate([above, below], 0))[:n, n:]


def _permutation(numbers: Any, p: Any) -> Any:
    apart = numbers.reshape(numbers.real(p), (-1, 1)) - np.arange(float(p.shape[0]))
    return numbers.where((apart > -0.5) & (apart < 0.5), 1.0 + 0 * apart, 0 * apart)


# Partial derivatives --------------------------------------------------------------------------------------------------


def _same(i: Indices, k: Indices) -> Any:
    """1 where the indices agree."""
    return sp.Mul(*(sp.KroneckerDelta(a, b) for a, b in zip(i, k, strict=True)))


ARRAY_FUNCTIONS: dict[str, ArrayFunction] = {
    "softmax": ArrayFunction(
        ("vector",),
        "like the first",
        _softmax,
        "exp of each entry over the sum of all exps",
        entry=lambda argument, shape, indices: symbolic("exp")(argument(*indices)) / _exponentials(argument, shape),
    ),
    "logsumexp": ArrayFunction(
        ("vector",),
        "number",
        _log_sum_exp,
        "log of the sum of the exps",
        entry=lambda argument, shape, indices: symbolic("log")(_exponentials(argument, shape)),
    ),
    "sum": ArrayFunction(
        ("array",),
        "number",
        lambda m, x: m.sum(x),
        "all entries added",
        entry=lambda argument, shape, indices: total(argument, shape),
    ),
    "trace": ArrayFunction(
        ("square",),
        "number",
        lambda m, x: m.trace(x),
        "the diagonal added",
        entry=lambda argument, shape, indices: _trace(argument, shape),
    ),
    "norm": ArrayFunction(
        ("array",),
        "number",
        _norm,
        "the root of the sum of the squares of all entries",
        entry=lambda argument, shape, indices: _length(argument, shape),
        kink="the gradient at 0 is taken as 0",
    ),
    "unit": ArrayFunction(
        ("array",),
        "like the first",
        _unit,
        "each entry over the norm",
        entry=lambda argument, shape, indices: argument(*indices) / _length(argument, shape),
        kink="the value at 0 is taken as 0",
    ),
    "inv": ArrayFunction(
        ("square",),
        "like the first",
        lambda m, x: m.linalg.inv(x),
        "the product rule on X X^-1 = I",
        partials=(lambda rows, i, k: -rows("inv", 0)(i[0], k[0]) * rows("inv", 0)(k[1], i[1]),),
        sampled="well-conditioned",
    ),
    "solve": ArrayFunction(
        ("square", "right side"),
        "like the last",
        lambda m, a, b: m.linalg.solve(a, b),
        "the product rule on A x = b",
        partials=(
            lambda rows, i, k: -rows("inv", 0)(i[0], k[0]) * rows("solve", 0, 1)(k[1], *i[1:]),
            lambda rows, i, k: rows("inv", 0)(i[0], k[0]) * _same(i[1:], k[1:]),
        ),
        sampled="well-conditioned",
    ),
    "det": ArrayFunction(
        ("square",),
        "number",
        lambda m, x: m.linalg.det(x),
        "Jacobi's formula: the expansion of det X along a row is linear in its entries, with the cofactors",
        partials=(lambda rows, i, k: rows("det", 0)() * rows("inv", 0)(k[1], k[0]),),
        sampled="well-conditioned",
    ),
    "logdet": ArrayFunction(
        ("square",),
        "number",
        _log_det,
        "log |det X|, by the chain rule on Jacobi's formula",
        partials=(lambda rows, i, k: rows("inv", 0)(k[1], k[0]),),
        sampled="well-conditioned",
    ),
    "expm": ArrayFunction(
        ("square",),
        "like the first",
        _exponential,
        "the power series, each factor differentiated in its place",
        partials=(lambda rows, i, k: rows("dexpm", 0)(*i, *k),),
    ),
    "dexpm": ArrayFunction(
        ("square", "like the first"),
        "like the last",
        _exponential_change,
        "the change of expm(X) with X in the direction E: the power series, E once in each place",
        partials=(None, lambda rows, i, k: rows("dexpm", 0)(*i, *k)),
    ),
    "permutation": ArrayFunction(
        ("vector",),
        "square of the first",
        _permutation,
        "the matrix with permutation(p) x = (x[p[0]], x[p[1]], …), constant where p is made of whole numbers",
        partials=(lambda rows, i, k: sp.Integer(0),),
        sampled="permutation",
    ),
}
"""Every function of whole arrays that the language knows."""
