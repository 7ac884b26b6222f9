"""First values: several at once, with a space that tells the shape, and loops in loops within a recurrence."""

from __future__ import annotations

import pytest

from derive.language.errors import FutureUse, RangeError, ShapeMismatch, TooLarge
from derive.language.parser import parse
from derive.language.printer import source

SKIP = """
sizes T steps, n hidden, s = 3
given x^t in R^n for t = 1..T
learn U in R^(n x n)
start h^t = 0 for t = 1-s..0
for t = 1..T:
    h^t = tanh(U h^{t-s} + x^t)
end
loss = <h^T, h^T>
"""
CONVOLVED = """
sizes T steps, N positions, R width
given x^t in R^N for t = 1..T
learn w in R^R
start h^0 = 0 in R^N
for t = 1..T:
    h^t[i] = x^t[i + 1] + sum over a = 0..R-1 of w[a] * h^{t-1}[i + a]
end
loss = <h^T, h^T>
convention outside is zero
"""
ATTENTION = """
sizes S source, T target, n hidden
given x^s in R^n for s = 1..S
learn Q in R^(n x n)
start g^0 = 0
for t = 1..T, s = 1..S:
    e^{t,s} = <g^{t-1}, x^s>
    a^{t,s} = softmax over s of e^{t,s}
end
for t = 1..T:
    g^t = tanh(Q g^{t-1} + sum over s = 1..S of a^{t,s} * x^s)
end
loss = <g^T, g^T>
"""


def test_a_range_gives_a_first_value_for_each_step():
    system = parse(SKIP)
    assert [start.key for start in system.program.starts] == ["h^-2", "h^-1", "h^0"]
    assert parse(source(system)) == system


def test_a_space_beside_the_value_tells_the_shape_of_the_state():
    system = parse(CONVOLVED)
    (size,) = system.program.declaration("h").shape
    assert str(size) == "N"
    again = parse(source(system))
    assert again == system
    assert "start   h^0 = 0 in R^N" in source(system)
    with pytest.raises(ShapeMismatch):
        parse(CONVOLVED.replace(" in R^N\nfor", "\nfor"))


@pytest.mark.parametrize(
    "old, new, kind",
    [
        ("1-s..0", "1-T..0", RangeError),
        ("1-s..0", "-200..0", TooLarge),
        ("h^t = 0 for", "h^t = 0 in R^T for", ShapeMismatch),
    ],
)
def test_first_values_that_cannot_be_are_refused(old: str, new: str, kind: type[Exception]):
    with pytest.raises(kind):
        parse(SKIP.replace(old, new))


def test_within_one_step_of_a_recurrence_everything_may_be_read_of_what_is_made_before():
    system = parse(ATTENTION)
    assert parse(source(system)) == system


def test_within_one_step_of_a_recurrence_the_order_still_counts():
    wrong = ATTENTION.replace("<g^{t-1}, x^s>", "<g^{t-1}, x^s> + a^{t,s}")
    with pytest.raises(FutureUse):
        parse(wrong)
    with pytest.raises(FutureUse):
        parse(ATTENTION.replace("<g^{t-1}, x^s>", "<g^T, x^s>"))
