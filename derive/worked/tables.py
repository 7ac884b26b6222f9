"""Tables of numbers read from files: commas, semicolons, tabs or spaces between cells, every number exact."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from derive.worked.errors import WorkedError
from derive.worked.numerals import LONGEST, read_number
from derive.worked.settings import MOST_CELLS, memory

MOST_BYTES = 4_000_000
DELIMITERS = {";": "semicolon", "\t": "tab", ",": "comma"}
"""In the order in which they are looked for; where none occurs, spaces stand between cells."""


class TableError(WorkedError):
    """A file that is no table of numbers: which row and column, what is wrong, and the repair."""


@dataclass(frozen=True)
class Table:
    """Rows of exact numbers, and how they were written; ``name`` is the file they came from."""

    name: str
    rows: tuple[tuple[Fraction, ...], ...]
    texts: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.rows[0])


def read_table(path: Path) -> Table:
    """The table in a file; TableError says what is wrong with it."""
    return parse_table(_text(path), path.name)


def parse_table(text: str, name: str) -> Table:
    """The table in a text."""
    lines = _cells(text, name)
    if not lines:
        raise TableError(f"{name} is empty. Write one row of numbers a line, with commas between them.")
    width = len(lines[0][1])
    if width * len(lines) > MOST_CELLS:
        raise TableError(
            f"{name} has {len(lines):,} rows and {width:,} columns, {memory(8 * width * len(lines))} as 64-bit "
            f"numbers; at most {MOST_CELLS:,} cells are worked through. Cut out a part."
        )
    rows: list[tuple[Fraction, ...]] = []
    for number, (line, cells) in enumerate(lines, 1):
        place = f"{name}, row {number}" + (f" (line {line})" if line != number else "")
        if len(cells) != width:
            raise TableError(
                f"{place} has {_count(len(cells), 'cell')}, but the first row has {width}. "
                "Give every row the same number of cells; 0 can stand for an empty one."
            )
        rows.append(tuple(_number(cell, f"{place}, column {j}", number == 1) for j, cell in enumerate(cells, 1)))
    return Table(name, tuple(rows), tuple(tuple(cells) for _, cells in lines))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > MOST_BYTES:
        raise TableError(f"{path} has more than {MOST_BYTES:,} bytes. Cut out the part that is to be worked through.")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise TableError(f"{path} is not a text file. Save the table as CSV (comma-separated values, UTF-8).")
    return text


def _cells(text: str, name: str) -> list[tuple[int, list[str]]]:
    """The cells of every line that is not blank, with the number of the line."""
    delimiter = next((mark for mark in DELIMITERS if mark in text), None)
    if delimiter is None:
        return [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    found: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                found.append((reader.line_num, stripped))
    except csv.Error as error:
        raise TableError(f"{name}, line {reader.line_num}: {error}. Write numbers without quotation marks.") from None
    return found


def _number(cell: str, place: str, is_first_row: bool) -> Fraction:
    value = read_number(cell)
    if value is not None:
        return value
    if not cell:
        raise TableError(
            f"{place} is empty. Write a number there, 0 if there is nothing, or remove the last delimiter."
        )
    shown = cell if len(cell) <= LONGEST else f"{cell[:LONGEST]}…"
    raise TableError(f"{place}: {shown!r} is not a number. {_repair(cell, is_first_row)}")


def _repair(cell: str, is_first_row: bool) -> str:
    if cell.lower().lstrip("+-") in ("nan", "inf", "infinity", "-inf", "na", "n/a", "null", "none"):
        return "Only finite numbers can be worked with."
    if any(mark in cell for mark in ",;") and read_number(cell.replace(",", ".")) is not None:
        return "Write a decimal point, as in 0.5."
    if re.fullmatch(r"[^/]*\d\s*/\s*0+", cell):
        return "Nothing can be divided by 0."
    if is_first_row:
        return "Write a number such as 3, -0.5 or 1/3, or remove the line if it is a heading."
    return "Write a number such as 3, -0.5 or 1/3."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
