"""The tables of functions of one number, and of losses written in the language itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

X = sp.Symbol("x", real=True)
"""The argument in a row's formulas."""
Y = sp.Symbol("y", real=True)
"""The value in a row's formulas."""


@dataclass(frozen=True)
class Function:
    """One elementwise function: what it is, its slope as people write it, and where it may be sampled.

    ``slope`` is in the argument ``X`` and the value ``Y``, whichever reads better. ``evaluate(numbers, x)`` computes it
    with any array module that has NumPy's names, on complex input too. ``steepest`` is sup |slope|, None if unbounded.
    ``inlined`` rows are differentiated at once (exp' is exp); the others keep f' as a name until a step substitutes it.
    """

    body: sp.Expr
    slope: sp.Expr
    evaluate: Callable[[Any, Any], Any]
    source: str
    domain: tuple[float, float] = (-2.0, 2.0)
    steepest: float | None = None
    inlined: bool = False
    kink: str = ""


@cache
def symbolic(name: str, order: int = 0) -> Any:
    """The SymPy function (a class) standing for the ``order``-th derivative of the elementwise function ``name``."""

    def fdiff(self: sp.Function, argindex: int = 1) -> Any:
        row = FUNCTIONS.get(name)
        if row is not None and row.inlined:
            return row.slope.xreplace({X: self.args[0], Y: self})
        return symbolic(name, order + 1)(self.args[0])

    label = name + "'" * order
    return type(label, (sp.Function,), {"fdiff": fdiff, "nargs": 1, "function_name": name, "order": order})


def _positive(numbers: Any, x: Any) -> Any:
    return numbers.real(x) > 0


def _magnitude(numbers: Any, x: Any) -> Any:
    return numbers.where(_positive(numbers, x), x, -x)


def _nonzero(numbers: Any, x: Any) -> Any:
    """x, and 1 for 0: so that what is not taken at 0 has no infinite slope there either."""
    return numbers.where(x == 0, 1 + 0 * x, x)


FUNCTIONS: dict[str, Function] = {
    "tanh": Function(
        sp.tanh(X), 1 - Y**2, lambda m, x: m.tanh(x), "the quotient rule on sinh x / cosh x", steepest=1.0
    ),
    "sigmoid": Function(
        1 / (1 + sp.exp(-X)),
        Y * (1 - Y),
        lambda m, x: 0.5 * (1 + m.tanh(0.5 * x)),
        "the quotient rule on 1 / (1 + exp(-x))",
        steepest=0.25,
    ),
    "relu": Function(
        sp.Max(X, 0),
        symbolic("step")(X),
        lambda m, x: m.where(_positive(m, x), x, 0 * x),
        "its two halves: slope 1 where x > 0, slope 0 where x < 0",
        steepest=1.0,
        kink="the slope at 0 is taken as 0",
    ),
    "identity": Function(X, sp.Integer(1), lambda m, x: x, "its definition: x changes as fast as x", steepest=1.0),
    "softplus": Function(
        sp.log(1 + sp.exp(X)),
        symbolic("sigmoid")(X),
        lambda m, x: m.where(_positive(m, x), x, 0 * x) + m.log1p(m.exp(-_magnitude(m, x))),
        "the chain rule on log(1 + exp x)",
        steepest=1.0,
    ),
    "step": Function(
        sp.Piecewise((1, X > 0), (0, True)),
        sp.Integer(0),
        lambda m, x: m.where(_positive(m, x), 1 + 0 * x, 0 * x),
        "its two halves, constant on either side of 0",
        steepest=0.0,
        inlined=True,
        kink="the value at 0 is taken as 0, and the slope there as 0",
    ),
    "abs": Function(
        sp.Abs(X),
        symbolic("sign")(X),
        _magnitude,
        "its two halves: slope 1 where x > 0, slope -1 where x < 0",
        steepest=1.0,
        kink="the slope at 0 is taken as 0",
    ),
    "sign": Function(
        sp.sign(X),
        sp.Integer(0),
        lambda m, x: m.where(_positive(m, x), 1 + 0 * x, m.where(_positive(m, -x), -1 + 0 * x, 0 * x)),
        "its two halves, constant on either side of 0",
        steepest=0.0,
        inlined=True,
        kink="the slope at 0 is taken as 0",
    ),
    "exp": Function(
        sp.exp(X),
        Y,
        lambda m, x: m.exp(x),
        "the power series: exp is its own derivative",
        domain=(-1.5, 1.5),
        inlined=True,
    ),
    "log": Function(
        sp.log(X),
        1 / X,
        lambda m, x: m.log(x),
        "the rule for inverse functions, applied to exp",
        domain=(0.3, 3.0),
        inlined=True,
    ),
    "sqrt": Function(
        sp.sqrt(X),
        symbolic("reciprocal")(2 * Y),
        lambda m, x: m.where(x == 0, 0 * x, m.sqrt(_nonzero(m, x))),
        "the rule for inverse functions, applied to the square",
        domain=(0.3, 3.0),
        inlined=True,
        kink="the slope at 0 is taken as 0",
    ),
    "reciprocal": Function(
        1 / X,
        -(Y**2),
        lambda m, x: m.where(x == 0, 0 * x, 1 / _nonzero(m, x)),
        "the quotient rule on 1 / x",
        domain=(0.3, 3.0),
        inlined=True,
        kink="the value at 0 is taken as 0, and the slope there as 0",
    ),
    "sin": Function(
        sp.sin(X), symbolic("cos")(X), lambda m, x: m.sin(x), "the addition theorem", steepest=1.0, inlined=True
    ),
    "cos": Function(
        sp.cos(X), -symbolic("sin")(X), lambda m, x: m.cos(x), "the addition theorem", steepest=1.0, inlined=True
    ),
}
"""Every elementwise function the language knows; a name that ``where`` does not bind to one of these is opaque."""


LOSSES: dict[str, tuple[tuple[str, ...], str]] = {
    "squared": (("prediction", "target"), "<prediction - target, prediction - target> / 2"),
    "logistic": (("score", "label"), "softplus(score) - label * score"),
    "cross_entropy": (("scores", "target"), "logsumexp(scores) - <target, scores>"),
}
"""Losses by name: their parameters and what they stand for, in the language.

cross_entropy is -log of the softmax at the target, written so that it needs no logarithm of a small number; its target
is one-hot or a distribution (entries that add up to 1).
"""
