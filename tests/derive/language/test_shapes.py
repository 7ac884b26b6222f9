"""The shape of every kind of node, and where it is found by inference alone."""

from __future__ import annotations

from typing import get_args

import pytest

from derive.language.errors import ShapeMismatch
from derive.language.expression import Expression, size, walk
from derive.language.parser import parse, parse_expression
from derive.language.printer import space
from derive.language.shapes import shape_of

PROGRAM = parse(
    """
    sizes T steps, d inputs, n hidden
    given x^t in R^d for t = 1..T, y in R
    learn W in R^(n x d), U in R^(n x n), v in R^n, b in R^d
    loss = y
    """
).program

SHAPES = {
    "3": "R",
    "T": "R",
    "x^t": "R^d",
    "W[i, j]": "R",
    "1 - v": "R^n",
    "-W": "R^(n x d)",
    "y W b": "R^n",
    "v b'": "R^(n x d)",
    "v' U": "R^(1 x n)",
    "v' U v": "R",
    "v' v b": "R^d",
    "v .* v": "R^n",
    "1 / v": "R^n",
    "W / y": "R^(n x d)",
    "v.^2": "R^n",
    "W'": "R^(d x n)",
    "v'": "R^(1 x n)",
    "(v' U)'": "R^n",
    "<W, W>": "R",
    "tanh(W)": "R^(n x d)",
    "softmax(v)": "R^n",
    "sum(W)": "R",
    "trace(U)": "R",
    "diag(v)": "R^(n x n)",
    "sum over t = 1..T of x^t": "R^d",
    "product over t = T down to 1 of U": "R^(n x n)",
    "[i = j] W": "R^(n x d)",
    "I_d": "R^(d x d)",
    "zeros(n, d)": "R^(n x d)",
    "ones(n)": "R^n",
    "kron(W, U)": "R^(n^2 x d*n)",
    "kron(v, b)": "R^(d*n)",
    "kron(b', I_n)": "R^(n x d*n)",
    "vec(W)": "R^(d*n)",
    "block((U, W), (U, W))": "R^(2*n x (d + n))",
    "block((v), (b))": "R^(d + n)",
    "v[1..3]": "R^3",
    "W[i, 0..d - 1]": "R^d",
    "logsumexp over i = 0..3 of v[i]": "R",
    "max over i = 0..3 of v[i]": "R",
    "max over t = 1..2 of x^t": "R^d",
    "share of i in max over j = 0..3 of v[j]": "R",
    "U^-1": "R^(n x n)",
    "solve(U, W)": "R^(n x d)",
    "expm(U)": "R^(n x n)",
    "logdet(U)": "R",
    "norm(W)": "R",
    "concat(v, b)": "R^(d + n)",
    "outer(v, b)": "R^(n x d)",
    "∂loss/∂W": "R^(n x d)",
    "∂x^t/∂W": "R^(d x d*n)",
}

WRONG = ("W v", "v v", "v + b", "v .* b", "W / v", "2^v", "<v, b>", "softmax(W)", "trace(W)", "diag(W)", "U W'",
         "inv(W)", "solve(U, b)", "det(v)",
         "v[0, 1]", "(1 - v)[0, 1]", "outer(W, v)", "dexpm(U, W)", "W^-1",
         "product over t = 1 up to T of W", "block((U, b), (U, v))")  # fmt: skip


@pytest.mark.parametrize("text, shape", SHAPES.items(), ids=SHAPES)
def test_an_expression_has_its_shape(text: str, shape: str):
    expression = parse_expression(text, PROGRAM, "tij")
    assert space(shape_of(expression, PROGRAM)) == shape
    assert space(shape_of(expression, {entry.name: entry for entry in PROGRAM.declarations})) == shape


def test_every_kind_of_node_has_an_example():
    seen = {type(node) for text in SHAPES for node in walk(parse_expression(text, PROGRAM, "tij"))}
    assert seen == set(get_args(Expression))


@pytest.mark.parametrize("text", WRONG)
def test_parts_that_do_not_fit_are_refused(text: str):
    with pytest.raises(ShapeMismatch) as caught:
        parse_expression(text, PROGRAM, "tij")
    assert caught.value.repair or caught.value.message


INFERRED = {
    "through a recurrence": ("h^t = tanh(W x^t + U h^{t-1})", "start h^0 = 0", "R^n"),
    "the state first": ("h^t = tanh(U h^{t-1} + W x^t)", "start h^0 = 0", "R^n"),
    "a leak": ("h^t = (1 - a) h^{t-1} + a tanh(W x^t)", "start h^0 = 0", "R^n"),
    "from the start alone": ("h^t = (1 - a) h^{t-1}", "start h^0 = v", "R^n"),
    "from a space": ("h^t = a h^{t-1}", "start h^0 in R^(n x d)", "R^(n x d)"),
    "a matrix takes a vector": ("h^t = U h^{t-1}", "start h^0 = 0", "R^n"),
    "else a number": ("h^t = a h^{t-1} + 1", "start h^0 = 0", "R"),
    "by index": ("h^t[i] = sum over j of U[i,j] * h^{t-1}[j]", "start h^0 = 0", "R^n"),
    "an outer product": ("h^t = h^{t-1} + v x^t'", "start h^0 = 0", "R^(n x d)"),
}


@pytest.mark.parametrize("equation, start, shape", INFERRED.values(), ids=INFERRED)
def test_the_shape_of_a_state_is_inferred(equation: str, start: str, shape: str):
    program = parse(
        f"""
        sizes T steps, d inputs, n hidden
        given x^t in R^d for t = 1..T, a in R
        learn W in R^(n x d), U in R^(n x n), v in R^n
        {start}
        for t = 1..T:
            {equation}
        end
        loss = <h^T, h^T>
        """
    ).program
    assert space(program.declaration("h").shape) == shape
    (over,) = program.declaration("h").superscripts
    assert (over.lower, over.upper) == (1, size("T"))
