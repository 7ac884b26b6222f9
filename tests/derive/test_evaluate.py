"""The evaluator against explicit NumPy: every node, every function, and whole programs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, get_args

import numpy as np
import pytest
import scipy.linalg as scipy_linalg
import sympy as sp

from derive.evaluate import (
    EvaluationError,
    Scope,
    completed,
    derivative,
    draw,
    draw_sizes,
    function_value,
    gather,
    input_shape,
    inputs,
    integer,
    numeric_shape,
    run,
    scope_of,
    stacked,
    value,
)  # fmt: skip
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Number, Transpose, Within, index, size
from derive.language.functions import FUNCTIONS
from derive.language.parser import parse
from derive.language.system import Declaration, Equation, Program, Range, Start

i, j, k, t = map(index, "ijkt")
m, n, T = map(size, "mnT")
ZERO, ONE = sp.Integer(0), sp.Integer(1)
SHAPES = {"A": (m, n), "B": (n, m), "S": (m, m), "u": (m,), "v": (n,), "w": (n,), "a": (), "h": (n,), "J": (n, n)}
TIMES = {"h": range(5), "J": range(5)}


def access(name: str, *superscripts: sp.Expr | int, at: tuple[sp.Expr | int, ...] = ()) -> Access:
    return Access(name, tuple(map(sp.sympify, superscripts)), tuple(map(sp.sympify, at)))


def scope(sizes: dict[str, int], **integers: int) -> tuple[Scope, dict[str, Any]]:
    """Random arrays at these sizes, in a scope and by name; h and J by name and time as h2, J0."""
    rng = np.random.default_rng(1)
    arrays: dict[tuple[str, tuple[int, ...]], Any] = {}
    for name, shape in SHAPES.items():
        for place in [(step,) for step in TIMES[name]] if name in TIMES else [()]:
            arrays[name, place] = rng.uniform(0.5, 1.5, [integer(extent, sizes) for extent in shape])
    named = {name + "".join(map(str, place)): array for (name, place), array in arrays.items()}
    return scope_of(arrays, SHAPES, {**sizes, **integers}), named


def _small(matrix: Expression) -> Expression:
    return ast.Product((Number(Fraction(1, 16)), matrix))


def _frechet(matrix: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return np.asarray(scipy_linalg.expm_frechet(matrix, direction, compute_expm=False))


A, B, S, u, v, w, a = (access(name) for name in "ABSuvwa")
J0 = access("J", 0)
two = Number(Fraction(2))
SAMPLES: dict[type, list[tuple[Expression, Callable[..., Any]]]] = {
    Number: [(Number(Fraction(-3, 4)), lambda x: -0.75)],
    ast.SizeValue: [(ast.SizeValue(T / 2 + t), lambda x: 4 / 2 + 2)],
    Access: [
        (A, lambda x: x["A"]),
        (access("h", t - 1), lambda x: x["h1"]),
        (access("A", at=(2 * t - 4, 0)), lambda x: x["A"][0, 0]),
    ],
    ast.Add: [
        (ast.Add((v, w, ast.Negative(v))), lambda x: x["w"]),
        (ast.Add((Number(Fraction(1)), ast.Negative(v))), lambda x: 1 - x["v"]),
    ],
    ast.Negative: [(ast.Negative(A), lambda x: -x["A"])],
    ast.Product: [
        (ast.Product((A, v)), lambda x: x["A"] @ x["v"]),
        (ast.Product((Transpose(v), w)), lambda x: x["v"] @ x["w"]),
        (ast.Product((Transpose(v), w, A)), lambda x: (x["v"] @ x["w"]) * x["A"]),
        (ast.Product((u, Transpose(v))), lambda x: np.outer(x["u"], x["v"])),
        (ast.Product((Transpose(u), A)), lambda x: (x["u"] @ x["A"])[None, :]),
        (ast.Product((two, A, a, B, u)), lambda x: 2 * x["a"] * x["A"] @ x["B"] @ x["u"]),
    ],
    ast.Hadamard: [(ast.Hadamard((v, w, v)), lambda x: x["v"] * x["w"] * x["v"])],
    ast.Quotient: [
        (ast.Quotient(v, a), lambda x: x["v"] / x["a"]),
        (ast.Quotient(v, w), lambda x: x["v"] / x["w"]),
        (ast.Quotient(two, w), lambda x: 2 / x["w"]),
    ],
    ast.Power: [
        (ast.Power(v, two), lambda x: x["v"] ** 2),
        (ast.Power(ast.Negative(v), Number(Fraction(-3))), lambda x: (-x["v"]) ** -3.0),
        (ast.Power(a, Number(Fraction(1, 2))), lambda x: np.sqrt(x["a"])),
    ],
    Transpose: [
        (Transpose(A), lambda x: x["A"].T),
        (Transpose(v), lambda x: x["v"][None, :]),
        (Transpose(Transpose(v)), lambda x: x["v"]),
        (Transpose(a), lambda x: x["a"]),
    ],
    ast.Inner: [(ast.Inner(v, w), lambda x: x["v"] @ x["w"]), (ast.Inner(A, A), lambda x: np.sum(x["A"] ** 2))],
    ast.Apply: [
        (ast.Apply("tanh", A), lambda x: np.tanh(x["A"])),
        (ast.Apply("f", v, 2), lambda x: -np.sin(x["v"])),
    ],
    ast.Call: [
        (ast.Call("softmax", (v,)), lambda x: np.exp(x["v"]) / np.sum(np.exp(x["v"]))),
        (ast.Call("trace", (S,)), lambda x: np.trace(x["S"])),
        (ast.Call("norm", (A,)), lambda x: np.linalg.norm(x["A"])),
        (ast.Call("unit", (v,)), lambda x: x["v"] / np.linalg.norm(x["v"])),
        (ast.Call("inv", (S,)), lambda x: np.linalg.inv(x["S"])),
        (ast.Call("det", (S,)), lambda x: np.linalg.det(x["S"])),
        (ast.Call("logdet", (S,)), lambda x: np.log(abs(np.linalg.det(x["S"])))),
        (ast.Call("expm", (_small(S),)), lambda x: scipy_linalg.expm(x["S"] / 16)),
        (ast.Call("dexpm", (_small(S), ast.Diagonal(u))), lambda x: _frechet(x["S"] / 16, np.diag(x["u"]))),
        (ast.Call("solve", (S, u)), lambda x: np.linalg.solve(x["S"], x["u"])),
    ],
    ast.Slice: [
        (ast.Slice(S, (ZERO, m - 1)), lambda x: x["S"][0, -1]),
        (ast.Slice(A, ((ZERO, m - 1), ZERO)), lambda x: x["A"][:, 0]),
        (ast.Slice(ast.Negative(S), ((ZERO, ZERO), (m - 1, m - 1))), lambda x: -x["S"][:1, -1:]),
    ],
    ast.LogSumExp: [
        (ast.LogSumExp(k, ONE, T, ast.Inner(access("h", k), access("h", k))),
         lambda x: np.log(sum(np.exp(x[f"h{t}"] @ x[f"h{t}"]) for t in range(1, 5)))),
    ],
    ast.Diagonal: [(ast.Diagonal(v), lambda x: np.diag(x["v"]))],
    ast.Sum: [
        (ast.Sum(k, ONE, T, access("h", k)), lambda x: x["h1"] + x["h2"] + x["h3"] + x["h4"]),
        (ast.Sum(t, t, T, access("h", t)), lambda x: x["h2"] + x["h3"] + x["h4"]),
        (ast.Sum(k, T, ONE, access("h", k + 99)), lambda x: 0 * x["h1"]),
    ],
    ast.Maximum: [
        (ast.Maximum((Range(k, ZERO, n - 1),), access("v", at=(k,))), lambda x: np.max(x["v"])),
        (ast.Maximum((Range(k, ONE, T),), access("h", k)), lambda x: np.max([x[f"h{t}"] for t in range(1, 5)], 0)),
        (ast.Maximum((Range(k, ZERO, n - 1),), access("v", at=(k,)), (Within(k, n, n),)), lambda x: 0.0),
    ],
    ast.Share: [
        (ast.Share(ast.Maximum((Range(k, ZERO, n - 1),), access("v", at=(k,))), (ZERO,)),
         lambda x: float(np.argmax(x["v"]) == 0)),
        (ast.Share(ast.Maximum((Range(k, ZERO, n - 1),), a, ties="split"), (n - 1,)), lambda x: 1 / x["v"].size),
    ],
    ast.OrderedProduct: [
        (ast.OrderedProduct(k, T, t, access("J", k)), lambda x: x["J4"] @ x["J3"] @ x["J2"]),
        (ast.OrderedProduct(k, t, T, access("J", k), descending=False), lambda x: x["J2"] @ x["J3"] @ x["J4"]),
        (ast.OrderedProduct(k, ZERO, ONE, access("J", k)), lambda x: np.eye(*x["J0"].shape)),
        (ast.OrderedProduct(k, ONE, ZERO, access("J", k), descending=False), lambda x: np.eye(*x["J0"].shape)),
        (ast.OrderedProduct(k, ONE, ZERO, a, descending=False), lambda x: 1.0),
    ],
    ast.Guard: [
        (ast.Guard((Within(t, ONE, T),), v), lambda x: x["v"]),
        (ast.Guard((ast.Divides(T, t),), access("h", t + 99)), lambda x: 0 * x["v"]),
        (ast.Guard((Within(t, T, T),), ast.Product((u, Transpose(v)))), lambda x: np.zeros(x["A"].shape)),
        (ast.Guard((ast.Divides(t, T), Within(t + 1, ONE, t)), a), lambda x: 0.0),
    ],
    ast.Identity: [(ast.Identity(n + 1), lambda x: np.eye(x["v"].size + 1))],
    ast.Filled: [(ast.Filled(1, (n, m)), lambda x: np.ones(x["B"].shape)), (ast.Filled(0, ()), lambda x: 0.0)],
    ast.Kronecker: [
        (ast.Kronecker(A, B), lambda x: np.kron(x["A"], x["B"])),
        (ast.Kronecker(u, v), lambda x: np.kron(x["u"], x["v"])),
        (ast.Kronecker(Transpose(u), B), lambda x: np.kron(x["u"][None, :], x["B"])),
        (ast.Kronecker(v, ast.Identity(m)), lambda x: np.kron(x["v"][:, None], np.eye(x["u"].size))),
    ],
    ast.Vectorised: [(ast.Vectorised(A), lambda x: x["A"].flatten(order="F")), (ast.Vectorised(v), lambda x: x["v"])],
    ast.Block: [
        (ast.Block(((S, A), (B, J0))), lambda x: np.block([[x["S"], x["A"]], [x["B"], x["J0"]]])),
        (ast.Block(((u,), (v,))), lambda x: np.concatenate([x["u"], x["v"]])),
        (ast.Block(((v, w),)), lambda x: np.stack([x["v"], x["w"]], axis=1)),
    ],
}  # fmt: skip
CASES = [(kind.__name__, *sample) for kind, samples in SAMPLES.items() for sample in samples]


def test_every_node_that_has_a_value_has_a_sample():
    assert set(get_args(Expression)) - {ast.Derivative} == set(SAMPLES)


@pytest.mark.parametrize("sizes", [{"m": 3, "n": 2}, {"m": 1, "n": 1}, {"m": 1, "n": 3}], ids=str)
@pytest.mark.parametrize("kind, expression, expected", CASES)
def test_a_node_is_worth_what_numpy_says(kind: str, expression: Expression, expected: Any, sizes: dict[str, int]):
    where, arrays = scope(sizes, T=4, t=2)
    where = replace(where, functions={"f": "sin"})
    found = value(expression, where)
    assert np.shape(found) == numeric_shape(expression, where) == np.shape(expected(arrays))
    np.testing.assert_allclose(found, expected(arrays), rtol=1e-14)


def test_a_derivative_is_not_evaluated():
    with pytest.raises(EvaluationError, match="derivative of h"):
        value(ast.Derivative(access("h", T), A), scope({"m": 2, "n": 2, "T": 3})[0])


@pytest.mark.parametrize(
    "expression, message",
    [
        (access("A", at=(-1, 0)), r"A\[-1, 0\]: no such entry, its shape is \(3, 2\)"),
        (access("h", T + 1), r"h\^5 has no value"),
        (access("h", T / 3), r"T/3 is 4/3, not an integer, where T = 4"),
        (access("q"), "q is not declared|q has no value"),
        (access("h", k), "the integer k has no value"),
        (ast.Apply("f", a), "the function f is bound to no row"),
    ],
)
def test_what_has_no_value_says_why(expression: Expression, message: str):
    with pytest.raises(EvaluationError, match=message):
        value(expression, scope({"m": 3, "n": 2, "T": 4})[0])


@pytest.mark.parametrize(
    "expression, expected",
    [
        (T - 2 * t, 1),
        (sp.floor(t / 2), 1),
        (sp.ceiling(t / 2), 2),
        (sp.Mod(T, t), 1),
        (sp.Max(t, T), 7),
        ((T + t) / 5, 2),
    ],
)
def test_integers_are_exact(expression: sp.Expr, expected: int):
    assert integer(expression, {"T": 7, "t": 3}) == expected


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("row", FUNCTIONS)
def test_each_derivative_is_the_slope_of_the_one_before(row: str, order: int):
    lower, upper = FUNCTIONS[row].domain
    x = np.linspace(lower, upper, 12)
    step = 1e-20
    slope = np.imag(function_value(row, x + 1j * step, order - 1)) / step
    np.testing.assert_allclose(function_value(row, x, order), slope, rtol=1e-12, atol=1e-14)


def test_derivatives_are_written_in_argument_and_value():
    assert str(derivative("sigmoid", 1)) == "y*(1 - y)"


# Programs -------------------------------------------------------------------------------------------------------------

ELMAN = """
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
where f is tanh
"""


def elman(values: dict[str, Any], steps: int) -> tuple[Any, Any]:
    state = values.get("h^0", np.zeros(len(values["v"])))
    states = [state]
    for step in range(steps):
        states.append(np.tanh(values["W"] @ values["x"][step] + values["U"] @ states[-1]))
    return np.array(states), (values["v"] @ states[-1] - values["y"]) ** 2 / 2


@pytest.mark.parametrize("steps, d, n", [(5, 3, 2), (1, 1, 1), (3, 3, 3)])
@pytest.mark.parametrize("start_is_given", [True, False])
def test_a_recurrence_is_run_step_by_step(steps: int, d: int, n: int, start_is_given: bool):
    program = parse(ELMAN).program
    sizes = {"T": steps, "d": d, "n": n}
    _, values = draw(program, 0, sizes)
    if not start_is_given:
        del values["h^0"]
    results = run(program, sizes, values)
    states, loss = elman(values, sizes["T"])
    np.testing.assert_allclose(stacked(program, results, "h", sizes), states[1:], rtol=1e-13)
    np.testing.assert_allclose(gather(program, results, access("h", 0), sizes), states[0])
    np.testing.assert_allclose(results["loss", ()], loss, rtol=1e-13)


def test_the_order_of_equations_and_the_number_of_steps_do_not_matter():
    program = parse(ELMAN).program
    sizes = {"T": 2000, "d": 1, "n": 2}
    _, values = draw(program, 0, sizes)
    backwards = replace(program, equations=program.equations[::-1])
    np.testing.assert_allclose(run(backwards, sizes, values)["loss", ()], elman(values, 2000)[1], rtol=1e-12)


def test_a_fixed_value_replaces_its_equation_and_what_follows_changes():
    program = parse(ELMAN).program
    sizes, values = draw(program, 3)
    changed = run(program, sizes, values, fixed={("h", (1,)): np.zeros(sizes["n"])})
    later = {**values, "x": values["x"][1:], "h^0": np.zeros(sizes["n"])}
    np.testing.assert_allclose(changed["loss", ()], elman(later, sizes["T"] - 1)[1], rtol=1e-13)


def test_a_binding_of_the_caller_prevails():
    program = parse(ELMAN).program
    sizes, values = draw(program, 0)
    linear = run(program, sizes, values, functions={"f": "identity"})
    np.testing.assert_array_equal(linear["h", (1,)], linear["z", (1,)])


CONVOLUTION = Program(
    (size("n"), size("w"), size("p")),
    (
        Declaration("x", "given", (n,), zero_outside=True),
        Declaration("k", "learn", (size("w"),)),
        Declaration("y", "defined", (n + 2 * size("p") - size("w") + 1,)),
    ),
    (),
    (
        Equation(
            access("y", at=(i,)),
            ast.Sum(j, ZERO, size("w") - 1, ast.Product((access("k", at=(j,)), access("x", at=(i + j - size("p"),))))),
            (Range(i, ZERO, n + 2 * size("p") - size("w")),),
        ),
    ),
)


def test_an_equation_in_index_form_is_evaluated_entry_by_entry():
    sizes = {"n": 5, "w": 3, "p": 2}
    _, values = draw(CONVOLUTION, 0, sizes)
    expected = np.correlate(np.pad(values["x"], 2), values["k"], mode="valid")
    np.testing.assert_allclose(run(CONVOLUTION, sizes, values)["y", ()], expected, rtol=1e-13)


def test_an_entry_may_be_made_from_earlier_entries_of_the_same_array():
    running = Equation(
        access("s", at=(i,)),
        ast.Add((access("x", at=(i,)), ast.Guard((Within(i, ONE, n),), access("s", at=(i - 1,))))),
        (Range(i, ZERO, n - 1),),
    )
    program = Program((n,), (Declaration("x", "given", (n,)), Declaration("s", "defined", (n,))), (), (running,))
    np.testing.assert_allclose(run(program, {"n": 4}, {"x": np.arange(4.0)})["s", ()], [0, 1, 3, 6])


def grid(first_start: Expression | None = ast.ZERO) -> Program:
    """a^{k,t} = a^{k-1,t} + 2 a^{k,t-1} + x^t, over k = 1..2 and t = 0..T, zero outside."""
    times = (Range(k, ONE, sp.Integer(2)), Range(t, ZERO, T))
    value = ast.Add((access("a", k - 1, t), ast.Product((two, access("a", k, t - 1))), access("x", t)))
    return Program(
        (T,),
        (Declaration("x", "given", (), times[1:]), Declaration("a", "defined", (), times, zero_outside=True)),
        (Start(access("a", 0, t), first_start),),
        (Equation(access("a", k, t), value, times),),
    )


def test_two_superscripts_a_start_for_every_time_and_zero_outside():
    x = np.array([1.0, 10.0])
    results = run(grid(), {"T": 1}, {"x": x})
    np.testing.assert_allclose(stacked(grid(), results, "a", {"T": 1}), [[1, 12], [2, 26]])
    given = run(grid(None), {"T": 1}, {"x": x, "a^0,t": np.array([5.0, 7.0])})
    assert inputs(grid(None)) == ("x", "a^0,t")
    assert input_shape(grid(None), "a^0,t", {"T": 1}) == (2,)
    np.testing.assert_allclose(stacked(grid(), given, "a", {"T": 1}), [[6, 29], [7, 53]])


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, r"no value for x, an array of shape \(4, 2\)"),
        ({"V": np.ones(2)}, "the program has no array V"),
        ({"W": np.ones((2, 3))}, r"W must have shape \(3, 2\), got \(2, 3\)"),
    ],
)
def test_missing_unknown_and_misshapen_inputs_are_named(values: dict[str, Any], message: str):
    program = parse(ELMAN).program
    sizes, drawn = draw(program, 0, {"T": 4, "d": 2, "n": 3})
    with pytest.raises(EvaluationError, match=message):
        run(program, sizes, {**drawn, **values} if values else {})


def test_a_circle_and_a_gap_are_reported():
    declared = (Declaration("p", "defined", ()), Declaration("q", "defined", (), (Range(t, ONE, T),)))
    circle = Program((), declared[:1], (), (Equation(access("p"), ast.Negative(access("p"))),))
    with pytest.raises(EvaluationError, match="p is defined by itself"):
        run(circle, {}, {})
    gap = Program((T,), declared, (), (Equation(access("q", 1), ast.ONE), Equation(access("p"), access("q", T))))
    with pytest.raises(EvaluationError, match=r"nothing defines q\^2"):
        run(gap, {"T": 2}, {})


def test_drawn_sizes_are_small_and_distinct_and_make_whole_shapes():
    assert sorted(draw_sizes(parse(ELMAN).program, 5).values()) == [2, 3, 4]
    halves = Program((n, m), (Declaration("x", "given", (n / 2, n - m)),), (), ())
    sizes = draw_sizes(halves, 0)
    assert sizes["n"] % 2 == 0
    assert sizes["n"] > sizes["m"]


def test_drawn_inputs_are_where_a_logarithm_has_a_value():
    equation = Equation(access("loss"), ast.Call("sum", (ast.Apply("log", access("x")),)))
    program = Program((n,), (Declaration("x", "given", (n,)), Declaration("loss", "defined", ())), (), (equation,))
    _, values = draw(program, 0, {"n": 6})
    assert np.all(values["x"] > 0)


RELATED = """
sizes G, C, K, H, R, s default 1, p from 0 default 0
sizes O = number of i with s*i + R - 1 <= H + 2 p - 1
given x in R^((G C) x H), t in R^((G K) x O)
learn w in R^((G K) x C x R)
y[g*K + k, i] = sum over c, a of w[g*K + k, c, a] * x[g*C + c, s*i + a - p]
loss = squared(y, t)
convention outside is zero
"""


@pytest.mark.parametrize("seed", range(6))
def test_sizes_that_follow_are_drawn_with_the_others_and_every_entry_is_what_it_says(seed: int):
    program = parse(RELATED).program
    sizes, values = draw(program, seed)
    assert sizes["O"] == (sizes["H"] + 2 * sizes["p"] - sizes["R"]) // sizes["s"] + 1 >= 1
    x = np.pad(values["x"], ((0, 0), (sizes["p"], sizes["p"] + sizes["s"])))
    found = run(program, sizes, values)["y", ()]
    for m, i in itertools.product(range(sizes["G"] * sizes["K"]), range(sizes["O"])):
        group, start = m // sizes["K"] * sizes["C"], sizes["s"] * i
        window = x[group : group + sizes["C"], start : start + sizes["R"]]
        np.testing.assert_allclose(found[m, i], np.sum(values["w"][m] * window), rtol=1e-12)


def test_sizes_that_contradict_what_they_follow_from_are_refused():
    program = parse(RELATED).program
    sizes = {"G": 1, "C": 1, "K": 1, "H": 4, "R": 2, "s": 1, "p": 0}
    assert completed(program, sizes)["O"] == 3
    with pytest.raises(EvaluationError, match=r"O = 4, but O = 3, the number of i with .*H = 4"):
        completed(program, {**sizes, "O": 4})
    with pytest.raises(EvaluationError, match=r"O = 0: no i with .*H = 4, R = 9"):
        completed(program, {**sizes, "R": 9})
    with pytest.raises(EvaluationError, match="no value for the size s, of which O is made"):
        completed(program, {name: value for name, value in sizes.items() if name != "s"})
