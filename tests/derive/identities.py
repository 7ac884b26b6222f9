"""First derivatives of the usual references on matrix calculus, each with the form in which it is to come out.

Written as questions to ``derive.gradient_of``; the page docs/matrix-calculus.md is made from this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Identity(NamedTuple):
    """An expression, what its letters are, by what it is differentiated, and the derivative as text."""

    expression: str
    where: str
    wrt: str
    derivative: str


VECTORS = "a, b, x in R^n"
SQUARE = "X in R^(n x n)"

IDENTITIES: dict[str, tuple[Identity, ...]] = {
    "Linear and quadratic forms": (
        Identity("a' x", VECTORS, "x", "∂f/∂x = a"),
        Identity("a' X b", "a in R^m, b in R^n, X in R^(m x n)", "X", "∂f/∂X = a bᵀ"),
        Identity("a' X' b", "a in R^n, b in R^m, X in R^(m x n)", "X", "∂f/∂X = b aᵀ"),
        Identity("a' X a", f"a in R^n, {SQUARE}", "X", "∂f/∂X = a aᵀ"),
        Identity("x' A x", "x in R^n, A in R^(n x n)", "x", "∂f/∂x = (A + Aᵀ) x"),
        Identity("x' A x", "x in R^n, A in R^(n x n) symmetric", "x", "∂f/∂x = 2A x"),
        Identity("x' A y", "x in R^m, y in R^n, A in R^(m x n)", "y", "∂f/∂y = Aᵀ x"),
        Identity("b' X' X c", "b, c in R^n, X in R^(m x n)", "X", "∂f/∂X = X(b cᵀ + c bᵀ)"),
        Identity(
            "(A x + b)' C (D x + d)",
            "A, D in R^(m x n), C in R^(m x m), b, d in R^m, x in R^n",
            "x",
            "∂f/∂x = Dᵀ Cᵀ (A x + b) + Aᵀ C(D x + d)",
        ),
        Identity(
            "(X b + c)' D (X b + c)",
            "X in R^(m x n), b in R^n, c in R^m, D in R^(m x m)",
            "X",
            "∂f/∂X = (D + Dᵀ)(X b + c) bᵀ",
        ),
        Identity(
            "x' A x / (x' x)",
            "x in R^n, A in R^(n x n) symmetric",
            "x",
            "∂f/∂x = (2A x)/(xᵀ x) − (2(xᵀ A x) x)/(xᵀ x)²",
        ),
    ),
    "Norms": (
        Identity("||x||", "x in R^n", "x", "∂f/∂x = x/‖x‖"),
        Identity("||x - a||", VECTORS, "x", "∂f/∂x = (x − a)/‖x − a‖"),
        Identity("||x||^2", "x in R^n", "x", "∂f/∂x = 2x"),
        Identity("||A x - b||^2", "A in R^(m x n), x in R^n, b in R^m", "x", "∂f/∂x = 2Aᵀ (A x − b)"),
        Identity("||X w - y||^2", "X in R^(m x n), w in R^n, y in R^m", "X", "∂f/∂X = 2(X w − y) wᵀ"),
        Identity("||X||^2", "X in R^(m x n)", "X", "∂f/∂X = 2X"),
        Identity(
            "||A X B - C||^2",
            "A in R^(k x m), X in R^(m x n), B in R^(n x p), C in R^(k x p)",
            "X",
            "∂f/∂X = 2Aᵀ (A X B − C) Bᵀ",
        ),
        Identity(
            "(y - X w)' S^-1 (y - X w)",
            "y in R^m, X in R^(m x n), w in R^n, S in R^(m x m) symmetric",
            "w",
            "∂f/∂w = −2Xᵀ S⁻¹ (y − X w)",
        ),
    ),
    "Traces": (
        Identity("tr(X)", SQUARE, "X", "∂f/∂X = Iₙ"),
        Identity("tr(A X)", "A in R^(n x m), X in R^(m x n)", "X", "∂f/∂X = Aᵀ"),
        Identity("tr(A X')", "A in R^(n x m), X in R^(n x m)", "X", "∂f/∂X = A"),
        Identity("tr(A X B)", "A in R^(k x m), X in R^(m x n), B in R^(n x k)", "X", "∂f/∂X = Aᵀ Bᵀ"),
        Identity("tr(A X' B)", "A in R^(k x n), X in R^(m x n), B in R^(m x k)", "X", "∂f/∂X = B A"),
        Identity("tr(X' X)", "X in R^(m x n)", "X", "∂f/∂X = 2X"),
        Identity("tr(X^2)", SQUARE, "X", "∂f/∂X = 2Xᵀ"),
        Identity("tr(X^3)", SQUARE, "X", "∂f/∂X = 3(Xᵀ)²"),
        Identity("tr(X' A X)", "X in R^(m x n), A in R^(m x m)", "X", "∂f/∂X = (A + Aᵀ) X"),
        Identity("tr(X A X')", "X in R^(m x n), A in R^(n x n)", "X", "∂f/∂X = X(A + Aᵀ)"),
        Identity("tr(A X B X)", "A, B, X in R^(n x n)", "X", "∂f/∂X = Bᵀ Xᵀ Aᵀ + Aᵀ Xᵀ Bᵀ"),
        Identity(
            "tr(A X B X' C)",
            "X in R^(m x n), A in R^(k x m), B in R^(n x n), C in R^(m x k)",
            "X",
            "∂f/∂X = C A X B + Aᵀ Cᵀ X Bᵀ",
        ),
        Identity(
            "tr((A X B + C)' (A X B + C))",
            "A in R^(k x m), X in R^(m x n), B in R^(n x p), C in R^(k x p)",
            "X",
            "∂f/∂X = 2Aᵀ (A X B + C) Bᵀ",
        ),
        Identity("sum(X .* A)", "A, X in R^(m x n)", "X", "∂f/∂X = A"),
    ),
    "Inverses": (
        Identity("a' X^-1 b", f"a, b in R^n, {SQUARE}", "X", "∂f/∂X = −X⁻ᵀ a bᵀ X⁻ᵀ"),
        Identity("tr(A X^-1 B)", f"A in R^(m x n), B in R^(n x m), {SQUARE}", "X", "∂f/∂X = −X⁻ᵀ Aᵀ Bᵀ X⁻ᵀ"),
        Identity("tr(X^-1)", SQUARE, "X", "∂f/∂X = −(X⁻ᵀ)²"),
        Identity("tr((X + A)^-1)", f"A in R^(n x n), {SQUARE}", "X", "∂f/∂X = −((X + A)⁻ᵀ)²"),
        Identity("a' solve(X, b)", f"a, b in R^n, {SQUARE}", "b", "∂f/∂b = X⁻ᵀ a"),
        Identity(
            "tr((X' C X)^-1 A)",
            "X in R^(m x n), C in R^(m x m) symmetric, A in R^(n x n) symmetric",
            "X",
            "∂f/∂X = −2C X (Xᵀ C X)⁻¹ A (Xᵀ C X)⁻¹",
        ),
    ),
    "Determinants": (
        Identity("det X", SQUARE, "X", "∂f/∂X = det(X) X⁻ᵀ"),
        Identity("det(X^-1)", SQUARE, "X", "∂f/∂X = − det(X⁻¹) X⁻ᵀ"),
        Identity("det(A X B)", "A, B, X in R^(n x n)", "X", "∂f/∂X = det(A X B) Aᵀ (A X B)⁻ᵀ Bᵀ"),
        Identity("det(X)^k", f"k in R, {SQUARE}", "X", "∂f/∂X = k (det(X))ᵏ X⁻ᵀ"),
        Identity("log det X", SQUARE, "X", "∂f/∂X = X⁻ᵀ"),
        Identity("log det(X' X)", "X in R^(m x n)", "X", "∂f/∂X = 2X (Xᵀ X)⁻¹"),
        Identity("log det(X' A X)", "X in R^(m x n), A in R^(m x m) symmetric", "X", "∂f/∂X = 2A X (Xᵀ A X)⁻¹"),
        Identity("log det(A + X B)", "A in R^(m x m), X in R^(m x n), B in R^(n x m)", "X", "∂f/∂X = (A + X B)⁻ᵀ Bᵀ"),
        Identity("a' X b + log det X", f"a, b in R^n, {SQUARE}", "X", "∂f/∂X = a bᵀ + X⁻ᵀ"),
        Identity("log det S + tr(S^-1 C)", "S, C in R^(n x n) symmetric", "S", "∂f/∂S = S⁻¹ − S⁻¹ C S⁻¹"),
    ),
    "Functions": (
        Identity("exp(a' x)", VECTORS, "x", "∂f/∂x = exp(aᵀ x) a"),
        Identity("sum(exp(x))", "x in R^n", "x", "∂f/∂x = exp(x)"),
        Identity("logsumexp(A x + b)", "A in R^(m x n), x in R^n, b in R^m", "x", "∂f/∂x = Aᵀ softmax(A x + b)"),
        Identity("sum(softplus(X w)) - y' X w", "X in R^(m x n), w in R^n, y in R^m", "w", "∂f/∂w = Xᵀ (σ(X w) − y)"),
        Identity("cross_entropy(W x, y)", "W in R^(k x n), x in R^n, y in R^k", "W", "∂f/∂W = (softmax(W x) − y) xᵀ"),
        Identity("a' f(W x)", "a in R^m, W in R^(m x n), x in R^n", "W", "∂f/∂W = (f′(W x) ⊙ a) xᵀ"),
        Identity("tr expm(X)", SQUARE, "X", "∂f/∂X = e^{Xᵀ}"),
        Identity("tr(A expm(X))", f"A in R^(n x n), {SQUARE}", "X", "∂f/∂X = Dexp(Xᵀ)[Aᵀ]"),
    ),
    "Jacobians": (
        Identity("A x + b", "A in R^(m x n), x in R^n, b in R^m", "x", "∂y/∂x = A"),
        Identity("f(A x)", "A in R^(m x n), x in R^n", "x", "∂y/∂x = diag(f′(A x)) A"),
        Identity("softmax(x)", "x in R^n", "x", "∂y/∂x = diag(softmax(x)) − softmax(x) softmax(x)ᵀ"),
        Identity("x / ||x||", "x in R^n", "x", "∂y/∂x = (Iₙ − (x xᵀ)/‖x‖²)/‖x‖"),
        Identity("X^-1 b", f"b in R^n, {SQUARE}", "b", "∂y/∂b = X⁻¹"),
        Identity("a (b' x)", VECTORS, "x", "∂y/∂x = a bᵀ"),
        Identity("x .* x", "x in R^n", "x", "∂y/∂x = 2 diag(x)"),
    ),
}
