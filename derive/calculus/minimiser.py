"""Ridge regression: where a parameter enters the loss quadratically with a penalty, its best value in closed form.

The gradient is then affine in the parameter, ∂ℓ/∂V = V A − B with a multiple of the identity in A; it is zero at
V = B A⁻¹. With the parameter on the other side, A v = b, it is zero at v = A⁻¹ b.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from derive.calculus.adjoint import Adjoint
from derive.calculus.order import recurrent
from derive.calculus.shared_adjoints import apart
from derive.calculus.stages import matched, mentions
from derive.calculus.substitution import inlined, put
from derive.calculus.textbook import textbook
from derive.calculus.tidy import split_coefficient, tidy
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope
from derive.trace import Equal, Line, Step, TotalDerivative


class _NotAffine(Exception):
    """The gradient is not a matrix times the parameter, plus what does not depend on it."""


@dataclass(frozen=True)
class _Term:
    """left · parameter · right under ``sums``, or, without a parameter, what does not depend on it."""

    left: tuple[Expression, ...]
    right: tuple[Expression, ...] = ()
    has_parameter: bool = False
    sums: tuple[ast.Sum, ...] = ()

    def around(self, *chain: Expression) -> Expression:
        """The product of ``chain`` under the sums of the term."""
        found: Expression = chain[0] if len(chain) == 1 else ast.Product(chain) if chain else ast.ONE
        for over in reversed(self.sums):
            found = replace(over, body=found)
        return found


def minimiser_steps(found: Adjoint, walk: Walk, loss: str) -> list[Step]:
    """The value of a learnt array at which its gradient is zero, where the loss is quadratic in it with a penalty."""
    scope, array = walk.scope, found.array
    declaration = scope[array.name]
    if declaration.role != "learn" or array.superscripts or not found.has_matrix_form or not declaration.shape:
        return []
    try:
        gradient = _without_names(inlined(found.equation.value, walk), array.name, walk)
        terms = list(_terms(gradient, array, scope))
        matrix, rest, on_the_right = _normal_equations(terms, scope, array)
    except _NotAffine:
        return []
    if not any(isinstance(split_coefficient(part)[1], ast.Identity) or _is_scaled_identity(part) for part in matrix):
        return []
    coefficient, constant = _sum(matrix, scope), _sum([ast.Negative(part) for part in rest], scope)
    inverse = ast.Call("inv", (coefficient,))
    product = (array, coefficient) if on_the_right else (coefficient, array)
    affine = tidy(ast.Add((ast.Product(product), ast.Negative(constant))), scope)
    best = tidy(ast.Product((constant, inverse) if on_the_right else (inverse, constant)), scope)
    at_best = apart(put(gradient, array, best))
    quotient = ast.Derivative(Access(loss), array)
    return [
        Step(
            f"minimiser-{array.name}",
            ("The normal equations: the ", array, " of least loss"),
            "normal equations",
            (
                "The loss is quadratic in ",
                array,
                ", so the gradient is affine in it. It is zero where the second line holds; where the matrix to be ",
                "inverted is positive definite, as with a positive penalty, the loss is least there and nowhere else.",
            ),
            quotient,
            affine,
            (Line((quotient, affine)), Line((array, best), ("where the gradient is zero",))),
            claims=(
                TotalDerivative(Access(loss), array, affine),
                Equal(at_best, ast.Filled(0, tuple(shape_of(array, scope)))),
            ),
        )
    ]


def _without_names(expression: Expression, parameter: str, walk: Walk) -> Expression:
    """``expression`` with every array that is computed from the parameter replaced by what it is.

    _NotAffine where one is not put in so: a state that feeds itself, an adjoint with a name of its own.
    """
    table = {e.target.name: e for e in walk.forward.equations}
    recurring = {name for group in recurrent(walk.forward) for name in group}
    adjoints = {found.equation.target.name for found in walk.adjoints}

    def depends(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name == parameter or name not in table or name in seen:
            return name == parameter
        read = {node.name for node in ast.walk(table[name].value) if isinstance(node, Access)}
        return any(depends(other, seen | {name}) for other in read)

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in adjoints:
            raise _NotAffine
        if not isinstance(node, Access) or node.name == parameter or not depends(node.name):
            return ast.map_children(visit, node)
        equation = table[node.name]
        if equation.target.subscripts or node.subscripts or node.name in recurring:
            raise _NotAffine
        return visit(ast.substitute_indices(equation.value, matched(equation.target, node)))

    return apart(visit(expression))


def _terms(node: Expression, array: Access, scope: Scope) -> Iterator[_Term]:
    """The terms of an expression that is affine in ``array``."""
    if node == array:
        yield _Term((), (), True)
        return
    if not mentions(node, array.name):
        yield _Term((node,))
        return
    match node:
        case ast.Add(terms=terms):
            for part in terms:
                yield from _terms(part, array, scope)
        case ast.Negative(operand=operand):
            for term in _terms(operand, array, scope):
                yield replace(term, left=(ast.Negative(ast.ONE), *term.left))
        case ast.Quotient(numerator=above, denominator=below) if not shape_of(below, scope):
            for term in _terms(above, array, scope):
                yield replace(term, left=(ast.Quotient(ast.ONE, below), *term.left))
        case ast.Sum(body=body):
            for term in _terms(body, array, scope):
                yield replace(term, sums=(node, *term.sums))
        case ast.Inner(left=left, right=right) if len(shape_of(left, scope)) == 1:
            one, other = (left, right) if mentions(left, array.name) else (right, left)
            if mentions(other, array.name):
                raise _NotAffine
            for term in _terms(one, array, scope):
                yield replace(term, left=(ast.Transpose(other), *term.left))
        case ast.Product(factors=factors):
            yield from _of_product(factors, array, scope)
        case _:
            raise _NotAffine


def _of_product(factors: Sequence[Expression], array: Access, scope: Scope) -> Iterator[_Term]:
    inside = [factor for factor in factors if mentions(factor, array.name)]
    if len(inside) != 1:
        raise _NotAffine
    place = list(factors).index(inside[0])
    before, after = tuple(factors[:place]), tuple(factors[place + 1 :])
    if not shape_of(inside[0], scope):  # a number beside arrays: it goes last, so that the parameter stands at an end
        before, after = (*before, *after), ()
    for term in _terms(inside[0], array, scope):
        numbers = tuple(factor for factor in after if not shape_of(factor, scope))
        arrays = tuple(factor for factor in after if shape_of(factor, scope))
        if term.has_parameter:
            yield replace(term, left=(*before, *numbers, *term.left), right=(*term.right, *arrays))
        else:
            yield replace(term, left=(*before, *numbers, *term.left, *arrays))


def _normal_equations(
    terms: Sequence[_Term], scope: Scope, array: Access
) -> tuple[list[Expression], list[Expression], bool]:
    """The terms of A, those of −B, and whether A stands on the right of the parameter."""
    own = [term for term in terms if term.has_parameter]
    on_the_right = len(shape_of(array, scope)) == 2 and any(term.right for term in own)
    extent = shape_of(array, scope)[-1 if on_the_right else 0]
    matrix: list[Expression] = []
    for term in own:
        numbers = tuple(factor for factor in term.left if not shape_of(factor, scope))
        arrays = tuple(factor for factor in term.left if shape_of(factor, scope))
        if (on_the_right and arrays) or (not on_the_right and term.right):
            raise _NotAffine
        chain = term.right if on_the_right else arrays
        matrix.append(tidy(term.around(*numbers, *(chain or (ast.Identity(extent),))), scope))
    rest = [tidy(term.around(*term.left), scope) for term in terms if not term.has_parameter]
    if not matrix or not rest:
        raise _NotAffine
    return matrix, rest, on_the_right


def _is_scaled_identity(part: Expression) -> bool:
    body = split_coefficient(part)[1]
    return isinstance(body, ast.Product) and isinstance(body.factors[-1], ast.Identity)


def _sum(parts: Sequence[Expression], scope: Scope) -> Expression:
    ordered = sorted(parts, key=_is_scaled_identity)  # the penalty behind what it is added to
    return textbook(ordered[0] if len(ordered) == 1 else ast.Add(tuple(ordered)), scope)
