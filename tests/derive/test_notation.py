"""How expressions are written: a table of what an author would write, and parentheses exactly where they are needed."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from derive.evaluate import EvaluationError, scope_of, value
from derive.handout.formula import Identifier
from derive.handout.plain import plain
from derive.language import expression as ast
from derive.language.errors import DefinitionError
from derive.language.expression import Access, Expression, Number, Transpose, Within, index, size
from derive.language.parser import parse, parse_expression
from derive.language.system import Declaration, Equation, Program, Range
from derive.notation import (
    Names,
    definition,
    equation_formula,
    integer_formula,
    latex,
    names_of,
    shape_formula,
    start_formula,
    text,
    unrolled_product,
)

a_, i, j, k, m_, t = map(index, ("a", "i", "j", "k", "m", "t"))
T, n, d, p, s = map(size, ("T", "n", "d", "p", "s"))
ZERO, ONE = sp.Integer(0), sp.Integer(1)


def access(name: str, *superscripts: sp.Expr | int, at: tuple[sp.Expr, ...] = ()) -> Access:
    return Access(name, tuple(map(sp.sympify, superscripts)), at)


def product(*factors: Expression) -> ast.Product:
    return ast.Product(factors)


U, W, v, x, y, yhat, A, B = (access(name) for name in ("U", "W", "v", "x", "y", "yhat", "A", "B"))
h, z, D = access("h", t), access("z", t), access("D", j)
before = access("h", t - 1)
half = Number(Fraction(1, 2))
chain = ast.OrderedProduct(j, t, k + 1, product(Transpose(U), D))

WRITTEN: list[tuple[Expression, str | None, str]] = [
    # names
    (access("W_hh"), "W_{hh}", "Wₕₕ"),
    (access("W_out"), r"W_{\mathrm{out}}", "Wₒᵤₜ"),
    (access("z1"), "z_{1}", "z₁"),
    (access("delta_z1", t), r"\delta_{z_{1}}^{t}", "δ_{z₁}ᵗ"),
    (access("thetahat"), r"\hat{\theta}", "θ̂"),
    (access("grad_x", t), r"\frac{\partial\ell}{\partial x^{t}}", "∂ℓ/∂xᵗ"),
    (access("grad_W", at=(i, j)), r"\frac{\partial\ell}{\partial W_{ij}}", "∂ℓ/∂Wᵢⱼ"),
    (product(access("d_U"), before), r"dU\, h^{t - 1}", "dU hᵗ⁻¹"),
    (product(U, access("d_h", t - 1)), r"U\, dh^{t - 1}", "U dhᵗ⁻¹"),
    (access("loss_step", t), r"\ell_{\mathrm{step}}^{t}", "ℓₛₜₑₚᵗ"),
    (ast.Derivative(access("h", T), access("h", k)), r"\frac{\partial h^{T}}{\partial h^{k}}", "∂h^T/∂hᵏ"),
    # indices
    (access("x", at=(index("c"), s * i + a_ - p)), "x_{c, si + a - p}", "x_{c,si+a−p}"),
    (access("W_hh", at=(i, j)), "(W_{hh})_{ij}", "(Wₕₕ)ᵢⱼ"),
    (access("x", t, at=(i,)), "x_{i}^{t}", "xᵢᵗ"),
    (access("h", 2 - t), "h^{2 - t}", "h²⁻ᵗ"),
    # superscripts and transposes
    (Transpose(U), r"U^{\top}", "Uᵀ"),
    (Transpose(before), r"(h^{t - 1})^{\top}", "(hᵗ⁻¹)ᵀ"),
    (Transpose(access("W_hh")), r"W_{hh}^{\top}", "Wₕₕᵀ"),
    (ast.Power(h, Number(Fraction(2))), "(h^{t})^{2}", "(hᵗ)²"),
    (Transpose(product(U, W)), r"(UW)^{\top}", "(U W)ᵀ"),
    # signs
    (ast.Add((yhat, ast.Negative(y))), r"\hat{y} - y", "ŷ − y"),
    (ast.Add((ast.Negative(x), ast.Negative(ast.Add((y, v))))), "-x - (y + v)", "−x − (y + v)"),
    (ast.Add((x, ast.Add((y, v)))), "x + y + v", "x + y + v"),
    (ast.Add((x, Number(Fraction(-2)))), "x - 2", "x − 2"),
    (product(x, ast.Negative(y)), "x(-y)", "x(−y)"),
    (product(ast.Negative(x), y), "-xy", "−x y"),
    (ast.Negative(ast.Negative(x)), "-(-x)", "−(−x)"),
    # products
    (product(U, ast.Add((x, y))), "U(x + y)", "U(x + y)"),
    (product(Number(Fraction(2)), x, Number(Fraction(3))), r"2x \cdot 3", "2x ⋅ 3"),
    (product(half, x), r"\frac{1}{2}x", "1/2 x"),
    (ast.Hadamard((ast.Apply("f", z, 1), x)), r"f'(z^{t}) \odot x", "f′(zᵗ) ⊙ x"),
    (ast.Hadamard((product(U, x), v)), r"(Ux) \odot v", "(U x) ⊙ v"),
    (product(U, ast.Hadamard((x, v))), r"U(x \odot v)", "U(x ⊙ v)"),
    (ast.Inner(v, h), r"\langle v, h^{t}\rangle", "⟨v, hᵗ⟩"),
    (ast.Kronecker(Transpose(before), ast.Identity(n)), r"(h^{t - 1})^{\top} \otimes I_{n}", "(hᵗ⁻¹)ᵀ ⊗ Iₙ"),
    # quotients
    (
        ast.Quotient(ast.Power(ast.Add((yhat, ast.Negative(y))), Number(Fraction(2))), Number(Fraction(2))),
        r"\frac{1}{2}(\hat{y} - y)^{2}",
        "1/2 (ŷ − y)²",
    ),
    (ast.Quotient(x, ast.SizeValue(T)), r"\frac{x}{T}", "x/T"),
    (ast.Quotient(ast.Sum(t, ONE, T, h), ast.SizeValue(T)), r"\frac{1}{T}\sum_{t = 1}^{T}h^{t}", "1/T Σ_{t=1}^{T} hᵗ"),
    (ast.Quotient(ONE_ := Number(Fraction(1)), ast.Add((ONE_, x))), r"\frac{1}{1 + x}", "1/(1 + x)"),
    # functions
    (ast.Apply("tanh", z), r"\tanh(z^{t})", "tanh(zᵗ)"),
    (ast.Apply("tanh", z, 1), r"\tanh'(z^{t})", "tanh′(zᵗ)"),
    (ast.Apply("sigmoid", z, 2), r"\sigma''(z^{t})", "σ′′(zᵗ)"),
    (ast.Call("softmax", (x,)), r"\operatorname{softmax}(x)", "softmax(x)"),
    (ast.Call("inv", (A,)), "A^{-1}", "A⁻¹"),
    (Transpose(ast.Call("inv", (A,))), r"A^{-\top}", "A⁻ᵀ"),
    (ast.Call("inv", (ast.Add((A, B)),)), "(A + B)^{-1}", "(A + B)⁻¹"),
    (ast.Call("solve", (A, x)), "A^{-1}x", "A⁻¹ x"),
    (ast.Call("det", (A,)), r"\operatorname{det}(A)", "det(A)"),
    (ast.Call("logdet", (A,)), r"\log\lvert\operatorname{det}(A)\rvert", "log|det(A)|"),
    (ast.Call("norm", (x,)), r"\lVert x\rVert", "‖x‖"),
    (ast.Call("unit", (x,)), r"\frac{x}{\lVert x\rVert}", "x/‖x‖"),
    (ast.Call("expm", (product(A, B),)), "e^{AB}", "eᴬᴮ"),
    (ast.Call("dexpm", (A, B)), None, "Dexp(A)[B]"),
    (ast.Call("permutation", (x,)), "P_{x}", "Pₓ"),
    (product(A, A, A, x), "A^{3}x", "A³ x"),
    (product(product(Transpose(x), v), x), r"(x^{\top}v)x", "(xᵀ v) x"),
    (ast.Slice(x, ((ONE, n - 1),)), r"x_{1\dots n - 1}", "x_{1…n−1}"),
    (ast.Slice(ast.Call("inv", (A,)), (i, j)), "(A^{-1})_{i, j}", "(A⁻¹)_{i,j}"),
    (ast.LogSumExp(t, ONE, T, h), None, "log(Σ_{t=1}^{T} exp(hᵗ))"),
    (ast.Diagonal(ast.Apply("f", z, 1)), r"\operatorname{diag}(f'(z^{t}))", "diag(f′(zᵗ))"),
    (ast.Vectorised(U), r"\operatorname{vec}(U)", "vec(U)"),
    # sums and ordered products
    (
        ast.Sum(t, ONE, T, product(access("delta", t), Transpose(before))),
        r"\sum_{t = 1}^{T}\delta^{t}(h^{t - 1})^{\top}",
        "Σ_{t=1}^{T} δᵗ (hᵗ⁻¹)ᵀ",
    ),
    (
        ast.Maximum((Range(k, ZERO, n - 1),), access("x", at=(k, i)), (Within(k, i, m_),)),
        r"\max_{0 \le k < n, i \le k \le m}x_{ki}",
        "max_{0≤k<n,i≤k≤m} xₖᵢ",
    ),
    (ast.Add((ast.Maximum((Range(t, ONE, T),), h), z)), r"\max_{1 \le t \le T}h^{t} + z^{t}", "max_{1≤t≤T} hᵗ + zᵗ"),
    (product(ast.Maximum((Range(t, ONE, T),), h), Transpose(x)), None, "(max_{1≤t≤T} hᵗ) xᵀ"),
    (
        ast.Share(ast.Maximum((Range(k, ZERO, n - 1),), access("x", at=(k,))), (i,)),
        None,
        "share of i in max_{0≤k<n} xₖ",
    ),
    (ast.Sum(t, ONE, T, ast.Add((h, z))), r"\sum_{t = 1}^{T}(h^{t} + z^{t})", "Σ_{t=1}^{T} (hᵗ + zᵗ)"),
    (product(ast.Sum(t, ONE, T, h), Transpose(x)), None, "(Σ_{t=1}^{T} hᵗ) xᵀ"),
    (product(chain, x), None, "(∏↶_{j=k+1}^{t} Uᵀ Dʲ) x"),
    (product(x, chain), None, "x ∏↶_{j=k+1}^{t} Uᵀ Dʲ"),
    # conditions
    (ast.Guard((Within(t, T, T),), v), r"[t = T]\, v", "[t = T] v"),
    (ast.Guard((Within(t + 1, ONE, T),), product(U, x)), r"[1 \le t + 1 \le T]\, Ux", "[1 ≤ t + 1 ≤ T] U x"),
    (ast.Guard((ast.Divides(s, m_ + p - d * a_),), x), None, "[s ∣ m + p − d a] x"),
    (ast.Guard((Within(s * i - p, ZERO, n - 1),), ast.Add((x, y))), None, "[0 ≤ s i − p < n] (x + y)"),
    # whole arrays
    (ast.Filled(0, (n,)), "0", "0"),
    (ast.Filled(1, (n, d)), r"1_{n \times d}", "1_{n×d}"),
    (ast.Block(((A, B), (ast.Filled(0, (n, n)), ast.Identity(n)))), None, "[A, B; 0, Iₙ]"),
]  # fmt: skip


@pytest.mark.parametrize("expression, expected, in_text", WRITTEN, ids=[row[2] for row in WRITTEN])
def test_an_expression_is_written_as_an_author_writes_it(expression: Expression, expected: str | None, in_text: str):
    assert text(expression) == in_text
    if expected is not None:
        assert latex(expression) == expected


def test_every_node_is_in_the_table():
    seen = {type(node) for row in WRITTEN for node in ast.walk(row[0])}
    assert set(get_args(Expression)) == seen


@pytest.mark.parametrize(
    "expression, expected",
    [
        (t - 1, "t − 1"),
        (1 - t, "1 − t"),
        (-t, "−t"),
        (T - t + 1, "T − t + 1"),
        (s * i + a_ - p, "s i + a − p"),
        ((n + 2 * p - k) / s + 1, "(n + 2p − k)/s + 1"),
        (2 * T - 2, "2T − 2"),
        (sp.floor(t / 2), "⌊t/2⌋"),
        (sp.Max(t, 1), "max(1, t)"),
        (n**2 - 1, "n² − 1"),
    ],
)
def test_integers_are_in_the_order_people_write(expression: sp.Expr, expected: str):
    assert plain(integer_formula(expression)) == expected


def test_conditions_that_the_range_implies_are_left_out():
    whole = (Range(t, ONE, T),)
    conditions = (Within(t + 1, ONE, T), Within(t, ONE, T), Within(t - 1, ONE, T))
    equation = Equation(access("q", t), ast.Guard(conditions, v), whole)
    assert text(equation) == "qᵗ = [t < T, t > 1] v"
    inside = ast.Sum(t, ONE, T - 1, ast.Guard((Within(t + 1, ONE, T),), h))
    assert text(inside) == "Σ_{t=1}^{T−1} hᵗ"


def test_names_may_be_given_and_time_may_stand_below():
    below = Names(written={"delta_z": Identifier("delta")}, time="subscript")
    expression = product(access("delta_z", t), Transpose(before))
    assert latex(expression, below) == r"\delta_{t}h_{t - 1}^{\top}"
    assert text(access("W_hh", at=(i, j)), below) == "(Wₕₕ)ᵢⱼ"
    assert text(access("delta_h", t), below) == "δ_{h,t}"


def test_an_ordered_product_unrolls_to_its_first_factors_dots_and_the_last():
    assert plain(unrolled_product(chain)) == "Uᵀ Dᵗ Uᵀ Dᵗ⁻¹⋯Uᵀ Dᵏ⁺¹"


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
"""


def test_a_system_reads_as_on_the_slide():
    system = parse(ELMAN)
    names = names_of(system)
    lines = [plain(equation_formula(equation, names, with_ranges=True)) for equation in system.program.equations]
    assert lines == [
        "zᵗ = W xᵗ + U hᵗ⁻¹  for t = 1, …, T",
        "hᵗ = f(zᵗ)  for t = 1, …, T",
        "ŷ = ⟨v, h^T⟩",
        "ℓ = 1/2 (ŷ − y)²",
    ]
    assert [plain(start_formula(start, system.program, names)) for start in system.program.starts] == ["h⁰ = 0"]
    assert plain(definition(system.program.declaration("x"), names)) == "xᵗ ∈ ℝᵈ  for t = 1, …, T"
    assert plain(shape_formula((n, d))) == "ℝ^{n×d}"


# Parentheses ----------------------------------------------------------------------------------------------------------

SQUARES = ("A", "B", "C")
SCALARS = ("a", "b")
SHAPES = {**dict.fromkeys(SQUARES, (n, n)), **dict.fromkeys(SCALARS, ())}
PROGRAM = Program((n,), tuple(Declaration(name, "given", shape) for name, shape in SHAPES.items()), (), ())


def squares() -> st.SearchStrategy[Expression]:
    """Expressions over square matrices and scalars in which every pair of parentheses matters."""
    leaf = st.sampled_from([*map(access, SQUARES)])
    number = st.sampled_from([*map(access, SCALARS), Number(Fraction(2)), ast.Negative(access("a"))])

    def larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        pairs = st.tuples(inner, inner)
        return st.one_of(
            pairs.map(ast.Add),
            inner.map(ast.Negative),
            st.tuples(inner, inner, inner).map(ast.Product),
            st.tuples(number, inner).map(ast.Product),
            pairs.map(ast.Hadamard),
            inner.map(Transpose),
            inner.map(lambda body: ast.Apply("tanh", body)),
            inner.map(lambda body: ast.Sum(k, ZERO, n - 1, body)),
        )

    whole = st.recursive(leaf, larger, max_leaves=6)
    scalars = st.sampled_from([*map(access, SCALARS)])
    return st.one_of(whole, st.tuples(whole, scalars).map(lambda parts: ast.Quotient(*parts)))


def worth(expression: Expression) -> np.ndarray:
    rng = np.random.default_rng(0)
    arrays = {(name, ()): rng.uniform(0.5, 1.5, [2] * len(shape)) for name, shape in SHAPES.items()}
    return np.asarray(value(expression, scope_of(arrays, SHAPES, {"n": 2})))


def same(found: str, wanted: np.ndarray) -> bool:
    """The text reads as an expression of the same value."""
    try:
        there = worth(parse_expression(found, PROGRAM))
    except (DefinitionError, EvaluationError):
        return False
    return there.shape == wanted.shape and np.allclose(there, wanted, rtol=1e-10)


@given(squares())
def test_what_is_written_reads_back_as_what_was_meant(expression: Expression):
    assert same(text(expression), worth(expression)), text(expression)


def without_each_pair(written: str) -> list[str]:
    """The text with one pair of parentheses left out, for each pair that is not the argument of a function."""
    found, opened = [], []
    for place, letter in enumerate(written):
        if letter == "(":
            opened.append(place)
        elif letter == ")":
            first = opened.pop()
            beside = written[:first].endswith(("⊙ ", "/")) or written[place + 1 :].startswith((" ⊙", "/"))
            twice = written[place - 1 : place + 2] in ("ᵀ)ᵀ", "ᵀ)²", "ᵀ)³", "²)ᵀ", "³)ᵀ")
            if not beside and not twice and not written[:first].endswith("tanh"):
                found.append(f"{written[:first]} {written[first + 1 : place]} {written[place + 1 :]}")
    return found


def tree(written: str) -> Expression | None:
    try:
        return parse_expression(written, PROGRAM)
    except DefinitionError:
        return None


@given(squares())
def test_no_pair_of_parentheses_could_be_left_out(expression: Expression):
    """Around a product beside ⊙ or a stroke, and in (Aᵀ)ᵀ and (Aᵀ)², they are a courtesy."""
    written = text(expression)
    for shorter in without_each_pair(written):
        assert tree(shorter) != tree(written), f"{written} could be {shorter}"
