from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.calculus.slopes import named_value, with_slopes, written_out
from derive.calculus.stages import scope_of, split
from derive.evaluate import scope_of as values_scope
from derive.evaluate import value
from derive.language import expression as ast
from derive.language.expression import Access, Expression, index
from derive.language.functions import FUNCTIONS
from derive.language.parser import parse
from derive.language.printer import expression_source
from derive.language.system import Declaration, Program
from tests.derive.calculus.arrays import N, number

STEP = 1e-6
KINKED = {name: row for name, row in FUNCTIONS.items() if row.kink}
SCOPE = {"s": Declaration("s", "given", ()), "q": Declaration("q", "given", (N,))}


def written(name: str, argument: Expression) -> Expression:
    """f'(x) of one row of the table as an expression, f(x) written out."""
    return written_out(FUNCTIONS[name].slope, argument, ast.Apply(name, argument), SCOPE)


def at(expression: Expression, point: float) -> float:
    arrays = {("s", ()): np.float64(point), ("q", ()): np.array([point, point])}
    shapes = {"s": (), "q": (N,)}
    return value(expression, values_scope(arrays, shapes, {"n": 2}, {}))


def function(name: str, point: float) -> float:
    return float(FUNCTIONS[name].evaluate(np, np.float64(point)))


def away_from_kinks(name: str) -> np.ndarray:
    low, high = FUNCTIONS[name].domain
    points = np.linspace(low, high, 11)
    return points[np.abs(points) > 0.01] if FUNCTIONS[name].kink else points[1:-1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_slope_written_out_is_the_slope(name: str):
    for point in away_from_kinks(name):
        wanted = (function(name, point + STEP) - function(name, point - STEP)) / (2 * STEP)
        assert at(written(name, Access("s")), point) == pytest.approx(wanted, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_an_array_the_slope_is_taken_entry_by_entry(name: str):
    for point in away_from_kinks(name):
        scalar = at(written(name, Access("s")), point)
        np.testing.assert_allclose(at(written(name, Access("q")), point), [scalar, scalar], rtol=1e-14)


@pytest.mark.parametrize("name", KINKED)
def test_at_a_kink_the_slope_is_what_the_row_says(name: str):
    """Every row with a kink or a pole at 0 says 0; at a kink that is a value between the slopes on both sides."""
    assert "the slope at 0 is taken as 0" in KINKED[name].kink or "the slope there as 0" in KINKED[name].kink
    assert at(written(name, Access("s")), 0.0) == 0
    if FUNCTIONS[name].domain[0] < 0:
        sides = [at(written(name, Access("s")), side) for side in (-STEP, STEP)]
        assert min(sides) <= 0 <= max(sides)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_slope_follows_from_the_row(name: str):
    """f'' as the evaluator has it is the difference quotient of the slope written out."""
    second = ast.Apply(name, Access("s"), 2)
    for point in away_from_kinks(name):
        low, high = (at(written(name, Access("s")), point + side * STEP) for side in (-1, 1))
        assert at(second, point) == pytest.approx((high - low) / (2 * STEP), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.steepest is not None])
def test_no_slope_is_steeper_than_the_row_says(name: str):
    slopes = [abs(at(written(name, Access("s")), point)) for point in np.linspace(-6, 6, 241) if point]
    assert max(slopes) <= (FUNCTIONS[name].steepest or 0) + 1e-12


SYSTEM = """
title  Two functions
sizes  T steps, n hidden
given  x^t in R^n for t = 1..T
start  h^0 = 0
for t = 1..T:
    z^t = x^t + h^{t-1}
    h^t = f(z^t)
    e^t = <h^t, h^t>
end
loss = sum over t = 1..T of e^t
where  f is tanh
"""


@pytest.fixture
def program() -> Program:
    return split(parse(SYSTEM).program)


def test_a_value_that_has_a_name_is_written_by_it(program: Program):
    t = index("t")
    slope = ast.Apply("f", Access("z", (t + 1,)), 1)
    found = with_slopes(slope, program, scope_of(program))
    after = Access("h", (t + 1,))
    assert found == ast.Add((number(1), ast.Negative(ast.Hadamard((after, after)))))


def test_an_entry_of_a_named_array_is_the_entry_of_its_value(program: Program):
    t, i = index("t"), index("i")
    assert named_value(ast.Apply("f", Access("z", (t,), (i,))), program) == Access("h", (t,), (i,))


def test_a_value_without_a_name_stays(program: Program):
    other = ast.Apply("f", Access("x", (index("t"),)))
    assert named_value(other, program) == other


def test_an_opaque_function_keeps_its_prime(program: Program):
    opaque = ast.Apply("g", Access("z", (index("t"),)), 1)
    assert with_slopes(opaque, program, scope_of(program)) == opaque


def test_what_the_tables_cannot_say_is_refused():
    with pytest.raises(TypeError, match="no form in the language"):
        written_out(sp.Symbol("other"), Access("s"), Access("s"), SCOPE)


@pytest.mark.parametrize("slope", [0, 1, 2, sp.Rational(-3, 2)])
def test_a_slope_that_is_a_number_is_that_number_in_every_entry(slope: int | sp.Rational):
    found = written_out(sp.sympify(slope), Access("q"), Access("q"), SCOPE)
    np.testing.assert_array_equal(at(found, 0.5), [float(slope)] * 2)


def test_a_slope_reads_as_people_write_it():
    assert expression_source(written("sigmoid", Access("s"))) == "sigmoid(s) (1 - sigmoid(s))"
    assert expression_source(written("log", Access("s"))) == "1 / s"
