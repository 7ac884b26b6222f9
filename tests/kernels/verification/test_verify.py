"""The witnesses agree with each other and with a gradient written by hand, and no planted mistake escapes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

from derive.evaluate import bindings, draw, function_value
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Guard, Transpose, Within, index, size
from derive.language.functions import FUNCTIONS
from derive.language.parser import parse
from derive.language.system import Declaration, Equation, Program, Range, System
from kernels.verification import WITNESSES, complex_step, copies, derived_gradients, differences, trial_sizes, verify
from kernels.verification.torch_witness import array_module

t, T, d, n = index("t"), size("T"), size("d"), size("n")
ZERO, ONE = sp.Integer(0), sp.Integer(1)
TIME = (Range(t, ONE, T),)
SYSTEM = parse("""
title Elman
sizes T steps, d inputs, n hidden
given x^t in R^d for t = 1..T, y in R
learn W in R^(n x d), U in R^(n x n), v in R^n
start h^0 = 0
for t = 1..T:
    z^t = W x^t + U h^{t-1}
    h^t = f(z^t)
end
yhat = <v, h^T>
loss = (yhat - y)^2 / 2
""")


def access(name: str, *superscripts: sp.Expr | int) -> Access:
    return Access(name, tuple(map(sp.sympify, superscripts)))


def product(*factors: Expression) -> ast.Product:
    return ast.Product(factors)


def outer(left: Expression, right: Expression) -> Expression:
    return ast.Sum(t, ONE, T, product(left, Transpose(right)))


@dataclass(frozen=True)
class ByHand:
    """Backpropagation through time as in a textbook."""

    system: System
    program: Program
    gradients: Mapping[str, Access]


delta, following = access("delta_z", t), access("delta_z", t + 1)
GRADIENTS: dict[str, tuple[Access, ast.Expression]] = {
    "yhat": (access("delta_yhat"), ast.Add((access("yhat"), ast.Negative(access("y"))))),
    "h": (
        access("delta_h", t),
        ast.Add(
            (
                Guard((Within(t, T, T),), product(access("delta_yhat"), access("v"))),
                Guard((Within(t + 1, ONE, T),), product(Transpose(access("U")), following)),
            )
        ),
    ),
    "z": (delta, ast.Hadamard((ast.Apply("f", access("z", t), 1), access("delta_h", t)))),
    "U": (access("grad_U"), outer(delta, access("h", t - 1))),
    "W": (access("grad_W"), outer(delta, access("x", t))),
    "v": (access("grad_v"), product(access("delta_yhat"), access("h", T))),
    "x": (access("grad_x", t), product(Transpose(access("W")), delta)),
    "y": (access("grad_y"), ast.Negative(access("delta_yhat"))),
    "h^0": (access("grad_h", 0), product(Transpose(access("U")), access("delta_z", 1))),
}
SHAPES = {"yhat": (), "h": (n,), "z": (n,), "U": (n, n), "W": (n, d), "v": (n,), "x": (d,), "y": (), "h^0": (n,)}


def by_hand(changes: Mapping[str, Expression] | None = None, system: System = SYSTEM) -> ByHand:
    """The gradients, with some of their equations changed."""
    declared, equations = [], []
    for key, (target, expression) in GRADIENTS.items():
        ranges = TIME if t in target.superscripts else ()
        times = (Range(t, ZERO, ZERO),) if key == "h^0" else ranges
        declared.append(Declaration(target.name, "defined", SHAPES[key], times))
        equations.append(Equation(target, (changes or {}).get(key, expression), ranges))
    forward = system.program
    program = replace(
        forward,
        declarations=(*forward.declarations, *declared),
        equations=(*equations, *forward.equations),
    )
    return ByHand(system, program, {key: GRADIENTS[key][0] for key in ("U", "W", "v", "x", "y", "h^0")})


def test_every_witness_confirms_backpropagation_through_time():
    report = verify(by_hand())
    assert report.passed, report.table()
    assert len(report) == 6 * (len(WITNESSES) - len(report.missing))
    assert {record.points for record in report} == {4}


PLANTED: dict[str, tuple[str, Expression]] = {
    "a factor of 1.001": ("U", product(ast.Number(Fraction(1001, 1000)), outer(delta, access("h", t - 1)))),
    "a missing sum": ("U", product(access("delta_z", T), Transpose(access("h", T - 1)))),
    "a missing transpose": ("x", product(Transpose(access("W")), product(access("U"), delta))),
    "U for its transpose": ("h^0", product(access("U"), access("delta_z", 1))),
    "a missing slope": ("z", access("delta_h", t)),
    "a sign": ("y", access("delta_yhat")),
    "a step too late": ("U", ast.Sum(t, ONE, T, product(delta, Transpose(access("h", t))))),
    "not a number": ("y", ast.Quotient(ast.ZERO, ast.Add((access("y"), ast.Negative(access("y")))))),
}


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value", "ignore:All-NaN")
@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("key, expression", PLANTED.values(), ids=PLANTED)
def test_no_planted_mistake_passes(key: str, expression: Expression, witness: str):
    if not WITNESSES[witness].is_available:
        pytest.skip(f"{witness} is not installed; to run this test: pip install {WITNESSES[witness].package}")
    wrong = by_hand({key: expression})
    report = verify(wrong, witnesses=[witness])
    failed = {record.claim.removeprefix("gradient in ").split(" ")[0] for record in report if not record.passed}
    assert not report.passed
    assert key in failed or key == "z"


@pytest.mark.parametrize("factor, passes", [(1.0, True), (1.001, False), (float("nan"), False)])
def test_a_kernel_is_checked_beside_the_formula(factor: float, passes: bool):
    derivation = by_hand()
    functions = bindings(SYSTEM.program)

    def kernel(sizes: Mapping[str, int], values: Mapping[str, Any]) -> dict[str, Any]:
        found = derived_gradients(derivation, sizes, values, functions)
        return {**found, "W": factor * found["W"]}

    report = verify(derivation, witnesses=["autograd"], kernel=kernel)
    assert report.passed == passes
    assert [record.claim for record in report if not record.passed] == (
        [] if passes else ["kernel: gradient in W (f = softplus)"]
    )


def test_a_gradient_that_a_kernel_does_not_give_fails():
    report = verify(by_hand(), witnesses=["autograd"], kernel=lambda sizes, values: {})
    assert not report.passed
    assert len([record for record in report if record.error == float("inf")]) == 6


AWKWARD = """
title Everything at once
sizes T steps, n hidden, m outputs
given x^t in R^n for t = 1..T, c^t in R^m for t = 1..T
learn A in R^(n x n), B in R^(m x n), b in R^n, s in R
start h^0 = tanh(b)
start h^{-1} = 0
for t = 1..T:
    u^t = A h^{t-1} + A' h^{t-2} + b
    g^t = sigmoid(u^t)
    h^t = g^t .* h^{t-1} + (1 - g^t) .* relu(x^t) + s abs(x^t) .* softplus(u^t)
    o^t = B h^t
    r^t = logsumexp(o^t) - <softmax(o^t), c^t>
end
loss = sum over t = 1..T of r^t / T + log(1 + <b, b>) + sqrt(1 + s^2) * sin(s) + cos(s)^3 / exp(s)
"""


def test_the_witnesses_agree_on_every_function_and_on_a_start_that_is_computed():
    system = parse(AWKWARD)
    functions = bindings(system.program)
    sizes, values = draw(system.program, 7)
    assert "h^0" not in values
    wrt = ["A", "B", "b", "s", "x", "c", "h^0", "h^-1"]
    found = {
        name: witness.gradients(system.program, "loss", sizes, values, wrt, functions)
        for name, witness in WITNESSES.items()
        if witness.is_available
    }
    truth = found["complex step"]
    for name, gradients in found.items():
        for key in wrt:
            tolerance = WITNESSES[name].tolerance
            np.testing.assert_allclose(
                gradients[key], truth[key], rtol=tolerance, atol=tolerance, err_msg=f"{name}: {key}"
            )
            assert gradients[key].shape == np.shape(truth[key])


def test_a_loss_that_an_input_does_not_enter_has_gradient_zero():
    system = parse("title Idle\nsizes n\ngiven x in R^n\nlearn w in R^n\nloss = <x, x>\n")
    _, values = draw(system.program, 0, {"n": 3})
    for witness in WITNESSES.values():
        if witness.is_available:
            gradients = witness.gradients(system.program, "loss", {"n": 3}, values, ["w"], {})
            np.testing.assert_array_equal(gradients["w"], np.zeros(3))


@pytest.mark.parametrize("row", FUNCTIONS)
def test_torch_computes_every_function_like_numpy(row: str, needs_torch: Any):
    x = np.linspace(*FUNCTIONS[row].domain, 7)
    found = function_value(row, needs_torch.as_tensor(x), 1, array_module())
    np.testing.assert_allclose(np.asarray(found), function_value(row, x, 1), rtol=1e-14, atol=1e-15)


def test_trial_sizes_include_distinct_square_and_all_1():
    trials = trial_sizes(SYSTEM.program, 0)
    assert sorted(trials[0].values()) == [2, 3, 4]
    assert trials[1]["T"] == 1
    assert trials[1]["d"] != trials[1]["n"]
    assert {"T": 3, "d": 3, "n": 3} in trials
    assert {"T": 1, "d": 1, "n": 1} in trials


def test_a_report_is_a_table_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    absent = replace(WITNESSES["JAX"], package="no_such_package")
    monkeypatch.setitem(WITNESSES, "JAX", absent)
    report = verify(by_hand(), witnesses=["JAX", "autograd"], sizes=[{"T": 2, "d": 1, "n": 2}])
    lines = report.table().splitlines()
    assert lines[0].split() == ["claim", "witness", "error", "tolerance", "points", "sizes", "verdict"]
    assert lines[-1] == "not installed: JAX"
    assert report._repr_html_().count("<tr>") == 7


def test_nothing_compared_is_not_a_pass():
    assert not verify(by_hand(), witnesses=[]).passed


COPIED = {
    "recurrence": (SYSTEM.program, SYSTEM.loss),
    "window": (
        parse(
            "sizes H, R, s, p from 0\nsizes O = number of i with s*i + R - 1 <= H + p - 1\ngiven x in R^H, t in R^O\n"
            "learn w in R^R\ny[i] = max over a of w[a] * x[s*i + a - p] for i = 0..O-1\nloss = squared(y, t)\n"
            "convention outside is zero\nconvention ties is split"
        ).program,
        "loss",
    ),
    "whole matrices": (
        parse(
            "sizes n\ngiven b in R^n\nlearn A in R^(n x n), v in R^n\n"
            "s = softmax(A v) + expm(A) b\nloss = logdet(A) + <solve(A, b), s> + norm(v) + trace(A' A) + logsumexp(s)"
        ).program,
        "loss",
    ),
}


@pytest.mark.parametrize("name", COPIED)
@pytest.mark.parametrize("witness", [complex_step, differences], ids=["complex step", "differences"])
def test_many_copies_together_give_what_one_at_a_time_gives(name: str, witness: Any, monkeypatch: pytest.MonkeyPatch):
    program, loss = COPIED[name]
    functions = bindings(program)
    sizes, values = draw(program, 3, functions=functions)
    keys = [key for key in values if key in {item.name for item in program.declarations}]
    together = witness.gradients(program, loss, sizes, values, keys, functions)
    monkeypatch.setattr(copies, "moved", _one_moved)
    monkeypatch.setattr(copies, "MOST", 1)
    monkeypatch.setattr(copies, "portions", lambda arrays: _portions(arrays, 1))
    monkeypatch.setattr(copies, "NUMBERS", np)
    alone = witness.gradients(program, loss, sizes, values, keys, functions)
    exact = 1e-12 if witness is complex_step else 1e-8
    for key in keys:
        np.testing.assert_allclose(together[key], alone[key], rtol=exact, atol=exact)


_portions = copies.portions


def _one_moved(arrays: Any, places: Any, steps: Any) -> dict[str, Any]:
    """Plain arrays with one entry moved, for NumPy itself."""
    ((key, place),), (step,) = places, steps
    array = arrays[key].astype(np.result_type(step))
    array[place] += step
    return {**arrays, key: array}


def test_copies_that_decide_differently_are_run_one_at_a_time():
    """The length of x is more than √3 in one copy only."""
    arrays = {"x": np.array([1.0, 0.0])}

    def slopes(places: Any) -> Any:
        moved = copies.moved(arrays, places, [1.0] * len(places))["x"]
        if copies.NUMBERS.sum(moved * moved) > 3:
            return copies.each(copies.NUMBERS.sum(moved), len(places))
        return np.zeros(len(places))

    np.testing.assert_array_equal(copies.by_entry(arrays, slopes)["x"], [2.0, 0.0])
    with pytest.raises(copies.DifferingCopies):
        slopes([("x", (0,)), ("x", (1,))])
