"""Witness: reverse-mode automatic differentiation of the forward equations by HIPS autograd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from derive.language.system import Program
from kernels.verify.objective import Arrays, Gradients, groups, objective, point


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """∂loss/∂key for every key of ``wrt``."""
    import autograd
    import autograd.numpy as numbers

    at = objective(program, loss, sizes, values, functions, numbers)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        parts = autograd.grad(lambda arrays: at(arrays) + 0.0 * _touch(numbers, arrays))(
            {key: start[key] for key in keys}
        )
        found |= {key: np.asarray(parts[key]) for key in keys}
    return found


def _touch(numbers: object, arrays: Arrays) -> object:
    """A number that depends on every array, so that a loss which does not is still a function of them."""
    return sum(numbers.sum(array) for array in arrays.values())  # type: ignore[attr-defined]
