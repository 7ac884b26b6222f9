"""Checking one displayed step: both of its sides evaluated at random small sizes, positions and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from derive.calculus.stages import free_indices
from derive.evaluate import (
    EvaluationError,
    Scope,
    bindings,
    draw,
    draw_sizes,
    integer,
    numeric_shape,
    run,
    scope_at,
    value,
)
from derive.evidence import Evidence
from derive.language.expression import Expression
from derive.language.system import Program, Range

TOLERANCE = 1e-10


def compare(
    before: Expression,
    after: Expression,
    program: Program,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    *,
    ranges: tuple[Range, ...] = (),
    functions: Mapping[str, str] | None = None,
    claim: str = "both sides are equal",
    trials: int = 2,
    points: int = 6,
) -> Evidence:
    """before = after at random inputs of ``program``, and at random values of their free indices.

    An index runs over its range in ``ranges``; without one, over every position at which ``before`` has a value. A
    position at which only ``after`` has none, or has another shape, is an infinite error.
    """
    bound = bindings(program, functions)
    indices = sorted({symbol.name for symbol in free_indices(before) | free_indices(after)})
    found: list[tuple[float, dict[str, int]]] = []
    for trial in range(trials):
        extents = dict(sizes) if sizes is not None else draw_sizes(program, seed + trial)
        extents, values = draw(program, seed + trial, extents, bound)
        scope = scope_at(program, run(program, extents, values, functions=bound), extents, bound)
        places = _places([name for name in indices if name not in extents], ranges, scope)
        np.random.default_rng(seed + trial).shuffle(places)
        errors = [error for place in places if (error := _error(before, after, scope, place)) is not None][:points]
        found += [(error, extents) for error in errors]
    if not found:
        raise EvaluationError(f"no position found at which {before} has a value")
    stand_ins = sorted(f"{name} = {row}" for name, row in bound.items() if name not in dict(program.functions))
    witness = "evaluation on both sides" + (f", {', '.join(stand_ins)}" if stand_ins else "")
    worst, where = found[int(np.argmax([error for error, _ in found]))]  # the first NaN, where there is one
    return Evidence(claim, witness, worst, TOLERANCE, tuple(where.items()), len(found), seed)


def relative_error(found: Any, wanted: Any) -> float:
    """max |a - b| / max(1, max |a|, max |b|); infinite where one is missing or shapes differ, NaN where not finite.

    >>> relative_error(np.array([1.0, 20.0]), np.array([1.0, 19.0]))
    0.05
    """
    if found is None or wanted is None or np.shape(found) != np.shape(wanted):
        return float("inf")
    a, b = np.asarray(found), np.asarray(wanted)
    if a.size == 0:
        return 0.0
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    return float(np.max(np.abs(a - b)) / max(1.0, np.max(np.abs(a)), np.max(np.abs(b))))


def _error(before: Expression, after: Expression, scope: Scope, place: Mapping[str, int]) -> float | None:
    """How far both sides are apart at one place; None where ``before`` has no value there."""
    here = replace(scope, integers={**scope.integers, **place})
    try:
        wanted, shape = value(before, here), numeric_shape(before, here)
    except EvaluationError:
        return None
    try:
        found = value(after, here)
    except EvaluationError:
        return float("inf")
    return relative_error(found, wanted) if numeric_shape(after, here) == shape else float("inf")


def _places(indices: list[str], ranges: tuple[Range, ...], scope: Scope) -> list[dict[str, int]]:
    """Every choice of the free indices: within their ranges, or from before the first position to after the last."""
    own = {item.index.name: item for item in ranges}
    largest = max(scope.integers.values(), default=0)
    places: list[dict[str, int]] = [{}]
    for name in sorted(indices, key=lambda name: list(own).index(name) if name in own else -1):
        extended: list[dict[str, int]] = []
        for place in places:
            known = {**scope.integers, **place}
            steps = range(-1, largest + 2)
            if name in own:
                steps = range(integer(own[name].lower, known), integer(own[name].upper, known) + 1)
            extended += [{**place, name: step} for step in steps]
        places = extended
    return places
