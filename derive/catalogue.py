"""The systems that come with the package, one text file each, and any other definition by its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from derive.language.errors import DefinitionError, TooLarge, did_you_mean
from derive.language.lines import MAX_BYTES
from derive.language.parser import parse
from derive.language.system import System

FOLDER = Path(__file__).with_name("systems")


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


def load(name_or_path: str | os.PathLike[str]) -> System:
    """The system of that name in the catalogue, or the one that the file at that path defines.

    >>> load("elman").title
    'Elman RNN, sequence to single'
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and name_or_path in names():
        return _entry(name_or_path)
    if path.suffix == ".txt" or (path.name and path.exists()):
        return _file(path)
    return _entry(_known(str(name_or_path)))


def listing() -> tuple[Entry, ...]:
    """Every system of the catalogue with its title and a summary."""
    return tuple(Entry(name, load(name).title, summary(load(name))) for name in names())


def summary(system: System) -> str:
    """'given x, y; learns W, U, v; 4 equations'."""
    declarations = system.program.declarations
    given = ", ".join(entry.name for entry in declarations if entry.role == "given")
    learned = ", ".join(entry.name for entry in declarations if entry.role == "learn")
    count = len(system.program.equations)
    return f"given {given or 'nothing'}; learns {learned or 'nothing'}; {count} equation{'s' * (count != 1)}"


def _known(name: str) -> str:
    if name in names():
        return name
    listed = f"The systems are {', '.join(names())}; a file is named by its path."
    raise UnknownSystem(f"There is no system called {name[:80]!r}.", None, did_you_mean(name[:80], names(), listed))


def _file(path: Path) -> System:
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
    return parse(content, path.stem)


@cache
def _entry(name: str) -> System:
    return parse((FOLDER / f"{name}.txt").read_bytes(), name)
