"""Convolution and pooling on a grid of windows, against PyTorch: forward and all gradients, exact for whole numbers.

One kernel for each number of dimensions and each choice runs the whole grid: sizes, strides and paddings are numbers
that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import derive
import kernels
from derive.calculus import adjoint
from derive.catalogue import text
from derive.derivation import Derivation
from derive.evaluate import EvaluationError, completed, gather, run
from derive.language.expression import Divides
from kernels.kernel import Kernel
from tests.conformance import windows
from tests.conformance.windows import Case

DIMENSIONS = (1, 2, 3)
AUTOCORRELATION = """
title   An input that is its own kernel
option  D = 2 of 1, 2, 3 "spatial dimensions"
sizes   C channels, H^D extent, s^D stride default 1, d^D dilation default 1,
        p^D padding before from 0 default 0, q^D padding after from 0 default 0
sizes   O^D = number of i with s*i + d*(H - 1) <= H + p + q - 1
index   i^D, a^D
given   t in R^O
learn   x in R^(C x H)
y[i] = sum over c, a of x[c, a] * x[c, s*i + d*a - p]
loss = squared(y, t)
convention outside is zero
"""

Shapes = Callable[[Case], Mapping[str, tuple[int, ...]]]
Reference = Callable[[Any, Mapping[str, Any], Case], Any]
PROPERTIES = {"H": "extent", "R": "window", "s": "stride", "d": "dilation", "p": "before", "q": "after"}
"""What the definitions call the properties of an axis."""
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


@dataclass(frozen=True)
class Operation:
    """A definition with its choices, the shapes of its arrays for a case, and what PyTorch has for it.

    Inputs are small whole multiples of ``unit``, or any numbers where that is 0; ``exact`` says that no result is
    rounded in double precision.
    """

    shapes: Shapes
    reference: Reference
    system: str
    choices: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = (1,)
    unit: int = 1
    exact: bool = True

    def derivation(self, dimension: int, change: Callable[[str], str] = lambda same: same) -> Derivation:
        """The derivation in so many dimensions, of a definition that may be changed first."""
        definition = AUTOCORRELATION if self.system == "autocorrelation" else text(self.system)
        choices: dict[str, Any] = {"D": dimension, **self.choices}
        choices |= {"groups": "several"} if len(self.groups) > 1 else {}
        return derive.gradient(derive.parse(change(definition), self.system, choices))

    def cases(self, dimension: int) -> list[Case]:
        """The grid in so many dimensions."""
        if self.system == "autocorrelation":
            return windows.cases(dimension, windows.axes_of_itself())
        grid = windows.axes() if "d^D" in text(self.system) else windows.axes((1,))
        return [case for case in windows.cases(dimension, grid, self.groups) if min(self.shapes(case)["t"]) > 0]


# The operations -------------------------------------------------------------------------------------------------------


def _convolution(case: Case) -> dict[str, tuple[int, ...]]:
    inputs, outputs = case.groups * case.channels, case.groups * case.kernels
    w = (outputs, case.channels, *case.each("window"))
    return {"x": (inputs, *case.each("extent")), "t": (outputs, *case.places()), "w": w, "b": (outputs,)}


def _transposed(case: Case) -> dict[str, tuple[int, ...]]:
    inputs, outputs = case.groups * case.channels, case.groups * case.kernels
    w = (inputs, case.kernels, *case.each("window"))
    t = (outputs, *windows.transposed_places(case))
    return {"x": (inputs, *case.each("extent")), "t": t, "w": w, "b": (outputs,)}


def _itself(case: Case) -> dict[str, tuple[int, ...]]:
    return {"x": (case.channels, *case.each("extent")), "t": tuple(case.places())}


def _pooling(rounding: str) -> Shapes:
    return lambda case: {"x": (case.channels, *case.each("extent")), "t": (case.channels, *case.places(rounding))}


def _pooled(system: str, reference: Callable[..., Any], unit: int, *, exact: bool = True, **choices: str) -> Operation:
    def chosen(torch: Any, arrays: Mapping[str, Any], case: Case) -> Any:
        return reference(torch, arrays, case, **choices)

    return Operation(_pooling(choices["rounding"]), chosen, system, choices, unit=unit, exact=exact)


SHARED = 6**6
"""Divisible twice by the number of entries of any window in the grid."""

OPERATIONS: dict[str, Operation] = {
    "cross-correlation": Operation(_convolution, windows.correlation, "cross-correlation", groups=(1, 2)),
    "convolution": Operation(_convolution, windows.flipped, "convolution", groups=(1, 2)),
    "transposed convolution": Operation(_transposed, windows.transposed, "transposed-convolution", groups=(1, 2)),
    "autocorrelation": Operation(_itself, windows.with_itself, "autocorrelation"),
    **{
        f"maximum, {ties}, {outside}, {rounding}": _pooled(
            "max-pooling", windows.maximum, 1, exact=ties != "split", ties=ties, outside=outside, rounding=rounding
        )
        for ties in ("first", "split", "all")
        for outside in ("skipped", "zero")
        for rounding in ("down", "up")
    },
    **{
        f"average, {padding}, {rounding}": _pooled(
            "average-pooling", windows.average, SHARED, padding=padding, rounding=rounding
        )
        for padding in ("counted", "skipped")
        for rounding in ("down", "up")
    },
    **{f"length, {r}": _pooled("l2-pooling", windows.length, 0, exact=False, rounding=r) for r in ("down", "up")},
}
COMPILED = {
    "cross-correlation": ("float64", "float32"),
    "convolution": ("float64",),
    "transposed convolution": ("float64", "float32"),
    "autocorrelation": ("float64",),
    "maximum, first, skipped, down": ("float64", "float32"),
    "average, counted, down": ("float64",),
    "length, down": ("float64",),
}
"""Those that run through the whole grid, compiled; the others run as plain Python on a sample of it."""


# The comparison -------------------------------------------------------------------------------------------------------


def numbers(operation: Operation, case: Case, seed: int, dtype: str) -> dict[str, np.ndarray]:
    """Small multiples of the unit, with many ties; any numbers where there is no unit."""
    random = np.random.default_rng(seed)
    return {
        key: np.asarray(
            operation.unit * random.integers(-2, 3, shape) if operation.unit else random.normal(size=shape), dtype
        )
        for key, shape in operation.shapes(case).items()
    }


def sizes(case: Case) -> dict[str, int]:
    """Every size by the name that the definitions have for it; of several axes, ``s_1``, ``s_2``."""
    found = {"G": case.groups, "C": case.channels, "K": case.kernels}
    for letter, values in (*((key, case.each(name)) for key, name in PROPERTIES.items()), ("e", list(case.extra))):
        found |= {letter if len(values) == 1 else f"{letter}_{axis}": n for axis, n in enumerate(values, 1)}
    return found


def expected(torch: Any, operation: Operation, case: Case, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch's output, loss and gradients."""
    tensors = {key: torch.tensor(array, requires_grad=True) for key, array in arrays.items()}
    y = operation.reference(torch, tensors, case)
    loss = ((y - tensors["t"]) ** 2).sum() / 2
    loss.backward()
    gradients = {f"gradient of {key}": tensor.grad.numpy() for key, tensor in tensors.items()}
    return {"y": y.detach().numpy(), "loss": loss.detach().numpy(), **gradients}


def computed(kernel: Kernel, case: Case, arrays: Mapping[str, np.ndarray], thorough: bool) -> dict[str, np.ndarray]:
    """The kernel's gradients, of which that of t is t - y; when ``thorough`` its output and its loss as well."""
    parameters = {key: array for key, array in arrays.items() if key in kernel.learnt}
    inputs: dict[str, Any] = {key: array for key, array in arrays.items() if key not in parameters}
    inputs |= {key: size for key, size in sizes(case).items() if key in kernel.table}
    gradients = kernel.gradients(parameters, inputs, list(arrays))
    found = {f"gradient of {key}": array for key, array in gradients.items()}
    if thorough:
        found["y"] = kernel.forward(parameters, inputs, ["y"])["y"]
        found["loss"] = np.asarray(kernel.loss(parameters, inputs))
    return found


def assert_same(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], operation: Operation, case: Case, dtype: str
) -> None:
    """Equal to the last bit where the numbers are whole, else within the tolerance."""
    for key in found:
        right = wanted[key]
        message = f"{key} of {operation.system} {dict(operation.choices)} at {case}"
        exact = operation.exact and (dtype == "float64" or operation.unit < SHARED)
        scale = 1 + np.max(np.abs(right), initial=0)
        tolerance = 0 if exact else TOLERANCES[dtype] * scale
        np.testing.assert_allclose(found[key], right, rtol=0, atol=tolerance, err_msg=message)


def compare(torch: Any, operation: Operation, kernel: Kernel, every: Iterable[Case], *, thorough: bool = False) -> None:
    """The kernel against PyTorch on every case."""
    for seed, case in enumerate(every):
        arrays = numbers(operation, case, seed, kernel.dtype)
        wanted = expected(torch, operation, case, arrays)
        assert_same(computed(kernel, case, arrays, thorough), wanted, operation, case, kernel.dtype)


def evaluate(torch: Any, operation: Operation, dimension: int, every: Iterable[Case]) -> None:
    """The derived program, evaluated, against PyTorch on every case."""
    derivation = operation.derivation(dimension)
    program = derivation.program
    known = {size.name for size in program.independent}
    for seed, case in enumerate(every):
        arrays = numbers(operation, case, seed, "float64")
        extents = completed(program, {key: size for key, size in sizes(case).items() if key in known})
        results = run(program, extents, arrays)
        found = {
            f"gradient of {key}": gather(program, results, access, extents)
            for key, access in derivation.gradients.items()
        }
        found |= {"loss": results[derivation.system.loss, ()]}
        assert_same(found, expected(torch, operation, case, arrays), operation, case, "float64")


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("name,dtype", [(name, dtype) for name, dtypes in COMPILED.items() for dtype in dtypes])
def test_the_compiled_kernel_agrees_with_pytorch_on_the_grid(
    needs_torch: Any, name: str, dtype: str, dimension: int
) -> None:
    operation = OPERATIONS[name]
    kernel = kernels.compile(operation.derivation(dimension), dtype)
    every = operation.cases(dimension)
    compare(needs_torch, operation, kernel, every if dtype == "float64" else windows.sample(every, 200))


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_kernel_as_plain_python_agrees_with_pytorch(needs_torch: Any, name: str, dimension: int) -> None:
    operation = OPERATIONS[name]
    kernel = kernels.compile(operation.derivation(dimension), jit=False)
    compare(
        needs_torch, operation, kernel, windows.sample(operation.cases(dimension), 120 // 4**dimension), thorough=True
    )


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_evaluator_agrees_with_pytorch(needs_torch: Any, name: str, dimension: int) -> None:
    operation = OPERATIONS[name]
    evaluate(needs_torch, operation, dimension, windows.sample(operation.cases(dimension), 5))


@pytest.mark.parametrize("rounding", ["down", "up"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_reference_is_what_pytorch_does_with_its_own_padding(
    needs_torch: Any, dimension: int, rounding: str
) -> None:
    random = np.random.default_rng(1)
    grid = [axis for axis in windows.axes() if axis.symmetric and axis.extent > axis.reach]
    assert len(grid) > 30
    for case in windows.cases(dimension, grid):
        x = needs_torch.tensor(random.normal(size=(2, *case.each("extent"))))
        own = windows.own_pooling(needs_torch, "max_pool", x, case, rounding, dilation=case.each("dilation"))
        assert own.shape[1:] == tuple(case.places(rounding))
        found = windows.maximum(needs_torch, {"x": x}, case, "split", "skipped", rounding)
        np.testing.assert_array_equal(found, own.where(own.isfinite(), 0.0))  # a window may miss the input altogether
        if all(axis.dilation == 1 for axis in case.axes):
            for padding in ("counted", "skipped"):
                counted = padding == "counted"
                own = windows.own_pooling(needs_torch, "avg_pool", x, case, rounding, count_include_pad=counted)
                found = windows.average(needs_torch, {"x": x}, case, padding, rounding)
                np.testing.assert_allclose(found, own, rtol=1e-12, atol=1e-12)


def test_the_grid_has_what_is_easily_forgotten() -> None:
    grid = windows.axes()
    assert {(a.window, a.stride, a.dilation) for a in grid} == {
        (w, s, d) for w in (1, 2, 3) for s in (1, 2, 3) for d in (1, 2, 3)
    }
    assert any(axis.extent == 1 for axis in grid)
    assert any(axis.before != axis.after for axis in grid)
    assert any(axis.before > axis.window and axis.after > axis.window for axis in grid)
    assert any(axis.stride > axis.reach + 1 for axis in grid)
    assert any(axis.stride <= axis.reach for axis in grid)
    assert any(axis.places("up") > axis.places("down") for axis in grid)
    for stride in (2, 3):
        spare = {(a.extent + a.before + a.after - a.reach - 1) % stride for a in grid if a.stride == stride}
        assert spare == set(range(stride))


# The comparison is tested ---------------------------------------------------------------------------------------------

CHANGES: dict[str, tuple[str, str, str]] = {
    "a stride that is one too large": ("cross-correlation", "s*i + d*a - p]", "s*i + i + d*a - p]"),
    "a kernel that is flipped": ("cross-correlation", "d*a - p]", "d*(R - 1 - a) - p]"),
    "a kernel that is not flipped": ("convolution", "d*(R - 1 - a)", "d*a"),
    "padding after instead of before": ("cross-correlation", "d*a - p]", "d*a - q]"),
    "a group's channels read by the next group": ("cross-correlation", "x[g*C + c", "x[(G - 1 - g)*C + c"),
    "a dilation forgotten": ("maximum, first, skipped, down", "s*i + d*a - p]", "s*i + a - p]"),
    "a transposed convolution that is cut off at the wrong end": ("transposed convolution", "/s]", "/s + q - p]"),
    "an average over the window's extent": ("average, skipped, down", "[0 <= s*i + a - p <= H - 1] 1", "1"),
}


@pytest.mark.parametrize("name,right,wrong", CHANGES.values(), ids=CHANGES)
def test_a_wrong_definition_is_found(needs_torch: Any, name: str, right: str, wrong: str) -> None:
    operation = OPERATIONS[name]

    def changed(definition: str) -> str:
        assert right in definition
        return definition.replace(right, wrong)

    kernel = kernels.compile(operation.derivation(1, changed), jit=False)
    with pytest.raises(AssertionError, match="gradient of"):
        compare(needs_torch, operation, kernel, windows.sample(operation.cases(1), 100))


@pytest.mark.parametrize("name", ["cross-correlation", "maximum, first, skipped, down"])
def test_a_gradient_that_forgets_where_the_stride_divides_is_found(
    needs_torch: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The terms that it should leave out read between two entries; the evaluator refuses to."""
    right = adjoint.contracted

    def wrong(*arguments: Any, **options: Any) -> Any:
        return [
            replace(term, conditions=tuple(c for c in term.conditions if not isinstance(c, Divides)))
            for term in right(*arguments, **options)
        ]

    monkeypatch.setattr(adjoint, "contracted", wrong)
    operation = OPERATIONS[name]
    with pytest.raises(EvaluationError, match="not an integer"):
        evaluate(needs_torch, operation, 1, windows.sample(operation.cases(1), 20))
