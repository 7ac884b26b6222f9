"""What a terminal is shown: sections, steps and tables as text, colours and progress where someone is watching."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from derive.evidence import Evidence

WIDTH = 100
Say = Callable[[str], None]
STYLES = {"bold": "1", "dim": "2", "good": "32", "bad": "1;31"}


def is_coloured() -> bool:
    """Standard output is a terminal, and nobody asked for no colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, style: str) -> str:
    """``text`` in a style, where colours are shown."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if is_coloured() else text


def write_unicode() -> None:
    """Both streams become UTF-8 whatever the locale says: mathematics needs it. Nothing written can fail to encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


@contextmanager
def progress(message: str) -> Generator[Say]:
    """What is going on, on standard error where that is a terminal; the function given changes the words."""
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


TITLES = {"gradient": "Derived gradients", "kernel": "Kernel", "step": "Steps"}


def evidence_table(groups: Mapping[str, Sequence[Evidence]]) -> list[str]:
    """For each group a table: a line for each claim, a column for each witness, in it the relative error."""
    lines: list[str] = []
    for group, records in groups.items():
        witnesses = list(dict.fromkeys(record.witness for record in records))
        cells = {(record.claim, record.witness): _cell(record) for record in records}
        rows = [
            (f"  {claim}", *(cells.get((claim, witness), "–") for witness in witnesses))
            for claim in dict.fromkeys(record.claim for record in records)
        ]
        head, *body = columns([(TITLES[group], *witnesses), *rows], right=range(1, len(witnesses) + 1))
        lines += [painted(head, "bold"), *(painted(line, "bad") if "FAILED" in line else line for line in body), ""]
    return lines


def _cell(record: Evidence) -> str:
    return f"{'' if record.passed else 'FAILED '}{record.error:.0e}"


def verdict(records: Sequence[Evidence], seed: int, missing: Sequence[str]) -> list[str]:
    """How many comparisons passed, and which witnesses were not there to be asked."""
    failed = sum(not record.passed for record in records)
    lines = [f"Not installed, so not asked: {', '.join(missing)}."] if missing else []
    words = f"{failed} of {len(records)} comparisons FAILED" if failed else f"All {len(records)} comparisons passed"
    return [*lines, painted(f"{words} (seed {seed}).", "bad" if failed else "good")]
