"""Sizes that make no convolution and no pooling: refused by the definition, by the kernel and by the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import derive
import kernels
from derive.cli import main
from derive.language.errors import DefinitionError
from kernels.kernel import Kernel

ARRAYS = {
    "x": np.zeros((4, 5)),
    "t": np.zeros((6, 3)),
    "w": np.zeros((6, 2, 3)),
    "b": np.zeros(6),
}
"""Two groups of two channels and three kernels; a window of 3 in an input of 5."""

REFUSALS = (kernels.WrongShape, kernels.EmptyAxis, kernels.WrongType)

REFUSED: dict[str, tuple[dict[str, int], dict[str, Any], tuple[str, ...]]] = {
    "stride 0": ({"s": 0}, {}, ("s", "0")),
    "a negative stride": ({"s": -1}, {}, ("s", "-1")),
    "dilation 0": ({"d": 0}, {}, ("d", "0")),
    "a negative dilation": ({"d": -2}, {}, ("d", "-2")),
    "a negative padding": ({"p": -1}, {}, ("p", "-1")),
    "a stride that is no whole number": ({"s": 1.5}, {}, ("s", "1.5")),  # type: ignore[dict-item]
    "a window larger than the padded input": ({}, {"x": np.zeros((4, 2)), "t": np.zeros((6, 1))}, ("O", "0", "H = 2")),
    "a dilated window larger than the padded input": ({"d": 3}, {"t": np.zeros((6, 1))}, ("O", "0", "d = 3")),
    "channels that the groups do not divide": ({}, {"x": np.zeros((5, 5))}, ("x", "5")),
    "kernels that the groups do not divide": (
        {},
        {"w": np.zeros((5, 2, 3)), "b": np.zeros(5), "t": np.zeros((5, 3))},
        ("5",),
    ),
    "an output of the wrong length": ({}, {"t": np.zeros((6, 4))}, ("t", "4", "3")),
    "a number of groups that disagrees": ({"G": 3}, {}, ("G", "3")),
    "no groups": ({"G": 0}, {}, ("G", "0")),
}


@pytest.fixture(scope="module")
def correlation() -> Kernel:
    return kernels.compile(derive.gradient(derive.load("cross-correlation", D=1, groups="several")), jit=False)


def called(kernel: Kernel, sizes: dict[str, int], arrays: dict[str, Any]) -> Any:
    given = {**ARRAYS, **arrays}
    learnt = {key: given[key] for key in kernel.learnt}
    return kernel(learnt, {**{key: given[key] for key in given if key not in learnt}, **sizes})


def test_what_is_right_is_not_refused(correlation: Kernel) -> None:
    assert called(correlation, {}, {})[0] == 0.0
    assert called(correlation, {"G": 2, "s": 2, "p": 1}, {"t": np.zeros((6, 2))})[0] == 0.0
    assert called(correlation, {"s": 1, "d": 2}, {"t": np.zeros((6, 1))})[0] == 0.0


@pytest.mark.parametrize("sizes,arrays,words", REFUSED.values(), ids=REFUSED)
def test_a_kernel_refuses_it_and_says_what_disagrees(
    correlation: Kernel, sizes: dict[str, int], arrays: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(REFUSALS) as refusal:
        called(correlation, sizes, arrays)
    for word in words:
        assert word in str(refusal.value)


CHOICES: dict[str, tuple[str, dict[str, object], tuple[str, ...]]] = {
    "stride 0": ("cross-correlation", {"s": 0}, ("s", "0", "1")),
    "a negative dilation": ("cross-correlation", {"d": -1}, ("d", "-1")),
    "a negative padding": ("max-pooling", {"p": -1}, ("p", "-1")),
    "four dimensions": ("cross-correlation", {"D": 4}, ("D", "4", "1, 2")),
    "an option that there is not": ("max-pooling", {"tie": "first"}, ("tie", "ties")),
    "a value that there is not": ("max-pooling", {"ties": "last"}, ("last", "first")),
    "too many components": ("cross-correlation", {"s": (1, 2, 3)}, ("s", "3", "2")),
    "a word for a size": ("cross-correlation", {"s": "two"}, ("s", "two")),
    "a window larger than the padded input": (
        "max-pooling",
        {"D": 1, "H": 2, "R": 4, "s": 1, "d": 1, "p": 0, "q": 0},
        ("O", "0"),
    ),
}


@pytest.mark.parametrize("name,choices,words", CHOICES.values(), ids=CHOICES)
def test_a_definition_refuses_it(name: str, choices: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(DefinitionError) as refusal:
        derive.load(name, **choices)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("name,choices,words", CHOICES.values(), ids=CHOICES)
def test_the_command_line_refuses_it_without_a_traceback(
    name: str, choices: dict[str, object], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {key: ",".join(map(str, value)) if isinstance(value, tuple) else value for key, value in choices.items()}
    settings = [word for key, value in listed.items() for word in ("--set", f"{key}={value}")]
    assert main(["show", name, *settings]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    for word in words:
        assert word in printed.err


def test_a_setting_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "cross-correlation", "--set", "s"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_definition_whose_channels_the_groups_do_not_divide_is_refused(tmp_path: Path) -> None:
    """With every size a number the shapes disagree before anything is derived."""
    path = tmp_path / "grouped.txt"
    path.write_text(
        "title  Groups that do not divide\nsizes  G = 2, C = 3, H extent\ngiven  x in R^(C x H)\n"
        "learn  w in R^(G x C/G)\ny[g, i] = sum over c of w[g, c] * x[g*(C/G) + c, i]\nloss = sum(y)\n",
        encoding="utf-8",
    )
    with pytest.raises(DefinitionError) as refusal:
        derive.load(path)
    assert "C/G" in str(refusal.value) or "3/2" in str(refusal.value)
