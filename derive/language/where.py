"""A line of declarations as a question has it, taken apart: 'a, b in R^n, X in R^(n x n) symmetric, f is tanh'."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from derive.language.errors import BadSyntax, DefinitionError, join_names
from derive.language.spelling import original, respell


@dataclass(frozen=True)
class Declared:
    """One array of a where-line: its name as written, the rest of its entry, and where in the line that stands."""

    name: str
    rest: str
    start: int


@dataclass(frozen=True)
class Where:
    """A line of declarations taken apart."""

    text: str
    arrays: tuple[Declared, ...]
    functions: tuple[str, ...]
    sizes: tuple[str, ...]


_IN = re.compile(r"\s*(.*?)\s*(?:\bin\b|∈|\\in\b)(.*)$", re.DOTALL)
_BINDING = re.compile(r"\s*\w+\s+is\s+\w+\s*$")


def where_of(text: str) -> Where:
    """'a, b in R^n, X in R^(n x n) symmetric, f is tanh' taken apart; the sizes are the letters in the shapes."""
    waiting: list[tuple[str, int]] = []
    arrays: list[Declared] = []
    functions: list[str] = []
    for piece, start in _pieces(text):
        if _BINDING.match(piece):
            functions.append(piece.strip())
            continue
        match = _IN.match(piece)
        waiting.append((match[1] if match else piece.strip(), start))
        if match:
            arrays += [Declared(respelt(name), match[2], at) for name, at in waiting if name]
            waiting = []
    if waiting:
        message = f"{join_names(name for name, _ in waiting)} has no shape."
        raise at_where(BadSyntax(message, None, "Say where it lives, as in a, b in R^n, X in R^(n x n)."), text)
    letters = [word for entry in arrays for word in _sizes_in(entry.rest)]
    return Where(text, tuple(arrays), tuple(functions), tuple(dict.fromkeys(letters)))


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """The parts between commas and semicolons outside brackets, with where they start."""
    depth, start = 0, 0
    for position, letter in enumerate(f"{text},"):
        depth += (letter in "([{") - (letter in ")]}")
        if letter in ",;\n" and depth <= 0:
            if text[start:position].strip():
                yield text[start:position], start
            start = position + 1


def _sizes_in(rest: str) -> list[str]:
    """The letters in the exponent of R, in the order in which they come."""
    shape = re.match(r"\s*R\s*\^\s*(\(.*?\)|\{.*?\}|\w+)", respell(original(rest)).text, re.DOTALL)
    words = re.findall(r"[A-Za-z]\w*", shape[1].replace("×", " ")) if shape else []
    return [word for word in words if word != "x"]


def respelt(name: str) -> str:
    """A name in the one spelling: β is beta."""
    return respell(original(name)).text.strip()


def at_where(error: DefinitionError, text: str) -> DefinitionError:
    """The mistake is somewhere in the line."""
    error.file, error.source_line = "where", text.strip()
    error.line, error.column, error.end_column = 1, 1, len(text.strip()) + 1
    return error
