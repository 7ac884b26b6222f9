from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from derive.catalogue import load, names
from derive.derivation import gradient
from derive.evaluate import draw, gather, run, scope_at, value
from derive.language.expression import Access
from derive.language.parser import parse
from derive.trace import Equal, Step, TotalDerivative
from kernels.verification import check_steps


def minimisers(text: str) -> dict[str, Step]:
    return {step.id: step for step in gradient(parse(text)).steps if step.id.startswith("minimiser-")}


def ridge(states: Any, targets: Any, penalty: float) -> Any:
    """By least squares on rows, the penalty as further rows: no normal equations."""
    extended = np.vstack([states, np.sqrt(penalty) * np.eye(states.shape[1])])
    return np.linalg.lstsq(extended, np.vstack([targets, np.zeros((states.shape[1], targets.shape[1]))]), rcond=None)[
        0
    ].T


def test_the_closed_form_of_the_readout_is_that_of_least_squares() -> None:
    derivation = gradient(load("echo-state"))
    (step,) = (step for step in derivation.steps if step.id == "minimiser-V")
    closed = step.lines[1].sides[1]
    sizes, values = draw(derivation.forward, 3, {"T": 7, "d": 2, "n": 4, "m": 3})
    values["lambda"] = np.asarray(0.3)
    results = run(derivation.program, sizes, values)
    times = tuple(item.index for item in derivation.forward.declaration("h").superscripts)
    states = np.asarray(gather(derivation.program, results, Access("h", times), sizes))
    found = value(closed, scope_at(derivation.program, results, sizes))
    np.testing.assert_allclose(found, ridge(states, values["y"], 0.3), rtol=1e-10, atol=1e-12)
    at_best = run(derivation.program, sizes, {**values, "V": found})
    np.testing.assert_allclose(gather(derivation.program, at_best, derivation.gradients["V"], sizes), 0, atol=1e-12)


def test_the_ridge_readout_has_the_gradients_of_a_readout_that_is_held() -> None:
    """At the least of the loss the readout's own change adds nothing: the gradients are those with it held."""
    solved, learnt = gradient(load("echo-state", readout="ridge")), gradient(load("echo-state"))
    sizes, values = draw(solved.forward, 3, {"T": 6, "d": 2, "n": 3, "m": 2})
    values["lambda"] = np.asarray(0.5)
    results = run(solved.program, sizes, values)
    best = gather(solved.program, results, Access("V"), sizes)
    held = run(learnt.program, sizes, {**values, "V": best})
    for key in ("W", "U", "x", "y", "lambda", "h^0"):
        own = gather(solved.program, results, solved.gradients[key], sizes)
        np.testing.assert_allclose(
            own, gather(learnt.program, held, learnt.gradients[key], sizes), rtol=1e-9, atol=1e-11
        )


RIDGE = """title  Ridge
sizes  N examples, d inputs
given  X in R^(N x d), y in R^N, mu in R
learn  w in R^d
r = X w - y
loss = {loss}
"""


@pytest.mark.parametrize(
    "loss", ["<r, r> / 2 + mu <w, w> / 2", "norm(r)^2 + mu norm(w)^2", "squared(X w, y) + mu <w, w> + <w, w>"]
)
def test_a_vector_of_weights_has_normal_equations(loss: str) -> None:
    text = RIDGE.format(loss=loss)
    assert list(minimisers(text)) == ["minimiser-w"]
    derivation = gradient(parse(text))
    for records in check_steps(derivation).values():
        assert all(record.passed for record in records)


@pytest.mark.parametrize(
    "loss",
    ["<r, r>", "<r, r>^2 + mu <w, w>", "<r, r> + norm(w)", "squared(tanh(X w), y) + mu <w, w>", "<r, r> + mu <w, w>^2"],
    ids=["no penalty", "a fourth power", "no square", "a function", "the penalty squared"],
)
def test_other_losses_have_none(loss: str) -> None:
    assert not minimisers(RIDGE.format(loss=loss))


def test_a_parameter_of_the_recurrence_has_none() -> None:
    text = """title  Linear
sizes  T steps, n units
given  x^t in R^n for t = 1..T, y in R^n
learn  U in R^(n x n)
start  h^0 = 0
for t = 1..T:
    h^t = U h^{t-1} + x^t
end
loss = squared(h^T, y) + norm(U)^2
"""
    assert not minimisers(text)


def test_only_the_echo_state_network_has_one_in_the_catalogue() -> None:
    steps = {name: [s.id for s in gradient(load(name)).steps if s.id.startswith("minimiser")] for name in names()}
    assert {name for name, found in steps.items() if found} == {"echo-state"}


def test_a_wrong_closed_form_is_found() -> None:
    derivation = gradient(load("echo-state"))
    place, step = next((n, s) for n, s in enumerate(derivation.steps) if s.id == "minimiser-V")
    derivative, equal = step.claims
    assert isinstance(derivative, TotalDerivative)
    assert isinstance(equal, Equal)
    planted = [
        replace(step, claims=(replace(derivative, value=derivation["V"].equation.value.terms[0]), equal)),  # type: ignore[attr-defined]
        replace(step, claims=(derivative, replace(equal, left=derivation["V"].equation.value))),
    ]
    for wrong in planted:
        other = gradient(load("echo-state"))
        steps = list(derivation.steps)
        steps[place] = wrong
        other.__dict__["steps"] = tuple(steps)
        assert not all(record.passed for record in check_steps(other)["minimiser-V"])
