from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.calculus import index_notation
from derive.calculus.index_notation import dummy, element, entry, partial_derivative, stage
from derive.calculus.whole_entries import NoDerivative
from derive.language import expression as ast
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.expression import Access, Divides, Expression, Within, index
from derive.language.functions import FUNCTIONS
from derive.language.shapes import shape_of
from derive.language.system import Declaration, Equation, Range
from tests.derive.calculus.arrays import SCOPE, SIZES, M, N, P, array, entries, evaluated, number

k = index("k")
u, v, w, z, A, B, K, Q = (array(name) for name in ("u", "v", "w", "z", "A", "B", "K", "Q"))
a, b = array("a"), array("b")

SAMPLES: dict[str, Expression] = {
    "a number": number(3, 7),
    "a size as a number": ast.SizeValue(N + 2 * M),
    "a whole array": A,
    "an entry": Access("A", (), (sp.Integer(1), N - 1)),
    "an array over time": Access("x", (index("t") - 1,)),
    "a sum with a number": ast.Add((number(1), ast.Negative(u))),
    "a negative": ast.Negative(A),
    "a scaled matrix": ast.Product((a, A)),
    "a matrix times a vector": ast.Product((A, u)),
    "two matrices times a vector": ast.Product((a, K, A, u)),
    "a product of numbers": ast.Product((a, b, number(2))),
    "an outer product": ast.Product((w, ast.Transpose(u))),
    "a row times a column": ast.Product((ast.Transpose(u), A, v)),
    "a row times a matrix": ast.Product((ast.Transpose(u), Q)),
    "a Hadamard product": ast.Hadamard((A, B)),
    "an array over a number": ast.Quotient(u, a),
    "a number over an array": ast.Quotient(number(1), u),
    "an array over an array": ast.Quotient(u, v),
    "a power": ast.Power(u, number(3)),
    "a root": ast.Power(u, number(1, 2)),
    "a transposed matrix": ast.Transpose(K),
    "a transposed number": ast.Transpose(a),
    "an inner product of vectors": ast.Inner(u, v),
    "an inner product of matrices": ast.Inner(A, B),
    "a function": ast.Apply("tanh", u),
    "a slope": ast.Apply("tanh", A, 1),
    "softmax": ast.Call("softmax", (u,)),
    "logsumexp": ast.Call("logsumexp", (u,)),
    "the sum of a matrix": ast.Call("sum", (K,)),
    "a trace": ast.Call("trace", (ast.Product((A, B)),)),
    "a norm": ast.Call("norm", (K,)),
    "a direction": ast.Call("unit", (u,)),
    "an inverse": ast.Call("inv", (A,)),
    "a solution": ast.Call("solve", (A, u)),
    "a solution for each column": ast.Call("solve", (A, Q)),
    "a determinant": ast.Call("det", (A,)),
    "a logarithm of a determinant": ast.Call("logdet", (A,)),
    "an exponential": ast.Call("expm", (A,)),
    "a change of an exponential": ast.Call("dexpm", (A, B)),
    "a permutation": ast.Product((ast.Call("permutation", (u,)), v)),
    "a part": ast.Slice(K, ((sp.Integer(0), M - 1), (sp.Integer(1), sp.Integer(2)))),
    "a row": ast.Slice(K, (sp.Integer(1), (sp.Integer(0), N - 1))),
    "an entry of an inverse": ast.Slice(ast.Call("inv", (A,)), (sp.Integer(0), N - 1)),
    "a log of a sum of exponentials": ast.LogSumExp(k, sp.Integer(0), N - 1, Access("u", (), (k,))),
    "a Kronecker product": ast.Kronecker(K, A),
    "a Kronecker product of vectors": ast.Kronecker(u, w),
    "a Kronecker product with a row": ast.Kronecker(ast.Transpose(u), Q),
    "a vectorised matrix": ast.Vectorised(K),
    "a vectorised vector": ast.Vectorised(u),
    "blocks": ast.Block(((A, Q), (K, ast.Product((w, ast.Transpose(z)))))),
    "vectors below one another": ast.Block(((u,), (w,))),
    "vectors beside one another": ast.Block(((u, v),)),
    "a diagonal matrix": ast.Diagonal(u),
    "a sum over an index": ast.Sum(k, sp.Integer(0), N - 1, ast.Product((Access("u", (), (k,)), v))),
    "a sum over time": ast.Sum(k, sp.Integer(1), index("t"), Access("x", (k,))),
    "an empty sum": ast.Sum(k, sp.Integer(1), sp.Integer(0), ast.Product((ast.SizeValue(k), u))),
    "a guard": ast.Guard((Within(index("t"), sp.Integer(3), N),), u),
    "a guard by divisibility": ast.Sum(
        k, sp.Integer(0), N - 1, ast.Guard((Divides(sp.Integer(2), k),), Access("u", (), (k,)))
    ),
    "an identity": ast.Product((ast.Identity(N), u)),
    "an array of ones": ast.Product((ast.Filled(1, (N, P)), z)),
}


@pytest.mark.parametrize("expression", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("t", [2, 3])
def test_entries_are_what_the_evaluator_finds(expression: Expression, t: int):
    shape = shape_of(expression, SCOPE)
    sizes = {symbol: SIZES[symbol.name] for symbol in (M, N, P)}
    axes = {dummy(letter): int(str(extent.xreplace(sizes))) for letter, extent in zip("ij", shape, strict=False)}
    found = entries(entry(expression, tuple(axes), SCOPE), axes, t=t)
    np.testing.assert_allclose(found, evaluated(expression, t=t), rtol=1e-13, atol=1e-15)


def test_every_node_with_an_index_form_has_a_sample():
    sampled = {type(node) for expression in SAMPLES.values() for node in ast.walk(expression)}
    # The sum that stands for a maximum reads its choice, an array of its own: test_choices.py.
    assert set(index_notation._RULES) == sampled | {ast.Maximum}


def test_every_function_of_arrays_has_a_sample():
    sampled = {node.function for e in SAMPLES.values() for node in ast.walk(e) if isinstance(node, ast.Call)}
    assert set(ARRAY_FUNCTIONS) == sampled


def test_nodes_of_derived_formulas_are_refused_by_name():
    with pytest.raises(TypeError, match="OrderedProduct has no index notation"):
        entry(ast.OrderedProduct(k, N, sp.Integer(1), A), (dummy("i"), dummy("j")), SCOPE)


def test_bound_indices_are_fresh_so_that_equal_names_are_not_captured():
    twice = ast.Sum(k, sp.Integer(0), N - 1, ast.Sum(k, sp.Integer(0), N - 1, Access("u", (), (k,))))
    body = entry(ast.Product((twice, twice)), (), SCOPE)
    np.testing.assert_allclose(entries(body, {}), evaluated(ast.Product((twice, twice))))


def test_a_stage_of_whole_arrays_has_one_index_for_each_axis():
    scope = {**SCOPE, "y": Declaration("y", "defined", (M, N))}
    found = stage(Equation(Access("y"), ast.Product((K, A))), scope)
    assert [(bound.lower, bound.upper) for bound in found.bounds] == [(0, M - 1), (0, N - 1)]
    assert found.subscripts == tuple(bound.index for bound in found.bounds)


def test_a_stage_over_time_renames_its_index_everywhere():
    scope = {**SCOPE, "y": Declaration("y", "defined", (N,))}
    t = index("t")
    equation = Equation(Access("y", (t,)), Access("x", (t - 1,)), (Range(t, sp.Integer(2), sp.Integer(4)),))
    found = stage(equation, scope)
    (time,) = (bound.index for bound in found.bounds[:1])
    assert found.superscripts == (time,)
    assert not found.body.has(t)
    assert found.body == element("x", (time - 1,), found.subscripts)


def test_an_entry_that_is_not_read_has_derivative_zero():
    assert partial_derivative(entry(ast.Product((A, u)), (dummy("i"),), SCOPE), element("v", (), (dummy("q"),))) == 0


def test_differentiating_inside_a_sum_does_not_capture_the_index():
    """SymPy issue 21891 (B13 of our notes): with the summation index itself, every term would count."""
    i, q = sp.Symbol("i", integer=True), dummy("q")
    body = entry(
        ast.Sum(i, sp.Integer(0), N - 1, ast.Product((Access("u", (), (i,)), Access("v", (), (i,))))), (), SCOPE
    )
    derivative = partial_derivative(body, element("v", (), (q,)))
    np.testing.assert_allclose(entries(derivative, {q: SIZES["n"]}), evaluated(u))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_written_by_its_name(function: str):
    (i,) = axes = (dummy("i"),)
    body = entry(ast.Apply(function, u), axes, SCOPE)
    np.testing.assert_allclose(entries(body, {i: SIZES["n"]}), evaluated(ast.Apply(function, u)), rtol=1e-13)


EXAMPLES = {
    "inv": (A,),
    "solve": (A, Q),
    "det": (A,),
    "logdet": (A,),
    "expm": (A,),
    "dexpm": (A, B),
    "permutation": (u,),
}


@pytest.mark.parametrize("function", [name for name, row in ARRAY_FUNCTIONS.items() if row.entry is None])
def test_a_partial_derivative_is_what_the_value_changes_by(function: str):
    """The row's rule against the complex step, entry by entry, for each argument that it has a rule for."""
    call = ast.Call(function, EXAMPLES[function])
    shape = shape_of(call, SCOPE)
    own = {dummy(letter): SIZES[str(extent)] for letter, extent in zip("ij", shape, strict=False)}
    body = entry(call, tuple(own), SCOPE)
    arrays = [evaluated(argument) for argument in EXAMPLES[function]]
    row = ARRAY_FUNCTIONS[function]
    for place_of, (partial, argument) in enumerate(zip(row.partials, EXAMPLES[function], strict=True)):
        if partial is None:
            continue
        by = {dummy(letter): extent for letter, extent in zip("kl", arrays[place_of].shape, strict=False)}
        found = entries(partial_derivative(body, element(argument.name, (), tuple(by))), {**own, **by})
        for place in np.ndindex(*arrays[place_of].shape):
            moved = [array.astype(complex) for array in arrays]
            moved[place_of][place] += 1e-30j
            change = np.imag(row.evaluate(np, *moved)) / 1e-30
            np.testing.assert_allclose(found[(..., *place)], change, rtol=1e-9, atol=1e-12)


def test_every_rule_of_a_whole_array_has_an_example():
    assert {name for name, row in ARRAY_FUNCTIONS.items() if row.entry is None} == set(EXAMPLES)


def test_a_derivative_without_a_name_is_refused():
    body = entry(ast.Call("dexpm", (A, B)), (dummy("i"), dummy("j")), SCOPE)
    with pytest.raises(NoDerivative, match="dexpm with respect to its matrix"):
        partial_derivative(body, element("A", (), (dummy("k"), dummy("l"))))
