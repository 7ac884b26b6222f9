"""What the terms of a sum have in common, taken out: A x + B x is (A + B) x."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from derive.calculus.tidy import scaled, split_coefficient
from derive.language import expression as ast
from derive.language.expression import Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope


def with_common_part(node: ast.Add, scope: Scope, rewritten: Callable[[Expression], Expression]) -> Expression:
    """A x + B x is (A + B) x, X A + X B is X (A + B), and a/c + b/c is (a + b)/c."""
    if (over := _over_one_line(node)) is not None:
        return over
    if len(node.terms) == 2 and node.terms[0] == ast.Transpose(node.terms[1]):
        return ast.Add((node.terms[1], node.terms[0]))
    taken = [split_coefficient(term) for term in node.terms]
    chains = [body.factors if isinstance(body, ast.Product) else (body,) for _, body in taken]
    if len(chains) < 2 or any(len(chain) < 2 for chain in chains):
        return node
    for at_end in (True, False):
        shared = _shared(chains, at_end, scope)
        rests = [chain[: len(chain) - shared] if at_end else chain[shared:] for chain in chains]
        if not shared:
            continue
        part = chains[0][len(chains[0]) - shared :] if at_end else chains[0][:shared]
        terms = [
            scaled(coefficient, rest[0] if len(rest) == 1 else ast.Product(rest))
            for (coefficient, _), rest in zip(taken, rests, strict=True)
        ]
        common = min((abs(coefficient) for coefficient, _ in taken))
        if any(abs(coefficient) != common for coefficient, _ in taken):
            common = Fraction(1)
        common = -common if all(coefficient < 0 for coefficient, _ in taken) else common
        if common != 1:
            divided = [split_coefficient(term) for term in terms]
            terms = [scaled(coefficient / common, body) for coefficient, body in divided]
        total = rewritten(ast.Add(tuple(terms)))
        return scaled(common, ast.Product((total, *part) if at_end else (*part, total)))
    return node


def _over_one_line(node: ast.Add) -> Expression | None:
    """Fractions with one denominator as one fraction; None where all denominators differ."""
    for term in node.terms:
        _, body = split_coefficient(term)
        if not isinstance(body, ast.Quotient):
            continue
        alike = [t for t in node.terms if _denominator(t) == body.denominator]
        if len(alike) > 1:
            above: list[Expression] = []
            for one in alike:
                coefficient, fraction = split_coefficient(one)
                assert isinstance(fraction, ast.Quotient)
                above.append(scaled(coefficient, fraction.numerator))
            total = ast.Quotient(ast.Add(tuple(above)), body.denominator)
            terms = [total if t is alike[0] else t for t in node.terms if t is alike[0] or t not in alike]
            return terms[0] if len(terms) == 1 else ast.Add(tuple(terms))
    return None


def _denominator(term: Expression) -> Expression | None:
    _, body = split_coefficient(term)
    return body.denominator if isinstance(body, ast.Quotient) else None


def _shared(chains: Sequence[tuple[Expression, ...]], at_end: bool, scope: Scope) -> int:
    """How many factors all chains have in common at one end, arrays all of them, matrices left beside them in each."""
    longest = min(len(chain) for chain in chains) - 1
    for count in range(longest, 0, -1):
        parts = [chain[len(chain) - count :] if at_end else chain[:count] for chain in chains]
        rests = [chain[: len(chain) - count] if at_end else chain[count:] for chain in chains]
        same = all(part == parts[0] for part in parts[1:])
        is_array = all(shape_of(factor, scope) for factor in parts[0])
        shapes = {shape_of(ast.Product(rest), scope) for rest in rests}
        if same and is_array and len(shapes) == 1 and () not in shapes:
            return count
    return 0
