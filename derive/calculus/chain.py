"""Ordered products of one-step Jacobians: the chain of a recurrence, and its transpose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

import sympy as sp

from derive.calculus.stages import free_indices
from derive.calculus.step_names import is_diagonal
from derive.calculus.symbols import symbols_in
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, index
from derive.language.system import Scope


@dataclass(frozen=True)
class Chain:
    """∂of/∂wrt, two times of one state, as an ordered product of one-step Jacobians, the newest on the left."""

    of: Access
    wrt: Access
    product: ast.OrderedProduct
    transposed: ast.OrderedProduct


def free_letter(wishes: Iterable[str], scope: Scope, taken: Iterable[sp.Symbol] = ()) -> sp.Symbol:
    """The first of ``wishes`` that is neither a size nor an array nor among ``taken``."""
    used = {*scope, *(symbol.name for symbol in taken)}
    for declaration in scope.values():
        ends = (end for item in declaration.superscripts for end in (item.lower, item.upper))
        used |= {symbol.name for symbol in symbols_in(*declaration.shape, *ends)}
    more = (f"{letter}_{number}" for number in range(1, 100) for letter in "kjs")
    return next(index(letter) for letter in (*wishes, *more) if letter not in used)


def product_of_steps(
    factor: Expression, time: sp.Symbol, last: Integer, first: Integer, scope: Scope = MappingProxyType({})
) -> ast.OrderedProduct:
    """factor(last) · factor(last - 1) ⋯ factor(first + 1)."""
    bound = free_letter("jisrmq", scope, (free_indices(factor) | symbols_in(last, first)) - {time})
    body = ast.substitute_indices(factor, {time: bound})
    return ast.OrderedProduct(bound, sp.sympify(last), sp.expand(first + 1), body, descending=True)


def transpose_product(product: ast.OrderedProduct, scope: Scope) -> ast.OrderedProduct:
    """(A_last ⋯ A_first)ᵀ = A_firstᵀ ⋯ A_lastᵀ."""
    body = transposed(product.body, scope)
    return ast.OrderedProduct(product.index, product.last, product.first, body, descending=not product.descending)


def transposed(matrix: Expression, scope: Scope) -> Expression:
    """The transpose, taken inside sums, products and blocks; diagonal matrices stay."""
    match matrix:
        case ast.Product(factors=factors):
            return tidy(ast.Product(tuple(transposed(factor, scope) for factor in reversed(factors))), scope)
        case ast.Add(terms=terms):
            return ast.Add(tuple(transposed(term, scope) for term in terms))
        case ast.Negative(operand=operand):
            return ast.Negative(transposed(operand, scope))
        case ast.Block(rows=rows):
            return ast.Block(
                tuple(tuple(transposed(entry, scope) for entry in column) for column in zip(*rows, strict=True))
            )
        case Access(name=name) if is_diagonal(name, scope):
            return matrix
        case _:
            return tidy(ast.Transpose(matrix), scope)
