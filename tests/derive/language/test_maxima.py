"""Maxima and shares in text: what is read, what is printed, indices that are renamed, accesses beyond an axis."""

from __future__ import annotations

import pytest
import sympy as sp

from derive.language.errors import BadSyntax, DefinitionError, RangeError
from derive.language.expression import (
    Access,
    Guard,
    Maximum,
    Range,
    Share,
    Within,
    children,
    index,
    size,
    substitute_indices,
    walk,
)  # fmt: skip
from derive.language.parser import parse
from derive.language.printer import expression_source, source
from derive.language.shapes import shape_of
from tests.maxima import POOLING, SYSTEMS, text

a, b, i, j, k = map(index, "abijk")
n = size("n")
ZERO, ONE = sp.Integer(0), sp.Integer(1)


def only(definition: str) -> Maximum:
    """The one maximum of a definition."""
    (found,) = [
        node for e in parse(definition).program.equations for node in walk(e.value) if isinstance(node, Maximum)
    ]
    return found


def window(right: str, conventions: str = "") -> str:
    return f"""
        sizes n, R, m
        given x in R^n, W in R^(m x n), t in R^m
        y[i] = {right} for i = 0..m-1
        loss = squared(y, t)
        {conventions}
    """


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_definition_prints_back_to_itself(name: str) -> None:
    system = parse(text(name))
    assert parse(source(system)).program == system.program


@pytest.mark.parametrize("ties", ["first", "split", "all"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_pooling_in_any_dimension_prints_back_to_itself(dimensions: int, ties: str) -> None:
    system = parse(POOLING, "", {"D": dimensions, "ties": ties})
    (maximum,) = [node for e in system.program.equations for node in walk(e.value) if isinstance(node, Maximum)]
    assert len(maximum.ranges) == dimensions
    assert maximum.ties == ties
    assert parse(source(system)).program == system.program


def test_an_index_without_a_range_runs_over_the_axis_that_it_indexes() -> None:
    assert only(window("max over j of W[i, j]")).ranges == (Range(j, ZERO, size("n") - 1),)


def test_max_may_be_written_as_in_latex() -> None:
    assert only(window(r"\max_{j} W[i, j]")) == only(window("max over j of W[i, j]"))


@pytest.mark.parametrize("written, said, ties", [
    ("max", "", "first"), ("max", "split", "split"), ("max all", "split", "all"), ("max first", "all", "first"),
])  # fmt: skip
def test_the_convention_says_what_ties_mean_unless_the_maximum_does(written: str, said: str, ties: str) -> None:
    convention = f"convention ties is {said}" if said else ""
    assert only(window(f"{written} over j of W[i, j]", convention)).ties == ties


def test_a_maximum_ends_with_its_term() -> None:
    value = parse(window("max over j of W[i, j] + t[i]")).program.equations[0].value
    assert [type(part) for part in children(value)] == [Maximum, Access]


def test_the_maximum_of_arrays_has_their_shape() -> None:
    system = parse("sizes T, n\ngiven x^t in R^n for t = 1..T\nm = max over t = 1..T of x^t\nloss = <m, m>")
    assert shape_of(system.program.equations[0].value, system.program) == (n,)


# Beyond an axis -------------------------------------------------------------------------------------------------------


SHIFTED = "max over a = 0..R-1 of x[i + a - 1]"


def test_an_access_that_leaves_its_axis_is_an_error() -> None:
    with pytest.raises(RangeError, match="the index reaches -1"):
        parse(window(SHIFTED))


def test_outside_is_zero_lets_the_zeros_take_part() -> None:
    maximum = only(window(SHIFTED, "convention outside is zero"))
    assert maximum.conditions == ()
    assert isinstance(maximum.body, Guard)


def test_outside_is_skipped_leaves_positions_out() -> None:
    maximum = only(window(SHIFTED, "convention outside is skipped"))
    assert maximum.conditions == (Within(a + i - 1, ZERO, n - 1),)
    assert isinstance(maximum.body, Access)


def test_conditions_that_are_written_keep_accesses_inside() -> None:
    maximum = only(window("max over a = 0..R-1 with 0 <= i + a - 1 <= n - 1 of x[i + a - 1]"))
    assert maximum.conditions == (Within(a + i - 1, ZERO, n - 1),)
    assert isinstance(maximum.body, Access)


def test_in_a_sum_inside_a_maximum_what_is_outside_is_zero() -> None:
    right = "max over a = 0..R-1 of (sum over b = 0..1 of x[i + a + b - 1])"
    maximum = only(window(right, "convention outside is skipped"))
    assert maximum.conditions == ()
    assert any(isinstance(node, Guard) for node in walk(maximum.body))


# Shares ---------------------------------------------------------------------------------------------------------------


def test_a_share_is_read_and_printed_under_the_letters_of_its_maximum() -> None:
    text = "sizes n, m\ngiven x in R^(n x m)\ns[i, a] = share of a in max over a = 0..m-1 of x[i, a]\nloss = sum(s)"
    system = parse(text)
    share = system.program.equations[0].value
    assert isinstance(share, Share)
    assert share.at == (a,)
    assert expression_source(share) == "share of a in max over a = 0..m-1 of x[i, a]"
    assert parse(source(system)).program == system.program


@pytest.mark.parametrize("right, words", [
    ("share of i, i in max over j of W[i, j]", "runs over 1 indices, here stand 2"),
    ("sum(share of i in max over i = 0..m-1 of x)", "maximum of numbers"),
    ("max over i of W[i, 0]", "i is a size or an index already"),
    ("max over a of x[0]", "does not follow"),
    ("max of x", "does not fit"),
])  # fmt: skip
def test_mistakes_are_said(right: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        parse(window(right))


def test_too_many_indices_are_refused() -> None:
    letters = ", ".join(f"a{number} = 0..1" for number in range(17))
    with pytest.raises(BadSyntax, match="at most 16"):
        parse(window(f"max over {letters} of x[a0]"))


# Indices --------------------------------------------------------------------------------------------------------------


def maximum(body: Access, *ranges: Range, conditions: tuple[Within, ...] = ()) -> Maximum:
    return Maximum(ranges, body, conditions)


def test_bound_indices_are_left_alone() -> None:
    found = maximum(Access("x", (), (i, a)), Range(a, ZERO, n))
    assert substitute_indices(found, {a: k, i: k}) == maximum(Access("x", (), (k, a)), Range(a, ZERO, n))


def test_values_that_are_put_in_are_not_captured_by_any_index() -> None:
    found = maximum(Access("x", (), (i, a, b)), Range(a, ZERO, n), Range(b, ZERO, a))
    moved = substitute_indices(found, {i: a + b})
    assert isinstance(moved, Maximum)
    (first, second), body = moved.ranges, moved.body
    assert len({first.index, second.index, a, b}) == 4
    assert second.upper == first.index
    assert body == Access("x", (), (a + b, first.index, second.index))


def test_a_range_sees_the_indices_before_it_and_conditions_see_all() -> None:
    found = maximum(Access("x", (), (a,)), Range(a, i, n), Range(b, a, i), conditions=(Within(a + b, ZERO, i),))
    moved = substitute_indices(found, {i: a})
    assert isinstance(moved, Maximum)
    first, second = moved.ranges
    assert first.lower == a
    assert first.index != a
    assert (second.lower, second.upper) == (first.index, a)
    assert moved.conditions == (Within(first.index + second.index, ZERO, a),)


def test_the_choice_is_renamed_with_its_maximum_and_is_no_child() -> None:
    found = Maximum((Range(a, ZERO, n),), Access("x", (), (i, a)), choice=Access("c", (), (i, a)))
    assert list(children(found)) == [found.body]
    moved = substitute_indices(found, {i: a})
    assert isinstance(moved, Maximum)
    bound = moved.ranges[0].index
    assert moved.choice == Access("c", (), (a, bound))


def test_a_share_renames_its_place_but_not_what_its_maximum_binds() -> None:
    share = Share(maximum(Access("x", (), (i, a)), Range(a, ZERO, n)), (a,))
    assert substitute_indices(share, {a: k}) == Share(share.maximum, (k,))
