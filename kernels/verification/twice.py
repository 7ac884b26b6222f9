"""Witnesses for second derivatives: what the gradient of an expression changes by, along a direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from derive.language.system import Program
from kernels.verification import autodiff, jax_witness
from kernels.verification.objective import Arrays, objective

STEP = 1e-5
"""Relative to entries of size about 1: the error of the differences is about STEP², and rounding 1e-16 / STEP."""


@dataclass(frozen=True)
class TwicePoint:
    """The expression and the point at which it is differentiated."""

    program: Program
    loss: str
    sizes: Mapping[str, int]
    values: Arrays
    functions: Mapping[str, str]


Second = Callable[[TwicePoint, str, str, Any], Any]
"""second(point, a, b, v): ∂/∂b of ⟨∂loss/∂a, v⟩."""


@dataclass(frozen=True)
class Twice:
    """One way to differentiate twice, the relative error that it may show, and the package that it needs."""

    second: Second
    tolerance: float
    package: str = ""

    @property
    def is_available(self) -> bool:
        """The package that it needs is installed."""
        return not self.package or find_spec(self.package) is not None


def _autograd(point: TwicePoint, first: str, second: str, direction: Any) -> Any:
    """Reverse mode of reverse mode."""
    numbers: Any = autodiff.array_module()
    grad: Any = import_module("autograd").grad
    at = objective(point.program, point.loss, point.sizes, point.values, point.functions, numbers)

    def loss_at(a: Any, b: Any) -> Any:
        arrays = {first: a} if first == second else {first: a, second: b}
        return at(arrays) + 0.0 * sum(numbers.sum(array) for array in arrays.values())

    def along(a: Any, b: Any) -> Any:
        return numbers.sum(grad(loss_at, 0)(a, b) * direction) + 0.0 * (numbers.sum(a) + numbers.sum(b))

    a, b = (np.asarray(point.values[key], dtype=float) for key in (first, second))
    return np.asarray(grad(along, 0 if first == second else 1)(a, b))


def _differences(point: TwicePoint, first: str, second: str, direction: Any) -> Any:
    """Central differences of reverse-mode gradients in b, along the direction of a."""
    array = np.asarray(point.values[first], dtype=float)
    sides = [
        autodiff.gradients(
            point.program, point.loss, point.sizes, {**point.values, first: moved}, [second], point.functions
        )[second]
        for moved in (array + STEP * direction, array - STEP * direction)
    ]
    return (sides[0] - sides[1]) / (2 * STEP)


def _jax(point: TwicePoint, first: str, second: str, direction: Any) -> Any:
    """Forward mode of reverse mode."""
    jax: Any = import_module("jax")
    numbers: Any = jax_witness.array_module()
    with jax.enable_x64(True):
        constants = {key: numbers.asarray(array, dtype=float) for key, array in point.values.items()}
        at = objective(point.program, point.loss, point.sizes, constants, point.functions, numbers)

        def slope(a: Any) -> Any:
            if first == second:
                return jax.grad(lambda x: numbers.asarray(at({first: x})))(a)
            return jax.grad(lambda b: numbers.asarray(at({first: a, second: b})))(constants[second])

        return np.asarray(jax.jvp(slope, (constants[first],), (numbers.asarray(direction, dtype=float),))[1])


TWICE: dict[str, Twice] = {
    "autograd twice": Twice(_autograd, 1e-9, "autograd"),
    "differences of autograd": Twice(_differences, 1e-6, "autograd"),
    "JAX twice": Twice(_jax, 1e-9, "jax"),
}
"""None of them sees a derivative of ours."""
