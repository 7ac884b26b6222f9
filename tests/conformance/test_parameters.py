"""How many numbers a system learns: the formula against arrays, and the lecture's autoencoder at its own size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import derive
import kernels
from derive.evaluate import draw, integer
from derive.language.parser import parse
from derive.overview import count_lines
from derive.parameters import parameters
from kernels.inputs import expected
from kernels.prepare import numbers
from tests.conformance.choices import CHOSEN, derived

SIZES: dict[str, int] = {"n0": 784, "n1": 1000, "n2": 500, "n3": 250, "n4": 30}
LAYERS = (784, 1000, 500, 250, 30, 250, 500, 1000, 784)
WEIGHTS = 2_833_000


@pytest.mark.parametrize("name", CHOSEN)
def test_the_formula_counts_the_entries_of_the_arrays(name: str) -> None:
    program = derived(name).forward
    found = parameters(CHOSEN[name].system)
    for seed in (0, 1):
        sizes, values = draw(program, seed)
        learnt = [np.shape(values[entry.name]) for entry in program.declarations if entry.role == "learn"]
        assert integer(found.all.formula, sizes) == sum(int(np.prod(shape)) for shape in learnt)
        assert integer(found.weights.formula, sizes) == sum(int(np.prod(s)) for s in learnt if len(s) > 1)


def test_parameters_at_every_step_count_at_every_step() -> None:
    system = parse("""
title  A parameter for each step
sizes  T steps, n entries default 3
given  x^t in R^n for t = 1..T
learn  a^t in R^n for t = 1..T
loss = sum over t = 1..T of <a^t, x^t>
""")
    assert str(parameters(system).all.formula) == "T*n"
    assert parameters(system).all.value is None
    assert parameters(system).weights.formula == 0


def test_the_autoencoder_has_2833000_weights() -> None:
    found = parameters(derive.load("autoencoder"))
    assert sum(a * b for a, b in pairwise(LAYERS)) == WEIGHTS
    assert found.weights.value == WEIGHTS
    assert found.all.value == WEIGHTS + sum(LAYERS[1:])
    assert dict(found.sizes) == SIZES


def test_the_number_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from derive.cli import main

    assert main(["show", "autoencoder"]) == 0
    assert "= 2,833,000" in capsys.readouterr().out
    assert len(list(count_lines(derive.load("autoencoder")))) == 3


def test_the_autoencoder_learns_at_full_size() -> None:
    """The gradient in a random direction against differences of the loss, in every array at once and in each."""
    derivation = derive.gradient(derive.load("autoencoder"))
    kernel = kernels.compile(derivation)
    random = np.random.default_rng(0)
    table = expected(derivation.program)
    learnt = {key: random.normal(size=numbers(table[key].shape, SIZES)) / 28 for key in kernel.learnt}
    inputs = {"x": random.random((4, LAYERS[0]))}
    assert sum(array.size for array in learnt.values() if array.ndim > 1) == WEIGHTS
    loss, gradients = kernel(learnt, inputs)
    assert loss > 0
    step = 1e-5
    for chosen in (kernel.learnt, *((key,) for key in kernel.learnt)):
        direction = {key: random.normal(size=learnt[key].shape) for key in chosen}
        ahead, behind = (
            kernel.loss({**learnt, **{key: learnt[key] + sign * step * direction[key] for key in chosen}}, inputs)
            for sign in (1, -1)
        )
        slope = sum(float(np.vdot(gradients[key], direction[key])) for key in chosen)
        assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-5, abs=1e-8)
