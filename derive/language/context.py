"""What each name means at one place of a definition: array, time index, size, function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp
from lark import Token

from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.errors import RedefinedName, UnknownName, did_you_mean
from derive.language.expression import Expression, Integer, Span, index, is_size
from derive.language.functions import FUNCTIONS, LOSSES
from derive.language.printer import STEP
from derive.language.reading import Node
from derive.language.shapes import Arrays, Known, combine
from derive.language.system import Range

Reading = tuple[Expression, Known]
"""An expression and its shape."""
Reader = Callable[[Node, "Context"], Reading]
"""What reads any node: handed to the rules, which read their parts with it."""
Rule = Callable[[Node, "Context", Reader], Reading]
"""What one rule of the grammar means."""


ALIASES = {"loss": "ell", "ell": "loss"}
"""Names that mean the same where only one of them is defined."""


@dataclass(frozen=True)
class Context:
    """The names in force, and where a node stands in the text."""

    arrays: Arrays
    superscripts: Mapping[str, tuple[Range, ...]]
    """For each array, the ranges of its superscripts; () for one that has none."""
    integers: Mapping[str, Integer]
    functions: Mapping[str, str]
    """Bound and opaque names of functions; an opaque one is bound to ''."""
    place: Callable[[Node | Token], Span]
    is_answer: bool = False
    """No definition: ∂a/∂b may be written, and a sum may take the letter of a free index again."""
    counted: Mapping[str, tuple[Integer, Integer]] = field(default_factory=dict)
    """The range of an index that a size counts, ``O = number of i with …``: 0 … O - 1."""
    values: Mapping[str, Reading] = field(default_factory=dict)
    ties: str = "first"
    """What the convention says of several equal maxima."""
    strict: bool = True
    """Everything must be known; while shapes are inferred it need not be."""

    @property
    def names(self) -> Iterator[str]:
        """Every name that may stand in an expression."""
        yield from (name.removesuffix(STEP) for name in self.superscripts)
        yield from self.integers

    def with_index(self, name: Token) -> Context:
        """The context in which ``name`` is an index variable."""
        text = str(name)
        known = self.integers.get(text)
        is_free = self.is_answer and isinstance(known, sp.Symbol) and not is_size(known)
        if text in self.superscripts or (text in self.integers and not is_free):
            kind = "an array" if text in self.superscripts else "a size or an index already"
            raise RedefinedName(f"{text} is {kind}.", self.place(name), "Take another letter for the index.")
        return replace(self, integers={**self.integers, text: index(text)})

    def array(self, name: str, has_superscripts: bool) -> str | None:
        """The internal name of the array written ``name``; loss^t beside loss is loss_step."""
        if has_superscripts and f"{name}{STEP}" in self.superscripts and not self.superscripts.get(name, ()):
            return f"{name}{STEP}"
        if name in self.superscripts:
            return name
        alias = ALIASES.get(name, "")
        return self.array(alias, has_superscripts) if alias in self.superscripts else None

    def is_quantity(self, name: str) -> bool:
        """``name`` before a bracket is a factor: an array, a size, an index."""
        return name in self.values or name in self.integers or self.array(name, False) is not None

    def is_function(self, name: str) -> bool:
        """``name`` before a bracket is a function that is known."""
        known = name in self.functions or name in FUNCTIONS or name in ARRAY_FUNCTIONS or name in LOSSES
        return known and not self.is_quantity(name)

    def product_repair(self, name: str) -> str:
        """The repair of Wx written for W x."""
        known = set(self.names)
        cuts = (cut for cut in range(1, len(name)) if name[:cut] in known and name[cut:] in known - {name[:cut]})
        return next((f"For a product leave a space: {name[:cut]} {name[cut:]}" for cut in cuts), "")

    def unknown(self, name: str, node: Node | Token) -> UnknownName:
        """The mistake of using ``name``."""
        otherwise = "Declare it under given or learn, or define it by an equation."
        repair = self.product_repair(name) or did_you_mean(name, self.names, otherwise)
        return UnknownName(f"Nothing is called {name} here.", self.place(node), repair)


def subscripts_of(text: str, integers: Mapping[str, Integer]) -> tuple[Integer, ...] | None:
    """What stands after an underscore as indices: i, ij, 0 …; None where it is no index."""
    if text in integers:
        return (integers[text],)
    if text.isdigit() and len(text) < 10:
        return (sp.Integer(int(text)),)
    if all(letter in integers for letter in text):
        return tuple(integers[letter] for letter in text)
    return None


def made(expression: Expression, shapes: list[Known], context: Context) -> Reading:
    """``expression`` with the shape that follows from those of its parts."""
    return expression, combine(expression, shapes, context.arrays)
