"""The page docs/matrix-calculus.md, made from the table of identities by ``python -m tests.identities_page``."""

from __future__ import annotations

from pathlib import Path

from derive.derivation import Shown
from derive.notation import formula
from derive.questions import gradient_of
from tests.derive.identities import IDENTITIES, Identity

PAGE = Path(__file__).parents[1] / "docs" / "matrix-calculus.md"

HEAD = """\
# Matrix calculus

Every line below is derived, not typed: the expression on the left is what you may write, the derivative is what
[`derive gradient`](command-line.md) answers, and each is checked against automatic differentiation and the complex step
whenever the tests run. This page is made from the tests' table by `python -m tests.identities_page`.

```console
$ derive gradient "a' X b + log det X" --wrt X --where "a, b in R^n, X in R^(n x n)"
f = aᵀ X b + log|det(X)|
  a ∈ ℝⁿ
  b ∈ ℝⁿ
  X ∈ ℝ^{n×n}

∂f/∂X = a bᵀ + X⁻ᵀ
  ∂f/∂X ∈ ℝ^{n×n}

verified: largest relative error by ...
$ derive gradient "sum(softplus(X w)) - y' X w" --hessian --wrt w --where "X in R^(m x n), w in R^n, y in R^m"
f = sum(softplus(X w)) − yᵀ X w
  X ∈ ℝ^{m×n}
  w ∈ ℝⁿ
  y ∈ ℝᵐ

∂²f/∂w∂wᵀ = Xᵀ diag(σ(X w) ⊙ (1 − σ(X w))) X

verified: largest relative error by ...
```

## Conventions

* Vectors are columns. The gradient of a number has the shape of the array by which it is differentiated.
* The derivative of a vector by a vector is its Jacobian, a row for each entry of what is differentiated.
* A gradient in a matrix is among all its entries, each varying on its own. Where the matrix is declared `symmetric`,
  `diagonal` or `orthogonal`, that assumption simplifies the result and nothing else: for symmetric S, the gradient of
  a' S b is a b'. Within the symmetric matrices the gradient is the symmetric part of that, (G + G') / 2; within the
  diagonal ones its diagonal.
* ‖X‖ of a matrix is the Frobenius norm. log det X is log |det X|.
* Where a norm is 0 its gradient is taken as 0.
* Dexp(X)[E] is the change of the matrix exponential at X in the direction E; its adjoint is Dexp(Xᵀ).
* `f` may be any function of each entry.
"""


def page() -> str:
    """The page with its tables."""
    parts = [HEAD]
    for title, rows in IDENTITIES.items():
        parts.append(f"\n## {title}\n\n| Write | where | by | f | derivative |\n|---|---|---|---|---|\n")
        parts += [_line(row) for row in rows]
    return "".join(parts)


def _line(row: Identity) -> str:
    answer = gradient_of(row.expression, row.wrt, row.where)
    written = Shown(formula(answer.value, answer.names)).latex()
    derivative = answer[row.wrt].latex()
    cells = (f"`{_escaped(row.expression)}`", f"`{row.where}`", f"`{row.wrt}`", f"${_escaped(written)}$")
    return f"| {' | '.join(cells)} | ${_escaped(derivative)}$ |\n"


def _escaped(text: str) -> str:
    """A bar would end the cell."""
    return text.replace("||", "‖").replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
