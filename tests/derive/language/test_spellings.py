"""Every construct of the language in every spelling that people use for it, against one expression."""

from __future__ import annotations

import pytest

from derive import catalogue
from derive.language.expression import Expression
from derive.language.parser import parse, parse_expression
from derive.language.printer import expression_source
from derive.language.system import Program

PROGRAM = parse(
    """
    sizes T steps, d inputs, n hidden
    given x^t in R^d for t = 1..T, y in R
    learn W in R^(n x d), U in R^(n x n), v in R^n, w_out in R^n, alpha in R
    start h^0 = 0
    for t = 1..T:
        z^t = W x^t + U h^{t-1}
        h^t = f(z^t)
        s^t = <v, h^t>
    end
    yhat = s^T
    delta = U' v
    loss = (yhat - y)^2 / 2
    """
).program

# The first spelling of each row is the one that is printed.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "matrix product": (
        "W x^t",
        "W @ x^t",
        "W xᵗ",
        "W x^{t}",
        "W x^(t)",
        r"\mathbf{W} x^t",
        r"\mathrm{W}x^t",
        "(W) (x^t)",
    ),
    "earlier step": ("h^{t-1}", "h^{t - 1}", "hᵗ⁻¹", "h^(t-1)", "h^{t−1}", "h^{(t-1)}"),
    "last step": ("h^T", "hᵀ", "h^{T}", "h^(T)"),
    "transpose": (
        "U' v",
        "U.T v",
        "U^T v",
        "Uᵀ v",
        "U^⊤ v",
        r"U^\top v",
        "U^{T} v",
        r"U^{\mathsf{T}} v",
        "U.T @ v",
        "U′ v",
        "U^{⊤}v",
    ),
    "transpose of a step": ("h^t'", "(h^t)'", "(h^t)^T", "(hᵗ)ᵀ", "h^t^⊤", "(h^t).T"),
    "twice transposed": ("U", "U''", "(U')'", "(Uᵀ)ᵀ"),
    "entry by entry": ("z^t .* v", "z^t ⊙ v", "z^t ∘ v", r"z^t \odot v", "z^t odot v", r"z^t \circ v"),
    "products bind before ⊙": ("f'(z^t) .* U' v", "f'(z^t) ⊙ Uᵀ v", "f'(z^t) .* (U' v)", r"f'(z^t) \odot U^\top v"),
    "inner product": ("<v, h^T>", "⟨v, h^T⟩", r"\langle v, h^T \rangle", r"\left\langle v, h^T\right\rangle"),
    "scaling": ("2 * v", "2 v", "2 · v", r"2 \cdot v", "2v", "2.0 v"),
    "a Greek name": ("alpha v", "α v", r"\alpha v", "αv", "alpha * v", "α⋅v"),
    "a hat": ("yhat - y", "ŷ - y", r"\hat{y} - y", r"\hat y - y", "y\u0302 - y", "yhat − y"),
    "the loss": ("loss", "ℓ", "ell", r"\ell"),
    "a square": ("yhat^2", "ŷ²", "yhat^{2}", "yhat^(2)", "yhat.^2", "ŷ^2"),
    "a square of a bracket": (
        "(yhat - y)^2 / 2",
        "(yhat - y)² / 2",
        r"\frac{(\hat{y} - y)^2}{2}",
        "((yhat - y)^2) / 2",
    ),
    "a matrix squared": ("U U", "U^2", "U²", "U @ U"),
    "entries squared": ("v.^2", "v .^ 2", "v.^{2}"),
    "a derivative of f": ("f'(z^t)", "f′(z^t)", "f^{\\prime}(z^t)", "f ' (z^t)", "f’(z^t)"),
    "a second derivative": ("f''(z^t)", "f″(z^t)", "f′′(z^t)"),
    "a power of a call": ("(f(y))^2", "f(y)^2", "f(y)²"),
    "a diagonal matrix": (
        "diag(f'(z^t)) U",
        r"\mathrm{diag}(f'(z^t)) U",
        r"\operatorname{diag}\left(f'(z^t)\right) U",
        r"\diag(f'(z^t))U",
    ),
    "a function of an array": ("logsumexp(v)", r"\logsumexp(v)", r"\mathrm{logsumexp}(v)"),
    "tanh": ("tanh(z^t)", r"\tanh(z^t)", r"\tanh z^t"[:5] + "(z^t)"),
    "a sum over time": (
        "sum over t = 1..T of v' h^t",
        "sum_{t=1}^{T} v' h^t",
        "sum_{t=1}^T v' h^t",
        "sum_{t=1..T} v' h^t",
        "Σ_{t=1}^{T} vᵀ hᵗ",
        "∑_{t=1}^{T} vᵀ hᵗ",
        r"\sum_{t=1}^{T} v^\top h^t",
        "sum over t = 1, …, T of v' h^t",
        "sum over t of v' h^t",
        "sum_t v' h^t",
        "Σ_t v' h^t",
        "Σₜ v' h^t",
        "sum_{t} v' h^t",
    ),
    "a sum ends at the next plus": ("sum over i = 0..n-1 of v[i] + y", "(sum over i of v[i]) + y", "sum_i v[i] + y"),
    "an entry": ("W[i, j]", "W_{i,j}", "W_{ij}", "W_ij", "Wᵢⱼ", r"\mathbf{W}_{ij}", "W_{i, j}"),
    "an entry of a step": ("z^t[i]", "z_i^t", "z^t_i", "z_{i}^{t}", "z^{t}_{i}", "zᵢᵗ", "z^t_{i}"),
    "a name with an underscore": ("w_out' v", "w_{out}' v", r"w_{\text{out}}' v", r"w_{\mathrm{out}}^\top v"),
    "a double sum": (
        "sum over i = 0..n-1 of sum over j = 0..d-1 of W[i, j]",
        "sum over i, j of W[i, j]",
        "sum over i of sum over j of W_{ij}",
        "sum_{i,j} W_{ij}",
        r"\sum_{i,j} W_{ij}",
    ),
    "a product in an order": (
        "product over k = T down to t + 1 of diag(f'(z^k)) U",
        "product over k = T down to t+1 of (diag(f'(z^k)) U)",
    ),
    "an identity": ("(I_n - U) v", "(I - U) v", "(eye(n) - U) v"),
    "a condition": ("[i = j] v[i]", "[i = j] * v[i]", "([i = j] v[i])"),
    "a range as a condition": (
        "[0 <= i - 1 <= n - 1] v[i - 1]",
        "[0 ≤ i-1 ≤ n-1] v[i-1]",
        r"[0 \le i-1 \leq n-1] v_{i-1}",
    ),
    "a divisibility": ("[2 divides i] v[i]",),
    "sizes as numbers": ("loss / T", "loss ./ T", r"\frac{\ell}{T}", "ℓ/T", "(loss) / (T)"),
    "a whole-number expression": ("(T - t) * loss", "(T - t) loss", "(-t + T) loss"),
    "a decimal": ("0.25 * v", ".25 v", "0.250 v", "25e-2 v"),
    "Kronecker": ("kron(x^t', I_n)", "x^t' ⊗ I_n", r"(x^t)^\top \otimes I_n"),
    "vec": ("vec(U)", r"\mathrm{vec}(U)", r"\vec(U)"),
    "a gradient's name": (
        r"(partial loss / partial W)",
        "∂loss/∂W",
        "∂ℓ/∂W",
        r"\frac{\partial \ell}{\partial W}",
        "partial loss / partial W",
    ),
    "blocks": ("block((U, W), (U, W))",),
    "filled arrays": ("zeros(n, d) + W", "zeros(n,d) + W"),
    "signs": ("-v - v", "- v + -v", "-v + (-v)"),
    "a gradient by vec": (
        "(partial z^t / partial vec(W))",
        "∂zᵗ/∂vec(W)",
        r"\frac{\partial z^t}{\partial \mathrm{vec}(W)}",
    ),
}


def read(text: str, program: Program = PROGRAM) -> Expression:
    return parse_expression(text, program, "tij")


@pytest.mark.parametrize("spellings", SPELLINGS.values(), ids=SPELLINGS)
def test_all_spellings_are_read_as_the_same_expression(spellings: tuple[str, ...]):
    expected = read(spellings[0])
    for spelling in spellings[1:]:
        assert read(spelling) == expected, spelling


@pytest.mark.parametrize("spellings", SPELLINGS.values(), ids=SPELLINGS)
def test_the_first_spelling_is_the_one_that_is_printed(spellings: tuple[str, ...]):
    assert expression_source(read(spellings[0]), PROGRAM) == spellings[0]


DEFINITIONS: dict[str, str] = {
    "unicode": """
        title   Elman RNN, sequence to single
        source  J. L. Elman, Finding structure in time, Cognitive Science, 1990
        sizes   T steps, d inputs, n hidden
        given   xᵗ ∈ ℝᵈ for t = 1, …, T,  y ∈ ℝ
        learn   W ∈ ℝⁿˣᵈ,  U ∈ ℝ^{n×n},  v ∈ ℝ^n
        start   h⁰ = 0
        for t = 1..T:
            zᵗ = W xᵗ + U hᵗ⁻¹
            hᵗ = f(zᵗ)
        end
        ŷ = ⟨v, hᵀ⟩
        loss = (ŷ − y)² / 2
        where   f is tanh
    """,
    "latex": r"""
        title   Elman RNN, sequence to single
        source  J. L. Elman, Finding structure in time, Cognitive Science, 1990
        sizes   T steps, d inputs, n hidden
        given   x^t \in \mathbb{R}^d for t = 1, \ldots, T,  y \in \mathbb{R}
        learn   W \in \mathbb{R}^{n \times d},  U \in \R^{n\times n},  v \in \R^n
        start   h^{0} = 0
        for t = 1..T:
            z^{t} = W x^{t} + U h^{t-1}
            h^{t} = f\left(z^{t}\right)
        end
        \hat{y} = \langle v, h^T \rangle
        loss = \frac{(\hat{y} - y)^2}{2}
        where   f is tanh
    """,
    "other order, other line breaks": """
        where f = tanh      # comments go to the end of the line
        loss = squared(yhat,
                       y)
        yhat = <v, h^T>
        for t = 1..T
            h^t = f(z^t)
            z^t = W x^t
                + U h^{t-1}
        end
        start h^0 = 0
        sizes T steps, d inputs
        sizes n hidden
        given x^t in R^d for t = 1..T
        given y in R
        learn W in R^n x d,
              U in R^(n, n), v in R^n
        source J. L. Elman, Finding structure in time, Cognitive Science, 1990
        title Elman RNN, sequence to single
    """,
}


@pytest.mark.parametrize("text", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_definition_in_another_spelling_is_the_same_system(text: str):
    expected, found = catalogue.load("elman"), parse(text, "elman")
    assert found.title == expected.title
    assert found.sources == expected.sources
    assert found.size_descriptions == expected.size_descriptions
    assert found.program.sizes == expected.program.sizes
    assert found.program.starts == expected.program.starts
    assert found.program.functions == expected.program.functions
    assert set(found.program.equations) == set(expected.program.equations)
    assert set(found.program.declarations) == set(expected.program.declarations)


INDEX_FORMS = {
    "brackets": (
        "z^t[i] = sum over j of W[i,j] * x^t[j] + sum over k of U[i,k] * h^{t-1}[k]",
        "yhat = sum over i of v[i] * h^T[i]",
    ),
    "subscripts": ("z_i^t = Σ_j W_{i,j} x_j^t + Σ_k U_{i,k} h_k^{t-1}", "yhat = Σ_i v_i h^T_i"),
    "latex": (r"z^{t}_{i} = \sum_{j} W_{ij} x^{t}_{j} + \sum_{k} U_{ik} h^{t-1}_{k}", r"\hat{y} = \sum_{i} v_i h_i^T"),
    "ranges said": (
        "z^t[i] = sum over j = 0..d-1 of W[i,j] * x^t[j] + sum over k = 0..n-1 of U[i,k] * h^{t-1}[k] for i = 0..n-1",
        "yhat = sum over i = 0..n-1 of v[i] * h^T[i]",
    ),
}


@pytest.mark.parametrize("lines", INDEX_FORMS.values(), ids=INDEX_FORMS)
def test_index_form_in_any_spelling_is_the_same_system(lines: tuple[str, str]):
    def system(lines: tuple[str, str]) -> Program:
        text = catalogue.text("elman").replace("z^t = W x^t + U h^{t-1}", lines[0]).replace("yhat = <v, h^T>", lines[1])
        return parse(text).program

    assert system(lines) == system(INDEX_FORMS["brackets"])
    assert system(lines).declaration("z") == catalogue.load("elman").program.declaration("z")
