"""The language as mathematical layout: expressions, equations, declarations, shapes, ranges, as authors write them."""

from derive.notation.expressions import factor_formula, formula, unrolled_product
from derive.notation.integers import bracket, condition_formula, integer_formula
from derive.notation.levels import parenthesised
from derive.notation.names import FUNCTION_NAMES, Names, access_formula, function_formula, plain_name
from derive.notation.statements import (
    definition,
    equation_formula,
    latex,
    names_of,
    ranges_formula,
    shape_formula,
    start_formula,
    text,
)

__all__ = [
    "FUNCTION_NAMES",
    "Names",
    "access_formula",
    "bracket",
    "condition_formula",
    "definition",
    "equation_formula",
    "factor_formula",
    "formula",
    "function_formula",
    "integer_formula",
    "latex",
    "names_of",
    "parenthesised",
    "plain_name",
    "ranges_formula",
    "shape_formula",
    "start_formula",
    "text",
    "unrolled_product",
]
