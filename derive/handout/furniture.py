"""The fixed words of a handout, the same in every format."""

from __future__ import annotations

from .blocks import Document, Edition, Heading
from .numbering import Number

ANSWERS = "Answers to the exercises"
DETAILS = "Details"
EDITIONS: dict[Edition, str] = {"student": "", "teacher": "Teacher edition"}


def footer(document: Document) -> str:
    """Where the handout comes from, and the seed that makes it again."""
    parts = [document.source] if document.source else []
    if document.seed is not None:
        parts.append(f"seed {document.seed}")
    return ", ".join(parts)


def heading_text(number: Number, heading: Heading) -> str:
    """``2  Backward``."""
    return f"{number.value}\u2002{heading.text}"


def points_text(points: int) -> str:
    """``1 point``, ``3 points``."""
    return f"{points} point" if points == 1 else f"{points} points"
