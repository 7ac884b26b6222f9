"""One equation put into another: unnamed adjoints replaced by what they are, so that few names are left to remember."""

from __future__ import annotations

from collections.abc import Iterable

from derive.calculus.shared_adjoints import put_in
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Expression


def inlined(expression: Expression, walk: Walk, kept: Iterable[str] = ()) -> Expression:
    """``expression`` with the unnamed adjoints (∂ℓ/∂h) replaced by what they are; δ's and shared ones stay."""
    return put_in(expression, walk.adjoints, walk.scope, {*kept, *walk.shared})


def put(expression: Expression, old: Expression, new: Expression) -> Expression:
    """``expression`` with ``new`` wherever ``old`` stands."""
    if expression == old:
        return new
    return ast.map_children(lambda child: put(child, old, new), expression)
