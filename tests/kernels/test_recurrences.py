"""Recurrences of every form the language can say, forward: lags, several equations, sums over the past, two times."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive import evaluate
from derive.language import expression as ast
from derive.language.expression import Access, Apply, index, size
from derive.language.system import Declaration, Equation, Program, Range, Start
from kernels.inputs import checked, expected
from kernels.prepare import Result, numbers, prepared
from kernels.schedule import Work, bound
from kernels.variant import Wording, variant

t, s, layer = index("t"), index("s"), index("l")
T, n, L = size("T"), size("n"), size("L")
ZERO, ONE, TWO = map(sp.Integer, range(3))
STEPS, LATER, LAYERS = Range(t, ONE, T), Range(t, TWO, T), Range(layer, ONE, L)
x, U = Access("x", (t,)), Access("U")


def h(*steps: sp.Expr) -> Access:
    return Access("h", steps)


def g(*steps: sp.Expr) -> Access:
    return Access("g", steps)


def tanh(*terms: ast.Expression) -> ast.Expression:
    return Apply("tanh", ast.Add(terms))


def past(body: ast.Expression, last: sp.Expr = t - 1) -> ast.Expression:
    return ast.Sum(s, ONE, last, body)


def state(name: str, *ranges: Range, zero_outside: bool = False) -> Declaration:
    return Declaration(name, "defined", (n,), ranges or (STEPS,), zero_outside=zero_outside)


FROM_START = Start(h(ZERO), None)
IN_TWO_EQUATIONS = (
    (state("h"), state("g")),
    (FROM_START,),
    (
        Equation(h(ONE), tanh(h(ZERO))),
        Equation(h(t), tanh(g(t - 1), x), (LATER,)),
        Equation(g(t), tanh(h(t)), (STEPS,)),
    ),
)
ATTENTION = ast.Product((ast.Inner(x, Access("x", (s,))), ast.Product((U, Access("x", (s,))))))

FORMS: dict[str, tuple[tuple[Declaration, ...], tuple[Start, ...], tuple[Equation, ...]]] = {
    "the sum of all earlier states": ((state("h"),), (), (Equation(h(t), tanh(x, past(h(s))), (STEPS,)),)),
    "a matrix times the sum of all earlier states": (
        (state("h"),),
        (),
        (Equation(h(t), tanh(x, ast.Product((U, past(h(s))))), (STEPS,)),),
    ),
    "the sum of a matrix times each earlier state": (
        (state("h"),),
        (),
        (Equation(h(t), tanh(x, past(ast.Product((U, h(s))))), (STEPS,)),),
    ),
    "attention to the past": ((state("h"),), (), (Equation(h(t), ast.Add((x, past(ATTENTION, t))), (STEPS,)),)),
    "from the last step to the first": (
        (state("h", zero_outside=True),),
        (),
        (Equation(h(t), tanh(x, h(t + 1), h(t + 2)), (STEPS,)),),
    ),
    "one equation for the first step and one for the others": IN_TWO_EQUATIONS,
    "the input read backwards": (
        (state("h"),),
        (FROM_START,),
        (Equation(h(t), tanh(h(t - 1), Access("x", (T + 1 - t,))), (STEPS,)),),
    ),
    "a target one step ahead": (
        (state("h"),),
        (Start(h(ONE), None),),
        (Equation(h(t + 1), tanh(h(t), x), (Range(t, ONE, T - 1),)),),
    ),
    "steps in one direction and layers in another": (
        (state("h", LAYERS, STEPS),),
        (Start(h(layer, ZERO), None), Start(h(ZERO, t), None)),
        (Equation(h(layer, t), tanh(ast.Product((U, h(layer, t - 1))), h(layer - 1, t), x), (LAYERS, STEPS)),),
    ),
}


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", FORMS)
def test_the_last_array_of_a_program_is_the_evaluators(form: str, jit: bool):
    declarations, starts, equations = FORMS[form]
    inputs = (Declaration("x", "given", (n,), (STEPS,)), Declaration("U", "learn", (n, n)))
    sizes = (L, T, n) if "layers" in form else (T, n)
    program = bound(Program(sizes, (*inputs, *declarations), starts, equations), {})
    wanted = declarations[-1]
    for values in ({"T": 5, "n": 3, "L": 2}, {"T": 2, "n": 1, "L": 1}, {"T": 1, "n": 2, "L": 2}):
        if "ahead" in form and values["T"] == 1:
            continue
        found, reference = both(program, wanted, {size.name: values[size.name] for size in sizes}, jit)
        np.testing.assert_allclose(found, reference, rtol=1e-12, atol=1e-12)


def both(program: Program, wanted: Declaration, sizes: dict[str, int], jit: bool) -> tuple[np.ndarray, np.ndarray]:
    """The values of ``wanted`` for a batch of two, by the kernel and by the evaluator."""
    random, table = np.random.default_rng(0), expected(program)
    shapes = {key: numbers(item.shape, sizes) for key, item in table.items() if item.role != "size"}
    parameters = {"U": random.standard_normal(shapes.pop("U"))}
    sequences = [{key: random.standard_normal(shape) for key, shape in shapes.items()} for _ in range(2)]
    inputs = {key: np.stack([sequence[key] for sequence in sequences]) for key in shapes}
    access = Access(wanted.name, tuple(item.index for item in wanted.superscripts))
    reading = Access("first", (), ())
    first = Equation(reading, ast.Inner(x_at_one := Access("x", (ONE,)), x_at_one))
    with_loss = Program(
        program.sizes,
        (*program.declarations, Declaration("first", "defined", ())),
        program.starts,
        (*program.equations, first),
    )
    made = variant(Work(with_loss, (reading, access), {}, averaged=False), Wording("", {}, ""), "form", "float64", jit)
    given = checked(with_loss, table, parameters, inputs, np.dtype("float64"))
    ready = prepared(made, given, [Result("it", access, wanted.superscripts)], "float64", inputs)
    arrays = [given.arrays[argument.name] for argument in made.inputs]
    for position, change in ready.changes:
        arrays[position] = change(arrays[position])
    ((name, shape),) = ready.outputs
    found = np.full(shape, np.nan)
    made.function(ready.numbers, ready.allocate(), *arrays, found)
    ((_, _, change),) = ready.results or ((name, name, None),)
    found = found if change is None else change(found)
    runs = [evaluate.run(program, sizes, {**parameters, **sequence}) for sequence in sequences]
    return found, np.stack([evaluate.stacked(program, run, wanted.name, sizes) for run in runs])
