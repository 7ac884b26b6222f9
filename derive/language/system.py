"""The records a definition is read into: declarations, boundary values, equations, and the system they make up.

A Program is a set of equations over declared arrays; a model and its gradient are both Programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import sympy as sp

from derive.language.expression import Access, Expression, Integer, Range, Span

Shape = tuple[Integer, ...]
Role = Literal["given", "learn", "defined"]


STRUCTURES = {
    "symmetric": "it equals its transpose",
    "diagonal": "its entries beside the diagonal are zero",
    "orthogonal": "its transpose is its inverse",
}
"""What may be assumed of a square matrix. A gradient is among all its entries; the assumption simplifies it."""


@dataclass(frozen=True)
class Declaration:
    """An array: its role, the shape of one value, and the superscripts (time) over which it has values.

    For a state that starts before the range of its equation, ``superscripts`` is the range of the equation; the values
    before it are the program's Starts. ``zero_outside`` says that a value beyond all of these is zero, as of adjoints.
    """

    name: str
    role: Role
    shape: Shape
    superscripts: tuple[Range, ...] = ()
    description: str = ""
    zero_outside: bool = False
    choice: int = 0
    """How many of the last axes number the positions of a maximum, for an array that holds the share of each."""
    span: Span | None = field(default=None, compare=False, repr=False)
    structure: str = ""
    """What is assumed of a matrix, a row of STRUCTURES; '' for nothing."""


Scope = Mapping[str, Declaration]
"""The declared arrays by name."""


@dataclass(frozen=True)
class Start:
    """The value of a state before the first step, ``h^0``: an expression, or None where the caller must give it.

    A caller may always give it instead of the default value. Its key among the inputs is ``h^0``.
    """

    access: Access
    value: Expression | None
    span: Span | None = field(default=None, compare=False, repr=False)
    says_space: bool = field(default=False, compare=False, repr=False)
    """The definition says the space beside the value, so that the shape of the state is known."""

    @property
    def key(self) -> str:
        """``h^0``, ``h^-1``: the name under which callers give it and read its gradient."""
        return f"{self.access.name}^{','.join(str(position) for position in self.access.superscripts)}"


@dataclass(frozen=True)
class Equation:
    """``target = value`` for every index in ``ranges``: superscript indices, and subscript ones in index form."""

    target: Access
    value: Expression
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True)
class Count:
    """The size ``name``: how many ``index`` = 0, 1, 2, … satisfy every inequality (lesser ≤ greater), linear in it."""

    name: str
    index: sp.Symbol
    inequalities: tuple[tuple[Integer, Integer], ...]


@dataclass(frozen=True)
class Option:
    """A choice that a definition declares: the value in force, the values it may take, and words that explain it."""

    name: str
    value: str
    choices: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True)
class Program:
    """Equations over declared arrays, in any order that has each value made from values already made."""

    sizes: tuple[sp.Symbol, ...]
    declarations: tuple[Declaration, ...]
    starts: tuple[Start, ...]
    equations: tuple[Equation, ...]
    functions: tuple[tuple[str, str], ...] = ()
    """Opaque function names and the rows of FUNCTIONS they stand for: (("f", "tanh"),); an unbound one is absent."""
    derived: tuple[tuple[sp.Symbol, Integer], ...] = ()
    """The sizes that follow from others, which are among ``sizes`` too, each made of sizes before it."""
    counts: tuple[Count, ...] = ()
    """What those derived sizes count that were defined by a count."""

    @property
    def independent(self) -> tuple[sp.Symbol, ...]:
        """The sizes that do not follow from others."""
        follow = {symbol for symbol, _ in self.derived}
        return tuple(symbol for symbol in self.sizes if symbol not in follow)

    def declaration(self, name: str) -> Declaration:
        """The declaration of ``name``; KeyError where there is none."""
        for entry in self.declarations:
            if entry.name == name:
                return entry
        raise KeyError(name)


@dataclass(frozen=True)
class System:
    """A definition as its author gave it: its name, where it comes from, its program, its loss and its conventions."""

    title: str
    program: Program
    loss: str
    sources: tuple[str, ...] = ()
    size_descriptions: tuple[tuple[str, str], ...] = ()
    conventions: tuple[tuple[str, str], ...] = ()
    name: str = ""
    defaults: tuple[tuple[str, int], ...] = ()
    """The values of sizes where nothing else tells them; in derivations they stay letters."""
    options: tuple[Option, ...] = ()
