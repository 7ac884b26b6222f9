"""Second derivatives: the gradient is a program in the same language, and is differentiated again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from derive.calculus.closed_gradient import closed_gradient
from derive.calculus.linear import matrix_of
from derive.calculus.network import NotAMatrix
from derive.calculus.walk import walk
from derive.derivation import Derivation, Gradient
from derive.handout.formula import Fence, Formula, Fraction, Identifier, Operator, Row, row, sup
from derive.language import expression as ast
from derive.language.errors import LossNotScalar
from derive.language.expression import Access, Expression
from derive.language.system import Declaration, Equation, System
from derive.notation import Names, formula, plain_name
from derive.questions import Answer, Wrt, about_question, gradient_of

SECOND = "second"
"""The number ⟨∂f/∂a, V⟩ whose gradient is the Hessian applied to V."""


@dataclass(frozen=True)
class SecondDerivative:
    """∂²f/∂b∂a: what stands for the direction V of a, the program of ⟨∂f/∂a, V⟩ differentiated, and the closed form.

    ``matrix`` is the Hessian where a and b are vectors or numbers and it has a form in matrices; ``applied`` is what it
    makes of V, always.
    """

    first: str
    second: str
    direction: str
    derivation: Derivation
    applied: Equation
    matrix: Expression | None


@dataclass(frozen=True)
class Hessian(Mapping[tuple[str, str], Gradient]):
    """The second derivatives of an expression by pairs of arrays, and the gradient that was differentiated."""

    answer: Answer

    @property
    def wrt(self) -> tuple[str, ...]:
        """The arrays."""
        return self.answer.wrt

    @property
    def derivation(self) -> Derivation:
        """The derivation of the gradient."""
        return self.answer.derivation

    @cached_property
    def parts(self) -> dict[tuple[str, str], SecondDerivative]:
        """Each second derivative."""
        return {(a, b): _second(self.answer, a, b) for n, a in enumerate(self.wrt) for b in self.wrt[n:]}

    @cached_property
    def names(self) -> Names:
        """How its arrays are written."""
        base = self.answer.names
        written = dict(base.written)
        for (a, b), part in self.parts.items():
            written[result(a, b)] = _quotient(a, b, part, base)
        return replace(base, written=written)

    def __getitem__(self, key: str | tuple[str, str]) -> Gradient:
        pair = (key, key) if isinstance(key, str) else key
        part = self.parts.get(pair)
        if part is None:
            raise KeyError(key)
        applied = replace(part.applied, target=Access(result(*pair), (), part.applied.target.subscripts))
        equation = applied if part.matrix is None else Equation(Access(result(*pair)), part.matrix)
        return Gradient(" ".join(pair), equation, applied, self.names)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __hash__(self) -> int:
        return hash((self.answer, "hessian"))

    def _repr_html_(self) -> str:
        return "<br>".join(self[key]._repr_html_() for key in self)

    def __str__(self) -> str:
        return "\n".join(self[key].text() for key in self)


def result(first: str, second: str) -> str:
    """The name of a second derivative among the arrays."""
    return f"hessian_{first}_{second}"


def _quotient(first: str, second: str, part: SecondDerivative, names: Names) -> Formula:
    """∂²f/∂x∂yᵀ; where it is no matrix, what it makes of a direction V is D(∂f/∂x)[V]."""
    partial = Operator("partial")
    if part.matrix is None:
        gradient = Fraction(Row((partial, names.loss_letter)), Row((partial, plain_name(second))))
        return row(Identifier("D"), gradient, Fence("[", plain_name(part.direction), "]"))
    above = row(sup(partial, "2"), names.loss_letter)
    is_vector = bool(part.derivation.system.program.declaration(first).shape)
    last = sup(plain_name(first), "top") if is_vector else plain_name(first)
    below = row(partial, plain_name(second), partial, last)
    return Fraction(above, below)


def hessian(expression: str, wrt: Wrt = (), where: str = "") -> Hessian:
    """The second derivatives of a number with respect to pairs of the arrays ``wrt``.

    >>> print(hessian("x' A x / 2", "x", "x in R^n, A in R^(n x n)"))
    ∂²f/∂x∂xᵀ = 1/2 (A + Aᵀ)
    """
    answer = gradient_of(expression, wrt, where)
    if answer.seed_vector:
        repair = "Make it one, for example by <g, …> or sum(…)."
        raise about_question(LossNotScalar("A Hessian is that of a number.", None, repair))
    return Hessian(answer)


def _second(answer: Answer, first: str, second: str) -> SecondDerivative:
    """∂/∂second of ⟨∂f/∂first, V⟩."""
    program, declared = answer.derivation.program, answer.system.program.declaration(first)
    taken = {entry.name for entry in program.declarations} | {size.name for size in program.sizes}
    letters = ("v", "d", "u") if len(declared.shape) < 2 else ("V", "E", "H")
    direction = next(name for name in (*letters, *(f"v{n}" for n in range(100))) if name not in taken)
    gradient = answer.derivation.gradients[first]
    product = ast.Inner(gradient, Access(direction)) if declared.shape else ast.Product((gradient, Access(direction)))
    twice = replace(
        program,
        declarations=(
            *program.declarations,
            Declaration(direction, "given", declared.shape),
            Declaration(SECOND, "defined", ()),
        ),
        equations=(*program.equations, Equation(Access(SECOND), product)),
    )
    system = System(f"Again {answer.system.title}", twice, SECOND)
    found = walk(system)
    applied = closed_gradient(found, second)
    matrix = None
    is_vector = len(answer.system.program.declaration(second).shape) < 2
    if not applied.target.subscripts and len(declared.shape) < 2 and is_vector:
        try:
            matrix = matrix_of(applied.value, direction, found.scope)
        except NotAMatrix:
            matrix = None
    letter = next(name for name in ("s", "r", "q", "ell") if name not in taken)
    names = answer.names
    once = [*answer.derivation.walk.adjoints, *answer.derivation.walk.gradients.values()]
    targets = [Access(adjoint.equation.target.name) for adjoint in once]
    written = tuple((access.name, formula(access, names)) for access in targets)
    return SecondDerivative(first, second, direction, Derivation(system, found, letter, written), applied, matrix)
