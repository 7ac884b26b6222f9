"""The meaning of the language: a small, slow, obviously right evaluator on arrays.

expressions (``value``) and programs (``run``, ``gather``) say what a text means; integers and elementwise are
their parts; samples draws random sizes and inputs for checks.
"""

from derive.evaluate.elementwise import derivative, function_value
from derive.evaluate.expressions import Scope, inside, numeric_shape, scope_of, shapes_in, value
from derive.evaluate.integers import EvaluationError, holds, integer, rational
from derive.evaluate.programs import Results, access_of, gather, input_shape, inputs, run, scope_at, stacked
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
