"""Options: a file's own choices, set by the caller, and the lines that count only then."""

from __future__ import annotations

import pytest

from derive.language.errors import DefinitionError, RangeError, RedefinedName, TooLarge, UnknownConvention, UnknownName
from derive.language.parser import parse
from derive.language.printer import source
from derive.language.system import Option

TEXT = """
title First when kind is a
title Second when kind is b c
option kind = a of a, b c "which model"
option D = 2 of 1, 2
option f = tanh of tanh, relu, opaque
option ties = first of first, split, all
option E = 1 of 1, 2 when kind is a
source always when it rains
sizes n steps when kind is a
sizes n hidden, m when kind is b c
given x in R^n
given z in R^m when kind is b c
learn w in R^n
y = f(x .* w)
for t = 1..D: when kind is a
    h^t = h^{t-1} + y when kind is a
end when kind is a
start h^0 = 0 when kind is a
loss = sum(y) +
       sum(h^2) * E when kind is a
loss = sum(y) + sum(z)
       when kind is b c
where g is tanh when D is 1
convention outside is zero when D is 2
"""


def test_a_line_counts_only_when_its_option_has_the_value():
    first, second = parse(TEXT), parse(TEXT, choices={"kind": "b c", "D": 1})
    assert (first.title, second.title) == ("First", "Second")
    assert first.sources == ("always when it rains",)
    assert [start.key for start in first.program.starts] == ["h^0"]
    assert second.program.starts == ()
    assert dict(first.conventions)["outside"] == "zero"
    assert "outside" not in dict(second.conventions)
    assert [symbol.name for symbol in second.program.sizes] == ["n", "m"]


@pytest.mark.parametrize("choices", [{}, {"kind": "b c"}, {"f": "relu", "ties": "all"}, {"f": "opaque"}, {"D": "1"}])
def test_options_survive_printing(choices: dict[str, object]):
    text = TEXT if choices.get("D") != "1" else TEXT.replace("sum(h^2)", "sum(h^1)")
    system = parse(text, choices=choices)
    assert parse(source(system)) == system


def test_an_option_binds_the_function_and_the_convention_of_its_name():
    system = parse(TEXT, choices={"f": "relu", "ties": "split"})
    assert dict(system.program.functions)["f"] == "relu"
    assert dict(system.conventions)["ties"] == "split"
    assert Option("f", "relu", ("tanh", "relu", "opaque")) in system.options
    assert system.options[0].description == "which model"


CHOICES: dict[str, tuple[dict[str, object], type[DefinitionError], str]] = {
    "a value that is none": ({"kind": "d"}, RangeError, "The option kind is a or b c, not d"),
    "a number that is none": ({"D": 3}, RangeError, "The option D is 1 or 2, not 3"),
    "a name that is none": ({"kinds": "a"}, UnknownName, "no option or size called kinds"),
    "an option that does not count": ({"kind": "b c", "E": 2}, UnknownName, "E is on a line that does not count"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_that_cannot_be_is_refused(name: str):
    choices, kind, message = CHOICES[name]
    with pytest.raises(kind, match=message) as caught:
        parse(TEXT, choices=choices)
    assert caught.value.repair


LINES: dict[str, tuple[str, type[DefinitionError], str]] = {
    "no value": ("option = 1 of 1", DefinitionError, "is no option"),
    "no choices": ("option k = 1 of", DefinitionError, "is no option"),
    "a choice twice": ("option k = 1 of 1, 1", DefinitionError, "not all different"),
    "a default that is no choice": ("option k = 3 of 1, 2", RangeError, "is 1 or 2, not 3"),
    "an option twice": ("option D = 1 of 1, 2", RedefinedName, "declared twice"),
    "a size too": ("option n = 1 of 1, 2", RedefinedName, "n is an option already"),
    "a function too": ("where f is tanh", RedefinedName, "f has a meaning already"),
    "a convention too": ("convention ties is first", RedefinedName, "'ties' is declared twice"),
    "an unknown value of a convention": ("option outside = zero of zero, none", UnknownConvention, "cannot be 'none'"),
    "a line of an unknown option": ("learn u in R when one is two", UnknownName, "no option called one"),
    "a line of an unknown value": ("learn u in R when kind is two", RangeError, "not two"),
    "a number out of all bounds": (f"option k = {10**20} of {10**20}", RangeError, "goes up to"),
}


@pytest.mark.parametrize("name", LINES)
def test_an_option_that_makes_no_sense_is_refused_at_its_line(name: str):
    line, kind, message = LINES[name]
    with pytest.raises(kind, match=message) as caught:
        parse(f"{TEXT}{line}\n")
    assert caught.value.line
    assert caught.value.repair


def test_many_options_that_depend_on_each_other_are_refused():
    lines = [f"option o{k} = 1 of 1, 2" + (f" when o{k - 1} is 1" if k else "") for k in range(200)]
    with pytest.raises(TooLarge, match="more than 50 options"):
        parse("\n".join([*lines, "loss = 1"]))


def test_a_line_may_ask_for_several_options_at_once():
    text = """
option f = tanh of tanh, relu
option gate = open of open, half shut
learn u in R
y = f(u) when gate is open
y = f(u) / 2 when gate is half shut and f is tanh
y = f(u) / 3 when gate is half shut and f is relu
loss = squared(y, 1)
"""
    values = {
        (f, g): source(parse(text, choices={"f": f, "gate": g}))
        for f in ("tanh", "relu")
        for g in ("open", "half shut")
    }
    assert "/ 2" in values["tanh", "half shut"]
    assert "/ 3" in values["relu", "half shut"]
    assert "y = f(u)\n" in values["tanh", "open"]
    with pytest.raises(UnknownName, match="no option called g"):
        parse(text.replace("and f is relu", "and g is relu"))
