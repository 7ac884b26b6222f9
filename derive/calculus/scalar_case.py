"""The case in which every size is 1: arrays become numbers, transposes go, Hadamard products are products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Declaration, Scope


def scalar_names(scope: Scope) -> dict[str, str]:
    """A matrix that has become a number is written with a small letter, where that is free: W is w."""
    names: dict[str, str] = {}
    for name, declaration in scope.items():
        small = name.lower()
        free = small not in scope and small not in names.values()
        names[name] = small if len(declaration.shape) == 2 and len(name) == 1 and free else name
    for name in list(names):
        if name.startswith("d_") and name[2:] in names:
            names[name] = f"d_{names[name[2:]]}"
    return names


def scalar_scope(scope: Scope) -> dict[str, Declaration]:
    """All arrays as numbers, under their new names."""
    names = scalar_names(scope)
    return {names[name]: replace(d, name=names[name], shape=()) for name, d in scope.items()}


def as_scalars(expression: Expression, scope: Scope) -> Expression:
    """``expression`` with every size taken as 1."""
    names = scalar_names(scope)
    return tidy(_convert(expression, names), scalar_scope(scope))


def _convert(expression: Expression, names: Mapping[str, str]) -> Expression:
    inner = ast.map_children(lambda child: _convert(child, names), expression)
    rule = _RULES.get(type(inner))
    if isinstance(inner, Access):
        return Access(names[inner.name], inner.superscripts)
    return inner if rule is None else rule(inner)


_RULES: dict[type, Callable[..., Expression]] = {
    ast.Transpose: lambda node: node.operand,
    ast.Diagonal: lambda node: node.vector,
    ast.Vectorised: lambda node: node.operand,
    ast.Identity: lambda node: ast.ONE,
    ast.Filled: lambda node: ast.Number(Fraction(node.value)),
    ast.Hadamard: lambda node: ast.Product(node.factors),
    ast.Inner: lambda node: ast.Product((node.left, node.right)),
    ast.Kronecker: lambda node: ast.Product((node.left, node.right)),
    ast.Slice: lambda node: node.operand,
    ast.Call: lambda node: _CALLS.get(node.function, lambda x: x)(*node.arguments),
}
"""What each node is when its parts are numbers."""

_CALLS: dict[str, Callable[..., Expression]] = {
    "softmax": lambda x: ast.ONE,
    "norm": lambda x: ast.Apply("abs", x),
    "unit": lambda x: ast.Apply("sign", x),
    "inv": lambda x: ast.Quotient(ast.ONE, x),
    "solve": lambda a, b: ast.Quotient(b, a),
    "logdet": lambda x: ast.Apply("log", ast.Apply("abs", x)),
    "expm": lambda x: ast.Apply("exp", x),
    "dexpm": lambda x, change: ast.Product((ast.Apply("exp", x), change)),
    "permutation": lambda p: ast.ONE,
}
"""Functions of one number; the sum, the trace, the determinant and the logsumexp of one number are that number."""
