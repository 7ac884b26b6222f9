"""The commands ``derive pool`` and ``derive conv``: from what was typed to what is printed, and the exit code."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from derive.worked.comparison import WrongCell, findings, wrong_cells
from derive.worked.computation import Question, Worked, worked
from derive.worked.errors import WorkedError
from derive.worked.report import data, shown
from derive.worked.settings import Setting, check, padding, pair
from derive.worked.tables import Table, read_table


def answer(options: Namespace) -> tuple[str, int]:
    """What is printed, and 1 where a compared table has a wrong cell; a page is written where one is asked for."""
    question = _question(options)
    table = read_table(options.against) if options.against is not None else None
    found = worked(question)
    wrong = wrong_cells(found, table) if table is not None else None
    if options.output is not None:
        _write(found, table, wrong, options.output)
    code = 1 if wrong else 0
    if options.json:
        return json.dumps(data(found, wrong), ensure_ascii=False, indent=2), code
    parts = [shown(found)]
    if table is not None and wrong is not None:
        parts.append("\n".join(_verdict(found, table, wrong)))
    if options.output is not None:
        parts.append(f"{options.output}: {len(found.windows):,} window{'s' * (len(found.windows) != 1)}")
    return "\n\n".join(parts), code


def _verdict(found: Worked, table: Table, wrong: tuple[WrongCell, ...]) -> list[str]:
    count = table.size[0] * table.size[1]
    if not wrong:
        return [f"{table.name}: all {count:,} cells are right."]
    return [f"{table.name}: {len(wrong):,} of {count:,} cells {'is' if len(wrong) == 1 else 'are'} wrong.",
            *findings(found, wrong)]  # fmt: skip


def _write(found: Worked, table: Table | None, wrong: tuple[WrongCell, ...] | None, path: Path) -> None:
    from derive.handout.writers import write
    from derive.worked.page import page

    compared = (table.name, wrong) if table is not None and wrong is not None else None
    document = page(found, compared)
    try:
        write(document, path)
    except OSError as error:
        raise WorkedError(f"{path} cannot be written: {error.strerror}.") from None


def _question(options: Namespace) -> Question:
    grid = read_table(options.grid)
    kernel = read_table(options.kernel) if options.command == "conv" else None
    setting = _setting(options, kernel)
    check(setting, grid.size)
    incoming = read_table(options.gradient).rows if options.gradient is not None else None
    if kernel is not None:
        kind = "convolution" if options.flip else "cross-correlation"
        return Question(kind, grid.rows, setting, kernel.rows, incoming)
    choices = [("padding", options.padding), ("round", options.round)]
    choices += [("ties", options.ties or "first")] if options.kind == "max" or options.ties else []
    return Question(options.kind, grid.rows, setting, None, incoming, tuple(choices))


def _setting(options: Namespace, kernel: Table | None) -> Setting:
    window = kernel.size if kernel is not None else pair(options.window, "window")
    unset = (1, 1) if kernel is not None else window
    before, after = padding(options.pad)
    return Setting(
        window,
        pair(options.stride, "stride") if options.stride is not None else unset,
        pair(options.dilation, "dilation") if options.dilation is not None else (1, 1),
        before,
        after,
    )
