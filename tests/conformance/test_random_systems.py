"""Systems nobody has written: drawn from the grammar, each derived, evaluated, compiled and compared with autodiff."""

from __future__ import annotations

import numpy as np
import pytest

import derive
import kernels
from derive.evaluate import draw, gather, run
from derive.language.parser import parse
from derive.language.printer import source
from kernels.verification import WITNESSES, check_steps
from tests.random_systems import inputs_of, random_system

SEEDS = range(200)
COMPILED = range(1000, 1006)
TOLD = range(2000, 2012)


def assert_all_agree(seed: int, *, jit: bool) -> None:
    """Evaluator = kernel = reverse autodiff of the forward equations, for every parameter, input and start."""
    drawn = random_system(seed)
    system = parse(drawn.text)
    derivation = derive.gradient(system)
    sizes, values = draw(system.program, seed, drawn.sizes)
    keys = list(derivation)
    truth = WITNESSES["autograd"].gradients(system.program, system.loss, sizes, values, keys, {})
    results = run(derivation.program, sizes, values)
    kernel = kernels.compile(derivation, jit=jit)
    compiled = kernel.gradients(*inputs_of(derivation, values), wrt=keys)
    for key, access in derivation.gradients.items():
        scale = max(1.0, float(np.max(np.abs(truth[key]), initial=0.0)))
        evaluated = gather(derivation.program, results, access, sizes)
        for found in (evaluated, compiled[key]):
            np.testing.assert_allclose(found / scale, truth[key] / scale, rtol=0, atol=1e-10, err_msg=drawn.text)


@pytest.mark.parametrize("seed", SEEDS)
def test_evaluator_kernel_and_autodiff_agree(seed: int) -> None:
    assert_all_agree(seed, jit=False)


@pytest.mark.parametrize("seed", COMPILED)
def test_they_agree_compiled_as_well(seed: int) -> None:
    assert_all_agree(seed, jit=True)


@pytest.mark.parametrize("seed", TOLD)
def test_every_step_of_its_derivation_has_evidence_that_holds(seed: int) -> None:
    derivation = derive.gradient(parse(random_system(seed).text))
    evidence = check_steps(derivation, seed)
    for step in derivation.steps:
        for one in (step, *step.details):
            assert evidence[one.id], f"{one.id} claims nothing"
            assert all(record.passed for record in evidence[one.id]), one.id


@pytest.mark.parametrize("seed", SEEDS)
def test_it_prints_back_to_itself(seed: int) -> None:
    system = parse(random_system(seed).text)
    assert parse(source(system)).program == system.program
