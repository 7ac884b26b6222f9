"""What can be wrong with a definition: an exception type for each kind of mistake, with its place and a repair."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from derive.language.expression import Span


class DefinitionError(ValueError):
    """A text that cannot be read as a definition: what is wrong, where, and what to write instead.

    ``line`` and ``column`` count from 1; ``end_column`` is one past the last column at fault. All are 0 where no place
    is to blame.
    """

    def __init__(self, message: str, span: Span | None = None, repair: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.repair = repair
        self.file = ""
        self.source_line = ""
        self.place(span)

    def place(self, span: Span | None) -> None:
        """Blame ``span``."""
        self.line = span.line if span else 0
        self.column = span.column if span else 0
        self.end_column = span.end_column if span else 0

    def __str__(self) -> str:
        name = self.file or "definition"
        if not self.line:
            return "\n".join(filter(None, (f"{name}: {self.message}", self.repair)))
        parts = [f"{name}:{self.line}:{self.column}: {self.message}"]
        if self.source_line:
            before = self.source_line[: self.column - 1]
            blank = "".join("\t" if letter == "\t" else " " for letter in before)
            parts += [f"    {self.source_line}", f"    {blank}{'^' * max(1, self.end_column - self.column)}"]
        return "\n".join([*parts, self.repair] if self.repair else parts)


class BadSyntax(DefinitionError):
    """The text does not follow the grammar."""


class UnknownName(DefinitionError):
    """A name that nothing declares or defines."""


class UnknownFunction(DefinitionError):
    """A function that is neither in the tables nor bound by ``where``."""


class UnknownConvention(DefinitionError):
    """A convention, or a value of one, that is not in the table of conventions."""


class ShapeMismatch(DefinitionError):
    """Two shapes that disagree."""


class MissingStart(DefinitionError):
    """A state is used before its first step and no ``start`` line gives its value there."""


class FutureUse(DefinitionError):
    """A step uses a value that is computed only at a later step."""


class CyclicStep(DefinitionError):
    """Within one step, a value depends on itself."""


class MissingLoss(DefinitionError):
    """No equation defines ``loss``."""


class LossNotScalar(DefinitionError):
    """The loss is not a single number."""


class RedefinedName(DefinitionError):
    """One name is given two meanings."""


class RangeError(DefinitionError):
    """An index leaves its range, a range is empty, or a range cannot be found."""


class EmptyFile(DefinitionError):
    """There is nothing to read."""


class NotText(DefinitionError):
    """The bytes are not UTF-8 text."""


class TooLarge(DefinitionError):
    """A limit on length, nesting, digits or counts is exceeded; found before anything is built."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The repair that names the known names closest to ``name``: 'Did you mean W or U?'"""
    candidates = sorted(set(known))
    folded = [entry for entry in candidates if entry.lower() == name.lower()]
    close = folded or get_close_matches(name, candidates, n=3, cutoff=0.6)
    if not close:
        return otherwise
    return f"Did you mean {' or '.join(close)}?"


def join_names(names: Iterable[str], word: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'."""
    listed = list(names)
    return f" {word} ".join(filter(None, (", ".join(listed[:-1]), listed[-1]))) if listed else ""
