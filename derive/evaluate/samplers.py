"""How inputs are drawn that cannot be just any numbers: matrices to be inverted, permutations, declared structures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from derive.evaluate.expressions import value
from derive.evaluate.positions import Results
from derive.evaluate.programs import scope_at
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.expression import Access, Call, Expression, LogSumExp, Maximum, Slice, Sum, children, walk
from derive.language.system import Program

Draw = Callable[[np.random.Generator, Any], Any]
"""What becomes of an array of generic numbers."""

LARGEST_CONDITION = 1e4
"""A matrix beyond this loses four digits in its inverse, and a comparison of two ways to compute it means little."""


def _last_square(generic: Any) -> Any:
    return np.broadcast_to(np.eye(generic.shape[-1]), generic.shape)


def _permutation(rng: np.random.Generator, generic: Any) -> Any:
    numbers = np.broadcast_to(np.arange(float(generic.shape[-1])), generic.shape)
    return rng.permuted(numbers, axis=-1)


def _orthogonal(rng: np.random.Generator, generic: Any) -> Any:
    return np.linalg.qr(generic)[0]


SAMPLERS: dict[str, Draw] = {
    "well-conditioned": lambda rng, generic: generic + 1.5 * np.sqrt(generic.shape[-1]) * _last_square(generic),
    "permutation": _permutation,
    "symmetric": lambda rng, generic: (generic + np.swapaxes(generic, -1, -2)) / 2,
    "diagonal": lambda rng, generic: generic * _last_square(generic),
    "orthogonal": _orthogonal,
}  # fmt: skip
"""By the names that rows of ARRAY_FUNCTIONS and declared structures use."""


def samplers(program: Program) -> dict[str, list[Draw]]:
    """For each input that cannot be just any numbers, what to do with generic ones, in order."""
    found: dict[str, list[Draw]] = {}
    computed = {equation.target.name for equation in program.equations}
    for equation in program.equations:
        for call in calls(equation.value):
            name, argument = ARRAY_FUNCTIONS[call.function].sampled, call.arguments[0]
            if name and isinstance(argument, Access) and not argument.subscripts and argument.name not in computed:
                found.setdefault(argument.name, []).append(SAMPLERS[name])
    for entry in program.declarations:
        if entry.structure:
            found.setdefault(entry.name, []).append(SAMPLERS[entry.structure])
    return found


def calls(expression: Expression) -> Iterator[Call]:
    """The functions of whole arrays in an expression that are not within a sum."""
    if isinstance(expression, Call):
        yield expression
    if not isinstance(expression, Sum | LogSumExp | Maximum):
        for child in children(expression):
            yield from calls(child)


def is_well_posed(program: Program, results: Results, sizes: Mapping[str, int], functions: Mapping[str, str]) -> bool:
    """No matrix that the equations invert is close to a singular one."""
    scope = scope_at(program, results, sizes, functions)
    for equation in program.equations:
        for call in calls(equation.value):
            if ARRAY_FUNCTIONS[call.function].sampled != "well-conditioned" or equation.ranges:
                continue
            if np.linalg.cond(value(call.arguments[0], scope)) > LARGEST_CONDITION:
                return False
    return True


def is_selective(program: Program) -> bool:
    """Some equation has no value at some sizes: it inverts a matrix, or reads a part of an axis."""
    nodes = [node for equation in program.equations for node in walk(equation.value)]
    return any(isinstance(node, Slice) for node in nodes) or any(
        ARRAY_FUNCTIONS[node.function].sampled == "well-conditioned" for node in nodes if isinstance(node, Call)
    )
