"""The order in which people write the factors of a product."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression


def slopes_first(expression: Expression) -> tuple[int, str]:
    """Numbers, slopes, values, then what comes back from later (adjoints, products)."""
    match expression:
        case ast.Number() | ast.SizeValue():
            rank = 0
        case ast.Apply(order=order) if order > 0:
            rank = 1
        case Access(name=name) if not name.startswith(("delta_", "d_")):
            rank = 3
        case Access():
            rank = 5
        case ast.Product() | ast.Sum():
            rank = 6
        case _:
            rank = 4
    return rank, repr(expression) if rank == 4 else str(getattr(expression, "name", ""))


def by_subscripts(expression: Expression) -> tuple[int, str, int]:
    """Slopes, entries of matrices, then the neighbours of U_ij in the order of their letters."""
    if isinstance(expression, ast.Apply) and expression.order > 0:
        return 1, "", 0
    if not isinstance(expression, Access):
        return 4, repr(expression), 0
    letters = "".join(str(position) for position in expression.subscripts)
    return 2 if len(expression.subscripts) > 1 else 3, letters, slopes_first(expression)[0]


def entry_order(entries: Iterable[Expression], order: tuple[str, ...]) -> Callable[[Expression], tuple[object, ...]]:
    """The key by which entries stand side by side: in the author's ``order`` where a position is affine.

    What comes back from later stands last; entries of vectors and matrices stand as their letters do, ``U_ij h_j``.
    """
    accesses = [entry for entry in entries if isinstance(entry, Access)]
    if not order or not any(_is_windowed(access) for access in accesses):
        return by_subscripts

    def place(expression: Expression) -> tuple[object, ...]:
        rank, name = slopes_first(expression)
        if not isinstance(expression, Access):
            return rank, 0, name, ""
        return 3, order.index(expression.name) if expression.name in order else len(order), name, repr(expression)

    return place


def _is_windowed(access: Access) -> bool:
    return len(access.subscripts) > 2 or any(not isinstance(position, sp.Symbol) for position in access.subscripts)
