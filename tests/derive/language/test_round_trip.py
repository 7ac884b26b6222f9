"""What is printed is read back as the same thing: the catalogue, awkward systems, and random ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive import catalogue
from derive.language.parser import parse, parse_expression
from derive.language.printer import equation_source, expression_source, source
from derive.language.system import System

AWKWARD = {
    "gates": """
        sizes T steps, d inputs, n hidden
        given x^t in R^d for t = 1..T, y in R
        learn Wf, Wi, Wo, Wg in R^(n x d), Uf, Ui, Uo, Ug in R^(n x n), v in R^n
        start h^0 = 0, c^0 in R^n
        for t = 1..T:
            f^t = sigmoid(Wf x^t + Uf h^{t-1})
            i^t = sigmoid(Wi x^t + Ui h^{t-1})
            o^t = sigmoid(Wo x^t + Uo h^{t-1})
            g^t = tanh(Wg x^t + Ug h^{t-1})
            c^t = f^t .* c^{t-1} + i^t .* g^t
            h^t = o^t .* tanh(c^t)
        end
        loss = squared(<v, h^T>, y)
    """,
    "convolution": """
        sizes C channels, K kernels, m out, w width, N in, s = 2, d = 1, p = 1
        given x in R^(C x N), y in R^(K x m)
        learn k in R^(K x C x w)
        h[q,i] = sum over c,a of k[q,c,a] * x[c, s*i + d*a - p] for i = 0..m-1
        loss = <h - y, h - y> / 2
        convention outside is zero
    """,
    "encoder and decoder": """
        sizes S source, T target, d inputs, n hidden
        given x^s in R^d for s = 1..S, y^t in R^d for t = 0..T
        learn W in R^(n x d), U, A in R^(n x n), B in R^(n x d), V in R^(d x n)
        start h^0 = 0, g^0 = h^S
        for s = 1..S:
            h^s = tanh(W x^s + U h^{s-1})
        end
        for t = 1..T:
            g^t = tanh(B y^{t-1} + A g^{t-1})
            loss^t = cross_entropy(V g^t, y^t)
        end
        loss = sum_t loss^t / T
    """,
    "attention": """
        sizes T steps, d inputs, n hidden
        given x^t in R^d for t = 1..T, y^t in R for t = 1..T
        learn W in R^(n x d), U, Q in R^(n x n), v in R^n
        start h^0 = 0
        for t = 1..T:
            h^t = tanh(W x^t + U h^{t-1})
        end
        for t = 1..T, s = 1..T:
            e^{t,s} = <h^t, Q h^s>
            w^{t,s} = exp(e^{t,s}) / sum over q = 1..T of exp(e^{t,q})
        end
        for t = 1..T:
            c^t = sum over s = 1..T of w^{t,s} h^s
            r^t = squared(<v, c^t>, y^t)
        end
        loss = sum over t = 1..T of r^t
    """,
    "two states that feed each other": """
        sizes T steps, n hidden
        learn A, B in R^(n x n), a0, b0 in R^n "first values"
        start a^0 = a0, b^0 = b0, b^{-1} = 1
        for t = 1..T:
            a^t = q(A b^{t-2} + a^{t-1})
            b^t = q(B a^t) - b^{t-1}
        end
        loss = <a^T, b^T> - sum(b^T) / T
        where q is opaque
    """,
    "a step ahead on the left": """
        sizes T steps, n hidden
        learn U in R^(n x n), h0 in R^n
        start h^0 = h0
        for t = 0..T-1:
            h^{t+1} = (I - U^2) h^t + U U' h^t
        end
        loss = <h^T, h^T> + trace(U^T U)
    """,
    "a grid": """
        sizes M rows, N columns
        given x^{i,j} in R for i = 1..M for j = 1..N, left^i in R for i = 1..M
        learn a in R, b in R
        for i = 1..M, j = 1..N:
            g^{i,j} = a x^{i,j} + b left^i
        end
        loss = sum over i = 1..M of sum over j = 1..N of g^{i,j}
    """,
    "conditions and blocks": """
        sizes n, m
        learn U in R^(n x n), v in R^n
        A = (I - U)' + diag(2 * U[0,0] * ones(n)) - [n divides 3] * U
        B = block((A, v), (v', U[0,0] + 1))
        loss = sum(A .^2) + trace(B) + [1 <= n <= 3] U[0,0] + <vec(U), kron(v, v)> - -1 * v[0]
    """.replace("- -1 * v[0]", "- (-1) * v[0]"),
    "given before and after": """
        learn b in R
        given a in R
        learn c in R
        sizes n words, k = 3, m
        loss = a b c / k + 0.125 a - 3e-2 * c
        source One, two.
        source Three.
    """,
}

SYSTEMS = {name: catalogue.load(name) for name in catalogue.names()}
SYSTEMS |= {name: parse(text, name) for name, text in AWKWARD.items()}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_system_printed_and_read_is_the_same_system(system: System):
    assert parse(source(system), system.name) == system


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_printing_what_was_printed_changes_nothing(system: System):
    assert source(parse(source(system), system.name)) == source(system)


def test_the_catalogue_prints_as_it_was_written():
    """But for losses, which are written out, and for lines joined where they fit."""
    printed = source(catalogue.load("elman"))
    assert printed == catalogue.text("elman")


FORMS = (
    "({} + {})",
    "({} - {})",
    "({}) .* ({})",
    "U ({})",
    "U' ({})",
    "f({})",
    "-({})",
    "(a (1 - a)) ({})",
    "({}) / 3",
    "({}).^2",
    "diag({0}) ({0})",
    "<{0}, b> ({0})",
    "({} + sum over k = 1..T of W x^k)",
    "{} + b v' ({})",
    "(f'({})) .* ({})",
)
"""What is built from inner expressions; {0} twice uses the same one twice."""


@st.composite
def random_systems(draw: st.DrawFn) -> str:
    """One to three states of lags up to two, coupled within and across steps, in expressions of depth three."""
    count = draw(st.integers(1, 3))
    states = ["h", "g", "q"][:count]
    lags = {state: draw(st.integers(1, 2)) for state in states}
    atoms = ["W x^t", "b", "x0"] + [f"{state}^{{t-{lag}}}" for state in states for lag in range(1, lags[state] + 1)]

    def expression(known: list[str], depth: int) -> str:
        if depth == 0 or draw(st.booleans()):
            return draw(st.sampled_from([*atoms, *known]))
        form = draw(st.sampled_from(FORMS))
        parts = [expression(known, depth - 1) for _ in range(form.count("{}"))]
        return form.format(*parts) if parts else form.replace("{0}", expression(known, depth - 1))

    lines: list[str] = []
    for position, state in enumerate(states):
        known = [f"{other}^t" for other in states[:position]]
        lines.append(f"    {state}^t = W x^t + {expression(known, 3)}")
    starts = ", ".join(f"{state}^{{{1 - lag}}} = 0" for state in states for lag in range(1, lags[state] + 1))
    lines = draw(st.permutations(lines))
    outputs = " + ".join(f"<v, {state}^T>" for state in states)
    return "\n".join(
        [
            "title Random",
            "sizes T steps, d inputs, n hidden",
            "given x^t in R^d for t = 1..T, y, a in R",
            "learn W in R^(n x d), U in R^(n x n), b, v, x0 in R^n",
            f"start {starts}",
            "for t = 1..T:",
            *lines,
            "end",
            f"yhat = {outputs}",
            "loss = squared(yhat, y) + sum over t = 1..T of <h^t, h^t> / T",
            "where f is tanh",
        ]
    )


@settings(max_examples=60)
@given(random_systems())
def test_a_random_system_printed_and_read_is_the_same_system(text: str):
    system = parse(text)
    assert parse(source(system)) == system


@settings(max_examples=60)
@given(random_systems())
def test_each_right_side_printed_and_read_is_the_same_expression(text: str):
    program = parse(text).program
    for equation in program.equations:
        printed = expression_source(equation.value, program)
        assert parse_expression(printed, program, "t") == equation.value


def test_an_equation_is_printed_with_the_ranges_of_its_subscripts():
    program = parse(AWKWARD["convolution"]).program
    text = equation_source(program.equations[0], program)
    assert text.startswith("h[q, i] = sum over c = 0..C-1 of sum over a = 0..w-1 of k[q, c, a] * ")
    assert text.endswith(" for q = 0..K-1 for i = 0..m-1")


def test_a_name_with_and_without_a_superscript_is_printed_as_it_was_written():
    system = catalogue.load("elman-aligned")
    assert {"loss", "loss_step"} <= {entry.name for entry in system.program.declarations}
    assert "loss^t = " in source(system)
    assert "loss_step" not in source(system)


def test_positions_do_not_count_when_systems_are_compared():
    text = catalogue.text("elman")
    assert parse("\n\n" + text.replace("W x^t", "W   x^t"), "elman") == catalogue.load("elman")
    assert replace(catalogue.load("elman"), title="Other") != catalogue.load("elman")
