"""Witness: reverse-mode automatic differentiation of the forward equations by HIPS autograd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from derive.language.system import Program
from kernels.verification.objective import Arrays, Gradients, groups, objective, point


def array_module() -> SimpleNamespace:
    """autograd's NumPy, with a function for what is held constant."""
    box, value_of = (getattr(import_module("autograd.tracer"), name) for name in ("isbox", "getval"))

    def constant(array: Any) -> Any:
        while box(array):
            array = value_of(array)
        return array

    return SimpleNamespace(**vars(import_module("autograd.numpy")), constant=constant)


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """∂loss/∂key for every key of ``wrt``."""
    numbers = array_module()
    grad: Any = import_module("autograd").grad
    at = objective(program, loss, sizes, values, functions, numbers)
    start = point(program, sizes, values, wrt, functions)

    def loss_at(arrays: Arrays) -> Any:
        # every array enters, so that a loss which does not depend on one is still a function of it
        return at(arrays) + 0.0 * sum(numbers.sum(array) for array in arrays.values())

    found: Gradients = {}
    for keys in groups(values, wrt):
        parts = grad(loss_at)({key: start[key] for key in keys})
        found |= {key: np.asarray(parts[key]) for key in keys}
    return found
