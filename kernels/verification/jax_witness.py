"""Witness: reverse-mode automatic differentiation of the forward equations by JAX, in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from derive.language.system import Program
from kernels.verification.objective import Arrays, Gradients, groups, objective, point


def array_module() -> SimpleNamespace:
    """JAX's NumPy, with a function for what is held constant."""
    jax: Any = import_module("jax")
    return SimpleNamespace(**vars(jax.numpy), constant=jax.lax.stop_gradient)


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """∂loss/∂key for every key of ``wrt``."""
    jax: Any = import_module("jax")
    numbers = array_module()
    found: Gradients = {}
    with jax.enable_x64(True):
        constants = {key: numbers.asarray(array, dtype=float) for key, array in values.items()}
        at = objective(program, loss, sizes, constants, functions, numbers)
        start = point(program, sizes, values, wrt, functions)
        for keys in groups(values, wrt):
            slope = jax.grad(lambda arrays: numbers.asarray(at(arrays)))
            arrays = {key: numbers.asarray(start[key]) for key in keys}
            try:
                parts = jax.jit(slope)(arrays)  # compiled once, and not every operation by itself
            except jax.errors.ConcretizationTypeError:  # what is computed depends on the numbers
                parts = slope(arrays)
            found |= {key: np.asarray(parts[key]) for key in keys}
    return found
