"""The meaning of the language: an evaluator on arrays of any module with NumPy's names.

expressions (``value``) and programs (``run``) say what a text means, points gives an equation in index form its
values at a whole grid of index values at once; integers, elementwise, maxima and positions are their parts (``gather``
puts a whole array together); samples draws random sizes and inputs for checks.
"""

from derive.evaluate.elementwise import derivative, function_value
from derive.evaluate.expressions import Scope, entry, inside, numeric_shape, scope_of, shapes_in, value
from derive.evaluate.integers import EvaluationError, holds, integer, rational
from derive.evaluate.positions import Results, access_of, gather, input_shape, inputs, stacked
from derive.evaluate.programs import run, scope_at
from derive.evaluate.samplers import SAMPLERS, is_selective
from derive.evaluate.samples import TEST_FUNCTION, bindings, draw, draw_sizes, fits, work
from derive.evaluate.sizes import completed, follows, names_in, too_small

__all__ = [
    "SAMPLERS",
    "TEST_FUNCTION",
    "EvaluationError",
    "Results",
    "Scope",
    "access_of",
    "bindings",
    "completed",
    "derivative",
    "draw",
    "draw_sizes",
    "entry",
    "fits",
    "follows",
    "function_value",
    "gather",
    "holds",
    "input_shape",
    "inputs",
    "inside",
    "integer",
    "is_selective",
    "names_in",
    "numeric_shape",
    "rational",
    "run",
    "scope_at",
    "scope_of",
    "shapes_in",
    "stacked",
    "too_small",
    "value",
    "work",
]
