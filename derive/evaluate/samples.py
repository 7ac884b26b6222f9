"""Random sizes and inputs at which a program has finite values, for checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from types import SimpleNamespace
from typing import Any

import numpy as np

from derive.evaluate.integers import EvaluationError, integer
from derive.evaluate.positions import input_shape, inputs
from derive.evaluate.programs import run
from derive.evaluate.samplers import is_well_posed, samplers
from derive.evaluate.sizes import completed
from derive.language.expression import Access, Apply, Expression, Maximum, Sum, children, smallest, walk
from derive.language.functions import FUNCTIONS
from derive.language.system import Program, Range

TEST_FUNCTION = "softplus"
"""What an opaque function stands for in a check: smooth, not odd, and without a polynomial relation to its slope."""
LEAST_GAP = 1e-4
"""How far the largest of several numbers is from the next smaller one, where inputs are found at which it is."""
_FAR_APART = 15
_ATTEMPTS = 400
_CANDIDATES = 40
_WORK = 1_000
"""The most that a run may look at, so that checks stay quick."""


def bindings(program: Program, functions: Mapping[str, str] | None = None) -> dict[str, str]:
    """A row of FUNCTIONS for every opaque function: the caller's, else the program's, else TEST_FUNCTION."""
    expressions = [equation.value for equation in program.equations]
    used = {node.function for expression in expressions for node in walk(expression) if isinstance(node, Apply)}
    opaque = {name: TEST_FUNCTION for name in sorted(used) if name not in FUNCTIONS}
    return {**opaque, **dict(program.functions), **(functions or {})}


def draw_sizes(program: Program, seed: int) -> dict[str, int]:
    """Small sizes at which every declared shape is made of positive integers; distinct ones where those fit."""
    rng = np.random.default_rng(seed)
    names = [symbol.name for symbol in program.independent]
    if len(names) < len(program.sizes) or any(not smallest(symbol) for symbol in program.sizes):
        return _draw_related(program, rng)
    least: dict[str, int] | None = None
    for attempt in range(_ATTEMPTS):
        distinct = rng.permutation(np.arange(2, 2 + len(names)))
        small = rng.integers(1, 4 + attempt // 40, len(names))
        choice = distinct if attempt < _ATTEMPTS // 4 else small
        sizes = {name: int(extent) for name, extent in zip(names, choice, strict=True)}
        if fits(program, sizes):
            if work(program, sizes) <= _WORK:
                return sizes
            least = min(filter(None, (least, sizes)), key=lambda trial: work(program, trial))
        if least is not None and attempt > _ATTEMPTS // 2:
            return least
    raise EvaluationError(f"no small sizes found at which all shapes are positive integers, among {', '.join(names)}")


def _draw_related(program: Program, rng: np.random.Generator) -> dict[str, int]:
    """Sizes where some follow from others: of many that fit, one in which as many axes as possible differ.

    Sizes that are no axis, such as a stride or a padding, are at most 3.
    """
    follow = {symbol for symbol, _ in program.derived}
    lengths = [extent for item in program.declarations for extent in item.shape]
    ends = [end for item in program.declarations for over in item.superscripts for end in (over.lower, over.upper)]
    axes = {symbol for value in (*lengths, *ends) for symbol in value.free_symbols}
    best: tuple[tuple[int, ...], dict[str, int]] | None = None
    found = 0
    for attempt in range(_ATTEMPTS):
        most = 6 if attempt % 2 else 4
        sizes = {
            symbol.name: int(rng.integers(1, most + 1) if symbol in axes else rng.integers(smallest(symbol), 4))
            for symbol in program.independent
        }
        if not fits(program, sizes):
            continue
        sizes = completed(program, sizes)
        much = max(work(program, sizes), _WORK)
        values = [sizes[str(symbol)] for symbol in axes]
        score = -much, len(set(values)) - values.count(1), -sum(values)
        best = max(filter(None, (best, (score, sizes))), key=lambda entry: entry[0])
        found += much == _WORK
        if found >= _CANDIDATES:
            break
    if best is None:
        listed = ", ".join(symbol.name for symbol in program.sizes if symbol not in follow)
        raise EvaluationError(f"no small sizes found at which all shapes are positive integers, among {listed}")
    return best[1]


def fits(program: Program, sizes: Mapping[str, int]) -> bool:
    """Every declared shape is made of positive integers, no declared range is empty, and sizes are large enough."""
    try:
        known = completed(program, sizes)
        shapes = [integer(extent, known) for item in program.declarations for extent in item.shape]
        ranges = [
            integer(item.upper - item.lower + 1, known) for entry in program.declarations for item in entry.superscripts
        ]
    except EvaluationError:
        return False
    return all(extent > 0 for extent in shapes + ranges) and all(
        known[symbol.name] >= smallest(symbol) for symbol in program.sizes
    )


def work(program: Program, sizes: Mapping[str, int]) -> int:
    """About how many expressions are looked at when ``program`` is run at these sizes."""

    def of(node: Expression, known: Mapping[str, int]) -> int:
        over = [Range(node.index, node.lower, node.upper)] if isinstance(node, Sum) else getattr(node, "ranges", ())
        count, known = _times(over, known)
        return count * (1 + sum(of(child, known) for child in children(node)))

    total = 0
    for equation in program.equations:
        count, known = _times(equation.ranges, sizes)
        total += count * of(equation.value, known)
    return total


def _times(ranges: Iterable[Range], known: Mapping[str, int]) -> tuple[int, Mapping[str, int]]:
    """How often the indices take values, each range as long as it is where the indices before are at their last."""
    count = 1
    for over in ranges:
        upper = integer(over.upper, known)
        count *= max(upper - integer(over.lower, known) + 1, 0)
        known = {**known, over.index.name: upper}
    return count, known


def draw(
    program: Program, seed: int, sizes: Mapping[str, int] | None = None, functions: Mapping[str, str] | None = None
) -> tuple[dict[str, int], dict[str, Any]]:
    """Random sizes and generic inputs of size about 1 at which every value of ``program`` is finite.

    Starts are inputs too, unless their default is computed from other arrays. Inputs have both signs; where a logarithm
    or a root refuses that, they are positive. No maximum is close to a tie, except for numbers that are always equal.
    """
    rng = np.random.default_rng(seed)
    chosen = completed(program, sizes) if sizes is not None else draw_sizes(program, seed)
    shapes = {key: input_shape(program, key, chosen) for key in _all_inputs(program)}
    special, bound = samplers(program), bindings(program, functions)
    gaps: list[float] = []
    has_ties = any(isinstance(node, Maximum) for equation in program.equations for node in walk(equation.value))
    numbers = SimpleNamespace(**vars(np), watch=gaps.append) if has_ties else np
    for attempt in range(20):
        positive = attempt >= 4
        values = {key: _generic(rng, shape, positive) for key, shape in shapes.items()}
        for key, changes in special.items():
            for change in changes:
                values[key] = change(rng, values[key])
        try:
            with np.errstate(all="ignore"):
                gaps.clear()
                results = run(program, chosen, values, functions=bound, numbers=numbers)
        except np.linalg.LinAlgError:
            continue
        finite = all(isfinite(number) for array in results.values() for number in np.ravel(array))
        if min(gaps, default=1.0) < LEAST_GAP and attempt < _FAR_APART:
            continue
        if finite and is_well_posed(program, results, chosen, bound):
            return chosen, values
    raise EvaluationError("no inputs found at which every value is finite and no matrix to invert is singular")


def _all_inputs(program: Program) -> list[str]:
    free = [start.key for start in program.starts if start.value is None or not _reads_arrays(start.value)]
    return list(dict.fromkeys((*inputs(program), *free)))


def _reads_arrays(expression: Expression) -> bool:
    return any(isinstance(node, Access) for node in walk(expression))


def _generic(rng: np.random.Generator, shape: tuple[int, ...], positive: bool) -> Any:
    return rng.uniform(0.3, 1.2, shape) if positive else rng.uniform(0.15, 1.0, shape) * rng.choice([-1.0, 1.0], shape)
