"""Names for what several formulas of one step of a recurrence need: J^t for diagonals of slopes, K^t for long parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from derive.calculus.stages import free_indices
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.language.system import Declaration, Equation, Range, Scope

DIAGONAL = "diagonal matrix of slopes"
"""The description of the matrices J^t, by which their transposes are known to be themselves."""


@dataclass(frozen=True)
class NamedPart:
    """A name within one step: ``equation`` says that it is ∂of/∂wrt, or the source of ``of`` where wrt is None."""

    equation: Equation
    of: Access
    wrt: Access | None


SHORT = 3
"""A matrix or a source of up to so many arrays is written out wherever it stands."""


def is_long(expression: Expression, scope: Scope) -> bool:
    """Too long to be read twice: more than SHORT arrays in it."""
    return sum(1 for node in ast.walk(expression) if isinstance(node, Access) and scope[node.name].shape) > SHORT


def uses(name: str, equations: Iterable[Equation], time: sp.Symbol) -> int:
    """How many equations of the step read the array of this step."""
    return sum(
        any(
            isinstance(node, Access)
            and node.name == name
            and sp.expand(node.superscripts[0] - equation.ranges[0].index) == 0
            for node in ast.walk(equation.value)
        )
        for equation in equations
    )


@dataclass(frozen=True)
class Naming:
    """Gives names to long parts of the step of one array."""

    of: Access
    span: Range
    scope: Scope
    declarations: dict[str, Declaration]
    named: list[NamedPart]

    def __call__(self, value: Expression, wishes: Sequence[str], wrt: Access | None) -> Expression:
        """The name for ``value``, the first of ``wishes`` that is free; ``value`` itself where it is short."""
        if not is_long(value, self.scope):
            return value
        taken = {*self.scope, *self.declarations}
        name = next(n for n in (*wishes, *(f"{wishes[0]}_{k}" for k in range(1, 1000))) if n not in taken)
        self.declarations[name] = Declaration(name, "defined", shape_of(value, self.scope), (self.span,))
        target = Access(name, (self.span.index,))
        self.named.append(NamedPart(Equation(target, value, (self.span,)), self.of, wrt))
        return target


def named_diagonals(
    matrix: Expression,
    time: sp.Symbol,
    definitions: dict[Expression, Equation],
    declarations: dict[str, Declaration],
    scope: Scope,
    group: Sequence[str],
) -> Expression:
    """Every diag(f'(z^t)) gets a name: J^t where it is the only one of the system, else J_z^t."""
    if isinstance(matrix, ast.Diagonal) and isinstance(matrix.vector, ast.Hadamard):
        # diag(o ⊙ f'(c)) is diag(o) J_c.
        slopes = [factor for factor in matrix.vector.factors if _is_slope(factor)]
        others = [factor for factor in matrix.vector.factors if not _is_slope(factor)]
        if slopes and others:
            rest = others[0] if len(others) == 1 else ast.Hadamard(tuple(others))
            apart = ast.Product((ast.Diagonal(rest), *(ast.Diagonal(slope) for slope in slopes)))
            return named_diagonals(apart, time, definitions, declarations, scope, group)
    if isinstance(matrix, ast.Diagonal) and free_indices(matrix) & {time} and _is_slope(matrix.vector):
        if matrix not in definitions:
            (access,) = [node for node in ast.walk(matrix.vector) if isinstance(node, Access)][:1]
            name = _jacobian_name(access.name, scope, declarations)
            extent = scope[access.name].shape[0]
            declarations[name] = Declaration(
                name, "defined", (extent, extent), scope[access.name].superscripts, DIAGONAL
            )
            definitions[matrix] = Equation(Access(name, (time,)), matrix, scope[access.name].superscripts)
        return definitions[matrix].target
    return ast.map_children(lambda child: named_diagonals(child, time, definitions, declarations, scope, group), matrix)


def _is_slope(vector: Expression) -> bool:
    return isinstance(vector, ast.Apply) and vector.order > 0 and isinstance(vector.argument, Access)


def _jacobian_name(array: str, scope: Scope, declared: Mapping[str, Declaration]) -> str:
    alone = sum(1 for name in scope if name.startswith("z") and scope[name].superscripts) == 1
    wishes = ("J",) if alone and array.startswith("z") else ()
    return next(
        n
        for n in (*wishes, f"J_{array.removeprefix('z_')}", f"J_{array}_slope")
        if n not in scope and n not in declared
    )


def named_differential(change: Expression, definitions: Mapping[Expression, Equation], scope: Scope) -> Expression:
    """f'(z^t) ⊙ dz^t written with the matrix that has a name: J^t dz^t."""
    inner = ast.map_children(lambda child: named_differential(child, definitions, scope), change)
    if isinstance(inner, ast.Hadamard) and len(inner.factors) == 2:
        diagonal = ast.Diagonal(inner.factors[0])
        if diagonal in definitions:
            return ast.Product((definitions[diagonal].target, inner.factors[1]))
    return inner


def is_diagonal(name: str, scope: Scope) -> bool:
    """The array is one of the diagonal matrices that a linearisation introduced."""
    return scope[name].description == DIAGONAL
