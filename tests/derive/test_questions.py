"""Questions without a file: spellings, Jacobians, Hessians, structures, mistakes, and the command that asks them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from derive.cli import main
from derive.hessians import hessian
from derive.language.errors import DefinitionError
from derive.language.where import where_of
from derive.questions import gradient_of
from kernels.verification.questions import verify_answer, verify_hessian

SQUARE = "a, b in R^n, X in R^(n x n)"
QUICK = ("autograd", "complex step")

SAME = {
    "log det": [
        "log det X", "logdet(X)", "log(det(X))", "log |det X|", "log(abs(det(X)))", r"\log\det X", r"\ln \det(X)",
        r"\log|\det X|", r"\log \left| \det X \right|", "ln(det(X))",
    ],
    "inverse": ["a' X^-1 b", "a' X^{-1} b", "a' inv(X) b", "a' X⁻¹ b", "a' solve(X, b)", "a^T X^{-1} b",
                r"a^\top X^{-1} b", "<a, inv(X) b>", "f(X) = a' X^-1 b"],
    "inverse transpose": ["a' X^{-T} b", "a' X^-T b", r"a^\top X^{-\top} b", "a' (X^-1)' b", "a' inv(X') b",
                          "a' X⁻ᵀ b"],
    "trace": ["tr(X X)", "tr X X", "trace(X^2)", r"\operatorname{tr}(X^2)", r"\mathrm{tr} X X", "Tr(X X)", "tr(X²)"],
    "norm": ["||X a - b||^2", "‖X a − b‖²", r"\|X a - b\|^2", r"\lVert X a - b \rVert_2^2", "norm(X a - b)^2",
             r"\left\| X a - b \right\|^2", "(X a - b)' (X a - b)", "<X a - b, X a - b>", "||X a - b||_2^2"],
    "one norm": ["||X a||_1", "sum(abs(X a))", "sum(|X a|)"],
}  # fmt: skip
SPELLINGS = [pytest.param(name, text, id=text) for name, texts in SAME.items() for text in texts]


@pytest.mark.parametrize("name,text", SPELLINGS)
def test_spellings_of_one_question_have_one_answer(name: str, text: str):
    assert gradient_of(text, "X", SQUARE)["X"].text() == gradient_of(SAME[name][0], "X", SQUARE)["X"].text()


@pytest.mark.parametrize(
    "where",
    [
        "a in R^n, b in R^n, X in R^(n x n)",
        "a, b in R^n; X in R^{n x n}",
        "a ∈ ℝⁿ, b ∈ ℝⁿ, X ∈ ℝ^{n×n}",
        r"a, b \in \mathbb{R}^n, X \in \mathbb{R}^{n \times n}",
        "a,b in R^n\nX in R^(n, n)",
    ],
)
def test_shapes_may_be_written_as_people_do(where: str):
    assert gradient_of("a' X b + log det X", "X", where)["X"].text() == "∂f/∂X = a bᵀ + X⁻ᵀ"


def test_sizes_are_the_letters_in_the_shapes():
    assert where_of("a in R^n, X in R^(n x (m + 1)), k in R").sizes == ("n", "m")


QUESTIONS = {
    "an elementwise function of a product": ("sum(tanh(W x + b))", "W in R^(m x n), x in R^n, b in R^m"),
    "an open function": ("f(W x)' v", "W in R^(m x n), x in R^n, v in R^m"),
    "a bound function": ("f(W x)' v", "W in R^(m x n), x in R^n, v in R^m, f is sigmoid"),
    "a Kronecker product": ("norm(kron(A, B))^2", "A in R^(m x n), B in R^(p x q)"),
    "a vectorised matrix": ("vec(X)' c", "X in R^(m x n), c in R^(m n)"),
    "vectors below one another": ("||concat(A x, y)||^2", "A in R^(m x n), x in R^n, y in R^k"),
    "blocks": ("log det(block((A, B), (B', C)))", "A in R^(m x m), B in R^(m x n), C in R^(n x n)"),
    "a part": ("x[1..2]' b", "x in R^n, b in R^2"),
    "a row": ("X[0, 0..n - 1]' a", "X in R^(m x n), a in R^n"),
    "an entry of an inverse": ("inv(X)[0, 1]", "X in R^(n x n)"),
    "a permutation": ("<g, permutation(pi) x>^2", "pi, g, x in R^n"),
    "an outer product": ("<outer(a, b), X>", "a in R^m, b in R^n, X in R^(m x n)"),
    "two solutions": ("solve(X, a)' solve(X, b)", SQUARE),
    "a solution for each column": ("tr(A solve(X, B))", "A in R^(m x n), B in R^(n x m), X in R^(n x n)"),
    "a diagonal matrix": ("log det(diag(x) + A)", "x in R^n, A in R^(n x n)"),
    "an exponential in a solution": ("a' solve(expm(X), b)", SQUARE),
    "a power of a determinant": ("det(X)^3 / (1 + a' a)", SQUARE),
    "a number": ("x^3 - 2 x", "x in R"),
    "a variable exponent": ("x^y", "x, y in R"),
    "a size as a number": ("||x||^2 / n", "x in R^n"),
    "one array twice": ("a' X a + tr(X) log det X", SQUARE),
    "a matrix of one row": ("log ‖X‖", "X in R^(1 x n)"),
}


@pytest.mark.parametrize("text,where", QUESTIONS.values(), ids=QUESTIONS)
def test_the_closed_form_is_what_the_witnesses_say(text: str, where: str):
    answer = gradient_of(text, (), where)
    report = verify_answer(answer, witnesses=QUICK)
    assert report.passed, f"{answer}\n{report.table()}"


def test_an_answer_is_the_same_every_time():
    first, second = (str(gradient_of("tr(A X B X' C)", (), "A, B, C, X in R^(n x n)")) for _ in range(2))
    assert first == second


def test_the_gradient_at_a_norm_of_zero_is_zero():
    import numpy as np

    from derive.evaluate import gather, run

    answer = gradient_of("||x||", "x", "x in R^n")
    program = answer.derivation.program
    results = run(program, {"n": 3}, {"x": np.zeros(3)})
    found = gather(program, results, answer.derivation.gradients["x"], {"n": 3})
    np.testing.assert_array_equal(found, np.zeros(3))


# Structures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,where,wrt,derivative",
    [
        ("x' A x", "x in R^n, A in R^(n x n) symmetric", "x", "∂f/∂x = 2A x"),
        ("x' A x", "x in R^n, A in R^(n x n) symmetric", "A", "∂f/∂A = x xᵀ"),
        ("log det A", "A in R^(n x n) symmetric", "A", "∂f/∂A = A⁻¹"),
        ("x' D x", "x in R^n, D in R^(n x n) diagonal", "x", "∂f/∂x = 2D x"),
        ("x' Q' Q x", "x in R^n, Q in R^(n x n) orthogonal", "x", "∂f/∂x = 2x"),
        ("x' Q^-1 y", "x, y in R^n, Q in R^(n x n) orthogonal", "y", "∂f/∂y = Q x"),
    ],
)
def test_a_structure_simplifies_the_result(text: str, where: str, wrt: str, derivative: str):
    answer = gradient_of(text, wrt, where)
    assert answer[wrt].text() == derivative
    assert verify_answer(answer, witnesses=QUICK).passed


# Second derivatives ---------------------------------------------------------------------------------------------------

HESSIANS = {
    "1/2 x' A x": ("x", "x in R^n, A in R^(n x n)", "∂²f/∂x∂xᵀ = 1/2 (A + Aᵀ)"),
    "logsumexp(x)": ("x", "x in R^n", "∂²f/∂x∂xᵀ = diag(softmax(x)) − softmax(x) softmax(x)ᵀ"),
    "sum(softplus(X w)) - y' X w": (
        "w",
        "X in R^(m x n), w in R^n, y in R^m",
        "∂²f/∂w∂wᵀ = Xᵀ diag(σ(X w) ⊙ (1 − σ(X w))) X",
    ),
    "||A x - b||^2": ("x", "A in R^(m x n), x in R^n, b in R^m", "∂²f/∂x∂xᵀ = 2Aᵀ A"),
    "||x||": ("x", "x in R^n", "∂²f/∂x∂xᵀ = (Iₙ − (x xᵀ)/‖x‖²)/‖x‖"),
    "sum(log(x))": ("x", "x in R^n", ""),
    "exp(x' x)": ("x", "x in R^n", ""),
    "sum(tanh(A x))": ("x", "A in R^(m x n), x in R^n", ""),
    "x^3": ("x", "x in R", "∂²f/∂x∂x = 6x"),
    "log det X": ("X", "X in R^(n x n)", "D ∂f/∂X [V] = −X⁻ᵀ Vᵀ X⁻ᵀ"),
    "tr(X' A X)": ("X", "X in R^(n x m), A in R^(n x n)", "D ∂f/∂X [V] = (A + Aᵀ) V"),
    "a' inv(X) b": ("X", SQUARE, ""),
    "tr expm(X)": ("X", "X in R^(n x n)", ""),
    "f(a' x)": ("x", "a, x in R^n", "∂²f/∂x∂xᵀ = f′′(aᵀ x) a aᵀ"),
}


@pytest.mark.parametrize("text,row", HESSIANS.items(), ids=HESSIANS)
def test_a_second_derivative_is_what_differentiating_twice_gives(text: str, row: tuple[str, str, str]):
    wrt, where, printed = row
    found = hessian(text, wrt, where)
    assert not printed or found[wrt].text() == printed
    report = verify_hessian(found, quick=True)
    assert report.passed, f"{found}\n{report.table()}"


def test_mixed_second_derivatives_are_blocks():
    found = hessian("||A x - b||^2", "x b", "A in R^(m x n), x in R^n, b in R^m")
    assert str(found) == "∂²f/∂x∂xᵀ = 2Aᵀ A\n∂²f/∂b∂xᵀ = −2A\n∂²f/∂b∂bᵀ = 2Iₘ"
    assert verify_hessian(found, quick=True).passed


def test_a_wrong_hessian_is_found():
    from dataclasses import replace

    from derive.language import expression as ast

    found = hessian("x' A x", "x", "x in R^n, A in R^(n x n)")
    part = found.parts["x", "x"]
    assert part.matrix is not None
    wrong = replace(part, matrix=ast.Product((ast.Number(ast.Fraction(1001, 1000)), part.matrix)))
    found.__dict__["parts"] = {("x", "x"): wrong}
    assert not verify_hessian(found, quick=True).passed


# Mistakes -------------------------------------------------------------------------------------------------------------

MISTAKES = {
    "an unknown letter": ("a' Z b", "", SQUARE, "Nothing is called Z here."),
    "no derivative by that": ("a' a", "c", SQUARE, "There is no c to differentiate by."),
    "shapes that do not fit": ("a' X b", "X", "a in R^m, b in R^n, X in R^(n x m)", "do not multiply"),
    "a matrix as value": ("X X", "X", SQUARE, "Ask for the gradient of a number"),
    "a vector by a matrix": ("X a", "X", SQUARE, "has 3 axes and is no matrix"),
    "an unfinished sum": ("a' X b +", "X", SQUARE, "Something is missing at the end"),
    "nothing": (" ", "X", SQUARE, "There is no expression"),
    "no shapes": ("a' a", "", "", "Nothing is declared"),
    "a name without a shape": ("a' a", "", "a in R^n, b", "b has no shape."),
    "a shape that is none": ("a' a", "", "a in R^", "expected"),
    "a rectangular inverse": ("a' inv(X) a", "", "a in R^n, X in R^(m x n)", "inv takes a square matrix"),
    "a structure of no square matrix": ("sum(X)", "", "X in R^(m x n) symmetric", "only a square matrix is symmetric"),
    "a name twice": ("a' a", "", "a in R^n, a in R^m", "a has a meaning already"),
    "an unknown function": ("foo(a)", "", SQUARE, "There is no function or array called foo."),
    "a part beyond its axis": ("x[0..5]' x[0..5]", "x", "x in R^3", "leaves its axis"),
    "a bar without a partner": ("|a", "", SQUARE, "does not fit"),
}


@pytest.mark.parametrize("text,wrt,where,told", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_the_words_of_the_question(text: str, wrt: str, where: str, told: str):
    with pytest.raises(DefinitionError, match=told.replace("|", r"\|").replace("(", r"\(")) as caught:
        gradient_of(text, wrt, where)
    assert str(caught.value).startswith(("expression:", "where:", "question:")), str(caught.value)


def test_a_hessian_of_a_vector_is_refused():
    with pytest.raises(DefinitionError, match="A Hessian is that of a number"):
        hessian("A x", "x", "A in R^(n x n), x in R^n")


# The command ----------------------------------------------------------------------------------------------------------

ASKED = ["gradient", "a' X b + log det X", "--wrt", "X", "--where", "a, b in R^n, X in R^(n x n)"]


def test_the_command_prints_the_answer_and_its_evidence(capsys: pytest.CaptureFixture[str]):
    assert main(ASKED) == 0
    printed = capsys.readouterr().out
    assert "∂f/∂X = a bᵀ + X⁻ᵀ" in printed
    assert "verified: largest relative error by autograd" in printed


def test_steps_and_formats(capsys: pytest.CaptureFixture[str]):
    assert main([*ASKED, "--steps", "--format", "latex"]) == 0
    printed = capsys.readouterr().out
    assert r"\frac{\partial f}{\partial X} = ab^{\top} + X^{-\top}" in printed
    assert "[gradient-X]" in printed
    assert main([*ASKED, "--format", "words"]) == 0
    assert "capital X inverse transpose" in capsys.readouterr().out


def test_json_has_the_results_and_the_evidence(capsys: pytest.CaptureFixture[str]):
    assert main([*ASKED, "--wrt", "a", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["kind"] == "gradient"
    assert [result["wrt"] for result in data["results"]] == [["X"], ["a"]]
    assert data["verified"] is True
    assert {record["witness"] for record in data["evidence"]} == {"autograd", "complex step", "differences"}


@pytest.mark.parametrize("suffix", ["pdf", "html", "tex", "md", "ipynb"])
def test_a_handout_of_the_answer_is_written(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / f"answer.{suffix}"
    assert main([*ASKED, "-o", str(path)]) == 0, capsys.readouterr().err
    assert path.stat().st_size > 1000


def test_a_handout_of_a_hessian_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "answer.pdf"
    words = ["gradient", "logsumexp(A x)", "--hessian", "--wrt", "x", "--where", "A in R^(m x n), x in R^n"]
    assert main([*words, "-o", str(path)]) == 0, capsys.readouterr().err
    assert path.stat().st_size > 1000


def test_a_mistake_is_exit_code_2(capsys: pytest.CaptureFixture[str]):
    assert main(["gradient", "a' Z", "--where", "a in R^n"]) == 2
    assert "Nothing is called Z here." in capsys.readouterr().err
