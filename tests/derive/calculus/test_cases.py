from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.calculus.cases import cases
from derive.evaluate import gather, run
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, Within, index, size
from derive.language.system import Declaration, Equation, Program, Range

t, T, n = index("t"), size("T"), size("n")
ONE = sp.Integer(1)
SPAN = Range(t, ONE, T)
SCOPE = {
    "v": Declaration("v", "given", (n,)),
    "x": Declaration("x", "given", (n,), (SPAN,)),
    "U": Declaration("U", "given", (n, n)),
    "delta": Declaration("delta", "defined", (n,), (SPAN,), zero_outside=True),
}
v, x = Access("v"), Access("x", (t,))
BACK = ast.Product((ast.Transpose(Access("U")), Access("delta", (t + 1,))))


def where(body: Expression, lower: Integer, upper: Integer) -> Expression:
    return ast.Guard((Within(t, lower, upper),), body)


SAMPLES: dict[str, tuple[Expression, int, bool]] = {
    "the same everywhere": (x, 1, False),
    "the last step alone, then the recursion": (ast.Add((where(v, T, T), where(BACK, ONE, T - 1))), 2, False),
    "a recursion that ends by itself": (ast.Add((x, where(BACK, ONE, T - 1))), 1, True),
    "zero but for the last step": (where(v, T, T), 2, False),
    "three stretches": (ast.Add((where(v, T, T), where(x, T - 1, T - 1))), 3, False),
    "an access outside its range is not read": (ast.Add((v, where(Access("x", (t + 1,)), ONE, T - 1))), 2, False),
    "a condition inside stays inside": (ast.Hadamard((x, ast.Add((where(v, T, T), v)))), 1, False),
}


def values(value: Expression, steps: int) -> np.ndarray:
    """delta^t at every step, computed by its equation."""
    equation = Equation(Access("delta", (t,)), value, (SPAN,))
    program = Program((T, n), tuple(SCOPE.values()), (), (equation,))
    rng = np.random.default_rng(0)
    sizes = {"T": steps, "n": 2}
    inputs = {"v": rng.normal(size=2), "x": rng.normal(size=(steps, 2)), "U": rng.normal(size=(2, 2))}
    return gather(program, run(program, sizes, inputs), Access("delta", (t,)), sizes)


@pytest.mark.parametrize("name", SAMPLES)
def test_stretches_are_as_many_as_people_write(name: str):
    value, count, ends_by_zero = SAMPLES[name]
    told = cases(Equation(Access("delta", (t,)), value, (SPAN,)), SCOPE)
    assert len(told.cases) == count
    assert told.zero_beyond == ((Access("delta", (T + 1,)),) if ends_by_zero else ())


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_stretches_together_are_the_equation(name: str, steps: int):
    value, _, _ = SAMPLES[name]
    told = cases(Equation(Access("delta", (t,)), value, (SPAN,)), SCOPE)
    np.testing.assert_allclose(values(told.together(), steps), values(value, steps), rtol=1e-13)


def test_the_latest_stretch_comes_first_and_a_point_is_put_in():
    told = cases(Equation(Access("delta", (t,)), ast.Add((where(v, T, T), where(BACK, ONE, T - 1))), (SPAN,)), SCOPE)
    last, earlier = told.cases
    assert (last.target, last.value, last.is_point, last.at) == (Access("delta", (T,)), v, True, {t: T})
    assert (earlier.target, earlier.value, earlier.lower, earlier.upper) == (Access("delta", (t,)), BACK, 1, T - 1)
    assert earlier.at == {}


def test_an_equation_without_time_is_one_case():
    told = cases(Equation(Access("v"), x), SCOPE)
    assert [case.value for case in told.cases] == [x]
    assert told.together() == x
