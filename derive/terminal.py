"""What a terminal is shown: sections, steps and tables as text, colours and progress where someone is watching."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import wrap

WIDTH = 100
STYLES = {"bold": "1", "dim": "2", "good": "32", "bad": "1;31"}


def is_coloured() -> bool:
    """Standard output is a terminal, and nobody asked for no colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, style: str) -> str:
    """``text`` in a style, where colours are shown."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if is_coloured() else text


def write_unicode() -> None:
    """Mathematics needs Unicode: both streams become UTF-8 whatever the locale says, and nothing written to them can fail to encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is going on, where that is a terminal; the function given changes its words."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(message) as status:
        yield status.update


def columns(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines with aligned columns; those numbered in ``right`` are aligned at their right.

    >>> columns([("a", "1"), ("bb", "10")], right=[1])
    ['a    1', 'bb  10']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    numbers = set(right)

    def line(row: Sequence[str]) -> str:
        cells = (c.rjust(w) if n in numbers else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(cells).rstrip()

    return [line(row) for row in rows]


def paragraph(text: str, indent: str = "") -> list[str]:
    """``text`` in lines of at most WIDTH letters."""
    return wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def evidence_table(groups: Mapping[str, Sequence[Mapping[str, object]]]) -> list[str]:
    """For each group of comparisons a table: a line for each claim, a column for each witness, in it the relative error."""
    lines: list[str] = []
    for title, records in groups.items():
        witnesses = list(dict.fromkeys(str(record["witness"]) for record in records))
        claims = list(dict.fromkeys(str(record["claim"]) for record in records))
        cells = {(str(r["claim"]), str(r["witness"])): r for r in records}
        rows = [(title, *witnesses)]
        rows += [(f"  {claim}", *(_error(cells.get((claim, witness))) for witness in witnesses)) for claim in claims]
        head, *body = columns(rows, right=range(1, len(witnesses) + 1))
        lines += [painted(head, "bold"), *(painted(line, "bad") if "FAILED" in line else line for line in body), ""]
    return lines


def _error(record: Mapping[str, object] | None) -> str:
    if record is None:
        return "–"
    number = f"{record['error']:.0e}" if isinstance(record["error"], float) else str(record["error"])
    return number if record["passed"] else f"FAILED {number}"
