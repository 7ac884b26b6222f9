"""Writer of Jupyter notebooks, nbformat 4.5: text in Markdown cells, runnable listings in code cells."""

from __future__ import annotations

import json

from .blocks import Document, Heading, Listing
from .editions import prepared
from .markdown import pieces


def notebook(document: Document) -> bytes:
    """The document as a notebook without outputs; its cells are numbered, so the same document has the same bytes."""
    cells: list[dict[str, object]] = []
    texts: list[str] = []

    def close() -> None:
        if texts:
            cells.append(_cell(len(cells), "markdown", "\n\n".join(texts)))
            texts.clear()

    for block, text in pieces(prepared(document, paper=True), images=True):
        if isinstance(block, Listing) and block.runnable:
            caption = text.split("\n\n```", 1)[0]
            if caption != text:
                texts.append(caption)
            close()
            cells.append(_cell(len(cells), "code", block.source.rstrip()))
        else:
            if isinstance(block, Heading):
                close()
            texts.append(text)
    close()
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "title": document.title,
    }
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")


def _cell(index: int, kind: str, source: str) -> dict[str, object]:
    lines = source.split("\n")
    content = [line + "\n" for line in lines[:-1]] + [lines[-1]]
    cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{index + 1:03d}", "metadata": {}, "source": content}
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell
