"""From parse trees to expressions: the table of what each rule of the grammar means."""

from __future__ import annotations

from derive.language.access import NAMES
from derive.language.calls import CALLS
from derive.language.context import Context, Reading, Rule
from derive.language.maxima import MAXIMA
from derive.language.powers import POWERS
from derive.language.products import PRODUCTS
from derive.language.reading import Node
from derive.language.sums import SUMS
from derive.language.whole import inside

RULES: dict[str, Rule] = {**PRODUCTS, **POWERS, **SUMS, **MAXIMA, **NAMES, **CALLS}


def read(node: Node, context: Context) -> Reading:
    """The expression that ``node`` stands for and its shape."""
    node = inside(node)
    return RULES[str(node.data)](node, context, read)
