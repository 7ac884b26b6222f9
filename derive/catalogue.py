"""The systems that come with the package, one text file each, and any other definition by its path."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from derive.language.errors import DefinitionError, TooLarge, did_you_mean, join_names
from derive.language.lines import MAX_BYTES
from derive.language.parser import parse
from derive.language.system import System

FOLDER = Path(__file__).with_name("systems")
MANY = 6
"""A summary lists no more names than this."""


class UnknownSystem(DefinitionError):
    """There is no system of that name and no file at that path."""


@dataclass(frozen=True)
class Entry:
    """One system of the catalogue: its name, its title and what it takes, learns and computes, in a line."""

    name: str
    title: str
    summary: str


def names() -> tuple[str, ...]:
    """The names of all systems in the catalogue, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


def text(name: str) -> str:
    """The definition of a system of the catalogue as its author wrote it."""
    return (FOLDER / f"{_known(name)}.txt").read_text(encoding="utf-8")


def load(name_or_path: str | os.PathLike[str], /, **choices: object) -> System:
    """The system of that name in the catalogue, or the one that the file at that path defines.

    ``choices`` are values of its options, and numbers for its sizes, a tuple where components differ.

    >>> load("elman").title
    'Elman RNN, sequence to single'
    >>> [entry.name for entry in load("elman", n=3).program.sizes]
    ['T', 'd']
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and name_or_path in names():
        return _entry(name_or_path, _hashable(choices))
    if path.suffix == ".txt" or (path.name and path.exists()):
        return _file(path, choices)
    return _entry(_known(str(name_or_path)), _hashable(choices))


def _hashable(choices: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    pairs = ((name, tuple(value) if isinstance(value, list) else value) for name, value in choices.items())
    return tuple((name, value if isinstance(value, int | str | tuple) else str(value)) for name, value in sorted(pairs))


def listing() -> tuple[Entry, ...]:
    """Every system of the catalogue with its title and a summary."""
    return tuple(Entry(name, load(name).title, summary(load(name))) for name in names())


def summary(system: System) -> str:
    """'given x, y; learns W, U, v; 4 equations', and 'D = 1, 2 or 3' where there is a choice."""
    declarations = system.program.declarations
    given = _named([entry.name for entry in declarations if entry.role == "given"])
    learned = _named([entry.name for entry in declarations if entry.role == "learn"])
    count = len(system.program.equations)
    choices = [f"; {option.name} = {join_names(option.choices, 'or')}" for option in system.options]
    return f"given {given}; learns {learned}; {count} equation{'s' * (count != 1)}{''.join(choices)}"


def _named(names: Sequence[str]) -> str:
    """A list of names, without its middle where it is long."""
    if len(names) > MANY:
        return f"{', '.join(names[:2])}, …, {names[-1]}"
    return ", ".join(names) or "nothing"


def _known(name: str) -> str:
    if name in names():
        return name
    listed = f"The systems are {', '.join(names())}; a file is named by its path."
    raise UnknownSystem(f"There is no system called {name[:80]!r}.", None, did_you_mean(name[:80], names(), listed))


def _file(path: Path, choices: Mapping[str, object]) -> System:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnknownSystem(
            f"{path} cannot be read: {error.strerror}.", None, "Name a text file that exists."
        ) from None
    if len(content) > MAX_BYTES:
        raise TooLarge(
            f"{path} has more than {MAX_BYTES:,} bytes.", None, "Give the equations only, one system a file."
        )
    return parse(content, path.stem, choices)


@cache
def _entry(name: str, choices: tuple[tuple[str, object], ...] = ()) -> System:
    return parse((FOLDER / f"{name}.txt").read_bytes(), name, dict(choices))
