"""The meaning of the language: a small, slow, obviously right evaluator on arrays.

expressions (``value``) and programs (``run``) say what a text means; integers, elementwise and positions are their
parts (``gather`` puts a whole array together); samples draws random sizes and inputs for checks.
"""

from derive.evaluate.elementwise import derivative, function_value
from derive.evaluate.expressions import Scope, inside, numeric_shape, scope_of, shapes_in, value
from derive.evaluate.integers import EvaluationError, holds, integer, rational
from derive.evaluate.positions import Results, access_of, gather, input_shape, inputs, stacked
from derive.evaluate.programs import run, scope_at
from derive.evaluate.samples import TEST_FUNCTION, bindings, draw, draw_sizes, fits

__all__ = [
    "TEST_FUNCTION",
    "EvaluationError",
    "Results",
    "Scope",
    "access_of",
    "bindings",
    "derivative",
    "draw",
    "draw_sizes",
    "fits",
    "function_value",
    "gather",
    "holds",
    "input_shape",
    "inputs",
    "inside",
    "integer",
    "numeric_shape",
    "rational",
    "run",
    "scope_at",
    "scope_of",
    "shapes_in",
    "stacked",
    "value",
]
