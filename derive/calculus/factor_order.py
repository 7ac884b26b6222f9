"""The order in which people write the factors of a product."""

from __future__ import annotations

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
