"""Every system of the catalogue with the choices that it offers, for tests that run on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from derive.catalogue import load, names
from derive.derivation import Derivation, gradient
from derive.language.system import System
from tests.random_systems import inputs_of

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Chosen:
    """A system of the catalogue with some of its options set."""

    name: str
    choices: tuple[tuple[str, Any], ...] = ()

    @property
    def system(self) -> System:
        """The system as it is loaded anew."""
        return load(self.name, **dict(self.choices))

    def __str__(self) -> str:
        return ", ".join([self.name, *(f"{name} = {value}" for name, value in self.choices)])


def chosen(name: str) -> list[Chosen]:
    """A system as it comes, and with each other value of each of its options; these in one dimension."""
    options = {option.name: option for option in load(name).options}
    smallest = {"D": "1"} if "D" in options else {}
    others = [
        Chosen(name, tuple({**smallest, option.name: value}.items()))
        for option in options.values()
        for value in option.choices
        if value != option.value
    ]
    return [Chosen(name), *others]


CHOSEN: dict[str, Chosen] = {str(each): each for name in names() for each in chosen(name)}
"""By a name for the test's report."""
AS_THEY_COME: tuple[str, ...] = tuple(name for name, each in CHOSEN.items() if not each.choices)
"""The entries without other choices: what is slow (frameworks, documents in every format) is tried on these alone."""


@cache
def derived(name: str) -> Derivation:
    """The derivation of an entry of CHOSEN, made once."""
    return gradient(CHOSEN[name].system)


def arguments(derivation: Derivation, sizes: Mapping[str, int], values: Mapping[str, Any]) -> tuple[Arrays, Arrays]:
    """What a kernel is called with: parameters; inputs, and among them every size that does not follow from others."""
    parameters, inputs = inputs_of(derivation, values)
    return parameters, {**inputs, **{size.name: sizes[size.name] for size in derivation.forward.independent}}
