"""Passes: what they promise, and that recurrences are ordered, products taken out of loops, and room shared."""

from __future__ import annotations

from functools import reduce

import pytest
import sympy as sp

import derive
from derive.language import expression as ast
from derive.language.expression import Access, Divides, Within, index, size
from derive.language.system import Declaration, Equation, Program, Range, Start
from kernels.errors import CannotCompile
from kernels.schedule import PASSES, Work, bound, bounds, planned
from kernels.schedule.cost import multiply_adds
from kernels.schedule.formulas import canonical
from kernels.schedule.plan import For, If, Multiply, Outer, Pack, Plan, Set, Statement, TimeLoop
from kernels.schedule.storage import uses

t, s, i = index("t"), index("s"), index("i")
T, n = size("T"), size("n")
ONE = sp.Integer(1)
STEPS = Range(t, ONE, T)


def at(name: str, *steps: sp.Expr) -> Access:
    return Access(name, steps)


def tanh(value: ast.Expression) -> ast.Expression:
    return ast.Apply("tanh", value)


def recurrence(*equations: Equation, starts: tuple[Start, ...] = ()) -> Program:
    """A program over x, h and g, all vectors at every step."""
    given = Declaration("x", "given", (n,), (STEPS,))
    learnt = Declaration("U", "learn", (n, n))
    names = dict.fromkeys(equation.target.name for equation in equations)
    states = tuple(
        Declaration(name, "defined", (n,), (STEPS,), zero_outside=not any(s.access.name == name for s in starts))
        for name in names
    )
    return Program((T, n), (given, learnt, *states), starts, equations)


def work(program: Program, *outputs: str) -> Work:
    steps = {item.name: tuple(span.index for span in item.superscripts) for item in program.declarations}
    return Work(program, tuple(Access(name, steps[name]) for name in outputs), {}, averaged=False)


def passed(start: Work, last: str) -> Work:
    """The work after the pass called ``last``."""
    names = [item.name for item in PASSES]
    return reduce(lambda done, item: item.apply(done), PASSES[: names.index(last) + 1], start)


def elman() -> Work:
    found = derive.gradient(derive.load("elman"))
    outputs = (Access("loss"), *(found.gradients[key] for key in ("W", "U", "v", "x", "h^0")))
    adjoints = {access.name: key.partition("^")[0] for key, access in found.gradients.items()}
    return Work(
        bound(found.program, {}), outputs, adjoints | {a: z for z, a in found.walk.names.items()}, averaged=True
    )


def everything(statements: tuple[Statement, ...], loops: int = 0) -> list[tuple[Statement, int]]:
    """Every statement with the number of loops over time around it."""
    found: list[tuple[Statement, int]] = []
    for statement in statements:
        found.append((statement, loops))
        if isinstance(statement, For):
            found += everything(statement.body, loops + (statement.index == t))
        if isinstance(statement, If):
            found += everything((*statement.body, *statement.otherwise), loops)
    return found


# The passes as a whole ------------------------------------------------------------------------------------------------


def test_passes_have_different_names_and_a_sentence_each():
    assert len({item.name for item in PASSES}) == len(PASSES)
    assert all(item.sentence.endswith(".") for item in PASSES)


@pytest.mark.parametrize("name", ["place", "prune", "fuse", "in place", "without time"])
def test_a_pass_that_is_repeated_changes_nothing(name: str):
    (again,) = (item for item in PASSES if item.name == name)
    once = passed(elman(), name)
    assert again.apply(once).plan == once.plan
    if name in ("place", "prune"):
        assert again.apply(once).arrays == once.arrays


def test_planning_does_not_change_its_input_and_is_repeatable():
    start = elman()
    before = start.program
    assert planned(start) == planned(start)
    assert start.program == before
    assert start.plan == Plan({}, {}, ())


# Order ----------------------------------------------------------------------------------------------------------------


def loops(start: Work) -> list[TimeLoop]:
    return [node for node in passed(start, "order").nodes if isinstance(node, TimeLoop)]


def test_states_run_up_and_adjoints_run_down():
    assert [loop.descending for loop in loops(elman())] == [False, True]


def test_what_needs_no_earlier_step_is_not_in_the_time_loop():
    nodes = passed(elman(), "order").nodes
    inside = {part.target.name for loop in loops(elman()) for part in loop.body if not isinstance(part, TimeLoop)}
    assert inside == {"z", "h", "grad_h", "delta_z"}
    outside = [node.target.name for node in nodes if not isinstance(node, TimeLoop)]
    assert outside.count("z") == 1, "W x^t is made for all steps at once"
    assert {"grad_U", "grad_W", "grad_x"} <= set(outside)


def test_a_recurrence_that_looks_ahead_runs_down_from_the_last_step():
    program = recurrence(Equation(at("g", t), tanh(ast.Add((at("x", t), at("g", t + 1)))), (STEPS,)))
    (loop,) = loops(work(program, "g"))
    assert loop.descending


def test_a_sum_over_all_earlier_steps_is_a_recurrence():
    earlier = ast.Sum(s, ONE, t - 1, at("h", s))
    program = recurrence(Equation(at("h", t), tanh(ast.Add((at("x", t), earlier))), (STEPS,)))
    (loop,) = loops(work(program, "h"))
    assert not loop.descending


def test_steps_in_several_equations_are_one_loop():
    start = Start(at("h", sp.Integer(0)), None)
    program = recurrence(
        Equation(at("h", ONE), tanh(at("h", sp.Integer(0)))),
        Equation(at("h", t), tanh(ast.Add((at("g", t - 1), at("x", t)))), (Range(t, sp.Integer(2), T),)),
        Equation(at("g", t), tanh(at("h", t)), (STEPS,)),
        starts=(start,),
    )
    (loop,) = loops(work(program, "g"))
    assert not loop.descending


def test_a_state_that_needs_its_own_future_and_past_is_refused():
    both = ast.Add((at("h", t - 1), at("h", t + 1)))
    program = recurrence(Equation(at("h", t), tanh(both), (STEPS,)))
    with pytest.raises(CannotCompile, match="no order of steps makes h before"):
        planned(work(program, "h"))


# Products -------------------------------------------------------------------------------------------------------------


def test_only_products_with_u_stay_in_the_loops_of_elman():
    found = [(type(statement), depth) for statement, depth in everything(planned(elman()).statements)]
    assert found.count((Multiply, 1)) == 2
    assert found.count((Multiply, 0)) == 3  # W x^t, grad x^t = W' delta^t, grad h^0 = U' delta^1
    assert found.count((Outer, 0)) == 2
    assert found.count((Pack, 0)) == 4  # W and U, each as it is and transposed
    assert (Pack, 1) not in found


def test_the_count_of_multiply_adds_is_that_of_the_textbook():
    d, T, n, batch = (size(name) for name in ("d", "T", "n", "batch"))
    without_inputs = elman()
    outputs = without_inputs.outputs[:4]
    plan = planned(Work(without_inputs.program, outputs, without_inputs.adjoints, averaged=True))
    by_hand = batch * T * (2 * n * d + 3 * n * n)
    assert sp.expand(multiply_adds(plan) - by_hand) == 0


def test_a_condition_on_the_step_is_tested_outside_all_inner_loops():
    for statement, _ in everything(planned(elman()).statements):
        if isinstance(statement, For) and statement.index != t:
            assert not any(isinstance(inner, If) for inner, _ in everything(statement.body))


# Room -----------------------------------------------------------------------------------------------------------------


def test_an_array_that_is_read_for_the_last_time_gives_its_room_away():
    plan = planned(elman())
    assert plan.shared == {"z": "h", "grad_h": "delta_z"}


def test_an_array_that_the_caller_wants_keeps_its_room():
    start = elman()
    wanted = Work(start.program, (*start.outputs, at("z", t)), start.adjoints, averaged=False)
    assert "z" in planned(wanted).arrays


def test_an_array_that_is_needed_again_keeps_its_room():
    program = recurrence(
        Equation(at("g", t), tanh(at("x", t)), (STEPS,)),
        Equation(at("h", t), tanh(at("g", t)), (STEPS,)),
        Equation(at("k", t), ast.Add((at("g", t), at("h", t))), (STEPS,)),
        Equation(at("loss", t), ast.Add((at("g", t), at("k", t))), (STEPS,)),
    )
    plan = planned(work(program, "loss"))
    assert "g" in plan.arrays or plan.shared["g"] != "h"


def test_an_array_of_one_step_has_no_axis_for_time():
    start = Start(at("h", sp.Integer(0)), None)
    squared = ast.Hadamard((at("g", t), at("g", t)))
    program = recurrence(
        Equation(at("g", t), tanh(ast.Product((at("U"), at("h", t - 1)))), (STEPS,)),
        Equation(at("k", t), ast.Product((at("U"), squared)), (STEPS,)),
        Equation(at("h", t), ast.Add((at("k", t), ast.Product((at("U"), at("g", t))))), (STEPS,)),
        starts=(start,),
    )
    plan = planned(work(program, "h"))
    assert all(not plan.arrays[name].slots for name in ("g",) if name in plan.arrays)
    assert plan.arrays["h"].slots


def test_every_array_with_room_is_made_and_read():
    plan = planned(elman())
    given = {"x", "y", "W", "U", "v", "h^0"}
    wanted = {"loss", "grad_W", "grad_U", "grad_v", "grad_x", "grad_h_start0"}
    for name, found in uses(plan).items():
        assert any(use.written for use in found) or name in given
        assert any(not use.written for use in found) or name in wanted


# Integers and conditions ----------------------------------------------------------------------------------------------


def test_a_condition_is_certain_impossible_or_neither():
    assert bounds.holds(Within(t - 1, sp.Integer(0), T), [STEPS]) is True
    assert bounds.holds(Within(t + T, ONE, T), [STEPS]) is False
    assert bounds.holds(Within(t, T, T), [STEPS]) is None
    assert bounds.holds(Divides(sp.Integer(2), 2 * t), [STEPS]) is True
    assert bounds.holds(Divides(sp.Integer(2), t), [STEPS]) is None


def test_bounds_of_inner_indices_may_depend_on_outer_ones():
    inner = Range(s, ONE, t - 1)
    assert bounds.extreme(s - t, [STEPS, inner], 1) == -1
    assert bounds.at_most(s, T - 1, [STEPS, inner])
    assert bounds.extreme(s * s, [STEPS, inner], 1) is None


def test_the_last_step_and_all_before_it_are_opposite():
    last, before = Within(t, T, T), Within(t + 1, ONE, T)
    assert bounds.are_opposite([last], [before], [STEPS])
    assert not bounds.are_opposite([last], [Within(t, ONE, ONE)], [STEPS])
    assert bounds.simplest(before, [STEPS]) == Within(t, -sp.oo, T - 1)


def test_formulas_that_differ_in_names_of_indices_are_one():
    one = ast.Sum(s, ONE, T, Access("h", (s,), (i,)))
    other = ast.Sum(t, ONE, T, Access("h", (t,), (index("j"),)))
    assert canonical(one, [i]) == canonical(other, [index("j")])
    assert canonical(one, [i]) != canonical(ast.Sum(s, ONE, T - 1, one.body), [i])


def test_every_statement_that_sets_an_entry_says_which_equation_it_comes_from():
    start = passed(elman(), "cut")
    numbers = {part.number for part in start.stages.parts}
    assert {
        statement.number for statement, _ in everything(planned(elman()).statements) if isinstance(statement, Set)
    } <= numbers
