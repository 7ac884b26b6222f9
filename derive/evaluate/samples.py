"""Random sizes and inputs at which a program has finite values, for checks."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from derive.evaluate.integers import EvaluationError, integer
from derive.evaluate.positions import input_shape, inputs
from derive.evaluate.programs import run
from derive.language.expression import Access, Apply, Expression, walk
from derive.language.functions import FUNCTIONS
from derive.language.system import Program

TEST_FUNCTION = "softplus"
"""What an opaque function stands for in a check: smooth, not odd, and without a polynomial relation to its slope."""
_ATTEMPTS = 400


def bindings(program: Program, functions: Mapping[str, str] | None = None) -> dict[str, str]:
    """A row of FUNCTIONS for every opaque function: the caller's, else the program's, else TEST_FUNCTION."""
    expressions = [equation.value for equation in program.equations]
    used = {node.function for expression in expressions for node in walk(expression) if isinstance(node, Apply)}
    opaque = {name: TEST_FUNCTION for name in sorted(used) if name not in FUNCTIONS}
    return {**opaque, **dict(program.functions), **(functions or {})}


def draw_sizes(program: Program, seed: int) -> dict[str, int]:
    """Small sizes at which every declared shape is made of positive integers; distinct ones where those fit."""
    rng = np.random.default_rng(seed)
    names = [symbol.name for symbol in program.sizes]
    for attempt in range(_ATTEMPTS):
        distinct = rng.permutation(np.arange(2, 2 + len(names)))
        small = rng.integers(1, 4 + attempt // 40, len(names))
        choice = distinct if attempt < _ATTEMPTS // 4 else small
        sizes = {name: int(extent) for name, extent in zip(names, choice, strict=True)}
        if fits(program, sizes):
            return sizes
    raise EvaluationError(f"no small sizes found at which all shapes are positive integers, among {', '.join(names)}")


def fits(program: Program, sizes: Mapping[str, int]) -> bool:
    """Every declared shape is made of positive integers and every declared range is not empty."""
    try:
        shapes = [integer(extent, sizes) for item in program.declarations for extent in item.shape]
        ranges = [
            integer(item.upper - item.lower + 1, sizes) for entry in program.declarations for item in entry.superscripts
        ]
    except EvaluationError:
        return False
    return all(extent > 0 for extent in shapes + ranges)


def draw(
    program: Program, seed: int, sizes: Mapping[str, int] | None = None, functions: Mapping[str, str] | None = None
) -> tuple[dict[str, int], dict[str, Any]]:
    """Random sizes and generic inputs of size about 1 at which every value of ``program`` is finite.

    Starts are inputs too, unless their default is computed from other arrays. Inputs have both signs; where a logarithm
    or a root refuses that, they are positive.
    """
    rng = np.random.default_rng(seed)
    chosen = dict(sizes) if sizes is not None else draw_sizes(program, seed)
    shapes = {key: input_shape(program, key, chosen) for key in _all_inputs(program)}
    for attempt in range(20):
        positive = attempt >= 4
        values = {key: _generic(rng, shape, positive) for key, shape in shapes.items()}
        with np.errstate(all="ignore"):
            results = run(program, chosen, values, functions=bindings(program, functions))
        if all(isfinite(number) for array in results.values() for number in np.ravel(array)):
            return chosen, values
    raise EvaluationError("no inputs found at which every value is finite")


def _all_inputs(program: Program) -> list[str]:
    free = [start.key for start in program.starts if start.value is None or not _reads_arrays(start.value)]
    return list(dict.fromkeys((*inputs(program), *free)))


def _reads_arrays(expression: Expression) -> bool:
    return any(isinstance(node, Access) for node in walk(expression))


def _generic(rng: np.random.Generator, shape: tuple[int, ...], positive: bool) -> Any:
    return rng.uniform(0.3, 1.2, shape) if positive else rng.uniform(0.15, 1.0, shape) * rng.choice([-1.0, 1.0], shape)
