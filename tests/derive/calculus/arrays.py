"""Arrays with random values, and a plain reading of SymPy index expressions, for tests of the calculus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from derive.calculus.whole_entries import SoftMaximum, WholeEntry
from derive.evaluate import Scope, numeric_shape, scope_of, value
from derive.language import expression as ast
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.expression import Access, Expression, index, size
from derive.language.functions import FUNCTIONS, symbolic
from derive.language.system import Declaration, Range

T, M, N, P = (size(name) for name in "Tmnp")
SIZES = {"T": 4, "m": 2, "n": 3, "p": 5}
SHAPES: dict[str, tuple[sp.Expr, ...]] = {
    "a": (),
    "b": (),
    "u": (N,),
    "v": (N,),
    "w": (M,),
    "z": (P,),
    "A": (N, N),
    "B": (N, N),
    "K": (M, N),
    "L": (M, N),
    "Q": (N, P),
    "x": (N,),
    "X": (N, N),
}
OVER_TIME = ("x", "X")
SPAN = Range(index("t"), sp.Integer(1), T)
SCOPE: dict[str, Declaration] = {
    name: Declaration(name, "given", shape, (SPAN,) if name in OVER_TIME else ()) for name, shape in SHAPES.items()
}


def values(seed: int = 0) -> dict[tuple[str, tuple[int, ...]], Any]:
    """Random values between 0.3 and 1.2 (logarithms and roots exist), with both signs for matrices."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, tuple[int, ...]], Any] = {}
    for name, shape in SHAPES.items():
        extents = tuple(SIZES[str(extent)] for extent in shape)
        for at in [(t,) for t in range(1, SIZES["T"] + 1)] if name in OVER_TIME else [()]:
            signs = rng.choice([-1.0, 1.0], extents) if len(extents) == 2 else 1.0
            found[name, at] = rng.uniform(0.3, 1.2, extents) * signs
    return found


def scope(seed: int = 0, **integers: int) -> Scope:
    """The values as the evaluator reads them, index variables at ``integers``."""
    return scope_of(values(seed), SHAPES, {**SIZES, **integers}, {})


def evaluated(expression: Expression, seed: int = 0, **integers: int) -> Any:
    """The value of an expression, of its declared shape."""
    here = scope(seed, **integers)
    return np.reshape(value(expression, here), numeric_shape(expression, here))


def entries(body: sp.Expr, axes: Mapping[sp.Symbol, int], seed: int = 0, **integers: int) -> Any:
    """A SymPy index expression at every position of its axes, read literally: sums by loops, brackets as 0 and 1."""
    arrays = values(seed)
    known: dict[sp.Symbol, int] = {symbol: SIZES[symbol.name] for symbol in (T, M, N, P)}
    known |= {index(name): number for name, number in integers.items()}
    found = np.empty(tuple(axes.values()))
    for place in product(*(range(extent) for extent in axes.values())):
        found[place] = plain_value(body, {**known, **dict(zip(axes, place, strict=True))}, arrays)
    return found


def plain_value(body: Any, at: Mapping[sp.Symbol, int], arrays: Mapping[Any, Any]) -> float:
    """The value of a scalar SymPy expression."""

    def number(part: Any) -> float:
        return plain_value(part, at, arrays)

    if isinstance(body, sp.Symbol):
        return at[body]
    if isinstance(body, sp.Rational):
        return int(body.p) / int(body.q)
    if isinstance(body, sp.Indexed):
        return _entry(body, [number(position) for position in body.indices], arrays)
    if isinstance(body, sp.Add):
        return sum(number(part) for part in body.args)
    if isinstance(body, sp.Mul):
        # As with an Iverson bracket, nothing beside a zero is looked at.
        brackets = [part for part in body.args if _is_bracket(part)]
        if any(number(part) == 0 for part in brackets):
            return 0.0
        return float(np.prod([number(part) for part in body.args if part not in brackets]))
    if isinstance(body, sp.Pow):
        return number(body.args[0]) ** number(body.args[1])
    if isinstance(body, sp.Sum):
        ((bound, lower, upper), *others) = body.limits
        inner = sp.Sum(body.function, *others) if others else body.function
        places = range(round(number(lower)), round(number(upper)) + 1)
        return sum(plain_value(inner, {**at, bound: place}, arrays) for place in places)
    if isinstance(body, WholeEntry):
        return _whole_entry(body, number, arrays)
    if isinstance(body, SoftMaximum):
        _, inner, bound, lower, upper = body.args
        return float(np.log(plain_value(sp.Sum(symbolic("exp")(inner), (bound, lower, upper)), at, arrays)))
    name, numbers = str(body.func), [number(part) for part in body.args]
    if name == "KroneckerDelta":
        return float(numbers[0] == numbers[1])
    if name == "within":
        return float(numbers[1] <= numbers[0] <= numbers[2])
    if name == "divides":
        return float(numbers[1] % numbers[0] == 0)
    function = body.func.function_name
    if body.func.order == 0:
        return float(FUNCTIONS[function].evaluate(np, np.float64(numbers[0])))
    step = 1e-30
    return float(np.imag(FUNCTIONS[function].evaluate(np, numbers[0] + 1j * step)) / step)


def _whole_entry(body: WholeEntry, number: Callable[[Any], float], arrays: Mapping[Any, Any]) -> float:
    """An entry of a function of whole arrays; what its direction is left to is an array with a single 1."""
    given: list[Any] = []
    for array in body.given:
        name = str(array.base)
        times = tuple(round(number(place)) for place in array.indices[: 1 if name in OVER_TIME else 0])
        given.append(np.asarray(arrays[name, times]))
    places = [round(number(place)) for place in body.indices]
    if body.is_directional:
        direction = np.zeros_like(given[0])
        direction[tuple(places[-direction.ndim :])] = 1.0
        given.append(direction)
        places = places[: -direction.ndim]
    value = np.asarray(ARRAY_FUNCTIONS[body.function].evaluate(np, *given))
    return float(value[tuple(places)])


def _is_bracket(part: Any) -> bool:
    return str(part.func) in ("KroneckerDelta", "within", "divides")


def _entry(indexed: sp.Indexed, positions: list[float], arrays: Mapping[Any, Any]) -> float:
    name = str(indexed.base)
    whole = [round(position) for position in positions]
    assert whole == positions, f"{indexed} at {positions}"
    count = 1 if name in OVER_TIME else 0
    below = tuple(whole[count:]) if SHAPES[name] else ()
    assert all(position >= 0 for position in below), f"{indexed} at {positions}"
    return float(np.asarray(arrays[name, tuple(whole[:count])])[below])


def array(name: str) -> Access:
    """A whole array; at time t if it has one."""
    return Access(name, (index("t"),) if name in OVER_TIME else ())


def number(numerator: int, denominator: int = 1) -> ast.Number:
    """A rational number."""
    return ast.Number(ast.Fraction(numerator, denominator))
