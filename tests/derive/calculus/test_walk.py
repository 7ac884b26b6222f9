from __future__ import annotations

import pytest

from derive.calculus.explain import steps_of
from derive.calculus.shared_adjoints import is_constant, is_named
from derive.calculus.substitution import inlined
from derive.calculus.walk import Walk, walk
from derive.catalogue import load, names
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.parser import parse
from derive.language.printer import expression_source
from derive.language.system import Program


@pytest.fixture(scope="module")
def elman() -> Walk:
    return walk(load("elman"))


def test_adjoints_come_from_the_loss_to_the_first_step(elman: Walk):
    assert [found.array.name for found in elman.adjoints] == ["yhat", "h", "z"]


def test_what_stands_before_a_function_is_a_delta(elman: Walk):
    assert elman.names == {"yhat": "grad_yhat", "h": "grad_h", "z": "delta_z"}


def test_every_parameter_input_and_start_has_a_gradient(elman: Walk):
    assert list(elman.gradients) == ["x", "y", "W", "U", "v", "h^0"]


def test_backpropagation_through_time_falls_out_of_the_index(elman: Walk):
    found = next(a for a in elman.adjoints if a.array.name == "h")
    text = expression_source(found.equation.value)
    assert text == "[1 <= t <= T - 1] U' delta_z^{t+1} + [t = T] grad_yhat v"
    assert {c.stage.name for c in found.contributions} == {"z", "yhat"}


def test_unnamed_adjoints_are_put_in_and_deltas_stay(elman: Walk):
    value = next(a for a in elman.adjoints if a.array.name == "z").equation.value
    shown = {node.name for node in ast.walk(inlined(value, elman)) if isinstance(node, Access)}
    assert "delta_z" in shown
    assert not shown & {"grad_h", "grad_yhat"}


def test_slopes_are_put_in_where_the_program_is_compiled_but_not_where_it_is_told(elman: Walk):
    def slopes(program: Program) -> set[str]:
        nodes = [node for e in program.equations for node in ast.walk(e.value)]
        return {node.function for node in nodes if isinstance(node, ast.Apply) and node.order}

    assert slopes(elman.opaque) == {"f"}
    assert slopes(elman.program) == set()


def test_names_that_are_taken_are_not_given_again():
    text = "title  Taken\nsizes  n rows\ngiven  x in R^n\nlearn  grad_x in R^n\nloss = <x, grad_x>\n"
    found = walk(parse(text))
    assert found.gradients["x"].equation.target.name == "grad_x_"
    assert len({d.name for d in found.program.declarations}) == len(found.program.declarations)


def test_the_adjoint_of_each_loss_in_a_sum_is_a_constant():
    found = walk(load("elman-aligned"))
    constants = {a.array.name for a in found.adjoints if is_constant(a)}
    assert constants
    assert not any(is_named(a) for a in found.adjoints if is_constant(a))
    told = {node.name for step in steps_of(found, "loss") for node in ast.walk(step.before) if isinstance(node, Access)}
    assert not told & {f"grad_{name}" for name in constants}


@pytest.mark.parametrize("name", names())
def test_every_adjoint_says_the_same_in_indices(name: str):
    """Both forms belong to one array, at the same times; only the entries' indices are more."""
    found = walk(load(name))
    for adjoint in (*found.adjoints, *found.gradients.values()):
        shape = found.scope[adjoint.array.name].shape
        assert adjoint.equation.target.name == adjoint.index_equation.target.name
        assert len(adjoint.index_equation.target.subscripts) == len(shape)
        assert adjoint.index_equation.ranges[: len(adjoint.equation.ranges)] == adjoint.equation.ranges or not (
            adjoint.has_matrix_form
        )


@pytest.mark.parametrize("name", names())
def test_a_gradient_is_told_once_and_after_what_it_needs(name: str):
    found = walk(load(name))
    told = [step.id for step in steps_of(found, "loss") if step.id.startswith("gradient-")]
    assert len(told) == len(set(told)) == len(found.gradients)
    order = [step.before.name for step in steps_of(found, "loss") if isinstance(step.before, Access)]
    results = set(found.names.values())
    constants = {a.equation.target.name for a in found.adjoints if is_constant(a)}
    for gradient in found.gradients.values():
        read = {n.name for n in ast.walk(gradient.equation.value) if isinstance(n, Access)} & results - constants
        place = order.index(gradient.equation.target.name)
        assert read <= set(order[:place])
