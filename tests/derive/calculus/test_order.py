from __future__ import annotations

from derive.calculus.order import forward_order, reaches, reads, recurrent, states
from derive.language.parser import parse
from derive.language.system import Program

TEXT = """
title  Two states, one of which is read two steps back, and a value that nothing reads
sizes  T steps, n hidden
given  x^t in R^n for t = 1..T
learn  U in R^(n x n)
start  h^{-1} = 0, h^0 = 0, g^0 = 0
for t = 1..T:
    g^t = tanh(q^t)
    q^t = h^t + g^{t-1}
    h^t = U h^{t-2} + x^t + g^{t-1}
    r^t = h^t
    unread^t = 2 r^t
end
loss = <g^T, g^T>
"""


def program() -> Program:
    return parse(TEXT).program


def test_every_array_comes_after_what_it_reads_within_a_step():
    order = forward_order(program())
    assert order.index("h") < order.index("q") < order.index("g")
    assert order.index("h") < order.index("r") < order.index("unread")


def test_an_earlier_step_does_not_force_an_order():
    assert ("g", True) in reads(program())["q"]
    assert ("h", False) in reads(program())["q"]


def test_only_what_the_loss_depends_on_reaches_it():
    assert reaches(program(), "loss") == {"loss", "g", "q", "h", "x", "U"}


def test_arrays_that_feed_one_another_over_time_are_one_recurrence():
    assert recurrent(program()) == [("h", "q", "g")]


def test_the_states_are_what_later_steps_read_with_their_lags():
    assert states(program(), ("h", "q", "g")) == {"h": 2, "g": 1}


def test_a_program_without_time_has_no_recurrence():
    plain = parse("title  Plain\nsizes  n rows\ngiven  x in R^n\nloss = <x, x>\n").program
    assert recurrent(plain) == []
    assert forward_order(plain) == ["loss"]
