"""A worked grid for a terminal, as aligned tables under headings, and as data for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from derive.worked.comparison import WrongCell, whereabouts
from derive.worked.computation import Numbers, Worked
from derive.worked.numerals import Number, written
from derive.worked.settings import Pair
from derive.worked.words import heading, incoming_words, rule_words


def shown(worked: Worked) -> str:
    """What is computed, the padded grid, the table, and the gradient in the grid."""
    sections = [("", [heading(worked), *rule_words(worked)])]
    if worked.question.kernel is not None:
        sections.append((f"Kernel, {_size(worked.question.kernel)}", aligned(_texts(worked.question.kernel))))
    title = "Padded grid" if worked.has_padding else "Grid"
    note = ", padding in parentheses" if worked.has_padding else ""
    sections.append((f"{title}, {_size(worked.padded)}{note}", aligned(_padded(worked))))
    sections.append((f"{worked.kind.values.capitalize()}, {_size(worked.table)}", aligned(_texts(worked.table))))
    sections.append((f"Gradient in the grid, {incoming_words(worked)}", aligned(_texts(worked.gradient))))
    if worked.kernel_gradient is not None:
        sections.append(("Gradient in the kernel", aligned(_texts(worked.kernel_gradient))))
    return "\n\n".join("\n".join(filter(None, (title, *lines))) for title, lines in sections)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows indented, with columns aligned at their right.

    >>> aligned([["9", "10"], ["0.5", "1"]])
    ['    9  10', '  0.5   1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = "  " if max(widths) > 2 else " "
    return [
        f"  {gap.join(text.rjust(width) for text, width in zip(row, widths, strict=True))}".rstrip() for row in rows
    ]


def _texts(numbers: Numbers) -> list[list[str]]:
    return [[written(number) for number in row] for row in numbers]


def _padded(worked: Worked) -> list[list[str]]:
    """The grid with its padding in parentheses; columns stay aligned at the digits."""
    tail = " " if worked.has_padding else ""
    return [[f"({worked.filler})" if n is None else written(n) + tail for n in row] for row in worked.padded]


def _size(rows: Sequence[Sequence[object]]) -> str:
    return f"{len(rows)} × {len(rows[0])}"


def data(worked: Worked, wrong: Iterable[WrongCell] | None = None) -> dict[str, Any]:
    """Everything as JSON values; rows and columns count from 1."""
    question, setting = worked.question, worked.question.setting
    found: dict[str, Any] = {
        "kind": question.kind,
        "system": worked.kind.system,
        "window": list(setting.window),
        "stride": list(setting.stride),
        "dilation": list(setting.dilation),
        "padding": dict(zip(("top", "left", "bottom", "right"), (*setting.before, *setting.after), strict=True)),
        "choices": dict(question.choices),
        "grid": numbers(question.grid),
        "table": numbers(worked.table),
        "incoming": numbers(worked.incoming),
        "gradient": numbers(worked.gradient),
        "windows": [
            {
                "row": window.at[0] + 1,
                "column": window.at[1] + 1,
                "where": whereabouts(window),
                "cells": [
                    {
                        **_place(entry.at),
                        "value": number(entry.number),
                        "padding": entry.is_padding,
                        "takes_part": entry.takes_part,
                        "wins": entry.wins,
                    }
                    for entry in window.entries
                ],
                "arithmetic": window.arithmetic,
                "value": number(window.value),
            }
            for window in worked.windows
        ],
        "shares": [
            {"output": _place(share.output), "cell": _place(share.cell), "amount": number(share.amount)}
            for share in worked.shares
        ],
    }
    if question.kernel is not None and worked.kernel_gradient is not None:
        found |= {"kernel": numbers(question.kernel), "kernel_gradient": numbers(worked.kernel_gradient)}
    if wrong is not None:
        found["wrong"] = [
            {**_place(cell.at), "given": number(cell.given), "right": number(cell.window.value)} for cell in wrong
        ]
    return found


def numbers(rows: Numbers) -> list[list[int | float]]:
    """Rows of JSON numbers."""
    return [[number(value) for value in row] for row in rows]


def number(value: Number) -> int | float:
    """A whole number as such, any other as the nearest floating-point number."""
    return int(value) if value == int(value) else float(value)


def _place(at: Pair) -> dict[str, int]:
    return {"row": at[0] + 1, "column": at[1] + 1}
