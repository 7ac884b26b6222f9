"""Maxima over windows of known size: exactly the evaluator's values and gradients, in vectors, without window axes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import derive
import kernels
from derive import evaluate
from derive.derivation import Derivation
from kernels.kernel import Kernel
from kernels.prepare import numbers
from kernels.rows import Counted, Separate
from kernels.vocabulary import larger, larger_than, taken

OTHER = """
title Windows of other kinds
sizes C, H, O, s = 2
given x in R^(C x H), g in R^(C x O), h in R^(3 x H)
learn w in R^3, b in R^C
y[c, i] = max over a = 0..2 of w[a] * x[c, s*i + a - 1] for i = 0..O-1
u[c] = max over i = 0..2 with 0 <= i + c <= 2 of y[c, i] * b[c]
v[j] = max over k = 0..2 of h[k, j]
loss = sum over c, i of y[c, i] * g[c, i] + sum(u) + sum over c, j of v[j] * x[c, j]
convention outside is zero
convention ties is {ties}
"""
"""A weighted window, one whose positions depend on where it is and may be none, and one across rows."""


OUTPUTS = {2: (6, 7), 12: (1, 2)}
"""Of 13 × 14 numbers, one on the left of them, in windows of this size every 2."""


def drawn(seed: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Choices of a pooling layer, and the sizes that are told later."""
    random = np.random.default_rng(seed)
    dimensions = 1 + seed % 3
    ties, outside = ("first", "split", "all")[seed // 3 % 3], ("skipped", "zero")[seed // 9 % 2]
    choices: dict[str, Any] = {
        "D": dimensions,
        "ties": ties,
        "outside": outside,
        "rounding": random.choice(["down", "up"]),
    }
    choices["rounding"] = str(choices["rounding"])
    steps = {"R": (1, 4), "s": (1, 4), "d": (1, 3), "p": (0, 4), "q": (0, 3)}
    for letter, (first, last) in steps.items():
        values = tuple(int(n) for n in random.integers(first, last, dimensions))
        choices[letter] = values if dimensions > 1 else values[0]
    names = [f"H_{axis + 1}" for axis in range(dimensions)] if dimensions > 1 else ["H"]
    return choices, {"C": 2, **{name: int(random.integers(6, 10 if dimensions < 3 else 8)) for name in names}}


def of_layer(choices: dict[str, Any]) -> Derivation:
    return derive.gradient(derive.load("max-pooling", **choices))


def arrays(found: Derivation, sizes: dict[str, int], seed: int, batch: int | None, *, rough: bool) -> dict[str, Any]:
    """Small whole numbers, so that there are ties; among them, if ``rough``, some that are not finite."""
    random = np.random.default_rng(seed)
    given: dict[str, Any] = {}
    for item in found.program.declarations:
        if item.role not in ("given", "learn"):
            continue
        shape = numbers(item.shape, sizes)
        shape = shape if batch is None or item.role == "learn" else (batch, *shape)
        given[item.name] = random.integers(-2, 3, shape).astype(float)
        if rough and item.name == "x":
            given["x"][random.random(shape) < 0.1] = np.nan
            given["x"][random.random(shape) < 0.1] = -np.inf
    return given


def assert_exact(
    kernel: Kernel,
    told: dict[str, int],
    seed: int,
    batch: int | None = None,
    *,
    rough: bool = False,
    exact: bool = True,
) -> None:
    """The kernel's gradients are those of the evaluator, digit by digit, NaN where it has NaN."""
    found, program = kernel.derivation, kernel.derivation.program
    learnt = [item.name for item in program.declarations if item.role == "learn"]
    sizes = dict(evaluate.completed(program, told))
    by_symbol = {symbol.name: sizes[symbol.name] for symbol in program.sizes}
    values = arrays(found, by_symbol, seed, batch, rough=rough)
    sequences = [
        {key: value if key in learnt or batch is None else value[n] for key, value in values.items()}
        for n in range(batch or 1)
    ]
    with np.errstate(all="ignore"):
        wanted = [evaluate.run(program, by_symbol, sequence) for sequence in sequences]
        parameters = {key: values[key].astype(kernel.dtype) for key in learnt}
        inputs: dict[str, Any] = {k: v.astype(kernel.dtype) for k, v in values.items() if k not in learnt}
        inputs |= {key: value for key, value in told.items() if key in kernel.table}
        gradients = kernel.gradients(parameters, inputs, list(found.gradients))
        forward = kernel.forward(parameters, inputs, ["y"])["y"]
    y = np.stack([results["y", ()] for results in wanted])
    np.testing.assert_array_equal(forward, y if batch else y[0])
    for key, access in found.gradients.items():
        each = np.stack([evaluate.gather(program, results, access, by_symbol) for results in wanted]) / len(wanted)
        total = each.sum(axis=0) if key in learnt else each if batch else each[0]
        if exact:
            np.testing.assert_array_equal(gradients[key], total, err_msg=key)
        else:
            np.testing.assert_allclose(gradients[key], total, rtol=1e-5, atol=1e-5, err_msg=key)


# The evaluator's numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(18))
def test_a_layer_is_exact_whatever_its_steps(seed: int) -> None:
    choices, told = drawn(seed)
    kernel = kernels.compile(of_layer(choices), jit=False)
    for number, (batch, rough) in enumerate(((2, False), (None, True))):
        assert_exact(kernel, told, seed + number, batch, rough=rough, exact=choices["ties"] != "split")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", [1, 4, 19, 22])
def test_a_compiled_layer_is_exact(seed: int, dtype: str) -> None:
    choices, told = drawn(seed)
    kernel = kernels.compile(of_layer(choices), dtype)
    wide = {name: extent if name == "C" else extent + 33 for name, extent in told.items()}
    for rough in (False, True):
        assert_exact(kernel, wide, seed, 2, rough=rough, exact=choices["ties"] != "split")


@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_other_windows_are_exact(ties: str) -> None:
    definition = "\n".join(line.strip() for line in OTHER.format(ties=ties).strip().splitlines()) + "\n"
    kernel = kernels.compile(derive.gradient(derive.parse(definition)), jit=False)
    for seed, extents in enumerate(((2, 9, 4), (3, 8, 6), (2, 3, 5))):
        for batch in (None, 2):
            assert_exact(kernel, dict(zip("CHO", extents, strict=True)), seed, batch, exact=ties != "split")


def test_a_check_of_exactness_notices_another_winner() -> None:
    kernel = kernels.compile(of_layer({"D": 1, "R": 2, "s": 2, "d": 1, "p": 0, "q": 0}), jit=False)
    assert_exact(kernel, {"C": 2, "H": 12}, 0)
    question = kernel.question("gradients", "x", "t")
    text = question.variant.source.replace("2*i + 1], 1)", "2*i + 1], 0)")
    assert text != question.variant.source
    module: dict[str, Any] = {}
    exec(compile(text, "planted", "exec"), module)  # noqa: S102, the kernel's own source with an error in it
    planted = replace(question, variant=replace(question.variant, make=lambda: module["entry"]), shapes={}, latest=[])
    kernel.questions["gradients", "x", "t"] = planted
    with pytest.raises(AssertionError):
        assert_exact(kernel, {"C": 2, "H": 12}, 0)


# What is stored, and what it becomes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ties, stored", [("first", True), ("split", True), ("all", False)])
@pytest.mark.parametrize("window", [{"R": 3}, {}], ids=["known", "told"])
def test_no_array_has_an_axis_of_the_window(window: dict[str, int], ties: str, stored: bool) -> None:
    plan = (
        kernels.compile(of_layer({"D": 2, "ties": ties, **window}), jit=False).question("gradients", "x").variant.plan
    )
    assert max(len(array.shape) for array in plan.arrays.values()) == 3
    assert ("argmax_y" in plan.arrays) == stored


def test_positions_are_as_small_as_they_can_be_and_values_alone_need_none() -> None:
    for window, kind in ((2, "int8"), (12, "int32")):
        kernel = kernels.compile(of_layer({"D": 2, "R": window, "s": 2}), jit=False)
        question = kernel.question("gradients", "x")
        told = {"C": 2, "H_1": 13, "H_2": 14, "d_1": 1, "d_2": 1, "p_1": 0, "p_2": 1, "q_1": 0, "q_2": 0}
        assert_exact(kernel, told, 0)
        kernel.gradients({}, {**told, "x": np.ones((2, 13, 14)), "t": np.ones((2, *OUTPUTS[window]))}, ["x"])
        assert {part.name: part.kind for part in question.variant.parts}["argmax_y"] == kind
        forward = kernel.question("forward", "y").variant
        assert "argmax_y" not in forward.plan.arrays
    whole = kernels.compile(of_layer({"D": 1, "R": 2, "s": 2, "d": 1, "p": 0, "q": 0}), jit=False)
    assert "place" not in re.findall(r"\w+", whole.question("forward", "y").variant.source)


def test_a_choice_that_is_asked_for_has_all_its_axes() -> None:
    kernel = kernels.compile(of_layer({"D": 1, "R": 2, "s": 2, "d": 1, "p": 0, "q": 0}), jit=False)
    found = kernel.forward({}, {"x": np.array([[1.0, 3.0, 2.0, 2.0]]), "t": np.zeros((1, 2))}, ["argmax_y"])
    np.testing.assert_array_equal(found["argmax_y"], [[[0, 1], [1, 0]]])


def test_searches_and_shares_along_a_row_are_compiled_to_vectors() -> None:
    numba = pytest.importorskip("numba")

    def search(count: int, x: np.ndarray, y: np.ndarray, places: np.ndarray) -> None:
        for i in range(count):
            best, place = x[2 * i], 0
            best, place = larger_than(best, place, x[2 * i + 1], 1)
            y[i] = best
            places[i] = place

    def values(count: int, x: np.ndarray, y: np.ndarray, places: np.ndarray) -> None:
        for i in range(count):
            best = x[2 * i]
            best = larger(best, x[2 * i + 1])
            y[i] = best

    def shares(count: int, x: np.ndarray, y: np.ndarray, places: np.ndarray) -> None:
        for i in range(count):
            x[2 * i] = taken(places[i], 0, 0.0, 1.0) * y[i]
            x[2 * i + 1] = taken(places[i], 1, 0.0, 1.0) * y[i]

    reals, bytes_ = Counted(numba.float64, 1), Counted(numba.int8, 1)
    for function, instruction in ((search, "cmp"), (values, "cmp"), (shares, "mul")):
        compiled = numba.njit(numba.void(numba.int64, reals, reals, bytes_), pipeline_class=Separate)(function)
        (assembly,) = compiled.inspect_asm().values()
        assert re.search(rf"v?{instruction}\w*pd|f{instruction}\w*\s+v\d+\.2d", assembly), function.__name__
