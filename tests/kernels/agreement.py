"""Kernels compared with the reference evaluator at random arrays: the loss and every gradient, a batch by its mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import derive
from derive import evaluate
from derive.derivation import Derivation
from derive.evaluate.samples import draw_sizes
from kernels.inputs import expected
from kernels.kernel import Kernel
from kernels.prepare import numbers
from kernels.schedule.integers import symbols

TOLERANCE = {"float64": 1e-10, "float32": 3e-4}


@dataclass(frozen=True)
class Problem:
    """A derivation with arrays to try it at, and what the evaluator says: the mean loss, and each gradient of it."""

    derivation: Derivation
    sizes: dict[str, int]
    parameters: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    loss: float
    gradients: dict[str, np.ndarray]

    def at(self, dtype: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Parameters and inputs in this precision, and sizes that no shape tells."""
        table = expected(self.derivation.program).values()
        told = {symbol.name for symbol in symbols(*(extent for item in table for extent in item.shape))}
        untold = {size.name for size in self.derivation.program.sizes} - told
        parameters = {key: array.astype(dtype) for key, array in self.parameters.items()}
        inputs = {key: array.astype(dtype) for key, array in self.inputs.items()}
        return parameters, {**inputs, **{name: self.sizes[name] for name in sorted(untold)}}


def derivation(text: str) -> Derivation:
    """The derivation of a definition."""
    return derive.gradient(derive.parse(text))


def problem(
    found: Derivation,
    seed: int = 0,
    sizes: dict[str, int] | None = None,
    batch: int | None = 2,
    starts: bool = True,
    functions: dict[str, str] | None = None,
) -> Problem:
    """Random arrays and the evaluator's answers; ``starts`` says whether those with a default are given too."""
    random = np.random.default_rng(seed)
    program = found.program
    sizes = sizes or (draw_sizes(program, seed) if program.derived else {})
    sizes = sizes or {size.name: int(random.integers(1, 5)) for size in program.sizes}
    table = expected(program)

    def draw(key: str, scale: float) -> np.ndarray:
        return np.asarray(scale * random.standard_normal(numbers(table[key].shape, sizes)))

    parameters = {key: draw(key, 0.7) for key, item in table.items() if item.role == "learn"}
    wanted = [
        key
        for key, item in table.items()
        if item.role == "given" or (item.role == "start" and (starts or not item.optional))
    ]
    sequences = [{key: draw(key, 1.0) for key in wanted} for _ in range(batch or 1)]
    losses, gradients = [], {key: [] for key in found.gradients}
    for sequence in sequences:
        results = evaluate.run(program, sizes, {**parameters, **sequence}, functions=functions)
        losses.append(results[found.system.loss, ()])
        for key, access in found.gradients.items():
            gradients[key].append(np.asarray(evaluate.gather(program, results, access, sizes)))
    inputs = {key: np.stack([s[key] for s in sequences]) if batch else sequences[0][key] for key in wanted}
    means = {}
    for key, arrays in gradients.items():
        stacked = np.stack(arrays) / len(sequences)
        means[key] = stacked.sum(axis=0) if table[key].role == "learn" else stacked if batch else stacked[0]
    return Problem(found, sizes, parameters, inputs, float(np.mean(losses)), means)


def assert_agrees(kernel: Kernel, tried: Problem) -> None:
    """The kernel's loss and gradients, by default and for all keys, are the evaluator's."""
    parameters, inputs = tried.at(kernel.dtype)
    with np.errstate(all="ignore"):
        by_default = kernel(parameters, inputs)
        by_key = kernel.gradients(parameters, inputs, list(tried.gradients))
        loss = kernel.loss(parameters, inputs)
    assert by_default[1].keys() == parameters.keys()
    tolerance = TOLERANCE[kernel.dtype]
    for value in (loss, by_default[0]):
        np.testing.assert_allclose(value, tried.loss, rtol=tolerance, atol=tolerance)
    for gradients in (by_default[1], by_key):
        for key, gradient in gradients.items():
            scale = 1 + np.max(np.abs(tried.gradients[key]), initial=0)
            np.testing.assert_allclose(
                gradient / scale, tried.gradients[key] / scale, rtol=0, atol=tolerance, err_msg=f"gradient of {key}"
            )
            assert gradient.dtype == kernel.dtype
